"""The drift picture: the table's columns, the sparklines, the bars, and the day it changed, from the scene graph."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from fbkit.charts import drift, drift_column
from fbkit.charts.changes import ALARM
from fbkit.charts.render import to_spec
from fbkit.testing.frames import START
from tests.unit.charts.scene import items, texts

NAMES = ("amount", "device", "score")


def ranking() -> pl.DataFrame:
    line = {"kind": "numeric", "ks": 0.1, "ks_lower": 0.08, "ks_upper": 0.12, "reason": None}
    line |= {"null_rate_reference": 0.0, "null_rate_current": 0.5, "n_reference": 900, "n_current": 90}
    psi = ((0.3, 0.001), (0.004, 0.4), (None, None))
    lines = [
        line | {"column": name, "psi": value, "psi_null_95": 0.01, "p_adjusted": p}
        for name, (value, p) in zip(NAMES, psi, strict=True)
    ]
    lines[2] |= {"psi_null_95": None, "ks": None, "reason": "only nulls in the current period"}
    return pl.DataFrame(lines, infer_schema_length=None)


def series(days: int = 28) -> pl.DataFrame:
    rows = []
    for name, size in (("amount", 0.2), ("device", 0.0)):
        for grain, step in (("1d", 1), ("1w", 7)):
            for day in range(0, days, step):
                start = START + timedelta(days=day)
                row = {
                    "column": name,
                    "grain": grain,
                    "period_start": start,
                    "period_end": start + timedelta(days=step),
                }
                rows.append(row | {"psi": 0.004 + (size if day >= 21 else 0), "psi_null_95": 0.01, "n": 30 * step})
    return pl.DataFrame(rows)


def changed(**given: Any) -> dict[str, Any]:
    at = START + timedelta(days=21)
    known = {"column": "amount", "kind": "step", "day": at, "first": at, "last": at, "back": None, "reason": None}
    return known | given


def bars(kind: str = "values", labels: tuple[str, ...] = ("a", "b", "(null)")) -> pl.DataFrame:
    size = len(labels)
    ends: list[float | None] = [float(place) for place in range(size)]
    ranges = kind == "ranges"
    return pl.DataFrame(
        {
            "place": range(size),
            "kind": [kind] * size,
            "label": labels,
            "lower": pl.Series(ends if ranges else [None] * size, dtype=pl.Float64),
            "upper": pl.Series([end + 1 if end is not None else None for end in ends] if ranges else [None] * size,
                               dtype=pl.Float64),
            "share_reference": [1 / size] * size,
            "share_current": [1 / size] * size,
            "n_reference": [9] * size,
            "n_current": [3] * size,
        }
    )  # fmt: skip


def chart(**given: Any) -> Any:
    own = {"series": series(), "changed": pl.DataFrame([changed()]), "bars": bars(), "column": "amount"}
    return drift.drift_chart(ranking(), **(own | given))


def test_the_furthest_stands_first_and_what_is_not_estimable_last() -> None:
    lines = [row for row in drift.drift_rows(ranking().reverse()) if row["part"] == "line"]
    assert [row["column"] for row in lines] == list(NAMES)
    assert [row["pick"] for row in lines] == [0, 1, 2]
    assert [row["said_psi"] for row in lines] == ["0.300  (0.010)", "0.0040  (0.010)", "not estimable"]
    assert [row["said_ks"] for row in lines] == ["0.100  [0.080, 0.120]", "0.100  [0.080, 0.120]", "—"]
    assert lines[2]["said_reason"] == "only nulls in the current period"
    assert drift.beyond_chance(ranking()) == ["amount"]


def test_every_column_of_the_table_is_written_in_its_line() -> None:
    drawn = chart(column="score")
    shown = texts(drawn)
    assert {"column", "KS distance", "adj. p", "changed on", "900 → 90", "0.001", "PSI by week"} <= set(shown)
    written = [item for item in items(drawn, "text") if item.get("text") in (*NAMES, "0.300  (0.010)")]
    place = {item["text"]: item["y"] for item in written}
    assert place["amount"] == pytest.approx(place["0.300  (0.010)"])
    assert place["amount"] < place["device"] < place["score"]


def test_bars_are_as_long_as_psi_and_coloured_beyond_chance() -> None:
    found = [item for item in items(chart(), "rect") if item.get("height") == 11]
    widths = sorted((item["width"], item["fill"]) for item in found)
    assert widths[-1][1] == ALARM
    assert widths[-2][0] == pytest.approx(widths[-1][0] * 0.004 / 0.3, rel=1e-6)
    assert widths[-2][1] != ALARM


def test_a_sparkline_stays_in_its_line_and_its_chance_band_at_its_foot() -> None:
    rows = [row for row in drift.drift_rows(ranking(), series=series()) if row["part"] == "spark"]
    assert {row["line"] for row in rows} == {0, 1}
    for row in rows:
        assert row["line"] <= row["y"] <= row["null"] + 1
        assert row["line"] < row["null"] < row["foot"] < row["line"] + 1
    first = [row["y"] for row in rows if row["line"] == 0]
    assert min(first) == first[3], "the week of the change stands highest"
    flat = [row["y"] for row in rows if row["line"] == 1]
    assert max(flat) - min(flat) == pytest.approx(0), "noise is not blown up to a mountain"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "22 Apr"),
        ({"last": START + timedelta(days=23)}, "22 Apr (22 Apr to 24 Apr)"),
        ({"back": START + timedelta(days=24), "kind": "there and back"}, "22 Apr, back 25 Apr"),
        ({"day": None, "kind": "slow", "reason": "it moved little by little"}, "slowly, 22 Apr to 22 Apr"),
        ({"day": None, "kind": "some day", "reason": "several days fit"}, "some day, 22 Apr to 22 Apr"),
        (
            {"day": None, "first": None, "last": None, "kind": "none", "reason": "no day stands out"},
            "no day stands out",
        ),
    ],
)
def test_the_day_or_why_there_is_none(given: dict[str, Any], said: str) -> None:
    assert drift_column.since_text(changed(**given)) == said.replace("22 Apr", _day(21)).replace(
        "24 Apr", _day(23)
    ).replace("25 Apr", _day(24))
    if changed(**given)["day"] is None:
        assert drift_column.since_text(changed(**given), long=True).startswith("no single day: ")


def _day(days: int) -> str:
    day = START + timedelta(days=days)
    return f"{day.day} {day:%b}"


def test_the_day_is_marked_on_its_axis_and_the_change_log_too() -> None:
    at = START + timedelta(days=21)
    rows = drift_column.day_rows(
        series(), column="amount", since=changed(), changes=[(at, "v2"), (START - timedelta(days=9), "old")]
    )
    parts = [row["part"] for row in rows]
    assert (parts.count("began"), parts.count("range"), parts.count("change")) == (1, 1, 1)
    assert parts.count("day") == 28
    vague = changed(day=None, first=START, last=START + timedelta(days=27), kind="some day")
    assert "range" not in [row["part"] for row in drift_column.day_rows(series(), column="amount", since=vague)]
    assert f"changed {_day(21)}" in texts(chart())


def test_labels_name_values_in_the_middle_and_ranges_at_their_ends() -> None:
    values = [row for row in drift_column.distribution_rows(bars()) if row["part"] == "label"]
    assert [(row["said"], row["at"]) for row in values] == [("a", 0.5), ("b", 1.5), ("(null)", 2.5)]
    many = bars("ranges", tuple(f"{place}" for place in range(20)))
    ends = [row for row in drift_column.distribution_rows(many) if row["part"] == "label"]
    assert len(ends) <= 16
    assert all(float(row["said"]) == row["at"] for row in ends)
    gaps = [after["at"] - before["at"] for before, after in pairwise(ends)]
    assert min(gaps) == max(gaps), "no two labels run into each other"


def test_days_can_be_brushed_and_lines_clicked() -> None:
    spec = to_spec(chart())
    assert "fbkit_days" in str(spec)
    assert all("pick" in row for row in spec["data"]["values"] if row["part"] in ("line", "spark"))


def test_more_lines_than_fit_are_left_out() -> None:
    many = pl.concat([ranking().with_columns(column=pl.lit(f"c{place}")) for place in range(12)])
    lines = [row for row in drift.drift_rows(many) if row["part"] == "line"]
    assert len(lines) == drift.LINES
