"""Faults of the labels: what comes back is not what happened."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.config import WorldConfig
from fbkit.samples.faults.base import Injection, normalised
from fbkit.samples.world import DAY, Batch, World


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
        grown = self.grown(world, world.arrival / DAY) if self.ramp else 1.0
        world.lost |= down & (world.uniform("outage") < self.severity * grown)


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


@dataclass(frozen=True, kw_only=True)
class LabelConflict(Injection):
    """A batch of wrong statements overwrites the share `severity` of the labels that rows in `where` have by then.

    It arrives at one moment, on day `arrives` (None: one day before the evaluation) from `source`, and says `label`,
    or the opposite of what was said (None).
    """

    cause = "label_conflict"
    family = "labels"
    stage = "labels"

    source: str = "backfill"
    label: int | None = None
    arrives: float | None = None

    def apply(self, world: World) -> None:
        """Add the batch."""
        if self.arrives is None:
            second = world.as_of_second - DAY
        else:
            second = round((world.config.reference_days + self.arrives) * DAY)
        batch = Batch(second=second, chance=self.strength(world), label=self.label, source=self.source)
        world.batches.append(batch)


@dataclass(frozen=True, kw_only=True)
class LabelDefinitionChange(Injection):
    """From an arrival day on, the share `severity` of the true negatives in `where` is labelled positive.

    The days are days of arrival, so that late labels of the reference follow the new definition too. `logged` writes
    label version 2 into the statements from that day on and the change into the change log; otherwise nothing tells.
    """

    cause = "label_definition_change"
    family = "labels"
    stage = "labels"

    logged: bool = True

    def logged_change(self) -> tuple[str, str] | None:
        """Changes of a label's definition are logged, if anything tells of them."""
        return ("label", "fraud, version 2: refunds count as well") if self.logged and self.severity else None

    def apply(self, world: World) -> None:
        """Call some negatives positive."""
        day = world.arrival[0] / DAY
        since = day - world.config.reference_days
        new = ((since >= self.start) & (since < (np.inf if self.end is None else self.end))).astype(np.float64)
        if self.ramp:
            new *= self.grown(world, day)
        for column, values in normalised(self.where):
            new *= world.members(column, values)
        world.said[0] += (1 - world.said[0]) * self.severity * new
        if self.logged and self.severity:
            world.new_definition_from = round((world.config.reference_days + self.start) * DAY)


@dataclass(frozen=True, kw_only=True)
class ImmatureWindow(Injection):
    """The evaluation comes `severity` days before the last label window of the current predictions closes.

    Only what has arrived by then counts. It concerns the whole feed: `where`, `start` and `end` mean nothing.
    """

    cause = "immature_window"
    family = "labels"
    highest = np.inf
    stage = "traffic"

    def as_of(self, config: WorldConfig) -> datetime:
        """The evaluation time. Raises ArgumentError if the current window would not be over."""
        if self.severity == 0:
            return config.as_of
        found = config.current_end + timedelta(days=config.window_days - self.severity)
        if found < config.current_end:
            raise ArgumentError(
                "the evaluation would come before the end of the current window",
                got=self.severity,
                allowed=f"0 to {config.window_days} days",
                next_step="choose a smaller severity",
            )
        return min(config.as_of, found)

    def apply(self, world: World) -> None:
        """Look at the logs too early."""
        world.as_of_second = round((self.as_of(world.config) - world.config.start).total_seconds())
