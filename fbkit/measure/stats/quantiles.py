"""Quantiles as order statistics, with intervals that suppose no distribution: binomial ranks."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fbkit.measure.kinds import Found
from fbkit.measure.stats.intervals import Array, quantile, ratio_variance

RANKS = "order statistics"


def quantile_estimate(
    values: ArrayLike,
    *,
    p: float,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Found:
    """The smallest value with at least a share ``p`` of the rows at or below it, and an interval for the true one.

    Rows alike and independent: the two order statistics whose ranks hold ``p`` with probability ``level`` (each tail at
    most (1 - level) / 2 by the binomial law, whatever the distribution; David and Nagaraja 2003, 7.1,
    doi:10.1002/0471722162). Weighted rows, or rows that repeat within ``clusters``: the same ranks among as many
    independent rows as would tell as much about the share below the quantile, read back on the weighted
    distribution (Woodruff 1952, doi:10.1080/01621459.1952.10483443).
    A side for which there are too few rows is NaN: of twenty rows nobody can say how high their P99 may be.

    No rows, or no weight: NaN. Values must be finite.

    >>> found = quantile_estimate(range(1, 101), p=0.5)
    >>> found.value, found.lower, found.upper
    (50.0, 40.0, 61.0)
    """
    value = np.asarray(values, dtype=np.float64)
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    if not len(value) or (weight is not None and not weight.sum() > 0):
        return Found(np.nan)
    order = np.argsort(value, kind="stable")
    ranked = value[order]
    if weight is None and clusters is None:
        lower, upper = _between(ranked, *binomial_ranks(len(value), p=p, level=level))
        return Found(float(ranked[_position(len(value), p)]), lower, upper, method=RANKS)
    mass = np.ones_like(value) if weight is None else weight
    ends = np.cumsum(mass[order])
    found = ranked[_reach(ends, p)]
    size = effective_size(value <= found, mass, clusters, level=level)
    least, most = binomial_ranks(size, p=p, level=level)
    # The middle of the rank's own share: where rows are alike and independent it is the row of that rank.
    lower = float(ranked[_reach(ends, (least - 0.5) / size)]) if least >= 1 else np.nan
    upper = float(ranked[_reach(ends, (most - 0.5) / size)]) if most <= size else np.nan
    kind = "order statistics (effective n)" if clusters is None else "cluster-robust (entity), order statistics"
    return Found(float(found), lower, upper, method=kind)


def binomial_ranks(n: int, *, p: float, level: float) -> tuple[int, int]:
    """Ranks (from 1) of the two order statistics; 0 and n + 1 where no row is far enough out.

    >>> binomial_ranks(10, p=0.5, level=0.95)
    (2, 9)
    """
    from scipy.special import bdtr  # a tenth of a second to import, for questions that need it

    tail = (1 - level) / 2
    # Ten standard deviations around the middle hold all that matters of a long law.
    reach = 10 * np.sqrt(n * p * (1 - p)) + 20
    first, last = max(0, int(n * p - reach)), min(n, int(n * p + reach))
    below = np.asarray(bdtr(np.arange(first, last + 1, dtype=np.float64), n, p), dtype=np.float64)
    # The lower one is too high with P(X < rank) = P(X <= rank - 1); the upper one too low with P(X >= rank).
    lower = first + int(np.searchsorted(below, tail, side="right"))
    upper = first + int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return lower, upper


def _between(ranked: Array, lower: int, upper: int) -> tuple[float, float]:
    low = float(ranked[lower - 1]) if lower >= 1 else np.nan
    high = float(ranked[upper - 1]) if upper <= len(ranked) else np.nan
    return low, high


def _position(n: int, p: float) -> int:
    # A hair is allowed for, because 0.95 * 100 is a little more than 95 in binary.
    return min(max(int(np.ceil(p * n - 1e-9 * n)) - 1, 0), n - 1)


def _reach(ends: Array, p: float) -> int:
    """The first row at which the cumulated weight reaches a share ``p`` of all."""
    wanted = p * ends[-1] - 1e-9 * ends[-1]
    return min(int(np.searchsorted(ends, wanted, side="left")), len(ends) - 1)


def effective_size(below: NDArray[np.bool_], mass: Array, clusters: ArrayLike | None, *, level: float) -> int:
    """How many independent rows would tell as much about the share of the rows at or below a fixed value.

    share (1 - share) over its linearised variance, with Student's t in place of the normal quantile (Korn and Graubard
    1998); never more than the rows. Where no row lies above the value, Kish's size of the units' weights.
    """
    codes = np.arange(len(mass)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    top, bottom = np.bincount(codes, weights=mass * below), np.bincount(codes, weights=mass)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    share, units = float(top.sum() / bottom.sum()), len(bottom)
    variance = float(ratio_variance(top.sum(), bottom.sum(), top @ top, top @ bottom, bottom @ bottom, units=units))
    size = float(bottom.sum()) ** 2 / float(bottom @ bottom)
    if variance > 0:
        size = share * (1 - share) / variance
    if units > 1:
        size *= float(quantile(level) / quantile(level, df=units - 1)) ** 2
    return max(1, int(min(size, np.count_nonzero(mass))))
