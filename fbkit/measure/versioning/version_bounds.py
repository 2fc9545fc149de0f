"""How far two versions could lie apart whatever the missing labels are, when both are judged on the same rows."""

import numpy as np

from fbkit.measure.stats.intervals import Array
from fbkit.measure.versioning.version_rows import Sums


def sharp_bounds(one: Sums, two: Sums) -> tuple[float, float]:
    """The difference's range over the missing labels, which both versions share: exact, where it can be; else NaN.

    Rows do not compete where the denominators do not depend on the labels (precision, accuracy, Brier). Where both
    versions have the same denominators (recall, specificity) the range is that of one ratio of sums, found by
    Dinkelbach's iteration (1967, doi:10.1287/mnsc.13.7.492).
    """
    if one.if_one is None or one.if_zero is None or two.if_one is None or two.if_zero is None:
        return np.nan, np.nan
    fixed = all(np.array_equal(part.if_one[1], part.if_zero[1]) for part in (one, two) if part.if_one and part.if_zero)
    if fixed:
        scale = [part.b.sum() + world[1].sum() for part, world in ((one, one.if_one), (two, two.if_one))]
        if min(scale) <= 0:
            return np.nan, np.nan
        base = two.a.sum() / scale[1] - one.a.sum() / scale[0]
        gains = [
            after[0] / scale[1] - before[0] / scale[0]
            for before, after in ((one.if_one, two.if_one), (one.if_zero, two.if_zero))
        ]
        return float(base + np.minimum(*gains).sum()), float(base + np.maximum(*gains).sum())
    alike = np.array_equal(one.b, two.b) and np.array_equal(one.if_one[1], two.if_one[1])
    if not (alike and np.array_equal(one.if_zero[1], two.if_zero[1])):
        return np.nan, np.nan
    tops = (two.if_one[0] - one.if_one[0], two.if_zero[0] - one.if_zero[0])
    bottoms = (one.if_one[1], one.if_zero[1])
    base = (float((two.a - one.a).sum()), float(one.b.sum()))
    greatest = _greatest_ratio(base, tops, bottoms)
    least = -_greatest_ratio((-base[0], base[1]), (-tops[0], -tops[1]), bottoms)
    return least, greatest


def _greatest_ratio(base: tuple[float, float], tops: tuple[Array, Array], bottoms: tuple[Array, Array]) -> float:
    """Greatest (base + sum of tops) / (base + sum of bottoms) when each row is in either of two worlds."""
    ratio = -1.0
    for _ in range(100):
        first = tops[0] - ratio * bottoms[0] > tops[1] - ratio * bottoms[1]
        top = base[0] + float(np.where(first, *tops).sum())
        bottom = base[1] + float(np.where(first, *bottoms).sum())
        if bottom <= 0:
            return np.nan
        if top / bottom <= ratio:
            return ratio
        ratio = top / bottom
    return ratio
