"""Faults of policy: what is done with a score."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.faults.base import Injection
from fbkit.samples.world import World

NEW_POLICY: Final = "block-2"


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
        changed = world.threshold[rows] * (1 + self.strength(world)[rows])
        world.threshold[rows] = np.round(changed, world.config.decimals)


@dataclass(frozen=True, kw_only=True)
class ActionCensoring(Injection):
    """The share `severity` of the flagged rows that were let through comes to lie above the block score.

    Outcomes of blocked rows never come. `exploration` is the share of them that is let through at random from then on
    (None: as before; 0: nobody, so that nothing is known of them). The action log, if `WorldConfig.actions` asks for
    one, tells all of it; `logged=False` keeps it out of the change log.
    """

    cause = "action_censoring"
    family = "policy"
    stage = "policy"

    exploration: float | None = None
    logged: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= (self.exploration or 0.0) <= 1:
            raise ArgumentError(
                "impossible share of explored rows",
                got=self.exploration,
                allowed="0 to 1, or None",
                next_step="choose a share in that range",
            )

    def logged_change(self) -> tuple[str, str] | None:
        """Changes of what is blocked are logged."""
        return ("product", "payments are blocked from a lower score on") if self.logged and self.severity else None

    def apply(self, world: World) -> None:
        """Block from a lower score on."""
        strength, rows = self.strength(world), self.active(world) & (self.severity > 0)
        share = world.config.blocked_share + strength * (1 - world.config.blocked_share)
        scores = world.constants.block_scores(share)
        world.block_score = np.where(rows, np.minimum(world.block_score, scores), world.block_score)
        world.policy = np.where(rows, NEW_POLICY, world.policy)
        if self.exploration is not None:
            world.exploration = np.where(rows, self.exploration, world.exploration)
