"""Before and after in one diagram, and the value of a threshold beneath its shares."""

from typing import Any

import polars as pl
import pytest

from fbkit.charts.recalibration import recalibration_chart, recalibration_rows
from fbkit.charts.render import to_spec, to_svg
from fbkit.charts.thresholds import threshold_chart, threshold_rows
from tests.unit.charts.scene import texts

HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def curves() -> pl.DataFrame:
    lines: list[dict[str, Any]] = []
    for when, observed in (("before", (0.1, 0.5)), ("after", (0.2, 0.8))):
        for curve in ("corp", "bins"):
            for place, share in enumerate(observed):
                lines.append(
                    {
                        "when": when,
                        "curve": curve,
                        "score_lower": place / 2,
                        "score_upper": (place + 1) / 2,
                        "score_mean": place / 2 + 0.2,
                        "observed": share,
                        "lower": share - 0.05,
                        "upper": None if place else share + 0.05,
                        "band_lower": None,
                        "band_upper": None,
                        "n": 40,
                        "method": "Wilson",
                    }
                )
    return pl.DataFrame(lines)


def priced(value: float | None = 2.5) -> pl.DataFrame:
    at = [0.0, 0.5, 1.0]
    columns: dict[str, list[float | None]] = {"threshold": list(at)}
    for name in ("recall", "precision", "flag_rate", "value_per_prediction"):
        known = value if name == "value_per_prediction" else 0.5
        columns |= {
            name: [known] * 3,
            f"{name}_lower": [None if known is None else known - 0.1] * 3,
            f"{name}_upper": [None if known is None else known + 0.1] * 3,
        }
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)).with_columns(n=pl.lit(90))


def test_every_line_of_both_sides_is_drawn_once() -> None:
    rows = recalibration_rows(curves())
    assert [row.get("when") for row in rows].count("before") == 4
    assert [row.get("when") for row in rows].count("after") == 4
    assert [row["part"] for row in rows].count("diagonal") == 2
    assert {row["said_interval"] for row in rows if row["part"] == "bins"} == {"5.0 to 15.0 %", "15.0 to 25.0 %", "—"}


def test_the_picture_names_both_sides_and_its_labels() -> None:
    drawn = texts(recalibration_chart(curves(), stage="any"))
    assert {"before", "after", "share positive (all labels so far)", "score of the model (probability)"} <= set(drawn)


def test_nothing_to_draw_is_still_a_picture() -> None:
    assert recalibration_rows(pl.DataFrame(schema={"when": pl.String})) == recalibration_rows(curves())[-2:]
    assert "<svg" in to_svg(recalibration_chart(curves().clear()))


def test_the_value_stands_beneath_where_it_is_known() -> None:
    worth = [row for row in threshold_rows(priced()) if row["part"] == "worth"]
    assert [(row["value"], row["said_interval"]) for row in worth] == [(2.5, "2.4 to 2.6")] * 3
    drawn = texts(threshold_chart(priced(), threshold=0.3, currency="USD"))
    assert "value per prediction (USD)" in drawn
    assert "vconcat" not in to_spec(threshold_chart(priced(None)))


@pytest.mark.parametrize("chart", [recalibration_chart, threshold_chart])
def test_hostile_titles_stay_text(chart: Any) -> None:
    frame = curves() if chart is recalibration_chart else priced()
    assert "<img" not in to_svg(chart(frame, title=HOSTILE, subtitle=HOSTILE))


def test_a_hostile_currency_stays_text() -> None:
    assert "<img" not in to_svg(threshold_chart(priced(), currency=HOSTILE))
