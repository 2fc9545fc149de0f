"""Measures that are handed the rows of one cell: the rows are cut into cells and sorted there by score, once."""

from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.cells import Numbered, Whole, keys_of, number_cells
from fbkit.measure.kinds import Cell, Cellwise, F, Found, S, W, Y, working_name
from fbkit.measure.scope import ENTITY, IN, Scope, Stage, with_entities
from fbkit.measure.stats.ranks import rising
from fbkit.measure.tally import tally
from fbkit.measure.totals import finish, widen
from fbkit.schema import results

_FEW_CELLS: Final = 1 << 16
_NUMBER: Final = "\0cell_number"
Arrays = dict[str, NDArray[Any]]


def cellwise_frames(
    scope: Scope, cells: pl.DataFrame, measures: list[Cellwise], *, level: float, weighted: bool
) -> dict[str, pl.DataFrame]:
    """Estimates of these measures for every cell, keyed by name."""
    if not measures:
        return {}
    wanted = {working_name(name) for measure in measures for name in measure.columns}
    wanted |= {name for measure in measures for name in measure.expressions}
    listed = cut_cells(scope, cells, weighted=weighted, further=wanted)

    def of_cell(rows: CellRows) -> list[Found]:
        made = [measured(measure, rows, level=level) for measure in measures]
        rows.forget()
        return made

    found = [of_cell(rows) for rows in listed]
    return {
        measure.name: _frame(cells, measure, [each[index] for each in found], scope.stage)
        for index, measure in enumerate(measures)
    }


class CellRows:
    """The rows of a cell that count at the stage; sorted by rising score when they are first asked for."""

    def __init__(self, arrays: Arrays, series: dict[str, pl.Series]) -> None:
        self._arrays, self._series = arrays, series
        self._all: dict[str, Any] = {}
        self._labelled: dict[str, Any] = {}
        self._memo: dict[str, dict[str, Any]] = {"all": {}, "labelled": {}}

    @property
    def columns(self) -> dict[str, Any]:
        """All rows, by working name."""
        return {name: self._of_all(name) for name in (*self._arrays, *self._series)}

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return rising(self._arrays[S])

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        return ~np.isnan(self._of_all(Y))

    @cached_property
    def _open(self) -> NDArray[np.float64]:
        return self._of_all(S).compress(~self._known)

    @cached_property
    def _cluster(self) -> bool:
        """Whether an entity has several rows."""
        entity = self._arrays.get(ENTITY)
        return entity is not None and len(np.unique(entity)) < len(entity)

    def cell(self, measure: Cellwise) -> Cell:
        """The rows as this measure wants them."""
        chosen = self._of_all if measure.rows == "all" else self._of_labelled
        cluster = chosen(ENTITY) if self._cluster else None
        if cluster is not None and measure.rows != "all" and len(np.unique(cluster)) == len(cluster):
            cluster = None
        named = {name: working_name(name) for name in measure.columns} | {name: name for name in measure.expressions}
        return Cell(
            score=chosen(S),
            label=chosen(Y),
            flag=chosen(F),
            weight=chosen(W) if W in self._arrays else None,
            cluster=cluster,
            open=self._open,
            columns={name: chosen(column) for name, column in named.items()},
            memo=self._memo[measure.rows],
        )

    def forget(self) -> None:
        """Free what was sorted: the next cell finds the memory warm."""
        for kept in (self._all, self._labelled, *self._memo.values()):
            kept.clear()
        for name in ("_order", "_known", "_open"):
            self.__dict__.pop(name, None)

    def _of_all(self, name: str) -> Any:
        if name not in self._all:
            series = self._series.get(name)
            self._all[name] = self._arrays[name][self._order] if series is None else series.gather(self._order)
        return self._all[name]

    def _of_labelled(self, name: str) -> Any:
        if name not in self._labelled:
            values = self._of_all(name)
            known = self._known
            self._labelled[name] = values.filter(known) if isinstance(values, pl.Series) else values.compress(known)
        return self._labelled[name]


def cut_cells(scope: Scope, cells: pl.DataFrame, *, weighted: bool, further: set[str]) -> list[CellRows]:
    """One entry per line of ``cells``, in their order."""
    frame, clustered = with_entities(scope.frame, scope.keys)
    counted = tally(scope)
    numbered = number_cells(frame, scope.keys) if counted is None else counted.cells
    inside = frame.get_column(IN).fill_null(value=False)
    if weighted:  # a row of weight 0 is no row
        inside = inside & (frame.get_column(W) > 0)
    ends, place = _ends(numbered, None if inside.all() else np.flatnonzero(inside.to_numpy()))
    names = [S, Y, F, *([W] if weighted else []), *([ENTITY] if clustered else [])]
    arrays = {name: _placed(_plain(frame.get_column(name)), place) for name in names}
    series = {name: frame.get_column(name) for name in frame.columns if name in further}
    if place is not None:
        series = {name: values.gather(place) for name, values in series.items()}
    parts = [
        CellRows(
            {name: values[start:end] for name, values in arrays.items()},
            {name: values[start:end] for name, values in series.items()},
        )
        for start, end in pairwise([*ends.tolist(), ends[-1]])
    ]
    # Past the last number stands a cell without rows.
    lines = keys_of(frame, scope.keys, numbered.row).with_row_index(_NUMBER)
    lines = cells.select(scope.keys).join(lines, on=scope.keys, how="left", nulls_equal=True, maintain_order="left")
    return [parts[number] for number in lines.get_column(_NUMBER).fill_null(len(numbered.row))]


def _ends(numbered: Numbered, place: Whole | None) -> tuple[Whole, Whole | None]:
    """Where the cells of the rows of these places begin, and the places in the order of their cells (None: all)."""
    if place is None and numbered.ends is not None:
        return numbered.ends, None
    cell = numbered.cell if place is None else numbered.cell[place]
    if np.any(cell[1:] < cell[:-1]):
        # Few small numbers are sorted digit by digit.
        order = np.argsort(cell.astype(np.uint16) if len(numbered.row) <= _FEW_CELLS else cell, kind="stable")
        place, cell = (order if place is None else place[order]), cell[order]
    return np.searchsorted(cell, np.arange(len(numbered.row) + 1)), place


def _plain(series: pl.Series) -> NDArray[Any]:
    """The values as an array, null as NaN."""
    return (series.fill_null(np.nan) if series.dtype.is_float() and series.null_count() else series).to_numpy()


def _placed(values: NDArray[Any], place: NDArray[np.int64] | None) -> NDArray[Any]:
    return values if place is None else values[place]


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
