"""The loop on one line: every check stands under its step, and a step is as bad as its worst check."""

from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.preflight import preflight
from fbkit.diagnose.strip import AMBER, GREEN, RED, STEPS, loop_strip
from fbkit.schema.period import Period


@pytest.fixture(scope="module")
def joined(root: Path) -> fb.Joined:
    return fb.open_loop(root / "data_samples" / "recall_drop" / "variant_b").join()


def current(joined: fb.Joined) -> Period:
    return joined.compare().periods()[1]


def states(frame: pl.DataFrame) -> dict[str, str]:
    return dict(frame.select("step", "state").unique().iter_rows())


def test_every_check_stands_under_one_step(joined: fb.Joined) -> None:
    checks = preflight(joined)
    frame = loop_strip(joined, current=current(joined), checks=checks)
    assert set(checks["id"]) <= set(frame["id"])
    assert frame["id"].n_unique() == frame.height
    assert frame["step"].unique(maintain_order=True).to_list() == list(STEPS)
    assert frame.group_by("step").agg(pl.col("state").n_unique())["state"].max() == 1


def test_missed_labels_turn_the_label_step_red_and_nothing_else(joined: fb.Joined) -> None:
    found = states(loop_strip(joined, current=current(joined)))
    assert found["Label"] == RED
    assert (found["Join"], found["Measure"]) == (GREEN, GREEN)
    week = Period.parse("2026-09-07..2026-09-14")
    before = loop_strip(joined, current=week)
    assert states(before)["Label"] == GREEN
    objective = before.row(by_predicate=pl.col("id") == "availability_objective", named=True)
    n = joined.frame.filter((pl.col("ts_pred") >= week.start) & (pl.col("ts_pred") < week.end))
    share = n["label"].is_not_null().sum() / n.height
    assert f"{100 * share:.1f} % of {n.height:,}" in objective["evidence"]


@pytest.mark.parametrize(
    ("failing", "step", "state"), [("unique_ids", "Log", RED), ("versioned", "Log", AMBER), ("traceable", "Join", RED)]
)
def test_a_grave_check_is_red_and_another_amber(joined: fb.Joined, failing: str, step: str, state: str) -> None:
    checks = preflight(joined).with_columns(
        pl.when(pl.col("id") == failing).then(pl.lit("failed")).otherwise(pl.lit("passed")).alias("status")
    )
    assert states(loop_strip(joined, current=current(joined), checks=checks))[step] == state


def test_a_period_without_predictions_is_judged_by_nothing(joined: fb.Joined) -> None:
    frame = loop_strip(joined, current=Period.parse("2020-01-06..2020-01-13"))
    assert frame.row(by_predicate=pl.col("id") == "availability_objective", named=True)["status"] == "not applicable"
    assert states(frame)["Measure"] == AMBER


def test_a_step_to_which_nothing_applies_is_not_green(joined: fb.Joined) -> None:
    checks = preflight(joined).with_columns(pl.lit("not applicable").alias("status"))
    assert states(loop_strip(joined, current=current(joined), checks=checks))["Act"] == AMBER


def test_a_period_whose_windows_are_open_cannot_be_measured_and_says_so(joined: fb.Joined) -> None:
    late = fb.open_loop(fb.samples.path("recall_drop") / "variant_b").join(as_of="2026-09-30T00:00:00Z")
    frame = loop_strip(late, current=Period.parse("2026-09-21..2026-09-28"))
    measured = frame.row(by_predicate=pl.col("id") == "measurable", named=True)
    assert measured["status"] == "failed"
    assert "not estimable" in measured["evidence"]
    assert states(frame)["Measure"] == AMBER
    objective = frame.row(by_predicate=pl.col("id") == "availability_objective", named=True)
    assert objective["status"] == "not applicable"
