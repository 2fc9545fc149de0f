"""How surely a slice of rows is worse than the rest, or became worse: excess, variance, p-value, shrinkage.

A measure is a ratio of two sums, loss over size. The excess of a slice is the whole's ratio less that of the rest:
what its rows add to the loss. Between two periods it is the excess now less the excess then. Arrays hold one entry
per slice, with the periods (one, or reference and current) first.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, xlogy

from fbkit.measure.stats.intervals import Array

Flags = NDArray[np.bool_]
_STEPS: Final = 200


class Moments(NamedTuple):
    """Rows, sums of loss (a) and size (b), and of their products."""

    n: Array
    a: Array
    b: Array
    aa: Array
    ab: Array
    bb: Array

    def less(self, other: "Moments") -> "Moments":
        """These sums without those."""
        return Moments(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    @property
    def ratio(self) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.b > 0, self.a / self.b, np.nan)

    def square(self, rate: Array) -> Array:
        """The sum over rows of (loss - rate * size) squared."""
        return np.maximum(self.aa - 2 * rate * self.ab + rate * rate * self.bb, 0.0)


class Excess(NamedTuple):
    """Excess of each slice (of its change, between periods) and its variance; NaN where nothing else is left."""

    value: Array
    variance: Array


def excess(part: Moments, whole: Moments, *, binary: bool) -> Excess:
    """Excess of slices, (period, slice), of the whole, (period, 1).

    The variance is the larger of two: by the slice's own spread, and by what it would be if nothing set the slice
    apart. The first alone is far too small where a slice has, by chance, hardly any loss.
    """
    rest = whole.less(part)
    value = np.nan_to_num(whole.ratio - rest.ratio)
    own = _variance(part, whole, rest)
    if len(value) == 2 and binary:
        plain = _variance(_expected(part, rest), whole, rest)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = whole.square(whole.ratio) / (whole.n - 1)
            plain = np.nan_to_num(part.n * (1 - part.n / whole.n) * spread / np.square(rest.b))
    sign = np.array([-1.0, 1.0])[-len(value) :, None]
    variance = np.maximum(own.sum(axis=0), plain.sum(axis=0))
    unknown = (rest.b <= 0).any(axis=0) | ~(variance > 0)
    return Excess(np.where(unknown, np.nan, (sign * value).sum(axis=0)), np.where(unknown, np.nan, variance))


def _variance(part: Moments, whole: Moments, rest: Moments) -> Array:
    """By the influence of each row: on the whole's ratio, less that on the ratio of the rest."""
    with np.errstate(invalid="ignore", divide="ignore"):
        all_, other = whole.ratio, rest.ratio
        inside = part.square(all_) / np.square(whole.b)
        cross = rest.aa - (all_ + other) * rest.ab + all_ * other * rest.bb
        outside = (
            rest.square(all_) / np.square(whole.b)
            + rest.square(other) / np.square(rest.b)
            - 2 * cross / (whole.b * rest.b)
        )
    return np.nan_to_num(inside + np.maximum(outside, 0.0))


def _expected(part: Moments, rest: Moments) -> Moments:
    """The sums of 0/1 losses if the slice had only changed as the rest did, its level pooled over both periods."""
    moved = np.nan_to_num(np.diff(rest.ratio, axis=0)[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        level = (part.a[0] + part.a[1] - part.b[1] * moved) / (part.b[0] + part.b[1])
    rate = np.clip(np.stack([level, level + moved]), 0.0, 1.0)
    a = part.b * np.nan_to_num(rate)
    return Moments(part.n, a, part.b, a, a, part.b)


def deviance(part: Moments, whole: Moments) -> Array:
    """Signed root of the likelihood-ratio statistic of slice against rest for 0/1 losses, continuity-corrected.

    Its tail is close to Fisher's exact test also where counts are small, which z = difference / error is not.
    """
    n, k, rows, events = part.n[0], part.a[0], whole.n[0], whole.a[0]
    expected = events * n / rows
    gap = k - expected
    nearer = k - np.sign(gap) * np.minimum(np.abs(gap), 0.5)
    table = np.stack([nearer, n - nearer, events - nearer, rows - n - events + nearer])
    fitted = np.stack([expected, n - expected, events - expected, rows - n - events + expected])
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(table > 0, xlogy(table, table) - xlogy(table, fitted), 0.0)
    return np.sign(gap) * np.sqrt(np.maximum(2 * terms.sum(axis=0), 0.0))


def two_sided(z: Array, *, df: int | None = None) -> Array:
    """Two-sided p-value of a normal statistic, or of Student's t; NaN stays NaN."""
    tail = -np.abs(z)
    return np.minimum(2 * (ndtr(tail) if df is None else stdtr(df, tail)), 1.0)


def clustered_variance(part_a: Array, part_b: Array, whole_a: Array, whole_b: Array) -> Array:
    """Variance of the excess from sums per group of entities; arrays (period, slice, group), wholes (period, 1, group).

    Entities are independent and so are groups of them: the spread of the groups' influence is the variance, whatever
    happens within.
    """
    total_a, total_b = whole_a.sum(axis=2, keepdims=True), whole_b.sum(axis=2, keepdims=True)
    rest_a, rest_b = whole_a - part_a, whole_b - part_b
    rest_total = rest_b.sum(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        on_all = (whole_a - total_a / total_b * whole_b) / total_b
        on_rest = (rest_a - rest_a.sum(axis=2, keepdims=True) / rest_total * rest_b) / rest_total
    sign = np.array([-1.0, 1.0])[-len(part_a) :, None, None]
    influence = (sign * np.nan_to_num(on_all - on_rest)).sum(axis=0)
    groups = np.count_nonzero(whole_b.sum(axis=(0, 1)))
    return np.square(influence).sum(axis=1) * groups / max(groups - 1, 1)


def shrinkage(z: Array) -> Array:
    """The share of each statistic that is left when the search is allowed for: 0 is chance, 1 is all of it.

    Empirical Bayes: a share of the statistics is chance, the others follow a law with long tails (quasi-Cauchy), so
    that what is far out stays; the share is fitted to all of them. The factor is the posterior mean over the statistic.
    Johnstone and Silverman 2005 (doi:10.18637/jss.v012.i08). NaN stays NaN.

    >>> shrinkage(np.r_[np.linspace(-2, 2, 99), 9.0])[[0, -1]].round(2)
    array([0.04, 0.98])
    """
    known = z[np.isfinite(z)]
    if not len(known):
        return np.full_like(z, np.nan)
    share = 0.1
    for _ in range(_STEPS):
        before, share = share, max(float(_real(known, share).mean()), 0.5 / len(known))
        if abs(share - before) < 1e-7:
            break
    square = np.maximum(np.square(z), 1e-8)
    return np.clip(_real(z, share) * (1 / -np.expm1(-square / 2) - 2 / square), 0.0, 1.0)


def _real(z: Array, share: float) -> Array:
    """The chance that a statistic is more than chance: its density under the long-tailed law against the normal one."""
    half = np.maximum(np.square(z), 1e-8) / 2
    # In logarithms, because exp(half) overflows far out.
    log_ratio = half + np.log(-np.expm1(-half)) - np.log(2 * half)
    return 1 / (1 + np.exp(-np.clip(np.log(share / (1 - min(share, 1 - 1e-9))) + log_ratio, -500, 500)))
