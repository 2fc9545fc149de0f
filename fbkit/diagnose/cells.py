"""The count table of the ladder: (draw, window, decision, score bin, stratum)."""

from dataclasses import dataclass

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

    def observed(self) -> Masses:
        """Labelled rows as they stand."""
        return Masses(self.n1, self.n0, self.loss)

    def like_for_like(self) -> Masses:
        """Labelled rows, each standing for those of its kind that are still to come."""
        return Masses(self.v1, self.v0, self.vloss)


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
    loss = None if losses is None else add(losses)
    v1, v0 = (_scaled(n1, n, add(labels.seen1)), _scaled(n0, n, add(labels.seen0))) if aged else (n1, n0)
    return Cells(
        n=n,
        n1=n1,
        n0=n0,
        v1=v1,
        v0=v0,
        loss=loss,
        vloss=None if loss is None else loss * _share(v1 + v0, n1 + n0),
        strata=strata,
        bins=bins,
    )


def _scaled(labels: Floats, n: Floats, seen: Floats) -> Floats:
    return labels * _share(n, seen)


def _share(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, 0.0)
