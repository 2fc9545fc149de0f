"""Metrics as functions of masses per cell: positives, negatives and loss by decision, score bin and stratum."""

from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.settings import PROBABILITY_LOSSES, VALUE_LOSSES, is_mean_of_values

CELL_AXES = (-3, -2, -1)


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
        if metric == "roc_auc":
            return _binned_auc(masses)
        return _from_confusion(metric, masses)


def _mean_loss(metric: str, masses: Masses) -> Floats:
    if masses.loss is None:
        raise ValueError("a mean-loss metric needs the loss per cell")
    mean = masses.loss.sum(CELL_AXES) / (masses.positive + masses.negative).sum(CELL_AXES)
    return np.sqrt(mean) if metric == "rmse" else mean


def _binned_auc(masses: Masses) -> Floats:
    positive, negative = masses.positive.sum((-3, -1)), masses.negative.sum((-3, -1))
    below = np.cumsum(negative, axis=-1) - negative / 2
    return (positive * below).sum(-1) / (positive.sum(-1) * negative.sum(-1))


def _from_confusion(metric: str, masses: Masses) -> Floats:
    missed, found = _by_decision(masses.positive)
    passed, alarmed = _by_decision(masses.negative)
    total = missed + found + passed + alarmed
    formulas = {
        "recall": lambda: found / (found + missed),
        "precision": lambda: found / (found + alarmed),
        "specificity": lambda: passed / (passed + alarmed),
        "f1": lambda: 2 * found / (2 * found + alarmed + missed),
        "accuracy": lambda: (found + passed) / total,
        "base_rate": lambda: (found + missed) / total,
    }
    return formulas[metric]()


def _by_decision(mass: Floats) -> tuple[Floats, Floats]:
    both = mass.sum((-2, -1))
    return both[..., 0], both[..., 1]


def row_loss(metric: str, *, score: Floats, label: Floats) -> Floats | None:
    """Loss of every row, NaN where the label is missing; None for metrics that are not means of a loss."""
    if metric == "brier":
        return (score - label) ** 2
    if metric == "log_loss":
        inner = np.clip(score, 1e-15, 1 - 1e-15)
        return -(label * np.log(inner) + (1 - label) * np.log1p(-inner))
    if metric in VALUE_LOSSES:
        error = score - label
        return {"mae": np.abs(error), "rmse": error**2, "bias": error}[metric]
    return None
