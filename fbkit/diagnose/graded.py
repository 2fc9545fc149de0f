"""Does label loss follow the score inside a decision? Then "at random within cells" is doubtful."""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.settings import Settings
from fbkit.measure.stats.intervals import homogeneity


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """How the odds of being labelled differ between the lower and the upper half of the flagged scores.

    ``odds_ratio`` is the larger over the smaller odds (1 or more) by window; ``gamma`` is how far the
    odds of being labelled may differ between positives and negatives of one cell before the correction
    is believed: as far as they differ along the score, at most ``Settings.gamma_cap``; 1 without grading.
    """

    odds_ratio: tuple[float, float]
    p: tuple[float, float]
    gamma: tuple[float, float]

    @property
    def found(self) -> bool:
        return max(self.gamma) > 1


NO_GRADING = Grading(odds_ratio=(1.0, 1.0), p=(1.0, 1.0), gamma=(1.0, 1.0))


def grading(cells: Cells, *, settings: Settings) -> Grading:
    """Compare label rates of low and high flagged scores in each window (halves of equal rows).

    Labels that are still to come count as there, so that slow positives do not look like loss.
    """
    found = [_halves(cells, window) for window in (0, 1)]
    odds, p = [f[0] for f in found], [f[1] for f in found]
    gamma = [
        min(settings.gamma_cap, ratio) if ratio > settings.graded_odds and chance < settings.slice_p else 1.0
        for ratio, chance in zip(odds, p, strict=True)
    ]
    return Grading(odds_ratio=(odds[0], odds[1]), p=(p[0], p[1]), gamma=(gamma[0], gamma[1]))


def _halves(cells: Cells, window: int) -> tuple[float, float]:
    n = cells.n[0, window, 1].sum(-1)
    labelled = (cells.v1 + cells.v0)[0, window, 1].sum(-1)
    if n.sum() == 0:
        return 1.0, 1.0
    upper = np.cumsum(n) - n / 2 > n.sum() / 2
    table = np.array([[_sum(labelled, side), _sum(n, side) - _sum(labelled, side)] for side in (upper, ~upper)])
    a, b, c, d = (np.maximum(table, 0.0) + 0.5).ravel()
    ratio = float(a * d / (b * c))
    statistic, freedom = homogeneity(table)
    return max(ratio, 1 / ratio), float(chdtrc(freedom, statistic)) if freedom else 1.0


def _sum(values: Floats, mask: np.ndarray) -> float:
    return float(values[mask].sum())
