"""The change log on a time axis: placed where it happened, never on top of each other, inert."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl
import pytest

from fbkit.charts import theme
from fbkit.charts.changes import ALARM, KINDS, change_rows, changes_layer
from fbkit.charts.text import epoch_ms
from fbkit.errors import ArgumentError
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
END = DAY + timedelta(days=100)
HOSTILE = "<img src=x onerror=alert(1)>\u202e'];alert(1)//\x1b[31m"


def log(*entries: tuple[float, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"ts": DAY + timedelta(days=day), "kind": kind, "what": what} for day, kind, what in entries],
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    )


def drawn(rows: list[dict[str, Any]], **options: Any) -> Any:
    frame = [{"part": "frame", "at": epoch_ms(moment)} for moment in (DAY, END)]
    axis = options.get("axis", "x")
    place: Any = {axis: (alt.X if axis == "x" else alt.Y)("at:T", scale=alt.Scale(type="utc", nice=False))}
    base = alt.Chart().transform_filter("datum.part === 'frame'").mark_point(opacity=0).encode(**place)
    chart = alt.layer(base, *changes_layer(**options), data=theme.data([*frame, *rows]))
    return theme.finish(chart.properties(width=theme.WIDTH, height=200), title="t", subtitle="s")


def rules_of(chart: Any) -> list[dict[str, Any]]:
    """The dashed rules; the grid's are not."""
    return [rule for rule in items(chart, "rule") if rule.get("strokeDash")]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_has_its_letter(kind: str) -> None:
    (row,) = change_rows(log((10, kind, "what it was")), start=DAY, end=END)
    assert (row["part"], row["letter"], row["at"]) == ("change", KINDS[kind], epoch_ms(DAY + timedelta(days=10)))
    assert row["said_change"] == f"2026-03-12 00:00 UTC: {kind}, what it was"
    assert row["alarm"] == (kind == "incident")


def test_rules_stand_where_the_change_happened() -> None:
    rows = change_rows(log((25, "deploy", "a"), (75, "incident", "b")), start=DAY, end=END)
    rules = rules_of(drawn(rows))
    assert [round(rule["x"] / theme.WIDTH, 3) for rule in rules] == [0.25, 0.75]
    assert rules[1]["stroke"] == ALARM
    assert {"D", "!", "a", "b"} <= set(texts(drawn(rows)))


def test_a_vertical_time_axis_has_horizontal_rules() -> None:
    rows = change_rows(log((25, "deploy", "a")), start=DAY, end=END)
    (rule,) = rules_of(drawn(rows, axis="y"))
    assert round(rule["y"] / 200, 3) in (0.25, 0.75)
    assert "D" in texts(drawn(rows, axis="y"))


def test_panels_below_the_first_have_rules_only() -> None:
    rows = change_rows(log((25, "deploy", "a")), start=DAY, end=END)
    assert len(rules_of(drawn(rows, badges=False))) == 1
    assert texts(drawn(rows, badges=False)).count("D") == 0


def test_what_would_overlap_becomes_one_with_its_number() -> None:
    near = [(10 + hour / 24, "deploy", f"change {hour}") for hour in range(6)]
    rows = change_rows(log(*near, (60, "label", "alone")), start=DAY, end=END)
    assert [row["letter"] for row in rows] == ["6", "L"]
    assert rows[0]["said_label"] == "6 changes"
    assert "change 0" in rows[0]["said_change"]
    assert rows[0]["said_change"].endswith("and 2 more")
    wide = change_rows(log(*near), start=DAY + timedelta(days=10), end=DAY + timedelta(days=11), width=2000)
    assert len(wide) == 6


def test_badges_keep_their_distance_at_any_width() -> None:
    many = log(*((day * 0.7, "deploy", str(day)) for day in range(140)))
    for width in (200, 520, 1200):
        rows = change_rows(many, start=DAY, end=END, width=width)
        pixels = [(row["at"] - epoch_ms(DAY)) / (100 * 86_400_000) * width for row in rows]
        assert all(after - before >= 16.9 for before, after in pairwise(pixels))


def test_text_that_would_run_into_the_next_stays_in_the_tooltip() -> None:
    long = "a sentence that needs quite some room"
    rows = change_rows(log((10, "deploy", long), (20, "deploy", long), (50, "deploy", long)), start=DAY, end=END)
    assert [bool(row["said_label"]) for row in rows] == [False, False, True]
    assert all(long in row["said_change"] for row in rows)


def test_only_those_on_the_axis_are_drawn() -> None:
    rows = change_rows(log((-3, "deploy", "before"), (5, "deploy", "on"), (101, "deploy", "after")), start=DAY, end=END)
    assert [row["said_label"] for row in rows] == ["on"]
    assert change_rows(None) == change_rows([]) == change_rows(log((200, "deploy", "x")), start=DAY, end=END) == []


def test_pairs_mappings_and_frames_are_taken() -> None:
    pair = change_rows([(DAY, "gone")])
    mapping = change_rows([{"ts": "2026-03-02T00:00:00Z", "kind": "product", "what": "gone"}])
    assert (pair[0]["at"], pair[0]["letter"]) == (mapping[0]["at"], "•")
    assert mapping[0]["letter"] == "P"
    assert change_rows([{"ts": None, "kind": "deploy", "what": "never"}]) == []
    with pytest.raises(ArgumentError, match="instant"):
        change_rows([{"ts": "some day", "kind": "deploy", "what": "x"}])


def test_hostile_text_is_cleaned_and_stays_data() -> None:
    rows = change_rows(log((10, HOSTILE, HOSTILE)), start=DAY, end=END)
    told = rows[0]["said_change"] + rows[0]["said_label"]
    assert not set(told) & {"\u202e", "\x1b"}
    assert rows[0]["letter"] == "•"
    assert "alert" not in str([layer.to_dict() for layer in changes_layer()])


def test_the_order_of_the_log_does_not_matter() -> None:
    given = log((10, "deploy", "b"), (10, "deploy", "a"), (40, "label", "c"))
    assert change_rows(given, start=DAY, end=END) == change_rows(given.reverse(), start=DAY, end=END)
