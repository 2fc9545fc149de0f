"""The arrival curve against its definition, row by row."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.lag import NOT_REACHED, label_lag
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

row = st.tuples(st.integers(0, 10), st.integers(0, 10), st.booleans(), st.sampled_from(["a", None]))


@given(st.lists(row, min_size=1, max_size=30))
def test_curve_is_its_definition(rows: list[tuple[int, int, bool, str | None]]) -> None:
    # What is known at as-of has arrived: the lag is at most the age.
    ages = [float(age) for age, *_ in rows]
    lags = [float(min(lag, age)) if known else None for age, lag, known, _ in rows]
    labels = [1.0 if lag is not None else None for lag in lags]
    joined = make_joined(
        scores=[0.5] * len(rows), labels=labels, ages=ages, arrival_days=lags, columns={"g": [r[3] for r in rows]}
    )
    points = [0, 1, 2.5, 7, 11]
    frame = label_lag(joined, by="g", points=points)
    assert frame.columns == ["g", "age_days", "value", "lower", "upper", "n", "method", "evaluation_id"]
    for got in frame.iter_rows(named=True):
        a = got["age_days"]
        old = [lag for age, lag, r in zip(ages, lags, rows, strict=True) if r[3] == got["g"] and age >= a]
        assert got["n"] == len(old)
        arrived = sum(lag is not None and lag <= a for lag in old)
        assert got["value"] == (arrived / len(old) if old else None)


def test_default_ages_span_the_window_and_the_curve_rises_for_one_cohort() -> None:
    frame = label_lag(random_joined(300, missing=0.3))
    assert frame["age_days"].min() == 0
    assert frame["age_days"].max() == pytest.approx(7)
    lags = np.linspace(0, 6, 50).tolist()
    cohort = label_lag(make_joined(scores=[0.5] * 50, labels=[1.0] * 50, arrival_days=lags))
    assert cohort["value"].is_sorted()
    assert cohort["value"].max() == 1.0


def test_silent_negatives_never_arrive() -> None:
    joined = make_joined(scores=[0.5] * 4, labels=[1.0, 0.0, 0.0, 0.0], arrival_days=[2.0, None, None, None])
    assert label_lag(joined, points=[7])["value"].item() == 0.25


def test_no_rows_and_wrong_ages() -> None:
    joined = random_joined(10)
    empty = label_lag(joined, period="2020-01-01..2020-01-02", points=[1])
    assert (empty["value"].item(), empty["n"].item()) == (None, 0)
    assert label_lag(joined, by="group", period="2020-01-01..2020-01-02").height == 0
    with pytest.raises(ArgumentError, match="finite and not negative"):
        label_lag(joined, points=[-1])


COHORTS = ["period_start", "period_end", "age_days", "value", "lower", "upper", "n", "n_labelled", "method", "reason",
           "evaluation_id"]  # fmt: skip


def arriving(n: int, *, seed: int = 4, days: int = 20) -> FakeJoined:
    """Labels that come after up to nine days, known if they came before as-of; three groups, one of them null."""
    rng = np.random.default_rng(seed)
    ages = rng.uniform(0, days, n)
    lags = rng.uniform(0, 9, n)
    groups = rng.choice(np.array(["a", "b", None], dtype=object), n).tolist()
    known = (lags <= ages) & (rng.random(n) < 0.8)
    return make_joined(
        scores=[0.5] * n, labels=[1.0 if yes else None for yes in known], ages=ages.tolist(),
        arrival_days=[lag if yes else None for lag, yes in zip(lags, known, strict=True)], columns={"g": groups},
        as_of=START + timedelta(days=30, hours=7),
    )  # fmt: skip


@pytest.mark.parametrize(("every", "length"), [("1d", 1), ("1w", 7)])
def test_cohorts_are_counted_and_blank_until_all_of_them_are_that_old(every: str, length: int) -> None:
    joined = arriving(600)
    frame = label_lag(joined, by="g", every=every, points=[0, 1, 3, 7, 12])
    assert frame.columns == ["g", *COHORTS]
    blank = 0
    for got in frame.iter_rows(named=True):
        # Weeks start on Mondays; the span ends with the day of as-of.
        whole = timedelta(days=length - got["period_start"].weekday() * (length > 1))
        end = min(got["period_start"] + whole, START + timedelta(days=31))
        assert got["period_end"] == end
        mine = joined.frame.filter(
            pl.col("g").eq_missing(got["g"]) & (pl.col("ts_pred") >= got["period_start"]) & (pl.col("ts_pred") < end)
        )
        assert got["n"] == mine.height > 0
        if end + timedelta(days=got["age_days"]) > joined.as_of:
            blank += 1
            assert (got["value"], got["lower"], got["n_labelled"], got["reason"]) == (None, None, None, NOT_REACHED)
            continue
        arrived = mine.filter(pl.col("arrival_lag") <= timedelta(days=got["age_days"])).height
        assert (got["n_labelled"], got["value"], got["reason"]) == (arrived, arrived / mine.height, None)
        assert got["lower"] <= got["value"] <= got["upper"]
    assert 0 < blank < frame.height
    assert (
        frame.select("g", "period_start", "age_days").rows()
        == frame.sort("g", "period_start", "age_days", nulls_last=True).select("g", "period_start", "age_days").rows()
    )


@pytest.mark.parametrize(("by", "every"), [(None, "1d"), ("g", "1w"), (None, "1mo")])
def test_cohorts_of_a_ledger_are_those_of_the_rows_also_as_of_an_earlier_midnight(by: str | None, every: str) -> None:
    whole = arriving(900)
    ledger = build(whole, slices=["g"])
    assert (
        label_lag(ledger, by=by, every=every)
        .drop("evaluation_id")
        .equals(label_lag(whole, by=by, every=every).drop("evaluation_id"))
    )
    at = START + timedelta(days=24)
    came = pl.col("ts_arrival") <= at
    rows = whole.frame.filter(pl.col("ts_pred") <= at).with_columns(
        pl.when(came).then("label").alias("label"), pl.when(came).then("arrival_lag").alias("arrival_lag")
    )
    then = FakeJoined(frame=rows, contract=whole.contract, as_of=at)
    period = "2026-03-09..2026-03-26"
    assert (
        label_lag(ledger, by=by, every=every, period=period, as_of=at)
        .drop("evaluation_id")
        .equals(label_lag(then, by=by, every=every, period=period).drop("evaluation_id"))
    )


def test_cohorts_of_no_rows_and_of_an_unknown_grain() -> None:
    joined = arriving(50)
    assert label_lag(joined, every="1w", period="2020-01-01..2020-02-01").height == 0
    assert label_lag(build(joined), every="1w", period="2020-01-01..2020-02-01").columns == COHORTS
    with pytest.raises(ArgumentError, match="grain"):
        label_lag(joined, every="2d")
    with pytest.raises(ArgumentError, match="finite and not negative"):
        label_lag(joined, every="1d", points=[float("nan")])
