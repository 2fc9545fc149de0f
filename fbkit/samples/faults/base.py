"""What all faults share: a cause, a severity, the rows and days they touch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.world import DAY, Bools, Floats, World

Where = tuple[tuple[str, tuple[str, ...]], ...]


def normalised(where: Mapping[str, str | Sequence[str]] | Where) -> Where:
    """A limit to slices in the form that hashes: pairs of column and values."""
    pairs = where.items() if isinstance(where, Mapping) else where
    return tuple((name, (value,) if isinstance(value, str) else tuple(value)) for name, value in pairs)


@dataclass(frozen=True, kw_only=True)
class Injection:
    """What all faults share. `severity` has the unit that the class names; 0 is always harmless.

    With `ramp` the fault comes on gradually: it grows linearly from nothing at its start to `severity` at its end.
    """

    cause: ClassVar[str]
    family: ClassVar[str]
    stage: ClassVar[str]
    highest: ClassVar[float] = 1.0
    lowest: ClassVar[float] = 0.0

    severity: float
    where: Mapping[str, str | Sequence[str]] | Where = ()
    start: float = 0.0
    end: float | None = None
    ramp: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", normalised(self.where))
        if not (self.lowest <= self.severity <= self.highest and np.isfinite(self.severity)):
            allowed = f"{self.lowest} to {self.highest}"
            raise ArgumentError(
                f"impossible severity of {self.cause}",
                got=self.severity,
                allowed=allowed,
                next_step="choose a severity in that range",
            )
        end = np.inf if self.end is None else self.end
        if not (np.isfinite(self.start) and self.start < end):
            raise ArgumentError(
                f"{self.cause} would end before it begins",
                got=f"start {self.start}, end {self.end}",
                allowed="days of the current window, the end after the start",
                next_step="choose a later end, or leave it out",
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
        for column, values in normalised(self.where):
            rows &= world.members(column, values)
        return rows

    def progress(self, world: World) -> Floats:
        """How much of the fault is there, row by row, from 0 to 1: 0 where it does not act."""
        rows = self.active(world).astype(np.float64)
        return rows * self.grown(world, world.second / DAY) if self.ramp else rows

    def strength(self, world: World) -> Floats:
        """The severity row by row: 0 where the fault does not act."""
        return self.severity * self.progress(world)

    def grown(self, world: World, day: Floats) -> Floats:
        """The share of its strength that a fault with `ramp` has on a day, counted from the start of the reference."""
        end = world.config.current_days if self.end is None else self.end
        return np.clip((day - world.config.reference_days - self.start) / max(end - self.start, 1e-9), 0.0, 1.0)

    def as_dict(self) -> dict[str, object]:
        """The fault as JSON-able facts."""
        where = {name: list(values) for name, values in normalised(self.where)}
        own = {k: v for k, v in self.__dict__.items() if k not in {"where", "severity", "start", "end", "ramp"}}
        window = {"start_day": self.start, "end_day": self.end} | ({"ramp": True} if self.ramp else {})
        return {"cause": self.cause, "family": self.family, "severity": self.severity, "where": where, **window, **own}
