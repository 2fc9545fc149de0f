"""Logistic regression of a label on one number: Newton steps, weights, fractional labels; no other library."""

from typing import Final, NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from fbkit.measure.stats.intervals import Array

CLIP: Final = 1e-6
_STEPS: Final = 50
_STEEPEST: Final = 1e3


class Line(NamedTuple):
    """log odds = slope * x + intercept."""

    slope: float
    intercept: float

    def __call__(self, x: Array) -> Array:
        """The probability at ``x``."""
        return np.asarray(expit(self.slope * x + self.intercept), dtype=np.float64)


def log_odds(scores: Array, *, clip: float = CLIP) -> Array:
    """ln(s / (1 - s)) of scores cut at ``clip`` and 1 - ``clip``: a score of exactly 0 or 1 has none."""
    inside = np.clip(scores, clip, 1 - clip)
    return np.log(inside / (1 - inside))


def fit_line(x: Array, labels: Array, *, weights: Array | None = None) -> Line | None:
    """Maximum likelihood of a logistic line; None where there is no finite one (one class, or full separation).

    Labels in 0..1 count as that share of a positive. With one value of ``x`` the slope is 0.

    >>> x = np.array([-1.0, 0.0, 1.0, 1.0])
    >>> [round(number, 6) for number in fit_line(x, np.array([0.0, 1.0, 0.0, 1.0]))]
    [0.76675, -0.201893]
    """
    weight = np.ones_like(x) if weights is None else weights
    total, positives = float(weight.sum()), float((weight * labels).sum())
    if not 0 < positives < total:
        return None
    middle = float((weight * x).sum()) / total
    spread = float(np.sqrt((weight * np.square(x - middle)).sum() / total))
    start = np.array([np.log(positives / (total - positives)), 0.0])
    if not spread > 0:
        return Line(0.0, float(start[0]))
    design = np.stack([np.ones_like(x), (x - middle) / spread])
    found = _newton(design, labels, weight, start)
    if found is None:
        return None
    return Line(float(found[1] / spread), float(found[0] - found[1] / spread * middle))


def _newton(design: Array, labels: Array, weight: Array, start: Array) -> Array | None:
    """Newton's steps, halved while they lose likelihood, until they no longer move."""

    def likelihood(at: Array) -> float:
        line = at @ design
        return float((weight * (labels * log_expit(line) + (1 - labels) * log_expit(-line))).sum())

    here, value = start, likelihood(start)
    for _ in range(_STEPS):
        chance = expit(here @ design)
        gradient = design @ (weight * (labels - chance))
        curvature = (design * (weight * chance * (1 - chance))) @ design.T
        if not np.linalg.det(curvature) > 1e-300 or abs(here[1]) > _STEEPEST:
            return None
        step = np.linalg.solve(curvature, gradient)
        while (moved := likelihood(here + step)) < value - 1e-12 * abs(value) and np.abs(step).max() > 1e-14:
            step = step / 2
        here, value = here + step, moved
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(here).max()):
            return here
    return None
