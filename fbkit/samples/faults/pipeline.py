"""Faults of the pipeline that serves the model and writes its log: the outcome is what it would have been."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.faults.base import Injection
from fbkit.samples.features import SPREAD, as_logged, as_read, index, natural
from fbkit.samples.world import DAY, Bools, Floats, World

How = Literal["null", "rescale", "shift"]
HOWS: Final = ("null", "rescale", "shift")
HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class FeatureCorruption(Injection):
    """A served feature is not what it was, in the model's input and in the log; the world behind it did not change.

    `how` says what `severity` means. `null`: the share of rows where the value is missing and the model reads
    `imputed`, the `median` or `zero`. `rescale`: the value is multiplied by `1 + severity` (99: cents for dollars).
    `shift`: so many standard deviations are added. The latter two touch the share `share` of the rows.
    """

    cause = "feature_corruption"
    family = "pipeline"
    highest = np.inf
    lowest = -np.inf
    stage = "outcomes"

    feature: str = "ip_risk"
    how: How = "null"
    share: float = 1.0
    imputed: Literal["median", "zero"] = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        index(self.feature)
        low, high = {"null": (0.0, 1.0), "rescale": (-1.0, np.inf)}.get(self.how, (-np.inf, np.inf))
        if self.how not in HOWS or not low <= self.severity <= high:
            raise ArgumentError(
                f"impossible severity or kind of {self.cause}",
                got=f"{self.how} of {self.severity}",
                allowed="null with 0 to 1, rescale with at least -1, shift",
                next_step="choose a kind and a severity in its range",
            )

    def apply(self, world: World) -> None:
        """Spoil what the model reads and what the log says of it."""
        k = index(self.feature)
        reach = self.progress(world) * (self.severity if self.how == "null" else self.share)
        rows = world.uniform(f"corrupted {self.feature}") < reach
        logged, read = self._spoilt(k, natural(k, world.served[rows, k]), fine=world.config.exact_score)
        before, values = world.spoilt.get(k, (np.zeros(world.n, np.bool_), np.full(world.n, np.nan)))
        values[rows] = logged
        world.spoilt[k] = (before | rows, values)
        world.served[rows, k] = read

    def _spoilt(self, k: int, x: Floats, *, fine: bool) -> tuple[Floats, Floats]:
        """The value in the log, and in the model's units."""
        if self.how == "null":
            imputed = 0.0 if self.imputed == "median" else float(as_read(k, np.zeros(1))[0])
            return np.full_like(x, np.nan), np.full_like(x, imputed)
        if self.how == "rescale":
            logged = as_logged(k, as_logged(k, x, fine=fine) * (1 + self.severity), fine=fine)
            return logged, as_read(k, x * (1 + self.severity))
        moved = self.severity * SPREAD[k]
        return as_logged(k, x + moved, fine=fine), as_read(k, x + moved)


def in_hours(world: World, hours: tuple[int, int] | None) -> Bools:
    """Rows predicted in `[first, last)` hours of the day, past midnight too; all if None."""
    if hours is None:
        return np.ones(world.n, np.bool_)
    hour, (first, last) = world.second % DAY // HOUR, hours
    return (hour >= first) & (hour < last) if first <= last else (hour >= first) | (hour < last)


@dataclass(frozen=True, kw_only=True)
class ServingFallback(Injection):
    """The share `severity` of the rows is served `default` in place of a score (None: half of the threshold).

    With `status` the log says so in a column of that name: `ok`, `fallback`, `timeout`. `hours` limits the fault to
    hours of the day, `[first, last)` in UTC.
    """

    cause = "serving_fallback"
    family = "pipeline"
    stage = "decisions"

    default: float | None = None
    status: bool = True
    hours: tuple[int, int] | None = None

    def apply(self, world: World) -> None:
        """Serve the default and decide on it."""
        u = world.uniform("fallback")
        reach = self.progress(world) * self.severity * in_hours(world, self.hours)
        rows = u < reach
        default = world.constants.threshold / 2 if self.default is None else self.default
        world.score = np.where(rows, np.round(default, world.config.decimals), world.score)
        world.flagged = world.score >= world.threshold
        if self.status and rows.any():
            before = np.full(world.n, "ok", "<U8") if world.status is None else world.status
            world.status = np.where(rows, np.where(u < 0.3 * reach, "timeout", "fallback"), before)


@dataclass(frozen=True, kw_only=True)
class PredictionLogLoss(Injection):
    """The share `severity` of the rows is missing from the prediction log; their outcomes come back as orphans.

    `hours` limits the loss to hours of the day, `[first, last)` in UTC, and the key `decision` of `where` to one side
    of the threshold.
    """

    cause = "prediction_log_loss"
    family = "pipeline"
    stage = "labels"

    hours: tuple[int, int] | None = None

    def apply(self, world: World) -> None:
        """Leave rows out of the log."""
        world.logged = world.logged * (1 - self.strength(world) * in_hours(world, self.hours))
