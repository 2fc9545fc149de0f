"""Counts against weeks before: a loop over the calendar, exact laws by scipy, gaps found, false alarms rare."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import mean, median

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.stats.intervals import benjamini_hochberg
from fbkit.measure.stats.seasonal import excess, expectation, limits, tails
from fbkit.measure.volume import EVERY, volume
from fbkit.testing.frames import FakeJoined, make_joined

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)


def traffic(times: list[datetime], *, as_of: datetime | None = None, **columns: object) -> FakeJoined:
    made = make_joined(scores=[0.5] * len(times), labels=[None] * len(times), columns=columns)
    frame = made.frame.with_columns(pl.Series("ts_pred", times, dtype=pl.Datetime("us", "UTC")))
    return FakeJoined(frame=frame, contract=made.contract, as_of=as_of or max(times) + timedelta(days=30))


def hourly(counts: np.ndarray, *, seed: int = 0) -> list[datetime]:
    rng = np.random.default_rng(seed)
    hours = np.repeat(np.arange(len(counts)), counts)
    minutes = rng.random(len(hours)) * 59
    return [MONDAY + timedelta(hours=int(h), minutes=float(m)) for h, m in zip(hours, minutes, strict=True)]


def profile(weeks: int, scale: float) -> np.ndarray:
    hour = np.arange(weeks * 168)
    return scale * (1 + 0.7 * np.sin(2 * np.pi * (hour % 24) / 24)) * np.where(hour % 168 >= 120, 0.6, 1.0)


@given(
    hours=st.lists(st.integers(0, 7 * 24 * 7), min_size=1, max_size=60),
    every=st.sampled_from(["1h", "1d"]),
    weeks=st.integers(3, 5),
)
def test_counts_and_expectations_are_those_of_a_loop_over_the_calendar(
    hours: list[int], every: str, weeks: int
) -> None:
    times = [MONDAY + timedelta(hours=hour, minutes=1) for hour in hours]
    frame = volume(traffic(times), every=every, weeks=weeks)
    step = EVERY[every]
    cells = Counter(MONDAY + (time - MONDAY) // step * step for time in times)
    first, last = min(cells), max(cells)
    assert frame["n"].sum() == len(times)
    assert frame["period_start"].to_list() == [first + index * step for index in range((last - first) // step + 1)]
    for row in frame.iter_rows(named=True):
        start = row["period_start"]
        # The first cell is a part of one, the last may be.
        past = [cells[start - back * WEEK] for back in range(1, weeks + 1) if start - back * WEEK > first]
        assert row["n"] == cells[start]
        assert row["weeks"] == len(past)
        if len(past) < 3 or start in (first, last):
            assert row["expected"] is None
            assert row["reason"] is not None
        else:
            expected = median(past) if median(past) >= 10 else mean(past)
            assert row["expected"] == pytest.approx(expected)
            assert row["ratio"] == (None if expected == 0 else pytest.approx(row["n"] / expected))
            assert row["reason"] is None


def test_a_missing_hour_is_a_row_and_is_found() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(profile(10, 30.0))
    counts[-50] = 0
    counts[-100] = 0
    counts[-20] *= 4
    frame = volume(traffic(hourly(counts)), every="1h")
    found = {row["period_start"]: row["flag"] for row in frame.iter_rows(named=True) if row["flag"]}
    hours = len(counts)
    planted = {
        MONDAY + timedelta(hours=hours - 100): "low",
        MONDAY + timedelta(hours=hours - 50): "low",
        MONDAY + timedelta(hours=hours - 20): "high",
    }
    assert planted.items() <= found.items()
    # Among those flagged a few may be chance: that is what a false discovery rate allows.
    assert len(found) <= len(planted) + 1
    assert frame.filter(pl.col("flag") == "low")["n"].to_list() == [0, 0]


def test_an_outage_of_a_day_does_not_hide_itself_and_history_forgives_it() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(profile(10, 30.0))
    counts[-14 * 24 : -13 * 24] = 0
    frame = volume(traffic(hourly(counts)), every="1d")
    flagged = frame.filter(pl.col("flag").is_not_null())
    assert flagged["period_start"].to_list() == [MONDAY + timedelta(days=70 - 14)]
    # A week later the empty day is one of eight in the median.
    later = frame.filter(pl.col("period_start") == MONDAY + timedelta(days=70 - 7))
    assert later["expected"][0] > 400


@pytest.mark.parametrize(
    ("every", "noise"), [("1h", "poisson"), ("1h", "uneven hours"), ("1h", "uneven days"), ("1d", "uneven days")]
)
def test_sound_traffic_raises_an_alarm_in_at_most_one_call_of_twenty(every: str, noise: str) -> None:
    rng = np.random.default_rng(7)
    runs, alarms, per_day = 120, 0, 24 if every == "1h" else 1
    shape = profile(10, 40.0).reshape(-1, 24 // per_day).sum(1)
    for _ in range(runs):
        factor = np.ones(len(shape))
        if noise == "uneven hours":
            factor = rng.gamma(25, 1 / 25, len(shape))
        if noise == "uneven days":
            factor = np.repeat(rng.gamma(100, 1 / 100, len(shape) // per_day), per_day)
        counts = rng.poisson(shape * factor).astype(np.float64)
        found = expectation(counts, cells_per_week=7 * per_day, weeks=8, judged=slice(-7 * per_day, None))
        alarms += bool(np.nanmin(benjamini_hochberg(found.p_value)) <= 0.05)
    # One in twenty, and three standard errors for the simulation.
    assert alarms / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_prediction_intervals_hold_as_many_counts_as_they_say() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(profile(12, 40.0) * rng.gamma(50, 1 / 50, 12 * 168))
    frame = volume(traffic(hourly(counts)), every="1h").filter(pl.col("lower").is_not_null())
    inside = frame.select(pl.col("n").is_between("lower", "upper").mean()).item()
    assert 0.93 <= inside <= 0.975


@given(
    mean_count=st.floats(0.05, 5000),
    extra=st.floats(0.01, 3),
    count=st.integers(0, 6000),
    level=st.sampled_from([0.8, 0.95]),
)
def test_tails_and_limits_are_the_negative_binomial_law(
    mean_count: float, extra: float, count: int, level: float
) -> None:
    variance = mean_count * (1 + extra)
    size, share = mean_count / extra, 1 / (1 + extra)
    below, above = tails(np.array([float(count)]), np.array([mean_count]), np.array([variance]))
    assert below[0] == pytest.approx(nbinom.cdf(count, size, share), rel=1e-6, abs=1e-12)
    assert above[0] == pytest.approx(nbinom.sf(count - 1, size, share), rel=1e-6, abs=1e-9)
    lower, upper = limits(np.array([mean_count]), np.array([variance]), level=level)
    tail = (1 - level) / 2
    assert nbinom.cdf(lower[0], size, share) >= tail - 1e-9
    assert lower[0] == 0 or nbinom.cdf(lower[0] - 1, size, share) <= tail + 1e-9
    assert nbinom.sf(upper[0] - 1, size, share) >= tail - 1e-9
    assert nbinom.sf(upper[0], size, share) <= tail + 1e-9


@pytest.mark.parametrize("truth", [0.0, 0.01, 0.09])
def test_the_spread_is_the_one_the_counts_were_drawn_with_also_amid_outages(truth: float) -> None:
    rng = np.random.default_rng(4)
    centre = np.full(6000, 200.0)
    factor = rng.gamma(1 / truth, truth, 6000) if truth else 1.0
    counts = rng.poisson(centre * factor).astype(np.float64)
    extra = np.zeros(6000)
    assert excess(counts, centre, extra) == pytest.approx(truth, abs=0.1 * truth + 0.001)
    counts[:120] = 0.0
    assert excess(counts, centre, extra) == pytest.approx(truth, abs=0.25 * truth + 0.002)


def test_each_slice_has_a_past_of_its_own() -> None:
    rng = np.random.default_rng(5)
    old, new = rng.poisson(profile(8, 20.0)), rng.poisson(profile(8, 20.0))
    new[: 6 * 168] = 0
    old[-24:] = 0
    times = hourly(old) + hourly(new)
    names: list[str | None] = ["old"] * int(old.sum()) + [None] * int(new.sum())
    frame = volume(traffic(times, version=names), every="1h", by="version")
    assert frame["version"].unique(maintain_order=True).to_list() == ["old", None]
    young = frame.filter(pl.col("version").is_null())
    assert young["period_start"].min() >= MONDAY + timedelta(days=42)
    assert young["flag"].null_count() == young.height
    assert young["reason"].to_list()[1] == "less than 3 weeks of history"
    gone = frame.filter(pl.col("flag") == "low")
    assert set(gone["version"]) == {"old"}
    assert gone["period_start"].min() >= MONDAY + timedelta(hours=8 * 168 - 24)


def test_a_period_shows_what_lies_in_it_also_after_the_log_has_stopped() -> None:
    counts = np.full(8 * 168, 20)
    end = MONDAY + timedelta(days=56)
    joined = traffic(hourly(counts), as_of=end + timedelta(days=2))
    frame = volume(joined, every="1d", period=f"{end - timedelta(days=2):%Y-%m-%d}..{end + timedelta(days=9):%Y-%m-%d}")
    assert frame["n"].to_list() == [480, 480, 0, 0, 0]
    assert frame["flag"].to_list() == [None, None, "low", "low", None]
    assert frame["reason"].to_list() == [None] * 4 + ["this cell may not be over"]


def test_row_order_does_not_matter_and_the_frame_says_which_question_it_answers() -> None:
    joined = traffic(hourly(np.random.default_rng(6).poisson(profile(6, 3.0))))
    shuffled = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=1), contract=joined.contract, as_of=joined.as_of
    )
    one, other = volume(joined, every="1h"), volume(shuffled, every="1h")
    assert one.equals(other)
    assert one["evaluation_id"].n_unique() == 1
    assert volume(joined, every="1d")["evaluation_id"][0] != one["evaluation_id"][0]


def test_the_metric_volume_counts_the_rows_of_a_cell() -> None:
    joined = traffic(hourly(np.full(72, 2)))
    frame = metrics(joined, "volume", every="1d", stage="any")
    assert frame["value"].to_list() == [48.0, 48.0, 48.0]
    assert frame["lower"].null_count() == 3


def test_no_predictions_give_no_rows_with_all_columns() -> None:
    empty = make_joined(scores=[], labels=[], columns={"group": pl.Series([], dtype=pl.String)})
    frame = volume(empty, by="group")
    assert frame.height == 0
    assert frame.columns == volume(traffic(hourly(np.full(4, 1)), group=["a"] * 4), by="group").columns


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"every": "1w"}, "unknown time grain"),
        ({"weeks": 2}, "weeks of history"),
        ({"level": 1.0}, "level"),
        ({"by": "nobody"}, "slice column"),
        ({"period": "yesterday"}, "period"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(call: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        volume(traffic([MONDAY]), **call)
