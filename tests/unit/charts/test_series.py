"""The timeline: periods, young end, as-of and changes where they belong; one brush that exchanged rows leave alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import vl_convert

from fbkit.charts import theme
from fbkit.charts.render import VEGA_LITE, to_spec
from fbkit.charts.series import BRUSH, series_chart, series_rows, timeline_chart, timeline_rows
from fbkit.charts.text import epoch_ms
from fbkit.schema.period import Period
from tests.unit.charts.scene import items, texts

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202e"


def days(n: int = 20, *, mature: int = 15, length: int = 1, bounds: bool = True) -> pl.DataFrame:
    """A metric that falls by a point a day; the newest cells are not mature, the last is not estimable."""
    lines = []
    for place in range(n):
        start = DAY + timedelta(days=place * length)
        value = 0.9 - 0.01 * place if place < n - 1 else None
        lines.append(
            {
                "period_start": start,
                "period_end": start + timedelta(days=length),
                "value": value,
                "lower": None if value is None else value - 0.05,
                "upper": None if value is None else value + 0.05,
                "bound_lower": value if value is None or not bounds else value - 0.2,
                "bound_upper": value if value is None or not bounds else value + 0.05,
                "n": 100 + place,
                "n_labelled": 90,
                "availability": 0.9,
                "n_mature": 100 + place if place < mature else 0,
                "reason": None if value is not None else "window open",
            }
        )
    frame = pl.DataFrame(lines)
    return frame if bounds else frame.drop("bound_lower", "bound_upper")


def period(first: int, last: int) -> Period:
    return Period(start=DAY + timedelta(days=first), end=DAY + timedelta(days=last))


PERIODS = [("reference", period(2, 9)), ("current", period(9, 16))]
AS_OF = DAY + timedelta(days=20)


def rows(frame: pl.DataFrame | None = None, **options: Any) -> list[theme.Row]:
    return timeline_rows(days() if frame is None else frame, metric="recall", **options)


def part(given: list[theme.Row], name: str) -> list[theme.Row]:
    return [row for row in given if row["part"] == name]


def test_points_know_their_period_and_whether_they_are_young() -> None:
    points = part(rows(periods=PERIODS), "point")
    assert [point["role"] for point in points] == ["other"] * 2 + ["reference"] * 7 + ["current"] * 7 + ["other"] * 4
    assert [point["young"] for point in points] == [False] * 15 + [True] * 5
    assert points[-1]["said_value"] == "not estimable (window open)"
    assert points[3]["said_n"] == "90 labelled of 103"


def test_windows_are_the_periods_and_the_young_end_reaches_to_the_last_point() -> None:
    made = rows(periods=PERIODS)
    assert [(row["role"], row["from"], row["to"]) for row in part(made, "window")] == [
        (role, epoch_ms(span.start), epoch_ms(span.end)) for role, span in PERIODS
    ]
    (young,) = part(made, "young")
    assert (young["from"], young["to"]) == (epoch_ms(DAY + timedelta(days=15)), epoch_ms(DAY + timedelta(days=20)))
    assert part(rows(days(mature=20)), "young") == []


def test_weeks_belong_to_the_period_that_holds_their_middle() -> None:
    weeks = rows(days(4, length=7), periods=[("reference", period(0, 14)), ("current", period(14, 21))])
    assert [point["role"] for point in part(weeks, "point")] == ["reference", "reference", "current", "other"]


@pytest.mark.parametrize(("later", "said", "clipped"), [(0.5, "as of 22 Mar", False), (90, "as of 20 Jun →", True)])
def test_an_as_of_far_beyond_the_points_does_not_stretch_the_axis(later: float, said: str, *, clipped: bool) -> None:
    as_of = AS_OF + timedelta(days=later)
    (mark,) = part(rows(as_of=as_of), "asof")
    assert mark["said"] == said
    assert (mark["at"] < epoch_ms(as_of)) == clipped
    assert mark["at"] <= epoch_ms(AS_OF + timedelta(days=2))
    assert said in texts(timeline_chart(days(), as_of=as_of))


def test_everything_stands_on_one_axis() -> None:
    changes = [(DAY + timedelta(days=9), "deploy of v2"), (DAY - timedelta(days=9), "long ago")]
    chart = timeline_chart(days(), periods=PERIODS, as_of=AS_OF, changes=changes)
    told = texts(chart)
    assert {"deploy of v2", "labels still arriving", "day of prediction (UTC)", "recall (final labels)"} <= set(told)
    assert "long ago" not in told
    dashed = [item for item in items(chart, "rule") if item.get("strokeDash")]
    assert len(dashed) == 4, "the change in each of three panels, and the as-of time"
    assert len({round(item["x"], 3) for item in dashed}) == 2
    # Day 9 of 20 in a domain from the first point to as-of.
    assert min(item["x"] for item in dashed) == pytest.approx((theme.WIDTH + 80) * 9 / 20, abs=0.5)


def test_young_points_are_paler() -> None:
    drawn = [item for item in items(timeline_chart(days()), "symbol") if item.get("size") == 52]
    assert len(drawn) == 19
    assert [round(item.get("opacity", 1), 2) for item in sorted(drawn, key=lambda item: item["x"])] == [1] * 15 + [
        0.35
    ] * 4


def test_the_brush_is_a_parameter_on_days_that_rows_do_not_touch() -> None:
    spec = to_spec(timeline_chart(days(), periods=PERIODS))
    (found,) = [item for item in spec["params"] if item["name"] == BRUSH == "fbkit_days"]
    assert (found["select"]["type"], found["select"]["encodings"]) == ("interval", ["x"])
    vega = vl_convert.vegalite_to_vega(spec, vl_version=VEGA_LITE)
    assert BRUSH in [item["name"] for item in vega["signals"]]
    store = next(item for item in vega["data"] if item["name"] == f"{BRUSH}_store")
    assert "source" not in store, "the brush has a data set of its own"
    # All marks draw from the one named set, so that exchanging it is all that a move does.
    assert [item["name"] for item in vega["data"] if "values" in item] == [theme.DATA_NAME]


def test_the_drawing_does_not_depend_on_the_rows() -> None:
    def bare(frame: pl.DataFrame) -> str:
        spec = to_spec(timeline_chart(frame, periods=PERIODS, as_of=AS_OF, title="t", subtitle="s"))
        return json.dumps({**spec, "data": None}, sort_keys=True)

    assert bare(days(20)) == bare(days(30, mature=3))
    assert bare(days(20)) != bare(days(20, bounds=False)), "without worst cases there is no band"


def test_hostile_text_stays_data() -> None:
    spec = to_spec(timeline_chart(days(), changes=[(DAY, HOSTILE)], title=HOSTILE))
    assert "alert" not in json.dumps({**spec, "data": None, "title": None, "description": None})
    assert "\u202e" not in json.dumps(spec, ensure_ascii=False)


def test_no_points_draw_nothing_and_fail_nothing() -> None:
    assert rows(days().clear(), as_of=AS_OF, changes=[(DAY, "x")]) == []
    assert "Recall over time" in texts(timeline_chart(days().clear()))


def test_the_evidence_chart_takes_changes_of_any_form() -> None:
    frame = days(6).with_columns(role=pl.lit("current"))
    log = pl.DataFrame({"ts": [DAY + timedelta(days=2)], "kind": ["deploy"], "what": ["v2 serves"]})
    for changes in (log, log.to_dicts(), [(DAY + timedelta(days=2), "v2 serves")]):
        (mark,) = part(series_rows(frame, metric="recall", changes=changes), "change")
        assert mark["at"] == epoch_ms(DAY + timedelta(days=2))
        assert "v2 serves" in texts(series_chart(frame, changes=changes))
