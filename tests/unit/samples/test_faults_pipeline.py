from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import (
    ConceptDrift,
    CovariateShift,
    FeatureCorruption,
    Injection,
    LabelOutage,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    ThresholdChange,
)
from fbkit.samples.stages import build
from fbkit.samples.truth import truth

CONFIG = WorldConfig(reference_weeks=2, per_day=2500, duplicate_share=0.0, orphan_share=0.0, correction_share=0.0)
CURRENT = pl.col("ts_pred") >= CONFIG.current_start
ROWS = 160_000
FAULTS: dict[str, Injection] = {
    "null": FeatureCorruption(severity=0.2),
    "null, median": FeatureCorruption(severity=0.6, feature="log_amount", imputed="median"),
    "cents": FeatureCorruption(severity=99.0, feature="payments_24h", how="rescale", share=0.5),
    "halved": FeatureCorruption(severity=-0.5, feature="log_amount", how="rescale", where={"region": "EU"}),
    "moved": FeatureCorruption(severity=-1.0, feature="ip_risk", how="shift"),
    "fallback": ServingFallback(severity=0.2, hours=(6, 18)),
    "fallback in two days": ServingFallback(severity=0.8, start=2, end=4, status=False, default=0.0),
    "log loss": PredictionLogLoss(severity=0.5, where={"decision": "flagged"}),
    "log loss by slice": PredictionLogLoss(severity=0.9, where={"customer": "new"}, hours=(22, 8)),
    "covariates": CovariateShift(severity=-0.6),
    "covariates of one region": CovariateShift(severity=1.0, feature="log_amount", alone=True, where={"region": "EU"}),
    "an input nobody logs": CovariateShift(severity=-1.0, feature="unlogged", ramp=True),
    "mix, gradual": MixShift(severity=8.0, where={"customer": "new"}, ramp=True),
    "drift, gradual": ConceptDrift(severity=0.3, ramp=True),
}


@pytest.fixture(scope="module")
def healthy() -> Simulation:
    return simulate(CONFIG, seed=4)


def known(simulation: Simulation) -> pl.DataFrame:
    return simulation.predictions.join(simulation.outcomes.drop("entity_id"), on="prediction_id", how="left")


def current(simulation: Simulation) -> pl.DataFrame:
    return simulation.predictions.filter(CURRENT)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_logs_move_by_what_the_truth_says(name: str) -> None:
    found = truth(CONFIG, [FAULTS[name]], rows=ROWS)
    rows = known(simulate(CONFIG, [FAULTS[name]], seed=7)).filter(pl.col("label").is_not_null())
    for window, goal in ((CURRENT, found.observed.current), (~CURRENT, found.observed.reference)):
        caught = rows.filter(window & (pl.col("label") == 1))["decision"]
        # Accounts repeat: rows of one account vary together, and the truth stands for ROWS drawn rows itself.
        error = np.sqrt(goal * (1 - goal) * (1.3 / len(caught) + 1 / (ROWS * 0.04)))
        assert abs(caught.mean() - goal) < 4 * error


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_what_really_happened_is_what_drawn_outcomes_say(name: str) -> None:
    found = truth(CONFIG, [FAULTS[name]], rows=ROWS)
    world = build(CONFIG, [FAULTS[name]], seed=8, rows=ROWS)
    rng = np.random.default_rng(2)
    rows = world.window("current")
    positive = rng.random(rows.sum()) < world.p[rows]
    goal = found.true.current
    error = np.sqrt(goal * (1 - goal) * 2 / positive.sum())
    assert abs(world.flagged[rows][positive].mean() - goal) < 4 * error


@pytest.mark.parametrize("name", ["null", "cents", "moved", "fallback"])
def test_a_broken_pipeline_changes_no_outcome(name: str, healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [FAULTS[name]], seed=4)
    both = known(hurt).join(known(healthy), on="prediction_id", suffix="_before").drop_nulls(["label", "label_before"])
    assert (both["label"] == both["label_before"]).all()
    assert (both["score"] != both["score_before"]).any()
    assert truth(CONFIG, [FAULTS[name]], rows=ROWS, metric="base_rate").contributions[0].true_value == pytest.approx(
        0, abs=1e-12
    )


def test_covariates_take_the_outcomes_with_them() -> None:
    found = truth(CONFIG, [FAULTS["covariates"]], rows=ROWS, metric="base_rate")
    assert found.contributions[0].true_value < -0.02


def test_correlated_features_move_together_unless_one_moves_alone(healthy: Simulation) -> None:
    before = current(healthy)["log_amount"].mean()
    for alone, moved in ((False, True), (True, False)):
        hurt = current(simulate(CONFIG, [CovariateShift(severity=1.0, alone=alone)], seed=4))
        assert (abs(hurt["log_amount"].mean() - before) > 0.1) == moved
        assert hurt["ip_risk"].mean() > current(healthy)["ip_risk"].mean() + 0.1


def test_nulls_have_their_share_and_spare_the_other_features(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [FeatureCorruption(severity=0.3, feature="payments_24h")], seed=4)
    share = hurt.predictions.select(pl.col("payments_24h").is_null()).to_series()
    inside = hurt.predictions.select(CURRENT).to_series()
    assert share.filter(inside).mean() == pytest.approx(0.3, abs=0.02)
    assert share.filter(~inside).sum() == 0
    kept = current(hurt).select("log_amount", "ip_risk", "region")
    assert kept.equals(current(healthy).select("log_amount", "ip_risk", "region"))


def test_a_rescaled_feature_is_logged_so_many_times_as_large(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [FeatureCorruption(severity=99.0, feature="payments_24h", how="rescale")], seed=4)
    assert (current(hurt)["payments_24h"] == 100 * current(healthy)["payments_24h"]).all()


def test_a_shifted_feature_is_logged_with_a_constant_added(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [FeatureCorruption(severity=2.0, feature="log_amount", how="shift")], seed=4)
    difference = current(hurt)["log_amount"] - current(healthy)["log_amount"]
    assert difference.is_between(1.8 - 0.11, 1.8 + 0.11).all()


def test_a_fallback_is_a_point_mass_and_says_so_if_it_is_logged(healthy: Simulation) -> None:
    told = current(simulate(CONFIG, [ServingFallback(severity=0.25, default=0.03)], seed=4))
    silent = current(simulate(CONFIG, [ServingFallback(severity=0.25, default=0.03, status=False)], seed=4))
    assert told["status"].unique().sort().to_list() == ["fallback", "ok", "timeout"]
    assert "status" not in silent.columns
    assert told.drop("status").equals(silent)
    fallen = told["status"] != "ok"
    assert fallen.mean() == pytest.approx(0.25, abs=0.02)
    assert (told.filter(fallen)["score"] == 0.03).all()
    assert told.filter(~fallen).drop("status").equals(current(healthy).filter(~fallen))


def test_the_hours_of_a_fault_may_pass_midnight() -> None:
    hurt = current(simulate(CONFIG, [ServingFallback(severity=1.0, hours=(22, 3))], seed=4))
    hours = hurt.group_by(pl.col("ts_pred").dt.hour()).agg((pl.col("status") != "ok").mean())
    assert {hour for hour, share in hours.iter_rows() if share == 1} == {22, 23, 0, 1, 2}
    assert {share for _, share in hours.iter_rows()} == {0.0, 1.0}


def test_a_lost_prediction_leaves_its_outcome_as_an_orphan(healthy: Simulation) -> None:
    fault = PredictionLogLoss(severity=0.4, where={"region": "EU"}, start=1, end=3)
    hurt = simulate(CONFIG, [fault], seed=4)
    gone = healthy.predictions.join(hurt.predictions, on="prediction_id", how="anti")
    day = (gone["ts_pred"] - pl.Series([CONFIG.current_start])).dt.total_seconds() / 86_400
    assert gone["region"].unique().to_list() == ["EU"]
    assert day.is_between(1, 3, closed="left").all()
    assert hurt.outcomes.equals(healthy.outcomes)
    assert hurt.outcomes.join(gone, on="prediction_id", how="semi").height > 0.8 * gone.height


def test_the_dashboard_sees_what_is_left_of_the_log_and_the_truth_sees_all() -> None:
    found = truth(CONFIG, [FAULTS["log loss"]], rows=ROWS)
    calm = truth(CONFIG, [], rows=ROWS)
    assert found.true == calm.true
    assert found.contributions[0].true_value == 0
    assert found.contributions[0].value < -0.1
    assert found.availability.current == pytest.approx(calm.availability.current, abs=0.01)


@pytest.mark.parametrize("cause", [ConceptDrift, ThresholdChange, ServingFallback])
def test_a_gradual_fault_is_weak_at_first_and_whole_at_the_end(cause: Any) -> None:
    world = build(CONFIG, seed=3, rows=40_000)
    strength = cause(severity=0.6, ramp=True).strength(world)
    day = world.second / 86_400 - CONFIG.reference_days
    assert (strength[day < 0] == 0).all()
    assert np.allclose(strength[day >= 0], 0.6 * day[day >= 0] / 7)
    late = cause(severity=0.6, ramp=True, start=2, end=4).strength(world)
    assert late.max() == pytest.approx(0.6, abs=0.01)
    assert (late[(day < 2) | (day >= 4)] == 0).all()


def test_half_of_a_gradual_fault_weighs_like_half_of_it_throughout() -> None:
    ramp = truth(CONFIG, [ServingFallback(severity=0.4, ramp=True)], rows=ROWS).contributions[0].value
    flat = truth(CONFIG, [ServingFallback(severity=0.2)], rows=ROWS).contributions[0].value
    assert ramp == pytest.approx(flat, abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"severity": 1.2}, {"severity": -1.5, "how": "rescale"}, {"severity": 1, "feature": "karma"}]
)
def test_an_impossible_corruption_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        FeatureCorruption(**wrong)


@pytest.mark.parametrize("wrong", [{"severity": np.inf}, {"severity": np.nan}, {"start": 4, "end": 4}, {"end": -1}])
def test_a_fault_without_end_in_strength_or_time_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="mix_shift"):
        MixShift(**{"severity": 1.0, "where": {"region": "EU"}, **wrong})


def test_an_outage_can_come_on_gradually(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [LabelOutage(severity=1.0, start=0, end=8, ramp=True)], seed=4)
    day = ((pl.col("ts_arrival") - CONFIG.current_start).dt.total_seconds() / 86_400).floor()
    kept = [frame.outcomes.group_by(day.alias("day")).len() for frame in (hurt, healthy)]
    shares = kept[0].join(kept[1], on="day", suffix="_before").filter(pl.col("day").is_between(0, 7)).sort("day")
    assert (shares["len"] / shares["len_before"]).to_list() == pytest.approx(
        [1 - (k + 0.5) / 8 for k in range(8)], abs=0.03
    )
