import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import JoinBreak, LabelLossNonrandom, LabelOutage, LabelSliceLoss, SlowLabels
from fbkit.schema.contract import Contract

SMALL = WorldConfig(reference_weeks=2, per_day=400)
LABEL_FAULTS = [
    LabelSliceLoss(severity=0.5, where={"region": "EU"}),
    LabelLossNonrandom(severity=0.5),
    LabelOutage(severity=1.0, start=1, end=4),
    SlowLabels(severity=3.0),
    JoinBreak(severity=0.5),
    JoinBreak(severity=0.5, how="blank"),
]


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def labelled(simulation: Simulation) -> pl.DataFrame:
    """Join by brute force: the latest statement inside the window counts; one row a prediction."""
    window = timedelta(days=simulation.config.window_days)
    statements = simulation.outcomes.sort("ts_arrival", maintain_order=True)
    pairs = simulation.predictions.unique("prediction_id").join(statements, on="prediction_id", how="inner")
    counted = pairs.filter(pl.col("ts_event").is_between(pl.col("ts_pred"), pl.col("ts_pred") + window))
    last = counted.group_by("prediction_id").agg(pl.col("label").sort_by("ts_arrival", maintain_order=True).last())
    return simulation.predictions.unique("prediction_id").join(last, on="prediction_id", how="left")


@pytest.fixture(scope="module")
def healthy() -> Simulation:
    return simulate(SMALL, seed=11)


@pytest.fixture(scope="module")
def large() -> Simulation:
    return simulate(WorldConfig(), seed=3)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    fault = LabelSliceLoss(severity=0.3, where={"decision": "flagged"})
    for name, seed in (("one", 5), ("again", 5), ("other", 6)):
        simulate(SMALL, [fault], seed=seed).write(tmp_path / name)
    assert digest(tmp_path / "one") == digest(tmp_path / "again")
    assert digest(tmp_path / "one") != digest(tmp_path / "other")


def test_the_logs_have_canonical_columns_and_utc_microseconds(healthy: Simulation) -> None:
    predictions, outcomes = healthy.predictions, healthy.outcomes
    required = {"prediction_id", "ts_pred", "score", "threshold", "decision", "model_version", "entity_id"}
    assert required | {"region", "device", "customer", *SMALL.features} == set(predictions.columns)
    expected = {"prediction_id", "entity_id", "ts_event", "ts_arrival", "label", "source", "label_version"}
    assert set(outcomes.columns) == expected
    for frame, column in ((predictions, "ts_pred"), (outcomes, "ts_event"), (outcomes, "ts_arrival")):
        assert frame.schema[column] == pl.Datetime("us", "UTC")
    assert predictions.schema["prediction_id"] == pl.String
    assert predictions.null_count().sum_horizontal().item() == 0
    assert predictions["ts_pred"].is_sorted()
    assert predictions["score"].is_between(0, 1).all()


def test_time_runs_forward_and_nothing_is_known_before_the_as_of_time(healthy: Simulation) -> None:
    pairs = healthy.predictions.unique("prediction_id").join(healthy.outcomes, on="prediction_id")
    assert (pairs["ts_event"] >= pairs["ts_pred"]).all()
    assert (pairs["ts_arrival"] >= pairs["ts_event"]).all()
    assert healthy.outcomes["ts_arrival"].max() <= SMALL.as_of
    days = healthy.predictions["ts_pred"]
    assert days.min() >= SMALL.start
    assert days.max() < SMALL.current_end
    assert SMALL.as_of - SMALL.current_end >= timedelta(days=SMALL.window_days)


def test_the_decision_is_the_score_against_the_threshold(healthy: Simulation) -> None:
    again = healthy.predictions.select((pl.col("score") >= pl.col("threshold")) == pl.col("decision"))
    assert again.to_series().all()


def test_the_healthy_loop_has_the_promised_rates(large: Simulation) -> None:
    rows = labelled(large)
    known = rows.filter(pl.col("label").is_not_null())
    positives = known.filter(pl.col("label") == 1)
    assert len(rows) / large.config.days == pytest.approx(1500, rel=0.02)
    assert len(known) / len(rows) == pytest.approx(0.92, abs=0.006)
    assert known["label"].mean() == pytest.approx(0.08, abs=0.006)
    assert positives["decision"].mean() == pytest.approx(0.80, abs=0.02)


def test_the_score_is_informative_and_roughly_calibrated_but_not_perfect(large: Simulation) -> None:
    rows = labelled(large).filter(pl.col("label").is_not_null())
    assert rows["score"].mean() == pytest.approx(rows["label"].mean(), abs=0.012)
    top = rows.filter(pl.col("score") > 0.6)
    assert 0.55 < top["label"].mean() < top["score"].mean()


def test_traffic_follows_the_week_and_accounts_repeat(large: Simulation) -> None:
    daily = large.predictions.group_by(pl.col("ts_pred").dt.weekday()).len().sort("ts_pred")["len"]
    assert daily[4] > 1.2 * daily[6]
    repeats = large.predictions.group_by("entity_id").len()["len"]
    assert repeats.max() > 10 * repeats.median()
    slices = large.predictions.group_by("entity_id").agg(pl.col("region").n_unique(), pl.col("customer").n_unique())
    assert slices["region"].max() == 1
    assert slices["customer"].max() == 1


def test_two_versions_serve_in_the_reference_and_one_in_the_current_week(large: Simulation) -> None:
    current = pl.col("ts_pred") >= large.config.current_start
    assert large.predictions.filter(current)["model_version"].unique().to_list() == ["7.3"]
    assert sorted(large.predictions.filter(~current)["model_version"].unique()) == ["7.2", "7.3"]


def test_the_background_dirt_is_there_and_small(large: Simulation) -> None:
    ids, outcomes = large.predictions["prediction_id"], large.outcomes
    orphans = outcomes.filter(~pl.col("prediction_id").is_in(ids.implode()))
    assert 0.001 < len(orphans) / len(outcomes) < 0.004
    assert 0 < ids.is_duplicated().sum() / len(ids) < 0.002
    assert 0 < outcomes.is_duplicated().sum() / len(outcomes) < 0.006
    conflicting = outcomes.group_by("prediction_id").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1)
    assert 0.001 < len(conflicting) / len(outcomes) < 0.006
    pairs = outcomes.join(large.predictions.unique("prediction_id"), on="prediction_id")
    after = pairs.filter(pl.col("ts_event") > pl.col("ts_pred") + timedelta(days=large.config.window_days))
    assert 0 < len(after) / len(outcomes) < 0.005


def test_labels_come_later_for_fraud_and_sooner_for_flagged_rows(large: Simulation) -> None:
    rows = large.predictions.unique("prediction_id").join(large.outcomes, on="prediction_id")
    lag = (pl.col("ts_event") - pl.col("ts_pred")).median()
    by_decision = rows.filter(pl.col("label") == 0).group_by("decision").agg(lag).sort("decision")["ts_event"]
    assert by_decision[1] < by_decision[0]
    by_label = rows.filter(~pl.col("decision")).group_by("label").agg(lag).sort("label")["ts_event"]
    assert by_label[1] < by_label[0]


@pytest.mark.parametrize("fault", LABEL_FAULTS, ids=lambda fault: fault.cause)
def test_label_faults_never_change_the_predictions(fault: LabelSliceLoss, healthy: Simulation) -> None:
    hurt = simulate(SMALL, [fault], seed=11)
    assert hurt.predictions.equals(healthy.predictions)
    assert not hurt.outcomes.equals(healthy.outcomes)


def test_lost_labels_leave_all_other_labels_untouched(healthy: Simulation) -> None:
    hurt = simulate(SMALL, [LabelSliceLoss(severity=0.4)], seed=11)
    regular = pl.col("prediction_id").str.starts_with("p")
    before = healthy.outcomes.filter(regular).unique()
    # A row without a label may get one after its window instead (background dirt), nothing else may appear.
    appeared = hurt.outcomes.filter(regular).unique().join(before, on=before.columns, how="anti")
    assert len(appeared) < 0.01 * len(before)
    assert len(hurt.outcomes) < 0.9 * len(healthy.outcomes)


def test_the_folder_reads_back_as_the_frames(healthy: Simulation, tmp_path: Path) -> None:
    folder = healthy.write(tmp_path / "loop")
    predictions = pl.read_parquet(folder / "predictions" / "*.parquet")
    assert predictions.equals(healthy.predictions)
    assert pl.read_parquet(folder / "outcomes" / "*.parquet").equals(healthy.outcomes)
    assert (folder / "changes.csv").read_text().startswith("ts,kind,what\n2026-09-21T00:00:00Z,deploy,")
    assert len(list((folder / "predictions").iterdir())) == 3


def test_the_contract_is_valid_and_says_what_the_simulator_did(healthy: Simulation) -> None:
    contract = Contract.from_toml(healthy.contract_toml)
    assert contract.label.window == timedelta(days=SMALL.window_days)
    assert contract.label.silence == "missing"
    assert contract.decision is not None
    assert contract.decision.threshold == healthy.predictions["threshold"][0]
    assert tuple(contract.slices.columns) == ("region", "device", "customer")
    assert tuple(contract.features.columns) == SMALL.features
    assert contract.metrics.primary == "recall"


def test_a_loop_without_change_log_or_accounts_in_the_label_feed(tmp_path: Path) -> None:
    simulation = simulate(replace(SMALL, change_log=False, outcome_accounts=False), seed=1)
    assert simulation.changes is None
    assert "entity_id" not in simulation.outcomes.columns
    assert not (simulation.write(tmp_path / "loop") / "changes.csv").exists()
    assert Contract.from_toml(simulation.contract_toml).changes is None


def test_times_are_rounded_to_the_logs_steps() -> None:
    simulation = simulate(replace(SMALL, resolution=60, event_step=600, batch=3600), seed=1)
    for frame, column, step in (
        (simulation.predictions, "ts_pred", 60),
        (simulation.outcomes, "ts_event", 600),
        (simulation.outcomes, "ts_arrival", 600),
    ):
        assert (frame[column].dt.epoch("s") % step == 0).all()
    assert (simulation.outcomes["ts_arrival"].dt.epoch("s") % 3600 == 0).mean() > 0.99
