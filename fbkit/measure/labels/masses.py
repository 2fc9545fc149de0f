"""Metrics of rows that are partly positive and partly negative: value, and slope in each row's mass of either.

Whatever one assumes about missing labels ends in two numbers a row: its mass as a positive and its mass as a negative.
A labelled row has its weight in one of them, a row without a label what the assumption says. Every metric here is a
smooth function of these masses that does not change when all are doubled, so that its slopes give the influence of
each row, and with it every interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.kernels.binary import Rate, Table, balanced_accuracy, correlation
from fbkit.measure.stats.intervals import (
    Array,
    cluster_totals,
    dot,
    logit_interval,
    mean_by_variance,
    proportion_by_variance,
)
from fbkit.measure.stats.ranking import Influence, Sample, auc_influence, precision_influence


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one cell that count at the stage, labelled or not, by rising score.

    ``label`` is NaN where there is none, ``flag`` where there is no decision; ``cluster`` None means independent rows.
    """

    score: Array
    label: Array
    flag: Array
    weight: Array
    cluster: NDArray[np.int64] | None
    starts: NDArray[np.int64]
    run: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        score: Array,
        label: Array,
        flag: Array,
        *,
        weight: Array | None = None,
        cluster: NDArray[np.int64] | None = None,
    ) -> "Rows":
        """Rows in rising order of their scores."""
        change = np.empty(len(score), dtype=bool)
        change[:1] = True
        np.not_equal(score[1:], score[:-1], out=change[1:])
        starts = np.flatnonzero(change)
        return cls(
            score=score,
            label=label,
            flag=flag,
            weight=np.ones_like(score) if weight is None else weight,
            cluster=cluster,
            starts=starts,
            run=np.repeat(np.arange(len(starts)), np.diff(starts, append=len(score))),
            known=~np.isnan(label),
        )

    @property
    def each(self) -> Array:
        """1 for every row."""
        return np.ones_like(self.score)

    @property
    def none(self) -> Array:
        """0 for every row."""
        return np.zeros_like(self.score)

    @property
    def flagged(self) -> Array:
        """1 for flagged rows, 0 for others and for those without a decision."""
        return (self.flag > 0).astype(np.float64)

    @property
    def decided(self) -> Array:
        """1 for rows with a decision."""
        return (~np.isnan(self.flag)).astype(np.float64)

    def labelled(self) -> tuple[Array, Array]:
        """Masses of the labelled rows alone."""
        label = np.nan_to_num(self.label)
        return self.weight * label, np.where(self.known, self.weight * (1 - label), 0.0)


class Slope(NamedTuple):
    """A value, and its derivative in each row's mass as a positive and as a negative."""

    value: float
    positive: Array
    negative: Array


Parts = tuple[Array, Array, Array, Array]
Bounds = tuple[float, float]


def _no_parts(rows: Rows) -> Parts:
    return rows.none, rows.none, rows.each, rows.each


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of masses.

    A ratio states by ``parts`` what a unit of positive and of negative mass adds to its numerator and to its
    denominator: (n1, n0, d1, d0) by row. An ordered one has ``ordered`` instead, a function of a sample's runs, and
    one that is no ratio of sums ``rate``, a function of the two-by-two table with its slopes.
    """

    name: str
    kind: Literal["proportion", "mean", "logit"] = "proportion"
    parts: Callable[[Rows], Parts] = _no_parts
    ordered: Callable[[Sample], Influence | None] | None = None
    rate: Rate | None = None
    uses_flag: bool = False
    probability: bool = False
    empty: str = "no labelled rows"
    floor: float = 0.0
    ceiling: float = 1.0

    def slope(self, rows: Rows, positive: Array, negative: Array) -> Slope | None:
        """Value and derivatives for these masses; None where the metric is not defined."""
        if self.ordered is not None:
            sample = Sample(score=rows.score, positive=positive, negative=negative, starts=rows.starts, unit=False)
            found = self.ordered(sample)
            if found is None:
                return None
            return Slope(found.value, found.as_positive[rows.run], found.as_negative[rows.run])
        if self.rate is not None:
            return _slope_of_table(self.rate, rows, positive, negative)
        n1, n0, d1, d0 = self.parts(rows)
        total = dot(positive, d1) + dot(negative, d0)
        if not total > 0:
            return None
        value = (dot(positive, n1) + dot(negative, n0)) / total
        return Slope(value, (n1 - value * d1) / total, (n0 - value * d0) / total)

    def support(self, rows: Rows) -> NDArray[np.bool_]:
        """Labelled rows that the metric is made of: for recall the positives with a decision."""
        if self.ordered is not None:
            return rows.known
        if self.rate is not None:
            return rows.known & (rows.decided > 0)
        _, _, d1, d0 = self.parts(rows)
        return rows.known & (np.where(rows.label > 0, d1, 0.0) + np.where(rows.label < 1, d0, 0.0) > 0)

    def interval(self, value: float, variance: float, *, units: int, level: float) -> Bounds:
        """Interval of a value with this variance, which rests on ``units`` independent units."""
        unseen = self.kind == "logit" and not (0 < value < 1 and variance > 0)
        if self.kind == "proportion" or unseen:
            lower, upper = proportion_by_variance(value, variance, np.inf, units=units, level=level)
        elif self.kind == "logit":
            lower, upper = logit_interval(value, variance, level=level)
        else:
            lower, upper = mean_by_variance(
                value, variance, units=units, level=level, low=self.floor, high=self.ceiling
            )
        return float(lower), float(upper)


def _slope_of_table(rate: Rate, rows: Rows, positive: Array, negative: Array) -> Slope | None:
    flagged, left = rows.flagged, rows.decided - rows.flagged
    sums = (dot(mass, part) for part in (flagged, left) for mass in (positive, negative))
    value, slopes = rate(Table(*sums))
    if np.isnan(value):
        return None
    return Slope(value, slopes.tp * flagged + slopes.fn * left, slopes.fp * flagged + slopes.tn * left)


def variance_of(influence: Array, rows: Rows) -> float:
    """Variance of a value from the influence of each row, by entity where entities repeat."""
    totals = influence if rows.cluster is None else cluster_totals(influence, rows.cluster)
    units = int(np.count_nonzero(totals))
    return dot(totals, totals) * units / (units - 1) if units > 1 else np.nan


def units_of(support: NDArray[np.bool_], rows: Rows) -> int:
    """Independent units among some rows."""
    return int(support.sum()) if rows.cluster is None else len(np.unique(rows.cluster[support]))


def _recall(rows: Rows) -> Parts:
    return rows.flagged, rows.none, rows.decided, rows.none


def _precision(rows: Rows) -> Parts:
    return rows.flagged, rows.none, rows.flagged, rows.flagged


def _specificity(rows: Rows) -> Parts:
    return rows.none, rows.decided - rows.flagged, rows.none, rows.decided


def _false_positive_rate(rows: Rows) -> Parts:
    return rows.none, rows.flagged, rows.none, rows.decided


def _npv(rows: Rows) -> Parts:
    left = rows.decided - rows.flagged
    return rows.none, left, left, left


def _accuracy(rows: Rows) -> Parts:
    return rows.flagged, rows.decided - rows.flagged, rows.decided, rows.decided


def _base_rate(rows: Rows) -> Parts:
    return rows.each, rows.none, rows.each, rows.each


def _brier(rows: Rows) -> Parts:
    return np.square(1 - rows.score), np.square(rows.score), rows.each, rows.each


def _log_loss(rows: Rows) -> Parts:
    # Clipped as scikit-learn does, so that a score of exactly 0 or 1 costs about 36, not infinity.
    clipped = np.clip(rows.score, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
    return -np.log(clipped), -np.log(1 - clipped), rows.each, rows.each


def f_beta(beta: float) -> Callable[[Rows], Parts]:
    """Parts of F-beta: (1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)."""
    square = beta * beta

    def parts(rows: Rows) -> Parts:
        hit = (1 + square) * rows.flagged
        return hit, rows.none, hit + square * (rows.decided - rows.flagged), rows.flagged

    return parts


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric(name="recall", parts=_recall, uses_flag=True, empty="no positives"),
        Metric(name="precision", parts=_precision, uses_flag=True, empty="no labelled row is flagged"),
        Metric(name="specificity", parts=_specificity, uses_flag=True, empty="no negatives"),
        Metric(name="accuracy", parts=_accuracy, uses_flag=True),
        Metric(name="f1", parts=f_beta(1.0), uses_flag=True, empty="no labelled row is positive or flagged"),
        Metric(name="f0_5", parts=f_beta(0.5), uses_flag=True, empty="no labelled row is positive or flagged"),
        Metric(name="f2", parts=f_beta(2.0), uses_flag=True, empty="no labelled row is positive or flagged"),
        Metric(name="false_positive_rate", parts=_false_positive_rate, uses_flag=True, empty="no negatives"),
        Metric(name="npv", parts=_npv, uses_flag=True, empty="every labelled row is flagged"),
        Metric(name="balanced_accuracy", rate=balanced_accuracy, uses_flag=True, empty="one class"),
        Metric(
            name="mcc", rate=correlation, kind="mean", uses_flag=True, floor=-1.0, empty="one class or one decision"
        ),
        Metric(name="base_rate", parts=_base_rate),
        Metric(name="brier", parts=_brier, kind="mean", probability=True),
        Metric(name="log_loss", parts=_log_loss, kind="mean", probability=True, ceiling=np.inf),
        Metric(name="roc_auc", ordered=auc_influence, kind="logit", empty="one class"),
        Metric(name="average_precision", ordered=precision_influence, kind="logit", empty="no positives"),
    )
}
