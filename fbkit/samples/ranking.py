"""A ranking loop with known truth: requests, ten items each in the order of their scores, and clicks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.samples.config import CUSTOMERS, DEVICES, REGIONS, WorldConfig
from fbkit.samples.faults import (
    ImmatureWindow,
    Injection,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    SlowLabels,
)
from fbkit.samples.log_values import accounts, ids, times
from fbkit.samples.simulate import Simulation
from fbkit.samples.stages import REGION_LABELLED, payments, traffic
from fbkit.samples.truth import TRUTH_SEED, WINDOWS, Cell, Truth, coalitions, told
from fbkit.samples.world import DAY, REGION_SHARE, Constants, Floats, Ints, World, expit, solve

ITEMS: Final = 10
TRUTH_REQUESTS: Final = 200_000
DRAWS: Final = 4
"""NDCG is a ratio: its expectation is the mean over so many draws of the clicks of every request."""

APPEAL: Final = 0.9
RANKER_NOISE: Final = 0.8
EXAMINED: Final = 1 / np.sqrt(1.0 + np.arange(ITEMS))
"""How often a position is looked at."""

DISCOUNT: Final = 1 / np.log2(2.0 + np.arange(ITEMS))
REGION_CLICKS: Final = np.array([0.1, 0.0, -0.1, -0.2])
CUSTOMER_CLICKS: Final = np.array([0.0, -0.5, 0.6])
BASE: Final = -1.6
HOUR: Final = 3600
MATERIAL: Final = {"ctr": 0.003, "ndcg@10": 0.01}
"""The least change of a metric that makes a cause material."""

CONTRACT: Final = """\
format = 1

[model]
name = "shop-search"
task = "ranking"
purpose = "Put first what a visitor is looking for."
owners = ["search"]
business_metric = "clicks per request"

[predictions]
path = "predictions/*.parquet"
timezone = "UTC"
score_kind = "rank"

[outcomes]
path = "outcomes/*.parquet"
timezone = "UTC"
complete_through = "{as_of:%Y-%m-%dT%H:%M:%SZ}"

[label]
name = "click"
version = "1"
window = "{window}d"
silence = "missing"

[join]
keys = ["request_id", "item_id", "position"]

[slices]
columns = ["region", "device", "customer"]

[metrics]
primary = "ctr"
report = ["ctr", "ndcg@10"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingConfig(WorldConfig):
    """The traffic of `WorldConfig`, `per_day` requests of ten items; clicks come within a day."""

    per_day: int = 150
    window_days: int = 2


class ListWorld(World):
    """A world whose rows are requests. `appeal`, `margin`, `score`, `position` and `p` have shape (requests, items)."""

    appeal: Floats
    rate: Floats
    position: Ints

    def __init__(self, config: WorldConfig, *, seed: int, rows: int | None = None) -> None:
        level = solve(lambda b: float(REGION_SHARE @ expit(REGION_LABELLED + b)) - config.availability, -10, 10)
        super().__init__(config, seed=seed, constants=Constants(emission=level), rows=rows)

    @property
    def known(self) -> Floats:
        """Probability that the labels of a request are known at the as-of time."""
        return self.emit[1] * (self.arrival[1] <= self.as_of_second) * ~self.lost[1]


@dataclass(frozen=True, kw_only=True)
class TasteDrift(Injection):
    """Visitors want something else: the share `severity` of what the ranker sees of an item no longer attracts."""

    cause = "concept_drift"
    family = "quality"
    stage = "outcomes"

    def apply(self, world: World) -> None:
        """Replace a part of the appeal by something that the ranker does not see."""
        lists = _lists(world, self)
        kept = (1 - self.strength(world))[:, None]
        lists.rate = kept * lists.rate + np.sqrt(1 - kept**2) * APPEAL * world.normal("taste", columns=ITEMS)


@dataclass(frozen=True, kw_only=True)
class RankerRegression(Injection):
    """A new version of the ranker: noise of `severity` times the usual one is added to its scores."""

    cause = "version_regression"
    family = "quality"
    highest = np.inf
    stage = "serving"

    version: str = "12"

    def apply(self, world: World) -> None:
        """Serve the worse version."""
        noise = RANKER_NOISE * world.normal("worse ranker", columns=ITEMS)
        world.margin = world.margin + self.strength(world)[:, None] * noise
        world.version = np.where(self.active(world), self.version, world.version)


@dataclass(frozen=True, kw_only=True)
class FallbackOrder(Injection):
    """The share `severity` of the requests is answered in the order of the catalogue, with scores of 0.

    With `status` the log says so in a column of that name.
    """

    cause = "serving_fallback"
    family = "pipeline"
    stage = "serving"

    status: bool = True

    def apply(self, world: World) -> None:
        """Leave the ranker out."""
        fallen = world.uniform("fallback") < self.strength(world)
        world.margin = np.where(fallen[:, None], 0.0, world.margin)
        if self.status and fallen.any():
            world.status = np.where(fallen, "fallback", "ok")


FAULTS: Final[tuple[type[Injection], ...]] = (
    TasteDrift,
    RankerRegression,
    FallbackOrder,
    MixShift,
    PredictionLogLoss,
    LabelSliceLoss,
    LabelOutage,
    SlowLabels,
    ImmatureWindow,
)
"""The faults that a ranking loop can have; `decision` is no slice of it."""


def _lists(world: World, *faults: Injection) -> ListWorld:
    if isinstance(world, ListWorld) and all(isinstance(fault, FAULTS) for fault in faults):
        return world
    raise ArgumentError(
        "this loop cannot have the fault",
        got=", ".join(type(fault).__name__ for fault in faults),
        allowed=", ".join(fault.__name__ for fault in FAULTS),
        next_step="a ranking loop has these faults, and only it has TasteDrift, RankerRegression and FallbackOrder",
    )


def _outcomes(world: ListWorld) -> None:
    world.appeal = world.normal("appeal", columns=ITEMS)
    world.rate = APPEAL * world.appeal


def _serving(world: ListWorld) -> None:
    world.version = np.full(world.n, "11")
    world.threshold = np.full(world.n, np.inf)
    world.margin = world.appeal + RANKER_NOISE * world.normal("ranker", columns=ITEMS)


def _decisions(world: ListWorld) -> None:
    world.score = np.round(world.margin, 4)
    order = np.argsort(-world.score, axis=1, kind="stable")
    world.position = np.argsort(order, axis=1, kind="stable")
    request = BASE + REGION_CLICKS[world.region] + CUSTOMER_CLICKS[world.customer] + 0.3 * world.z[:, 0]
    world.p = expit(request[:, None] + world.rate) * EXAMINED[world.position]
    world.flagged = np.zeros(world.n, np.bool_)
    world.logged = np.ones(world.n)


def _labels(world: ListWorld) -> None:
    """Clicks come within minutes; the feed brings all statements about a request at once, or none."""
    world.emit = np.tile(expit(world.constants.emission + REGION_LABELLED[world.region]), (2, 1))
    world.joinable = np.ones(world.n)
    world.lost = np.zeros((2, world.n), np.bool_)
    event = world.second + 60 + (600 * world.uniform("event lag")).astype(np.int64)
    wait = 2 * HOUR * np.exp(0.8 * world.normal("arrival lag"))
    world.event = np.tile(event, (2, 1))
    world.arrival = np.tile(event + wait.clip(0, DAY).astype(np.int64), (2, 1))


STAGES: Final[tuple[tuple[str, Callable[[ListWorld], None]], ...]] = (
    ("traffic", traffic),
    ("payments", payments),
    ("outcomes", _outcomes),
    ("serving", _serving),
    ("decisions", _decisions),
    ("labels", _labels),
)


def list_world(
    config: WorldConfig, faults: Sequence[Injection] = (), *, seed: int, rows: int | None = None
) -> ListWorld:
    """A world of requests; `rows` replaces the traffic. Raises ArgumentError for a fault of another loop."""
    world = _lists(ListWorld(config, seed=seed, rows=rows), *faults)
    for name, step in STAGES:
        step(world)
        for fault in faults:
            if fault.stage == name:
                fault.apply(world)
    return world


@dataclass(frozen=True)
class ListSimulation(Simulation):
    """A simulated ranking loop; its truth is that of the click-through rate."""

    @cached_property
    def truth(self) -> Truth:
        """What really changed, in expectation over the simulator."""
        return list_truth(self.config, self.faults)


def simulate_lists(
    config: RankingConfig | None = None, faults: Sequence[Injection] = (), *, seed: int
) -> ListSimulation:
    """Simulate a ranking loop with the faults of `FAULTS`; the same arguments give the same rows.

    Examples
    --------
    >>> loop = simulate_lists(RankingConfig(per_day=5), [TasteDrift(severity=0.3)], seed=1)
    >>> loop.outcomes.columns
    ['request_id', 'item_id', 'position', 'ts_event', 'ts_arrival', 'label']
    """
    config = config or RankingConfig()
    world = list_world(config, faults, seed=seed)
    as_of = config.start + timedelta(seconds=world.as_of_second)
    shown = _shown(world)
    return ListSimulation(
        config=config,
        faults=tuple(faults),
        seed=seed,
        predictions=_predictions(world, shown),
        outcomes=_clicks(world, shown),
        actions=None,
        changes=None,
        contract_toml=CONTRACT.format(as_of=as_of, window=config.window_days),
    )


def _shown(world: ListWorld) -> pl.DataFrame:
    """The keys of every item of every request."""
    first = (world.stream("catalogue").integers(0, 500, world.n)[:, None] + 37 * np.arange(ITEMS)) % 500
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(world.n), ITEMS),
            "request_id": ids(np.repeat(np.arange(world.n), ITEMS)).str.replace("p", "r"),
            "item_id": "i" + pl.Series(first.ravel()).cast(pl.String).str.zfill(3),
            "position": world.position.ravel() + 1,
        }
    )


def _predictions(world: ListWorld, shown: pl.DataFrame) -> pl.DataFrame:
    slices = {"region": REGIONS, "device": DEVICES, "customer": CUSTOMERS}
    requests = pl.DataFrame(
        {
            "row": np.arange(world.n),
            "ts_pred": times(world, world.second),
            "entity_id": accounts(world.account),
            "model_version": world.version,
            **{name: np.array(values)[getattr(world, name)] for name, values in slices.items()},
            **({} if world.status is None else {"status": world.status}),
        }
    ).filter(pl.Series(world.written))
    items = shown.with_columns(pl.Series("score", world.score.ravel()))
    return items.join(requests, on="row", how="inner").drop("row").sort("ts_pred", "request_id", "position")


def _clicks(world: ListWorld, shown: pl.DataFrame) -> pl.DataFrame:
    stated = (world.uniform("emission") < world.emit[1]) & ~world.lost[1] & (world.arrival[1] <= world.as_of_second)
    requests = pl.DataFrame(
        {
            "row": np.arange(world.n),
            "ts_event": times(world, world.event[1]),
            "ts_arrival": times(world, world.arrival[1]),
        }
    ).filter(pl.Series(stated))
    clicked = (_draws(world, "clicks") < world.p).astype(np.int8)
    labelled = shown.with_columns(pl.Series("label", clicked.ravel()))
    columns = ("request_id", "item_id", "position", "ts_event", "ts_arrival", "label")
    return labelled.join(requests, on="row", how="inner").select(columns).sort("ts_arrival", "request_id", "position")


def _draws(world: ListWorld, name: str) -> Floats:
    """A uniform draw for every item of every request."""
    return np.stack([world.uniform(f"{name} {item}") for item in range(ITEMS)], axis=1)


def ndcg(clicked: Floats, position: Ints) -> Floats:
    """Discounted gain of lists over that of their best order; 0 without a click. `position` counts from 0."""
    gain = (clicked * DISCOUNT[position]).sum(axis=1)
    best = np.concatenate([[1.0], np.cumsum(DISCOUNT)])[clicked.sum(axis=1).astype(np.int64)]
    return gain / best


def list_truth(
    config: WorldConfig, faults: Sequence[Injection], *, metric: str = "ctr", rows: int = TRUTH_REQUESTS
) -> Truth:
    """Expected change of `ctr` (exact) or `ndcg@10` (of drawn clicks), and what each cause contributed.

    `rows` is the number of requests that stand for the expectation, half of them in each window.
    """
    if metric not in MATERIAL:
        raise ArgumentError(
            "no exact truth of a ranking loop for this metric",
            got=metric,
            allowed=sorted(MATERIAL),
            next_step="choose one of these metrics",
        )
    cells: dict[frozenset[str], dict[str, Cell]] = {}
    for active, windows in _expectations(config, tuple(faults), rows).items():
        reference, current = windows["reference"][metric], windows["current"][metric]
        cells[active] = {name: Cell(reference=reference[name], current=current[name]) for name in reference}
    return told(cells, faults, metric=metric, material=MATERIAL[metric])


@lru_cache(maxsize=32)
def _expectations(
    config: WorldConfig, faults: tuple[Injection, ...], rows: int
) -> dict[frozenset[str], dict[str, dict[str, dict[str, float]]]]:
    """Of every set of causes, in both windows, every metric: `observed`, `true` and `availability`."""
    found: dict[frozenset[str], dict[str, dict[str, dict[str, float]]]] = {}
    for active in coalitions(faults):
        world = list_world(config, [f for f in faults if f.cause in active], seed=TRUTH_SEED, rows=rows)
        gains = [ndcg((_draws(world, f"draw {k}") < world.p).astype(np.float64), world.position) for k in range(DRAWS)]
        by_request = {"ctr": world.p.mean(axis=1), "ndcg@10": np.mean(gains, axis=0)}
        found[active] = {window: _expected(world, by_request, window) for window in WINDOWS}
    return found


def _expected(world: ListWorld, by_request: dict[str, Floats], window: str) -> dict[str, dict[str, float]]:
    rows = world.window(window)
    seen, logged = world.known[rows] * world.logged[rows], world.logged[rows]
    availability = float(seen.sum() / logged.sum())
    return {
        metric: {
            "observed": float(np.average(values[rows], weights=seen)),
            "true": float(values[rows].mean()),
            "availability": availability,
        }
        for metric, values in by_request.items()
    }
