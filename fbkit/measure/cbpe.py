"""Performance expected from calibrated scores, without a single label (CBPE).

If a score of 0.7 is right seven times in ten, a row with that score is 0.7 of a positive and 0.3 of a negative. Adding
these parts up gives the confusion matrix that is to be expected, at the logged decisions or along every threshold, and
from it each metric. It rests on the calibration still holding: when the world changes so that the same scores mean
something else (concept drift), nothing here moves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.corp import distinct_scores, isotonic
from fbkit.measure.intervals import Array
from fbkit.measure.masses import Bounds, Metric, Rows


class Map(NamedTuple):
    """A rising step function from scores to probabilities, and what each step was fitted on.

    ``score`` are the distinct scores of the fit in rising order, ``step`` the number of the step that each lies on,
    ``probability`` and ``weight`` the height of each step and the (effective) number of labelled rows behind it.
    """

    score: Array
    step: NDArray[np.int64]
    probability: Array
    weight: Array

    def steps(self, scores: Array) -> NDArray[np.int64]:
        """The step of each score: that of the nearest fitted score, the lower one half way between two."""
        if len(self.score) == 1:
            return np.zeros(len(scores), dtype=np.int64)
        halves = (self.score[1:] + self.score[:-1]) / 2
        return self.step[np.searchsorted(halves, scores, side="left")]


def fit(scores: Array, labels: Array, *, weights: Array | None = None) -> Map | None:
    """Isotonic regression of labels on scores (pool adjacent violators); None without a row that weighs something."""
    distinct = distinct_scores(scores, labels, weights=weights)
    if not len(distinct.score):
        return None
    fitted = isotonic(distinct.positives / distinct.n, distinct.n)
    step = np.concatenate([[0], np.cumsum(np.diff(fitted) > 0)])
    squares = distinct.n if weights is None else distinct_scores(scores, labels, weights=np.square(weights)).n
    size = np.bincount(step, weights=distinct.n)
    effective = np.square(size) / np.bincount(step, weights=squares)
    return Map(distinct.score, step, fitted[np.flatnonzero(np.diff(step, prepend=-1))], effective)


class Expected(NamedTuple):
    """The expected value and its interval."""

    value: float
    lower: float
    upper: float


def expected(metric: Metric, rows: Rows, *, level: float, calibration: Map | None = None) -> Expected | None:
    """The metric that calibrated scores promise for these rows; None where it is not defined.

    The interval is where the metric of these rows would lie once their labels were known: the variance of independent
    labels with these probabilities (Poisson-binomial, linearised), and that of the calibration map's steps where one
    was fitted. A map's variance does not shrink with the number of rows.
    """
    steps = None if calibration is None else calibration.steps(rows.score)
    probability = rows.score if calibration is None or steps is None else calibration.probability[steps]
    at = metric.slope(rows, rows.weight * probability, rows.weight * (1 - probability))
    if at is None:
        return None
    pull = rows.weight * (at.positive - at.negative)
    variance = float(np.square(pull) @ (probability * (1 - probability)))
    if calibration is not None and steps is not None:
        total = np.bincount(steps, weights=pull, minlength=len(calibration.probability))
        spread = calibration.probability * (1 - calibration.probability) / calibration.weight
        variance += float(np.square(total) @ spread)
    lower, upper = interval(metric, at.value, variance, rows=len(rows.score), level=level)
    return Expected(at.value, lower, upper)


def interval(metric: Metric, value: float, variance: float, *, rows: int, level: float) -> Bounds:
    """The metric's kind of interval; no label is uncertain where every probability is 0 or 1."""
    return (value, value) if variance == 0 else metric.interval(value, variance, units=rows, level=level)
