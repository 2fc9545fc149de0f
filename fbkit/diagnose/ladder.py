"""The ladder: observed, repaired, corrected, replayed, remainder. Pure functions of count tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.climb import Climb, Step, change
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Every rung as an array over draws (entry 0 is the data).

    Attributes
    ----------
    observed, like_for_like, corrected
        The metric by window as shown, after every repair of single labels, and with missing labels weighted back:
        shape (draws + 1, 2).
    steps
        The repairs between observed and like for like, in order.
    replayed
        Contribution of each active player.
    tried
        What each player would do alone, active or not.
    chance
        What the window's fewer labels add to the observed change of a metric that is never negative.
    """

    observed: Floats
    steps: tuple[Step, ...]
    like_for_like: Floats
    corrected: Floats
    replayed: Mapping[str, Floats]
    tried: Mapping[str, Floats]
    chance: float = 0.0

    @property
    def observed_change(self) -> Floats:
        return change(self.observed)

    @property
    def true_change(self) -> Floats:
        return change(self.corrected)

    @property
    def label_loss(self) -> Floats:
        """What labels lost at random within cells add to the observed change."""
        return change(self.like_for_like) - change(self.corrected)

    @property
    def remainder(self) -> Floats:
        """What no repair and no replay explains."""
        return self.true_change - sum(self.replayed.values(), np.zeros_like(self.true_change))

    def step(self, cause: str) -> Step | None:
        """The repair of that cause, if it fired."""
        return next((step for step in self.steps if step.repair.cause == cause), None)


def top(climbed: Climb, cells: Cells, *, metric: str, settings: Settings) -> Ladder:
    """The ladder up to the corrected metric; nothing replayed yet."""
    lifted = evaluate(metric, corrected(cells, thin=settings.thin_cell))
    return Ladder(
        observed=climbed.observed,
        steps=climbed.steps,
        like_for_like=climbed.reached,
        corrected=lifted + climbed.spread,
        replayed={},
        tried={},
    )
