"""Performance expected from calibrated scores, without a single label (CBPE).

If a score of 0.7 is right seven times in ten, a row with that score is 0.7 of a positive and 0.3 of a negative. Adding
these parts up gives the confusion matrix that is to be expected, at the logged decisions or along every threshold, and
from it each metric. It rests on the calibration still holding: when the world changes so that the same scores mean
something else (concept drift), nothing here moves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.labels.masses import Metric, Rows
from fbkit.measure.stats.corp import distinct_scores, isotonic, sums_by
from fbkit.measure.stats.intervals import Array, dot


class Map(NamedTuple):
    """A rising step function from scores to probabilities, and what each step was fitted on.

    ``ends`` are the scores up to which each step but the last reaches (half way between the two scores that were
    nearest in the fit), ``probability`` and ``weight`` the height of each step and the effective number of labelled
    rows behind it.
    """

    ends: Array
    probability: Array
    weight: Array


def fit(scores: Array, labels: Array, *, weights: Array | None = None) -> Map | None:
    """Isotonic regression of labels on scores (pool adjacent violators); None without a row that weighs something."""
    distinct = distinct_scores(scores, labels, weights=weights)
    if not len(distinct.score):
        return None
    fitted = isotonic(distinct.positives / distinct.n, distinct.n)
    rises = np.diff(fitted) > 0
    step = np.concatenate([[0], np.cumsum(rises)])
    squares = distinct.n if weights is None else distinct_scores(scores, weights, weights=weights).positives
    size = np.bincount(step, weights=distinct.n)
    effective = np.square(size) / np.bincount(step, weights=squares)
    halves = (distinct.score[1:] + distinct.score[:-1]) / 2
    return Map(halves[rises], fitted[np.concatenate([[True], rises])], effective)


class Chances(NamedTuple):
    """The chance that each row is positive; from a map, also the step of each row (of rows by rising score)."""

    probability: Array
    step: NDArray[np.int64] | None
    calibration: Map | None


def chances(rows: Rows, calibration: Map | None = None) -> Chances:
    """The scores as they are, or through a calibration map."""
    if calibration is None:
        return Chances(rows.score, None, None)
    last = np.searchsorted(rows.score, calibration.ends, side="right")
    step = np.repeat(np.arange(len(last) + 1), np.diff(last, prepend=0, append=len(rows.score)))
    return Chances(calibration.probability[step], step, calibration)


class Expected(NamedTuple):
    """The expected value and its interval."""

    value: float
    lower: float
    upper: float


def expected(metric: Metric, rows: Rows, given: Chances, *, level: float) -> Expected | None:
    """The metric that calibrated scores promise for these rows; None where it is not defined.

    The interval is where the metric of these rows would lie once their labels were known: the variance of independent
    labels with these probabilities (Poisson-binomial, linearised), and that of the calibration map's steps where one
    was fitted. A map's variance does not shrink with the number of rows.
    """
    probability = given.probability
    at = metric.slope(rows, rows.weight * probability, rows.weight * (1 - probability))
    if at is None:
        return None
    pull = rows.weight * (at.positive - at.negative)
    variance = dot(np.square(pull), probability * (1 - probability))
    if given.calibration is not None and given.step is not None:
        height = given.calibration.probability
        total = sums_by(given.step, pull, len(height))
        variance += dot(np.square(total), height * (1 - height) / given.calibration.weight)
    if variance == 0:  # every probability is 0 or 1
        return Expected(at.value, at.value, at.value)
    return Expected(at.value, *metric.interval(at.value, variance, units=len(rows.score), level=level))
