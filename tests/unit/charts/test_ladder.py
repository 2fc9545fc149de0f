"""The ladder: which bar is open, what a click names, and the evidence of every cause."""

import polars as pl

from fbkit.charts.triage import evidence_of, ladder_chart, ladder_rows
from tests.unit.charts.scene import items, texts

LADDER = pl.DataFrame(
    {
        "label": ["reference", "labels", "not estimable", "the model", "current"],
        "family": [None, "labels", "mix", "quality", None],
        "kind": ["total", "step", "step", "step", "total"],
        "value": [0.8, -0.1, None, -0.1, 0.6],
        "lower": [0.7, -0.2, None, -0.2, 0.5],
        "upper": [0.9, 0.0, None, 0.0, 0.7],
        "start": [0.0, 0.8, None, 0.7, 0.0],
        "end": [0.8, 0.7, 0.7, 0.6, 0.6],
    }
)


def test_a_click_names_the_place_among_the_steps_and_totals_name_none() -> None:
    rows = ladder_rows(LADDER, metric="recall", opened=2)
    assert [row.get("pick") for row in rows] == [None, 0, 1, 2, None]
    assert [row["label"] for row in rows if row.get("opened")] == ["the model"]
    assert not [row for row in ladder_rows(LADDER, metric="recall") if row.get("opened")]


def test_families_are_named_as_people_say_them() -> None:
    drawn = texts(ladder_chart(LADDER))
    assert "model" in drawn
    assert "quality" not in drawn


def test_a_cause_opens_the_first_of_its_frames_that_is_there() -> None:
    assert evidence_of("label_slice_loss", ["weekly", "availability_by_decision"]) == "availability_by_decision"
    assert evidence_of("label_slice_loss", ["weekly", "availability_by_slice"]) == "availability_by_slice"
    assert evidence_of("a cause of tomorrow", ["daily"]) == "daily"
    assert evidence_of("noise", []) is None


def test_only_estimable_bars_are_drawn() -> None:
    bars = [item for item in items(ladder_chart(LADDER), "rect") if item.get("ariaRoleDescription") == "bar"]
    assert len(bars) == 2
