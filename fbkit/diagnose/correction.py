"""Corrected metric under labels missing at random within cells (Begg & Greenes 1983, latency-adjusted)."""

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.metric import Masses


def pooled_ratio(part: Floats, whole: Floats, *, labels: Floats, thin: int) -> Floats:
    """part / whole per cell; thin cells borrow from all strata of the score bin, then from the decision.

    Shapes (draws + 1, [window,] decision, bin, stratum). ``labels`` is the plain label count of the
    data (draw 0) by which a cell is called thin, so that all draws pool the same cells; a draw in
    which a cell lost all its labels borrows as well.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        own = part / whole
        by_bin = part.sum(-1, keepdims=True) / whole.sum(-1, keepdims=True)
        by_decision = part.sum((-2, -1), keepdims=True) / whole.sum((-2, -1), keepdims=True)
    by_bin = np.where(np.isfinite(by_bin), by_bin, by_decision)
    return np.where((labels < thin) | ~np.isfinite(own), by_bin, own)


def label_counts(cells: Cells) -> Floats:
    """Plain labels per cell in the data, with a leading axis of length 1."""
    return (cells.n1[:1] + cells.n0[:1]).astype(np.float64)


def positive_rate(cells: Cells, *, thin: int) -> Floats:
    """p(positive) per cell from latency-adjusted labels; NaN where a decision has no label at all."""
    return pooled_ratio(cells.v1, cells.v1 + cells.v0, labels=label_counts(cells), thin=thin)


def mean_loss(cells: Cells, *, thin: int) -> Floats | None:
    """Mean loss per cell, pooled like the rate."""
    if cells.vloss is None:
        return None
    return pooled_ratio(cells.vloss, cells.v1 + cells.v0, labels=label_counts(cells), thin=thin)


def corrected(cells: Cells, *, thin: int) -> Masses:
    """Every prediction counted, labelled or not: cell size times the cell's rate.

    Cells without predictions count zero whatever their rate.
    """
    rate, loss = positive_rate(cells, thin=thin), mean_loss(cells, thin=thin)
    positive, negative = _times(cells.n, rate), _times(cells.n, 1 - rate)
    return Masses(positive, negative, None if loss is None else _times(cells.n, loss))


def _times(size: Floats, rate: Floats) -> Floats:
    return np.where(size > 0, size * rate, 0.0)
