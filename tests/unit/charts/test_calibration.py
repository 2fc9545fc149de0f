"""Reliability diagrams: read from the picture's scene graph and from the rows that travel."""

from typing import Any

import polars as pl
import pytest

from fbkit.charts.calibration import calibration_chart, calibration_rows, number_rows, panel_rows, panels_chart
from fbkit.charts.recalibration import change_rows, recalibration_chart
from fbkit.charts.render import to_spec, to_svg
from tests.unit.charts.scene import items, texts

HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def curves(panels: tuple[str | None, ...] = ("",)) -> pl.DataFrame:
    lines: list[dict[str, Any]] = []
    for panel in panels:
        for role, n in (("reference", 300), ("current", 60)):
            for place in range(5):
                low = place / 5
                line = {"panel": panel, "role": role, "score_lower": low, "score_upper": low + 0.2}
                line |= {"score_mean": low + 0.1, "observed": low, "lower": low * 0.9, "upper": low + 0.1}
                line |= {"band_lower": low, "band_upper": low + 0.2, "n": 5 if place == 4 else n}
                lines += [line | {"curve": "bins"}, line | {"curve": "corp"}]
    frame = pl.DataFrame(lines)
    return frame.drop("panel") if panels == ("",) else frame


def summary(**given: Any) -> pl.DataFrame:
    line = {"brier": 0.1, "brier_lower": 0.09, "brier_upper": 0.11, "mcb": 0.002, "mcb_lower": 0.0, "mcb_upper": 0.0012}
    line |= {"mcb_debiased": 0.0004, "mcb_null_95": 0.0021, "dsc": 0.03, "dsc_lower": 0.02, "dsc_upper": 0.04}
    line |= {"unc": 0.128, "ece": 0.02, "ece_lower": 0.01, "ece_upper": 0.03, "ece_debiased": -0.001}
    line |= {"ece_null_95": 0.019, "ece_p_value": 0.04, "n": 500, "n_labelled": 400, "reason": None} | given
    return pl.DataFrame([line | {"role": role} for role in ("reference", "current")], infer_schema_length=None)


def test_shares_are_of_the_labelled_rows_of_each_period() -> None:
    rows = [row for row in calibration_rows(curves()) if row["part"] == "bins"]
    for role, n in (("reference", 300), ("current", 60)):
        mine = [row for row in rows if row["role"] == role]
        assert sum(row["share"] for row in mine) == pytest.approx(1.0)
        assert mine[0]["share"] == pytest.approx(n / (4 * n + 5))


def test_thin_bins_are_pale_and_say_so() -> None:
    rows = calibration_rows(curves(), minimum=20)
    assert {row["n"] for row in rows if row.get("thin")} == {5}
    assert {row["said_note"] for row in rows if row.get("thin")} == {"fewer than 20 labelled: pale"}
    dots = [item for item in items(calibration_chart(curves()), "symbol") if item.get("size") == 46]
    assert sorted(item["opacity"] for item in dots) == pytest.approx([0.28] * 2 + [0.85] * 8)


def test_the_interval_stands_beside_the_value_it_is_of() -> None:
    found = {row["said_name"]: row for row in number_rows(summary())}
    assert found["Brier score"]["said_current"] == "0.1000  [0.0900, 0.1100]"
    assert found["= miscalibration (MCB)"]["said_current"] == "0.0020"
    assert found["MCB without chance"]["said_current"] == "0.0004  [0.0000, 0.0012]"
    assert found["ECE without chance"]["said_reference"] == "−0.0010  [0.0100, 0.0300]"
    assert found["labelled predictions"]["said_current"] == "400 of 500"
    assert found["ECE, 10 bins"]["said_note"].startswith("reference: chance alone stays below 0.0190")
    nothing = dict.fromkeys(("brier", "mcb", "dsc", "unc", "ece", "mcb_debiased", "ece_debiased"))
    empty = {row["said_name"]: row for row in number_rows(summary(**nothing, reason="window open"))}
    assert empty["Brier score"]["said_current"] == "window open"


def test_the_picture_shows_both_periods_on_one_axis_of_scores() -> None:
    chart = calibration_chart(curves(), summary(), stage="any")
    shown = texts(chart)
    assert {"reference", "current", "share positive (all labels so far)", "score of the model (probability)"} <= set(
        shown
    )
    bars = [item for item in items(chart, "rect") if item.get("opacity") == 0.75]
    assert len(bars) == 10
    lefts = sorted(item["x"] for item in bars)
    dots = sorted({round(item["x"]) for item in items(chart, "symbol") if item.get("size") == 46})
    assert lefts[0] < dots[0] < lefts[2], "the dot of a bin stands over its bars"


def test_panels_keep_the_order_of_the_frame_and_carry_their_place() -> None:
    names = ("zebra", HOSTILE, None)
    rows = panel_rows(curves(names), summary().with_columns(panel=pl.lit("zebra")))
    assert {row["panel"]: row["pick"] for row in rows} == {"zebra": 0, HOSTILE: 1, "(no value)": 2}
    chart = panels_chart(curves(names), None)
    heads = [said for said in texts(chart) if said in ("zebra", HOSTILE, "(no value)")]
    assert heads == ["zebra", HOSTILE, "(no value)"]
    assert "<img" not in to_svg(chart)
    assert HOSTILE not in str({key: value for key, value in to_spec(chart).items() if key != "data"})


def test_each_panel_says_its_numbers_and_what_is_beyond_chance() -> None:
    numbers = summary().with_columns(panel=pl.lit("a"))
    said = [row["said"] for row in panel_rows(curves(("a", "b")), numbers) if row["part"] == "note"]
    assert said[0].split("\n") == ["reference: ECE 0.020 *, n 400", "current: ECE 0.020 *, n 400"]
    assert said[1].split("\n") == ["reference: no labelled rows", "current: no labelled rows"]


def test_the_floor_of_a_panel_is_the_histogram_to_one_scale() -> None:
    rows = [row for row in panel_rows(curves(("a", "b")), None) if row["part"] == "bins"]
    heights = {(row["panel"], row["role"], row["from"]): (row["top"] - row["floor"], row["share"]) for row in rows}
    tallest = max(heights.values())
    for height, share in heights.values():
        assert height / tallest[0] == pytest.approx(share / tallest[1])
    assert max(row["top"] for row in rows) < 0, "beneath the diagram"


def test_a_recalibrations_numbers_are_without_bias_and_its_change_has_a_sign() -> None:
    line = {"before": 0.02, "after": 0.01, "change": -0.01, "n": 90, "n_labelled": 80, "method": "Student t"}
    line |= {f"{side}_{end}": None for side in ("before", "after", "change") for end in ("lower", "upper")}
    line |= {"change_lower": -0.02, "change_upper": 0.001, "before_debiased": None, "after_debiased": None}
    table = pl.DataFrame(
        [line | {"metric": "brier"}, line | {"metric": "ece", "before_debiased": 0.015}], infer_schema_length=None
    )
    brier, ece, last = change_rows(table)
    assert (brier["said_before"], brier["said_change"]) == ("0.0200", "−0.0100  [−0.0200, +0.0010]")
    assert (ece["said_before"], ece["said_after"]) == ("0.0150", "0.0100")
    assert last["said_before"] == "80 of 90"
    two = curves().with_columns(when=pl.col("role").replace({"reference": "before", "current": "after"}))
    shown = texts(recalibration_chart(two.drop("role"), table))
    assert {"before", "after", "change", "Brier score"} <= set(shown)
