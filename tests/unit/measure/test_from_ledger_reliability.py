"""Brier's parts and calibration errors of a ledger: against the rows, over drawn worlds, and where entities repeat."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.ledger.build import build
from fbkit.measure.calibration import CHANCE, SUMMARY_COLUMNS, calibration, calibration_summary
from fbkit.measure.from_ledger.cells import ask
from fbkit.measure.from_ledger.reliability import effect_of
from fbkit.measure.stats.corp import Distinct, isotonic, isotonic_lines
from fbkit.measure.stats.null_band import Rows, counted_worlds, worlds
from fbkit.schema.period import floor_day
from fbkit.testing.frames import FakeJoined, make_joined, random_joined


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    return random_joined(5000, seed=3)


@pytest.mark.parametrize("by", [None, "group"])
@pytest.mark.parametrize("stage", ["final", "any"])
def test_a_ledgers_summary_is_near_that_of_the_rows(joined: FakeJoined, by: str | None, stage: str) -> None:
    mine = calibration_summary(build(joined, slices=("group",)), by=by, stage=stage)
    rows = calibration_summary(joined, by=by, stage=stage)
    assert mine.columns == rows.columns
    assert mine.select("n", "n_labelled", "stage").equals(rows.select("n", "n_labelled", "stage"))
    for name in ("brier", "brier_lower", "brier_upper", "unc", "ece"):
        assert mine[name].to_list() == pytest.approx(rows[name].to_list(), abs=2e-4), name
    gap = rows["mcb"] - mine["mcb"]
    assert gap.min() >= -1e-9, "an isotonic fit of bins explains no more than one of rows"
    assert gap.max() < 0.005
    assert (mine["brier"] - (mine["mcb"] - mine["dsc"] + mine["unc"])).abs().max() < 1e-9
    assert mine["smooth_ece"].null_count() == mine.height
    for name in ("mcb", "ece"):
        assert (mine[f"{name}_lower"] <= mine[f"{name}_upper"]).all()


def test_intervals_and_p_values_hold_their_level_for_a_calibrated_model() -> None:
    inside = low = 0
    for seed in range(60):
        ledger = build(random_joined(1500, seed=seed, missing=0))
        line = calibration_summary(ledger, stage="any", draws=100).row(0, named=True)
        low += line["ece_p_value"] < 0.05
        inside += line["mcb_lower"] == 0.0
    assert low <= 8
    assert inside >= 52


def test_a_score_that_is_wrong_is_beyond_chance(joined: FakeJoined) -> None:
    frame = joined.frame.with_columns(score=pl.col("score") * 0.6)
    wrong = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
    line = calibration_summary(build(wrong), stage="any").row(0, named=True)
    assert line["mcb_p_value"] < 0.01
    assert line["mcb_lower"] > 0
    assert line["ece"] > line["ece_null_95"]


def test_no_draws_and_no_rows_leave_nulls(joined: FakeJoined) -> None:
    ledger = build(joined)
    line = calibration_summary(ledger, draws=0).row(0, named=True)
    assert {line[f"{name}_{part}"] for name in ("mcb", "ece") for part in CHANCE} == {None}
    nothing = calibration_summary(ledger, period="2020-01-01..2020-01-02")
    assert nothing.select("brier", "mcb", "n", "n_labelled").rows() == [(None, None, 0, 0)]
    assert nothing["reason"].item()
    assert nothing.columns == [*SUMMARY_COLUMNS, "evaluation_id"]


def test_an_earlier_midnight_is_what_was_known_then() -> None:
    made = random_joined(4000, seed=8)
    ledger = build(made)
    moment = floor_day(made.as_of) - timedelta(days=10)
    then = FakeJoined(frame=made.frame.filter(pl.col("ts_pred") <= moment), contract=made.contract, as_of=made.as_of)
    mine = calibration_summary(ledger, stage="any", as_of=moment, draws=0)
    exact = calibration_summary(then, stage="any", draws=0)
    assert mine["brier"].item() == pytest.approx(exact["brier"].item(), abs=1e-9)
    curves = calibration(ledger, stage="any", as_of=moment).filter(curve="bins")
    assert curves["n"].sum() == exact["n_labelled"].item()


def test_repeating_entities_widen_bands_and_intervals() -> None:
    """Ten copies of every row tell as much as one: the design effect is about ten."""
    rng = np.random.default_rng(5)
    scores, people = rng.beta(2, 3, 600), np.repeat(np.arange(600), 10)
    labels = (rng.random(600) < scores).astype(float)
    ages = np.repeat(rng.uniform(2, 28, 600), 10) + np.tile(np.linspace(0, 0.01, 10), 600)
    columns = {
        "scores": np.repeat(scores, 10).tolist(),
        "labels": np.repeat(labels, 10).tolist(),
        "ages": ages.tolist(),
    }
    repeated = make_joined(**columns, entities=[f"e{one}" for one in people])
    alone = make_joined(**columns)
    ledger, plain = build(repeated), build(alone)
    assert effect_of(ask(plain)) == 1.0
    assert 6 < effect_of(ask(ledger)) < 16
    wide, narrow = (calibration(one, stage="any").filter(curve="bins") for one in (ledger, plain))
    ratio = (wide["band_upper"] - wide["band_lower"]).median() / (narrow["band_upper"] - narrow["band_lower"]).median()
    assert 2.2 < ratio < 4.2, "about the square root of ten"
    assert set(wide["method"]) == {"Wilson (effective n), score bins, groups of entities"}
    mine, theirs = (calibration_summary(one, stage="any").row(0, named=True) for one in (ledger, plain))
    assert mine["ece_null_95"] > 2 * theirs["ece_null_95"]


def test_weights_have_values_and_no_intervals(joined: FakeJoined) -> None:
    frame = joined.frame.with_columns(w=pl.lit(2.0))
    ledger = build(FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), weights="w")
    line = calibration_summary(ledger, weights="w").row(0, named=True)
    plain = calibration_summary(build(joined)).row(0, named=True)
    assert line["mcb"] == pytest.approx(plain["mcb"], abs=1e-6)
    assert line["mcb_lower"] is None


def test_what_a_ledger_cannot_tell_is_refused(joined: FakeJoined) -> None:
    ledger = build(joined, slices=("group",))
    with pytest.raises(ArgumentError, match="whole weeks"):
        calibration_summary(ledger, by="group", period="2026-04-08..2026-04-15")
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        calibration_summary(joined, as_of=joined.as_of)
    with pytest.raises(ArgumentError, match="as_of is for ledgers"):
        calibration(joined, as_of=joined.as_of)


def test_all_lines_are_fitted_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    for lines, places in ((1, 1), (5, 1), (40, 30), (200, 400)):
        values, weights = rng.normal(size=(lines, places)), rng.integers(1, 50, places).astype(float)
        expected = np.stack([isotonic(line, weights) for line in values])
        np.testing.assert_allclose(isotonic_lines(values, weights), expected, atol=1e-11)
    assert isotonic_lines(np.empty((0, 3)), np.ones(3)).shape == (0, 3)


def test_rows_counted_by_score_are_drawn_as_the_rows_themselves() -> None:
    rng = np.random.default_rng(1)
    score = np.repeat(np.linspace(0.05, 0.95, 10), 200)
    label = (rng.random(2000) < score).astype(float)
    groups = Distinct(np.unique(score), np.full(10, 200.0), label.reshape(10, 200).sum(axis=1))
    counted, rows = counted_worlds(groups, draws=4000), worlds(Rows(score, label), draws=4000)
    for mine, theirs in ((counted.null, rows.null), (counted.seen[1][1], rows.seen[1][1])):
        np.testing.assert_allclose(mine.mean(axis=0), theirs.mean(axis=0), atol=0.6)
        np.testing.assert_allclose(mine.std(axis=0), theirs.std(axis=0), rtol=0.08)
    clustered = counted_worlds(groups, draws=4000, effect=4.0)
    np.testing.assert_allclose(clustered.null.std(axis=0), 2 * rows.null.std(axis=0), rtol=0.1)
