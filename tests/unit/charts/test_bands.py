"""Truth bands in pictures: bars where the numbers say, every assumption named, gaps where there is no number."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.charts import bands as charts
from fbkit.charts import render, theme
from fbkit.schema import bands
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"
LINES: tuple[tuple[str, float | None, float | None, float, float], ...] = (
    (bands.LABELLED, None, 0.6, 0.3, 0.9),
    (bands.WORST_CASE, None, None, 0.3, 0.9),
    (bands.odds_ratio(0.5, 2.0), None, None, 0.5, 0.7),
    (bands.odds_ratio(0.5), 0.5, 0.5, 0.5, 0.5),
    (bands.odds_ratio(2.0), 2.0, 0.7, 0.7, 0.7),
    (bands.to_reach(0.65), 1.5, 0.65, 0.65, 0.65),
    (bands.to_reach(0.99), None, None, 0.0, 0.0),
    (bands.AT_RANDOM, 1.0, 0.6, 0.6, 0.6),
    (bands.EXPECTED, None, None, 0.0, 0.0),
)


def frame(weeks: int = 1) -> pl.DataFrame:
    rows = []
    for week in range(weeks):
        for assumption, delta, value, low, high in LINES:
            nothing = low == high == 0.0
            rows.append({
                "metric": "recall", "period_start": DAY + timedelta(weeks=week),
                "period_end": DAY + timedelta(weeks=week + 1), "assumption": assumption, "delta": delta, "value": value,
                "lower": None if value is None else value - 0.02, "upper": None if value is None else value + 0.02,
                "bound_lower": None if nothing else low, "bound_upper": None if nothing else high,
                "band_lower": None if nothing else low - 0.02, "band_upper": None if nothing else high + 0.02,
                "n": 5002, "n_labelled": 4310, "stage": "final", "method": "x",
                "reason": HOSTILE if nothing else None, "evaluation_id": "e",
            })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


CHARTS: dict[str, Callable[[], Any]] = {
    "bands": lambda: charts.bands_chart(frame()),
    "over time": lambda: charts.bands_over_time_chart(frame(3)),
    "delta": lambda: charts.delta_chart(frame()),
}


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_draws_names_its_units_and_is_the_same_each_time(name: str) -> None:
    chart = CHARTS[name]()
    assert "recall (final labels)" in texts(chart)
    assert render.to_svg(chart) == render.to_svg(CHARTS[name]())
    assert "recall" in render.to_spec(chart)["description"].lower()


@pytest.mark.parametrize("name", CHARTS)
def test_rows_travel_under_one_name_and_foreign_text_only_in_rows(name: str) -> None:
    spec = render.to_spec(CHARTS[name]())
    assert spec["data"]["name"] == theme.DATA_NAME
    assert "alert" not in json.dumps({key: value for key, value in spec.items() if key != "data"})
    for row in spec["data"]["values"]:
        assert all(not isinstance(value, float) or math.isfinite(value) for value in row.values())
    assert "<img" not in render.to_svg(CHARTS[name]())


def test_every_assumption_is_a_line_and_the_values_to_reach_are_not() -> None:
    said = texts(CHARTS["bands"]())
    for name in (
        "labelled rows only", "no assumption (worst case)", "odds ratio 0.5..2", "odds ratio 2",
        "missing at random within cells", "scores alone (CBPE)",
    ):  # fmt: skip
        assert name in said
    assert not any("reach" in text for text in said)


def test_bars_are_as_wide_as_what_is_possible() -> None:
    bars = sorted(
        (item for item in items(CHARTS["bands"](), "rect") if item.get("height") == 11), key=lambda b: b["width"]
    )
    wide, odds = bars[-1], bars[-2]
    assert wide["width"] == pytest.approx(3 * odds["width"], rel=1e-6)
    assert odds["x"] - wide["x"] == pytest.approx(odds["width"], rel=1e-6)


def test_over_time_the_worst_case_holds_the_points() -> None:
    chart = CHARTS["over time"]()
    rects = [item for item in items(chart, "rect") if item.get("height", 0) > 0 and item.get("width", 0) > 0]
    points = [item for item in items(chart, "symbol") if item.get("size") == 48]
    assert len(points) == 6  # labelled rows and missing at random; what is not estimable has no point
    tallest = max(rects, key=lambda item: item["height"])
    assert all(tallest["y"] <= point["y"] <= tallest["y"] + tallest["height"] for point in points)
    assert "scores alone (CBPE)" not in texts(chart)


def test_the_curve_runs_through_its_odds_ratios_and_marks_the_value_reached() -> None:
    rows = charts.delta_rows(frame(), metric="recall")
    assert [row["delta"] for row in rows if row["part"] == "curve"] == [0.5, 1.0, 2.0]
    assert [row["said_reach"] for row in rows if row["part"] == "reach"] == ["65.0 % at odds ratio 1.5"]
    assert "65.0 % at odds ratio 1.5" in texts(CHARTS["delta"]())
    dashed = [item for item in items(CHARTS["delta"](), "rule") if item.get("strokeDash") == [4, 3]]
    assert len(dashed) == 2
