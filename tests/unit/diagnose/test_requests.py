"""Ranked lists on the ladder: the kit's own values, and faults that get their name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.bounds import worst_case
from fbkit.diagnose.requests import per_request
from fbkit.diagnose.rows import CURRENT, REFERENCE, prepare
from fbkit.errors import ArgumentError
from fbkit.join.table import MemoryTable

METRICS = ["mrr", "mrr@2", "ndcg@3", "hit_rate@2", "precision@3", "recall@3"]
COMPARISON = fb.Comparison(reference="2026-08-03..2026-08-31", current="2026-08-31..2026-09-07")
CONTRACT = """
[model]
name = "ranker"
task = "ranking"
[predictions]
path = "predictions.parquet"
[outcomes]
path = "outcomes.parquet"
[label]
window = "3d"
[slices]
columns = ["device"]
[metrics]
primary = "ndcg@3"
"""
SIZE = 5


def write(folder: Path, *, fault: str = "", requests: int = 4000, seed: int = 0) -> Path:
    """Five weeks of lists of five; in the last week the fault."""
    rng = np.random.default_rng(seed)
    second = np.sort(rng.integers(0, 35 * 86_400, requests))
    now = second >= 28 * 86_400
    app = rng.random(requests) < np.where(now & (fault == "mix"), 0.8, 0.3)
    noise = np.where(app, 3.0, 0.3)
    noise = np.where(now & (fault == "drift"), 6.0, noise)
    appeal = rng.normal(size=(requests, SIZE))
    # What the scores know of the appeal shrinks as the noise grows; their own spread stays.
    shown = (appeal + noise[:, None] * rng.normal(size=(requests, SIZE))) / np.sqrt(1 + noise**2)[:, None]
    clicked = rng.random((requests, SIZE)) < 1 / (1 + np.exp(2.0 - 2.5 * appeal))
    lost = rng.random(requests) < np.where(now & ~app & (fault == "loss"), 0.8, 0.05)
    lost_rows = np.repeat(lost, SIZE) | (rng.random(requests * SIZE) < 0.02)
    moment = np.repeat(np.datetime64("2026-08-03", "us") + second.astype("timedelta64[s]"), SIZE)
    position = 1 + np.argsort(np.argsort(-shown, axis=1), axis=1)
    predictions = pl.DataFrame(
        {
            "prediction_id": [f"p{i:06d}" for i in range(requests * SIZE)],
            "ts_pred": pl.Series(moment).dt.replace_time_zone("UTC"),
            "model_version": "1",
            "score": 1 / (1 + np.exp(-shown.ravel())),
            "entity_id": [f"u{i}" for i in np.repeat(rng.integers(0, requests, requests), SIZE)],
            "request_id": [f"r{i}" for i in np.repeat(np.arange(requests), SIZE)],
            "position": position.ravel(),
            "device": np.repeat(np.where(app, "app", "web"), SIZE),
        }
    )
    lag = rng.exponential(0.5, requests * SIZE).clip(0, 2.9)
    event = pl.Series(moment + (lag * 86_400e6).astype("timedelta64[us]")).dt.replace_time_zone("UTC")
    outcomes = pl.DataFrame(
        {
            "prediction_id": predictions["prediction_id"],
            "ts_event": event,
            "ts_ingest": event,
            "label": clicked.ravel().astype(np.int64),
        }
    ).filter(pl.Series(~lost_rows))
    folder.mkdir(parents=True)
    predictions.write_parquet(folder / "predictions.parquet")
    outcomes.write_parquet(folder / "outcomes.parquet")
    (folder / "contract.toml").write_text(CONTRACT)
    return folder


@pytest.fixture(scope="module")
def loops(tmp_path_factory) -> dict[str, fb.Joined]:
    root = tmp_path_factory.mktemp("lists")
    return {
        fault: fb.open_loop(write(root / (fault or "well"), fault=fault)).join(as_of="2026-09-20")
        for fault in ("", "mix", "drift", "loss")
    }


@pytest.mark.parametrize("metric", [*METRICS, "ctr"])
def test_the_observed_values_are_those_of_the_metrics_table(loops, metric) -> None:
    said = fb.triage(loops["loss"], COMPARISON, metric=metric, draws=0)
    assert said.metric == metric
    for name, period in zip(("reference", "current"), COMPARISON.periods(), strict=True):
        table = fb.metrics(loops["loss"], metric, period=period, stage="any")
        assert getattr(said.observed, name) == pytest.approx(table["value"].item(), abs=1e-12)
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_worst_cases_are_those_of_the_metrics_table(loops, metric) -> None:
    reference, current = COMPARISON.periods()
    made, name = per_request(loops["loss"], metric, periods=(reference, current))
    rows = prepare(made.frame, metric=name, reference=reference, current=current)
    for window, period in ((REFERENCE, reference), (CURRENT, current)):
        table = fb.metrics(loops["loss"], metric, period=period, stage="any")
        ends = (table["bound_lower"].item(), table["bound_upper"].item())
        found = worst_case(rows, window=window)
        assert found == (ends if None in ends else pytest.approx(ends, abs=1e-12))


@pytest.mark.parametrize(("fault", "cause"), [("", "noise"), ("mix", "mix_shift"), ("drift", "concept_drift")])
@pytest.mark.parametrize("metric", ["mrr", "ndcg@3"])
def test_faults_get_their_name(loops, fault, cause, metric) -> None:
    said = fb.triage(loops[fault], COMPARISON, metric=metric, draws=100)
    assert said.top_cause == cause


def test_lists_that_lost_their_labels_in_a_slice_are_weighted_back(loops) -> None:
    said = fb.triage(loops["loss"], COMPARISON, metric="ndcg@3", draws=100)
    well = fb.triage(loops[""], COMPARISON, metric="ndcg@3", draws=0)
    assert said.top_cause == "label_slice_loss"
    assert said.true_change.value == pytest.approx(well.true_change.value, abs=0.03)
    assert said.true_change.lower < 0 < said.true_change.upper
    assert next(part for part in said.contributions if part.material).where == "device=web"


def test_one_row_per_request_and_side(loops) -> None:
    joined = loops[""]
    made, name = per_request(joined, "mrr", periods=COMPARISON.periods())
    assert (name, name.better) == ("mrr", "higher")
    assert made.frame.height == joined.frame["request_id"].n_unique()
    # Cut in the middle of a request, it counts on each side.
    row = joined.frame.filter(pl.col("ts_pred") >= COMPARISON.periods()[1].start)[0]
    moved = joined.frame.with_columns(
        pl.when(pl.col("prediction_id") == row["prediction_id"].item())
        .then(pl.lit(COMPARISON.periods()[0].start))
        .otherwise("ts_pred")
        .alias("ts_pred")
    )
    again, _ = per_request(replace(joined, rows=MemoryTable(moved)), "mrr", periods=COMPARISON.periods())
    assert again.frame.height == made.frame.height + 1


def test_a_request_is_known_when_every_row_that_decides_it_is(loops) -> None:
    joined = loops["loss"]
    made, _ = per_request(joined, "hit_rate@2", periods=COMPARISON.periods())
    rows = joined.frame.filter(pl.col("position") <= 2).group_by("request_id").agg(pl.col("label").null_count() == 0)
    known = dict(rows.iter_rows())
    found = dict(made.frame.select("request_id", pl.col("label").is_not_null()).iter_rows())
    assert found == known
    assert made.frame.filter(pl.col("label").is_null())["arrival_lag"].null_count() == sum(
        not k for k in known.values()
    )


def test_lists_need_to_know_what_was_shown_together(loops) -> None:
    without = replace(loops[""], rows=MemoryTable(loops[""].frame.drop("request_id")))
    with pytest.raises(ArgumentError, match="shown together"):
        per_request(without, "mrr", periods=COMPARISON.periods())
