"""Faults with a known cause: one class each, applied to the world after the stage it belongs to.

Faults on what happens or on what serves change the predictions or the true outcome; faults on labels change only what
comes back. A fault acts on rows predicted in `[start, end)`, in days after the beginning of the current window
(`end=None`: until the end); for `LabelOutage` they are days of arrival. `where` limits it to slices, for example
`{"region": ("EU", "US")}`; the key `decision` (`flagged`, `not flagged`) is open to faults on labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.world import DAY, MODEL_NOISE, Bools, World, expit, solve

Where = tuple[tuple[str, tuple[str, ...]], ...]


def _where(where: Mapping[str, str | Sequence[str]] | Where) -> Where:
    pairs = where.items() if isinstance(where, Mapping) else where
    return tuple((name, (value,) if isinstance(value, str) else tuple(value)) for name, value in pairs)


@dataclass(frozen=True, kw_only=True)
class Injection:
    """What all faults share. `severity` has the unit that the class names; 0 is always harmless."""

    cause: ClassVar[str]
    family: ClassVar[str]
    stage: ClassVar[str]
    highest: ClassVar[float] = 1.0
    lowest: ClassVar[float] = 0.0

    severity: float
    where: Mapping[str, str | Sequence[str]] | Where = ()
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", _where(self.where))
        if not self.lowest <= self.severity <= self.highest:
            allowed = f"{self.lowest} to {self.highest}"
            raise ArgumentError(
                f"impossible severity of {self.cause}",
                got=self.severity,
                allowed=allowed,
                next_step="choose a severity in that range",
            )

    def apply(self, world: World) -> None:
        """Change the world in place."""
        raise NotImplementedError

    def logged_change(self) -> tuple[str, str] | None:
        """Kind and text of the entry that a team's change log would hold; None if nobody would have written one."""
        return None

    def active(self, world: World) -> Bools:
        """Rows that the fault touches."""
        day = (world.second / DAY) - world.config.reference_days
        rows = (day >= self.start) & (day < (np.inf if self.end is None else self.end))
        for column, values in _where(self.where):
            rows &= world.members(column, values)
        return rows

    def as_dict(self) -> dict[str, object]:
        """The fault as JSON-able facts."""
        where = {name: list(values) for name, values in _where(self.where)}
        own = {k: v for k, v in self.__dict__.items() if k not in {"where", "severity", "start", "end"}}
        window = {"start_day": self.start, "end_day": self.end}
        return {"cause": self.cause, "family": self.family, "severity": self.severity, "where": where, **window, **own}


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
        moved = np.sqrt(1 - (1 - self.severity) ** 2) * visible.std() * world.normal("concept drift")[rows]
        eta = world.eta[rows] - self.severity * visible + moved
        world.eta[rows] = eta + solve(lambda b: float(expit(eta + b).mean()) - before, -10, 10)


@dataclass(frozen=True, kw_only=True)
class VersionRegression(Injection):
    """A new version takes `share` of the traffic; noise of `severity` times the model's own is added to its margin."""

    cause = "version_regression"
    family = "quality"
    highest = np.inf
    stage = "serving"

    version: str = "8.0"
    share: float = 1.0

    def logged_change(self) -> tuple[str, str] | None:
        """Deploys are logged."""
        return "deploy", f"payment-fraud {self.version} serves {self.share:.0%} of the traffic"

    def apply(self, world: World) -> None:
        """Serve the worse version."""
        rows = self.active(world) & (world.uniform("canary") < self.share)
        world.version[rows] = self.version
        world.margin[rows] += self.severity * MODEL_NOISE * world.normal("worse version")[rows]


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
        world.threshold[rows] = np.round(world.threshold[rows] * (1 + self.severity), 4)


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
        for column, values in _where(self.where):
            weights, members = world.mix(column, values)
            weights[np.ix_(days, members)] *= 1 + self.severity


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
        world.emit[:, self.active(world)] *= 1 - self.severity


@dataclass(frozen=True, kw_only=True)
class LabelLossNonrandom(Injection):
    """The share `severity` of the labels of rows *with outcome `outcome`* never arrives: no log can repair that."""

    cause = "label_loss_nonrandom"
    family = "labels"
    stage = "labels"

    outcome: int = 1

    def apply(self, world: World) -> None:
        """Emit fewer labels of one outcome."""
        world.emit[self.outcome, self.active(world)] *= 1 - self.severity


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
        for column, values in _where(self.where):
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
        rows = self.active(world)
        for outcome in (0, 1) if self.outcome is None else (self.outcome,):
            wait = world.arrival[outcome] - world.event[outcome]
            world.arrival[outcome] += np.where(rows, self.severity * wait, 0).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class JoinBreak(Injection):
    """The share `severity` of the outcomes carries an unknown id: `reformat` (another format) or `blank`."""

    cause = "join_break"
    family = "labels"
    stage = "labels"

    how: Literal["reformat", "blank"] = "reformat"

    def apply(self, world: World) -> None:
        """Make labels unjoinable by id."""
        world.joinable[self.active(world)] *= 1 - self.severity
        world.broken_id = self.how


FAULTS: dict[str, type[Injection]] = {
    fault.cause: fault
    for fault in (
        ConceptDrift,
        VersionRegression,
        ThresholdChange,
        MixShift,
        LabelSliceLoss,
        LabelLossNonrandom,
        LabelOutage,
        SlowLabels,
        JoinBreak,
    )
}
"""The fault class of each cause that can be simulated so far."""

FAMILIES: dict[str, str] = {cause: fault.family for cause, fault in FAULTS.items()}
