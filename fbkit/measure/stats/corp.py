"""Brier's parts by isotonic regression (CORP), and the expected calibration error; plain arrays in, numbers out."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.stats.intervals import Array

PARTS: Final = ("mcb", "dsc", "unc")


class Distinct(NamedTuple):
    """Distinct scores in rising order, the rows (or weight) of each, and the sum of their labels."""

    score: Array
    n: Array
    positives: Array


def distinct_scores(scores: Array, labels: Array, *, weights: Array | None = None) -> Distinct:
    """Rows gathered by score: equal scores always get one fitted value. Rows of weight 0 are left out."""
    weight = np.ones_like(scores) if weights is None else weights
    used = weight > 0
    score, code = np.unique(scores[used], return_inverse=True)
    return Distinct(score, sums_by(code, weight[used]), sums_by(code, (weight * labels)[used]))


def sums_by(code: NDArray[np.int64], values: Array, size: int = 0) -> Array:
    """Sum of values by integer code."""
    return np.asarray(np.bincount(code, weights=values, minlength=size), dtype=np.float64)


def isotonic(values: Array, weights: Array) -> Array:
    """Weighted least-squares rising fit (pool adjacent violators).

    >>> isotonic(np.array([1.0, 2, 3, 0]), np.ones(4)).round(3).tolist()
    [1.0, 1.667, 1.667, 1.667]
    """
    from scipy.optimize import isotonic_regression

    return np.asarray(isotonic_regression(values, weights=weights).x, dtype=np.float64)


def isotonic_lines(values: Array, weights: Array) -> Array:
    """The rising fit of each line of ``values``, in one pass: lines are lifted above each other, so that none pool.

    >>> isotonic_lines(np.array([[3.0, 1], [0, 5]]), np.ones(2)).round(3).tolist()
    [[2.0, 2.0], [0.0, 5.0]]
    """
    lines, places = values.shape
    lift = (np.arange(lines) * (np.ptp(values) + 1.0))[:, None] if values.size else np.zeros((lines, 1))
    fitted = isotonic((values + lift).ravel(), np.tile(weights, lines)) if values.size else values
    return fitted.reshape(lines, places) - lift


def decompose(scores: Array, labels: Array, *, weights: Array | None = None) -> dict[str, float]:
    """Brier score and its CORP parts: brier = mcb - dsc + unc (doi:10.1073/pnas.2016191118).

    Labels may be fractional; the Brier score is then the expected one, y (1 - s)^2 + (1 - y) s^2.
    """
    distinct = distinct_scores(scores, labels, weights=weights)
    total = float(distinct.n.sum())

    def loss(forecast: Array | float) -> float:
        squares = distinct.n * np.square(forecast) + distinct.positives * (1 - 2 * np.asarray(forecast))
        return float(squares.sum()) / total

    brier, base = loss(distinct.score), loss(float(distinct.positives.sum()) / total)
    recalibrated = loss(isotonic(distinct.positives / distinct.n, distinct.n))
    return {"brier": brier, "mcb": brier - recalibrated, "dsc": base - recalibrated, "unc": base}


def expected_error(scores: Array, labels: Array, *, bins: int = 10, weights: Array | None = None) -> float:
    """Expected calibration error: mean distance of frequency and mean score over equal-width bins, weighted by rows."""
    weight = np.ones_like(scores) if weights is None else weights
    gaps = sums_by(bin_of(scores, bins), weight * (labels - scores), bins)
    return float(np.abs(gaps).sum() / weight.sum())


def bin_of(scores: Array, bins: int) -> NDArray[np.int64]:
    """The equal-width bin of 0..1 that holds each score."""
    return np.clip((scores * bins).astype(np.int64), 0, bins - 1)
