"""Faults of the labels: what comes back is not what happened."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fbkit.samples.faults.base import Injection, normalised
from fbkit.samples.world import DAY, World


@dataclass(frozen=True, kw_only=True)
class LabelSliceLoss(Injection):
    """The share `severity` of the labels of the rows in `where` never arrives, whatever their outcome.

    Without `where` the loss is uniform: it costs precision and biases nothing.
    """

    cause = "label_slice_loss"
    family = "labels"
    stage = "labels"

    def apply(self, world: World) -> None:
        """Emit fewer labels."""
        world.emit *= 1 - self.strength(world)


@dataclass(frozen=True, kw_only=True)
class LabelLossNonrandom(Injection):
    """The share `severity` of the labels of rows *with outcome `outcome`* never arrives: no log can repair that."""

    cause = "label_loss_nonrandom"
    family = "labels"
    stage = "labels"

    outcome: int = 1

    def apply(self, world: World) -> None:
        """Emit fewer labels of one outcome."""
        world.emit[self.outcome] *= 1 - self.strength(world)


@dataclass(frozen=True, kw_only=True)
class LabelOutage(Injection):
    """The share `severity` of the labels that would arrive on the days `[start, end)` is lost, old rows too."""

    cause = "label_outage"
    family = "labels"
    stage = "labels"

    def apply(self, world: World) -> None:
        """Lose what arrives while the feed is down."""
        day = world.arrival / DAY - world.config.reference_days
        down = (day >= self.start) & (day < (np.inf if self.end is None else self.end))
        for column, values in normalised(self.where):
            down &= world.members(column, values)
        world.lost |= down & (world.uniform("outage") < self.severity)


@dataclass(frozen=True, kw_only=True)
class SlowLabels(Injection):
    """Labels of outcome `outcome` (both, if None) take `1 + severity` times as long from event to arrival."""

    cause = "slow_labels"
    family = "labels"
    highest = np.inf
    stage = "labels"

    outcome: int | None = None

    def apply(self, world: World) -> None:
        """Stretch the wait between event and arrival."""
        strength = self.strength(world)
        for outcome in (0, 1) if self.outcome is None else (self.outcome,):
            wait = world.arrival[outcome] - world.event[outcome]
            world.arrival[outcome] += (strength * wait).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class JoinBreak(Injection):
    """The share `severity` of the outcomes carries an unknown id: `reformat` (another format) or `blank`."""

    cause = "join_break"
    family = "labels"
    stage = "labels"

    how: Literal["reformat", "blank"] = "reformat"

    def apply(self, world: World) -> None:
        """Make labels unjoinable by id."""
        world.joinable *= 1 - self.strength(world)
        world.broken_id = self.how
