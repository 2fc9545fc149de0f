"""The action log of a simulated world: what was done with each prediction, and how probable that was."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.samples.log_values import ids, times
from fbkit.samples.world import World

DELAY: Final = 1
"""Seconds from the prediction to the action."""


def actions(world: World) -> pl.DataFrame:
    """One row a prediction: prediction_id, action (`block` or `allow`), propensity of it, policy_id, explored, time."""
    would, blocked = world.would_block, world.blocked
    chance = np.where(blocked, 1 - world.exploration, world.allowed)
    return pl.DataFrame(
        {
            "prediction_id": ids(np.arange(world.n)),
            "action": np.where(blocked, "block", "allow"),
            "propensity": chance,
            "policy_id": world.policy,
            "explored": would & ~blocked,
            "ts_action": times(world, world.second + DELAY),
        }
    )
