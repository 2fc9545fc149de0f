"""What the logs cannot exclude: tipping ratio, worst-case bounds, and how lopsided a loss would have to be."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.metric import Masses, evaluate, row_loss
from fbkit.diagnose.requests import HIGH, LOW
from fbkit.diagnose.rows import CURRENT, Flags, Rows
from fbkit.diagnose.settings import PROBABILITY_LOSSES, ValueName
from fbkit.measure.stats.intervals import quantile
from fbkit.measure.stats.ranking import auc_bounds

TIPPING_METRICS = ("recall", "precision", "specificity", "base_rate", "ctr")
TILTED_METRICS = (*TIPPING_METRICS, "f1", "accuracy", "roc_auc", "average_precision", "value_per_prediction")
"""Metrics of outcomes by decision and score bin alone: what labels that follow the outcome do to them is computed."""


def tipping_ratio(reference: float, current: float) -> float | None:
    """Ratio of label rates that would turn ``reference`` into ``current`` with an unchanged model.

    Selection-odds identity: logit(observed) = logit(true) + ln(rate ratio), so the whole change is an
    artefact exactly if the ratio moved by exp(logit current - logit reference). None at 0 or 1.

    >>> round(tipping_ratio(0.80, 0.68), 2)
    0.53
    """
    if not (0 < reference < 1 and 0 < current < 1):
        return None
    return float(np.exp(logit(current) - logit(reference)))


def worst_case(rows: Rows, *, window: int) -> tuple[float | None, float | None]:
    """Lowest and highest value of the metric over all labels that the unlabelled rows could have (Manski 2003).

    None, None where it is undefined and for metrics without a closed form: calibration errors, the parts of Brier's
    score, errors of values, a team's own. Average precision: outer bounds where an unlabelled row shares its score.
    """
    mine = rows.of(window)
    if rows.metric in PROBABILITY_LOSSES:
        return _loss_bounds(rows, mine)
    if rows.metric in ("roc_auc", "average_precision"):
        return _order_bounds(rows, mine)
    if LOW in rows.frame.columns:
        return _request_bounds(rows, mine)
    return rate_bounds(rows.metric, **_counts(rows, mine))


def _order_bounds(rows: Rows, mine: Flags) -> tuple[float | None, float | None]:
    known = mine & rows.labelled
    if rows.metric == "roc_auc":
        found = auc_bounds(rows.score[known], rows.label[known], missing=rows.score[mine & ~rows.labelled])
    else:
        from fbkit.measure.labels.bounds import ends  # not on the path of any other metric
        from fbkit.measure.labels.masses import METRICS
        from fbkit.measure.labels.masses import Rows as Sorted

        order = np.flatnonzero(mine)
        order = order[np.argsort(rows.score[order], kind="stable")]
        labels = np.where(rows.labelled, rows.label, np.nan)[order]
        decided = rows.decision[order].astype(np.float64)
        found = ends(METRICS["average_precision"], Sorted.of(rows.score[order], labels, decided))
    return (found[0], found[1]) if np.isfinite(found).all() else (None, None)


def _request_bounds(rows: Rows, mine: Flags) -> tuple[float | None, float | None]:
    """The mean over all requests at their least and greatest, stretched to hold the labelled requests' own mean."""
    ends = [rows.frame[name].fill_null(float("nan")).to_numpy()[mine] for name in (LOW, HIGH)]
    if not mine.any() or not np.isfinite(ends).all() or rows.loss is None:
        return None, None
    known = rows.loss[mine & rows.labelled]
    value = [float(known.mean())] if len(known) else []
    low, high = (float(end.mean()) for end in ends)
    return min([low, *value]), max([high, *value])


def _counts(rows: Rows, mine: np.ndarray) -> dict[str, float]:
    flagged, other = mine & (rows.decision == 1), mine & (rows.decision == 0)
    negative = rows.labelled & ~rows.positive
    masks = {
        "tp": rows.positive & flagged,
        "fn": rows.positive & other,
        "fp": negative & flagged,
        "tn": negative & other,
        "m1": ~rows.labelled & flagged,
        "m0": ~rows.labelled & other,
    }
    return {name: float(mask.sum()) for name, mask in masks.items()}


def rate_bounds(
    metric: str, *, tp: float, fn: float, fp: float, tn: float, m1: float, m0: float
) -> tuple[float | None, float | None]:
    """Bounds of a rate from its confusion counts and the flagged (m1) and other (m0) rows without a label.

    None, None for other metrics and where a denominator is 0.
    """
    total = tp + fn + fp + tn + m1 + m0
    if isinstance(metric, ValueName):
        found, missed, alarmed, passed = metric.worth
        known = tp * found + fn * missed + fp * alarmed + tn * passed
        either = ((m1, (found, alarmed)), (m0, (missed, passed)))
        low, high = (known + sum(n * end(worth) for n, worth in either) for end in (min, max))
        return (low / total, high / total) if total else (None, None)
    formulas = {
        "recall": ((tp, tp + fn + m0), (tp + m1, tp + m1 + fn)),
        "precision": ((tp, tp + fp + m1), (tp + m1, tp + fp + m1)),
        "specificity": ((tn, tn + fp + m1), (tn + m0, tn + m0 + fp)),
        "f1": ((2 * tp, 2 * tp + fp + m1 + fn + m0), (2 * (tp + m1), 2 * (tp + m1) + fp + fn)),
        "accuracy": ((tp + tn, total), (tp + tn + m1 + m0, total)),
        "base_rate": ((tp + fn, total), (tp + fn + m1 + m0, total)),
        "ctr": ((tp + fn, total), (tp + fn + m1 + m0, total)),
    }
    if metric not in formulas:
        return None, None
    ends = [None if below == 0 else above / below for above, below in formulas[metric]]
    return (None, None) if None in ends else (ends[0], ends[1])


def _loss_bounds(rows: Rows, mine: np.ndarray) -> tuple[float | None, float | None]:
    if rows.loss is None or not mine.any():
        return None, None
    open_score = rows.score[mine & ~rows.labelled]
    losses = (row_loss(rows.metric, score=open_score, label=np.full_like(open_score, y)) for y in (0.0, 1.0))
    either = [loss for loss in losses if loss is not None]
    known = float(rows.loss[mine & rows.labelled].sum())
    size = float(mine.sum())
    low, high = np.min(either, axis=0).sum(), np.max(either, axis=0).sum()
    return (known + float(low)) / size, (known + float(high)) / size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tilt:
    """Delta sensitivity: the odds ratio of being labelled, positive versus negative, within flagged cells.

    Attributes
    ----------
    vanish
        At this odds ratio the corrected change is zero; None if no ratio within 0.01..100 does it.
    touch
        At this odds ratio the interval of the corrected change reaches zero (1 if it does already).
    """

    vanish: float | None
    touch: float | None


def tilted(cells: Cells, rate: Floats, *, delta: float, metric: str, decision: int = 1, window: int = CURRENT) -> float:
    """The metric of a window if positives of ``decision`` were labelled with ``delta`` times the odds of negatives.

    p(positive) per cell = n1 / (n1 + delta n0), kept inside what the counts allow
    (n1/N .. 1 - n0/N). Point value only.
    """
    p = np.array(rate[0, window], dtype=np.float64)
    n = cells.n[0, window]
    own = p[decision]
    moved = expit(logit(np.clip(own, 1e-9, 1 - 1e-9)) - np.log(delta))
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(n[decision] > 0, cells.n1[0, window, decision] / n[decision], 0.0)
        most = np.where(n[decision] > 0, 1 - cells.n0[0, window, decision] / n[decision], 1.0)
    p[decision] = np.clip(moved, least, most)
    positive = np.where(n > 0, n * p, 0.0)
    negative = np.where(n > 0, n * (1 - p), 0.0)
    return float(evaluate(metric, Masses(positive, negative)))


def tilt(
    cells: Cells, rate: Floats, *, metric: str, reference: float, error: float | None, level: float = 0.95
) -> Tilt:
    """Search the odds ratio at which the change, or its interval, reaches zero."""
    start = tilted(cells, rate, delta=1.0, metric=metric) - reference
    if not np.isfinite(start) or start == 0:
        return Tilt(vanish=None, touch=None)
    margin = float(quantile(level)) * (error or 0.0)

    def change(log_delta: float) -> float:
        return tilted(cells, rate, delta=float(np.exp(log_delta)), metric=metric) - reference

    touch = 1.0 if abs(start) <= margin else _search(change, start, target=np.sign(start) * margin)
    return Tilt(vanish=_search(change, start, target=0.0), touch=touch)


def _search(change: Callable[[float], float], start: float, *, target: float) -> float | None:
    limit = float(np.log(100.0))
    for direction in (-1.0, 1.0):
        end = change(direction * limit)
        if (end - target) * (start - target) < 0:
            low, high = 0.0, direction * limit
            for _ in range(50):
                middle = (low + high) / 2
                low, high = (middle, high) if (change(middle) - target) * (start - target) > 0 else (low, middle)
            return float(np.exp((low + high) / 2))
    return None


def label_rate_ratio(cells: Cells, masses: Masses) -> Floats:
    """Label rate of detected positives over that of missed ones, by window: shape (draws + 1, 2).

    Estimated under loss at random within cells: labelled positives divided by corrected positives.
    """
    seen, there = cells.n1.sum((-2, -1)), masses.positive.sum((-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = seen / there
        return rate[..., 1] / rate[..., 0]


def reach(cells: Cells, rate: Floats, *, metric: str, gamma: tuple[float, float]) -> float:
    """How far the corrected change moves if labels depend on the outcome by an odds ratio of ``gamma`` per window.

    The larger move of the two directions, both windows added; 0 for gamma 1 and for metrics without tilt.
    """
    if metric not in TILTED_METRICS:
        return 0.0
    total = 0.0
    for window, strength in enumerate(gamma):
        if strength > 1:
            plain = tilted(cells, rate, delta=1.0, metric=metric, window=window)
            ends = [
                tilted(cells, rate, delta=d, metric=metric, window=window) - plain for d in (strength, 1 / strength)
            ]
            total += max(abs(end) for end in ends)
    return total
