"""A replay on cells: what the current mix, scores and threshold do to the reference's own rates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import mean_loss, positive_rate
from fbkit.diagnose.metric import Masses, evaluate
from fbkit.diagnose.player import COVARIATE, MIX, THRESHOLD
from fbkit.diagnose.rows import CURRENT, REFERENCE


@dataclass(frozen=True, slots=True)
class Stage:
    """What a replay needs, by window: sizes by (bin, stratum), flagged share, and the reference's rates."""

    metric: str
    share: tuple[Floats, Floats]
    inside: tuple[Floats, Floats]
    flagged: tuple[Floats, Floats]
    rate: Floats
    loss: Floats | None

    @classmethod
    def of(cls, cells: Cells, *, metric: str, thin: int) -> "Stage":
        """Take the stage apart: p(stratum), p(bin given stratum), p(flagged given bin, stratum), p(positive)."""
        by_window = [cells.n[:, window] for window in (REFERENCE, CURRENT)]
        size = [table.sum(1) for table in by_window]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = [table.sum(1, keepdims=True) / table.sum((1, 2), keepdims=True) for table in size]
            inside = [table / table.sum(1, keepdims=True) for table in size]
            pooled = [table.sum(2, keepdims=True) / table.sum((1, 2), keepdims=True) for table in size]
            flag = [_flagged(table) for table in by_window]
        inside[0] = np.where(np.isfinite(inside[0]), inside[0], pooled[0])
        inside[1] = np.where(np.isfinite(inside[1]), inside[1], inside[0])
        flag[1] = np.where(np.isfinite(flag[1]), flag[1], flag[0])
        flag[0] = np.where(np.isfinite(flag[0]), flag[0], flag[1])
        rate, loss = positive_rate(cells, thin=thin)[:, REFERENCE], mean_loss(cells, thin=thin)
        weight = by_window[0]
        loss = None if loss is None else _blend(loss[:, REFERENCE], weight)
        return cls(metric, (share[0], share[1]), (inside[0], inside[1]), (flag[0], flag[1]), _blend(rate, weight), loss)

    def masses(self, changed: Sequence[str]) -> Masses:
        """The reference world with the named players at their current value."""
        share = self.share[CURRENT if MIX in changed else REFERENCE]
        inside = self.inside[CURRENT if COVARIATE in changed else REFERENCE]
        flagged = np.nan_to_num(self.flagged[CURRENT if THRESHOLD in changed else REFERENCE])
        size = share * inside
        rate = self.rate
        split = np.stack([1 - flagged, flagged], axis=1)
        positive = (size * rate)[:, None] * split
        negative = (size * (1 - rate))[:, None] * split
        return Masses(positive, negative, None if self.loss is None else (size * self.loss)[:, None] * split)

    def value(self, changed: Sequence[str]) -> Floats:
        """The metric of that world, one value per draw."""
        return evaluate(self.metric, self.masses(changed))


def _flagged(table: Floats) -> Floats:
    """p(flagged) per bin and stratum; where nobody stood, the bin's share over all strata."""
    own = table[:, 1] / table.sum(1)
    pooled = table[:, 1].sum(-1, keepdims=True) / table.sum((1, 3))[..., None]
    return np.where(np.isfinite(own), own, pooled)


def _blend(by_decision: Floats, weight: Floats) -> Floats:
    """Average over the two decisions of a bin with the reference's sizes; plain mean where nobody stood."""
    known = np.where(np.isfinite(by_decision), by_decision, 0.0)
    mass = np.where(np.isfinite(by_decision), weight, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (known * mass).sum(1) / mass.sum(1)
        overall = (known * mass).sum((1, 2, 3)) / mass.sum((1, 2, 3))
        by_bin = (known * mass).sum((1, 3)) / mass.sum((1, 3))
    by_bin = np.where(np.isfinite(by_bin), by_bin, overall[:, None])
    return np.where(np.isfinite(mean), mean, by_bin[..., None])
