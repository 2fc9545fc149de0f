"""The charts of slices: what each adds to the change, what is focused, small multiples; foreign text is inert."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.charts.render import to_spec
from fbkit.charts.slice_panels import panel_rows, panels_chart
from fbkit.charts.slice_search import waiting_chart
from fbkit.charts.slices import ALL, slice_labels, slices_chart, slices_rows
from tests.unit.charts.scene import items, texts

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def lines(names: list[str | None], added: list[float | None], *, metric: str = "recall") -> list[dict[str, Any]]:
    """The whole, then each slice in both periods."""
    made = []
    total = sum(part for part in added if part is not None)
    for place, (name, part) in enumerate(zip([None, *names], [total, *added], strict=True)):
        for role, value in (("reference", 0.8), ("current", 0.7)):
            made.append({
                "slice": name, "whole": place == 0, "role": role, "slot": place - 1, "metric": metric, "value": value,
                "lower": value - 0.05, "upper": value + 0.05, "bound_lower": 0.3, "bound_upper": 0.9, "n": 100 + place,
                "n_labelled": 50, "reason": None, "contribution": part, "mix_effect": 0.0, "rate_effect": part,
            })  # fmt: skip
    return made


def test_bars_are_as_long_as_what_slices_add_and_the_whole_says_how_far_it_moved() -> None:
    chart = slices_chart(lines(["a", "b", "c"], [-0.06, -0.03, 0.01]), by="slice")
    bars = [item for item in items(chart, "rect") if item.get("height") == 13]
    widths = [bar["width"] for bar in bars]
    assert widths[0] == pytest.approx(2 * widths[1])
    assert widths[1] == pytest.approx(3 * widths[2])
    assert bars[0]["x"] + widths[0] == pytest.approx(bars[2]["x"]), (
        "one falls to the left of zero, one rises to its right"
    )
    said = texts(chart)
    assert {"−8.0", "−6.0", "−3.0", "+1.0", "adds to the change (points)"} <= set(said)


def test_small_parts_keep_two_digits_that_count_and_scores_their_own_unit() -> None:
    small = slices_rows(lines(["a", "b"], [-0.0006, 0.0002]), by="slice", metric="recall")
    assert [row["said_added"] for row in small if "said_added" in row] == ["−0.040", "−0.060", "+0.020"]
    nothing = slices_rows(lines(["a", "b"], [-0.08, 1e-9]), by="slice", metric="recall")
    assert [row["said_added"] for row in nothing if "said_added" in row] == ["−8.0", "−8.0", "0"]
    brier = slices_rows(lines(["a"], [0.0123], metric="brier"), by="slice", metric="brier")
    assert brier[-1]["said_added"] == "+0.012"
    assert brier[-1]["added"] == 0.0123


def test_without_parts_there_is_no_panel_for_them() -> None:
    chart = slices_chart(lines(["a"], [None]), by="slice", metric="roc_auc")
    assert not any("adds to the change" in text for text in texts(chart))
    assert "labels available, n" in texts(chart)


def test_the_focused_slice_is_tinted_and_every_row_of_a_slice_sends_its_number() -> None:
    drawn = lines(["a", None, "c"], [-0.1, 0.0, 0.0])
    rows = slices_rows(drawn, by="slice", metric="recall", focused=(None,))
    assert [row["focused"] for row in rows] == [False] * 4 + [True] * 2 + [False] * 2
    assert [row.get("pick") for row in rows] == [None, None, 0, 0, 1, 1, 2, 2]
    tints = [item.get("opacity") for item in items(slices_chart(drawn, by="slice", focused=(None,)), "rect")]
    assert tints.count(0.15) == 3, "in each of the three panels"


def test_slices_stand_in_the_order_given_also_those_that_only_one_period_has() -> None:
    drawn = [
        line for line in lines(["z", "a", "m"], [0.1, 0.1, 0.1]) if (line["slice"], line["role"]) != ("z", "reference")
    ]
    said = texts(slices_chart(drawn, by="slice"))
    places = [said.index(name) for name in (ALL, "z", "a", "m")]
    assert places == sorted(places)


def test_a_slice_that_is_called_like_the_whole_is_not_the_whole() -> None:
    labels = slice_labels([ALL, "a", None])
    assert labels[ALL] == f"{ALL} (2)"
    assert len(set(labels.values())) == 4


def test_reference_and_current_stand_one_above_the_other() -> None:
    dots = [item for item in items(slices_chart(lines(["a"], [-0.1]), by="slice"), "symbol") if item.get("size") == 60]
    assert [dot["y"] for dot in dots] == pytest.approx([10, 20, 40, 50])


def weeks(names: list[str], *, values: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "group": name,
                "period_start": MONDAY + timedelta(days=7 * week),
                "period_end": MONDAY + timedelta(days=7 * week + 7),
                "value": value,
                "lower": None if value is None else value - 0.1,
                "upper": None if value is None else value + 0.1,
                "n": 100 * (week + 1),
                "n_labelled": 50,
                "reason": None if value is not None else "no positives",
            }
            for name in names
            for week, value in enumerate(values)
        ],
        schema_overrides={"value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64, "reason": pl.String},
    )


def test_small_multiples_have_one_scale_and_the_order_given_and_at_most_twelve_panels() -> None:
    names = [f"s{k:02d}" for k in range(20)]
    frame = weeks(names, values=[0.5, 0.6, 0.4])
    windows = [
        (MONDAY, MONDAY + timedelta(days=14), "reference"),
        (MONDAY + timedelta(days=14), MONDAY + timedelta(days=21), "current"),
    ]
    rows = panel_rows(frame, by="group", metric="recall", slices=names[::-1], windows=windows)
    chart = panels_chart(rows, metric="recall", stage="final", title="x")
    heads = [text for text in texts(chart) if text.startswith("s")]
    assert heads == [f"{name}   n 600" for name in names[::-1][:12]]
    points = [row for row in rows if row["part"] == "point"]
    assert [point["role"] for point in points[:3]] == ["reference", "reference", "current"]
    dots = items(chart, "symbol")
    heights = {
        round(dot["y"], 3) for dot in dots if dot.get("fill") in ("#6e7781", "#0072b2") and dot.get("size", 0) > 8.5
    }
    assert len(heights) <= 4, "equal values stand equally high in every panel (and the legend's signs)"


def test_the_change_log_is_in_every_panel() -> None:
    frame = weeks(["a", "b"], values=[0.5, 0.6, 0.4])
    changes = [(MONDAY + timedelta(days=3), "v2 deployed"), (MONDAY + timedelta(days=300), "not yet")]
    rows = panel_rows(frame, by="group", metric="recall", slices=["a", "b"], changes=changes)
    marks = [row for row in rows if row["part"] == "change"]
    assert [row["slice"][0] for row in marks] == ["a", "b"]
    assert all("v2 deployed" in row["said_change"] for row in marks)


def test_a_panel_without_a_number_says_why() -> None:
    rows = panel_rows(weeks(["a"], values=[None, None]), by="group", metric="recall", slices=["a"])
    assert "no positives" in texts(panels_chart(rows, metric="recall", stage="final", title="x"))
    assert panel_rows(weeks(["a"], values=[0.5]), by="group", metric="recall", slices=["gone"]) == []


def test_before_a_search_the_picture_says_what_to_do() -> None:
    assert "Press Search." in texts(waiting_chart("Press Search.", title="x", subtitle="y"))


def test_hostile_slices_are_data_and_nothing_else() -> None:
    for chart in (
        slices_chart(lines([HOSTILE, "b"], [-0.1, 0.0]), by="slice"),
        panels_chart(
            panel_rows(weeks([HOSTILE], values=[0.5]), by="group", metric="recall", slices=[HOSTILE]),
            metric="recall",
            stage="final",
            title="x",
        ),
    ):
        spec = to_spec(chart)
        rows = spec["data"].pop("values")
        assert "alert" not in json.dumps(spec)
        assert any("alert" in row["slice"] for row in rows)
