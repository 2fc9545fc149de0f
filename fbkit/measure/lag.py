"""How fast do labels come: the share of predictions whose label had arrived by each age."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import INSTANT, Scope, Slices, open_scope
from fbkit.measure.stats.intervals import Array, wilson
from fbkit.schema import results
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

AGE_DAYS: Final = "age_days"
NOT_REACHED: Final = "not all of these predictions are that old yet"
COHORT_COLUMNS: Final = (
    results.PERIOD_START, results.PERIOD_END, AGE_DAYS, results.VALUE, results.LOWER, results.UPPER, results.N,
    results.N_LABELLED, results.METHOD, results.REASON,
)  # fmt: skip
_AGE, _LAG = "\0age", "\0lag"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400e6
_STEPS = 60


@checked
def label_lag(
    joined: JoinedLike | Ledger,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    points: Sequence[float] | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Label arrival curve: of the predictions at least as old as an age, the share whose label had arrived by then.

    Each age has its own denominator (young predictions are not asked about ages they have not reached),
    so the curve need not rise everywhere. A negative that silence made has no arrival and never counts.

    Parameters
    ----------
    every
        A curve for each cohort: the predictions of a day ("1d"), week ("1w") or month ("1mo"). A cohort has a value
        at an age once all of it is that old; until then null beside the reason, never 0.
    points
        Ages in days (whole ones of a :class:`fbkit.Ledger`); by default 61 from zero to the label window plus grace,
        or to the oldest prediction's age. With ``every`` each whole day up to window plus grace.

    Returns
    -------
    The ``by`` columns as text, then age_days, value, lower, upper (Wilson), n (predictions at least that old), method,
    evaluation_id. Where n is 0 the value is null. With ``every``: the ``by`` columns, period_start, period_end,
    age_days, value, lower, upper, n (predictions of the cohort), n_labelled (those with a label by that age), method,
    reason, evaluation_id; sorted by slice, cohort, age.

    Raises
    ------
    ArgumentError
        Ages that are negative or not finite, an unknown column, a level outside (0, 1).
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.frames import ledger_lag

        return ledger_lag(joined, by=by, every=every, period=period, points=points, level=level, as_of=as_of)
    not_of_rows(as_of=as_of)
    check_level(level)
    check_joined(joined)
    if every is not None:
        return _cohorts(joined, by=by, every=every, period=period, points=points, level=level)
    age = (pl.lit(joined.as_of) - pl.col("ts_pred")).dt.total_microseconds()
    arrival = pl.when(pl.col("label").is_not_null()).then(pl.col("arrival_lag").dt.total_microseconds())
    scope = open_scope(joined, by=by, period=period, stage=results.STAGE_ANY, extra={_AGE: age, _LAG: arrival})
    ages = _points(points, joined, scope.frame.get_column(_AGE))
    keys = list(scope.by)
    groups = (
        scope.frame.group_by(keys).agg(pl.col(_AGE), pl.col(_LAG))
        if keys
        else scope.frame.select(pl.col(_AGE, _LAG).implode())
    )
    parts = [_curve(row, keys, ages, level) for row in groups.iter_rows(named=True)]
    schema = dict.fromkeys(keys, pl.String) | dict.fromkeys(
        (AGE_DAYS, results.VALUE, results.LOWER, results.UPPER), pl.Float64
    )
    frame = (
        pl.concat(parts) if parts else pl.DataFrame(schema=schema | {results.N: pl.Int64, results.METHOD: pl.String})
    )
    call = {"by": scope.by, "period": str(scope.limits), "points": (ages / _DAY).tolist(), "level": level}
    return stamped(frame.sort(*keys, AGE_DAYS, nulls_last=True), joined, call="label_lag", **call)


def _points(points: Sequence[float] | None, joined: JoinedLike, ages: pl.Series) -> Array:
    if points is not None:
        asked = np.asarray(points, dtype=np.float64)
        if not len(asked) or not np.isfinite(asked).all() or (asked < 0).any():
            raise ArgumentError(
                "ages must be finite and not negative",
                got=points,
                next_step="give days such as [1, 2, 7]",
                allowed="numbers of days from 0 on",
            )
        return np.unique(asked) * _DAY
    oldest = float(ages.max() or 0)  # pyright: ignore[reportArgumentType]  # a microsecond count
    end = longest_delay(joined) / timedelta(microseconds=1)
    return np.linspace(0, min(end, max(oldest, 1.0)), _STEPS + 1)


def _curve(row: dict[str, Any], keys: list[str], ages: Array, level: float) -> pl.DataFrame:
    age = pl.Series(row[_AGE], dtype=pl.Float64).to_numpy()
    lag = pl.Series(row[_LAG], dtype=pl.Float64).to_numpy()
    known = ~np.isnan(lag)
    # Known at as-of means lag <= age: "arrived by a, and a old" = arrived by a, less the labelled younger than a.
    younger = np.searchsorted(np.sort(age[known]), ages, side="left")
    arrived = np.searchsorted(np.sort(lag[known]), ages, side="right") - younger
    old = len(age) - np.searchsorted(np.sort(age), ages, side="left")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = arrived / old
    lower, upper = wilson(arrived, old, level=level)
    numbers = {AGE_DAYS: ages / _DAY, results.VALUE: share, results.LOWER: lower, results.UPPER: upper}
    made = pl.DataFrame([pl.Series(name, values, nan_to_null=True) for name, values in numbers.items()])
    return made.select(
        *(pl.lit(row[key], dtype=pl.String).alias(key) for key in keys),
        pl.all(),
        pl.Series(results.N, old, dtype=pl.Int64),
        pl.when(pl.col(results.VALUE).is_not_null()).then(pl.lit("Wilson")).alias(results.METHOD),
    )


def _cohorts(
    joined: JoinedLike,
    *,
    by: Slices,
    every: str,
    period: str | Period | None,
    points: Sequence[float] | None,
    level: float,
) -> pl.DataFrame:
    """The curves of cohorts, from rows."""
    lag = pl.when(pl.col("label").is_not_null()).then(pl.col("arrival_lag").dt.total_microseconds())
    scope = open_scope(joined, by=by, every=every, period=period, stage=results.STAGE_ANY, extra={_LAG: lag})
    asked = np.arange(np.ceil(longest_delay(joined) / timedelta(days=1)) + 1) if points is None else points
    ages = _points(asked.tolist() if isinstance(asked, np.ndarray) else asked, joined, pl.Series())
    cells = scope.frame.group_by(scope.keys).agg(pl.len().alias(results.N), pl.col(_LAG).drop_nulls())
    cells = cells.sort(scope.keys, nulls_last=True)
    lags = [np.sort(pl.Series(values, dtype=pl.Float64).to_numpy()) for values in cells.get_column(_LAG).to_list()]
    arrived = np.array([np.searchsorted(held, ages, side="right") for held in lags]).reshape(len(lags), len(ages))
    frame = cohort_frame(
        scope, cells.select(scope.keys), n=cells.get_column(results.N).to_numpy(), arrived=arrived,
        ages=ages / _DAY, as_of=joined.as_of, level=level,
    )  # fmt: skip
    call = {"by": scope.by, "every": every, "period": str(scope.limits), "points": (ages / _DAY).tolist()}
    return stamped(frame, joined, call="label_lag", level=level, **call)


def cohort_frame(
    scope: Scope, keys: pl.DataFrame, *, n: Any, arrived: Any, ages: Array, as_of: datetime, level: float
) -> pl.DataFrame:
    """One line per cohort and age. ``n`` is by cohort, ``arrived`` by cohort and age, ``ages`` in days."""
    cohorts = scope.with_period_end(keys.cast({results.PERIOD_START: INSTANT}))
    ends = cohorts.get_column(results.PERIOD_END).dt.timestamp("us").to_numpy()
    newest = (as_of - _EPOCH) // timedelta(microseconds=1)
    reached = (ends[:, None] + np.rint(ages[None, :] * _DAY)) <= newest
    size = np.repeat(n.astype(np.int64), len(ages))
    known = np.where(reached, arrived, 0).reshape(-1).astype(np.float64)
    blank = ~reached.reshape(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(blank, np.nan, known / size)
    lower, upper = (np.where(blank, np.nan, limit) for limit in wilson(known, size.astype(np.float64), level=level))
    repeated = cohorts.select(pl.all().repeat_by(len(ages)).explode(empty_as_null=False))
    numbers = {results.VALUE: share, results.LOWER: lower, results.UPPER: upper}
    made = repeated.with_columns(
        pl.Series(AGE_DAYS, np.tile(ages, len(cohorts)), dtype=pl.Float64),
        *(pl.Series(name, values, dtype=pl.Float64, nan_to_null=True) for name, values in numbers.items()),
        pl.Series(results.N, size, dtype=pl.Int64),
        pl.Series(results.N_LABELLED, np.where(blank, np.nan, known), nan_to_null=True).cast(pl.Int64),
        pl.when(pl.Series(blank)).then(pl.lit(NOT_REACHED)).alias(results.REASON),
    )
    method = pl.when(pl.col(results.VALUE).is_not_null()).then(pl.lit("Wilson")).alias(results.METHOD)
    return made.with_columns(method).select(*scope.by, *COHORT_COLUMNS)
