"""The day of a change: against brute force, against the one-dimensional change point, and over drawn worlds."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.moved import day_of_change
from fbkit.measure.stats.change_point import BACK, NONE, SLOW, SOME, STEP, _gains, _spans, change_point
from fbkit.measure.stats.intervals import Array, homogeneity
from fbkit.testing.frames import START

DAYS, BINS = 56, 8


def drawn(rng: np.random.Generator, along: Array, *, n: float = 600, size: float = 0.5, over: float = 0) -> Array:
    """Rows by day and bin; ``along`` (0 to 1 by day) leads from even shares to tilted ones."""
    base = np.full(BINS, 1 / BINS)
    tilted = base * np.linspace(1 - size, 1 + size, BINS)
    shares = base + along[:, None] * (tilted - base)
    if over:
        shares = np.stack([rng.dirichlet(share * over) for share in shares])
    return np.stack([rng.multinomial(rng.poisson(n), share) for share in shares]).astype(np.float64)


def step(at: int) -> Array:
    return (np.arange(DAYS) >= at).astype(np.float64)


def test_the_gain_of_every_span_is_pearsons_chi_square_of_inside_against_outside() -> None:
    table = drawn(np.random.default_rng(0), step(20)[:12], n=40)
    spans = _spans(12)
    gain, _ = _gains(table, table.sum(axis=1), table.sum(axis=0) / table.sum(), spans)
    for place, (start, end) in enumerate(spans.T):
        inside = table[start:end].sum(axis=0)
        expected, _ = homogeneity(np.stack([inside, table.sum(axis=0) - inside]))
        assert gain[place] == pytest.approx(expected, rel=1e-9)
    listed = {(int(a), int(b)) for a, b in spans.T}
    assert listed == {(a, b) for a in range(2, 12) for b in range(a + 2, 13) if b == 12 or b <= 10}, (
        "two days at least on every side"
    )


def test_two_categories_have_the_change_point_of_their_share() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = rng.integers(200, 800, DAYS)
        share = 0.3 + 0.1 * (np.arange(DAYS) >= 30)
        k = rng.binomial(n, share)
        daily = pl.DataFrame({"role": ["current"] * DAYS, "value": k / n, "n_labelled": n})
        days = [START + timedelta(days=day) for day in range(DAYS)]
        found = day_of_change(daily.with_columns(pl.Series("day", days)), not_before=days[2])
        assert found is not None
        made = change_point(np.stack([n - k, k], axis=1).astype(np.float64))
        assert made.kind == STEP
        assert days[made.at] == found[0]


def test_a_step_is_found_and_its_range_holds_it() -> None:
    rng = np.random.default_rng(1)
    exact = inside = named = 0
    for _ in range(120):
        found = change_point(drawn(rng, step(40), n=150, size=0.4))
        if found.kind == STEP:
            named += 1
            exact += found.at == 40
            inside += found.first <= 40 <= found.last
            assert found.first <= found.at <= found.last
    assert named >= 110
    assert exact >= 0.6 * named
    assert inside >= 0.9 * named


@pytest.mark.parametrize("over", [0, 300])
def test_no_day_is_named_when_nothing_changed(over: float) -> None:
    rng = np.random.default_rng(2)
    found = [change_point(drawn(rng, np.zeros(DAYS), over=over)) for _ in range(150)]
    assert sum(one.kind != NONE for one in found) <= 6
    assert {one.reason for one in found if one.kind == NONE} == {"no day stands out"}


def test_weather_that_lasts_for_days_is_no_change() -> None:
    """Shares that wander (an autocorrelation of 0.7 from day to day) have no level to change."""
    rng = np.random.default_rng(3)
    named = 0
    for _ in range(100):
        wander = np.zeros(DAYS)
        for day in range(1, DAYS):
            wander[day] = 0.7 * wander[day - 1] + rng.normal(0, 0.2)
        named += change_point(drawn(rng, np.clip(0.5 + wander, 0, 1))).kind == STEP
    assert named <= 20


def test_a_slow_move_is_no_day_and_there_and_back_are_two() -> None:
    rng = np.random.default_rng(4)
    ramp = np.clip((np.arange(DAYS) - 15) / 25, 0, 1)
    for _ in range(20):
        slow = change_point(drawn(rng, ramp, size=0.6))
        assert (slow.kind, slow.at) == (SLOW, None)
        assert slow.first <= 20
        assert slow.last >= 35
    for _ in range(20):
        away = change_point(drawn(rng, step(30) - step(37), size=0.6))
        assert (away.kind, away.at, away.back) == (BACK, 30, 37)


def test_a_faint_change_is_some_day_within_a_range() -> None:
    rng = np.random.default_rng(5)
    kinds = [change_point(drawn(rng, step(28), n=60, size=0.3)) for _ in range(60)]
    vague = [one for one in kinds if one.kind == SOME]
    assert vague
    assert all(one.at is None and one.last - one.first > 7 for one in vague)


def test_too_little_says_why() -> None:
    assert change_point(np.ones((5, 3))).reason == "fewer than 6 days"
    assert change_point(np.full((30, 1), 50.0)).reason == "one value only"
    assert change_point(np.zeros((0, 2))).kind == NONE
    gaps = np.zeros((40, 3))
    gaps[::10] = 20
    assert change_point(gaps).reason == "fewer than 6 days", "days without predictions are no days"


def test_days_without_predictions_do_not_move_the_places() -> None:
    table = drawn(np.random.default_rng(6), step(30), size=0.8)
    table[[10, 11, 35]] = 0
    assert change_point(table).at == 30
