"""What one rung of the ladder believes of the labels, row by row; a repair turns it into the next rung's belief."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.metric import row_loss
from fbkit.diagnose.rows import Flags, Rows
from fbkit.diagnose.settings import OwnName, is_mean_of_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """Loss per row; of outcomes 0 and 1 also the part of the positives, and both as if they were none."""

    whole: Floats
    positive: Floats | None = None
    positive_if_not: Floats | None = None
    if_not: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """One entry per row of :class:`~fbkit.diagnose.rows.Rows`.

    Attributes
    ----------
    seen
        A label counts on this rung.
    y
        Probability that the label is positive, 0..1 (fractional after a repair); for errors of values the value
        itself. NaN where nothing is seen.
    weight
        How many rows a labelled row stands for: 1, or 1 / propensity of a row that was let through at random.
    seen1, seen0
        Chance that a positive (any other) label of the row would be visible by now; 1 when nothing is still to come.
    own
        A team's own metric per row, NaN where it does not count; None for the kit's metrics.
    """

    seen: Flags
    y: Floats
    weight: Floats
    seen1: Floats
    seen0: Floats
    own: Floats | None = None

    @classmethod
    def as_shown(cls, rows: Rows) -> Self:
        """What a dashboard shows: every labelled row counts once, and nothing is still to come."""
        ones = np.ones(len(rows))
        own = rows.loss if isinstance(rows.metric, OwnName) else None
        return cls(seen=rows.labelled, y=rows.label, weight=ones, seen1=ones, seen0=ones, own=own)

    def with_labels(self, where: Flags, y: Floats) -> Self:
        """These rows have (other) labels now; ``y`` has one entry per row of ``where``."""
        seen, new = self.seen | where, self.y.copy()
        new[where] = y
        return replace(self, seen=seen, y=new)

    def visible(self, *, positive: Floats, other: Floats) -> Self:
        """The same labels with the chance to be visible by now."""
        return replace(self, seen1=positive, seen0=other)

    def positives(self, metric: str) -> Floats:
        """Weight as a positive, 0 where nothing is seen and for means of values."""
        if is_mean_of_values(metric):
            return np.zeros(len(self.y))
        return np.where(self.seen, self.weight * np.nan_to_num(self.y), 0.0)

    def others(self, metric: str) -> Floats:
        """Weight as another label than a positive."""
        return np.where(self.seen, self.weight, 0.0) - self.positives(metric)

    def losses(self, rows: Rows) -> Losses | None:
        """Weighted sums to be per row, 0 where nothing is seen; None for metrics that are not means of a loss."""
        if self.own is not None or is_mean_of_values(rows.metric):
            loss = self.own if self.own is not None else row_loss(rows.metric, score=rows.score, label=self.y)
            whole = None if loss is None else np.where(self.seen, self.weight * np.nan_to_num(loss), 0.0)
            return None if whole is None else Losses(whole=whole)
        if_positive = row_loss(rows.metric, score=rows.score, label=np.ones(len(rows)))
        if_not = row_loss(rows.metric, score=rows.score, label=np.zeros(len(rows)))
        if if_positive is None or if_not is None:
            return None
        ones = self.positives(rows.metric)
        positive = ones * if_positive
        return Losses(
            whole=positive + self.others(rows.metric) * if_not,
            positive=positive,
            positive_if_not=ones * if_not,
            if_not=if_not,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What a repair found, and the labels as they stand after it.

    Attributes
    ----------
    cause
        The cause of the vocabulary that its rung is named by.
    labels
        The labels of the next rung.
    fires
        There is evidence beyond chance that this happened; a repair that does not fire leaves the labels as they were.
    where
        Slice, days or rows that it sits in, in words.
    evidence, next_evidence
        Sentences: what was found, with numbers out of ``numbers`` or ``frame``; what would overturn it.
    frame
        The evidence as a small frame (no row of a user), listed in the diagnosis under the name of the cause.
    numbers
        Name -> (kind, value) of every number in the sentences that is in no frame; see
        :func:`fbkit.diagnose.key_numbers.key_numbers_frame`.
    best
        The strongest word that these logs allow for it.
    reason
        Why its contribution is not what it seems, if so.
    either_side
        The labels if the estimated size of the repair were one standard error lower, and higher: adds the uncertainty
        of the estimate to the interval. Empty where the repair estimates nothing.
    """

    cause: str
    labels: Labels
    fires: bool
    where: str = "everywhere"
    evidence: str = ""
    next_evidence: str = ""
    frame: pl.DataFrame | None = None
    numbers: Mapping[str, tuple[str, float | None]] = field(default_factory=dict)
    best: str = "established"
    reason: str | None = None
    either_side: tuple[Labels, ...] = ()
