"""Tables of slices from joined rows: looked up where counts say enough, else asked of the rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.join.rows import lazy_rows, no_rows
from fbkit.measure.kernels.made import made_column
from fbkit.measure.kinds import Measure, Total, working_name
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import Asked, choose
from fbkit.measure.scope import Stage, open_scope, slice_columns
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.decided import Grid, Whole, looked_up
from fbkit.measure.slicing.kept import Kept
from fbkit.measure.slicing.period_rows import Cut, PeriodRows
from fbkit.measure.slicing.slice_bins import slice_expressions
from fbkit.measure.slicing.slice_table import NO_RATIO, SliceTable, from_frames, looked_table, placed_split
from fbkit.measure.slicing.split import Split
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import add_losses, sum_cells
from fbkit.schema import results
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

_ROLE: Final = "\0role"
_SWEPT: Final = 4
_TABLES: Final = 64
_FRAMES: Final = 2
_PERIODS: Final = 6


class RowTables:
    """A metric by slice in two periods, asked again and again of the same joined rows.

    ``thresholds`` are the ones that are looked up; any other is counted anew.
    """

    def __init__(
        self,
        joined: JoinedLike,
        periods: tuple[Period, Period],
        *,
        level: float = 0.95,
        grid: Grid | None = None,
        parts: Kept | None = None,
    ) -> None:
        self.joined, self.periods, self.level = joined, periods, level
        self.grid = grid_of(joined) if grid is None else grid
        self._parts = Kept(_PERIODS) if parts is None else parts
        self.parts: tuple[PeriodRows, PeriodRows] = (self._part(periods[0]), self._part(periods[1]))
        self._swept, self._frames = Kept(_SWEPT), Kept(_FRAMES)
        self._tables, self._counts, self._texts = Kept(_TABLES), Kept(_TABLES), Kept(_TABLES)
        self._marks = (_mark(joined, periods[0]), _mark(joined, periods[1]))

    def moved(self, periods: tuple[Period, Period]) -> "RowTables":
        """The same of other periods; rows of a period that was asked for before are not read again."""
        return RowTables(self.joined, periods, level=self.level, grid=self.grid, parts=self._parts)

    def _part(self, period: Period) -> PeriodRows:
        return self._parts(period, lambda: PeriodRows(self.joined, period, self.grid))

    @property
    def thresholds(self) -> Array:
        return self.grid.thresholds

    @property
    def step(self) -> float:
        """The least move of a threshold."""
        return self.grid.step

    def unmoved(self, *, by: str | None, stage: str) -> str | None:  # noqa: ARG002 - rows can always be decided anew
        """Why another threshold cannot be tried; rows can always be decided anew."""
        return None

    def table(self, asked: Asked, *, by: str | None, stage: str, threshold: float | None = None) -> SliceTable:
        """The metric by slice; with a threshold every row is flagged at ``score >= threshold``."""
        measure = choose(asked, task=self.joined.contract.model.task, contract=self.joined.contract)[0]
        chosen = Stage.parse(stage)
        anew = threshold if measure.uses_flag else None
        quick = all(part.served for part in self.parts) and chosen.age is None
        if quick and isinstance(measure, Total) and looked_up(measure):
            total = measure
            if anew is not None:
                return self._looked(total, by, chosen, anew)
            return self._tables((total.name, by, chosen.name), lambda: self._looked(total, by, chosen, None))
        if anew is not None:
            return self._asked(asked, measure, by=by, stage=chosen, threshold=anew)
        return self._tables(
            (measure.name, by, chosen.name), lambda: self._asked(asked, measure, by=by, stage=chosen, threshold=None)
        )

    # Looked up --------------------------------------------------------------------------------------------------
    def _looked(self, measure: Total, by: str | None, stage: Stage, threshold: float | None) -> SliceTable:
        """The table at a threshold, or (None) at the logged decisions."""
        final = stage.name == results.STAGE_FINAL
        place = None if threshold is None else self.grid.place(threshold)
        rows: CellRows = self._counts((by, final), lambda: self._rows(by, final=final))
        if place is None:
            sums = self._sums(by, lambda part, *of: part.logged(measure, *of, final=final, threshold=threshold))
        else:
            key = (measure.name, by, final)
            swept: Mapping[str, Array] = self._swept(
                key, lambda: self._sums(by, lambda part, *of: part.swept(measure, *of, final=final))
            )
            sums = {name: each[place] for name, each in swept.items()}
        return looked_table(
            measure, sums, rows if threshold is None else rows.anew(), slices=self._values(by), periods=self.periods,
            stage=stage, level=self.level, marks=self._marks,
        )  # fmt: skip

    def _rows(self, by: str | None, *, final: bool) -> CellRows:
        parts = [part.rows(key, cut, final=final) for part, key, cut in self._cuts(by)]
        names = CellRows.__slots__
        return CellRows(**self._aligned(by, [{name: getattr(part, name) for name in names} for part in parts]))

    def _sums(self, by: str | None, ask: Callable[..., dict[str, Array]]) -> dict[str, Array]:
        return self._aligned(by, [ask(part, key, cut) for part, key, cut in self._cuts(by)])

    def _cuts(self, by: str | None) -> list[tuple[PeriodRows, str | None, Cut | None]]:
        """The rows of each period with their slices."""
        return self._texts(("cuts", by), lambda: self._cut(by))

    def _cut(self, by: str | None) -> list[tuple[PeriodRows, str | None, Cut | None]]:
        if by is None:
            return [(part, None, None) for part in self.parts]
        key, text = f"{by} {self.periods[0]}", self._text(by)
        return [(part, key, part.cut(key, text)) for part in self.parts]

    def _values(self, by: str | None) -> list[str | None]:
        """The slices of both periods in order, null last."""
        return self._texts(("values", by), lambda: self._found(by))

    def _found(self, by: str | None) -> list[str | None]:
        found = {value for _, _, cut in self._cuts(by) if cut is not None for value in cut.values}
        return [*sorted(value for value in found if value is not None), *([None] if None in found else [])]

    def _aligned(self, by: str | None, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Sums of both periods on one axis: by period, the whole before all slices that one of them has."""
        values = self._values(by)
        place = {value: at for at, value in enumerate(values, start=1)}
        made: dict[str, Array] = {}
        for name, first in parts[0].items():
            whole = np.zeros((*first.shape[:-1], len(parts), len(values) + 1))
            for at, (part, (_, _, cut)) in enumerate(zip(parts, self._cuts(by), strict=True)):
                held = [0, *(place[value] for value in (cut.values if cut is not None else ()))]
                whole[..., at, held] = part[name]
            made[name] = whole.reshape(*first.shape[:-1], -1)
        return made

    def _text(self, by: str) -> pl.Expr:
        """The slice column as text; numbers are cut at the quintiles of the reference."""
        slice_columns(no_rows(self.joined), by)
        return slice_expressions(self.joined, (by,), reference=self.periods[0])[by]

    # What needs every row ---------------------------------------------------------------------------------------
    def _asked(
        self, asked: Asked, measure: Measure, *, by: str | None, stage: Stage, threshold: float | None
    ) -> SliceTable:
        part: Any = _Part(self.joined, self._frames(by, lambda: self._frame(by)))
        if threshold is not None:
            part = _Part(self.joined, part.frame.with_columns(flagged=pl.col("score") >= threshold))
        values = self._values(by)
        place = {value: at for at, value in enumerate(values, start=1)}
        lines: list[tuple[int, int, dict[str, Any]]] = []
        for keys in ([_ROLE], [_ROLE, by] if by else []):
            if keys:
                frame = metrics(part, asked, by=keys, stage=stage, level=self.level)
                for line in frame.iter_rows(named=True):
                    at = int(line[_ROLE])
                    line[results.REASON] = (
                        "; ".join(text for text in (line[results.REASON], self._marks[at]) if text) or None
                    )
                    lines.append((at, place[line[by]] if by in keys else 0, line))
        split: Split | str = f"{measure.name} {NO_RATIO}"
        if isinstance(measure, Total) and measure.unavailable is None:
            split = self._split(part, measure, by, stage, place)
        return from_frames(measure.name, values, self.periods, lines, split=split)

    def _frame(self, by: str | None) -> pl.DataFrame:
        """All columns of the rows of both periods, the slice column as text."""
        time = pl.col("ts_pred")
        parts = [
            lazy_rows(self.joined)
            .filter((time >= period.start) & (time < period.end))
            .with_columns(pl.lit(str(role)).alias(_ROLE))
            for role, period in enumerate(self.periods)
        ]
        rows = pl.concat(parts)
        if by is not None:
            rows = rows.with_columns(self._text(by).cast(pl.String).alias(by))
        return rows.collect()

    def _split(
        self, part: Any, measure: Total, by: str | None, stage: Stage, place: Mapping[str | None, int]
    ) -> Split | str:
        made = {name: made_column(part, name, columns=no_rows(part).columns) for name in measure.columns}
        extra = {working_name(name): found for name, found in made.items() if isinstance(found, pl.Expr)}
        if len(extra) < len(made):
            return f"{measure.name} cannot be computed from these logs"
        keys = [_ROLE, by] if by else [_ROLE]
        scope = open_scope(part, by=keys, stage=stage, at_stage=extra | dict(measure.expressions))
        frame = add_losses(scope.frame, [measure])[measure.loss]
        sums = sum_cells(frame, scope.keys, measure, units=None, bounded=False)
        parts: list[tuple[Whole, Array, Array]] = []
        for role in range(2) if by else ():
            mine = sums.filter(pl.col(_ROLE) == str(role))
            at = np.array([place[value] - 1 for value in mine[by or _ROLE]], dtype=np.int64)
            parts.append((at, mine["a"].fill_null(0.0).to_numpy(), mine["b"].fill_null(0.0).to_numpy()))
        return placed_split(parts, size=len(place), transform=measure.transform)


class _Part:
    """Some rows of a joined table in its place: without its log of questions, and without marks of missing parts."""

    rows = None
    evaluations = None
    incomplete = ()

    def __init__(self, joined: JoinedLike, frame: pl.DataFrame) -> None:
        self._joined, self.frame = joined, frame

    def __getattr__(self, name: str) -> Any:
        return getattr(self._joined, name)


def _mark(joined: JoinedLike, period: Period) -> str | None:
    """What is missing of the logs of a period."""
    line = pl.DataFrame(
        {results.PERIOD_START: [period.start], results.PERIOD_END: [period.end], results.REASON: [None]},
        schema_overrides={results.REASON: pl.String},
    )
    return mark_incomplete(line, joined, everything=False)[results.REASON].item()


def grid_of(joined: JoinedLike) -> Grid:
    """Thresholds to try over the range of all scores."""
    score = pl.col("score").cast(pl.Float64)
    low, high = lazy_rows(joined).select(score.min().alias("low"), score.max().alias("high")).collect().row(0)
    return Grid.over(low, high)
