"""What each slice adds to the change of a ratio: its share of the whole moved, or its own rate did."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fbkit.measure.stats.intervals import Array

_STEP = 1e-6


class Split(NamedTuple):
    """By slice, in the unit of the metric; ``mix`` + ``rate`` is what a slice adds, and all add up to ``change``.

    NaN everywhere where the whole has no value in one of the periods.
    """

    mix: Array
    rate: Array
    change: float

    @property
    def total(self) -> Array:
        """What each slice adds to the change."""
        return self.mix + self.rate


def split_change(
    then: tuple[Array, Array], now: tuple[Array, Array], *, transform: Callable[[Array], Array] | None = None
) -> Split:
    """Split the change of sum(a) / sum(b) over slices into mix and rate effects, exactly.

    Parameters
    ----------
    then, now
        Sums (a, b) of the ratio by slice, in the reference and in the current period.
    transform
        What makes the metric of the ratio (a root, Dice of Jaccard). The parts are stretched by one factor, so that
        they add up to the change of the metric.

    Notes
    -----
    With shares w = b / sum(b) and rates r = a / b, a slice's rate effect is mean(w) times the change of r, its mix
    effect the change of w times (mean(r) - R), where R is the mean of the two wholes (Kitagawa 1955,
    doi:10.1080/01621459.1955.10501299; Oaxaca 1973; Blinder 1973). Measured from R, a slice that grows raises the whole
    if it is better than the whole. A slice that one period lacks has only a mix effect.

    Examples
    --------
    >>> rows = np.array([10.0, 10.0])
    >>> found = split_change((np.array([8.0, 2.0]), rows), (np.array([6.0, 2.0]), rows))
    >>> found.rate.round(3).tolist(), abs(found.mix).tolist(), round(found.change, 3)
    ([-0.1, 0.0], [0.0, 0.0], -0.1)
    """
    (a0, b0), (a1, b1) = then, now
    whole0, whole1 = float(b0.sum()), float(b1.sum())
    if not (whole0 > 0 and whole1 > 0):
        nothing = np.full(len(a0), np.nan)
        return Split(nothing, nothing, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        r0, r1 = a0 / b0, a1 / b1
    r0, r1 = np.where(b0 > 0, r0, r1), np.where(b1 > 0, r1, r0)
    # A slice without rows in either period adds nothing.
    r0, r1 = np.nan_to_num(r0), np.nan_to_num(r1)
    w0, w1 = b0 / whole0, b1 / whole1
    before, after = float(a0.sum()) / whole0, float(a1.sum()) / whole1
    rate = (w0 + w1) / 2 * (r1 - r0)
    mix = (w1 - w0) * ((r0 + r1) / 2 - (before + after) / 2)
    if transform is None:
        return Split(mix, rate, after - before)
    factor, change = _stretch(before, after, transform)
    return Split(mix * factor, rate * factor, change)


def _stretch(before: float, after: float, transform: Callable[[Array], Array]) -> tuple[float, float]:
    """By how much the transformed ratio moves per unit of the ratio between two values, and by how much in all."""
    low, high = (float(value) for value in transform(np.array([before, after])))
    if before != after:
        return (high - low) / (after - before), high - low
    below, above = (float(value) for value in transform(np.array([max(before - _STEP, 0.0), before + _STEP])))
    return (above - below) / (before + _STEP - max(before - _STEP, 0.0)), 0.0
