"""Expected arrivals against known worlds, chances against scipy, and the days that stand out."""

import numpy as np
import pytest
from scipy.stats import nbinom

from fbkit.diagnose.ingest import Counts, at_least, at_most, expected, scan, spread

RATES = 0.9 * np.exp(-np.arange(15) / 4.0) / np.exp(-np.arange(15) / 4.0).sum()


def counts(
    *, seed: int, per_day: float = 400.0, weekday: np.ndarray | None = None, days: int = 70, psi: dict[int, float]
) -> Counts:
    """Eight weeks of predictions whose labels arrive by a known law, with some days partly lost."""
    rng = np.random.default_rng(seed)
    cohorts = 56
    made = rng.poisson(per_day, cohorts).astype(float)
    day = np.arange(cohorts)[:, None] + np.arange(15)
    mean = made[:, None] * RATES
    if weekday is not None:
        mean = mean * weekday[day % 7]
    kept = np.ones(days + 20)
    for when, share in psi.items():
        kept[when] = share
    arrived = rng.poisson(mean * kept[day]) * (day < days)
    return Counts(arrived=arrived[None].astype(float), made=made[None], first=0, days=days, calm=56)


@pytest.mark.parametrize(("mean", "noise"), [(3.0, 0.05), (40.0, 0.1), (900.0, 0.03)])
def test_the_chances_are_those_of_the_negative_binomial_law(mean: float, noise: float) -> None:
    size = 1 / noise**2
    law = nbinom(size, size / (size + mean))
    for count in (0, 1, int(mean * 0.7), int(mean), int(mean * 1.4)):
        value, due, wide = np.array(float(count)), np.array(mean), np.array(noise)
        assert at_most(value, due, noise=wide) == pytest.approx(law.cdf(count), rel=1e-6)
        assert at_least(value, due, noise=wide) == pytest.approx(law.sf(count - 1), rel=1e-6)


def test_what_is_expected_is_what_the_law_says() -> None:
    table = counts(seed=1, psi={})
    due = table.by_day(expected(table, np.zeros((1, 70), dtype=bool)))[0]
    cells = table.made[0][:, None] * RATES
    right = np.bincount(table.arrival_day.ravel(), weights=cells.ravel(), minlength=71)[:70]
    assert np.abs(due[:60] - right[:60]).max() < 3 * np.sqrt(right[:60]).max()
    assert np.abs(due[14:56].mean() / right[14:56].mean() - 1) < 0.02


def test_days_of_arrival_are_counted_as_a_loop_would() -> None:
    table = counts(seed=2, psi={}, days=60)
    slow = np.zeros(60)
    for cohort in range(56):
        for lag in range(15):
            if cohort + lag < 60:
                slow[cohort + lag] += table.arrived[0, cohort, lag]
    assert np.array_equal(table.by_day(table.arrived)[0], slow)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("idle", [False, True])
def test_ordinary_weeks_have_no_day_that_stands_out(seed: int, idle: bool) -> None:
    weekday = np.array([2.2, 1.3, 1.0, 1.0, 1.5, 0.0, 0.0]) if idle else None
    found = scan(counts(seed=seed, weekday=weekday, psi={}), start=0)
    assert not found.down.any()


@pytest.mark.parametrize("idle", [False, True])
def test_lost_days_are_found_and_measured(idle: bool) -> None:
    weekday = np.array([2.2, 1.3, 1.0, 1.0, 1.5, 0.0, 0.0]) if idle else None
    shares = []
    for seed in range(8):
        found = scan(counts(seed=seed, weekday=weekday, psi={58: 0.3, 59: 0.3}), start=0)
        assert np.flatnonzero(found.down[0]).tolist() == [58, 59]
        shares.append(found.observed[0, 58:60].sum() / found.due[0, 58:60].sum())
    assert abs(np.mean(shares) - 0.3) < 0.03


def test_a_thin_feed_needs_several_days_to_tell() -> None:
    found = scan(counts(seed=3, per_day=12.0, psi=dict.fromkeys(range(57, 61), 0.0)), start=0)
    assert found.down[0, 57:61].all()
    one = scan(counts(seed=3, per_day=12.0, psi={57: 0.0}), start=0)
    assert not one.down.any()


def test_a_day_that_brings_too_much_is_a_flood_and_costs_no_other_day() -> None:
    table = counts(seed=4, psi={})
    table.arrived[0, 40:50, :][table.arrival_day[40:50] == 58] += 60
    found = scan(table, start=0)
    assert np.flatnonzero(found.flood[0]).tolist() == [58]
    assert not found.down.any()


def test_a_day_of_few_cohorts_is_not_judged() -> None:
    table = counts(seed=5, psi={})
    only = np.where(np.arange(15) < 1, table.arrived.sum(2, keepdims=True), 0.0)
    only[0, 30] *= 0.2
    narrow = Counts(arrived=only, made=table.made, first=0, days=70, calm=56)
    assert not scan(narrow, start=0).down.any()


def test_spread_is_what_counting_does_not_explain() -> None:
    rng = np.random.default_rng(6)
    due = np.full(4_000, 500.0)
    assert spread(rng.poisson(due).astype(float), due) < 0.02
    wild = rng.poisson(due * rng.normal(1, 0.2, 4_000).clip(0.1))
    assert abs(spread(wild.astype(float), due) - 0.2) < 0.02
    assert spread(due[:3], due[:3]) == 0
