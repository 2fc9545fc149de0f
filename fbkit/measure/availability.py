"""For how many predictions do we know the label, by slice and day."""

from datetime import datetime
from typing import Final

import polars as pl

from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import all_cells, check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.ratios import counted_cells, total_frames
from fbkit.measure.registry import Total, choose
from fbkit.measure.scope import MATURE, Slices, open_scope
from fbkit.schema import results
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

_STATE: Final = "\0state"
_STATES: Final = {
    results.N_PENDING: results.PENDING,
    results.N_MISSING: results.MISSING,
    results.N_CENSORED: results.CENSORED,
}
COLUMNS: Final = (
    results.PERIOD_START,
    results.PERIOD_END,
    results.VALUE,
    results.LOWER,
    results.UPPER,
    results.N,
    results.N_LABELLED,
    results.N_PENDING,
    results.N_MISSING,
    results.N_CENSORED,
    results.N_MATURE,
    results.STAGE,
    results.METHOD,
    results.REASON,
    results.EVALUATION_ID,
)


@checked
def availability(
    joined: JoinedLike | Ledger,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Share of all predictions of a cohort whose label is known at the as-of time.

    Nothing is left out of the denominator: pending, missing and censored rows count, so
    n = n_labelled + n_pending + n_missing + n_censored. Of a :class:`fbkit.Ledger` also ``as_of`` an earlier midnight.

    Returns
    -------
    The ``by`` columns as text, then period_start, period_end, value, lower, upper (Wilson, or cluster-robust where
    entities repeat), n, n_labelled, n_pending, n_missing, n_censored, n_mature, stage ("final" if every row is
    mature, "young" if none is, else "mixed"), method, reason, evaluation_id; sorted by slice, then time. A cell without
    predictions has null beside its reason; beside a value a reason says that a part of the logs is missing. A null
    slice value is a slice of its own.

    Raises
    ------
    ArgumentError
        An unknown column or time cell, a period that cannot be read, a level outside (0, 1).
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.frames import ledger_availability

        return ledger_availability(joined, by=by, every=every, period=period, level=level, as_of=as_of)
    not_of_rows(as_of=as_of)
    check_level(level)
    scope = open_scope(
        joined,
        by=by,
        every=every,
        period=period,
        stage=results.STAGE_ANY,
        extra={_STATE: pl.col("state").cast(pl.String)},
    )
    cells = all_cells(scope, counted_cells(scope))
    measures = [measure for measure in choose("availability") if isinstance(measure, Total)]
    frame = total_frames(scope, cells, measures, level=level, bounded=False, weighted=False)["availability"]
    counts = scope.frame.group_by(scope.keys).agg(
        *((pl.col(_STATE) == state).sum().cast(pl.Int64).alias(name) for name, state in _STATES.items()),
        pl.col(MATURE).sum().cast(pl.Int64).alias(results.N_MATURE),
    )
    frame = frame.join(counts, on=scope.keys, how="left", nulls_equal=True)
    frame = frame.with_columns(pl.col(*_STATES, results.N_MATURE).fill_null(0)).sort(scope.keys, nulls_last=True)
    frame = scope.with_period_end(frame).select(*scope.by, *COLUMNS[:-1])
    frame = mark_incomplete(frame, joined, everything=period is None and every is None)
    call = {"by": scope.by, "every": every, "period": str(scope.limits), "level": level}
    return stamped(frame, joined, call="availability", **call)
