"""Is the outcome feed complete: positives that arrived against those that mature cohorts of the same age predict."""

from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.labels.latency import FEWEST, settled
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import F, S
from fbkit.measure.scope import IN, Scope, Slices, open_scope
from fbkit.measure.stats.intervals import Array, wilson
from fbkit.schema import results
from fbkit.schema.durations import format_duration, parse_duration
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

METRIC: Final = "feed_completeness"
ARRIVED: Final = "n_arrived"
EXPECTED: Final = "n_expected"
COLUMNS: Final = (
    results.METRIC, results.PERIOD_START, results.PERIOD_END, results.VALUE, results.LOWER, results.UPPER, ARRIVED,
    EXPECTED, results.N, results.STAGE, results.METHOD, results.REASON, results.EVALUATION_ID,
)  # fmt: skip
_BINS: Final = 5
_FINAL, _AGE, _LAG, _POSITIVE, _BIN, _DECIDED = "\0final", "\0age", "\0lag", "\0positive", "\0bin", "\0decided"
_OPEN, _WEEK, _SHARE, _DUE, _KNOWN = "\0open", "\0week", "\0share", "\0due", "\0known"


@checked
def feed_completeness(
    joined: JoinedLike,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    at: str | timedelta | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Positives that have arrived, divided by those that mature cohorts of the same age predict.

    Parameters
    ----------
    by, every, period, level
        As in :func:`fbkit.measure.metrics.metrics`. Without ``every`` and ``period`` the rows are judged that are not
        final yet: their window is open, or an incomplete feed holds them.
    at
        Age of the look, such as "60d": rows count that are at least that old, with what had arrived by that age. None:
        every row at the age it has.

    Returns
    -------
    The ``by`` columns as text, then metric ("feed_completeness"), period_start, period_end, value, lower, upper,
    n_arrived, n_expected, n (predictions), stage, method, reason, evaluation_id. About 1 is complete; null beside a
    reason where fewer than 30 positives of mature cohorts tell what to expect.

    Raises
    ------
    ArgumentError
        The task is not binary; an unknown column, grain or age.

    Notes
    -----
    Expected are the predictions of the cell times the share of positives among settled rows at equal score (fifths of
    the positives' scores) and slice, times the share of those that come by that age. The cell's own rows teach
    nothing. Interval: both counts are Poisson (Wilson on arrived / (arrived + reference), widened by how much weeks of
    settled rows vary beyond that). Fewer positives can also mean that the world improved: look at when they fell.
    """
    check_joined(joined)
    check_level(level)
    if joined.contract.model.task != "binary":
        raise ArgumentError(
            "feed completeness needs a binary label",
            got=f"task {joined.contract.model.task}",
            allowed="task binary",
            next_step="look at fb.availability instead",
        )
    age = None if at is None else at if isinstance(at, timedelta) else parse_duration(str(at))
    scope = _scope(joined, by=by, every=every, period=period, age=age)
    lines = _judge(joined, scope, age=age, level=level)
    schema = {name: scope.frame.schema[name] for name in scope.keys}
    numbers = (results.VALUE, results.LOWER, results.UPPER, EXPECTED)
    schema |= dict.fromkeys(numbers, pl.Float64) | dict.fromkeys((ARRIVED, results.N), pl.Int64)
    schema |= dict.fromkeys((results.METHOD, results.REASON), pl.String)
    made = scope.with_period_end(pl.DataFrame(lines, schema=schema)).sort(scope.keys, nulls_last=True)
    stage = "as of" if age is None else f"provisional@{format_duration(age)}"
    call = {"by": scope.by, "every": every, "period": str(scope.limits), "at": stage}
    made = made.with_columns(pl.lit(METRIC).alias(results.METRIC), pl.lit(stage).alias(results.STAGE))
    return stamped(made, joined, call=METRIC, level=level, **call).select(*scope.by, *COLUMNS)


def _scope(
    joined: JoinedLike, *, by: Slices, every: str | None, period: str | Period | None, age: timedelta | None
) -> Scope:
    """The rows to judge: age, positive, lag, and whether they are settled and so may teach."""
    old = (pl.lit(joined.as_of) - pl.col("ts_pred")).dt.total_microseconds() / 86_400e6
    lag = pl.col("arrival_lag").dt.total_microseconds() / 86_400e6
    extra = {
        _FINAL: settled(joined) & ~pl.col("blocked"),
        _AGE: old if age is None else pl.lit(age / timedelta(days=1)),
        _POSITIVE: (pl.col("label") == 1).fill_null(value=False) & ~pl.col("blocked"),
        _LAG: lag,
        _WEEK: pl.col("ts_pred").dt.truncate("1w"),
        _OPEN: ~pl.col("blocked") & (old >= (0.0 if age is None else age / timedelta(days=1))),
    }
    scope = open_scope(joined, by=by, every=every, period=period, stage=results.STAGE_ANY, extra=extra)
    judged = pl.col(_OPEN) if every or period else pl.col(_OPEN) & ~pl.col(_FINAL)
    frame = scope.frame.with_columns(
        judged.alias(IN),
        (pl.col(F) == 1).fill_null(value=False).alias(_DECIDED),
        (pl.col(_POSITIVE) & (pl.col(_LAG) <= pl.col(_AGE))).fill_null(value=False).alias(_KNOWN),
    )
    return Scope(frame=frame, by=scope.by, every=scope.every, limits=scope.limits, stage=scope.stage)


def _judge(joined: JoinedLike, scope: Scope, *, age: timedelta | None, level: float) -> list[dict[str, Any]]:
    # Rows outside the period teach as well.
    taught = _scope(joined, by=scope.by, every=None, period=None, age=age).frame.filter(_FINAL)
    positives = taught.filter(_POSITIVE)
    edges = np.quantile(positives[S].to_numpy(), np.arange(1, _BINS) / _BINS) if positives.height else np.zeros(0)
    curves = {
        decision: np.sort(positives.filter(pl.col(_DECIDED) == decision)[_LAG].drop_nulls().to_numpy())
        for decision in (False, True)
    }
    frame = _with_bins(scope.frame, edges).with_columns(_shares(scope.frame, curves))
    reference = (
        _with_bins(taught, edges)
        .group_by([*scope.by, _BIN])
        .agg(pl.len().alias("\0rows"), pl.col(_POSITIVE).sum().cast(pl.Float64).alias("\0hits"))
    )
    rates = (
        frame.group_by([*scope.keys, _BIN])
        .agg(
            pl.col(_SHARE).filter(IN).sum().alias(_SHARE),
            pl.col(_KNOWN).filter(IN).sum().alias(_KNOWN),
            pl.col(IN).sum().alias(results.N),
            (pl.col(IN) & pl.col(_FINAL)).sum().alias("\0own_rows"),
            (pl.col(IN) & pl.col(_FINAL) & pl.col(_POSITIVE)).sum().alias("\0own_hits"),
        )
        .join(reference, on=[*scope.by, _BIN], how="left", nulls_equal=True)
        .with_columns(pl.col("\0rows", "\0hits").fill_null(0))
    )
    spread = _spread(taught, edges)
    cells = rates.sort(*scope.keys, _BIN, nulls_last=True).group_by(scope.keys, maintain_order=True)
    return [dict(zip(scope.keys, key, strict=True)) | _line(cell, spread=spread, level=level) for key, cell in cells]


def _with_bins(frame: pl.DataFrame, edges: Array) -> pl.DataFrame:
    return frame.with_columns(pl.Series(_BIN, np.searchsorted(edges, frame[S].to_numpy(), side="left")))


def _shares(frame: pl.DataFrame, curves: dict[bool, Array]) -> pl.Series:
    """The share of all positives like a row's that has arrived by its age."""
    age, decided = frame[_AGE].to_numpy(), frame[_DECIDED].to_numpy()
    both = np.sort(np.concatenate(list(curves.values())))
    share = np.zeros(len(age))
    for decision, lags in curves.items():
        used = lags if len(lags) >= FEWEST else both
        mine = decided == decision
        share[mine] = np.searchsorted(used, age[mine], side="right") / max(len(used), 1)
    return pl.Series(_SHARE, share)


def _spread(taught: pl.DataFrame, edges: Array) -> float:
    """How much weeks of settled rows vary in positives beyond Poisson counts, given their scores; 1: no more."""
    rated = _with_bins(taught, edges).with_columns(pl.col(_POSITIVE).mean().over(_BIN).alias(_DUE))
    weeks = rated.group_by(_WEEK).agg(pl.col(_POSITIVE).sum().alias(_KNOWN), pl.col(_DUE).sum())
    weeks = weeks.filter(pl.col(_DUE) >= 1)
    if weeks.height < 4:
        return 1.0
    seen, due = weeks[_KNOWN].to_numpy(), weeks[_DUE].to_numpy()
    return max(float(np.sum((seen - due) ** 2 / due)) / (weeks.height - 1), 1.0)


def _line(cell: pl.DataFrame, *, spread: float, level: float) -> dict[str, Any]:
    arrived, rows = int(cell[_KNOWN].sum()), int(cell[results.N].sum())
    line: dict[str, Any] = {ARRIVED: arrived, results.N: rows, EXPECTED: None, results.VALUE: None}
    line |= {results.LOWER: None, results.UPPER: None, results.METHOD: None, results.REASON: None}
    hits = cell["\0hits"].to_numpy() - cell["\0own_hits"].to_numpy()
    others = cell["\0rows"].to_numpy() - cell["\0own_rows"].to_numpy()
    if not rows:
        return line | {results.REASON: "no row of this age is to be judged"}
    if hits.sum() < FEWEST:
        return line | {results.REASON: f"fewer than {FEWEST} positives in mature cohorts"}
    share = cell[_SHARE].to_numpy()
    due = hits / np.maximum(others, 1) * share
    expected = float(due.sum())
    if expected <= 0:
        return line | {EXPECTED: expected, results.REASON: "none is due yet"}
    # The expectation is itself a count: so many positives of other cohorts would give it this precision.
    counted = np.maximum(hits * share / np.maximum(cell[results.N].to_numpy(), 1), 1.0)
    weight = expected**2 / float(np.sum(np.square(due) / counted))
    low, high = wilson(arrived / spread, (arrived + weight) / spread, level=level)
    scale = weight / expected
    return line | {
        EXPECTED: expected,
        results.VALUE: arrived / expected,
        results.LOWER: float(low / (1 - low)) * scale,
        results.UPPER: float(high / (1 - high)) * scale,
        results.METHOD: "Wilson (two Poisson counts)",
    }
