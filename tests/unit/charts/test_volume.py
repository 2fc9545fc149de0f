"""The chart of counts: empty cells stand at zero and are marked, the band is where chance puts them, text is inert."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from fbkit.charts.render import to_spec
from fbkit.charts.volume import volume_chart, volume_rows
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>'];alert(1)//"


def counts(names: tuple[str | None, ...] = ("all",)) -> pl.DataFrame:
    lines = []
    for name in names:
        for day, (n, flag) in enumerate([(100, None), (0, "low"), (140, "high"), (90, None)]):
            known = day > 0
            lines.append(
                {
                    "slice": name,
                    "period_start": DAY + timedelta(days=day),
                    "period_end": DAY + timedelta(days=day + 1),
                    "n": n,
                    "expected": 100.0 if known else None,
                    "lower": 80.0 if known else None,
                    "upper": 120.0 if known else None,
                    "flag": flag,
                    "reason": None if known else "less than 3 weeks of history",
                }
            )
    return pl.DataFrame(lines, schema_overrides={"slice": pl.String})


def drawn(chart: Any) -> list[dict[str, Any]]:
    """The marks of the picture; those of the legend are solid."""
    return [item for item in items(chart, "symbol") if item["opacity"] < 1]


def test_flagged_cells_are_marked_where_their_counts_are() -> None:
    chart = volume_chart(counts())
    marks = {item["shape"]: item for item in drawn(chart)}
    assert set(marks) == {"triangle-down", "triangle-up"}
    # Lower on the screen is a larger y: the empty day stands at the bottom, below the others.
    assert marks["triangle-down"]["y"] > marks["triangle-up"]["y"]
    assert "too few" in texts(chart)
    assert len(items(chart, "line")) == 4
    assert len(items(chart, "area")) == 3


def test_rows_say_what_a_reader_needs() -> None:
    rows = volume_rows(counts())
    assert [row["said_reason"] for row in rows] == [
        "less than 3 weeks of history", "too few", "too many", "as expected",
    ]  # fmt: skip
    assert rows[1]["said_interval"] == "80 to 120"
    assert rows[0]["said_expected"] == "—"
    hour = counts().with_columns((pl.col("period_start") + timedelta(hours=1)).alias("period_end"))
    assert volume_rows(hour)[0]["said_from"] == "2026-03-02 00:00 UTC"


def test_a_hostile_slice_is_text_and_a_null_one_has_a_name() -> None:
    chart = volume_chart(counts((HOSTILE, None, "EU")), by="slice")
    names = {row["slice"] for row in volume_rows(counts((HOSTILE, None, "EU")), by="slice")}
    assert len(names) == 3
    spec = to_spec(chart)
    assert HOSTILE not in json.dumps({key: value for key, value in spec.items() if key != "data"})
    assert len(items(chart, "line")) == 12


def test_the_same_frame_is_the_same_picture() -> None:
    assert json.dumps(to_spec(volume_chart(counts()))) == json.dumps(to_spec(volume_chart(counts())))


def test_nothing_to_draw_is_an_empty_picture() -> None:
    assert drawn(volume_chart(counts().clear())) == []
