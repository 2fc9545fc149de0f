"""Measures that are handed the rows of one cell: the rows are sorted by score once and cut into cells."""

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.kinds import Cell, Cellwise, F, Found, S, W, Y, working_name
from fbkit.measure.scope import ENTITY, IN, Scope, Stage, with_entities
from fbkit.measure.totals import finish, widen
from fbkit.schema import results

_NUMBER: Final = "\0cell_number"


def cellwise_frames(
    scope: Scope, cells: pl.DataFrame, measures: list[Cellwise], *, level: float, weighted: bool
) -> dict[str, pl.DataFrame]:
    """Estimates of these measures for every cell, keyed by name."""
    if not measures:
        return {}
    wanted = {working_name(name) for measure in measures for name in measure.columns}
    wanted |= {name for measure in measures for name in measure.expressions}
    listed = cut_cells(scope, cells, weighted=weighted, further=wanted)
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        found = [measured(measure, cell, level=level) for cell in listed]
        made[measure.name] = _frame(cells, measure, found, scope.stage)
    return made


class CellRows:
    """The rows of a cell that count at the stage, by rising score, and what measures are handed of them."""

    __slots__ = ("_known", "columns")

    def __init__(self, columns: dict[str, Any]) -> None:
        self.columns = columns
        self._known: NDArray[np.bool_] = ~np.isnan(columns[Y])

    def cell(self, measure: Cellwise) -> Cell:
        """The rows as this measure wants them."""
        everything = bool(self._known.all()) or measure.rows == "all"

        def chosen(name: str) -> Any:
            values = self.columns[name]
            return values if everything else values[self._known]

        cluster = chosen(ENTITY) if ENTITY in self.columns else None
        if cluster is not None and len(np.unique(cluster)) == len(cluster):
            cluster = None
        named = {name: working_name(name) for name in measure.columns} | {name: name for name in measure.expressions}
        return Cell(
            score=chosen(S),
            label=chosen(Y),
            flag=chosen(F),
            weight=chosen(W) if W in self.columns else None,
            cluster=cluster,
            open=self.columns[S][~self._known],
            columns={
                name: self.columns[column] if everything else self.columns[column].filter(pl.Series(self._known))
                for name, column in named.items()
            },
        )


def cut_cells(scope: Scope, cells: pl.DataFrame, *, weighted: bool, further: set[str]) -> list[CellRows]:
    """One entry per line of ``cells``, in their order."""
    frame, clustered = with_entities(scope.frame, scope.keys)
    numbers = [S, Y, F, *([W] if weighted else []), *([ENTITY] if clustered else [])]
    other = [name for name in frame.columns if name in further]
    numbered = cells.select(scope.keys).with_row_index(_NUMBER)
    rows = frame.lazy().filter(IN).select(*dict.fromkeys([*scope.keys, *numbers, *other]))
    rows = rows.join(numbered.lazy(), on=scope.keys, how="left", nulls_equal=True)
    sorted_rows = rows.sort(_NUMBER, S).select(_NUMBER, *numbers, *other).collect()
    ends = np.searchsorted(sorted_rows.get_column(_NUMBER).to_numpy(), np.arange(cells.height + 1))
    arrays: dict[str, Any] = {name: sorted_rows.get_column(name).to_numpy() for name in numbers}
    series = {name: sorted_rows.get_column(name) for name in other}
    return [
        CellRows(
            {name: values[start:end] for name, values in arrays.items()}
            | {name: values[start:end] for name, values in series.items()}
        )
        for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]


def measured(measure: Cellwise, rows: CellRows, *, level: float) -> Found:
    """What a measure says of a cell; nothing where no row counts or all weigh nothing."""
    cell = rows.cell(measure)
    nothing = not len(cell.score) and not (measure.bounded and len(cell.open))
    if nothing or (cell.weight is not None and not cell.weight.any()):
        return Found(np.nan)
    return measure.fn(cell, level)


def _frame(cells: pl.DataFrame, measure: Cellwise, found: list[Found], stage: Stage) -> pl.DataFrame:
    numbers = np.array([item[:5] for item in found], dtype=np.float64).reshape(-1, 5)
    value, lower, upper, least, greatest = numbers.T
    least, greatest = np.where(np.isnan(least), np.nan, widen(least, greatest, value))
    columns = {results.VALUE: value, results.LOWER: lower, results.UPPER: upper}
    columns |= {results.BOUND_LOWER: least, results.BOUND_UPPER: greatest}
    made = finish(
        cells,
        columns,
        method=[item.method for item in found],
        empty=measure.empty,
        uses_flag=measure.uses_flag,
        uses_label=measure.uses_label,
        stage=stage,
    )
    said = pl.Series("\0said", [item.reason for item in found], dtype=pl.String)
    if said.null_count() == len(said):
        return made
    none = pl.col(results.VALUE).is_null() & (pl.col(results.REASON) == measure.empty)
    return made.with_columns(
        pl.when(none).then(pl.coalesce(said, results.REASON)).otherwise(results.REASON).alias(results.REASON)
    )
