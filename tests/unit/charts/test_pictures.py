"""Every chart: drawn where the numbers say, labelled with unit and stage, inert to hostile text, deterministic."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.charts import availability, calibration, drift, render, series, slices, theme, thresholds, triage
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def ladder() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "label": ["reference", "labels", "mix", HOSTILE, "current"],
            "family": [None, "labels", "mix", "policy", None],
            "kind": ["total", "step", "step", "step", "total"],
            "value": [0.70, -0.10, 0.05, None, 0.65],
            "lower": [0.68, -0.12, 0.01, None, 0.62],
            "upper": [0.72, -0.08, 0.09, None, 0.68],
            "start": [0.0, 0.70, 0.60, None, 0.0],
            "end": [0.70, 0.60, 0.65, 0.65, 0.65],
        }
    )


def weekly() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "period_start": DAY + timedelta(weeks=week),
                "period_end": DAY + timedelta(weeks=week + 1),
                "value": value,
                "lower": value - 0.05,
                "upper": value + 0.05,
                "bound_lower": value * 0.9,
                "bound_upper": value * 0.9 + 0.1,
                "n": 100,
                "n_labelled": 90,
                "availability": 0.9,
                "role": role,
            }
            for week, (value, role) in enumerate([(0.6, "other"), (0.7, "reference"), (0.4, "current")])
        ]
    )


def by_slice() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "carrier": name,
                "role": role,
                "value": None if name is None else value,
                "lower": None if name is None else value - 0.1,
                "upper": None if name is None else value + 0.1,
                "bound_lower": 0.2,
                "bound_upper": 0.9,
                "n": 200,
                "n_labelled": 150,
                "reason": "no positive label" if name is None else None,
            }
            for name in ("UA", HOSTILE, None)
            for role, value in (("reference", 0.7), ("current", 0.4))
        ]
    )


def reliability() -> pl.DataFrame:
    lines = []
    for index in range(5):
        low, high = index / 5, (index + 1) / 5
        line = {"score_lower": low, "score_upper": high, "score_mean": (low + high) / 2, "observed": high**2, "n": 50}
        lines.append(
            line | {"curve": "bins", "lower": high**2 * 0.8, "upper": 1.0, "band_lower": None, "band_upper": None}
        )
        lines.append(line | {"curve": "corp", "lower": None, "upper": None, "band_lower": low, "band_upper": high})
    return pl.DataFrame(lines, infer_schema_length=None)


def over_time() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "carrier": name,
                "period_start": DAY + timedelta(days=day),
                "period_end": DAY + timedelta(days=day + 1),
                "value": None if day == 2 else 0.8,
                "lower": 0.7,
                "upper": 0.9,
                "n": 0 if day == 2 else 10,
                "n_labelled": 8,
                "n_pending": 2,
                "stage": "young" if day == 3 else "final",
            }
            for name in ("UA", HOSTILE)
            for day in range(4)
        ]
    )


def lag() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"role": role, "age_days": float(age), "value": age / slow, "lower": 0.0, "upper": 1.0, "n": 10}
            for role, slow in (("reference", 5), ("current", 10))
            for age in range(5)
        ]
    )


def ranking() -> pl.DataFrame:
    line = {
        "kind": "numeric",
        "ks": 0.1,
        "null_rate_reference": 0.0,
        "null_rate_current": 0.5,
        "n_reference": 9,
        "n_current": 9,
    }
    return pl.DataFrame(
        [
            line | {"column": "temp", "psi": 0.4, "psi_null_95": 0.1, "p_adjusted": 0.001, "reason": None},
            line | {"column": HOSTILE, "psi": 0.05, "psi_null_95": 0.1, "p_adjusted": 0.7, "reason": None},
            line | {"column": "empty", "psi": None, "psi_null_95": None, "p_adjusted": None, "reason": "no values"},
        ]
    )


def moved() -> Any:
    """The drift explorer's picture of a hostile column."""
    weeks = [
        {"column": name, "grain": grain, "period_start": DAY, "period_end": DAY + timedelta(days=days)}
        | {"psi": 0.2, "psi_null_95": 0.1, "n": 70}
        for name in ("temp", HOSTILE)
        for grain, days in (("1d", 1), ("1w", 7))
    ]
    since = {"kind": "step", "day": DAY, "first": DAY, "last": DAY, "back": None, "reason": None}
    bars = pl.DataFrame(
        {
            "place": [0, 1, 2],
            "kind": ["values"] * 3,
            "label": ["below 3", HOSTILE, "(null)"],
            "lower": [None, None, None],
            "upper": [None, None, None],
            "share_reference": [0.5, 0.3, 0.2],
            "share_current": [0.1, 0.3, 0.6],
            "n_reference": [50, 30, 20],
            "n_current": [10, 30, 60],
        }
    )
    return drift.drift_chart(
        ranking(),
        series=pl.DataFrame(weeks),
        changed=pl.DataFrame([since | {"column": HOSTILE}]),
        bars=bars,
        column=HOSTILE,
        changes=[(DAY, HOSTILE)],
    )


def curve() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "threshold": t / 10,
                "recall": 1 - t / 10,
                "precision": t / 10,
                "flag_rate": 0.5,
                "recall_lower": 0.0,
                "recall_upper": 1.0,
                "n": 7,
            }
            for t in range(11)
        ]
    )


def decisions() -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "decision": decision,
                "window": window,
                "n": 90,
                "n_labelled": 80,
                "availability": 0.8,
                "lower": 0.7,
                "upper": 0.9,
            }
            for decision in ("flagged", HOSTILE)
            for window in ("reference", "current")
        ]
    )


CHARTS: dict[str, Callable[[], Any]] = {
    "ladder": lambda: triage.ladder_chart(ladder()),
    "series": lambda: series.series_chart(weekly(), changes=[(DAY + timedelta(days=9), HOSTILE)]),
    "slices": lambda: slices.slices_chart(by_slice(), by="carrier"),
    "calibration": lambda: calibration.calibration_chart(reliability()),
    "availability": lambda: availability.availability_chart(
        over_time(), by="carrier", windows=[(DAY, DAY + timedelta(days=2), "current")]
    ),
    "availability_by": lambda: availability.availability_by_chart(decisions(), group="decision"),
    "lag": lambda: availability.lag_chart(lag()),
    "arrivals": lambda: availability.arrivals_chart(
        pl.DataFrame({"age_days": [0.0, 1.0], "reference": [0.0, 0.9], "current": [0.0, 0.6]})
    ),
    "drift": moved,
    "thresholds": lambda: thresholds.threshold_chart(curve(), threshold=0.3),
}
UNITS = {
    "ladder": "recall (share)",
    "series": "recall (final labels)",
    "slices": "recall (final labels)",
    "calibration": "share positive (final labels)",
    "availability": "day of prediction (UTC)",
    "availability_by": "labels available",
    "lag": "days since the prediction",
    "arrivals": "predictions with a label",
    "drift": "PSI of the day (no unit)",
    "thresholds": "share (final labels)",
}


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_draws_and_names_its_units(name: str) -> None:
    assert UNITS[name] in texts(CHARTS[name]())


@pytest.mark.parametrize("name", CHARTS)
def test_the_same_chart_has_the_same_bytes(name: str) -> None:
    first, second = (render.to_svg(CHARTS[name]()) for _ in range(2))
    assert first == second
    assert render.to_json(CHARTS[name]()) == render.to_json(CHARTS[name]())


@pytest.mark.parametrize("name", CHARTS)
def test_rows_travel_under_one_name_and_text_of_users_only_in_rows(name: str) -> None:
    spec = render.to_spec(CHARTS[name]())
    assert spec["data"]["name"] == theme.DATA_NAME
    drawn = {key: value for key, value in spec.items() if key not in ("data", "title", "description")}
    shown = json.dumps(drawn)
    # The column's own name may be an axis title, which Vega takes as text.
    assert shown.count("alert") == (2 if name == "drift" else 0)
    for row in spec["data"]["values"]:
        assert all(not isinstance(value, float) or math.isfinite(value) for value in row.values())


@pytest.mark.parametrize("name", ["slices", "availability", "drift", "availability_by", "ladder"])
def test_hostile_text_is_shown_as_text_and_becomes_no_element(name: str) -> None:
    svg = render.to_svg(CHARTS[name]())
    assert "<img" not in svg
    assert "&lt;img" in svg


def test_json_may_stand_in_a_script_element() -> None:
    text = render.to_json(
        slices.slices_chart(pl.DataFrame(by_slice()).with_columns(carrier=pl.lit("</script>\u2028&")), by="carrier")
    )
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["data"]["name"] == theme.DATA_NAME


def test_png_is_twice_as_large_at_scale_two() -> None:
    chart = CHARTS["lag"]()
    widths = [int.from_bytes(render.to_png(chart, scale=scale)[16:20], "big") for scale in (1.0, 2.0)]
    assert widths[1] == pytest.approx(2 * widths[0], abs=2)


def test_ladder_bars_span_what_their_causes_explain() -> None:
    chart = triage.ladder_chart(ladder())
    bars = [item for item in items(chart, "rect") if item.get("height") == 15]
    assert len(bars) == 2
    # The same axis for both: −10 points are twice as wide as +5 points, and the second ends half way back.
    wide, narrow = sorted(bars, key=lambda item: -item["width"])
    assert wide["width"] == pytest.approx(2 * narrow["width"], rel=1e-6)
    assert narrow["x"] == pytest.approx(wide["x"], abs=1e-6)
    said = texts(chart)
    assert {"70.0 %", "−10.0 points", "+5.0 points", "not estimable", "65.0 %"} <= set(said)


def test_slices_keep_the_order_of_the_frame_and_show_what_has_no_value() -> None:
    chart = slices.slices_chart(by_slice(), by="carrier")
    points = [
        item for item in items(chart, "symbol") if item.get("shape", "circle") == "circle" and item.get("size") == 60
    ]
    assert len(points) == 4  # two slices, two periods; the slice that is not estimable has none
    said = texts(chart)
    assert said.index("UA") < said.index("(no value)")
    reason = [row["said_reason"] for row in slices.slices_rows(by_slice(), by="carrier", metric="recall")]
    assert reason[-1] == "no positive label"


def test_slices_availability_is_labelled_over_all() -> None:
    rows = slices.slices_rows(by_slice(), by="carrier", metric="recall")
    assert {row["availability"] for row in rows} == {0.75}
    assert (
        slices.slices_rows(by_slice().with_columns(n=pl.lit(0)), by="carrier", metric="recall")[0]["availability"]
        is None
    )


def test_series_accepts_days_and_derives_what_is_absent() -> None:
    days = pl.DataFrame(
        {
            "day": [DAY.date()],
            "value": [0.5],
            "lower": [0.4],
            "upper": [0.6],
            "n": [10],
            "n_labelled": [5],
            "role": ["current"],
        }
    )
    window, point = series.series_rows(days, metric="recall")
    assert (window["part"], point["availability"]) == ("window", 0.5)
    assert point["to"] - point["from"] == 86_400_000
    assert "worst" not in json.dumps(render.to_spec(series.series_chart(days))["title"])


def test_calibration_curves_are_drawn_in_order_of_the_score() -> None:
    rows = calibration.calibration_rows(reliability().reverse())
    for part in ("corp", "bins"):
        starts = [row["from"] for row in rows if row["part"] == part]
        assert starts == sorted(starts)


def test_drift_names_only_what_is_beyond_chance() -> None:
    assert drift.beyond_chance(ranking()) == ["temp"]
    lines = [row for row in drift.drift_rows(ranking()) if row["part"] == "line"]
    assert [row["verdict"] for row in lines] == [
        "beyond chance",
        "within chance",
        "within chance",
    ]
    assert sum(row["part"] == "line" for row in drift.drift_rows(ranking(), limit=1)) == 1


def test_not_finite_numbers_do_not_travel() -> None:
    assert theme.plain([{"a": math.nan, "b": math.inf, "c": 1.0, "d": "x"}]) == [
        {"a": None, "b": None, "c": 1.0, "d": "x"}
    ]


def test_period_colours_stay_apart_for_colour_blind_eyes() -> None:
    """Luminance alone tells the two periods apart, and both from the paper."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    paper = luminance(theme.PAPER) + 0.05
    for colour in (theme.REFERENCE, theme.CURRENT, theme.INK, theme.FAINT):
        assert paper / (luminance(colour) + 0.05) >= 3.0
