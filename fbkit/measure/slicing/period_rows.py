"""The rows of two periods as arrays, read once and numbered by slice: what every table of them is looked up in."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.rows import lazy_rows, settled
from fbkit.measure.kinds import Total
from fbkit.measure.scope import slice_columns
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.decided import Decided, Grid, Whole
from fbkit.measure.slicing.slice_bins import slice_expressions
from fbkit.measure.stats.intervals import Array
from fbkit.measure.tally import sums_by
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

_ROLE, _FINAL, _ENTITY, _KIND, _FLAG = "\0role", "\0final", "\0entity", "\0kind", "\0flag"
_NONE: Final = 2
_KEPT: Final = 3


class PeriodRows:
    """Joined rows of a reference (role 0) and a current period (role 1).

    ``served`` says whether labels are zeros and ones and every score is a number, as looking up needs.
    """

    def __init__(self, joined: JoinedLike, periods: tuple[Period, Period]) -> None:
        self.joined, self.periods = joined, periods
        label, flag = pl.col("label").cast(pl.Float64), pl.col("flagged")
        entity = pl.col("entity")
        frame = self._read(
            pl.when(label == 1).then(0).when(label == 0).then(1).otherwise(_NONE).cast(pl.Int64).alias(_KIND),
            (label.is_null() | label.is_in([0.0, 1.0])).all().alias("binary"),
            flag.cast(pl.Int64).fill_null(_NONE).alias(_FLAG),
            pl.col("score").cast(pl.Float64),
            pl.col("mature"),
            settled(joined).alias(_FINAL),
            pl.when(entity.is_not_null()).then(entity.hash()).alias(_ENTITY),
        )
        self.frame = frame
        self.role: Whole = frame.get_column(_ROLE).to_numpy()
        score = frame.get_column("score")
        known = not score.null_count() and bool(score.is_not_nan().all())
        self.served = joined.contract.model.task == "binary" and known and bool(frame.get_column("binary").all())
        self._codes: dict[str, tuple[Whole, list[str | None]]] = {}
        self._made: dict[tuple[bool, str | None, int], Decided] = {}

    def _read(self, *columns: pl.Expr) -> pl.DataFrame:
        time = pl.col("ts_pred")
        rows = lazy_rows(self.joined)
        parts = [
            rows.filter((time >= period.start) & (time < period.end)).select(
                *columns, pl.lit(role, dtype=pl.Int64).alias(_ROLE)
            )
            for role, period in enumerate(self.periods)
        ]
        return pl.concat(parts).collect()

    @cached_property
    def grid(self) -> Grid:
        """Thresholds to try over the range of these rows' scores."""
        score = self.frame.get_column("score")
        low, high = score.min(), score.max()
        return Grid.over(*(float(end) if isinstance(end, float) else None for end in (low, high)))

    def values(self, by: str | None) -> list[str | None]:
        """The values of a slice column, null last."""
        return [] if by is None else self._numbered(by)[1]

    def text(self, by: str) -> pl.Expr:
        """The slice column as text; numbers are cut at the quintiles of the reference."""
        slice_columns(lazy_rows(self.joined).collect_schema().to_frame(), by)
        return slice_expressions(self.joined, (by,), reference=self.periods[0])[by]

    def _numbered(self, by: str) -> tuple[Whole, list[str | None]]:
        if by not in self._codes:
            text = self._read(self.text(by).cast(pl.String).alias(by)).get_column(by)
            self._codes[by] = _codes(text)
        return self._codes[by]

    def cell_rows(self, by: str | None, *, final: bool) -> CellRows:
        """Rows of the whole and of each slice, period by period."""
        inside = self._inside(final=final)
        kind, flag, mature = (self.frame.get_column(name).to_numpy() for name in (_KIND, _FLAG, "mature"))
        labelled, decided = inside & (kind < _NONE), inside & (flag < _NONE)
        marks = {
            "everything": np.ones(len(inside), dtype=bool),
            "inside": inside,
            "mature": inside & mature,
            "decided": decided,
            "labelled": labelled,
            "both": labelled & decided,
        }
        cells = self._cells(by)
        counts = {
            name: _beside([sums_by(cell, mark.astype(np.float64), size) for cell, size in cells])
            for name, mark in marks.items()
        }
        return CellRows(**counts)

    def logged(self, measure: Total, by: str | None, *, final: bool) -> dict[str, Array]:
        """A measure's sums at the logged decisions: of the whole and of each slice, period by period."""
        parts = [self._decided(place, by, final=final).logged(measure) for place in range(2 if by else 1)]
        return {name: _beside([each[name] for each in parts]) for name in parts[0]}

    def swept(self, measure: Total, by: str | None, *, final: bool) -> dict[str, Array]:
        """The same at every threshold of the grid, on the first axis."""
        parts = [self._decided(place, by, final=final).swept(measure) for place in range(2 if by else 1)]
        return {name: _beside([each[name] for each in parts]) for name in parts[0]}

    def _inside(self, *, final: bool) -> NDArray[np.bool_]:
        held = self.frame.get_column(_FINAL).to_numpy()
        return held if final else np.ones(len(held), dtype=bool)

    def _cells(self, by: str | None) -> list[tuple[Whole, int]]:
        """The cell of each row and their number: of the whole, and of the slices."""
        whole = (self.role, len(self.periods))
        if by is None:
            return [whole]
        codes, values = self._numbered(by)
        return [whole, (self.role * len(values) + codes, len(self.periods) * len(values))]

    def _decided(self, place: int, by: str | None, *, final: bool) -> Decided:
        """The rows that count, by cell: of the whole (place 0), or of the slices."""
        key = (final, by if place else None, place)
        if key not in self._made:
            cell, cells = self._cells(by)[place]
            rows = np.flatnonzero(self._inside(final=final))
            kind, flag = (self.frame.get_column(name).to_numpy() for name in (_KIND, _FLAG))
            self._made[key] = Decided(
                cell=cell[rows],
                cells=cells,
                kind=kind[rows],
                flag=flag[rows],
                bin=self._bin[rows],
                bins=len(self.grid.thresholds),
                entity=self.frame.get_column(_ENTITY).gather(rows),
            )
            for old in [held for held in self._made if held[2] and held != key][: -_KEPT + 1]:
                del self._made[old]
        return self._made[key]

    @cached_property
    def _bin(self) -> Whole:
        """How many thresholds of the grid each score reaches."""
        score = self.frame.get_column("score").to_numpy()
        return np.searchsorted(self.grid.thresholds, score, side="right").astype(np.int64)


def _beside(parts: Sequence[Array]) -> Array:
    """Numbers of the whole and of slices (periods times slices) on the last axis: whole before slices, by period."""
    shaped = [each.reshape(*each.shape[:-1], 2, each.shape[-1] // 2) for each in parts]
    joined = np.concatenate(shaped, axis=-1)
    return joined.reshape(*joined.shape[:-2], -1)


def _codes(text: pl.Series) -> tuple[Whole, list[str | None]]:
    """The place of each text among the distinct ones in order; null is the last."""
    numbers = text.cast(pl.Categorical(pl.Categories.random()))
    distinct = numbers.drop_nulls().unique()
    shown = distinct.cast(pl.String).to_list()
    values: list[str | None] = sorted(shown)
    place = {value: at for at, value in enumerate(values)}
    physical = distinct.to_physical().to_list()
    lookup = np.zeros(max(physical, default=0) + 2, dtype=np.int64)
    for number, value in zip(physical, shown, strict=True):
        lookup[number] = place[value]
    if text.null_count():
        lookup[-1] = len(values)
        values.append(None)
    codes = numbers.to_physical().cast(pl.Int64).fill_null(len(lookup) - 1).to_numpy()
    return lookup[codes], values
