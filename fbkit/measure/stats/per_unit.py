"""Amounts per session, entity or request: totals by unit, their mean as a ratio of totals, and their quantiles."""

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from fbkit.measure.kinds import Found
from fbkit.measure.stats.intervals import Array, mean_by_variance, ratio_variance
from fbkit.measure.stats.quantiles import quantile_estimate

QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
CLUSTERED: Final = "cluster-robust (entity), "


class Units(NamedTuple):
    """One number per unit: its total, its weight, and the cluster it belongs to (None = independent units)."""

    total: Array
    weight: Array | None
    cluster: NDArray[np.int64] | None


def units_of(
    values: ArrayLike,
    *,
    units: pl.Series | None,
    weight: ArrayLike | None = None,
    cluster: NDArray[np.int64] | None = None,
) -> Units:
    """Add values up by unit; a NaN value is left out, and a row whose unit is null is a unit of its own.

    A unit's weight is the mean weight of its rows, its cluster that of its first row. ``units`` None: every row is one.
    """
    value = np.asarray(values, dtype=np.float64)
    known = np.isfinite(value)
    mass = None if weight is None else np.asarray(weight, dtype=np.float64)[known]
    entity = None if cluster is None else cluster[known]
    if units is None:
        return Units(value[known], mass, entity)
    code, count = codes_of(units.filter(pl.Series(known)))
    total = np.bincount(code, weights=value[known], minlength=count).astype(np.float64)
    rows = np.bincount(code, minlength=count)
    heavy = None if mass is None else np.bincount(code, weights=mass, minlength=count) / rows
    if entity is None:
        return Units(total, heavy, None)
    first = np.full(count, len(code))
    np.minimum.at(first, code, np.arange(len(code)))
    owner = entity[first]
    return Units(total, heavy, owner if len(np.unique(owner)) < count else None)


def numbers_of(units: pl.Series) -> NDArray[np.int64]:
    """A number per unit, in no order and with gaps; a row whose unit is null has one of its own."""
    code = units.cast(pl.String).cast(pl.Categorical).to_physical().cast(pl.Int64)
    if not units.null_count():
        return code.to_numpy()
    own = pl.Series(np.arange(-len(units), 0, dtype=np.int64))
    return code.zip_with(units.is_not_null(), own).to_numpy()


def codes_of(units: pl.Series) -> tuple[NDArray[np.int64], int]:
    """The same without gaps, from 0 on, and how many units there are."""
    found, code = np.unique(numbers_of(units), return_inverse=True)
    return code.astype(np.int64), len(found)


def totals_found(
    values: ArrayLike,
    *,
    units: pl.Series | None,
    weight: ArrayLike | None = None,
    cluster: NDArray[np.int64] | None = None,
    aggregate: str = "mean",
    absolute: bool = False,
    level: float = 0.95,
) -> Found:
    """Mean or quantile of the units' totals, or of their absolute values, with its interval.

    Parameters
    ----------
    values
        One number per row; NaN is left out.
    units
        Which unit each row belongs to (None: each row is one, and so is a row whose unit is null).
    weight, cluster
        Row weights, and a number per entity where entities repeat.
    aggregate
        ``mean`` (see :func:`ratio_of_totals`), or p50, p90, p95, p99 (see
        :func:`fbkit.measure.stats.quantiles.quantile_estimate`).
    absolute
        Look at the totals without their sign.

    Examples
    --------
    >>> found = totals_found([1.0, 2.0, -6.0], units=pl.Series(["a", "a", "b"]), aggregate="p50", absolute=True)
    >>> found.value
    3.0
    """
    made = units_of(values, units=units, weight=weight, cluster=cluster)
    if not len(made.total):
        return Found(np.nan)
    totals = np.abs(made.total) if absolute else made.total
    if aggregate in QUANTILES:
        p = QUANTILES[aggregate]
        return quantile_estimate(totals, p=p, weights=made.weight, clusters=made.cluster, level=level)
    return _mean(totals, made, level)


def ratio_of_totals(
    amount: ArrayLike,
    *,
    units: pl.Series | None,
    weight: ArrayLike | None = None,
    cluster: NDArray[np.int64] | None = None,
    level: float = 0.95,
) -> Found:
    """All amounts over the number of units (revenue per session), with the delta method's interval.

    The units are what varies independently, not the rows; where entities own several units, the entities are (Deng,
    Knoblich and Lu 2018, doi:10.1145/3219819.3219919). Student's t; one unit: no interval; none: NaN.

    >>> ratio_of_totals([1.0, 2.0, 6.0], units=pl.Series(["a", "a", "b"])).value
    4.5
    """
    made = units_of(amount, units=units, weight=weight, cluster=cluster)
    return _mean(made.total, made, level) if len(made.total) else Found(np.nan)


def _mean(totals: Array, made: Units, level: float) -> Found:
    mass = np.ones_like(totals) if made.weight is None else made.weight
    if not mass.sum() > 0:
        return Found(np.nan)
    codes = np.arange(len(totals)) if made.cluster is None else np.unique(made.cluster, return_inverse=True)[1]
    top, bottom = np.bincount(codes, weights=mass * totals), np.bincount(codes, weights=mass)
    value = float(top.sum() / bottom.sum())
    variance = ratio_variance(top.sum(), bottom.sum(), top @ top, top @ bottom, bottom @ bottom, units=len(top))
    if np.isnan(variance):
        return Found(value)
    lower, upper = mean_by_variance(value, variance, units=len(top), level=level)
    return Found(value, float(lower), float(upper), method=("" if made.cluster is None else CLUSTERED) + "delta method")
