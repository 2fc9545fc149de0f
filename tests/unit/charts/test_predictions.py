"""Bars of how predictions were found, read from the drawn picture."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from fbkit.charts.predictions import cell_text, column_name, funnel_chart, funnel_rows
from fbkit.charts.render import to_svg
from tests.unit.charts.scene import items, texts

HOSTILE = "<img src=x onerror=alert(1)>"
STEPS = pl.DataFrame(
    {
        "rule": ["all predictions", HOSTILE, "positive", HOSTILE, "shown here"],
        "left": [12_000, 800, 80, 80, 50],
        "dropped": [0, 11_200, 720, 0, 30],
    }
)


def test_bars_are_as_long_as_what_each_rule_left_in_the_order_of_the_rules() -> None:
    bars = sorted(
        (item for item in items(funnel_chart(STEPS), "rect") if item.get("fill") == "#0072b2"),
        key=lambda item: item.get("y", 0),
    )
    widths = [bar["width"] for bar in bars]
    assert [width / widths[0] for width in widths] == pytest.approx(
        [1, 800 / 12_000, 80 / 12_000, 80 / 12_000, 50 / 12_000]
    )


def test_what_was_dropped_is_written_beside_what_is_left() -> None:
    drawn = texts(funnel_chart(STEPS))
    for said in ("12,000", "800", "11,200 dropped", "720 dropped", "30 not shown", "predictions left (count)"):
        assert said in drawn
    assert "0 dropped" not in drawn


def test_two_rules_that_look_alike_stay_two_and_are_text() -> None:
    labels = [row["label"] for row in funnel_rows(STEPS)]
    assert len(set(labels)) == 5
    assert labels[3] == f"{labels[1]} (2)"
    assert "<img" not in to_svg(funnel_chart(STEPS))


def test_no_steps_are_no_bars() -> None:
    assert funnel_rows(STEPS.clear()) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "—"), (False, "no"), (0.00012345, "0.0001234"), (3, "3"), ("a\n\u202eb", "a b"),
        (datetime(2026, 3, 2, 6, 5, tzinfo=UTC), "2026-03-02 06:05 UTC"), (timedelta(hours=36), "1.5 days"),
    ],
)  # fmt: skip
def test_cells_are_written_for_people(value: object, said: str) -> None:
    assert cell_text(value) == said


def test_columns_have_names_in_words() -> None:
    assert column_name("prediction_id") == "id"
    assert column_name("model_version") == "version"
