"""Faults of the traffic and of the pipeline that serves the model."""

from dataclasses import dataclass

import numpy as np

from fbkit.samples.faults.base import Injection, normalised
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
        for column, values in normalised(self.where):
            weights, members = world.mix(column, values)
            weights[np.ix_(days, members)] *= 1 + self.severity
