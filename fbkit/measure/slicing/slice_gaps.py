"""How far apart groups are, and how far they would look apart by chance: intervals, a null band, a debiased value.

The largest of several noisy differences is too large on average. Arrays hold one entry per group.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from fbkit.measure.stats.intervals import Array, difference, quantile

GAPS: Final = ("difference", "ratio", "difference_to_overall", "ratio_to_overall")
_POINTS: Final = 2001


class Groups(NamedTuple):
    """Values of the groups with limits at one level; ``size`` is the effective number of rows of a proportion.

    ``size`` NaN: no proportion; its values then vary as a normal law does.
    """

    value: Array
    lower: Array
    upper: Array
    size: Array
    overall: float


def gaps(value: Array, overall: Array) -> Array:
    """The four gaps, last axis, of values (..., group): see :data:`GAPS`. A ratio of 0 to 0 is NaN.

    >>> gaps(np.array([0.5, 0.6, 0.4]), np.array(0.5)).round(6)
    array([0.2     , 0.666667, 0.1     , 0.8     ])
    """
    low, high = value.min(axis=-1), value.max(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        across = np.where(low >= 0, low / high, np.nan)
        ratio = value / overall[..., None]
        to_all = np.where((value >= 0) & (overall[..., None] > 0), np.minimum(ratio, 1 / ratio), np.nan)
    far = np.abs(value - overall[..., None]).max(axis=-1)
    return np.stack([high - low, across, far, to_all.min(axis=-1)], axis=-1)


def attained(groups: Groups) -> list[tuple[int | None, int | None]]:
    """Which groups attain each gap, the lower and the higher; None is the whole."""
    value, overall = groups.value, groups.overall
    ends = int(value.argmin()), int(value.argmax())
    far = int(np.abs(value - overall).argmax())
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = value / overall
        least = np.minimum(ratio, 1 / ratio)
    wide = int(np.nan_to_num(least, nan=np.inf).argmin())
    return [ends, ends, _sides(far, value, overall), _sides(wide, value, overall)]


def _sides(at: int, value: Array, overall: float) -> tuple[int | None, int | None]:
    return (at, None) if value[at] <= overall else (None, at)


def effective_size(value: Array, lower: Array, upper: Array, *, level: float) -> Array:
    """The number of rows whose Wilson interval has this width: the size itself for independent rows.

    >>> from fbkit.measure.stats.intervals import wilson
    >>> effective_size(np.array([0.8]), *(x[None] for x in wilson(8, 10)), level=0.95).round(6)
    array([10.])
    """
    z2, h2 = float(quantile(level)) ** 2, np.square((upper - lower) / 2)
    # (h (n + z2))^2 = z2 (p (1 - p) n + z2 / 4), solved for n.
    half = h2 * z2 - z2 * value * (1 - value) / 2
    rest = h2 * z2 * z2 - z2 * z2 / 4
    with np.errstate(invalid="ignore", divide="ignore"):
        return (-half + np.sqrt(np.maximum(half * half - h2 * rest, 0.0))) / h2


@cache
def simultaneous_level(groups: int, level: float) -> float:
    """The level at which every pairwise interval must be taken so that all hold together (Tukey and Kramer).

    Two groups need no more than their one interval. Hayter 1984 (doi:10.1214/aos/1176346392): never too small.

    >>> round(simultaneous_level(2, 0.95), 6)
    0.95
    """
    grid = np.linspace(-8, 8, _POINTS)
    density = np.exp(-grid * grid / 2) / np.sqrt(2 * np.pi) * (grid[1] - grid[0])

    def covered(width: float) -> float:
        """The chance that the range of so many standard normals is at most this."""
        return float(groups * (density * (ndtr(grid) - ndtr(grid - width)) ** (groups - 1)).sum())

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if covered(middle) < level else (low, middle)
    return float(2 * ndtr(high / np.sqrt(2)) - 1)


def limits(groups: Groups, whole: tuple[float, float]) -> Array:
    """Intervals of the four gaps, (gap, end), from limits at the level for all pairs together; ``whole``: its limits.

    A true gap is at least as large as any pair's, so the greatest of the lower limits is one, and so on.
    """
    value, lower, upper = groups.value, groups.lower, groups.upper
    each, other = (value, lower, upper), (value[:, None], lower[:, None], upper[:, None])
    low, high = difference(other, each)
    across = np.clip([low.max(), high.max()], 0.0, None)
    ratio_low, ratio_high = _ratio_limits(other, each)
    off = ~np.eye(len(value), dtype=bool)
    between = [ratio_low[off].min(), min(ratio_high[off].min(), 1.0)]
    all_ = (np.full_like(value, groups.overall), np.full_like(value, whole[0]), np.full_like(value, whole[1]))
    low, high = difference(all_, each)
    far = np.clip([np.maximum(low, -high).max(), np.maximum(high, -low).max()], 0.0, None)
    first, second = _ratio_limits(each, all_), _ratio_limits(all_, each)
    least = [np.minimum(first[0], second[0]).min(), min(float(np.minimum(first[1], second[1]).min()), 1.0)]
    return np.array([across, between, far, least])


def _ratio_limits(top: tuple[Array, ...], bottom: tuple[Array, ...]) -> tuple[Array, Array]:
    """Interval of top / bottom from (value, lower, upper) of both (MOVER-R, Donner and Zou 2012)."""
    (a, la, ua), (b, lb, ub) = top, bottom
    with np.errstate(invalid="ignore", divide="ignore"):
        below, above = ub * (2 * b - ub), lb * (2 * b - lb)
        low = (a * b - np.sqrt(np.maximum((a * b) ** 2 - la * (2 * a - la) * below, 0.0))) / below
        high = (a * b + np.sqrt(np.maximum((a * b) ** 2 - ua * (2 * a - ua) * above, 0.0))) / above
    return np.where((below > 0) & (low > 0), low, 0.0), np.where((above > 0) & (b > 0), high, np.inf)


class Judged(NamedTuple):
    """Per gap: the debiased value, the limit that chance stays within at the level, and the p-value."""

    debiased: Array
    null: Array
    p_value: Array


def judge(groups: Groups, error: Array, *, level: float, draws: int, seed: int) -> Judged:
    """Compare the gaps with what equal groups of these sizes would show; ``error`` are standard errors.

    The debiased value is the mean gap of true values given the seen ones (empirical Bayes, normal law, DerSimonian
    and Laird's variance between groups): 0 where the groups differ by no more than chance.
    """
    rng = np.random.default_rng(seed)
    weight = groups.size if np.isfinite(groups.size).all() else 1 / np.square(error)
    share = weight / weight.sum()
    seen = gaps(groups.value, np.array(groups.overall))
    equal = _equal(groups, error, share, rng, draws)
    by_chance = gaps(equal, equal @ share)
    larger = by_chance >= seen - 1e-12
    larger[:, 1::2] = by_chance[:, 1::2] <= seen[1::2] + 1e-12
    p_value = (1 + larger.sum(axis=0)) / (1 + draws)
    tail = np.array([level, 1 - level, level, 1 - level])
    null = np.array([np.nanquantile(column, q) if np.isfinite(column).any() else np.nan
                     for column, q in zip(by_chance.T, tail, strict=True)])  # fmt: skip
    true = _true(groups, error, rng, draws)
    debiased = np.nanmean(gaps(true, true @ share), axis=0) if np.isfinite(seen).any() else np.full(4, np.nan)
    unknown = np.isnan(seen)
    return Judged(*(np.where(unknown, np.nan, x) for x in (debiased, null, p_value)))


def _equal(groups: Groups, error: Array, share: Array, rng: np.random.Generator, draws: int) -> Array:
    """Values of groups that do not differ, (draw, group)."""
    middle = float(groups.value @ share)
    if np.isfinite(groups.size).all():
        trials = np.maximum(np.rint(groups.size), 1).astype(np.int64)
        return rng.binomial(trials, min(max(middle, 0.0), 1.0), size=(draws, len(trials))) / trials
    return middle + error * rng.standard_normal((draws, len(error)))


def _true(groups: Groups, error: Array, rng: np.random.Generator, draws: int) -> Array:
    """Draws of the groups' true values given the seen ones, (draw, group)."""
    value, precision = groups.value, 1 / np.square(error)
    middle = float(value @ precision / precision.sum())
    spread = float(precision.sum() - (precision**2).sum() / precision.sum())
    between = max((float(precision @ np.square(value - middle)) - len(value) + 1) / spread, 0.0)
    kept = between / (between + np.square(error))
    middle = float(value @ (1 / (between + error**2)) / (1 / (between + error**2)).sum())
    drawn = middle + kept * (value - middle) + np.sqrt(kept) * error * rng.standard_normal((draws, len(error)))
    return np.clip(drawn, 0.0, 1.0) if np.isfinite(groups.size).all() else drawn
