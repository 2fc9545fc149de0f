"""Ratios of sums for every cell: from counts of rows where they say enough, else from the rows."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from fbkit.measure import loss_sums
from fbkit.measure.cells import keys_of, number_cells
from fbkit.measure.kinds import Total, W, Y
from fbkit.measure.scope import Scope, with_entities
from fbkit.measure.tally import Tally, moments, repeated, tally
from fbkit.measure.totals import CLUSTERED, INDEPENDENT, add_losses, count_cells, estimate, sum_cells

_CELL: Final = "\0cell"
_SEVERAL: Final = 2


def counted_cells(scope: Scope) -> pl.DataFrame:
    """Rows per cell of a scope, see :func:`fbkit.measure.totals.count_cells`."""
    counted = tally(scope)
    if counted is None:
        return count_cells(scope.frame, scope.keys)
    return count_cells(counted.counts, scope.keys, rows=pl.col(W).cast(pl.Int64))


def total_frames(
    scope: Scope, cells: pl.DataFrame, measures: Sequence[Total], *, level: float, bounded: bool, weighted: bool
) -> dict[str, pl.DataFrame]:
    """Estimates of all ratio measures, keyed by name."""
    counted = tally(scope)
    made = {} if counted is None else _from_counts(scope, cells, counted, measures, bounded=bounded)
    rest = [measure for measure in measures if measure.name not in made]
    made |= _from_rows(scope, cells, rest, bounded=bounded, weighted=weighted)
    return {measure.name: estimate(made[measure.name], measure, level=level, stage=scope.stage) for measure in measures}


def _from_counts(
    scope: Scope, cells: pl.DataFrame, counted: Tally, measures: Sequence[Total], *, bounded: bool
) -> dict[str, pl.DataFrame]:
    """The cells with the sums of each measure that counts of rows tell, or counts and scores."""
    easy = [measure for measure in measures if counted.serves(measure) or loss_sums.served(measure)]
    units = repeated(scope, counted) if easy else None
    made: dict[str, pl.DataFrame] = {}
    for measure in easy:
        if loss_sums.served(measure):
            sums = loss_sums.loss_sums(scope, counted, units, measure, bounded=bounded)
            made[measure.name] = cells.join(sums, on=scope.keys, how="left", nulls_equal=True)
            continue
        sums = sum_cells(counted.counts, scope.keys, measure, units=None, bounded=bounded)
        found = cells.join(sums, on=scope.keys, how="left", nulls_equal=True)
        if units is not None:
            squares = moments(scope, counted, units, measure)
            found = found.join(squares, on=scope.keys, how="left", nulls_equal=True)
        made[measure.name] = found
    return made


def _from_rows(
    scope: Scope, cells: pl.DataFrame, measures: Sequence[Total], *, bounded: bool, weighted: bool
) -> dict[str, pl.DataFrame]:
    """The cells with the sums of each measure that needs every row."""
    if not measures:
        return {}
    frame, clustered = with_entities(scope.frame, scope.keys)
    counted = tally(scope)
    numbered = number_cells(frame, scope.keys) if counted is None else counted.cells
    # One small number is grouped by faster than text.
    short = [*scope.keys] if len(numbered.row) < _SEVERAL else [_CELL]
    names = keys_of(frame, scope.keys, numbered.row).with_row_index(_CELL)
    frame = frame.with_columns(pl.Series(_CELL, numbered.cell, dtype=pl.UInt32))
    fractional = counted is None and not frame.select(pl.col(Y).is_in([0.0, 1.0]).all()).item()
    losses = add_losses(frame, measures)
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        plain = measure.kind == "proportion" and not weighted and not (fractional and measure.uses_label)
        units = CLUSTERED if clustered else None if plain else INDEPENDENT
        sums = sum_cells(losses[measure.loss], short, measure, units=units, bounded=bounded)
        if short == [_CELL]:
            sums = sums.join(names, on=_CELL, how="left").drop(_CELL)
        made[measure.name] = cells.join(sums, on=scope.keys, how="left", nulls_equal=True)
    return made
