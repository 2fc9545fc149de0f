"""The revision picture: points where the numbers are, bars as high as what arrived, the worst case cut at the edge."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.charts import render, theme
from fbkit.charts.revisions import revision_chart, revision_rows
from fbkit.charts.text import interval_text
from tests.unit.charts.scene import items, texts

T0 = datetime(2026, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def frame(**columns: Any) -> pl.DataFrame:
    rows = [
        {
            "as_of": T0 + n * DAY,
            "metric": "recall",
            "period_start": T0 - 7 * DAY,
            "period_end": T0,
            "value": value,
            "lower": value - 0.02,
            "upper": value + 0.02,
            "bound_lower": 0.1,
            "bound_upper": 0.99,
            "availability": 0.5,
            "n": 100,
            "n_labelled": 50,
            "stage": stage,
            "new_labels": new,
            "corrections": changed,
            "withdrawn": 0,
            "backfilled": backfilled,
        }
        for n, value, stage, new, changed, backfilled in [
            (0, 0.80, "young", 40, 0, 0), (1, 0.75, "mixed", 20, 3, 5), (2, 0.70, "final", 0, 0, 0),
        ]
    ]  # fmt: skip
    return pl.DataFrame(rows).with_columns(**columns)


def test_the_picture_says_what_moved_when_and_from_when_on_it_was_final() -> None:
    shown = texts(revision_chart(frame()))
    assert "How the recall of Mon 2 Mar 2026 to Sun 8 Mar 2026 moved" in shown
    assert {"recall", "as known at (UTC)", "every window is closed", "corrected or withdrawn", "backfilled"} <= set(
        shown
    )


def test_points_lie_lower_as_the_number_falls() -> None:
    points = [item for item in items(revision_chart(frame()), "symbol") if item.get("size") == 52]
    heights = [point["y"] for point in sorted(points, key=lambda point: point["x"])]
    assert heights == sorted(heights)
    assert len(heights) == 3


def test_bars_are_stacked_counts_that_add_up() -> None:
    bars = [row for row in revision_rows(frame(), metric="recall") if row["part"] == "arrived"]
    assert [(row["kind"], row["base"], row["top"]) for row in bars] == [
        ("new labels", 0, 40), ("new labels", 0, 15), ("backfilled", 15, 20), ("corrected or withdrawn", 20, 23),
    ]  # fmt: skip


def test_the_worst_case_does_not_flatten_the_movement() -> None:
    rows = render.to_spec(revision_chart(frame()))["data"]["values"]
    points = [row for row in rows if row["part"] == "point"]
    assert [point["bound_lower"] for point in points] == pytest.approx([0.68 - 0.35 * 0.14] * 3)
    assert [point["said_bounds"] for point in points] == [interval_text(0.1, 0.99, metric="recall")] * 3


def test_what_was_never_estimable_is_not_drawn() -> None:
    empty = frame(
        **dict.fromkeys(("value", "lower", "upper", "bound_lower", "bound_upper"), pl.lit(None, dtype=pl.Float64))
    )
    assert [item for item in items(revision_chart(empty), "symbol") if item.get("size") == 52] == []


def test_the_same_frame_in_any_order_gives_the_same_bytes() -> None:
    first, second = (render.to_svg(revision_chart(rows)) for rows in (frame(), frame().reverse()))
    assert first == second
    assert render.to_spec(revision_chart(frame()))["data"]["name"] == theme.DATA_NAME
