"""Smooth calibration error: residuals smoothed along the score, with the bandwidth that matches the error itself."""

from typing import Final

import numpy as np

from fbkit.measure.stats.intervals import Array

NODES: Final = 8192
_STEPS: Final = 40


def smooth_error(scores: Array, labels: Array, *, weights: Array | None = None, nodes: int = NODES) -> float:
    """Smooth expected calibration error (Blasiok and Nakkiran 2024, arXiv:2309.12236).

    The residuals y - s are smoothed along the score by a Gaussian kernel that is reflected at 0 and 1, and the
    absolute value is integrated. The wider the kernel the smaller that integral, so there is one bandwidth equal to
    its own integral: the result. Labels may be fractional. Scores lie in 0..1; the grid of ``nodes`` steps is
    accurate to about 1e-4 of the value wherever that is above 0.005.

    >>> round(smooth_error(np.array([0.3, 0.3]), np.array([1.0, 1.0])), 6)
    0.7
    """
    weight = np.ones_like(scores) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    masses = (weight * (labels - scores))[order] / weight.sum()
    return float(smooth_errors(scores[order], masses[None, :], nodes=nodes)[0])


def smooth_errors(scores: Array, masses: Array, *, nodes: int, steps: int = _STEPS) -> Array:
    """The same for several sets (lines) of residual masses at the same rising scores."""
    placed = _on_nodes(scores, masses, nodes)
    low, high = np.zeros(len(masses)), np.abs(placed).sum(axis=1)
    coefficients = _cosines(placed)
    for _ in range(steps):
        middle = (low + high) / 2
        wide = _integral(coefficients, middle) >= middle
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return (low + high) / 2


def _on_nodes(scores: Array, masses: Array, nodes: int) -> Array:
    """Each mass split over the two grid points around it, so that its mean place is kept."""
    place = np.clip(scores, 0, 1) * nodes
    left = np.minimum(place.astype(np.int64), nodes - 1)
    share = place - left
    starts = np.flatnonzero(np.diff(left, prepend=-1))
    made = np.zeros((len(masses), nodes + 1))
    made[:, left[starts]] += np.add.reduceat(masses * (1 - share), starts, axis=1)
    made[:, left[starts] + 1] += np.add.reduceat(masses * share, starts, axis=1)
    return made


def _cosines(masses: Array) -> Array:
    """Sums of mass times cos(pi m t): reflection at both ends leaves cosines only, and smoothing shrinks each."""
    from scipy.fft import dct

    inside = masses / 2
    inside[:, [0, -1]] *= 2
    return np.asarray(dct(inside, type=1, axis=1), dtype=np.float64)


def _integral(coefficients: Array, bandwidth: Array) -> Array:
    """Integral of the absolute smoothed residual, one bandwidth per line."""
    from scipy.fft import dct

    frequency = np.pi * np.arange(coefficients.shape[1])
    shrunk = coefficients * np.exp(-np.square(bandwidth[:, None] * frequency) / 2)
    smoothed = np.abs(np.asarray(dct(shrunk, type=1, axis=1), dtype=np.float64))
    return (smoothed.sum(axis=1) - (smoothed[:, 0] + smoothed[:, -1]) / 2) / (coefficients.shape[1] - 1)
