"""Intervals and tests, each by its published formula; arrays in, arrays out, NaN where there is nothing to say.

Levels are two-sided coverages such as 0.95. ``scipy.special`` only: the heavy statistics packages stay unloaded.
"""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Bounds = tuple[Array, Array]


def quantile(level: float, *, df: ArrayLike | None = None) -> Array:
    """Two-sided quantile of the normal law, or of Student's t where ``df`` (1 or more) is given.

    >>> round(float(quantile(0.95)), 6)
    1.959964
    """
    upper = 0.5 + level / 2
    if df is None:
        return np.asarray(NormalDist().inv_cdf(upper), dtype=np.float64)
    from scipy.special import stdtrit  # a tenth of a second to import, for questions that need it

    return np.asarray(stdtrit(np.maximum(np.asarray(df, dtype=np.float64), 1.0), upper), dtype=np.float64)


def normal_p(z: ArrayLike, *, df: ArrayLike | None = None) -> Array:
    """Two-sided p-value of a standardised statistic: normal, or Student's t where ``df`` is given.

    >>> round(float(normal_p(1.959964)), 6)
    0.05
    """
    size = np.abs(np.asarray(z, dtype=np.float64))
    from scipy.special import ndtr, stdtr  # a tenth of a second to import, for questions that need it

    tail = ndtr(-size) if df is None else stdtr(np.maximum(np.asarray(df, dtype=np.float64), 1.0), -size)
    return np.asarray(2 * tail, dtype=np.float64)


def wilson(k: ArrayLike, n: ArrayLike, *, level: float = 0.95, z: ArrayLike | None = None) -> Bounds:
    """Wilson's score interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    ``k`` successes of ``n``; both may be fractional (effective counts). n = 0 gives NaN.

    >>> [round(float(x), 4) for x in wilson(8, 10)]
    [0.4902, 0.9433]
    """
    successes, total = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z2 = np.square(quantile(level) if z is None else np.asarray(z, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = successes / total
        centre = (successes + z2 / 2) / (total + z2)
        spread = np.maximum(share * (1 - share) * total + z2 / 4, 0.0)
        half = np.sqrt(z2) * np.sqrt(spread) / (total + z2)
        lower = np.where(successes <= 0, 0.0, np.maximum(centre - half, 0.0))
        upper = np.where(successes >= total, 1.0, np.minimum(centre + half, 1.0))
    empty = ~(total > 0)
    return np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)


def clopper_pearson(k: ArrayLike, n: ArrayLike, *, level: float = 0.95) -> Bounds:
    """Exact interval of a proportion from whole counts (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404).

    It covers at least ``level`` whatever the share is, and is wider than Wilson's. n = 0 gives NaN.

    >>> [round(float(x), 4) for x in clopper_pearson(8, 10)]
    [0.4439, 0.9748]
    """
    from scipy.special import betaincinv  # a tenth of a second to import, for questions that need it

    successes, total = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    failures, tail = total - successes, (1 - level) / 2
    lower = betaincinv(np.maximum(successes, 0.5), failures + 1, tail)
    upper = betaincinv(successes + 1, np.maximum(failures, 0.5), 1 - tail)
    lower, upper = np.where(successes > 0, lower, 0.0), np.where(failures > 0, upper, 1.0)
    empty = ~(total > 0)
    return np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)


def difference(first: tuple[ArrayLike, ArrayLike, ArrayLike], second: tuple[ArrayLike, ArrayLike, ArrayLike]) -> Bounds:
    """Interval of second - first from two independent (value, lower, upper): squared distances add (MOVER).

    Zou and Donner 2008, doi:10.1002/sim.3095; with Wilson limits it is Newcombe's hybrid score interval.
    """
    v1, l1, u1 = (np.asarray(part, dtype=np.float64) for part in first)
    v2, l2, u2 = (np.asarray(part, dtype=np.float64) for part in second)
    gap = v2 - v1
    return gap - np.hypot(v2 - l2, u1 - v1), gap + np.hypot(u2 - v2, v1 - l1)


def newcombe(k1: ArrayLike, n1: ArrayLike, k2: ArrayLike, n2: ArrayLike, *, level: float = 0.95) -> Bounds:
    """Newcombe's hybrid score interval of p2 - p1

    Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    >>> [round(float(x), 4) for x in newcombe(48, 80, 56, 70)]
    [0.0524, 0.3339]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        p1 = np.asarray(k1, dtype=np.float64) / np.asarray(n1, dtype=np.float64)
        p2 = np.asarray(k2, dtype=np.float64) / np.asarray(n2, dtype=np.float64)
    return difference((p1, *wilson(k1, n1, level=level)), (p2, *wilson(k2, n2, level=level)))


def ratio_variance(
    a: ArrayLike, b: ArrayLike, aa: ArrayLike, ab: ArrayLike, bb: ArrayLike, *, units: ArrayLike
) -> Array:
    """Linearised variance of the ratio a / b of two totals over independent units (rows or clusters).

    ``aa``, ``ab``, ``bb`` are the sums over units of products of the units' own totals; ``units`` is
    their number. Taylor linearisation, Cochran 1977 (Sampling Techniques, 6.4), with m / (m - 1). One unit gives NaN.
    """
    top, bottom = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    m = np.asarray(units, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = top / bottom
        squares = (
            np.asarray(aa, dtype=np.float64)
            - 2 * r * np.asarray(ab, dtype=np.float64)
            + r * r * np.asarray(bb, dtype=np.float64)
        )
        variance = np.maximum(squares, 0.0) / np.square(bottom) * m / (m - 1)
    return np.where((m > 1) & (bottom > 0), variance, np.nan)


def proportion_by_variance(
    value: ArrayLike, variance: ArrayLike, n: ArrayLike, *, units: ArrayLike, level: float = 0.95
) -> Bounds:
    """Wilson's interval at the effective sample size that the variance implies; Student's t with ``units`` - 1.

    The effective size is never more than ``n`` (a lucky negative correlation earns nothing) and, where all
    units agree (value 0 or 1, no visible variance), not more than the number of units.
    """
    p, size, m = (np.asarray(part, dtype=np.float64) for part in (value, n, units))
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = np.where((p <= 0) | (p >= 1), m, p * (1 - p) / np.asarray(variance, dtype=np.float64))
    effective = np.minimum(np.where(np.isnan(effective), np.minimum(m, size), effective), size)
    return wilson(p * effective, effective, z=quantile(level, df=m - 1))


def mean_by_variance(
    value: ArrayLike,
    variance: ArrayLike,
    *,
    units: ArrayLike,
    level: float = 0.95,
    low: float = -np.inf,
    high: float = np.inf,
) -> Bounds:
    """value +- t * standard error, cut at the range of the quantity; NaN where the variance is unknown.

    A mean that cannot be negative (``low`` 0: a loss, a time) is skewed; its interval is the one of its logarithm,
    which misses equally often on either side. Without visible variance the interval has no length.
    """
    v = np.asarray(value, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = quantile(level, df=np.asarray(units, dtype=np.float64) - 1) * np.sqrt(
            np.asarray(variance, dtype=np.float64)
        )
        if low == 0:
            factor = np.exp(np.where(half > 0, half / v, half))
            return np.clip(v / factor, low, high), np.clip(v * factor, low, high)
    return np.clip(v - half, low, high), np.clip(v + half, low, high)


def effective_df(squares: ArrayLike, fourths: ArrayLike, *, parts: ArrayLike, units: ArrayLike) -> Array:
    """Degrees of freedom of a variance that is a sum of ``parts`` squares (Satterthwaite 1946, doi:10.2307/3002019).

    ``squares`` and ``fourths`` are the sums of second and fourth powers of the parts: where few large parts make up the
    variance it is known badly, and Student's t must be wider. At most ``units`` - 1, at least 1.

    >>> float(effective_df(8.0, 8.0, parts=8, units=8))  # equal parts
    7.0
    """
    total, size = np.asarray(squares, dtype=np.float64), np.asarray(parts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.asarray(fourths, dtype=np.float64) / np.square(total) - 1 / size
        found = np.where(excess > 0, 2 / excess, np.inf)
    return np.maximum(np.minimum(found, np.asarray(units, dtype=np.float64) - 1), 1.0)


def effective_units(b: ArrayLike, bb: ArrayLike) -> Array:
    """Number of equal units that are worth these unequal ones: (sum of sizes) squared / sum of squared sizes (Kish).

    It replaces the number of clusters in Student's t: one large cluster among small ones says little about spread.
    """
    total, squares = np.asarray(b, dtype=np.float64), np.asarray(bb, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(squares > 0, np.square(total) / squares, 0.0)


def jackknife_variance(value: ArrayLike, without: ArrayLike, *, kept: ArrayLike | None = None) -> Array:
    """Variance of a statistic from its values without each group in turn (delete-a-group; Kott 2001, J. Off. Stat. 17).

    ``without`` has the groups on its last axis; ``kept`` marks the groups that hold anything (default: all). Groups
    are random sets of independent units, so that any statistic can be given a cluster-robust variance from additive
    sums. Fewer than two groups, or a statistic that needs one of them, is NaN.

    >>> float(jackknife_variance(2.0, [2.5, 2.0, 1.5]))  # of the mean of 1, 2, 3: variance 1, over 3
    0.333...
    """
    replicates = np.asarray(without, dtype=np.float64)
    held = np.ones(replicates.shape, dtype=bool) if kept is None else np.asarray(kept, dtype=bool)
    groups = held.sum(axis=-1)
    gaps = np.where(held, replicates - np.asarray(value, dtype=np.float64)[..., None], 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(groups > 1, np.square(gaps).sum(axis=-1) * (groups - 1) / groups, np.nan)


def grouped_jackknife(
    a_by_group: ArrayLike,
    b_by_group: ArrayLike,
    *,
    level: float = 0.95,
    rows: ArrayLike | None = None,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[Array, Array, Array]:
    """Ratio of totals from sums by group of independent units, groups on the last axis: (value, lower, upper).

    Delete-a-group jackknife with Student's t over the effective number of groups; groups without denominator are as
    if they were not there. ``rows`` (the denominator's number of rows) makes it a proportion: Wilson's interval at
    the effective number of rows. Otherwise value +- t * error, cut at ``low`` and ``high``. No denominator is NaN,
    one group has no interval.

    >>> value, lower, upper = grouped_jackknife([8, 7, 9, 6], [10, 10, 10, 10], rows=40)
    >>> float(value)
    0.75
    """
    a, b = np.asarray(a_by_group, dtype=np.float64), np.asarray(b_by_group, dtype=np.float64)
    top, bottom = a.sum(axis=-1), b.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(bottom > 0, top / bottom, np.nan)
        without = (top[..., None] - a) / (bottom[..., None] - b)
    variance = jackknife_variance(value, without, kept=b > 0)
    units = effective_units(bottom, np.square(b).sum(axis=-1))
    if rows is None:
        return value, *mean_by_variance(value, variance, units=units, level=level, low=low, high=high)
    lower, upper = proportion_by_variance(value, variance, rows, units=units, level=level)
    known = ~np.isnan(variance)
    return value, np.where(known, lower, np.nan), np.where(known, upper, np.nan)


def dot(first: Array, second: Array) -> float:
    """Sum of products, by one thread: a library that shares a short sum out waits for its threads on a busy machine."""
    return float(np.einsum("i,i->", first, second))


def cluster_totals(values: ArrayLike, clusters: ArrayLike) -> Array:
    """Sum of the values in each cluster; integer cluster numbers in a narrow range need no sort."""
    return cluster_sums(clusters, values)[0]


def cluster_sums(clusters: ArrayLike, *columns: ArrayLike) -> list[Array]:
    """Sums of several columns in each cluster, in the same order of clusters."""
    codes = np.asarray(clusters)
    narrow = len(codes) and codes.dtype.kind in "iu" and int(codes.max()) - int(codes.min()) < 8 * len(codes)
    codes = codes - codes.min() if narrow else np.unique(codes, return_inverse=True)[1]
    held = np.bincount(codes) > 0
    values = (np.asarray(column, dtype=np.float64) for column in columns)
    return [np.bincount(codes, weights=column).astype(np.float64, copy=False)[held] for column in values]


def cluster_ratio(
    a: ArrayLike, b: ArrayLike, clusters: ArrayLike, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Ratio of totals from rows that repeat within clusters: (value, lower, upper), linearised by cluster.

    >>> value, lower, upper = cluster_ratio([1, 1, 0, 0], [1, 1, 1, 1], ["u", "u", "v", "w"])
    >>> value
    0.5
    """
    top, bottom = cluster_sums(clusters, a, b)
    total_a, total_b, squares = top.sum(), bottom.sum(), dot(bottom, bottom)
    variance = ratio_variance(total_a, total_b, dot(top, top), dot(top, bottom), squares, units=len(top))
    value = total_a / total_b if total_b else np.nan
    lower, upper = mean_by_variance(value, variance, units=effective_units(total_b, squares), level=level)
    return float(value), float(lower), float(upper)


def logit_interval(
    value: ArrayLike, variance: ArrayLike, *, level: float = 0.95, df: ArrayLike | None = None
) -> Bounds:
    """Normal (or Student t) interval on the logit scale, for statistics in (0, 1); at 0 or 1 there is none (NaN)."""
    v = np.asarray(value, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        centre = np.log(v / (1 - v))
        half = quantile(level, df=df) * np.sqrt(np.asarray(variance, dtype=np.float64)) / (v * (1 - v))
        lower, upper = 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))
    inside = (v > 0) & (v < 1)
    return np.where(inside, lower, np.nan), np.where(inside, upper, np.nan)


def benjamini_hochberg(p_values: ArrayLike) -> Array:
    """Adjusted p-values that control the false discovery rate (doi:10.1111/j.2517-6161.1995.tb02031.x); NaN stays NaN.

    >>> [round(float(p), 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """

    def step_up(rising: Array) -> Array:
        ranks = np.arange(1, len(rising) + 1)
        return np.minimum.accumulate((rising * len(rising) / ranks)[::-1])[::-1]

    return _adjusted(p_values, step_up)


def holm(p_values: ArrayLike) -> Array:
    """Adjusted p-values that control the family-wise error (Holm 1979); NaN stays NaN.

    >>> [round(float(p), 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    return _adjusted(p_values, lambda rising: np.maximum.accumulate(rising * np.arange(len(rising), 0, -1)))


def _adjusted(p_values: ArrayLike, rule: Callable[[Array], Array]) -> Array:
    """Apply a rule to the known p-values in rising order; at most 1, NaN stays NaN."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted[order] = np.minimum(rule(p[order]), 1.0)
    return adjusted


def homogeneity(table: ArrayLike) -> tuple[float, int]:
    """Pearson's chi-square of a (rows, columns) table of counts and its degrees of freedom; empty lines are dropped.

    Fewer than two rows or columns left: (0.0, 0).

    >>> homogeneity([[10, 20], [20, 10]])
    (6.66..., 1)
    """
    counts = np.asarray(table, dtype=np.float64)
    kept = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    if min(kept.shape, default=0) < 2:
        return 0.0, 0
    expected = kept.sum(1, keepdims=True) * kept.sum(0, keepdims=True) / kept.sum()
    return float(((kept - expected) ** 2 / expected).sum()), (kept.shape[0] - 1) * (kept.shape[1] - 1)
