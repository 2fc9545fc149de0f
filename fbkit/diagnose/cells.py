"""The count table of the ladder: (draw, window, decision, score bin, stratum)."""

from dataclasses import dataclass, replace

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import Masses
from fbkit.diagnose.rows import Flags, Rows, Strata


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Additive counts; axis 0 is the bootstrap draw (0 = the data).

    Attributes
    ----------
    n
        Predictions.
    n1, n0
        Labelled positives and labelled others, as they stand.
    v1, v0
        The same scaled up by what is still to come: divided by the mean visibility of such labels over
        the cell's predictions (ratio of totals, steadier than a sum of inverse visibilities).
    loss, vloss
        Sum of the row loss over labelled rows, plain and so scaled; None for count metrics.
    loss1
        The part of ``loss`` that positives have; None where outcomes are values.
    silent_loss, raise1
        Sum over all predictions of the loss if none is a positive, and what the labelled positives add to it by
        being positives; None unless labels are still to come.
    """

    n: Floats
    n1: Floats
    n0: Floats
    v1: Floats
    v0: Floats
    loss: Floats | None
    vloss: Floats | None
    strata: Strata
    bins: int
    loss1: Floats | None = None
    silent_loss: Floats | None = None
    raise1: Floats | None = None

    def observed(self) -> Masses:
        """Labelled rows as they stand."""
        return Masses(self.n1, self.n0, self.loss)

    def like_for_like(self) -> Masses:
        """Labelled rows, each standing for those of its kind that are still to come."""
        return Masses(self.v1, self.v0, self.vloss)

    def with_labels(self, *, v1: Floats, v0: Floats) -> "Cells":
        """The same cells with other final numbers of labels; their losses follow, apart for positives and others."""
        return replace(self, v1=v1, v0=v0, vloss=_vloss(self.loss, self.loss1, self.n1, self.n0, v1, v0))


def count(
    rows: Rows,
    labels: Labels,
    strata: Strata,
    *,
    bin_of: Ints,
    bins: int,
    resampler: Resampler,
    only: Flags | None = None,
) -> Cells:
    """Count rows into cells.

    Parameters
    ----------
    labels
        What is believed of the labels.
    bin_of, bins
        Score bin per row and their number.
    only
        Leave every other row out (for one version's rows).
    """
    shape = (-1, 2, 2, bins, strata.size)
    size = 4 * bins * strata.size
    code = ((rows.window * 2 + rows.decision) * bins + bin_of) * strata.size + strata.code
    aged = bool((labels.seen1 < 1).any() or (labels.seen0 < 1).any())

    def add(values: Floats | None = None) -> Floats:
        return resampler.sums(code, size=size, rows=only, values=values).reshape(shape)

    n, n1, n0 = add(), add(labels.positives(rows.metric)), add(labels.others(rows.metric))
    losses = labels.losses(rows)
    loss = None if losses is None else add(losses.whole)
    loss1 = None if losses is None or losses.positive is None else add(losses.positive)
    silent_loss = raise1 = None
    if losses is not None and losses.positive_if_not is not None and loss1 is not None and aged:
        silent_loss, raise1 = add(losses.if_not), loss1 - add(losses.positive_if_not)
    v1, v0 = (_scaled(n1, n, add(labels.seen1)), _scaled(n0, n, add(labels.seen0))) if aged else (n1, n0)
    return Cells(
        n=n,
        n1=n1,
        n0=n0,
        v1=v1,
        v0=v0,
        loss=loss,
        vloss=_vloss(loss, loss1, n1, n0, v1, v0),
        strata=strata,
        bins=bins,
        loss1=loss1,
        silent_loss=silent_loss,
        raise1=raise1,
    )


def _vloss(loss: Floats | None, loss1: Floats | None, n1: Floats, n0: Floats, v1: Floats, v0: Floats) -> Floats | None:
    if loss is None:
        return None
    if loss1 is None:
        return loss * _share(v1 + v0, n1 + n0)
    return loss1 * _share(v1, n1) + (loss - loss1) * _share(v0, n0)


def _scaled(labels: Floats, n: Floats, seen: Floats) -> Floats:
    return labels * _share(n, seen)


def _share(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, 0.0)
