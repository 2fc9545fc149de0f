"""Short days are found from counts alone: an outage is, chance, weekends, thin feeds and slow change are not."""

import numpy as np
import pytest

from fbkit.join.outage import Array, Feed, lower_tail, predict, short_runs

DAYS = 200
MONDAY_FIRST = np.arange(DAYS) % 7


def feed(mean: Array, *, seed: int = 1, members: list[list[bool]] | None = None) -> Feed:
    """One cell per row of ``mean``; the curve predicts exactly that, and arrivals are Poisson."""
    counts = np.random.default_rng(seed).poisson(mean).astype(np.float64)
    sets = np.array(members) if members else np.vstack([np.ones(len(mean)), np.eye(len(mean))]).astype(bool)
    return Feed(arrived=counts, predicted=mean, members=sets, weekday=MONDAY_FIRST)


def without(given: Feed, cell: int, first: int, last: int, *, kept: float = 0.0) -> Feed:
    arrived = given.arrived.copy()
    arrived[cell, first : last + 1] = np.floor(arrived[cell, first : last + 1] * kept)
    return Feed(arrived=arrived, predicted=given.predicted, members=given.members, weekday=given.weekday)


@pytest.mark.parametrize(("count", "mean"), [(0, 20.0), (3, 8.5), (12, 30.0), (5, 5.0)])
def test_the_tail_is_poisson_and_with_spread_negative_binomial(count: int, mean: float) -> None:
    from scipy.stats import nbinom, poisson

    tail = lower_tail(np.array([count]), np.array([mean]), np.array([1e-6]))[0]
    assert tail == pytest.approx(poisson.cdf(count, mean), rel=1e-3)
    spread = 0.3
    size = 1 / spread
    tail = lower_tail(np.array([count]), np.array([mean]), np.array([spread]))[0]
    assert tail == pytest.approx(nbinom.cdf(count, size, size / (size + mean)), rel=1e-9)


def test_the_curve_predicts_what_a_double_loop_adds_up() -> None:
    rng = np.random.default_rng(3)
    made, rates = rng.integers(0, 9, size=(2, 12)).astype(np.float64), rng.random(5)
    slow = np.zeros_like(made)
    for cell in range(2):
        for day in range(12):
            for lag in range(5):
                if day - lag >= 0:
                    slow[cell, day] += made[cell, day - lag] * rates[lag]
    np.testing.assert_allclose(predict(made, rates), slow)


@pytest.mark.parametrize("mean", [0.05, 0.5, 4.0, 40.0])
def test_chance_alone_stops_no_feed(mean: float) -> None:
    found = [short_runs(feed(np.full((3, DAYS), mean), seed=seed)) for seed in range(20)]
    assert [runs for runs in found if runs] == []


def test_days_without_deliveries_at_every_weekend_are_no_outage() -> None:
    weekly = np.where(MONDAY_FIRST >= 5, 0.0, 14.0)
    made = feed(np.vstack([weekly, weekly]))
    flat = Feed(arrived=made.arrived, predicted=np.full((2, DAYS), 10.0), members=made.members, weekday=MONDAY_FIRST)
    assert short_runs(flat) == []


def test_a_missed_monday_is_found_where_all_comes_on_mondays() -> None:
    mean = np.where(MONDAY_FIRST == 0, 70.0, 0.0)
    made = feed(np.vstack([mean, mean]), seed=4)
    flat = Feed(arrived=made.arrived, predicted=np.full((2, DAYS), 10.0), members=made.members, weekday=MONDAY_FIRST)
    runs = short_runs(without(flat, 0, 140, 140))
    assert [(run.series, run.first <= 140 <= run.last) for run in runs] == [(1, True)]


def test_a_base_rate_that_halves_over_two_months_stops_nothing() -> None:
    decline = 20.0 * np.interp(np.arange(DAYS), [80, 140], [1.0, 0.5])
    made = feed(np.vstack([decline, decline]))
    constant = Feed(
        arrived=made.arrived, predicted=np.full((2, DAYS), 20.0), members=made.members, weekday=MONDAY_FIRST
    )
    assert short_runs(constant) == []


@pytest.mark.parametrize("kept", [0.0, 0.2])
def test_an_outage_is_found_with_its_days(kept: float) -> None:
    runs = short_runs(without(feed(np.full((2, DAYS), 12.0)), 1, 120, 124, kept=kept))
    assert len(runs) == 1
    assert (runs[0].series, runs[0].first, runs[0].last) == (2, 120, 124)
    assert runs[0].expected == pytest.approx(60, rel=0.25)


def test_a_thin_feed_tells_after_weeks_what_a_rich_one_tells_after_days() -> None:
    thin = np.full((2, DAYS), 1.5)
    assert short_runs(without(feed(thin), 0, 120, 123)) == []
    assert [run.series for run in short_runs(without(feed(thin), 0, 120, 145))] == [1]


def test_a_failing_slice_is_named_and_not_those_that_share_rows_with_it() -> None:
    # Cells: EU web, EU app, US web, US app; series: all, EU, US, web, app.
    members = [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]]
    given = feed(
        np.full((4, DAYS), 10.0) * np.array([[3.0], [1.0], [1.0], [1.0]]),
        members=[[bool(x) for x in row] for row in members],
    )
    runs = short_runs(without(without(given, 0, 150, 154), 1, 150, 154))
    assert [(run.series, run.first, run.last) for run in runs] == [(1, 150, 154)]


def test_when_everything_fails_the_whole_feed_is_named() -> None:
    given = feed(np.full((3, DAYS), 10.0))
    for cell in range(3):
        given = without(given, cell, 90, 94)
    assert [(run.series, run.first, run.last) for run in short_runs(given)] == [(0, 90, 94)]


def test_two_outages_of_two_slices_are_two_runs() -> None:
    given = without(without(feed(np.full((2, DAYS), 15.0)), 0, 100, 103), 1, 160, 165)
    assert sorted((run.series, run.first, run.last) for run in short_runs(given)) == [(1, 100, 103), (2, 160, 165)]


def test_a_feed_that_delivers_late_catches_up() -> None:
    given = without(feed(np.full((2, DAYS), 20.0)), 0, 100, 102)
    given.arrived[0, 103] += 60
    (run,) = short_runs(given)
    assert run.caught_up == pytest.approx(60, abs=15)
