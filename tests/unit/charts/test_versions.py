"""The chart of two versions draws what the comparison says, and users' text stays text."""

import polars as pl

from fbkit.charts import render
from fbkit.charts.versions import versions_chart, versions_rows
from tests.unit.charts.scene import items, texts

FRAME = pl.DataFrame(
    {
        "region": ["EU", "US", None, "<img src=x>"],
        "metric": ["recall"] * 4,
        "champion": [0.70, 0.70, 0.70, None],
        "challenger": [0.65, 0.74, 0.71, None],
        "difference": [-0.05, 0.04, 0.01, None],
        "lower": [-0.07, 0.01, -0.01, None],
        "upper": [-0.03, 0.07, 0.03, None],
        "bound_lower": [-0.10, None, -0.05, None],
        "bound_upper": [0.02, None, 0.06, None],
        "n_labelled_champion": [400, 300, 90, 0],
        "n_labelled_challenger": [390, 310, 95, 0],
        "stage": ["final"] * 4,
        "reason": [None, None, None, "no positives"],
    }
)


def test_a_line_per_slice_says_better_worse_or_neither() -> None:
    rows = versions_rows(FRAME, by="region", metric="recall")
    assert [row["kind"] for row in rows] == ["worse", "better", "not told apart", "not told apart"]
    assert rows[0]["said_difference"] == "−5.0 points"
    assert rows[3]["said_difference"] == "not estimable"
    turned = versions_rows(FRAME, by="region", metric="recall", lower_is_better=True)
    assert [row["kind"] for row in turned][:2] == ["better", "worse"]


def test_points_intervals_and_bounds_are_drawn_where_they_are_known() -> None:
    chart = versions_chart(FRAME, metric="recall", by="region", max_drop=0.03)
    points = [item for item in items(chart, "symbol") if item.get("size") == 60]
    assert len(points) == 3
    lines = [item for item in items(chart, "rule") if item.get("strokeWidth") in (2, 8)]
    assert len(lines) == 3 + 2
    assert "change of recall in points (final labels)" in texts(chart)


def test_the_limit_of_the_guardrail_lies_on_the_bad_side() -> None:
    def dashed(*, lower_is_better: bool) -> float:
        chart = versions_chart(FRAME, metric="recall", by="region", max_drop=0.03, lower_is_better=lower_is_better)
        rules = [item for item in items(chart, "rule") if item.get("strokeDash") in ([5, 4], [1, 0])]
        at = {tuple(item["strokeDash"]): item["x"] for item in rules}
        return at[5, 4] - at[1, 0]

    assert dashed(lower_is_better=False) < 0 < dashed(lower_is_better=True)


def test_one_line_without_slices_and_the_same_bytes_twice() -> None:
    alone = FRAME.head(1).drop("region")
    first, second = (render.to_svg(versions_chart(alone, metric="recall")) for _ in range(2))
    assert first == second
    assert "overall" in texts(versions_chart(alone, metric="recall"))


def test_hostile_slices_become_no_element() -> None:
    svg = render.to_svg(versions_chart(FRAME, metric="recall", by="region"))
    assert "<img" not in svg
    assert "&lt;img" in svg
