"""Rows counted by cell, label and decision: whatever is a ratio of counts needs no second look at the rows."""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.cells import Numbered, Units, entity_units, keys_of, number_cells
from fbkit.measure.kinds import F, Total, W, Y
from fbkit.measure.scope import ENTITY, IN, MATURE, Scope
from fbkit.measure.stats.intervals import Array

_MEMO: Final = "tally"
_NOT_KNOWN: Final = 2


class Tally(NamedTuple):
    """Each row's kind (at the stage, mature, label, decision) and cell, and the number of rows of each.

    ``counts`` has the key columns, IN, MATURE, Y, F and W (how many rows), one line per cell and kind that occurs;
    ``kinds`` one line per kind, each standing for one row; ``rows`` the number of rows by cell and kind.
    """

    kinds: pl.DataFrame
    counts: pl.DataFrame
    kind: NDArray[np.uint8]
    cells: Numbered
    rows: NDArray[np.int64]

    def serves(self, measure: Total) -> bool:
        """Whether a measure's sums follow from the counts."""
        further = measure.columns or measure.expressions or measure.loss
        return measure.needs == "counts" and measure.kind == "proportion" and not further


def tally(scope: Scope) -> Tally | None:
    """Count the rows of a scope, once; None where labels are no zeros and ones, or rows have weights."""
    if _MEMO not in scope.memo:
        scope.memo[_MEMO] = _tally(scope.frame, scope.keys)
    return scope.memo[_MEMO]


def _tally(frame: pl.DataFrame, keys: list[str]) -> Tally | None:
    binary = frame.select(
        pl.col(Y).is_in([0.0, 1.0]).all()
        & pl.col(F).is_in([0.0, 1.0]).all()
        & (pl.col(W).min() == 1)
        & (pl.col(W).max() == 1)
    )
    if frame.is_empty() or not binary.item():
        return None
    whole = [_bit(pl.col(name) == 1) + _bit(pl.col(name).is_null()) * _NOT_KNOWN for name in (Y, F)]
    flags = [_bit(pl.col(name)) for name in (IN, MATURE)]
    kind = frame.select(((flags[0] * 2 + flags[1]) * 3 + whole[0]) * 3 + whole[1]).to_series().to_numpy()
    kinds = _kinds()
    cells = number_cells(frame, keys)
    rows = cells.table(kind, kinds.height)
    held = np.flatnonzero(rows)
    found = keys_of(frame, keys, cells.row[held // kinds.height])
    counts = found.hstack(kinds[held % kinds.height]).with_columns(pl.Series(W, rows.ravel()[held], dtype=pl.Float64))
    return Tally(kinds, counts, kind, cells, rows)


def repeated(scope: Scope, counted: Tally) -> Units | None:
    """The rows of each entity in each cell; None where none has two."""
    return entity_units(scope.frame.get_column(ENTITY), counted.cells.cell)


def moments(scope: Scope, counted: Tally, units: Units, measure: Total) -> pl.DataFrame:
    """By cell: sums over entities of products of their own sums (aa, ab, bb), how many have any (units), and rows."""
    a, b = _contributions(counted, measure)
    kind, cell = counted.kind[units.order], counted.cells.cell[units.order[units.starts]]
    top, bottom = np.add.reduceat(a[kind], units.starts), np.add.reduceat(b[kind], units.starts)
    size = len(counted.cells.row)
    rows = counted.rows @ (b != 0)
    sums = {
        "aa": sums_by(cell, top * top, size),
        "ab": sums_by(cell, top * bottom, size),
        "bb": sums_by(cell, bottom * bottom, size),
        "units": sums_by(cell, (bottom != 0).astype(np.float64), size),
        "rows": rows,
    }
    found = keys_of(scope.frame, scope.keys, counted.cells.row).with_columns(
        pl.Series(name, each) for name, each in sums.items()
    )
    return found.cast({"units": pl.UInt32, "rows": pl.Int64})


def _contributions(counted: Tally, measure: Total) -> tuple[Array, Array]:
    """What one row of each kind adds to numerator and denominator."""
    used = pl.col(IN)
    if measure.uses_label:
        used &= pl.col(Y).is_not_null()
    if measure.uses_flag:
        used &= pl.col(F).is_not_null()
    made = counted.kinds.select(
        pl.when(used).then(measure.numerator).fill_null(0.0).alias("a"),
        pl.when(used).then(measure.denominator).fill_null(0.0).alias("b"),
    ).cast(pl.Float64)
    return made.get_column("a").to_numpy(), made.get_column("b").to_numpy()


def _bit(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=False).cast(pl.UInt8)


@cache
def _kinds() -> pl.DataFrame:
    truth, three = pl.Series([False, True]), pl.Series([0.0, 1.0, None], dtype=pl.Float64)
    frames = [pl.DataFrame({name: values}) for name, values in ((IN, truth), (MATURE, truth), (Y, three), (F, three))]
    made = frames[0]
    for frame in frames[1:]:
        made = made.join(frame, how="cross", maintain_order="left_right")
    return made.with_columns(pl.lit(1.0).alias(W))


def sums_by(cell: NDArray[np.int64], values: Array, size: int) -> Array:
    """Sum of the values in each cell."""
    return np.bincount(cell, weights=values, minlength=size).astype(np.float64, copy=False)
