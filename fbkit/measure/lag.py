"""How fast do labels come: the share of predictions whose label had arrived by each age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import Slices, open_scope
from fbkit.measure.stats.intervals import Array, wilson
from fbkit.schema import results
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

AGE_DAYS: Final = "age_days"
_AGE, _LAG = "\0age", "\0lag"
_DAY = 86_400e6
_STEPS = 60


@checked
def label_lag(
    joined: JoinedLike | Ledger,
    *,
    by: Slices = None,
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
    points
        Ages in days (whole ones of a :class:`fbkit.Ledger`); by default 61 from zero to the label window plus grace,
        or to the oldest prediction's age.

    Returns
    -------
    The ``by`` columns as text, then age_days, value, lower, upper (Wilson), n (predictions at least that old), method,
    evaluation_id. Where n is 0 the value is null.

    Raises
    ------
    ArgumentError
        Ages that are negative or not finite, an unknown column, a level outside (0, 1).
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.frames import ledger_lag

        return ledger_lag(joined, by=by, period=period, points=points, level=level, as_of=as_of)
    not_of_rows(as_of=as_of)
    check_level(level)
    check_joined(joined)
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
