"""Faults of the traffic: other rows come in, and the model serves them as it always did."""

from dataclasses import dataclass

import numpy as np

from fbkit.samples.faults.base import Injection, normalised
from fbkit.samples.features import index
from fbkit.samples.stages import FEATURE_CORRELATION
from fbkit.samples.world import World


@dataclass(frozen=True, kw_only=True)
class MixShift(Injection):
    """Traffic of the slices in `where` is multiplied by `1 + severity`; the volume of a day stays as it was."""

    cause = "mix_shift"
    family = "mix"
    highest = np.inf
    lowest = -1.0
    stage = "traffic"

    def apply(self, world: World) -> None:
        """Change who is active on the days of the fault."""
        day = np.arange(world.config.days) - world.config.reference_days
        days = (day >= self.start) & (day < (np.inf if self.end is None else self.end))
        growth = self.grown(world, np.flatnonzero(days).astype(np.float64) + 0.5) if self.ramp else np.ones(days.sum())
        for column, values in normalised(self.where):
            weights, members = world.mix(column, values)
            weights[np.ix_(days, members)] *= 1 + self.severity * growth[:, None]


@dataclass(frozen=True, kw_only=True)
class CovariateShift(Injection):
    """The inputs really change: `feature` moves by `severity` standard deviations, and scores and outcomes follow.

    The other features move with it as far as they are correlated with it, unless `alone`. The feature `unlogged` is one
    that the model reads and nobody logs.
    """

    cause = "covariate_shift"
    family = "mix"
    highest = np.inf
    lowest = -np.inf
    stage = "payments"

    feature: str = "ip_risk"
    alone: bool = False

    def apply(self, world: World) -> None:
        """Move the features of the rows, as they are and as they are served."""
        moved = self.strength(world)
        if self.feature == "unlogged":
            world.unlogged = world.unlogged + moved
            return
        k = index(self.feature)
        along = np.eye(len(FEATURE_CORRELATION))[k] if self.alone else FEATURE_CORRELATION[k]
        world.z = world.z + moved[:, None] * along
        world.served = world.z.copy()
