"""Metrics of labels that are estimated row by row: value, influence of each row, slope in each row's label.

A label is y / F: a known positive stands for 1 / F positives, F being the chance that it is known by now. Its sum is
right on average in every group of rows, and so is every metric that adds such sums up.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from scipy.special import xlogy

from fbkit.measure.stats.corp import decompose, expected_error
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.ranking import Sample


class Rows(NamedTuple):
    """Rows of one cell: score, flag (NaN where there is no decision), estimated label (0 or 1 / F)."""

    score: Array
    flag: Array
    label: Array


class Fractional(NamedTuple):
    """``influence`` sums to about zero and its squares to the variance; ``slope`` is d value / d label by row."""

    value: float
    influence: Array
    slope: Array


def ratio(top: Array, bottom: Array, top_slope: Array, bottom_slope: Array | float) -> Fractional | None:
    """A ratio of two sums over rows; None without a denominator."""
    total = float(bottom.sum())
    if not total > 0:
        return None
    value = float(top.sum()) / total
    return Fractional(value, (top - value * bottom) / total, (top_slope - value * bottom_slope) / total)


def precision(rows: Rows) -> Fractional | None:
    """Positives among flagged rows."""
    flagged = np.nan_to_num(rows.flag)
    return ratio(flagged * rows.label, flagged, flagged, 0.0)


def recall(rows: Rows) -> Fractional | None:
    """Flagged among positives; rows without a decision are left out."""
    flagged, decided = np.nan_to_num(rows.flag), (~np.isnan(rows.flag)).astype(np.float64)
    return ratio(flagged * rows.label, decided * rows.label, flagged, decided)


def base_rate(rows: Rows) -> Fractional | None:
    """Positives among all rows."""
    ones = np.ones_like(rows.label)
    return ratio(rows.label, ones, ones, 0.0)


def brier(rows: Rows) -> Fractional | None:
    """Mean squared error of the score, linear in the label: s^2 + y (1 - 2 s)."""
    slope = 1 - 2 * rows.score
    return ratio(rows.score**2 + rows.label * slope, np.ones_like(slope), slope, 0.0)


def log_loss(rows: Rows) -> Fractional | None:
    """Mean negative log likelihood; scores of 0 and 1 are cut by the smallest step of a double."""
    score = np.clip(rows.score, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
    slope = np.log1p(-score) - np.log(score)
    return ratio(rows.label * slope - xlogy(1.0, 1 - score), np.ones_like(slope), slope, 0.0)


def roc_auc(rows: Rows) -> Fractional | None:
    """Area under the ROC curve; a row counts as ``label`` positives and ``1 - label`` negatives."""
    sample, order = Sample.of(rows.score, rows.label)
    pos, neg = sample.by_run(sample.positive), sample.by_run(sample.negative)
    p, n = float(pos.sum()), float(neg.sum())
    if not (p > 0 and n > 0):
        return None
    below = ((np.cumsum(neg) - neg / 2) / n)[sample.run]
    above = ((p - np.cumsum(pos) + pos / 2) / p)[sample.run]
    value = float(np.sum(sample.positive * below)) / p
    influence = sample.positive * (below - value) / p + sample.negative * (above - value) / n
    return _in_order(value, influence, (below - value) / p - (above - value) / n, order)


def average_precision(rows: Rows) -> Fractional | None:
    """Sum of (recall step) x precision. A positive's own part in its precision is 1, whatever it stands for."""
    sample, order = Sample.of(rows.score, rows.label)
    pos, size = sample.by_run(sample.positive)[::-1], sample.by_run(np.ones_like(sample.score))[::-1]
    p = float(pos.sum())
    if not p > 0:
        return None
    flagged = np.cumsum(size)
    at = np.cumsum(pos) / flagged
    itself = sample.positive * np.maximum(sample.positive - 1, 0) / flagged[::-1][sample.run]
    value = (float(np.sum(pos * at)) - float(itself.sum())) / p
    per_flag = pos / flagged
    from_here = np.cumsum(per_flag[::-1])[::-1]
    from_here_precision = np.cumsum((per_flag * at)[::-1])[::-1]
    as_positive = ((at - value + from_here - from_here_precision)[::-1] / p)[sample.run]
    as_negative = (-from_here_precision[::-1] / p)[sample.run]
    influence = sample.positive * as_positive + sample.negative * as_negative
    return _in_order(value, influence, as_positive - as_negative, order)


def _in_order(value: float, influence: Array, slope: Array, order: np.ndarray | None) -> Fractional:
    if order is None:
        return Fractional(value, influence, slope)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return Fractional(value, influence[back], slope[back])


def mcb(rows: Rows) -> Fractional | None:
    """Miscalibration (CORP); no interval."""
    return _plain(decompose(rows.score, rows.label)["mcb"]) if len(rows.score) else None


def ece(rows: Rows) -> Fractional | None:
    """Expected calibration error, ten equal bins; no interval."""
    return _plain(expected_error(rows.score, rows.label)) if len(rows.score) else None


def _plain(value: float) -> Fractional:
    return Fractional(value, np.zeros(0), np.zeros(0))


ESTIMATORS: Final[dict[str, Callable[[Rows], Fractional | None]]] = {
    "precision": precision,
    "recall": recall,
    "base_rate": base_rate,
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "brier": brier,
    "log_loss": log_loss,
    "mcb": mcb,
    "ece": ece,
}
