"""Odds-ratio sensitivity: within cells, unlabelled rows are positive at ``delta`` times the odds of the labelled ones.

delta = 1 is missing at random within cells; 0 and infinity make every unlabelled row negative or positive. This is
the exponential tilt of Rotnitzky, Robins and Scharfstein 1998 (doi:10.1080/01621459.1998.10473795) on a grid of cells.
One delta for all cells gives a curve; every cell with a delta of its own, between two limits, gives a range.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from fbkit.measure.labels.bounds import NO_RANGE, Range
from fbkit.measure.labels.extremes import extreme
from fbkit.measure.labels.mar import Cells
from fbkit.measure.labels.masses import Metric, Rows, Slope, variance_of
from fbkit.measure.stats.intervals import Array

_ROUNDS: Final = 30
_WIDEST: Final = 1000.0
_STEPS: Final = 24
_HALVINGS: Final = 40


class Tilted(NamedTuple):
    """A metric under an assumption: value and error, and the range that rows in cells without a label leave open."""

    value: float
    error: float
    range: Range


def positive_share(cells: Cells, delta: Array) -> Array:
    """Share of positives among each cell's unlabelled rows: odds of the labelled ones times ``delta``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        tilted = np.where(cells.positive > 0, delta * cells.positive, 0.0)
        share = tilted / (cells.negative + tilted)
    return np.where(np.isinf(delta), 1.0, np.where(np.isnan(share), 0.0, share))


def masses(cells: Cells, delta: Array) -> tuple[Array, Array]:
    """Mass of each labelled row as a positive and as a negative, standing for the unlabelled rows of its cell too."""
    share, filled = positive_share(cells, delta), np.where(cells.helpless, 0.0, cells.unlabelled)
    positive = cells.positive + filled * share
    negative = cells.negative + filled * (1 - share)
    return cells.as_positive * positive[cells.code], cells.as_negative * negative[cells.code]


def tilted(metric: Metric, rows: Rows, cells: Cells, delta: Array) -> Tilted | None:
    """The metric with these odds ratios (one per cell); None where it is not defined."""
    positive, negative = masses(cells, delta)
    at = metric.slope(rows, positive, negative)
    if at is None:
        return None
    error = float(np.sqrt(variance_of(influence(rows, cells, delta, at), rows)))
    free = cells.helpless[cells.code] & ((rows.decided > 0) | (not metric.uses_flag)) & (rows.weight > 0)
    if not free.any():
        return Tilted(at.value, error, Range(at.value, at.value, error, error))
    ends = [extreme(metric, rows, positive, negative, free=free, sign=sign) for sign in (-1, 1)]
    exact = ends[0].exact and ends[1].exact
    return Tilted(at.value, error, Range(ends[0].value, ends[1].value, error, error, exact))


def influence(rows: Rows, cells: Cells, delta: Array, at: Slope) -> Array:
    """Influence of each row, labelled or not, on the metric: through its own mass, its cell's size and its cell's odds.

    The estimation of the cells' odds and label shares is thereby part of every interval.
    """
    code, label = cells.code, np.nan_to_num(rows.label)
    share, filled = positive_share(cells, delta), np.where(cells.helpless, 0.0, cells.unlabelled)
    mean1, mean0 = cells.sums(cells.as_positive * at.positive), cells.sums(cells.as_negative * at.negative)
    mass1, mass0 = cells.positive + filled * share, cells.negative + filled * (1 - share)
    steady = np.isinf(delta) | (delta == 0)
    d = np.where(steady, 0.0, delta)
    with np.errstate(invalid="ignore", divide="ignore"):
        turn = filled * d / np.square(cells.negative + d * cells.positive)
    turn = np.where(np.isfinite(turn), turn, 0.0) * (mean1 - mean0)
    own = cells.as_positive * mass1[code] * (at.positive - mean1[code])
    own += cells.as_negative * mass0[code] * (at.negative - mean0[code])
    as_positive = mean1[code] + (turn * cells.negative)[code]
    as_negative = mean0[code] - (turn * cells.positive)[code]
    through_cell = rows.weight * (label * as_positive + (1 - label) * as_negative)
    unlabelled = rows.weight * (share * mean1 + (1 - share) * mean0)[code]
    counted = ~rows.known & ~cells.helpless[code]
    return np.where(rows.known, own + through_cell, np.where(counted, unlabelled, 0.0))


def within(metric: Metric, rows: Rows, cells: Cells, low: float, high: float) -> Range:
    """The range of a metric if every cell's odds ratio lies anywhere between ``low`` and ``high``.

    Exact for ratios of sums (slopes followed to the optimum, see :mod:`fbkit.measure.labels.extremes`). For ROC AUC and
    average precision the search starts from cells of high and of low scores tilted apart, and may miss a wider range.
    """
    ends = [_furthest(metric, rows, cells, (low, high), sign) for sign in (-1, 1)]
    if any(end is None for end in ends):
        return NO_RANGE
    found = [tilted(metric, rows, cells, end) for end in ends if end is not None]
    if any(part is None for part in found):
        return NO_RANGE
    least, greatest = (part.range for part in found if part is not None)
    exact = metric.ordered is None and least.exact and greatest.exact
    return Range(least.low, greatest.high, least.se_low, greatest.se_high, exact)


def _furthest(metric: Metric, rows: Rows, cells: Cells, limits: tuple[float, float], sign: int) -> Array | None:
    best, best_value = None, -np.inf
    for start in _starts(metric, rows, cells, limits, sign):
        delta = start
        for _ in range(_ROUNDS):
            at = metric.slope(rows, *masses(cells, delta))
            if at is None:
                break
            if sign * at.value > best_value:
                best, best_value = delta, sign * at.value
            gain = cells.sums(cells.as_positive * at.positive) - cells.sums(cells.as_negative * at.negative)
            moved = np.where(sign * gain > 0, limits[1], np.where(sign * gain < 0, limits[0], delta))
            if np.array_equal(moved, delta):
                break
            delta = moved
    return best


def _starts(metric: Metric, rows: Rows, cells: Cells, limits: tuple[float, float], sign: int) -> list[Array]:
    middle = np.ones_like(cells.positive)
    if metric.ordered is None or not len(middle):
        return [np.clip(middle, *limits)]
    size = np.bincount(cells.code, minlength=len(middle))
    mean = cells.sums(rows.score) / np.maximum(size, 1)
    cuts = np.quantile(mean, (0.25, 0.5, 0.75))
    return [np.where(sign * (mean - cut) > 0, limits[1], limits[0]) for cut in cuts]


def tipping_delta(metric: Metric, rows: Rows, cells: Cells, reach: float) -> float | None:
    """The odds ratio nearest to 1, the same in every cell, at which the metric is ``reach``; None between 1/1000..1000.

    The curve need not rise everywhere (recall with one delta for flagged and other rows), so it is looked at step by
    step outward from 1, and halved where it crosses.
    """

    def above(log_delta: float) -> float:
        at = metric.slope(rows, *masses(cells, np.full_like(cells.positive, np.exp(log_delta))))
        return np.nan if at is None else at.value - reach

    start = above(0.0)
    if not np.isfinite(start):
        return None
    edges = np.linspace(0.0, np.log(_WIDEST), _STEPS + 1)
    last = {1: start, -1: start}
    for low, high in pairwise(edges.tolist()):
        found: list[float] = []
        for side in (1, -1):
            now = above(side * high)
            if np.isfinite(now) and now * last[side] <= 0:
                found.append(_halve(lambda x, s=side: above(s * x), low, high, last[side]) * side)
            last[side] = now
        if found:
            return float(np.exp(min(found, key=abs)))
    return None


def tipping_width(metric: Metric, rows: Rows, cells: Cells, reach: float) -> float | None:
    """The least odds ratio G such that deltas between 1/G and G, chosen cell by cell, bring the metric to ``reach``.

    No pattern of label loss that is weaker than this within the cells explains the value. None beyond 1000.
    """
    centre = metric.slope(rows, *masses(cells, np.ones_like(cells.positive)))
    if centre is None:
        return None
    sign = 1 if reach >= centre.value else -1

    def beyond(log_width: float) -> float:
        limits = (float(np.exp(-log_width)), float(np.exp(log_width)))
        delta = _furthest(metric, rows, cells, limits, sign)
        at = None if delta is None else metric.slope(rows, *masses(cells, delta))
        return np.nan if at is None else sign * (at.value - reach)

    top = float(np.log(_WIDEST))
    if not beyond(top) >= 0:
        return None
    if centre.value == reach:
        return 1.0
    return float(np.exp(_halve(beyond, 0.0, top, -1.0)))


def _halve(function: Callable[[float], float], low: float, high: float, at_low: float) -> float:
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        value = function(middle)
        low, high = (middle, high) if value * at_low > 0 else (low, middle)
    return (low + high) / 2
