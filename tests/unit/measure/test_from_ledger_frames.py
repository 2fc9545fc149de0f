"""Availability, lag, threshold curves, reliability and drift from a ledger against the rows' functions."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.availability import availability
from fbkit.measure.calibration import calibration
from fbkit.measure.drift import drift
from fbkit.measure.from_ledger.curves import ledger_calibration, ledger_drift
from fbkit.measure.from_ledger.frames import ledger_availability, ledger_lag, ledger_threshold_curve
from fbkit.measure.lag import label_lag
from fbkit.measure.thresholds import threshold_curve
from fbkit.schema.period import Comparison
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

COMPARISON = Comparison(reference="2026-04-03..2026-04-17", current="2026-04-17..2026-05-01")


def close(ours: pl.DataFrame, theirs: pl.DataFrame, *, atol: float = 1e-9) -> None:
    ours, theirs = (frame.drop("evaluation_id", strict=False) for frame in (ours, theirs))
    assert ours.columns == theirs.columns
    assert ours.height == theirs.height
    for name, dtype in theirs.schema.items():
        if name == "method":
            continue
        if dtype == pl.Float64:
            np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), atol=atol, err_msg=name)
        else:
            assert ours[name].to_list() == theirs[name].to_list(), name


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    return random_joined(4000, seed=3)


@pytest.mark.parametrize(("by", "every"), [(None, None), ("region", "1w"), ("group", "1d"), (None, "1mo")])
def test_availability_is_the_rows_one(joined: FakeJoined, by: str | None, every: str | None) -> None:
    ledger = build(joined, slices=["group", "region"])
    close(ledger_availability(ledger, by=by, every=every), availability(joined, by=by, every=every))


def test_states_that_hide_outcomes_are_counted() -> None:
    joined = make_joined(
        scores=[0.1, 0.6, 0.7], labels=[None, 1.0, None], ages=[30, 3, 2], states=["censored", "positive", "pending"]
    )
    close(ledger_availability(build(joined), every="1w"), availability(joined, every="1w"))


@pytest.mark.parametrize("by", [None, "group"])
def test_label_lag_is_the_rows_one_at_whole_days(by: str | None) -> None:
    generator = np.random.default_rng(5)
    ages = generator.uniform(0, 12, 800)
    delays = [
        float(delay) if delay < age else None for delay, age in zip(generator.exponential(2, 800), ages, strict=True)
    ]
    joined = make_joined(
        scores=[0.3] * 800, labels=[None if delay is None else 1.0 for delay in delays], ages=ages.tolist(),
        arrival_days=delays, columns={"group": [f"g{place % 3}" for place in range(800)]},
    )  # fmt: skip
    ledger = build(joined, slices=["group"])
    points = list(range(8))
    close(ledger_lag(ledger, by=by), label_lag(joined, by=by, points=points))
    with pytest.raises(ArgumentError, match="whole days"):
        ledger_lag(ledger, points=[0.5])


def test_a_lag_curve_as_of_an_earlier_midnight_is_that_of_the_rows_known_then() -> None:
    generator = np.random.default_rng(6)
    ages = generator.uniform(0, 12, 500).tolist()
    delays = [
        float(delay) if delay < age else None for delay, age in zip(generator.exponential(2, 500), ages, strict=True)
    ]
    labels = [None if delay is None else 1.0 for delay in delays]
    whole = make_joined(scores=[0.3] * 500, labels=labels, ages=ages, arrival_days=delays)
    at = whole.as_of - timedelta(days=3)
    old = [
        (age - 3, delay if delay is not None and delay <= age - 3 else None)
        for age, delay in zip(ages, delays, strict=True)
        if age >= 3
    ]
    then = make_joined(
        scores=[0.3] * len(old), labels=[None if delay is None else 1.0 for _, delay in old],
        ages=[age for age, _ in old], arrival_days=[delay for _, delay in old], as_of=at,
    )  # fmt: skip
    close(ledger_lag(build(whole), as_of=at, points=[0, 1, 5]), label_lag(then, points=[0, 1, 5]))


def test_threshold_curves_are_exact_at_every_edge(joined: FakeJoined) -> None:
    ledger = build(joined)
    ours = ledger_threshold_curve(ledger)
    assert ours["threshold"].to_list() == [0.0, *ledger.edges.edges]
    rows = threshold_curve(joined, points=11)
    both = rows.filter(pl.col("threshold").is_in([0.0, *ledger.edges.edges]))
    assert both.height >= 7
    close(ours.filter(pl.col("threshold").is_in(both["threshold"].to_list())), both)


@pytest.mark.parametrize("by", [None, "group"])
def test_equal_bins_are_exact_where_their_ends_are_edges(joined: FakeJoined, by: str | None) -> None:
    ours = ledger_calibration(build(joined, slices=["group"]), by=by, curves=("bins",))
    theirs = calibration(joined, by=by, curves=("bins",))
    bands = ["band_lower", "band_upper"]
    close(ours.drop(bands), theirs.drop(bands))
    # The bands are drawn, each from its own numbers.
    np.testing.assert_allclose(ours["band_lower"].to_numpy(), theirs["band_lower"].to_numpy(), atol=0.15)


def test_the_isotonic_curve_is_near_that_of_the_rows(joined: FakeJoined) -> None:
    ours = ledger_calibration(build(joined), curves=("corp",))
    theirs = calibration(joined, curves=("corp",))
    at = np.linspace(0.05, 0.8, 20)
    curves = [np.interp(at, frame["score_mean"].to_numpy(), frame["observed"].to_numpy()) for frame in (ours, theirs)]
    assert np.abs(curves[0] - curves[1]).max() < 0.08
    assert (np.diff(ours["observed"].to_numpy()) > 0).all()
    assert ours["n"].sum() == theirs["n"].sum()


@pytest.mark.parametrize("every", [None, "1w"])
def test_drift_of_slices_is_exact_and_of_the_score_close(joined: FakeJoined, every: str | None) -> None:
    ours = ledger_drift(build(joined, slices=["group", "region"]), COMPARISON, every=every)
    theirs = drift(joined, COMPARISON, columns=["score", "group", "region"], every=every)
    score, slices = pl.col("column") == "score", pl.col("column") != "score"
    close(ours.filter(slices).drop("p_adjusted"), theirs.filter(slices).drop("p_adjusted"))
    left, right = ours.filter(score), theirs.filter(score)
    assert left.select("n_reference", "n_current", "period_start").equals(
        right.select("n_reference", "n_current", "period_start")
    )
    np.testing.assert_allclose(left["psi"].to_numpy(), right["psi"].to_numpy(), atol=0.03)
    assert (left["ks"] <= right["ks"] + 1e-12).all()
    np.testing.assert_allclose(left["ks"].to_numpy(), right["ks"].to_numpy(), atol=0.025)


def test_what_a_ledger_cannot_draw_is_refused(joined: FakeJoined) -> None:
    ledger = build(joined, slices=["group"])
    with pytest.raises(ArgumentError, match="did not count this column"):
        ledger_drift(ledger, COMPARISON, columns="region")
    with pytest.raises(ArgumentError, match="at least one bin"):
        ledger_calibration(ledger, bins=0)


def test_open_periods_are_fixed_by_the_ledger_s_days(joined: FakeJoined) -> None:
    ours = ledger_drift(build(joined, slices=["group"]), Comparison.last("7d"))
    last = ours.row(0, named=True)
    assert (str(last["period_start"].date()), str(last["period_end"].date())) == ("2026-04-17", "2026-04-24")
