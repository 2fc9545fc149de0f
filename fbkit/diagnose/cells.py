"""The count table of the ladder: (draw, window, decision, score bin, stratum)."""

from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler
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
        The same, each divided by the share of such labels that is visible at the row's age.
    loss, vloss
        Sum of the row loss over labelled rows, plain and so weighted; None for count metrics.
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
    rows: Rows, strata: Strata, *, bin_of: Ints, bins: int, resampler: Resampler, only: Flags | None = None
) -> Cells:
    """Count rows into cells.

    Parameters
    ----------
    bin_of, bins
        Score bin per row and their number.
    only
        Leave every other row out (for one version's rows).
    """
    shape = (-1, 2, 2, bins, strata.size)
    size = 4 * bins * strata.size
    code = ((rows.window * 2 + rows.decision) * bins + bin_of) * strata.size + strata.code
    every = np.ones(len(rows), dtype=bool) if only is None else only
    aged = bool((rows.weight[rows.labelled] != 1).any())

    def add(mask: Flags, values: Floats | None = None) -> Floats:
        return resampler.sums(code, size=size, rows=mask & every, values=values).reshape(shape)

    unlabelled = add(~rows.labelled)
    n1, n0 = add(rows.positive), add(rows.labelled & ~rows.positive)
    loss = None if rows.loss is None else add(rows.labelled, rows.loss)
    return Cells(
        n=unlabelled + n1 + n0,
        n1=n1,
        n0=n0,
        v1=add(rows.positive, rows.weight) if aged else n1,
        v0=add(rows.labelled & ~rows.positive, rows.weight) if aged else n0,
        loss=loss,
        vloss=None if rows.loss is None else add(rows.labelled, rows.loss * rows.weight) if aged else loss,
        strata=strata,
        bins=bins,
    )
