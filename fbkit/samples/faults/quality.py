"""Faults of the model's quality: the world moves away from the score, or the score gets worse."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fbkit.samples.faults.base import Injection
from fbkit.samples.world import World, expit, solve

NOISE_UNIT: Final = 0.8
"""Weight of the noise of a healthy model, the unit of a worse version's."""

WRONG_WEIGHTS: Final = np.array([0.73, -0.73, -0.02])
"""Weights of logged features that lead a worse version astray: they say next to nothing about the risk."""


@dataclass(frozen=True, kw_only=True)
class ConceptDrift(Injection):
    """Fraud moves to where the score does not look: the share `severity` of the visible log odds becomes invisible.

    The base rate of the touched rows stays as it was.
    """

    cause = "concept_drift"
    family = "quality"
    stage = "outcomes"

    def apply(self, world: World) -> None:
        """Replace a part of what the model sees by something that it does not see."""
        rows = self.active(world)
        if not rows.any():
            return
        before = float(expit(world.eta[rows]).mean())
        visible = world.visible[rows]
        strength = self.strength(world)[rows]
        moved = np.sqrt(1 - (1 - strength) ** 2) * visible.std() * world.normal("concept drift")[rows]
        eta = world.eta[rows] - strength * visible + moved
        world.eta[rows] = eta + solve(lambda b: float(expit(eta + b).mean()) - before, -10, 10)


@dataclass(frozen=True, kw_only=True)
class VersionRegression(Injection):
    """A new version takes `share` of the traffic; noise of `severity` times a healthy model's is added to its margin.

    With `how="weights"` it is not noise but wrong weights of the logged features, so that the new version's score is
    as good a function of them as the old one's.
    """

    cause = "version_regression"
    family = "quality"
    highest = np.inf
    stage = "serving"

    version: str = "8.0"
    share: float = 1.0
    how: Literal["noise", "weights"] = "noise"

    def logged_change(self) -> tuple[str, str] | None:
        """Deploys are logged."""
        return "deploy", f"payment-fraud {self.version} serves {self.share:.0%} of the traffic"

    def apply(self, world: World) -> None:
        """Serve the worse version."""
        rows = world.uniform("canary") < self.share * self.progress(world)
        world.version[rows] = self.version
        if self.how == "noise":
            wrong = NOISE_UNIT * world.normal("worse version")[rows]
        else:
            wrong = world.served[rows] @ WRONG_WEIGHTS
        world.margin[rows] += self.severity * wrong
