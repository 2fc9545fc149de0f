"""The state of a simulated world, and the named streams of random numbers behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fbkit.errors import ArgumentError
from fbkit.samples.config import DEVICES, SLICES, WorldConfig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY: Final = 86_400
REGION_SHARE: Final = np.array([0.40, 0.30, 0.18, 0.12])
CUSTOMER_SHARE: Final = np.array([0.62, 0.25, 0.13])
DEVICE_SHARE: Final = np.array([0.45, 0.33, 0.22])
EXPECTED_ACCOUNTS: Final = 60_000
"""Accounts of a world that stands for the expectation: so many that it does not matter which."""


class Fault(Protocol):
    """What the world needs to know of a fault: in which stage it acts, and how."""

    stage: ClassVar[str]
    """The stage after whose base step the fault acts."""

    def apply(self, world: "World") -> None:
        """Change the world in place."""
        ...


@dataclass(frozen=True, slots=True)
class Constants:
    """Numbers that make a configuration's rates come true: found once per configuration, independent of the seed."""

    intercept: float = 0.0
    score_intercept: float = 0.0
    score_slope: float = 1.0
    threshold: float = 0.5
    emission: float = 0.0
    flagged_scores: tuple[float, ...] = (1.0,)

    def block_scores(self, share: Floats) -> Floats:
        """The scores above which those shares of the healthy loop's flagged rows lie."""
        levels = np.linspace(0, 1, len(self.flagged_scores))
        inside = np.interp(1 - share, levels, self.flagged_scores)
        return np.select([share <= 0, share >= 1], [np.inf, 0.0], inside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A load of statements at one moment, which overwrites labels that arrived before.

    `chance` (rows): how probable it is that a row is in it; `label`: what it says (None: the opposite of the label).
    """

    second: int
    chance: Floats
    label: int | None
    source: str

    @property
    def stream(self) -> str:
        """Name of the stream that draws its rows."""
        return f"batch {self.source} {self.second}"


class World:
    """The state that stages and faults work on. Arrays are per row of the prediction log unless said otherwise.

    Shapes: `served` (rows, features); `emit`, `event`, `arrival`, `lost`, `said` (2, rows), the first axis being the
    outcome that the row would have; `said` is the chance that its statement says positive. Times are integer seconds
    since the start of the reference.
    """

    account_weight: Floats
    device_weight: Floats
    day: Ints
    second: Ints
    account: Ints
    region: Ints
    device: Ints
    customer: Ints
    z: Floats
    served: Floats
    unlogged: Floats
    noise: Floats
    visible: Floats
    eta: Floats
    p: Floats
    version: NDArray[np.str_]
    threshold: Floats
    margin: Floats
    score: Floats
    flagged: Bools
    block_score: Floats
    exploration: Floats
    policy: NDArray[np.str_]
    emit: Floats
    joinable: Floats
    event: Ints
    arrival: Ints
    lost: Bools
    said: Floats
    logged: Floats
    """Chance of each row to be in the prediction log."""
    broken_id: str = "reformat"

    def __init__(self, config: WorldConfig, *, seed: int, constants: Constants, rows: int | None = None) -> None:
        self.config = config
        self.constants = constants
        self.rows = rows
        self.accounts = EXPECTED_ACCOUNTS if rows else config.accounts
        self.as_of_second = round((config.as_of - config.start).total_seconds())
        self.new_definition_from: int | None = None
        self.batches: list[Batch] = []
        self._seed = seed
        self.status: NDArray[np.str_] | None = None
        self.spoilt: dict[int, tuple[Bools, Floats]] = {}

    def stream(self, name: str) -> np.random.Generator:
        """The generator of the stream `name`: the same numbers whatever else is drawn."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, crc32(name.encode())])))

    def uniform(self, name: str) -> Floats:
        """One uniform draw per row."""
        return self._in_both_windows(self.stream(name).random(self._drawn))

    def normal(self, name: str, *, columns: int = 1) -> Floats:
        """One standard normal draw per row; with several `columns` an array (rows, columns)."""
        draws = self.stream(name).standard_normal((self._drawn, columns))
        return self._in_both_windows(draws if columns > 1 else draws[:, 0])

    @property
    def _drawn(self) -> int:
        return self.n // 2 if self.rows else self.n

    def _in_both_windows(self, draws: Floats) -> Floats:
        # An expectation compares two windows: with the same draws in both, only what differs between them remains.
        return np.concatenate([draws, draws]) if self.rows else draws

    @property
    def n(self) -> int:
        """Number of predictions."""
        return len(self.day)

    @property
    def account_region(self) -> Ints:
        """Region code per account."""
        return choose(self.stream("account region").random(self.accounts), REGION_SHARE)

    @property
    def account_customer(self) -> Ints:
        """Customer code per account."""
        return choose(self.stream("account customer").random(self.accounts), CUSTOMER_SHARE)

    def window(self, name: str) -> Bools:
        """Rows of the `reference` or the `current` window."""
        first, last = (0, self.config.reference_days)
        if name == "current":
            first, last = last, last + self.config.current_days
        return (self.day >= first) & (self.day < last)

    def members(self, column: str, values: Sequence[str]) -> Bools:
        """Rows whose slice, or whose decision, has one of the values."""
        if column == "decision":
            return np.isin(self.flagged, _codes(("not flagged", "flagged"), column, values))
        return np.isin(getattr(self, column, ()), _codes(SLICES.get(column), column, values))

    def mix(self, column: str, values: Sequence[str]) -> tuple[Floats, Bools]:
        """The daily traffic weights (days, members) behind a slice column, and which members have one of the values."""
        wanted = _codes(SLICES.get(column), column, values)
        if column == "device":
            return self.device_weight, np.isin(np.arange(len(DEVICES)), wanted)
        codes = self.account_region if column == "region" else self.account_customer
        return self.account_weight, np.isin(codes, wanted)

    @property
    def would_block(self) -> Bools:
        """Rows that the policy blocks unless it explores them."""
        return self.flagged & (self.score >= self.block_score)

    @property
    def allowed(self) -> Floats:
        """Probability that the row is let through, so that an outcome can follow."""
        return np.where(self.would_block, self.exploration, 1.0)

    @property
    def blocked(self) -> Bools:
        """Rows that were blocked in this realisation."""
        return self.would_block & (self.uniform("exploration") >= self.exploration)

    @property
    def written(self) -> Bools:
        """Rows that reached the prediction log in this realisation."""
        return self.uniform("prediction log") < self.logged

    def visible_if(self) -> Floats:
        """Probability (2, rows) that a joinable label is known at the as-of time, given the outcome."""
        return self.emit * self.allowed * self.joinable * (self.arrival <= self.as_of_second) * ~self.lost

    def believed(self) -> tuple[Floats, Floats]:
        """Probability that a row counts as positive, and that it counts as negative, by what is known at the end.

        Where silence means negative, it does so when the window closes, as if the feed had always been up.
        """
        seen = self.visible_if() * np.stack([1 - self.p, self.p])
        said = self.said
        for batch in sorted(self.batches, key=lambda batch: batch.second):
            chance = batch.chance * (self.arrival < batch.second) * (batch.second <= self.as_of_second)
            said = (1 - chance) * said + chance * (1 - self.said if batch.label is None else batch.label)
        positive = (seen * said).sum(0)
        if self.config.silence == "negative":
            closed = self.second + self.config.window_days * DAY <= self.as_of_second
            return positive, (self.allowed - positive) * closed
        return positive, (seen * (1 - said)).sum(0)


def _codes(names: tuple[str, ...] | None, column: str, values: Sequence[str]) -> list[int]:
    if names is None:
        raise ArgumentError(
            f"a fault cannot be limited by {column!r}",
            got=column,
            allowed=tuple(SLICES),
            next_step="limit it by one of these",
        )
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ArgumentError(
            f"unknown value of {column!r} in a fault", got=unknown, allowed=names, next_step="name one of these values"
        )
    return [names.index(value) for value in values]


def expit(x: Floats) -> Floats:
    """Logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def choose(u: Floats, weights: Floats) -> Ints:
    """Index by inverse distribution function: the same `u` gives the same choice for the same weights."""
    edges = np.cumsum(weights)
    return np.searchsorted(edges / edges[-1], u, side="right").clip(0, len(weights) - 1)


def solve(f: Callable[[float], float], low: float, high: float) -> float:
    """Root of an increasing function by bisection."""
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return (low + high) / 2
