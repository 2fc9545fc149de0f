"""Metrics as functions of masses per cell: positives, negatives and loss by decision, score bin and stratum."""

from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.settings import PROBABILITY_LOSSES, VALUE_LOSSES, ValueName, is_mean_of_values
from fbkit.measure.stats.corp import decompose, isotonic
from fbkit.measure.stats.ranking import average_precision, roc_auc

CELL_AXES = (-3, -2, -1)
CLIP = float(np.finfo(np.float64).eps)
"""Scores of log loss are kept this far from 0 and 1, as scikit-learn does."""
ERROR_BINS = 10
"""Equal-width bins of the expected calibration error; the score bins of triage are parts of them."""


@dataclass(frozen=True, slots=True)
class Masses:
    """Arrays of shape (..., decision, score bin, stratum): observed counts or what was estimated in their place."""

    positive: Floats
    negative: Floats
    loss: Floats | None = None

    def scaled(self, factor: Floats) -> "Masses":
        """The same cells, each multiplied by its factor."""
        return Masses(self.positive * factor, self.negative * factor, None if self.loss is None else self.loss * factor)


def evaluate(metric: str, masses: Masses) -> Floats:
    """The metric over the last three axes; NaN where it is undefined (0/0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric in PROBABILITY_LOSSES or is_mean_of_values(metric):
            return _mean_loss(metric, masses)
        if metric in _OF_BINS:
            return _OF_BINS[metric](masses)
        return _from_confusion(metric, masses)


def _loss(masses: Masses) -> Floats:
    if masses.loss is None:
        raise ValueError("a mean-loss metric needs the loss per cell")
    return masses.loss


def _mean_loss(metric: str, masses: Masses) -> Floats:
    mean = _loss(masses).sum(CELL_AXES) / (masses.positive + masses.negative).sum(CELL_AXES)
    return np.sqrt(mean) if metric == "rmse" else mean


def _binned_auc(masses: Masses) -> Floats:
    positive, negative = masses.positive.sum((-3, -1)), masses.negative.sum((-3, -1))
    below = np.cumsum(negative, axis=-1) - negative / 2
    return (positive * below).sum(-1) / (positive.sum(-1) * negative.sum(-1))


def _binned_precision(masses: Masses) -> Floats:
    """Average precision if the rows of a bin stand in random order.

    With ``a`` positives among ``c`` rows above a bin of ``p`` among ``n``, the precision at the share t of the bin is
    (a + t p) / (c + t n); its mean over t counts for the bin's positives.
    """
    positive, negative = (part.sum((-3, -1))[..., ::-1] for part in (masses.positive, masses.negative))
    size = positive + negative
    above, rows = np.cumsum(positive, axis=-1) - positive, np.cumsum(size, axis=-1) - size
    rate = np.where(size > 0, positive / size, 0.0)
    higher = np.where((size > 0) & (rows > 0), (above - rate * rows) / size * np.log1p(size / rows), 0.0)
    return (positive * (rate + higher)).sum(-1) / positive.sum(-1)


def _expected_error(masses: Masses) -> Floats:
    """Sum over the equal-width bins of |scores - labels|; a bin's loss is its score less its label."""
    gap = _loss(masses).sum((-3, -1))
    if gap.shape[-1] % ERROR_BINS:
        raise ValueError(f"the calibration error needs score bins that make up {ERROR_BINS} equal ones")
    wide = gap.reshape(*gap.shape[:-1], ERROR_BINS, -1).sum(-1)
    return np.abs(wide).sum(-1) / (masses.positive + masses.negative).sum(CELL_AXES)


def _miscalibration(masses: Masses) -> Floats:
    total = (masses.positive + masses.negative).sum(CELL_AXES)
    return _loss(masses).sum(CELL_AXES) / total - _recalibrated(masses)


def _discrimination(masses: Masses) -> Floats:
    positive = masses.positive.sum(CELL_AXES)
    base = positive / (positive + masses.negative.sum(CELL_AXES))
    return base * (1 - base) - _recalibrated(masses)


def _recalibrated(masses: Masses) -> Floats:
    """Brier score of the rising fit to the bins (pool adjacent violators), all draws in one pass."""
    positive, negative = masses.positive.sum((-3, -1)), masses.negative.sum((-3, -1))
    size = positive + negative
    rate = np.where(size > 0, positive / size, 0.0)
    defined = np.isfinite(rate).all(-1) & (size.sum(-1) > 0)
    rate, weight = np.nan_to_num(rate).astype(np.float64), np.nan_to_num(size)
    lines = rate.reshape(-1, rate.shape[-1])
    # Lines are lifted above each other, so that none pools with the next; an empty bin weighs next to nothing.
    lift = 2.0 * np.arange(len(lines))[:, None]
    least = 1e-12 * np.maximum(weight.sum(-1, keepdims=True), 1e-300)
    fitted = isotonic((lines + lift).ravel(), np.maximum(weight, least).ravel()).reshape(lines.shape) - lift
    fitted = fitted.reshape(rate.shape)
    loss = (weight * fitted**2 + np.nan_to_num(positive) * (1 - 2 * fitted)).sum(-1) / weight.sum(-1)
    return np.where(defined, loss, np.nan)


_OF_BINS = {
    "roc_auc": _binned_auc,
    "average_precision": _binned_precision,
    "ece": _expected_error,
    "mcb": _miscalibration,
    "dsc": _discrimination,
}


def exact_value(metric: str, *, score: Floats, label: Floats) -> float | None:
    """The value on labelled rows where the score bins only come near it; None where they are exact; NaN: undefined."""
    if metric in ("mcb", "dsc"):
        return decompose(score, label)[metric] if len(score) else float("nan")
    ranked = {"roc_auc": roc_auc, "average_precision": average_precision}.get(metric)
    return None if ranked is None else ranked(score, label).value


def _from_confusion(metric: str, masses: Masses) -> Floats:
    missed, found = _by_decision(masses.positive)
    passed, alarmed = _by_decision(masses.negative)
    total = missed + found + passed + alarmed
    if isinstance(metric, ValueName):
        found_is, missed_is, alarmed_is, passed_is = metric.worth
        return (found * found_is + missed * missed_is + alarmed * alarmed_is + passed * passed_is) / total
    formulas = {
        "recall": lambda: found / (found + missed),
        "precision": lambda: found / (found + alarmed),
        "specificity": lambda: passed / (passed + alarmed),
        "f1": lambda: 2 * found / (2 * found + alarmed + missed),
        "accuracy": lambda: (found + passed) / total,
        "base_rate": lambda: (found + missed) / total,
        "ctr": lambda: (found + missed) / total,
    }
    return formulas[metric]()


def _by_decision(mass: Floats) -> tuple[Floats, Floats]:
    both = mass.sum((-2, -1))
    return both[..., 0], both[..., 1]


def row_loss(metric: str, *, score: Floats, label: Floats) -> Floats | None:
    """What every row adds, NaN where the label is missing; None for metrics that need no such sum.

    A loss, and for the calibration error the score less the label.
    """
    if metric in ("brier", "mcb"):
        return (score - label) ** 2
    if metric == "log_loss":
        inner = np.clip(score, CLIP, 1 - CLIP)
        return -(label * np.log(inner) + (1 - label) * np.log1p(-inner))
    if metric == "ece":
        return score - label
    if metric in VALUE_LOSSES:
        error = score - label
        return {"mae": np.abs(error), "rmse": error**2, "bias": error}[metric]
    return None
