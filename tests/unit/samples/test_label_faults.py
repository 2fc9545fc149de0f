from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import ImmatureWindow, JoinBreak, LabelConflict, LabelDefinitionChange
from fbkit.schema.contract import Contract

CONFIG = WorldConfig(reference_weeks=2, per_day=600, duplicate_share=0.0, orphan_share=0.0, correction_share=0.0)
SILENT = replace(CONFIG, silence="negative", base_rate=0.05)
KEYS = ["prediction_id", "ts_event"]


@pytest.fixture(scope="module")
def healthy() -> Simulation:
    return simulate(CONFIG, seed=8)


def placed(outcomes: pl.DataFrame, simulation: Simulation) -> pl.DataFrame:
    return outcomes.join(simulation.predictions.drop("entity_id"), on="prediction_id", maintain_order="left")


def test_a_conflict_is_a_batch_that_contradicts_labels_of_its_slice(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [LabelConflict(severity=0.3, where={"region": ("EU", "US")})], seed=8)
    batch = hurt.outcomes.filter(pl.col("source") == "backfill")
    assert hurt.outcomes.filter(pl.col("source") != "backfill").equals(healthy.outcomes)
    assert batch["ts_arrival"].unique().to_list() == [CONFIG.as_of - timedelta(days=1)]
    before = batch.join(healthy.outcomes, on=KEYS, suffix="_before", maintain_order="left")
    assert before.height == batch.height
    assert (before["label"] + before["label_before"] == 1).all()
    assert (before["ts_arrival_before"] < before["ts_arrival"]).all()
    rows = placed(before, hurt)
    assert set(rows["region"]) == {"EU", "US"}
    assert (rows["ts_pred"] >= CONFIG.current_start).all()
    touchable = placed(healthy.outcomes, hurt).filter(
        pl.col("region").is_in(["EU", "US"])
        & (pl.col("ts_pred") >= CONFIG.current_start)
        & (pl.col("ts_arrival") < CONFIG.as_of - timedelta(days=1))
    )
    assert batch.height / touchable.height == pytest.approx(0.3, abs=0.02)


def test_a_conflict_can_say_one_label_from_an_ordinary_source_on_a_day(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [LabelConflict(severity=0.4, label=0, source="auto", arrives=5.0)], seed=8)
    batch = hurt.outcomes.join(healthy.outcomes, on=healthy.outcomes.columns, how="anti")
    assert batch["label"].unique().to_list() == [0]
    assert batch["source"].unique().to_list() == ["auto"]
    assert batch["ts_arrival"].unique().to_list() == [CONFIG.current_start + timedelta(days=5)]


def test_a_batch_repeats_the_broken_ids_and_the_version_of_what_it_overwrites() -> None:
    faults = (JoinBreak(severity=0.5), LabelDefinitionChange(severity=0.1, start=3), LabelConflict(severity=0.5))
    hurt = simulate(CONFIG, faults, seed=8)
    batch = hurt.outcomes.filter(pl.col("source") == "backfill")
    rest = hurt.outcomes.filter(pl.col("source") != "backfill")
    pairs = batch.join(rest, on=KEYS, suffix="_before")
    assert pairs.height == batch.height
    assert pairs["prediction_id"].str.starts_with("TX-").mean() == pytest.approx(0.5, abs=0.05)
    assert (pairs["label_version"] == pairs["label_version_before"]).all()
    assert pairs["label_version"].n_unique() == 2


@pytest.mark.parametrize("logged", [True, False])
def test_a_definition_changes_on_a_day_of_arrival_for_old_rows_too(*, logged: bool, healthy: Simulation) -> None:
    fault = LabelDefinitionChange(severity=0.1, where={"decision": "not flagged"}, logged=logged)
    hurt = simulate(CONFIG, [fault], seed=8)
    keys = [*KEYS, "ts_arrival", "source"]
    both = hurt.outcomes.join(healthy.outcomes, on=keys, suffix="_before", maintain_order="left")
    assert both.height == healthy.outcomes.height
    new = pl.col("ts_arrival") >= CONFIG.current_start
    moved = placed(both.filter(pl.col("label") != pl.col("label_before")), hurt)
    assert moved["label_before"].unique().to_list() == [0]
    assert moved.select(new.all()).item()
    assert not moved["decision"].any()
    assert moved.filter(pl.col("ts_pred") < CONFIG.current_start).height > 100
    unflagged = placed(both, hurt).filter(new & ~pl.col("decision") & (pl.col("label_before") == 0))
    assert moved.height / unflagged.height == pytest.approx(0.1, abs=0.01)
    versions = both.select(pl.when(new & logged).then(pl.lit("2")).otherwise(pl.lit("1")) == pl.col("label_version"))
    assert versions.to_series().all()
    assert hurt.changes is not None
    assert ("label" in hurt.changes["kind"].to_list()) == logged


def test_a_definition_can_come_on_gradually(healthy: Simulation) -> None:
    hurt = simulate(CONFIG, [LabelDefinitionChange(severity=0.5, ramp=True, end=10, logged=False)], seed=8)
    both = hurt.outcomes.join(healthy.outcomes, on=[*KEYS, "ts_arrival"], suffix="_before")
    since = (pl.col("ts_arrival") - CONFIG.current_start).dt.total_seconds() / 86_400
    shares = [
        both.filter(since.is_between(first, first + 3) & (pl.col("label_before") == 0))["label"].mean()
        for first in (-4, 0, 3.5, 7)
    ]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[3] == pytest.approx(0.5 * 0.85, abs=0.06)


def test_an_open_window_is_the_same_feed_cut_earlier(healthy: Simulation) -> None:
    early = simulate(CONFIG, [ImmatureWindow(severity=6.0)], seed=8)
    assert early.as_of == CONFIG.current_end + timedelta(days=CONFIG.window_days - 6)
    assert early.predictions.equals(healthy.predictions)
    assert early.outcomes.equals(healthy.outcomes.filter(pl.col("ts_arrival") <= early.as_of))
    contract = Contract.from_toml(early.contract_toml)
    assert contract.outcomes.complete_through == early.as_of
    assert early.config.as_of == healthy.as_of == CONFIG.as_of


def test_detected_positives_arrive_first_so_that_an_open_window_flatters_recall() -> None:
    found = simulate(CONFIG, [ImmatureWindow(severity=11.0)], seed=8).truth
    assert found.contributions[0].cause == "immature_window"
    assert found.contributions[0].value > 0.01
    assert found.contributions[0].true_value == 0


def test_windows_can_be_open_without_being_a_fault() -> None:
    early = simulate(replace(CONFIG, slack_days=-6), seed=8)
    assert early.outcomes["ts_arrival"].max() <= early.as_of
    assert early.as_of == simulate(CONFIG, [ImmatureWindow(severity=6.0)], seed=8).as_of


def test_an_evaluation_inside_the_current_window_is_refused() -> None:
    with pytest.raises(ArgumentError, match="end of the current window"):
        simulate(CONFIG, [ImmatureWindow(severity=15.0)], seed=8)


def test_where_silence_means_no_only_positives_are_reported() -> None:
    dirty = replace(SILENT, duplicate_share=0.02, orphan_share=0.02, correction_share=0.02)
    simulation = simulate(dirty, seed=8)
    assert simulation.outcomes["label"].unique().to_list() == [1]
    true = simulation.final.filter(pl.col("label") == 1)["prediction_id"]
    reported = simulation.outcomes.filter(pl.col("prediction_id").str.starts_with("p"))["prediction_id"]
    assert set(reported) <= set(true)
    assert simulation.final["stated"].sum() / len(true) == pytest.approx(0.92, abs=0.03)
    contract = Contract.from_toml(simulation.contract_toml)
    assert contract.label.silence == "negative"
    assert contract.slo.feed_completeness is not None
    assert contract.slo.label_availability is None


def test_a_batch_may_withdraw_positives_and_report_silent_rows_where_silence_means_no() -> None:
    hurt = simulate(SILENT, [LabelConflict(severity=0.1)], seed=8)
    batch = hurt.outcomes.filter(pl.col("source") == "backfill")
    truth = batch.join(hurt.final, on="prediction_id", suffix="_true")
    assert (truth["label"] + truth["label_true"] == 1).all()
    assert truth["label"].n_unique() == 2
