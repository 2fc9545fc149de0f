"""The truth of a simulated incident: what changed and what each cause contributed, in expectation over the simulator.

Expectations use the true probabilities in place of drawn outcomes, on one large world per set of faults; the worlds
share their random numbers, so that their differences are the faults' doing. Contributions are Shapley values.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import combinations
from math import factorial
from typing import Any, Final

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.samples.config import WorldConfig
from fbkit.samples.expected_metrics import METRICS, Tally, gathered
from fbkit.samples.faults import Injection
from fbkit.samples.stages import build
from fbkit.samples.world import World

TRUTH_ROWS: Final = 600_000
TRUTH_SEED: Final = 2
MATERIAL: Final = 0.01
SHARES: Final = ("recall", "precision", "specificity", "f1", "accuracy", "roc_auc", "average_precision")
MATERIAL_PART: Final = {"ece": 0.5, "mcb": 0.5}
"""The part of the reference that makes a change material, where it is not 5 %: a healthy loop is nearly calibrated."""

WINDOWS: Final = ("reference", "current")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number of both windows."""

    reference: float
    current: float

    @property
    def change(self) -> float:
        """Current minus reference."""
        return self.current - self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseTruth:
    """What one cause contributed to the observed change and to the true change of the metric."""

    cause: str
    family: str
    value: float
    true_value: float
    faults: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Expected values of one incident. `background` is the observed change that happens without any fault."""

    metric: str
    observed: Cell
    true: Cell
    availability: Cell
    contributions: tuple[CauseTruth, ...]
    background: float
    verdict: str
    top_cause: str

    def as_dict(self) -> dict[str, Any]:
        """The truth as JSON-able facts; `observed` and `true` carry their change."""
        cells = {name: asdict(cell) | {"change": cell.change} for name, cell in self._cells()}
        return asdict(self) | cells | {"contributions": [asdict(c) for c in self.contributions]}

    def _cells(self) -> tuple[tuple[str, Cell], ...]:
        return (("observed", self.observed), ("true", self.true), ("availability", self.availability))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a window of a world holds in expectation: as the labels that are known say, and as it is."""

    observed: Tally
    true: Tally
    availability: float

    def of(self, metric: str) -> dict[str, float]:
        """Expected `observed` and `true` metric, and the label `availability`."""
        f = METRICS[metric]
        return {"observed": f(self.observed), "true": f(self.true), "availability": self.availability}


def expected(world: World, *, metric: str, window: str) -> dict[str, float]:
    """Expected `observed`, `true` metric and label `availability` in a window of this world."""
    return expectation(world, window=window).of(metric)


def expectation(world: World, *, window: str) -> Expected:
    """The expected counts of a window. Rows that never reached the log are part of what is, not of what is observed."""
    rows = world.window(window)
    p, score, flagged, logged = world.p[rows], world.score[rows], world.flagged[rows], world.logged[rows]
    positive, negative = (weight[rows] * logged for weight in world.believed())
    return Expected(
        observed=gathered(score, flagged, positive=positive, negative=negative),
        true=gathered(score, flagged, positive=p, negative=1 - p),
        availability=float(np.mean(positive + negative) / np.mean(logged)),
    )


def truth(config: WorldConfig, faults: Sequence[Injection], *, metric: str = "recall", rows: int = TRUTH_ROWS) -> Truth:
    """Expected change of `metric` and what each cause contributed.

    `rows` is the size of the worlds that stand for the expectation, half of them in each window. The contributions and
    `background` sum to the observed change. Raises ArgumentError for a metric that has no expectation here.
    """
    if metric not in METRICS:
        raise ArgumentError(
            "no exact truth for this metric",
            got=metric,
            allowed=sorted(METRICS),
            next_step="choose one of these metrics",
        )
    expectations = _expectations(config.expectation(), tuple(faults), rows)
    worlds = {active: _cells(windows, metric) for active, windows in expectations.items()}
    material = material_change(metric, worlds[frozenset()]["true"].reference)
    return told(worlds, faults, metric=metric, material=material)


@lru_cache(maxsize=16)
def _expectations(
    config: WorldConfig, faults: tuple[Injection, ...], rows: int
) -> dict[frozenset[str], dict[str, Expected]]:
    """Both windows of the world of every set of causes."""
    return {
        active: _windows(config, tuple(f for f in faults if f.cause in active), rows) for active in coalitions(faults)
    }


@lru_cache(maxsize=64)
def _windows(config: WorldConfig, faults: tuple[Injection, ...], rows: int) -> dict[str, Expected]:
    world = build(config, faults, seed=TRUTH_SEED, rows=rows)
    return {window: expectation(world, window=window) for window in WINDOWS}


def _cells(windows: dict[str, Expected], metric: str) -> dict[str, Cell]:
    reference, current = (windows[window].of(metric) for window in WINDOWS)
    return {name: Cell(reference=reference[name], current=current[name]) for name in reference}


def coalitions(faults: Sequence[Injection]) -> list[frozenset[str]]:
    """Every set of the causes of these faults."""
    causes = tuple(dict.fromkeys(fault.cause for fault in faults))
    return [frozenset(active) for size in range(len(causes) + 1) for active in combinations(causes, size)]


def told(
    worlds: dict[frozenset[str], dict[str, Cell]], faults: Sequence[Injection], *, metric: str, material: float
) -> Truth:
    """The truth of an incident from the cells `observed`, `true` and `availability` of every set of its causes.

    Causes that move the observed metric by less than `material` make no verdict.
    """
    causes = tuple(dict.fromkeys(fault.cause for fault in faults))
    change = {kind: {active: cells[kind].change for active, cells in worlds.items()} for kind in ("observed", "true")}
    contributions = tuple(
        CauseTruth(
            cause=cause,
            family=next(f.family for f in faults if f.cause == cause),
            value=shapley(cause, causes, change["observed"]),
            true_value=shapley(cause, causes, change["true"]),
            faults=tuple(f.as_dict() for f in faults if f.cause == cause),
        )
        for cause in causes
    )
    final = worlds[frozenset(causes)]
    return Truth(
        metric=metric,
        contributions=contributions,
        background=change["observed"][frozenset()],
        verdict=verdict(contributions, material=material),
        top_cause=max(_material(contributions, material), key=lambda c: abs(c.value), default=_NOTHING).cause,
        **final,
    )


def shapley(player: str, players: Sequence[str], value: dict[frozenset[str], float]) -> float:
    """Exact Shapley value of a player (Shapley 1953) from the value of every coalition."""
    others, n = [p for p in players if p != player], len(players)
    total = 0.0
    for size in range(n):
        weight = factorial(size) * factorial(n - size - 1) / factorial(n)
        for group in combinations(others, size):
            total += weight * (value[frozenset((*group, player))] - value[frozenset(group)])
    return total


_NOTHING: Final = CauseTruth(cause="noise", family="noise", value=0.0, true_value=0.0, faults=())


def material_change(metric: str, reference: float) -> float:
    """The least change of a metric that makes a cause material: a point of a share, or a part of what it was."""
    return MATERIAL if metric in SHARES else MATERIAL_PART.get(metric, 0.05) * abs(reference)


def _material(contributions: Sequence[CauseTruth], material: float) -> list[CauseTruth]:
    return [c for c in contributions if abs(c.value) >= material]


def verdict(contributions: Sequence[CauseTruth], *, material: float = MATERIAL) -> str:
    """The verdict that the material causes deserve."""
    families = {c.family for c in _material(contributions, material)}
    if not families:
        return "noise"
    if families == {"quality", "labels"}:
        return "both"
    return families.pop() if len(families) == 1 else "several"
