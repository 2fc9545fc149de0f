"""Did outcomes at equal scores change in shape? A test of the calibration slope, sharper than a single metric."""

from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import positive_rate
from fbkit.diagnose.rows import CURRENT, REFERENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Labelled current rows against the reference's rates at equal score, decision and stratum.

    Attributes
    ----------
    intercept
        Standard errors by which positives are more (or fewer) than expected, all scores together.
    slope
        Standard errors by which they are more at high and fewer at low scores than expected, given the intercept;
        negative: the score separates less than it did. None without draws.
    """

    intercept: float | None
    slope: float | None


NO_SHAPE = Shape(intercept=None, slope=None)


def shape(cells: Cells, *, mean_score: Floats, thin: int) -> Shape:
    """Compare.

    Parameters
    ----------
    mean_score
        Log odds (any increasing score) that stands for each score bin.

    Notes
    -----
    Score test of a logistic recalibration (Cox 1958) within cells, its variance from the bootstrap draws.
    """
    rate = positive_rate(cells, thin=thin)[:, REFERENCE]
    found1, found = cells.v1[:, CURRENT], cells.v1[:, CURRENT] + cells.v0[:, CURRENT]
    gap = np.where(found > 0, found1 - found * rate, 0.0).sum(-1)
    if len(gap) < 3 or not np.isfinite(gap).all():
        return NO_SHAPE
    weight = np.where(found[0] > 0, found[0] * rate[0] * (1 - rate[0]), 0.0).sum(-1)
    if weight.sum() <= 0:
        return NO_SHAPE
    centred = mean_score - float((weight * mean_score[None]).sum() / weight.sum())
    level, tilt = gap.sum((1, 2)), (gap * centred[None, None]).sum((1, 2))
    spread = np.cov(np.stack([level[1:], tilt[1:]]))
    if spread[0, 0] <= 0:
        return NO_SHAPE
    ratio = spread[0, 1] / spread[0, 0]
    left = spread[1, 1] - ratio * spread[0, 1]
    slope = None if left <= 0 else float((tilt[0] - ratio * level[0]) / np.sqrt(left))
    return Shape(intercept=float(level[0] / np.sqrt(spread[0, 0])), slope=slope)
