"""A frame as people read it: units, nothing as nothing, and cells that cannot leave their table."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from markdown_it import MarkdownIt

from fbkit.charts.people import markdown_table, table_cells
from fbkit.errors import ArgumentError
from tests.unit.report.hostile import HOSTILE

_RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def test_numbers_have_their_units_and_nothing_is_said_as_nothing() -> None:
    frame = pl.DataFrame(
        {
            "metric": ["recall", "brier", "recall"],
            "region": ["EU", None, ""],
            "value": [0.62134, 0.12345, None],
            "lower": [0.5, None, None],
            "n": [39012, 5, 0],
            "ratio": [1234567.0, 0.000123456, float("nan")],
            "at": [datetime(2026, 3, 2, 6, 5, tzinfo=UTC)] * 3,
            "day": [date(2026, 3, 2)] * 3,
            "took": [timedelta(days=7)] * 3,
            "late": [True, False, None],
        }
    )
    heads, first, second, third = table_cells(frame)
    assert heads == ["metric", "region", "value", "lower", "n", "ratio", "at", "day", "took", "late"]
    when = ["2026-03-02 06:05 UTC", "2026-03-02", "7 days"]
    assert first == ["recall", "EU", "62.1 %", "50.0 %", "39,012", "1,234,567", *when, "yes"]
    assert second == ["brier", "—", "0.123", "—", "5", "0.0001235", *when, "no"]
    assert third == ["recall", "", "not estimable", "—", "0", "—", *when, "—"]


def test_without_a_metric_numbers_have_four_digits() -> None:
    frame = pl.DataFrame({"value": [0.62134, -2.0, None]})
    assert table_cells(frame)[1:] == [["0.6213"], ["−2"], ["—"]]
    assert table_cells(frame, metric="recall")[1:] == [["62.1 %"], ["−200.0 %"], ["not estimable"]]


def test_columns_are_chosen_and_named() -> None:
    frame = pl.DataFrame({"n_labelled": [5], "other": [1]})
    assert table_cells(frame) == [["n labelled", "other"], ["5", "1"]]
    assert table_cells(frame, columns={"n_labelled": "with a label"}) == [["with a label"], ["5"]]
    with pytest.raises(ArgumentError, match="n_labelled"):
        table_cells(frame, columns=["n_label"])


def test_rows_past_the_limit_are_counted() -> None:
    frame = pl.DataFrame({"n": range(60)})
    text = markdown_table(frame, limit=10)
    assert text.count("\n| ") == 11
    assert text.endswith("\n\n(50 more rows)")
    assert markdown_table(frame.clear()) == "| n |\n| ---: |"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_cell_stays_one_cell_of_text(text: str) -> None:
    held = text.encode("utf-8", "replace").decode()
    table = markdown_table(pl.DataFrame({held or "x": ["plain"], "slice": [held], "n": [5]}))
    kinds = [token.type for token in _RENDER.parse(table)]
    assert kinds.count("th_open") == 3
    assert kinds.count("td_open") == 3
    inside = {child.type for token in _RENDER.parse(table) for child in token.children or ()}
    assert inside <= {"text", "text_special"}
    assert len(table.splitlines()) == 3
    assert not [sign for sign in "\x1b\x07\x00\x9b\u202e\u200f\u2066\u200b\u2028" if sign in table]
