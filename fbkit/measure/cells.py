"""Which cell and which entity a row belongs to, as whole numbers: text is compared once and not once per measure."""

from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Whole = NDArray[np.int64]
_NARROW: Final = 4


class Numbered:
    """The cell of each row, by number, and a row of each cell.

    ``ends`` are the first rows of the cells, and at last the number of rows, where cell stands after cell; else None.
    """

    def __init__(self, row: Whole, *, cell: Whole | None = None, ends: Whole | None = None) -> None:
        self.row = row
        self.ends = ends
        self._cell = cell

    @cached_property
    def cell(self) -> Whole:
        """The number of each row's cell."""
        if self._cell is not None or self.ends is None:
            return np.empty(0, dtype=np.int64) if self._cell is None else self._cell
        return np.repeat(np.arange(len(self.row)), np.diff(self.ends))

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of the values (one per row) in each cell."""
        if self.ends is not None:
            return np.add.reduceat(values, self.ends[:-1])
        return np.bincount(self.cell, weights=values, minlength=len(self.row)).astype(np.float64, copy=False)

    def table(self, kind: NDArray[np.uint8], kinds: int) -> Whole:
        """How many rows of each kind each cell has."""
        size = len(self.row)
        if self.ends is not None and size * kinds < len(kind):
            return np.array([np.bincount(kind[start:end], minlength=kinds) for start, end in pairwise(self.ends)])
        return np.bincount(self.cell * kinds + kind, minlength=size * kinds).reshape(size, kinds)


class Units(NamedTuple):
    """Rows in the order of their cells and, within a cell, of their entities; ``starts`` are each entity's first."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def numbers(self) -> NDArray[np.int64]:
        """A number for each row, the same for rows of one entity in one cell; those of a cell lie close together."""
        made = np.empty(len(self.order), dtype=np.int64)
        made[self.order] = np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.order)))
        return made


def number_cells(frame: pl.DataFrame, keys: list[str]) -> Numbered:
    """Number the combinations of the key columns that occur; null is a value like any other."""
    if not frame.height:
        return Numbered(np.empty(0, dtype=np.int64), cell=np.empty(0, dtype=np.int64))
    several = [key for key in keys if not _constant(frame.get_column(key))]
    ends = _runs(frame, several)
    if ends is not None:
        return Numbered(ends[:-1], ends=ends)
    code, size = _codes(frame.get_column(several[0]))
    for key in several[1:]:
        part, values = _codes(frame.get_column(key))
        code, size = code * values + part, size * values
        if size > _NARROW * max(frame.height, 1):
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
    rows = np.bincount(code, minlength=1)
    if not rows.all():
        code = (np.cumsum(rows > 0) - 1)[code]
        rows = rows[rows > 0]
    if np.all(code[1:] >= code[:-1]):
        return Numbered(np.cumsum(rows) - rows, cell=code, ends=np.concatenate([[0], np.cumsum(rows)]))
    row = np.empty(len(rows), dtype=np.int64)
    row[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    return Numbered(row, cell=code)


def _runs(frame: pl.DataFrame, keys: list[str]) -> Whole | None:
    """First rows of the cells and the number of rows, where there is one cell, or times rise; else None."""
    if not keys:
        return np.array([0, frame.height])
    series = frame.get_column(keys[0])
    if len(keys) > 1 or not series.dtype.is_temporal() or not series.is_sorted():
        return None
    return np.concatenate([[0], np.cumsum(series.rle().struct.field("len").to_numpy().astype(np.int64))])


def keys_of(frame: pl.DataFrame, keys: list[str], rows: NDArray[np.int64]) -> pl.DataFrame:
    """The key columns of these rows."""
    return frame.select(pl.col(keys).gather(rows)) if keys else pl.DataFrame()


def _constant(series: pl.Series) -> bool:
    """Whether a time is the same in all rows; a look at text would cost as much as numbering it."""
    if series.is_empty() or not series.dtype.is_temporal() or series.null_count():
        return False
    return series.min() == series.max()


def _codes(series: pl.Series) -> tuple[NDArray[np.int64], int]:
    """A small number for each value, null among them, and how many there may be."""
    if series.dtype == pl.String:
        codes = series.cast(pl.Categorical(pl.Categories.random())).to_physical().cast(pl.Int64)
        size = int(codes.max() or 0) + 1 if len(codes) > codes.null_count() else 0  # pyright: ignore[reportArgumentType]  # whole numbers
        return codes.fill_null(size).to_numpy(), size + 1
    if series.is_sorted():
        lengths = series.rle().struct.field("len").to_numpy()
        return np.repeat(np.arange(len(lengths), dtype=np.int64), lengths), len(lengths)
    values = series.unique().sort()
    position = pl.Series(range(len(values)), dtype=pl.Int64)
    return series.replace_strict(values, position).to_numpy(), len(values)


def entity_units(entity: pl.Series, cell: NDArray[np.int64]) -> Units | None:
    """Which rows of a cell are about the same entity; a null one is alone. None where no entity repeats within a cell.

    Entities are compared by 64 bits of a hash, less those that number the cells: two of a million fall together once
    in ten million tables.
    """
    if entity.null_count() == len(entity):
        return None
    mark = entity.hash()
    if entity.null_count():
        alone = pl.int_range(len(entity), eager=True).hash(seed=1)
        mark = alone.zip_with(entity.is_null(), mark)
    bits = np.uint64(int(cell.max()).bit_length())
    key = (cell.astype(np.uint64) << (np.uint64(64) - bits)) | (mark.to_numpy() >> bits) if bits else mark.to_numpy()
    order = pl.Series(key).arg_sort().to_numpy().astype(np.int64)
    ordered = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return None if len(starts) == len(order) else Units(order, starts)
