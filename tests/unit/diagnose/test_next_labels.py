"""Rows worth a label: chosen alike from any order, worth what was promised, and taken back as evidence."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.audit import audit
from fbkit.diagnose.next_labels import next_labels, plan
from fbkit.diagnose.rows import CURRENT, cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.diagnose.triage import triage
from fbkit.errors import ArgumentError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples.config import WorldConfig
from fbkit.samples.faults import ConceptDrift, LabelLossNonrandom
from fbkit.samples.simulate import Simulation, simulate
from fbkit.samples.stages import build
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison


def lost(frame: pl.DataFrame, outcome: Any) -> Any:
    """Half of the labels of flagged positives of the current week, and 15 % of all."""
    hit = frame["current"].to_numpy() & frame["flagged"].to_numpy() & (outcome == 1)
    return np.where(hit, 0.5, 0.15)


def scene_of(hand: Any, weeks: Any, *, metric: str = "recall") -> Scene:
    reference, current = weeks.periods()
    return set_scene(hand, metric=metric, reference=reference, current=current, draws=0, seed=0, settings=SETTINGS)


def shuffled(hand: Any) -> Any:
    return replace(hand, frame=hand.frame.sample(fraction=1.0, shuffle=True, seed=4))


def test_the_rows_are_unlabelled_current_ones_drawn_as_the_strata_say(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=12_000, lose=lost)
    scene = scene_of(hand, weeks)
    found = plan(scene, scene.labels, budget=200)
    assert found.rows.height == 200 == found.strata["rows"].sum()
    mine = hand.frame.join(found.rows, on="prediction_id")
    assert mine.height == 200
    assert mine["current"].all()
    assert mine["label"].null_count() == 200
    assert found.by_decision == (mine["flagged"].sum(), (~mine["flagged"]).sum())
    counts = found.rows.group_by("stratum", "audit_prob").len().join(found.strata, on="stratum")
    assert (counts["len"] == counts["rows"]).all()
    assert counts["audit_prob"].to_list() == pytest.approx((counts["rows"] / counts["candidates"]).to_list())
    inside = mine.join(found.strata, on="stratum")
    assert (inside["score"] >= inside["score_from"]).all()
    assert (inside["score"] <= inside["score_to"]).all()
    assert ((inside["decision"] == "flagged") == inside["flagged"]).all()


def test_the_order_of_the_rows_changes_nothing_and_another_seed_draws_others(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost)
    plans = [plan(scene_of(each, weeks), scene_of(each, weeks).labels, budget=120) for each in (hand, shuffled(hand))]
    assert plans[0].rows.equals(plans[1].rows)
    scene = scene_of(hand, weeks)
    other = plan(scene, scene.labels, budget=120, seed=1)
    assert set(other.rows["prediction_id"]) != set(plans[0].rows["prediction_id"])
    assert other.strata.equals(plans[0].strata)


def test_audits_scatter_as_promised(by_hand: Any, weeks: Any) -> None:
    """Many audits of one week, true outcomes filled in, against the error that was foreseen."""
    hand = by_hand(n=12_000, lose=lambda frame, outcome: np.full(len(outcome), 0.4))
    scene = scene_of(hand, weeks)
    outcome = dict(hand.frame.select("prediction_id", "outcome").iter_rows())
    rows, values = scene.rows, []
    base = [float(rows.positive[rows.of(CURRENT) & (rows.decision == d)].sum()) for d in (0, 1)]
    for seed in range(60):
        drawn = plan(scene, scene.labels, budget=150, seed=seed).rows.join(
            hand.frame.select("prediction_id", "flagged"), on="prediction_id"
        )
        y = np.array([outcome[name] for name in drawn["prediction_id"]]) / drawn["audit_prob"].to_numpy()
        flagged = drawn["flagged"].to_numpy()
        values.append((base[1] + y[flagged].sum()) / (sum(base) + y.sum()))
    promised = plan(scene, scene.labels, budget=150).expected_error
    assert promised == pytest.approx(np.std(values, ddof=1), rel=0.35)
    now = hand.frame.filter(pl.col("current"))
    truth = (now["outcome"] * now["flagged"]).sum() / now["outcome"].sum()
    assert np.mean(values) == pytest.approx(truth, abs=3 * float(np.std(values)) / np.sqrt(60))


def test_a_wanted_interval_has_a_size_or_no_audit_reaches_it(by_hand: Any, weeks: Any) -> None:
    scene = scene_of(by_hand(n=12_000, lose=lost), weeks)
    found = plan(scene, scene.labels, budget=100)
    assert found.half_width is not None
    narrower = found.half_width * 0.95
    size = found.size_for(narrower)
    assert size is not None
    assert size > 100
    again = plan(scene, scene.labels, budget=size)
    assert again.half_width is not None
    assert again.half_width <= narrower * 1.001
    assert found.size_for(0.001) is None
    with pytest.raises(ArgumentError, match="positive half width"):
        found.size_for(0)


def test_labels_in_question_get_a_quarter_of_the_budget(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=6000, lose=lost)
    scene = scene_of(hand, weeks)
    found = plan(scene, scene.labels, budget=120, check_labels=True)
    assert found.strata.filter("labelled")["rows"].sum() == 30
    checked = found.rows.join(found.strata.filter("labelled"), on="stratum").join(hand.frame, on="prediction_id")
    assert checked["label"].null_count() == 0


def test_blocked_rows_are_let_through_instead(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=12_000, lose=lost)
    blocked = pl.col("current") & (pl.col("score") > 0.8)
    frame = hand.frame.with_columns(blocked=blocked, label=pl.when(~blocked).then("label"))
    scene = scene_of(replace(hand, frame=frame), weeks)
    found = plan(scene, scene.labels, budget=100)
    assert not set(frame.filter("blocked")["prediction_id"]) & set(found.rows["prediction_id"])
    (row,) = found.exploration.iter_rows(named=True)
    assert row["blocked"] == frame["blocked"].sum()
    assert row["share"] == row["let_through"] / row["blocked"]
    assert row["let_through"] >= 30


def test_nothing_to_audit_is_said(by_hand: Any, weeks: Any) -> None:
    scene = scene_of(by_hand(n=2000), weeks)
    found = plan(scene, scene.labels)
    assert found.rows.height == 0
    assert found.reason is not None
    assert found.size_for(0.1) is None


def test_an_error_of_values_is_drawn_in_proportion_and_promises_nothing(by_hand: Any, weeks: Any) -> None:
    scene = scene_of(by_hand(n=3000, lose=lost), weeks, metric="mae")
    found = plan(scene, scene.labels, budget=60)
    assert found.rows.height == 60
    assert found.half_width is None
    assert found.expected_error is None
    assert found.reason is not None


def test_a_budget_of_nothing_is_refused(by_hand: Any, weeks: Any) -> None:
    hand = by_hand(n=2000, lose=lost)
    with pytest.raises(ArgumentError, match="too small"):
        next_labels(hand, triage(hand, weeks, draws=0), budget=3)


SMALL = WorldConfig(per_day=500, base_rate=0.15)
Faults = Callable[[], list[Any]]


def joined(simulation: Simulation, more: pl.DataFrame | None = None) -> Joined:
    outcomes = simulation.outcomes
    if more is not None:
        outcomes = pl.concat([outcomes, more], how="diagonal_relaxed")
    contract = Contract.from_toml(simulation.contract_toml)
    logs = {"predictions": simulation.predictions, "outcomes": outcomes, "changes": simulation.changes}
    return join(
        load_logs(contract, root=Path(), frames=logs),  # type: ignore[arg-type]  # this world logs its changes
        contract=contract,
        as_of=simulation.config.as_of,
    )


def outcomes(simulation: Simulation) -> pl.DataFrame:
    """What happened to every prediction."""
    world = build(simulation.config, simulation.faults, seed=simulation.seed)
    ids = simulation.predictions["prediction_id"].unique().sort()
    return pl.DataFrame({"prediction_id": ids, "label": (world.uniform("outcome") < world.p).astype(np.float64)})


def answered(simulation: Simulation, asked: pl.DataFrame) -> pl.DataFrame:
    """The template, filled in by somebody who knows what happened."""
    happened = outcomes(simulation)
    made = simulation.predictions.select("prediction_id", "ts_pred").unique("prediction_id")
    filled = asked.drop("label").join(happened, on="prediction_id").join(made, on="prediction_id")
    return filled.with_columns(
        ts_event=pl.col("ts_pred") + timedelta(days=1), ts_arrival=pl.lit(simulation.config.as_of)
    ).drop("ts_pred")


@pytest.mark.parametrize(
    ("fault", "lopsided"),
    [
        (LabelLossNonrandom(severity=0.6, where={"decision": "flagged"}), True),
        (ConceptDrift(severity=0.3), False),
    ],
)
def test_audited_rows_come_back_as_evidence(fault: Any, *, lopsided: bool) -> None:
    simulation = simulate(SMALL, [fault], seed=11)
    periods = Comparison(reference=SMALL.period("reference"), current=SMALL.period("current"))
    before = joined(simulation)
    asked = next_labels(before, triage(before, periods, draws=20), budget=400)
    after = joined(simulation, answered(simulation, asked.template))
    assert after.frame["label"].equals(before.frame["label"])
    reference, current = periods.periods()
    scene = set_scene(after, metric="recall", reference=reference, current=current, draws=60, seed=0, settings=SETTINGS)
    found = audit(scene, scene.labels, scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels))
    assert found is not None
    assert found.wins is lopsided
    now = scene.rows.frame.filter(pl.Series(scene.rows.of(CURRENT))).select("prediction_id", "flagged")
    now = now.join(outcomes(simulation), on="prediction_id")
    recall = (now["label"] * now["flagged"]).sum() / now["label"].sum()
    assert found.metric[0, CURRENT] == pytest.approx(recall, abs=0.04)
    again = next_labels(after, triage(after, periods, draws=0), budget=400)
    assert not set(again.rows["prediction_id"]) & set(asked.rows["prediction_id"])
