"""The chart of found slices: dots where the numbers are, pale what does not stand out, text for nothing, all inert."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl

from fbkit.charts.render import to_spec
from fbkit.charts.slice_search import found_slices_chart, found_slices_rows
from fbkit.measure.slice_search import find_slices
from fbkit.testing.frames import make_joined
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def line(
    name: str | None, value: float | None, *, clear: bool | None = True, reference: float | None = 0.8
) -> dict[str, Any]:
    known = value is not None
    return {
        "metric": "recall",
        "slice": name,
        "stands_out": clear,
        "value": value,
        "lower": value - 0.05 if value is not None else None,
        "upper": value + 0.05 if value is not None else None,
        "rest": 0.75,
        "reference": reference,
        "contribution": -0.04 if known else None,
        "contribution_lower": -0.06 if known else None,
        "contribution_upper": -0.02 if known else None,
        "n": 1234,
        "n_labelled": 1000,
        "stage": "final",
        "reason": None if clear else "no slice stands out among 12 tested",
    }


def test_dots_stand_where_the_values_are_and_pale_ones_do_not_stand_out() -> None:
    frame = pl.DataFrame([line("a = x", 0.5), line("b = y", 0.7), line("c = z", 0.6, clear=False)])
    drawn = found_slices_chart(frame)
    dots = [item for item in items(drawn, "symbol") if item.get("fill") not in (None, "transparent")]
    assert len(dots) == 3
    xs = [item["x"] for item in dots]
    assert xs[0] < xs[2] < xs[1]
    assert [item["opacity"] for item in dots] == [1, 1, 0.45]
    said = " ".join(texts(drawn))
    assert "drop of recall" in said
    assert "does not stand out" in said
    assert said.count("n = 1,234") == 3


def test_without_a_reference_it_is_about_the_loss() -> None:
    drawn = found_slices_chart(
        pl.DataFrame([line("a = x", 0.5, reference=None)], schema_overrides={"reference": pl.Float64})
    )
    said = " ".join(texts(drawn))
    assert "loss of recall" in said
    assert "before" not in said


def test_nothing_found_is_a_picture_that_says_so() -> None:
    frame = pl.DataFrame([line(None, 0.8, clear=None)], schema_overrides={"slice": pl.String, "stands_out": pl.Boolean})
    assert found_slices_rows(frame) == []
    assert "no slice stands out among 12 tested" in " ".join(texts(found_slices_chart(frame)))


def test_hostile_text_stays_text() -> None:
    frame = pl.DataFrame([line(f"a = {HOSTILE}", 0.5), line(f"a = {HOSTILE}\u202e", 0.6)])
    rows = found_slices_rows(frame)
    assert len({row["slice"] for row in rows}) == 2
    spec = json.dumps(to_spec(found_slices_chart(frame)))
    assert spec.count(HOSTILE) == spec.count('"slice": "a = ' + HOSTILE)


def test_it_draws_what_the_search_returns() -> None:
    joined = make_joined(
        scores=[0.9] * 60 + [0.1] * 60, labels=[1.0] * 120, columns={"g": ["a"] * 60 + ["b"] * 60, "h": ["u", "v"] * 60}
    )
    frame = find_slices(joined, metric="recall", columns=["g", "h"], keep_unclear=True)
    dots = [
        item for item in items(found_slices_chart(frame), "symbol") if item.get("fill") not in (None, "transparent")
    ]
    assert len(dots) == frame["value"].count()
