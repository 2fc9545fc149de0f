"""Faults of policy: what is done with a score."""

from dataclasses import dataclass

import numpy as np

from fbkit.samples.faults.base import Injection
from fbkit.samples.world import World


@dataclass(frozen=True, kw_only=True)
class ThresholdChange(Injection):
    """The operating threshold is multiplied by `1 + severity`."""

    cause = "threshold_change"
    family = "policy"
    highest = np.inf
    lowest = -1.0
    stage = "serving"

    def logged_change(self) -> tuple[str, str] | None:
        """Changes of the operating point are logged."""
        return "product", f"flagging threshold changed by {self.severity:+.0%}"

    def apply(self, world: World) -> None:
        """Serve with the new threshold."""
        rows = self.active(world)
        world.threshold[rows] = np.round(world.threshold[rows] * (1 + self.strength(world)[rows]), 4)
