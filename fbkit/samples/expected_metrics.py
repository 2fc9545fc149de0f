"""Metrics of expected counts: rows gathered by score and decision, with the weight of positives and negatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.samples.world import Bools, Floats

BINS: Final = 10
VALUE: Final = {"true_positive": 120.0, "false_positive": -8.0, "false_negative": -120.0, "true_negative": 0.0}
"""What the contract of a simulated loop says a decision is worth."""

_CLIP: Final = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Expected rows by score: `positive` and `negative` have shape (2, scores), not flagged and flagged."""

    score: Floats
    positive: Floats
    negative: Floats

    @property
    def counts(self) -> tuple[float, float, float, float]:
        """True and false positives, false and true negatives."""
        missed, caught = self.positive.sum(axis=1)
        passed, stopped = self.negative.sum(axis=1)
        return float(caught), float(stopped), float(missed), float(passed)

    @property
    def sides(self) -> tuple[Floats, Floats]:
        """Positives and negatives by score, whatever the decision."""
        return self.positive.sum(axis=0), self.negative.sum(axis=0)

    @property
    def total(self) -> float:
        """All of them."""
        return float(self.positive.sum() + self.negative.sum())


def gathered(score: Floats, flagged: Bools, *, positive: Floats, negative: Floats) -> Tally:
    """The tally of rows. Equal scores are one entry."""
    levels, code = np.unique(score, return_inverse=True)
    place = code + len(levels) * flagged

    def sums(weight: Floats) -> Floats:
        return np.asarray(np.bincount(place, weights=weight, minlength=2 * len(levels)), np.float64).reshape(2, -1)

    return Tally(score=levels, positive=sums(positive), negative=sums(negative))


def _recall(tally: Tally) -> float:
    caught, _, missed, _ = tally.counts
    return caught / (caught + missed)


def _precision(tally: Tally) -> float:
    caught, stopped, _, _ = tally.counts
    return caught / (caught + stopped)


def _specificity(tally: Tally) -> float:
    _, stopped, _, passed = tally.counts
    return passed / (passed + stopped)


def _f1(tally: Tally) -> float:
    caught, stopped, missed, _ = tally.counts
    return 2 * caught / (2 * caught + stopped + missed)


def _accuracy(tally: Tally) -> float:
    caught, _, _, passed = tally.counts
    return (caught + passed) / tally.total


def _base_rate(tally: Tally) -> float:
    return float(tally.positive.sum()) / tally.total


def _brier(tally: Tally) -> float:
    positive, negative = tally.sides
    return float(positive @ (1 - tally.score) ** 2 + negative @ tally.score**2) / tally.total


def _log_loss(tally: Tally) -> float:
    positive, negative = tally.sides
    score = np.clip(tally.score, _CLIP, 1 - _CLIP)
    return -float(positive @ np.log(score) + negative @ np.log1p(-score)) / tally.total


def _roc_auc(tally: Tally) -> float:
    positive, negative = tally.sides
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below) / float(positive.sum() * negative.sum())


def _average_precision(tally: Tally) -> float:
    positive, negative = (side[::-1] for side in tally.sides)
    caught, flagged = np.cumsum(positive), np.cumsum(positive + negative)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return float(positive @ precision) / float(positive.sum())


def _ece(tally: Tally) -> float:
    positive, negative = tally.sides
    bins = np.clip((tally.score * BINS).astype(np.int64), 0, BINS - 1)
    excess = (positive + negative) * tally.score - positive
    return float(np.abs(np.bincount(bins, weights=excess)).sum()) / tally.total


def _mcb(tally: Tally) -> float:
    from scipy.optimize import isotonic_regression

    positive, negative = tally.sides
    held = positive + negative > 0
    n = (positive + negative)[held]
    fitted = isotonic_regression(positive[held] / n, weights=n).x
    recalibrated = float(positive[held] @ (1 - fitted) ** 2 + negative[held] @ fitted**2) / tally.total
    return _brier(tally) - recalibrated


def _value(tally: Tally) -> float:
    caught, stopped, missed, passed = tally.counts
    worth = caught * VALUE["true_positive"] + stopped * VALUE["false_positive"]
    return (worth + missed * VALUE["false_negative"] + passed * VALUE["true_negative"]) / tally.total


METRICS: Final[dict[str, Callable[[Tally], float]]] = {
    "recall": _recall,
    "precision": _precision,
    "specificity": _specificity,
    "f1": _f1,
    "accuracy": _accuracy,
    "base_rate": _base_rate,
    "brier": _brier,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "ece": _ece,
    "mcb": _mcb,
    "value_per_prediction": _value,
}
"""The metrics that have an exact expectation; those of `ece` and `mcb` are what large samples come close to."""
