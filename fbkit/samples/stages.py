"""The stages in which a world is built: traffic, payments, outcomes, serving, decisions, policy, labels.

After each stage the faults of that stage change the world. Every random number comes from a stream that is named after
what it is for, so that switching a fault on or off leaves all the other draws as they were (common random numbers).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from fbkit.samples.config import CUSTOMERS, REGIONS, WorldConfig
from fbkit.samples.world import (
    DAY,
    DEVICE_SHARE,
    Constants,
    Fault,
    Floats,
    Ints,
    World,
    choose,
    expit,
    solve,
)

WEEKDAY_VOLUME: Final = np.array([1.0, 0.97, 0.98, 1.02, 1.12, 1.08, 0.83])
HOUR_VOLUME: Final = np.array([3, 2, 1.5, 1, 1, 1.5, 3, 5, 7, 8, 8.5, 9, 9, 8.5, 8, 8, 8, 8.5, 9, 9, 8, 7, 6, 4.5])
REGION_TREND: Final = np.array([0.0, 0.0, 0.002, 0.008])
"""Weekly growth of a region's traffic over the others: the mix drifts a little all the time."""

REGION_RISK: Final = np.array([-0.2, 0.0, 0.15, 0.5])
CUSTOMER_RISK: Final = np.array([0.0, 0.9, -0.6])
DEVICE_RISK: Final = np.array([0.0, 0.25, -0.1])
FEATURE_CORRELATION: Final = np.array([[1.0, 0.4, 0.3], [0.4, 1.0, 0.35], [0.3, 0.35, 1.0]])
FEATURE_WEIGHT: Final = np.array([1.1, 0.9, 1.2])
HIDDEN_RISK: Final = 0.6
ACCOUNT_RISK: Final = 0.35
OVERCONFIDENCE: Final = 1.06
"""The served score is calibrated but for this factor on its slope."""

REGION_LABELLED: Final = np.array([0.05, 0.05, -0.05, -0.25])
FLAGGED_LABELLED: Final = 0.25
EVENT_LAG_DAYS: Final = ((4.5, 0.5), (3.0, 0.7))
"""Median and log standard deviation of the time to the event, for outcome 0 and 1."""

ARRIVAL_LAG_DAYS: Final = (0.4, 1.0)
CALIBRATION_ROWS: Final = 600_000
CALIBRATION_SEED: Final = 1


def traffic(world: World) -> None:
    """Who is active on which day: heavy-tailed accounts, regions that grow."""
    config = world.config
    activity = world.stream("account activity").gamma(0.6, size=world.accounts) + 0.02
    weeks = np.arange(config.days)[:, None] / 7
    world.account_weight = activity * np.exp(weeks * REGION_TREND[world.account_region])
    world.device_weight = np.tile(DEVICE_SHARE, (config.days, 1))


def payments(world: World) -> None:
    """The rows: when, by whom, from where, with which features."""
    config = world.config
    stream = world.stream("times")
    volume = WEEKDAY_VOLUME[np.arange(config.days) % 7]
    counts = _fixed_counts(world, volume) if world.rows else stream.poisson(config.per_day * volume)
    world.day = np.repeat(np.arange(config.days), counts)
    hour = choose(stream.random(world.n), HOUR_VOLUME)
    second = world.day * DAY + hour * 3600 + stream.integers(0, 3600, world.n)
    world.second = np.sort(second // config.resolution * config.resolution)
    edges = np.concatenate([[0], np.cumsum(counts)])
    u_account, u_device = world.uniform("account"), world.uniform("device")
    world.account, world.device = np.empty(world.n, np.int64), np.empty(world.n, np.int64)
    for day in range(config.days):
        rows = slice(edges[day], edges[day + 1])
        world.account[rows] = choose(u_account[rows], world.account_weight[day])
        world.device[rows] = choose(u_device[rows], world.device_weight[day])
    world.region = world.account_region[world.account]
    world.customer = world.account_customer[world.account]
    draws = world.normal("features", columns=len(FEATURE_WEIGHT))
    world.z = draws @ np.linalg.cholesky(FEATURE_CORRELATION).T
    world.z[:, 2] += 0.4 * (world.customer == CUSTOMERS.index("new"))
    world.served = world.z.copy()
    world.unlogged = world.normal("unlogged")


def _fixed_counts(world: World, volume: Floats) -> Ints:
    """Half of the wanted rows in each window, so that the expectation of both is equally exact."""
    counts, half = np.zeros(world.config.days, np.int64), (world.rows or 0) // 2
    first = world.config.reference_days
    for days in (slice(0, first), slice(first, first + world.config.current_days)):
        share = volume[days] / volume[days].sum()
        counts[days] = np.diff(np.round(half * np.cumsum(share)), prepend=0)
    return counts


def slice_risk(world: World) -> Floats:
    """Log odds that belong to the slices of a row."""
    return REGION_RISK[world.region] + CUSTOMER_RISK[world.customer] + DEVICE_RISK[world.device]


def outcomes(world: World) -> None:
    """The log odds of fraud: what the model can see, plus what it cannot."""
    world.visible = world.z @ FEATURE_WEIGHT + world.config.unlogged_weight * world.unlogged + slice_risk(world)
    account_risk = world.stream("account risk").standard_normal(world.accounts) * ACCOUNT_RISK
    hidden = account_risk[world.account] + HIDDEN_RISK * world.normal("hidden")
    world.eta = world.constants.intercept + world.visible + hidden


def serving(world: World) -> None:
    """The margin of the served model: partial and noisy; a minor version takes over in the middle of the reference."""
    world.threshold = np.full(world.n, world.constants.threshold)
    second_half = world.day >= world.config.reference_days // 2
    world.version = np.where(second_half, "7.3", "7.2")
    own = np.where(second_half, world.normal("noise 7.3"), world.normal("noise 7.2"))
    world.noise = world.config.model_noise * (np.sqrt(0.9) * world.normal("noise") + np.sqrt(0.1) * own)
    unlogged = world.config.unlogged_weight * world.unlogged
    world.margin = world.served @ FEATURE_WEIGHT + unlogged + slice_risk(world) + world.noise


def decisions(world: World) -> None:
    """Probability, score as logged (rounded) and decision."""
    world.p = expit(world.eta)
    score = expit(world.constants.score_intercept + world.constants.score_slope * world.margin)
    world.score = np.round(score, world.config.decimals)
    world.flagged = world.score >= world.threshold
    world.logged = np.ones(world.n)


def policy(world: World) -> None:
    """Which flagged rows are blocked, and how often one of them is let through to learn from it."""
    world.block_score = world.constants.block_scores(np.full(world.n, world.config.blocked_share))
    world.exploration = np.full(world.n, world.config.exploration)
    world.policy = np.full(world.n, "block-1")


def labels(world: World) -> None:
    """Whether, when the event would be seen, and when it would reach the log, for both outcomes a row could have."""
    config = world.config
    level = world.constants.emission + REGION_LABELLED[world.region] + FLAGGED_LABELLED * world.flagged
    world.emit = np.tile(expit(level), (2, 1))
    world.joinable = np.ones(world.n)
    world.lost = np.zeros((2, world.n), np.bool_)
    world.said = np.tile(np.array([[0.0], [1.0]]), world.n)
    z_event, z_arrival = world.normal("event lag"), world.normal("arrival lag")
    speed = np.where(world.flagged, 0.6, 1.0) * np.where(world.region == REGIONS.index("LATAM"), 1.3, 1.0)
    median, spread = ARRIVAL_LAG_DAYS
    wait = median * np.exp(spread * z_arrival)
    world.event, world.arrival = np.empty((2, world.n), np.int64), np.empty((2, world.n), np.int64)
    for outcome, (centre, width) in enumerate(EVENT_LAG_DAYS):
        days = centre * speed * np.exp(width * z_event)
        # The label's definition closes with its window: a slower event is reported within the last tenth of it.
        closing = config.window_days - 1 / 24
        days = np.where(days < closing, days, closing * (0.9 + 0.1 * expit(z_arrival)))
        world.event[outcome] = _stamp(world, days, step=config.event_step)
        world.arrival[outcome] = _stamp(world, days + wait, step=config.batch)
    world.arrival = np.maximum(world.arrival, world.event)


def _stamp(world: World, days: Floats, *, step: int) -> Ints:
    """That many days after the prediction, rounded up: a label is never stamped before its prediction."""
    return -(-(world.second + (days * DAY).astype(np.int64)) // step) * step


STAGES: Final[tuple[tuple[str, Callable[[World], None]], ...]] = (
    ("traffic", traffic),
    ("payments", payments),
    ("outcomes", outcomes),
    ("serving", serving),
    ("decisions", decisions),
    ("policy", policy),
    ("labels", labels),
)


def build(config: WorldConfig, faults: Sequence[Fault] = (), *, seed: int, rows: int | None = None) -> World:
    """A world with these faults. `rows` replaces the traffic by that many rows, half of them in each window."""
    return _build(World(config, seed=seed, constants=constants(config.expectation()), rows=rows), faults)


def _build(world: World, faults: Sequence[Fault]) -> World:
    for name, step in STAGES:
        step(world)
        for fault in faults:
            if fault.stage == name:
                fault.apply(world)
    return world


@lru_cache(maxsize=64)
def constants(config: WorldConfig) -> Constants:
    """Solve base rate, score calibration, threshold and label availability on one large reference population."""

    def rebuilt(found: Constants) -> World:
        return _build(World(config, seed=CALIBRATION_SEED, constants=found, rows=CALIBRATION_ROWS), ())

    found = Constants()
    world = rebuilt(found)
    reference = world.window("reference")
    eta = world.eta[reference]
    found = replace(found, intercept=solve(lambda b: float(expit(eta + b).mean()) - config.base_rate, -20, 10))
    p, margin = expit(eta + found.intercept), world.margin[reference]
    intercept, slope = _platt(margin, p)
    found = replace(found, score_intercept=intercept, score_slope=slope * OVERCONFIDENCE)
    score = np.round(expit(intercept + slope * OVERCONFIDENCE * margin), config.decimals)
    order = np.argsort(-score, kind="stable")
    reached = np.cumsum(p[order]) / p.sum()
    found = replace(found, threshold=float(score[order][np.searchsorted(reached, config.recall)]))
    flagged = score >= found.threshold
    found = replace(found, flagged_scores=tuple(np.quantile(score[flagged], np.linspace(0, 1, 401)).tolist()))
    level = (REGION_LABELLED[world.region[reference]] + FLAGGED_LABELLED * flagged).astype(np.float64)
    emission = solve(lambda b: float(expit(level + b).mean()) - config.availability, -10, 10)
    return replace(found, emission=emission)


def _platt(margin: Floats, p: Floats) -> tuple[float, float]:
    """Logistic regression of the probabilities on the margin by Newton's method."""
    design = np.column_stack([np.ones_like(margin), margin])
    beta: Floats = np.array([np.log(p.mean() / (1 - p.mean())), 0.5])
    for _ in range(9):
        fitted = expit((design @ beta).astype(np.float64))
        weight = fitted * (1 - fitted)
        beta = beta + np.linalg.solve(design.T @ (design * weight[:, None]), design.T @ (p - fitted))
    return float(beta[0]), float(beta[1])
