"""Two models on the same rows: what the second gains over the first, with an interval and a p-value.

Arrays in, one :class:`Difference` out; rows that repeat an entity are told by ``clusters``. NaN is "not estimable".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fbkit.measure.stats.intervals import Array, cluster_totals, normal_p, quantile, wilson
from fbkit.measure.stats.ranking import Influence, Sample, auc_influence, precision_influence

Measure = Callable[[Array, Array, Array], float]


class Difference(NamedTuple):
    """Second less first, its interval, and the p-value of no difference."""

    value: float
    lower: float
    upper: float
    p_value: float
    method: str


def paired_auc(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Difference:
    """Difference of two ROC AUCs on the same rows (DeLong, DeLong and Clarke-Pearson 1988, doi:10.2307/2531595).

    ``first`` and ``second`` are the scores of the two models; labels 0..1 may be fractional. With one class all is
    NaN; where the two models order the rows alike the difference is 0 with an interval of no length and p = 1.
    """
    samples = [Sample.of(scores, labels, weights=weights) for scores in (first, second)]
    found = [auc_influence(sample) for sample, _ in samples]
    if samples[0][0].unit and clusters is None:
        return _unit_delong(samples, found, labels, level=level)
    return _by_influence(samples, found, clusters, level=level, name="DeLong (paired)")


def paired_average_precision(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Difference:
    """Difference of two average precisions on the same rows, by the infinitesimal jackknife of their difference."""
    samples = [Sample.of(scores, labels, weights=weights) for scores in (first, second)]
    found = [precision_influence(sample) for sample, _ in samples]
    return _by_influence(samples, found, clusters, level=level, name="infinitesimal jackknife (paired)")


def paired_ratio(
    first: tuple[ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike],
    *,
    clusters: ArrayLike | None = None,
    transform: Callable[[Array], Array] | None = None,
    level: float = 0.95,
) -> Difference:
    """Difference of two ratios of totals over the same rows, linearised, Student's t (Cochran 1977, 6.4).

    ``first`` and ``second`` are (numerator, denominator) by row: every measure that is a ratio of sums, such as
    recall, precision, Brier or a cost per row. ``transform`` (increasing, smooth) is applied to both ratios, as for
    F1 and RMSE. A ratio without denominator makes all NaN.
    """
    values, influences = [], []
    for numerator, denominator in (first, second):
        a, b = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
        if not b.sum() > 0:
            return _nothing("linearised (paired)")
        ratio, slope = a.sum() / b.sum(), 1.0
        influence = (a - ratio * b) / b.sum()
        if transform is not None:
            step = 1e-6 * max(abs(ratio), 1e-6)
            around = transform(np.array([ratio - step, ratio, ratio + step]))
            ratio, slope = around[1], (around[2] - around[0]) / (2 * step)
        values.append(float(ratio))
        influences.append(slope * influence)
    return _normal(
        values[1] - values[0], influences[1] - influences[0], clusters, level=level, name="linearised (paired)"
    )


def mcnemar(
    first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None, level: float = 0.95
) -> Difference:
    """Difference of two shares over the same rows, such as the accuracy of two models or the recall (positives only).

    ``first`` and ``second`` are 0 or 1 by row. p-value: McNemar's exact test (1947, doi:10.1007/BF02295996);
    interval: Newcombe 1998, method 10 for paired data
    (doi:10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C). With ``clusters`` both follow from the
    linearised difference of shares. No rows: NaN.

    >>> found = mcnemar([1, 1, 1, 0, 0, 1], [1, 1, 0, 1, 1, 1])
    >>> round(found.value, 4), round(found.p_value, 4)
    (0.1667, 1.0)
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n = float(len(one))
    if clusters is not None:
        ones = np.ones_like(one)
        return paired_ratio((one, ones), (two, ones), clusters=clusters, level=level)
    if not n:
        return _nothing("McNemar exact, Newcombe (paired)")
    both, lost, won = float(one @ two), float(one @ (1 - two)), float((1 - one) @ two)
    from scipy.special import bdtr

    p_value = min(1.0, 2 * float(bdtr(min(lost, won), int(lost + won), 0.5)))
    lower, upper = _newcombe_paired(both, lost, won, n - both - lost - won, level=level)
    return Difference((won - lost) / n, lower, upper, p_value, "McNemar exact, Newcombe (paired)")


def paired_bootstrap(
    measure: Measure,
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    draws: int = 1000,
    seed: int | np.random.Generator = 0,
    level: float = 0.95,
) -> Difference:
    """Difference of any measure on the same rows: both models see the same resampled rows (or clusters).

    ``measure(scores, labels, weights)`` is a float; a draw counts a row by its weight, so no rows are copied.
    Percentile interval and two-sided p-value (Davison and Hinkley 1997, 5.2 and 4.4); the same seed gives the same
    numbers. Draws in which either measure is NaN are left out; with more than one in ten of them there is no interval.
    """
    label = np.asarray(labels, dtype=np.float64)
    own = np.ones_like(label) if weights is None else np.asarray(weights, dtype=np.float64)
    # Sorted once, so that the sort within a rank measure finds its rows in order at every draw.
    orders = [np.argsort(np.asarray(scores, dtype=np.float64), kind="stable") for scores in (first, second)]
    ranked = [
        (np.asarray(scores, dtype=np.float64)[order], label[order], order)
        for scores, order in zip((first, second), orders, strict=True)
    ]

    def gain(weight: Array) -> float:
        before, after = (measure(score, y, weight[order]) for score, y, order in ranked)
        return after - before

    units = np.arange(len(label)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    many = int(units.max()) + 1 if len(units) else 0
    name = f"paired bootstrap ({draws} draws)" if clusters is None else f"paired bootstrap of entities ({draws} draws)"
    if many < 2:
        return Difference(gain(own) if many else np.nan, np.nan, np.nan, np.nan, name)
    rng = np.random.default_rng(seed)
    found = np.array(
        [gain(own * np.bincount(rng.integers(0, many, many), minlength=many)[units]) for _ in range(draws)]
    )
    return percentiles(gain(own), found, level=level, name=name)


def percentiles(value: float, found: Array, *, level: float, name: str) -> Difference:
    """A difference with the percentile interval of its draws; without one if more than a tenth of them are NaN."""
    known = found[~np.isnan(found)]
    if len(known) < 0.9 * len(found) or not len(known):
        return Difference(value, np.nan, np.nan, np.nan, name)
    lower, upper = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    tail = min(float(np.sum(known <= 0)), float(np.sum(known >= 0)))
    p_value = min(1.0, 2 * (tail + 1) / (len(known) + 1))
    return Difference(value, min(float(lower), value), max(float(upper), value), p_value, name)


def _unit_delong(
    samples: list[tuple[Sample, np.ndarray | None]],
    found: list[Influence | None],
    labels: ArrayLike,
    *,
    level: float,
) -> Difference:
    """The published variance: sample covariances of the structural components within each class."""
    name = "DeLong (paired)"
    one, two = found
    if one is None or two is None:
        return _nothing(name)
    gap = two.by_row(*samples[1]) - one.by_row(*samples[0])
    positive = np.asarray(labels, dtype=np.float64) == 1
    sizes = np.where(positive, positive.sum(), (~positive).sum())
    if sizes.min() < 2:
        return Difference(two.value - one.value, np.nan, np.nan, np.nan, name)
    return _from_variance(two.value - one.value, float(np.sum(gap * gap * sizes / (sizes - 1))), level=level, name=name)


def _by_influence(
    samples: list[tuple[Sample, np.ndarray | None]],
    found: list[Influence | None],
    clusters: ArrayLike | None,
    *,
    level: float,
    name: str,
) -> Difference:
    one, two = found
    if one is None or two is None:
        return _nothing(name)
    gap = two.by_row(*samples[1]) - one.by_row(*samples[0])
    return _normal(two.value - one.value, gap, clusters, level=level, name=name)


def _normal(value: float, influence: Array, clusters: ArrayLike | None, *, level: float, name: str) -> Difference:
    totals = influence if clusters is None else cluster_totals(influence, clusters)
    name = name if clusters is None else f"cluster-robust (entity), {name}"
    m = len(totals)
    if m < 2:
        return Difference(value, np.nan, np.nan, np.nan, name)
    return _from_variance(value, float(totals @ totals) * m / (m - 1), level=level, name=name, df=m - 1)


def _from_variance(value: float, variance: float, *, level: float, name: str, df: int | None = None) -> Difference:
    if variance < 1e-28:  # what rounding leaves of zero
        same = abs(value) < 1e-12
        return Difference(value, value if same else np.nan, value if same else np.nan, 1.0 if same else np.nan, name)
    error = variance**0.5
    half = float(quantile(level, df=df)) * error
    return Difference(value, value - half, value + half, float(normal_p(value / error, df=df)), name)


def _newcombe_paired(both: float, lost: float, won: float, neither: float, *, level: float) -> tuple[float, float]:
    n = both + lost + won + neither
    before, after = both + lost, both + won
    (l1, l2), (u1, u2) = wilson([before, after], n, level=level)
    p1, p2 = before / n, after / n
    product = both * neither - lost * won
    sizes = before * (n - before) * after * (n - after)
    # Newcombe takes n / 2 off a positive association.
    association = (max(product - n / 2, 0.0) if product > 0 else product) / sizes**0.5 if sizes > 0 else 0.0

    def side(down: float, up: float) -> float:
        return max(down * down - 2 * association * down * up + up * up, 0.0) ** 0.5

    return float(p2 - p1 - side(p2 - l2, u1 - p1)), float(p2 - p1 + side(u2 - p2, p1 - l1))


def _nothing(name: str) -> Difference:
    return Difference(np.nan, np.nan, np.nan, np.nan, name)
