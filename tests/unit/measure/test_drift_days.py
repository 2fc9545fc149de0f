"""Drift by day and week against drift of that day alone; the day of change from rows and from ledgers alike."""

from datetime import timedelta

import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.drift import drift
from fbkit.measure.drift_days import drift_days
from fbkit.schema.period import Comparison, Period, floor_day
from fbkit.testing.frames import START, FakeJoined, random_joined

WEEKS = Comparison(reference="2026-04-03..2026-04-17", current="2026-04-17..2026-04-30")
REFERENCE, CURRENT = WEEKS.periods()
MOVED = CURRENT.start + timedelta(days=4)


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(6000, seed=11)
    late = (pl.col("ts_pred") >= MOVED) & (pl.col("group") == "g0")
    frame = made.frame.with_columns(group=pl.when(late).then(pl.lit("g1")).otherwise("group"))
    contract = made.contract.model_copy(
        update={"slices": made.contract.slices.model_copy(update={"columns": ("group", "region")})}
    )
    return FakeJoined(frame=frame.sort("ts_pred"), contract=contract, as_of=made.as_of)


def test_each_day_of_the_current_period_is_drift_of_that_day(joined: FakeJoined) -> None:
    series = drift_days(joined, WEEKS).series
    expected = drift(joined, WEEKS, every="1d").select("column", "period_start", "psi", "psi_null_95", "n_current")
    mine = series.filter((pl.col("grain") == "1d") & (pl.col("period_start") >= CURRENT.start))
    both = mine.join(expected, on=["column", "period_start"], suffix="_alone")
    assert both.height == expected.height == 3 * CURRENT.duration.days
    for name in ("psi", "psi_null_95"):
        assert both[name].to_list() == pytest.approx(both[f"{name}_alone"].to_list(), abs=1e-12)
    assert both["n"].to_list() == both["n_current"].to_list()


def test_weeks_begin_on_monday_and_hold_their_days(joined: FakeJoined) -> None:
    series = drift_days(joined, WEEKS, columns="region").series
    weeks, days = (series.filter(grain=grain) for grain in ("1w", "1d"))
    assert all(start.weekday() == 0 for start in weeks["period_start"].to_list()[1:])
    assert all(end.weekday() == 0 for end in weeks["period_end"].to_list()[:-1])
    for week in weeks.iter_rows(named=True):
        inside = days.filter(pl.col("period_start").is_between(week["period_start"], week["period_end"], closed="left"))
        assert inside["n"].sum() == week["n"]
        if week["period_start"] >= REFERENCE.end:
            whole = Comparison(reference=REFERENCE, current=Period(start=week["period_start"], end=week["period_end"]))
            alone = drift(joined, whole, columns="region")
            assert week["psi"] == pytest.approx(alone["psi"].item(), abs=1e-12)
    assert weeks["n"].sum() == days["n"].sum()


def test_the_day_is_named_for_what_changed_and_for_nothing_else(joined: FakeJoined) -> None:
    changed = drift_days(joined, WEEKS).changed
    group = changed.filter(column="group").row(0, named=True)
    assert (group["kind"], group["day"], group["reason"]) == ("step", MOVED, None)
    assert group["first"] <= MOVED <= group["last"]
    for name in ("score", "region"):
        still = changed.filter(column=name).row(0, named=True)
        assert (still["kind"], still["day"], still["reason"]) == ("none", None, "no day stands out")


def test_a_ledger_gives_the_rows_days(joined: FakeJoined) -> None:
    ledger = build(joined, slices=("group", "region"))
    mine, rows = drift_days(ledger, WEEKS), drift_days(joined, WEEKS)
    assert mine.changed.sort("column").equals(rows.changed.sort("column"))
    exact = pl.col("column") != "score"
    ours, theirs = (made.series.filter(exact).sort("column", "grain", "period_start") for made in (mine, rows))
    assert ours.drop("psi", "psi_null_95").equals(theirs.drop("psi", "psi_null_95"))
    assert ours["psi"].to_list() == pytest.approx(theirs["psi"].to_list(), abs=1e-12)


def test_a_ledger_goes_back_to_what_was_known(joined: FakeJoined) -> None:
    moment = floor_day(joined.as_of) - timedelta(days=8)
    assert moment < CURRENT.end
    ledger = build(joined, slices=("region",))
    then = drift_days(ledger, WEEKS, columns="region", as_of=moment).series
    assert then["period_end"].max() <= moment
    now = drift_days(ledger, WEEKS, columns="region").series.filter(pl.col("grain") == "1d")
    assert then.filter(grain="1d").equals(now.filter(pl.col("period_end") <= moment))


def test_rows_in_any_order_give_the_same_days(joined: FakeJoined) -> None:
    shuffled = FakeJoined(
        frame=joined.frame.sample(fraction=1, shuffle=True, seed=1), contract=joined.contract, as_of=joined.as_of
    )
    for mine, theirs in zip(drift_days(shuffled, WEEKS), drift_days(joined, WEEKS), strict=True):
        assert mine.equals(theirs)


def test_nothing_to_compare_says_so(joined: FakeJoined) -> None:
    empty = Comparison(reference="2020-01-01..2020-01-08", current="2020-01-08..2020-01-15")
    for data in (joined, build(joined, slices=("region",))):
        made = drift_days(data, empty, columns="region")
        assert made.series.height == 0
        assert made.changed["reason"].to_list() == ["fewer than 6 days"]
    fresh = Comparison(reference="2020-01-01..2020-01-08", current=CURRENT)
    assert drift_days(joined, fresh, columns="region").series.height == 0


def test_what_cannot_be_asked_is_refused(joined: FakeJoined) -> None:
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        drift_days(joined, WEEKS, as_of=START)
    with pytest.raises(ArgumentError, match="a column does not exist"):
        drift_days(joined, WEEKS, columns="regoin")
    with pytest.raises(ArgumentError, match="did not count this column"):
        drift_days(build(joined, slices=("region",)), WEEKS, columns="group")
