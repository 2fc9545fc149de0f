from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import ndcg_score

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.samples import simulate
from fbkit.samples.faults import (
    ConceptDrift,
    ImmatureWindow,
    Injection,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    SlowLabels,
)
from fbkit.samples.ranking import (
    ITEMS,
    MATERIAL,
    FallbackOrder,
    ListSimulation,
    RankerRegression,
    RankingConfig,
    TasteDrift,
    list_truth,
    ndcg,
    simulate_lists,
)

CONFIG = RankingConfig(reference_weeks=2, per_day=300)
REQUESTS = 40_000
BUSINESS = {"customer": "business"}
FAULTS: dict[str, Injection] = {
    "none": TasteDrift(severity=0.0),
    "taste": TasteDrift(severity=0.5),
    "taste of one region": TasteDrift(severity=0.9, where={"region": "EU"}),
    "version": RankerRegression(severity=2.0),
    "fallback": FallbackOrder(severity=0.4),
    "mix": MixShift(severity=4.0, where=BUSINESS),
    "log loss": PredictionLogLoss(severity=0.8, where=BUSINESS),
    "slice loss": LabelSliceLoss(severity=0.9, where=BUSINESS),
    "outage": LabelOutage(severity=1.0, start=1, end=4, where={"region": "EU"}),
    "slow": SlowLabels(severity=40.0, where=BUSINESS),
    "immature": ImmatureWindow(severity=1.95),
}


def by_request(simulation: ListSimulation) -> pl.DataFrame:
    keys = ["request_id", "item_id", "position"]
    rows = simulation.predictions.join(simulation.outcomes, on=keys).sort("request_id", "position")
    lists = rows.group_by("request_id", maintain_order=True).agg("label", "position", pl.col("ts_pred").first())
    assert lists["label"].list.len().unique().to_list() == [ITEMS]
    clicked = np.stack(lists["label"].to_list()).astype(float)
    place = np.stack(lists["position"].to_list()) - 1
    return lists.select(
        current=pl.col("ts_pred") >= simulation.config.current_start,
        ctr=pl.Series(clicked.mean(axis=1)),
        ndcg=pl.Series(ndcg(clicked, place)),
    ).rename({"ndcg": "ndcg@10"})


def test_the_gain_of_lists_is_that_of_another_library() -> None:
    rng = np.random.default_rng(4)
    clicked = (rng.random((300, ITEMS)) < 0.2).astype(float)
    position = np.argsort(rng.random((300, ITEMS)), axis=1)
    theirs = [ndcg_score([line], [-place]) for line, place in zip(clicked, position, strict=True)]
    assert ndcg(clicked, position) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_logs_move_by_what_the_truth_says(name: str) -> None:
    lists = by_request(simulate_lists(CONFIG, [FAULTS[name]], seed=3))
    for metric in MATERIAL:
        found = list_truth(CONFIG, [FAULTS[name]], metric=metric, rows=REQUESTS).observed
        for goal, rows in (
            (found.current, lists.filter("current")),
            (found.reference, lists.filter(~pl.col("current"))),
        ):
            # Accounts repeat, and the truth is itself the mean of REQUESTS / 2 requests.
            allowed = 4 * rows[metric].std() * np.sqrt(1.5 / len(rows) + 2 / REQUESTS)
            assert abs(rows[metric].mean() - goal) < allowed


@pytest.mark.parametrize("name", ["log loss", "slice loss", "outage", "slow", "immature"])
def test_faults_of_labels_and_logs_leave_the_truth_alone(name: str) -> None:
    for metric in MATERIAL:
        found = list_truth(CONFIG, [FAULTS[name]], metric=metric, rows=REQUESTS)
        assert found.contributions[0].true_value == 0
        assert found.true == list_truth(CONFIG, [], metric=metric, rows=REQUESTS).true


@pytest.mark.parametrize(
    ("name", "family"), [("taste", "quality"), ("fallback", "pipeline"), ("mix", "mix"), ("slice loss", "labels")]
)
def test_each_cause_gets_its_verdict_and_the_parts_sum(name: str, family: str) -> None:
    found = list_truth(CONFIG, [FAULTS[name]], rows=REQUESTS)
    assert (found.verdict, found.top_cause) == (family, FAULTS[name].cause)
    assert found.contributions[0].value + found.background == pytest.approx(found.observed.change, abs=1e-12)
    assert list_truth(CONFIG, [], rows=REQUESTS).verdict == "noise"


def test_a_fallback_shows_the_order_of_the_catalogue() -> None:
    predictions = simulate_lists(CONFIG, [FallbackOrder(severity=0.4)], seed=3).predictions
    fallen = predictions.filter(pl.col("status") == "fallback")
    assert fallen["score"].unique().to_list() == [0.0]
    first = fallen.filter(pl.col("position") == 1)["item_id"].str.slice(1).cast(pl.Int64)
    second = fallen.filter(pl.col("position") == 2)["item_id"].str.slice(1).cast(pl.Int64)
    assert ((second - first) % 500 == 37).all()
    ordered = predictions.filter(pl.col("status") == "ok").group_by("request_id", maintain_order=True).agg("score")
    assert ordered["score"].list.eval(pl.element().diff().drop_nulls() <= 0).list.all().all()


def test_the_loop_joins_and_the_kit_measures_what_the_logs_hold() -> None:
    simulation = simulate_lists(CONFIG, [FAULTS["slice loss"]], seed=3)
    contract = fb.Contract.from_toml(simulation.contract_toml)
    loop = fb.open_loop(contract=contract, predictions=simulation.predictions, outcomes=simulation.outcomes)
    joined = loop.join(as_of=simulation.as_of)
    assert set(joined.frame["state"].unique()) == {"labelled", "missing"}
    lists = by_request(simulation)
    measured = dict(fb.metrics(joined, list(MATERIAL)).select("metric", "value").iter_rows())
    assert measured == pytest.approx({metric: lists[metric].mean() for metric in MATERIAL}, rel=1e-9)


def test_the_same_seed_gives_the_same_rows_and_the_truth_comes_along() -> None:
    one, two = (simulate_lists(RankingConfig(per_day=20), [FAULTS["taste"]], seed=9) for _ in range(2))
    assert one.predictions.equals(two.predictions)
    assert one.outcomes.equals(two.outcomes)
    assert one.truth.metric == "ctr"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: simulate_lists(CONFIG, [ConceptDrift(severity=0.1)], seed=1),
        lambda: simulate(faults=[TasteDrift(severity=0.1)], seed=1),
        lambda: list_truth(CONFIG, [], metric="recall"),
    ],
)
def test_what_belongs_to_other_loops_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError):
        wrong()
