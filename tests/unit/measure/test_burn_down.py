"""Labels missing to the promise, against counting by hand, and the forecast against worlds whose future is known."""

from datetime import datetime, timedelta
from statistics import mean, stdev

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.burn_down import COLUMNS, burn_down, promise_dates
from fbkit.schema.contract import Contract
from fbkit.testing.frames import CONTRACT, START, FakeJoined, make_joined

AS_OF = START + timedelta(days=42)  # a Monday, like START
DAY = timedelta(days=1)


def contract(slo: str = 'label_availability = { at = "7d", minimum = 0.8 }', silence: str = "missing") -> Contract:
    text = CONTRACT.format(task="binary").replace('window = "7d"', f'window = "7d"\nsilence = "{silence}"')
    return Contract.from_toml(f"{text}\n[slo]\n{slo}\n" if slo else text)


def world(
    *, weeks: int = 6, share: float = 0.9, now: float | None = None, slo: Contract | None = None, seed: int = 1,
    as_of: datetime = AS_OF,
) -> FakeJoined:  # fmt: skip
    """40 predictions a day before ``AS_OF``; labels after up to 6 days; ``now`` is the share of the last week's."""
    rng = np.random.default_rng(seed)
    ages = np.concatenate([(AS_OF - as_of) / DAY * -1 + day + rng.uniform(0.01, 0.99, 40) for day in range(7 * weeks)])
    kept = rng.random(len(ages)) < np.where(ages < 7, share if now is None else now, share)
    lags = rng.uniform(0, 6, len(ages))
    known = kept & (lags <= ages)
    made = make_joined(
        scores=[0.5] * len(ages), labels=[1.0 if yes else None for yes in known], ages=ages.tolist(),
        arrival_days=[lag if yes else None for lag, yes in zip(lags, known, strict=True)], as_of=as_of,
    )  # fmt: skip
    return FakeJoined(frame=made.frame, contract=slo or contract(), as_of=as_of)


def counted(joined: FakeJoined, start: datetime, at: datetime) -> int:
    """Labels of a week that were known at a time."""
    made, came = joined.frame["ts_pred"], joined.frame["ts_arrival"]
    return int((joined.frame["label"].is_not_null() & (made >= start) & (made < start + 7 * DAY) & (came <= at)).sum())


def test_the_path_is_counted_row_by_row() -> None:
    joined = world(now=0.5)
    path = burn_down(joined)
    assert path.columns == [*COLUMNS, "evaluation_id"]
    start = AS_OF - 7 * DAY
    assert path["as_of"].to_list() == [start + day * DAY for day in range(15)]
    assert path["n"].unique().to_list() == [280]
    assert path["n_needed"].unique().to_list() == [224]
    for line in path.filter(pl.col("as_of") <= AS_OF).iter_rows(named=True):
        assert line["n_labelled"] == counted(joined, start, line["as_of"])
        assert line["n_missing"] == max(224 - line["n_labelled"], 0)
    assert path.filter(pl.col("as_of") > AS_OF)["n_missing"].null_count() == 7


def test_expected_path_and_forecast_are_those_of_earlier_weeks() -> None:
    joined = world(now=0.5)
    path = burn_down(joined, level=0.9)
    starts = [AS_OF - (7 + 7 * back) * DAY for back in range(1, 6)]
    mature = [start for start in starts if start + 14 * DAY <= AS_OF]
    assert path["n_cohorts"][0] == len(mature) == 5
    t = float(stats.t.ppf(0.95, len(mature) - 1)) * np.sqrt(1 + 1 / len(mature))
    known_now = counted(joined, AS_OF - 7 * DAY, AS_OF)
    for offset, line in enumerate(path.iter_rows(named=True)):
        usual = [float(counted(joined, start, start + offset * DAY)) for start in mature]
        assert line["expected"] == pytest.approx(max(224 - mean(usual), 0))
        assert line["expected_lower"] == pytest.approx(max(224 - min(mean(usual) + t * stdev(usual), 280), 0))
        if offset < 7:
            assert line["forecast"] is None
            continue
        more = [counted(joined, start, start + offset * DAY) - counted(joined, start, start + 7 * DAY)
                for start in mature]  # fmt: skip
        assert line["forecast"] == pytest.approx(max(224 - known_now - mean(more), 0))
        assert line["forecast_upper"] == pytest.approx(
            max(224 - max(known_now + mean(more) - t * stdev(more), known_now), 0)
        )


def test_a_week_that_lost_labels_falls_short_and_a_whole_one_gets_there() -> None:
    lost = promise_dates(burn_down(world(now=0.4))).row(0, named=True)
    assert lost["state"] == "short"
    assert lost["reached_at"] is None
    assert 0 < lost["short_lower"] < lost["short"] < lost["short_upper"]
    whole = promise_dates(burn_down(world(share=0.95))).row(0, named=True)
    assert whole["state"] == "expected"
    assert AS_OF < whole["reached_earliest"] <= whole["reached_at"] < whole["due_at"] == AS_OF + 7 * DAY


def test_the_interval_holds_what_came_in_most_worlds() -> None:
    held = 0
    for seed in range(30):
        whole = world(seed=seed, weeks=8, share=0.7)
        at = AS_OF - 7 * DAY
        early = build(whole)
        asked = promise_dates(burn_down(early, as_of=at)).row(0, named=True)
        came = promise_dates(burn_down(whole, period=f"{(at - 7 * DAY).date()}..{at.date()}")).row(0, named=True)
        assert came["state"] == "missed"
        held += asked["short_lower"] <= came["short"] <= asked["short_upper"]
    assert 26 <= held <= 30


def test_reached_and_missed_are_facts() -> None:
    rows = world(share=0.9)
    first = promise_dates(burn_down(rows, period="2026-03-02..2026-03-09")).row(0, named=True)
    assert first["state"] == "reached"
    assert first["n_cohorts"] == 0
    assert counted(rows, START, first["reached_at"]) >= 224 > counted(rows, START, first["reached_at"] - DAY)
    worse = promise_dates(burn_down(world(share=0.5), period="2026-03-02..2026-03-09")).row(0, named=True)
    assert (worse["state"], worse["short_lower"]) == ("missed", None)
    assert worse["short"] == 224 - counted(world(share=0.5), START, START + 14 * DAY)


@pytest.mark.parametrize("every", ["1d", "1w", None])
def test_a_ledger_says_the_same_also_of_an_earlier_midnight(every: str | None) -> None:
    whole = world(now=0.5)
    ledger = build(whole)
    assert_frame_equal(burn_down(ledger, every=every).drop("evaluation_id"),
                       burn_down(whole, every=every).drop("evaluation_id"))  # fmt: skip
    at = AS_OF - 4 * DAY
    rows = whole.frame.filter(pl.col("ts_pred") <= at).with_columns(
        pl.when(pl.col("ts_arrival") <= at).then("label").alias("label"),
        pl.when(pl.col("ts_arrival") <= at).then("arrival_lag").alias("arrival_lag"),
    )
    then = FakeJoined(frame=rows, contract=whole.contract, as_of=at)
    assert_frame_equal(burn_down(ledger, every=every, as_of=at).drop("evaluation_id"),
                       burn_down(then, every=every).drop("evaluation_id"))  # fmt: skip


def test_open_cohorts_are_those_not_due_yet() -> None:
    weeks = burn_down(world(), every="1w")
    assert weeks["period_start"].unique().to_list() == [AS_OF - 7 * DAY]
    days = burn_down(world(), every="1d")
    assert days["period_start"].n_unique() == 7
    both = burn_down(world(), every="1w", period="2026-03-30..2026-04-13")
    assert promise_dates(both)["state"].to_list() == ["reached", "expected"]


def test_too_few_earlier_cohorts_are_told() -> None:
    path = burn_down(world(weeks=3))
    assert path["n_cohorts"][0] == 2
    assert path["expected"].null_count() == path["forecast"].null_count() == path.height
    told = promise_dates(path).row(0, named=True)
    assert told["state"] == "open"
    assert told["n_missing"] > 0
    assert "fewer than 3" in told["reason"]


def test_labels_later_than_the_promised_age_do_not_count() -> None:
    slow = contract('label_availability = { at = "2d", minimum = 0.8 }')
    joined = world(slo=slow)
    path = burn_down(joined, period="2026-03-02..2026-03-09")
    assert path.height == 7 + 2 + 1
    in_time = joined.frame.filter((pl.col("ts_pred") < START + 7 * DAY) & (pl.col("arrival_lag") <= 2 * DAY)).height
    assert path["n_labelled"][-1] == in_time


def test_without_a_promise_everything_is_missing() -> None:
    path = burn_down(world(slo=contract("")))
    assert (path["goal"][0], path["minimum"][0], path["n_needed"][0]) == ("all", None, 280)


def test_where_silence_is_a_negative_the_labels_of_mature_cohorts_are_the_measure() -> None:
    joined = world(slo=contract('feed_completeness = { at = "7d", minimum = 0.9 }', silence="negative"), share=0.3)
    path = burn_down(joined)
    mature = [counted(joined, AS_OF - (7 + 7 * back) * DAY, AS_OF) for back in range(1, 6)]
    assert path["goal"][0] == "feed_completeness"
    assert path["n_needed"][0] == int(np.ceil(0.9 * mean(mature) - 1e-9))
    few = burn_down(world(weeks=2, slo=joined.contract, share=0.3))
    assert few["n_needed"].null_count() == few["n_missing"].null_count() == few.height
    assert promise_dates(few)["state"].to_list() == ["open"]


def test_wrong_questions_are_refused() -> None:
    joined = world()
    with pytest.raises(ArgumentError, match="days or weeks"):
        burn_down(joined, every="1h")
    with pytest.raises(ArgumentError, match="not over yet"):
        burn_down(joined, period="2026-05-01..2026-05-08")
    with pytest.raises(ArgumentError, match="whole days"):
        burn_down(joined, period="2026-03-02T06:00Z..2026-03-09")
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        burn_down(joined, as_of="2026-03-20")
    with pytest.raises(ArgumentError, match="every"):
        burn_down(joined, every=7)  # pyright: ignore[reportArgumentType]


def test_no_rows_have_no_cohort() -> None:
    nothing = FakeJoined(frame=world().frame.clear(), contract=contract(), as_of=AS_OF)
    for asked in (nothing, build(nothing)):
        path = burn_down(asked)
        assert path.height == promise_dates(path).height == 0
