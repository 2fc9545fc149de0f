"""What a count should have been, by the counts in the same slot of the weeks before, and how far off chance may be."""

from typing import Final, NamedTuple

import numpy as np

from fbkit.measure.stats.intervals import Array

FEWEST_WEEKS: Final = 3
# Below this a median of counts is too coarse (mostly 0 or 1), and the mean takes its place.
_SPARSE: Final = 10.0
# Variance of the median of k normal numbers, in units of one number's (k = 1 .. 8); beyond, pi / 2k.
_MEDIAN: Final = np.array([np.nan, 1.0, 0.5, 0.4487, 0.2982, 0.2868, 0.2147, 0.2104, 0.1682])
_TRIM: Final = 0.10
_STEPS: Final = 60
_FREEDOM: Final = 40


class Expectation(NamedTuple):
    """By cell: how many weeks there were, what they lead to expect, mean and variance of a new count, the p-value."""

    weeks: Array
    expected: Array
    centre: Array
    variance: Array
    p_value: Array


def expectation(counts: Array, *, cells_per_week: int, weeks: int, judged: slice | None = None) -> Expectation:
    """Hold each count of one series (one number per cell) against the same slot of weeks before.

    A NaN count is not known: no history for later ones. Fewer than three weeks of history:
    NaN. ``judged`` limits p-values to a part; the spread is learnt from all.
    """
    n = len(counts)
    past = np.full((weeks, n), np.nan)
    for back in range(1, weeks + 1):
        shift = back * cells_per_week
        past[back - 1, shift:] = counts[: max(n - shift, 0)]
    known = np.sum(~np.isnan(past), axis=0)
    enough = known >= FEWEST_WEEKS
    expected, extra = np.full(n, np.nan), np.full(n, np.nan)
    middle, mean = np.nanmedian(past[:, enough], axis=0), np.nanmean(past[:, enough], axis=0)
    k = known[enough]
    coarse = middle < _SPARSE
    expected[enough] = np.where(coarse, mean, middle)
    of_median = np.where(k < len(_MEDIAN), _MEDIAN[np.minimum(k, len(_MEDIAN) - 1)], np.pi / (2 * k))
    extra[enough] = np.where(coarse, 1 / k, of_median)
    # Never quite 0: a slot that was empty for k weeks may well hold one row in the next.
    centre = np.maximum(expected, 0.5 / np.maximum(known, 1))
    usable = enough & ~np.isnan(counts)
    spread = excess(counts[usable], centre[usable], extra[usable])
    variance = (centre + spread * centre**2) * (1 + extra)
    p = np.full(n, np.nan)
    part = slice(None) if judged is None else judged
    p[part] = two_sided(counts[part], centre[part], variance[part])
    return Expectation(known.astype(np.float64), expected, centre, variance, p)


def excess(counts: Array, centre: Array, extra: Array) -> float:
    """Squared coefficient of variation beyond Poisson's, from the squared residuals without the largest tenth.

    Solves: trimmed mean of (count - centre)^2 / variance(spread) = what it is for a normal law.
    """
    from scipy.special import chdtri, gammainc  # a tenth of a second to import, for questions that need it

    if not len(counts):
        return 0.0
    cut = float(chdtri(1, _TRIM))
    target = float(gammainc(1.5, cut / 2)) / (1 - _TRIM)
    kept = max(1, int(np.ceil((1 - _TRIM) * len(counts))))

    def surplus(spread: float) -> float:
        squares = (counts - centre) ** 2 / ((centre + spread * centre**2) * (1 + extra))
        return float(np.mean(np.partition(squares, kept - 1)[:kept])) - target

    low, high = 0.0, 1.0
    if surplus(low) <= 0:
        return 0.0
    while surplus(high) > 0 and high < 1e6:
        high *= 4
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
    return high


def two_sided(counts: Array, mean: Array, variance: Array) -> Array:
    """P-value of each count under the negative binomial law of this mean and (larger) variance; NaN stays NaN.

    The normal deviate of its tail is read as Student's with 40 degrees of freedom: mean and spread are estimates, and
    without that simulated traffic of uneven hours raised a false alarm in one call of nine instead of one of twenty.
    """
    from scipy.special import ndtri, stdtr  # as above

    below, above = tails(counts, mean, variance)
    deviate = ndtri(np.minimum(below, above))
    return np.minimum(1.0, 2 * np.where(deviate < 0, stdtr(_FREEDOM, deviate), 0.5))


def tails(counts: Array, mean: Array, variance: Array) -> tuple[Array, Array]:
    """P(X <= count) and P(X >= count)."""
    from scipy.special import betainc  # as above

    with np.errstate(invalid="ignore", divide="ignore"):
        size = mean**2 / (variance - mean)
        share = size / (size + mean)
    below = betainc(size, counts + 1, share)
    above = np.where(counts > 0, 1 - betainc(size, np.maximum(counts, 1), share), 1.0)
    return np.where(np.isnan(mean), np.nan, below), np.where(np.isnan(mean), np.nan, above)


def limits(mean: Array, variance: Array, *, level: float) -> tuple[Array, Array]:
    """The least and the greatest count whose own tail is not below (1 - level) / 2: where a new count would lie."""
    tail = (1 - level) / 2
    root = np.sqrt(np.nan_to_num(variance))
    known = ~np.isnan(mean)
    centre, reach = np.nan_to_num(mean, nan=1.0), 20 * root + 50
    spread = np.where(known, variance, 2.0)

    def search(low: Array, high: Array, *, side: int) -> Array:
        # Bisection over whole numbers; ``low`` is outside for the lower limit, inside for the upper one.
        while np.any(high - low > 1):
            middle = np.floor((low + high) / 2)
            inside = tails(middle, centre, spread)[side] >= tail
            goes_up = ~inside if side == 0 else inside
            low, high = np.where(goes_up, middle, low), np.where(goes_up, high, middle)
        return high if side == 0 else low

    lower = search(np.full_like(centre, -1.0), np.ceil(centre + reach), side=0)
    upper = search(np.zeros_like(centre), np.ceil(centre + reach), side=1)
    return np.where(known, lower, np.nan), np.where(known, upper, np.nan)
