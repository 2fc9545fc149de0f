from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import ActionCensoring, ThresholdChange
from fbkit.schema.contract import Contract

CONFIG = WorldConfig(reference_weeks=2, per_day=800, actions=True, blocked_share=0.25, exploration=0.2)
CURRENT = pl.col("ts_pred") >= CONFIG.current_start


@pytest.fixture(scope="module")
def healthy() -> Simulation:
    return simulate(CONFIG, seed=3)


def acted(simulation: Simulation) -> pl.DataFrame:
    assert simulation.actions is not None
    return simulation.predictions.unique("prediction_id", maintain_order=True).join(
        simulation.actions, on="prediction_id", maintain_order="left"
    )


def test_every_prediction_has_one_action_with_its_propensity(healthy: Simulation) -> None:
    rows = acted(healthy)
    assert healthy.actions is not None
    assert healthy.actions["prediction_id"].is_unique().all()
    assert rows.height == healthy.predictions["prediction_id"].n_unique()
    blocked, explored = pl.col("action") == "block", pl.col("explored")
    assert rows.filter(blocked)["propensity"].unique().to_list() == [0.8]
    assert rows.filter(explored)["propensity"].unique().to_list() == [0.2]
    assert rows.filter(~blocked & ~explored)["propensity"].unique().to_list() == [1.0]
    assert rows.filter(blocked & explored).is_empty()
    assert (rows["ts_action"] > rows["ts_pred"]).all()


def test_the_highest_flagged_scores_are_blocked_but_for_the_explored_ones(healthy: Simulation) -> None:
    rows = acted(healthy)
    would = (pl.col("action") == "block") | pl.col("explored")
    assert rows.filter(would)["decision"].all()
    lowest, highest_let_through = rows.filter(would)["score"].min(), rows.filter(~would)["score"].max()
    assert isinstance(lowest, float)
    assert isinstance(highest_let_through, float)
    assert lowest > highest_let_through
    assert rows.filter(would).height / rows["decision"].sum() == pytest.approx(0.25, abs=0.02)
    assert rows.filter(would)["explored"].mean() == pytest.approx(0.2, abs=0.03)


def test_blocked_rows_never_get_a_label_and_the_others_keep_theirs(healthy: Simulation) -> None:
    blocked = acted(healthy).filter(pl.col("action") == "block")["prediction_id"]
    free = simulate(replace(CONFIG, blocked_share=0.0), seed=3)
    hidden = pl.col("prediction_id").is_in(blocked.implode())
    strangers = pl.col("prediction_id").str.starts_with("q")
    assert healthy.outcomes.filter(hidden).is_empty()
    assert healthy.outcomes.filter(~strangers).equals(free.outcomes.filter(~hidden & ~strangers))
    assert healthy.predictions.equals(free.predictions)


def test_weights_of_the_explored_rows_recover_what_blocking_hides(healthy: Simulation) -> None:
    rows = acted(healthy).join(healthy.final.select("prediction_id", "label"), on="prediction_id")
    seen = rows.filter(pl.col("action") == "allow").with_columns(weight=1 / pl.col("propensity"))
    positives = seen.filter(pl.col("label") == 1)
    recovered = float(positives.filter("decision")["weight"].sum()) / float(positives["weight"].sum())
    naive, full = positives["decision"].mean(), rows.filter(pl.col("label") == 1)["decision"].mean()
    assert isinstance(naive, float)
    assert isinstance(full, float)
    assert naive < full - 0.05
    assert recovered == pytest.approx(full, abs=0.02)


def test_censoring_blocks_more_under_a_new_policy_from_its_day_on(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [ActionCensoring(severity=0.4, start=2)], seed=3)
    before = pl.col("ts_pred") < CONFIG.current_start + pl.duration(days=2)
    assert acted(hurt).filter(before).equals(acted(healthy).filter(before))
    now = acted(hurt).filter(~before)
    assert now["policy_id"].unique().to_list() == ["block-2"]
    flagged = now.filter("decision")
    would = ((flagged["action"] == "block") | flagged["explored"]).mean()
    assert would == pytest.approx(0.25 + 0.4 * 0.75, abs=0.03)
    assert set(acted(healthy).filter(pl.col("action") == "block")["prediction_id"]) <= set(
        acted(hurt).filter(pl.col("action") == "block")["prediction_id"]
    )
    assert hurt.changes is not None
    assert [(f"{row['ts']:%m-%d}", row["kind"]) for row in hurt.changes.iter_rows(named=True)][-1] == (
        "09-30",
        "product",
    )


def test_without_exploration_nothing_is_seen_above_the_block_score() -> None:
    hurt = simulate(CONFIG, [ActionCensoring(severity=0.4, exploration=0.0, logged=False)], seed=3)
    now = acted(hurt).filter(CURRENT)
    assert not now["explored"].any()
    assert now.filter(pl.col("action") == "block")["propensity"].unique().to_list() == [1.0]
    assert now.filter(pl.col("action") == "allow")["propensity"].unique().to_list() == [1.0]
    assert hurt.changes is not None
    assert hurt.changes.height == 1


def test_all_flagged_rows_of_a_region_can_be_blocked() -> None:
    hurt = simulate(
        CONFIG, [ActionCensoring(severity=1.0, where={"region": "EU"}), ThresholdChange(severity=0.5)], seed=3
    )
    now = acted(hurt).filter(CURRENT & pl.col("decision"))
    would = (pl.col("action") == "block") | pl.col("explored")
    assert now.filter(pl.col("region") == "EU").select(would.all()).item()
    assert not now.filter(pl.col("region") != "EU").select(would.all()).item()


def test_a_policy_without_a_log_hides_labels_and_tells_nothing(healthy: Simulation) -> None:
    silent = simulate(replace(CONFIG, actions=False), seed=3)
    assert silent.actions is None
    assert silent.outcomes.equals(healthy.outcomes)
    assert Contract.from_toml(silent.contract_toml).actions is None


def test_the_folder_and_the_contract_speak_of_actions(healthy: Simulation, tmp_path: Path) -> None:
    folder = healthy.write(tmp_path / "loop")
    contract = Contract.from_toml((folder / "contract.toml").read_text())
    assert contract.actions is not None
    assert contract.actions.blocked == ("block",)
    assert healthy.actions is not None
    assert pl.read_parquet(folder / "actions/*.parquet").equals(healthy.actions)


def test_shares_of_exploration_are_shares() -> None:
    with pytest.raises(ArgumentError, match="explored"):
        ActionCensoring(severity=0.4, exploration=1.5)


def test_the_true_recall_does_not_know_of_blocking() -> None:
    found = simulate(CONFIG, [ActionCensoring(severity=0.4)], seed=1).truth
    assert found.top_cause == "action_censoring"
    assert found.verdict == "policy"
    assert found.contributions[0].true_value == 0
    assert np.isclose(found.true.current, 0.8, atol=0.006)
