"""The rows of a period as arrays, read once and numbered by slice: what tables of slices are looked up in."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.rows import lazy_rows, settled
from fbkit.measure.kinds import Total
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.decided import Decided, Grid, Whole
from fbkit.measure.slicing.kept import Kept
from fbkit.measure.stats.intervals import Array
from fbkit.measure.tally import sums_by
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

_FINAL, _ENTITY, _KIND, _FLAG, _BINARY = "\0final", "\0entity", "\0kind", "\0flag", "\0binary"
_NONE: Final = 2
_KEPT: Final = 3
_ANSWERS: Final = 64


class Cut:
    """The slice of each row: ``codes`` are places in ``values``, the texts in order, null last."""

    def __init__(self, text: pl.Series) -> None:
        self.codes, self.values = _codes(text)


class PeriodRows:
    """Joined rows of one period.

    ``served`` says whether labels are zeros and ones and every score is a number, as looking up needs.
    """

    def __init__(self, joined: JoinedLike, period: Period, grid: Grid) -> None:
        self.joined, self.period, self.grid = joined, period, grid
        label, entity = pl.col("label").cast(pl.Float64), pl.col("entity")
        score = pl.col("score").cast(pl.Float64)
        frame = self._read(
            pl.when(label == 1).then(0).when(label == 0).then(1).otherwise(_NONE).cast(pl.Int64).alias(_KIND),
            ((label.is_null() | label.is_in([0.0, 1.0])) & score.is_not_null() & score.is_not_nan()).alias(_BINARY),
            pl.col("flagged").cast(pl.Int64).fill_null(_NONE).alias(_FLAG),
            score,
            pl.col("mature"),
            settled(joined).alias(_FINAL),
            pl.when(entity.is_not_null()).then(entity.hash()).alias(_ENTITY),
        )
        self.frame = frame
        self.served = joined.contract.model.task == "binary" and bool(frame.get_column(_BINARY).all())
        self._made, self._cuts, self._answers = Kept(_KEPT), Kept(_KEPT), Kept(_ANSWERS)

    def _read(self, *columns: pl.Expr) -> pl.DataFrame:
        time = pl.col("ts_pred")
        inside = (time >= self.period.start) & (time < self.period.end)
        return lazy_rows(self.joined).filter(inside).select(columns).collect()

    def cut(self, key: str, text: pl.Expr) -> Cut:
        """The slices of a column as text; ``key`` names it."""
        return self._cuts(key, lambda: Cut(self._read(text.cast(pl.String).alias("text")).to_series()))

    def rows(self, key: str | None, cut: Cut | None, *, final: bool) -> CellRows:
        """Rows of the whole and of each slice."""
        return self._answers(("rows", key, final), lambda: self._count(cut, final=final))

    def _count(self, cut: Cut | None, *, final: bool) -> CellRows:
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
        counts: dict[str, Array] = {}
        for name, mark in marks.items():
            count = mark.astype(np.float64)
            sliced = [] if cut is None else sums_by(cut.codes, count, len(cut.values))
            counts[name] = np.concatenate([[count.sum()], sliced])
        return CellRows(**counts)

    def logged(
        self, measure: Total, key: str | None, cut: Cut | None, *, final: bool, threshold: float | None = None
    ) -> dict[str, Array]:
        """A measure's sums of the whole and of each slice, at the logged decisions or at any threshold."""

        def ask() -> dict[str, Array]:
            return _beside([part.logged(measure, threshold=threshold) for part in self._decided(key, cut, final=final)])

        return ask() if threshold is not None else self._answers((measure.name, key, final), ask)

    def swept(self, measure: Total, key: str | None, cut: Cut | None, *, final: bool) -> dict[str, Array]:
        """The same at every threshold of the grid, on the first axis."""
        return _beside([part.swept(measure) for part in self._decided(key, cut, final=final)])

    def _inside(self, *, final: bool) -> NDArray[np.bool_]:
        held = self.frame.get_column(_FINAL).to_numpy()
        return held if final else np.ones(len(held), dtype=bool)

    def _decided(self, key: str | None, cut: Cut | None, *, final: bool) -> list[Decided]:
        """The rows that count: as one cell, and by slice."""
        whole = self._made((final, None), lambda: self._numbered(None, final=final))
        return [whole] if cut is None else [whole, self._made((final, key), lambda: self._numbered(cut, final=final))]

    def _numbered(self, cut: Cut | None, *, final: bool) -> Decided:
        rows = np.flatnonzero(self._inside(final=final))
        kind, flag, score = (self.frame.get_column(name).to_numpy() for name in (_KIND, _FLAG, "score"))
        return Decided(
            cell=np.zeros(len(rows), dtype=np.int64) if cut is None else cut.codes[rows],
            cells=1 if cut is None else len(cut.values),
            kind=kind[rows],
            flag=flag[rows],
            score=score[rows],
            bin=self._bin[rows],
            bins=len(self.grid.thresholds),
            entity=self.frame.get_column(_ENTITY).gather(rows),
        )

    @cached_property
    def _bin(self) -> Whole:
        """How many thresholds of the grid each score reaches."""
        score = self.frame.get_column("score").to_numpy()
        return np.searchsorted(self.grid.thresholds, score, side="right").astype(np.int64)


def _beside(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """Sums of the whole before those of the slices, on the last axis."""
    return {name: np.concatenate([each[name] for each in parts], axis=-1) for name in parts[0]}


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
