"""A regression loop with known truth: what a payment will cost, with costs that are skewed about their mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache
from typing import Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.samples.config import CUSTOMERS, DEVICES, REGIONS, WorldConfig
from fbkit.samples.faults import (
    CovariateShift,
    FeatureCorruption,
    ImmatureWindow,
    Injection,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    SlowLabels,
    VersionRegression,
)
from fbkit.samples.features import columns
from fbkit.samples.log_values import accounts, ids, times
from fbkit.samples.simulate import Simulation
from fbkit.samples.stages import REGION_LABELLED, labels, payments, policy, traffic
from fbkit.samples.truth import TRUTH_ROWS, TRUTH_SEED, WINDOWS, Cell, Truth, coalitions, told
from fbkit.samples.world import REGION_SHARE, Constants, Floats, World, expit, solve

WEIGHTS: Final = np.array([0.22, 0.13, 0.11])
UNLOGGED: Final = 0.1
REGION_COST: Final = np.array([-0.05, 0.0, 0.05, 0.2])
CUSTOMER_COST: Final = np.array([0.0, 0.1, 0.35])
ACCOUNT_COST: Final = 0.1
MATERIAL_SHARE: Final = 0.01
"""A cause is material if it moves the error by this share of the usual cost."""

CONTRACT: Final = """\
format = 1

[model]
name = "payment-cost"
task = "regression"
purpose = "Reserve what a payment will cost."
owners = ["payments-ml"]
business_metric = "reserve released per 1000 payments"

[predictions]
path = "predictions/*.parquet"
timezone = "UTC"
score_kind = "value"

[outcomes]
path = "outcomes/*.parquet"
timezone = "UTC"
complete_through = "{as_of:%Y-%m-%dT%H:%M:%SZ}"

[label]
name = "cost"
version = "1"
window = "{window}d"
silence = "missing"

[slices]
columns = ["region", "device", "customer"]

[features]
columns = ["log_amount", "payments_24h", "ip_risk"]

[metrics]
primary = "mae"
report = ["mae", "rmse", "bias"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionConfig(WorldConfig):
    """The traffic of `WorldConfig`; costs have the mean `level` (about) and the log standard deviation `noise`."""

    level: float = 40.0
    noise: float = 0.4


class CostWorld(World):
    """A world whose outcome is a cost: `mean` and log standard deviation `spread` of each row's."""

    mean: Floats
    spread: Floats

    def __init__(self, config: RegressionConfig, *, seed: int, rows: int | None = None) -> None:
        level = solve(lambda b: float(REGION_SHARE @ expit(REGION_LABELLED + b)) - config.availability, -10, 10)
        super().__init__(config, seed=seed, constants=Constants(emission=level, threshold=config.level), rows=rows)
        self.level, self.usual_spread = config.level, config.noise


@dataclass(frozen=True, kw_only=True)
class CostDrift(Injection):
    """Costs are `1 + severity` times what they were (`how="bias"`), or their spread is (`how="noise"`)."""

    cause = "concept_drift"
    family = "quality"
    highest = np.inf
    lowest = -0.9
    stage = "outcomes"

    how: Literal["bias", "noise"] = "bias"

    def apply(self, world: World) -> None:
        """Change what payments cost."""
        if not isinstance(world, CostWorld):
            raise _strange([self])
        factor = 1 + self.strength(world)
        if self.how == "bias":
            world.mean = world.mean * factor
        else:
            world.spread = world.spread * factor


FAULTS: Final[tuple[type[Injection], ...]] = (
    CostDrift,
    VersionRegression,
    CovariateShift,
    MixShift,
    FeatureCorruption,
    ServingFallback,
    PredictionLogLoss,
    LabelSliceLoss,
    LabelOutage,
    SlowLabels,
    ImmatureWindow,
)
"""The faults that a regression loop can have; `decision` is no slice of it."""


def _outcomes(world: CostWorld) -> None:
    world.visible = _seen(world, world.z)
    own = world.stream("account risk").standard_normal(world.accounts) * ACCOUNT_COST
    world.mean = world.level * np.exp(world.visible + own[world.account])
    world.spread = np.full(world.n, world.usual_spread)


def _seen(world: CostWorld, z: Floats) -> Floats:
    return z @ WEIGHTS + UNLOGGED * world.unlogged + REGION_COST[world.region] + CUSTOMER_COST[world.customer]


def _serving(world: CostWorld) -> None:
    world.version = np.full(world.n, "3.1")
    world.threshold = np.full(world.n, np.inf)
    world.margin = np.log(world.level) + _seen(world, world.served) + ACCOUNT_COST**2 / 2


def _decisions(world: CostWorld) -> None:
    served: Floats = np.exp(world.margin)
    world.score = np.round(served, 2)
    world.flagged = np.zeros(world.n, np.bool_)
    world.logged = np.ones(world.n)
    world.p = np.ones(world.n)


STAGES: Final[tuple[tuple[str, Callable[[CostWorld], None]], ...]] = (
    ("traffic", traffic),
    ("payments", payments),
    ("outcomes", _outcomes),
    ("serving", _serving),
    ("decisions", _decisions),
    ("policy", policy),
    ("labels", labels),
)


def cost_world(
    config: RegressionConfig, faults: Sequence[Injection] = (), *, seed: int, rows: int | None = None
) -> CostWorld:
    """A world of costs; `rows` replaces the traffic. Raises ArgumentError for a fault of another loop."""
    strange = [fault for fault in faults if not isinstance(fault, FAULTS)]
    if strange:
        raise _strange(strange)
    world = CostWorld(config, seed=seed, rows=rows)
    for name, step in STAGES:
        step(world)
        for fault in faults:
            if fault.stage == name:
                fault.apply(world)
    return world


def _strange(faults: Sequence[Injection]) -> ArgumentError:
    return ArgumentError(
        "this loop cannot have the fault",
        got=", ".join(type(fault).__name__ for fault in faults),
        allowed=", ".join(fault.__name__ for fault in FAULTS),
        next_step="a regression loop has these faults, and no other loop has CostDrift",
    )


@dataclass(frozen=True)
class CostSimulation(Simulation):
    """A simulated regression loop; its truth is that of the mean absolute error."""

    @cached_property
    def truth(self) -> Truth:
        """What really changed, in expectation over the simulator."""
        return cost_truth(self.config, self.faults)


def simulate_costs(
    config: RegressionConfig | None = None, faults: Sequence[Injection] = (), *, seed: int
) -> CostSimulation:
    """Simulate a regression loop with the faults of `FAULTS`; the same arguments give the same rows.

    Examples
    --------
    >>> loop = simulate_costs(RegressionConfig(per_day=20), [CostDrift(severity=0.2)], seed=1)
    >>> loop.outcomes.columns
    ['prediction_id', 'entity_id', 'ts_event', 'ts_arrival', 'value', 'label_version']
    """
    config = config or RegressionConfig()
    world = cost_world(config, faults, seed=seed)
    as_of = config.start + timedelta(seconds=world.as_of_second)
    return CostSimulation(
        config=config,
        faults=tuple(faults),
        seed=seed,
        predictions=_predictions(world),
        outcomes=_log(world),
        actions=None,
        changes=None,
        contract_toml=CONTRACT.format(as_of=as_of, window=config.window_days),
    )


def _predictions(world: CostWorld) -> pl.DataFrame:
    slices = {"region": REGIONS, "device": DEVICES, "customer": CUSTOMERS}
    frame = pl.DataFrame(
        {
            "prediction_id": ids(np.arange(world.n)),
            "ts_pred": times(world, world.second),
            "entity_id": accounts(world.account),
            "score": world.score,
            "model_version": world.version,
            **{name: np.array(values)[getattr(world, name)] for name, values in slices.items()},
            **columns(world),
            **({} if world.status is None else {"status": world.status}),
        }
    )
    return frame.filter(pl.Series(world.written))


def _log(world: CostWorld) -> pl.DataFrame:
    cost = world.mean * np.exp(world.spread * world.normal("cost") - world.spread**2 / 2)
    stated = (world.uniform("emission") < world.emit[1]) & ~world.lost[1] & (world.arrival[1] <= world.as_of_second)
    frame = pl.DataFrame(
        {
            "prediction_id": ids(np.arange(world.n)),
            "entity_id": accounts(world.account),
            "ts_event": times(world, world.event[1]),
            "ts_arrival": times(world, world.arrival[1]),
            "value": np.round(cost, 2),
            "label_version": np.full(world.n, "1"),
        }
    )
    return frame.filter(pl.Series(stated)).sort("ts_arrival", "prediction_id")


def absolute_error(score: Floats, mean: Floats, spread: Floats) -> Floats:
    """Expected distance of a log-normal cost from its forecast."""
    from scipy.special import ndtr

    above = (np.log(mean / score) + spread**2 / 2) / spread
    return 2 * (mean * ndtr(above) - score * ndtr(above - spread)) - (mean - score)


def _squared_error(score: Floats, mean: Floats, spread: Floats) -> Floats:
    return mean**2 * np.exp(spread**2) - 2 * score * mean + score**2


def _error(score: Floats, mean: Floats, spread: Floats) -> Floats:
    return score - mean + 0 * spread


METRICS: Final[dict[str, Callable[[Floats, Floats, Floats], Floats]]] = {
    "mae": absolute_error,
    "rmse": _squared_error,
    "bias": _error,
}
"""The expected error of a row, by metric; `rmse` is the root of its mean."""


def cost_truth(
    config: WorldConfig, faults: Sequence[Injection], *, metric: str = "mae", rows: int = TRUTH_ROWS
) -> Truth:
    """Expected change of `mae`, `rmse` or `bias`, and what each cause contributed."""
    if metric not in METRICS or not isinstance(config, RegressionConfig):
        raise ArgumentError(
            "no exact truth of a regression loop for this metric",
            got=metric,
            allowed=sorted(METRICS),
            next_step="choose one of these metrics, for a RegressionConfig",
        )
    cells: dict[frozenset[str], dict[str, Cell]] = {}
    for active, windows in _expectations(config, tuple(faults), rows).items():
        reference, current = windows["reference"][metric], windows["current"][metric]
        cells[active] = {name: Cell(reference=reference[name], current=current[name]) for name in reference}
    return told(cells, faults, metric=metric, material=MATERIAL_SHARE * config.level)


@lru_cache(maxsize=32)
def _expectations(
    config: RegressionConfig, faults: tuple[Injection, ...], rows: int
) -> dict[frozenset[str], dict[str, dict[str, dict[str, float]]]]:
    """Of every set of causes, in both windows, every metric: `observed`, `true` and `availability`."""
    found: dict[frozenset[str], dict[str, dict[str, dict[str, float]]]] = {}
    for active in coalitions(faults):
        world = cost_world(config, [f for f in faults if f.cause in active], seed=TRUTH_SEED, rows=rows)
        found[active] = {window: _expected(world, window) for window in WINDOWS}
    return found


def _expected(world: CostWorld, window: str) -> dict[str, dict[str, float]]:
    rows = world.window(window)
    logged = world.logged[rows]
    seen = world.visible_if()[1, rows] * logged
    availability = float(seen.sum() / logged.sum())
    found: dict[str, dict[str, float]] = {}
    for metric, expected in METRICS.items():
        error = expected(world.score[rows], world.mean[rows], world.spread[rows])
        means = np.array([np.average(error, weights=seen), error.mean()])
        observed, true = np.sqrt(means) if metric == "rmse" else means
        found[metric] = {"observed": float(observed), "true": float(true), "availability": availability}
    return found
