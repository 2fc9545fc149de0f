"""Tables of slices from joined rows: looked up where counts say enough, else asked of the rows."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.join.rows import lazy_rows, no_rows
from fbkit.measure.kernels.made import made_column
from fbkit.measure.kinds import Measure, Total, working_name
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import Asked, choose
from fbkit.measure.scope import Stage, open_scope
from fbkit.measure.slicing.cell_rows import CellRows
from fbkit.measure.slicing.decided import Whole, looked_up
from fbkit.measure.slicing.kept import Kept
from fbkit.measure.slicing.period_rows import PeriodRows
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


class RowTables:
    """A metric by slice in two periods, asked again and again of the same joined rows.

    Attributes
    ----------
    rows
        The rows of both periods as arrays.
    thresholds
        The thresholds that are looked up; another one is asked of the rows.
    """

    def __init__(self, joined: JoinedLike, periods: tuple[Period, Period], *, level: float = 0.95) -> None:
        self.joined, self.periods, self.level = joined, periods, level
        self.rows = PeriodRows(joined, periods)
        self._swept, self._tables, self._counts, self._frames = (
            Kept(_SWEPT),
            Kept(_TABLES),
            Kept(_TABLES),
            Kept(_FRAMES),
        )
        self._marks = (_mark(joined, periods[0]), _mark(joined, periods[1]))

    @property
    def thresholds(self) -> Array:
        return self.rows.grid.thresholds

    @property
    def step(self) -> float:
        """The least move of a threshold."""
        return self.rows.grid.step

    def unmoved(self, *, by: str | None, stage: str) -> str | None:  # noqa: ARG002 - rows can always be decided anew
        """Why another threshold cannot be tried; rows can always be decided anew."""
        return None

    def table(self, asked: Asked, *, by: str | None, stage: str, threshold: float | None = None) -> SliceTable:
        """The metric by slice; with a threshold every row is flagged at ``score >= threshold``."""
        measure = choose(asked, task=self.joined.contract.model.task, contract=self.joined.contract)[0]
        chosen = Stage.parse(stage)
        place = None if threshold is None else self.rows.grid.place(threshold)
        key = (measure.name, by, chosen.name)
        quick = self.rows.served and chosen.age is None
        total = measure if isinstance(measure, Total) and quick and looked_up(measure) else None
        if threshold is None or not measure.uses_flag:
            if total is not None:
                return self._tables(key, lambda: self._looked(total, by, chosen, None))
            return self._tables(key, lambda: self._asked(asked, measure, by=by, stage=chosen, threshold=None))
        if total is not None and place is not None:
            return self._looked(total, by, chosen, place)
        return self._asked(asked, measure, by=by, stage=chosen, threshold=threshold)

    def _looked(self, measure: Total, by: str | None, stage: Stage, place: int | None) -> SliceTable:
        """The table at a threshold of the grid, or (None) at the logged decisions."""
        final = stage.name == results.STAGE_FINAL
        rows: CellRows = self._counts((by, final), lambda: self.rows.cell_rows(by, final=final))
        if place is None:
            sums = self.rows.logged(measure, by, final=final)
        else:
            rows = rows.anew()
            key = (measure.name, by, final)
            swept: Mapping[str, Array] = self._swept(key, lambda: self.rows.swept(measure, by, final=final))
            sums = {name: each[place] for name, each in swept.items()}
        return looked_table(
            measure, sums, rows, slices=self.rows.values(by), periods=self.periods, stage=stage, level=self.level,
            marks=self._marks,
        )  # fmt: skip

    # What needs every row ---------------------------------------------------------------------------------------
    def _asked(
        self, asked: Asked, measure: Measure, *, by: str | None, stage: Stage, threshold: float | None
    ) -> SliceTable:
        part: Any = _Part(self.joined, self._frames(by, lambda: self._frame(by)))
        if threshold is not None:
            part = _Part(self.joined, part.frame.with_columns(flagged=pl.col("score") >= threshold))
        values = self.rows.values(by)
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
            rows = rows.with_columns(self.rows.text(by).cast(pl.String).alias(by))
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
