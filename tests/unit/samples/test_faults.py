import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import (
    FAMILIES,
    FAULTS,
    ConceptDrift,
    Injection,
    JoinBreak,
    LabelLossNonrandom,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    SlowLabels,
    ThresholdChange,
    VersionRegression,
)
from fbkit.samples.stages import build
from fbkit.samples.truth import expected
from fbkit.samples.world import World

CONFIG = WorldConfig(
    reference_weeks=2,
    per_day=800,
    duplicate_share=0.0,
    orphan_share=0.0,
    correction_share=0.0,
)
CURRENT = pl.col("ts_pred") >= CONFIG.current_start
ROWS = 120_000
BY_ARRIVAL = {"label_outage", "label_definition_change", "immature_window"}


@pytest.fixture(scope="module")
def healthy() -> Simulation:
    return simulate(CONFIG, seed=4)


def joined(simulation: Simulation) -> pl.DataFrame:
    return simulation.predictions.join(
        simulation.outcomes.drop("entity_id"), on="prediction_id", how="left"
    ).with_columns(known=pl.col("label").is_not_null())


def world(*faults: Injection, rows: int = ROWS) -> World:
    return build(CONFIG, faults, seed=9, rows=rows)


def test_every_cause_has_a_family_of_the_vocabulary() -> None:
    families = {"quality", "labels", "mix", "policy", "pipeline"}
    assert set(FAMILIES.values()) == families
    assert {cause: fault.cause for cause, fault in FAULTS.items()} == {cause: cause for cause in FAULTS}


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_severity_zero_is_harmless(cause: str, healthy: Simulation) -> None:
    where: Any = {"region": "EU"} if cause != "version_regression" else {}
    extra = {"share": 0.0} if cause == "version_regression" else {}
    calm = simulate(CONFIG, [FAULTS[cause](severity=0.0, where=where, **extra)], seed=4)
    assert calm.predictions.equals(healthy.predictions)
    # The intercept of a drift of size zero is solved again: the same outcomes up to the last bit of a probability.
    assert calm.outcomes.equals(healthy.outcomes)


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_nothing_before_the_start_changes_but_by_faults_on_arrival(cause: str, healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [FAULTS[cause](severity=0.5, where={"device": "web"})], seed=4)
    before = ~CURRENT
    assert (
        hurt.predictions.filter(before)
        .drop("status", strict=False)
        .drop("prediction_id")
        .equals(healthy.predictions.filter(before).drop("prediction_id"))
    )
    if cause not in BY_ARRIVAL:
        assert joined(hurt).drop("status", strict=False).filter(before).equals(joined(healthy).filter(before))


def test_a_slice_loss_takes_its_share_there_and_nothing_elsewhere(healthy: Simulation) -> None:
    fault = LabelSliceLoss(severity=0.6, where={"region": ("EU", "US"), "decision": "flagged"})
    hurt, base = joined(simulate(CONFIG, [fault], seed=4)), joined(healthy)
    inside = CURRENT & pl.col("region").is_in(["EU", "US"]) & pl.col("decision")
    ratio = hurt.filter(inside)["known"].sum() / base.filter(inside)["known"].sum()
    assert ratio == pytest.approx(0.4, abs=0.06)
    assert hurt.filter(~inside).equals(base.filter(~inside))


def test_a_uniform_loss_spares_no_outcome(healthy: Simulation) -> None:
    hurt = joined(simulate(CONFIG, [LabelSliceLoss(severity=0.3)], seed=4)).filter(CURRENT)
    base = joined(healthy).filter(CURRENT)
    for label, tolerance in ((0, 0.02), (1, 0.09)):
        kept = (hurt["label"] == label).sum() / (base["label"] == label).sum()
        assert kept == pytest.approx(0.7, abs=tolerance)


def test_a_nonrandom_loss_takes_only_its_outcome(healthy: Simulation) -> None:
    hurt = joined(simulate(CONFIG, [LabelLossNonrandom(severity=0.5)], seed=4)).filter(CURRENT)
    base = joined(healthy).filter(CURRENT)
    assert (hurt["label"] == 0).sum() == (base["label"] == 0).sum()
    assert (hurt["label"] == 1).sum() / (base["label"] == 1).sum() == pytest.approx(0.5, abs=0.1)


def test_an_outage_is_a_hole_in_the_arrivals_and_reaches_old_predictions(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [LabelOutage(severity=1.0, start=1, end=3)], seed=4)
    day = (pl.col("ts_arrival") - CONFIG.current_start).dt.total_seconds() / 86_400
    down = day.is_between(1, 3, closed="left")
    assert healthy.outcomes.filter(down).height > 500
    assert hurt.outcomes.filter(down).height == 0
    lost = joined(healthy).filter(down)
    assert lost.filter(~CURRENT).height > 0.5 * lost.height


def test_an_outage_of_one_region_spares_the_others(healthy: Simulation) -> None:
    hurt = joined(simulate(CONFIG, [LabelOutage(severity=1.0, end=7, where={"region": "APAC"})], seed=4))
    others = pl.col("region") != "APAC"
    assert hurt.filter(others).equals(joined(healthy).filter(others))


def test_slow_labels_arrive_later_for_the_same_events(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [SlowLabels(severity=4.0, outcome=1)], seed=4)
    keys = ["prediction_id", "ts_event", "label"]
    both = hurt.outcomes.join(healthy.outcomes, on=keys, suffix="_before")
    assert len(both) == len(hurt.outcomes)
    assert (both["ts_arrival"] >= both["ts_arrival_before"]).all()
    slowed = both.filter(pl.col("ts_arrival") > pl.col("ts_arrival_before"))
    assert slowed["label"].unique().to_list() == [1]
    # Arrivals that would come after the as-of time are not in the log.
    assert len(hurt.outcomes) < len(healthy.outcomes)


@pytest.mark.parametrize("how", ["reformat", "blank"])
def test_a_join_break_keeps_the_labels_and_spoils_their_ids(how: str, healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [JoinBreak(severity=0.4, how=how)], seed=4)
    assert len(hurt.outcomes) == len(healthy.outcomes)
    assert hurt.outcomes["label"].sum() == healthy.outcomes["label"].sum()
    broken = ~hurt.outcomes["prediction_id"].is_in(hurt.predictions["prediction_id"].implode())
    current = joined(healthy).filter(CURRENT)["known"].sum()
    assert broken.sum() / current == pytest.approx(0.4, abs=0.02)
    assert (hurt.outcomes.filter(broken)["prediction_id"] == "").all() == (how == "blank")


def test_a_threshold_change_moves_thresholds_and_decisions_only(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [ThresholdChange(severity=0.5)], seed=4)
    now, before = hurt.predictions.filter(CURRENT), healthy.predictions.filter(CURRENT)
    assert now.drop("threshold", "decision").equals(before.drop("threshold", "decision"))
    assert now["threshold"].unique().to_list() == [round(before["threshold"][0] * 1.5, 4)]
    assert now["decision"].sum() < before["decision"].sum()
    assert hurt.changes is not None
    assert hurt.changes.filter(pl.col("ts") == CONFIG.current_start)["kind"].to_list() == ["product"]


def test_a_canary_touches_its_share_and_serves_worse(healthy: Simulation) -> None:
    fault = VersionRegression(severity=3.0, share=0.3)
    now = simulate(CONFIG, [fault], seed=4).predictions.filter(CURRENT)
    before = healthy.predictions.filter(CURRENT)
    canary = (now["model_version"] == "8.0").to_numpy()
    assert canary.mean() == pytest.approx(0.3, abs=0.02)
    assert now.filter(~canary).equals(before.filter(~canary))
    hurt, calm = world(replace(fault, share=1.0)), world()
    assert (
        expected(hurt, metric="recall", window="current")["true"]
        < expected(calm, metric="recall", window="current")["true"] - 0.03
    )


@pytest.mark.parametrize(("column", "value"), [("region", "LATAM"), ("device", "ios"), ("customer", "new")])
def test_a_mix_shift_multiplies_the_odds_of_its_slice_and_keeps_the_volume(column: str, value: str) -> None:
    calm, hurt = world(), world(MixShift(severity=1.0, where={column: value}))
    assert calm.n == hurt.n
    odds: list[float] = []
    for state in (calm, hurt):
        share = float(state.members(column, [value])[state.window("current")].mean())
        odds.append(share / (1 - share))
    assert odds[1] / odds[0] == pytest.approx(2.0, rel=0.05)
    reference = calm.window("reference")
    np.testing.assert_array_equal(calm.account[reference], hurt.account[reference])


def test_concept_drift_keeps_predictions_and_base_rate_and_lowers_recall() -> None:
    worlds = [world(ConceptDrift(severity=severity)) for severity in (0.0, 0.1, 0.3)]
    recalls = [expected(w, metric="recall", window="current")["true"] for w in worlds]
    rates = [expected(w, metric="base_rate", window="current")["true"] for w in worlds]
    assert recalls[0] > recalls[1] + 0.03 > recalls[2] + 0.06
    assert rates == pytest.approx([rates[0]] * 3, abs=1e-9)
    np.testing.assert_array_equal(worlds[0].score, worlds[2].score)


def test_concept_drift_stays_in_its_slice() -> None:
    calm, hurt = world(), world(ConceptDrift(severity=0.3, where={"customer": "new"}))
    outside = hurt.customer != 1
    np.testing.assert_array_equal(calm.p[outside], hurt.p[outside])
    assert (calm.p[~outside & calm.window("current")] != hurt.p[~outside & hurt.window("current")]).all()


def test_a_fault_can_end() -> None:
    fault = LabelSliceLoss(severity=1.0, start=2, end=4)
    state = world(fault)
    day = state.day - CONFIG.reference_days
    np.testing.assert_array_equal(state.emit[0] == 0, (day >= 2) & (day < 4))


def test_an_unknown_slice_value_is_named() -> None:
    with pytest.raises(ArgumentError, match="region") as caught:
        world(LabelSliceLoss(severity=0.5, where={"region": "Mars"}), rows=1000)
    assert "Mars" in str(caught.value)
    assert "LATAM" in str(caught.value)


def test_an_unknown_slice_column_is_named() -> None:
    with pytest.raises(ArgumentError, match="planet"):
        world(LabelSliceLoss(severity=0.5, where={"planet": "Mars"}), rows=1000)
    with pytest.raises(ArgumentError, match="decision"):
        world(MixShift(severity=0.5, where={"decision": "flagged"}), rows=1000)


@pytest.mark.parametrize(("cause", "severity"), [("label_slice_loss", 1.2), ("mix_shift", -2.0), ("slow_labels", -1.0)])
def test_an_impossible_severity_is_refused(cause: str, severity: float) -> None:
    with pytest.raises(ArgumentError, match=cause):
        FAULTS[cause](severity=severity)


def test_faults_are_values_that_hash_and_print_as_facts() -> None:
    fault = LabelSliceLoss(severity=0.5, where={"region": "EU"})
    assert fault == LabelSliceLoss(severity=0.5, where={"region": ("EU",)})
    assert hash(fault) == hash(replace(fault))
    facts = json.loads(json.dumps(VersionRegression(severity=1.0).as_dict()))
    assert facts["cause"] == "version_regression"
    assert facts["share"] == 1.0
