import json
from itertools import permutations

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import WorldConfig, simulate
from fbkit.samples.faults import (
    ConceptDrift,
    Injection,
    JoinBreak,
    LabelLossNonrandom,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    ThresholdChange,
    VersionRegression,
)
from fbkit.samples.stages import build
from fbkit.samples.truth import METRICS, CauseTruth, expected, shapley, truth, verdict

CONFIG = WorldConfig(reference_weeks=2, per_day=1200)
ROWS = 100_000
REVIEW = LabelSliceLoss(severity=0.7, where={"region": ("EU", "US"), "decision": "flagged"})
COMPOUND = (ConceptDrift(severity=0.1), REVIEW, LabelSliceLoss(severity=0.1), ThresholdChange(severity=0.4))


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_contributions_and_background_sum_to_the_observed_change(metric: str) -> None:
    found = truth(CONFIG, COMPOUND, metric=metric, rows=ROWS)
    total = sum(c.value for c in found.contributions) + found.background
    assert total == pytest.approx(found.observed.change, abs=1e-12)
    assert [c.cause for c in found.contributions] == ["concept_drift", "label_slice_loss", "threshold_change"]


def test_shapley_is_the_mean_over_all_orders_of_entry() -> None:
    players = ("a", "b", "c")
    rng = np.random.default_rng(5)
    value = {frozenset(p[:k]): 0.0 for p in permutations(players) for k in range(4)}
    value = {group: float(rng.normal()) for group in sorted(value, key=sorted)}
    for player in players:
        gains = []
        for order in permutations(players):
            before = frozenset(order[: order.index(player)])
            gains.append(value[before | {player}] - value[before])
        assert shapley(player, players, value) == pytest.approx(float(np.mean(gains)), abs=1e-12)


def test_without_faults_nothing_changes_but_a_small_background() -> None:
    found = truth(CONFIG, (), rows=ROWS)
    assert found.verdict == "noise"
    assert found.top_cause == "noise"
    assert abs(found.observed.change) < 0.006
    assert found.observed.change == found.background
    assert found.availability.reference == pytest.approx(0.92, abs=0.003)
    assert found.true.reference == pytest.approx(0.80, abs=0.006)


@pytest.mark.parametrize(
    "fault",
    [
        REVIEW,
        LabelSliceLoss(severity=0.5),
        LabelLossNonrandom(severity=0.5),
        LabelOutage(severity=1.0, end=3),
        JoinBreak(severity=0.5),
    ],
    ids=["slice", "uniform", "nonrandom", "outage", "join"],
)
def test_label_faults_leave_the_true_change_alone(fault: Injection) -> None:
    hurt, calm = truth(CONFIG, (fault,), rows=ROWS), truth(CONFIG, (), rows=ROWS)
    assert hurt.true == calm.true
    assert hurt.contributions[0].true_value == 0
    assert hurt.availability.current < calm.availability.current - 0.01


def test_uniform_loss_contributes_nothing_however_large() -> None:
    found = truth(CONFIG, (LabelSliceLoss(severity=0.6),), rows=ROWS)
    assert found.contributions[0].value == pytest.approx(0, abs=1e-12)
    assert found.verdict == "noise"


def test_observed_recall_obeys_the_selection_odds_identity() -> None:
    world = build(CONFIG, [REVIEW], seed=1, rows=ROWS)
    rows = world.window("current")
    p, flagged, seen = world.p[rows], world.flagged[rows], world.visible_if()[1, rows]
    rate = [np.average(seen[flagged == decision], weights=p[flagged == decision]) for decision in (False, True)]
    found = expected(world, metric="recall", window="current")
    assert logit(found["observed"]) == pytest.approx(logit(found["true"]) + np.log(rate[1] / rate[0]), abs=1e-9)


def test_expectations_by_brute_force_over_drawn_outcomes() -> None:
    world = build(CONFIG, [REVIEW, ConceptDrift(severity=0.1)], seed=1, rows=ROWS)
    rng = np.random.default_rng(3)
    rows = world.window("current")
    seen_if = world.visible_if()[:, rows]
    draws = []
    for _ in range(60):
        outcome = (rng.random(rows.sum()) < world.p[rows]).astype(int)
        seen = rng.random(rows.sum()) < seen_if[outcome, np.arange(len(outcome))]
        known = seen & (outcome == 1)
        flagged, score = world.flagged[rows], world.score[rows]
        precision = outcome[seen & flagged].mean()
        draws.append((flagged[known].mean(), precision, outcome[seen].mean(), ((outcome - score)[seen] ** 2).mean()))
    drawn, spread = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(len(draws))
    for k, metric in enumerate(("recall", "precision", "base_rate", "brier")):
        found = expected(world, metric=metric, window="current")["observed"]
        assert abs(found - drawn[k]) < 4 * spread[k]


def test_the_logs_of_many_seeds_agree_with_the_truth() -> None:
    config = WorldConfig(reference_weeks=2, per_day=1200, duplicate_share=0, orphan_share=0, correction_share=0)
    found = truth(config, (REVIEW,), rows=400_000)
    recalls, shares = [], []
    for seed in range(12):
        simulation = simulate(config, [REVIEW], seed=seed)
        rows = simulation.predictions.join(simulation.outcomes, on="prediction_id", how="left")
        current = rows.filter(pl.col("ts_pred") >= config.current_start)
        recalls.append(float(current.filter(pl.col("label") == 1)["decision"].mean()))
        shares.append(float(current["label"].is_not_null().mean()))
    for drawn, goal in ((recalls, found.observed.current), (shares, found.availability.current)):
        # The truth has an error of its own, about that of 400,000 rows.
        allowed = 4 * np.std(drawn) / np.sqrt(len(drawn)) + 0.003
        assert abs(np.mean(drawn) - goal) < allowed


@pytest.mark.parametrize(
    ("fault", "family"),
    [
        (ConceptDrift(severity=0.2), "quality"),
        (VersionRegression(severity=2.0), "quality"),
        (ThresholdChange(severity=1.0), "policy"),
        (MixShift(severity=8.0, where={"customer": "business"}), "mix"),
        (REVIEW, "labels"),
        (LabelLossNonrandom(severity=0.6, where={"decision": "flagged"}), "labels"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.cause,
)
def test_each_cause_alone_gets_its_verdict(fault: Injection, family: str) -> None:
    found = truth(CONFIG, (fault,), rows=ROWS)
    assert (found.verdict, found.top_cause) == (family, fault.cause)


def test_a_masked_drop_is_in_the_truth_as_two_causes_of_opposite_sign() -> None:
    mask = LabelSliceLoss(severity=0.6, where={"decision": "not flagged"})
    found = truth(CONFIG, (ConceptDrift(severity=0.1), mask), rows=ROWS)
    drift, loss = found.contributions
    assert drift.value < -0.03
    assert loss.value > 0.03
    assert found.true.change < -0.05
    assert found.verdict == "both"


def _cause(family: str, value: float) -> CauseTruth:
    return CauseTruth(cause=family, family=family, value=value, true_value=0.0, faults=())


@pytest.mark.parametrize(
    ("values", "expected_verdict"),
    [
        ({}, "noise"),
        ({"quality": 0.009}, "noise"),
        ({"quality": -0.02, "labels": 0.001}, "quality"),
        ({"quality": -0.02, "labels": 0.02}, "both"),
        ({"quality": -0.02, "labels": 0.02, "mix": 0.02}, "several"),
        ({"policy": -0.02, "labels": 0.02}, "several"),
    ],
)
def test_the_verdict_follows_the_material_families(values: dict[str, float], expected_verdict: str) -> None:
    assert verdict([_cause(family, value) for family, value in values.items()]) == expected_verdict


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ArgumentError, match="metric"):
        truth(CONFIG, (), metric="karma", rows=ROWS)


def test_the_truth_is_plain_facts() -> None:
    facts = json.loads(json.dumps(truth(CONFIG, COMPOUND, rows=ROWS).as_dict()))
    assert facts["observed"]["change"] == pytest.approx(facts["observed"]["current"] - facts["observed"]["reference"])
    assert len(facts["contributions"][1]["faults"]) == 2
