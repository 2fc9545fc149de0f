"""One column in two periods: its two distributions, its drift by day, and the day it changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.calibration import part
from fbkit.charts.changes import ALARM, Changes, change_rows, changes_layer
from fbkit.charts.series import BRUSH
from fbkit.charts.text import clean, count_text, day_text, epoch_ms, value_text

_NOT_ONE: Final = {"slow": "slowly, ", "some day": "some day, "}
_MOST_LABELS: Final = 16
_DAYS: Final = 860
_DAY_MS: Final = 86_400_000


def since_text(since: Mapping[str, Any] | None, *, long: bool = False) -> str:
    """When a column changed, or why no day can be named.

    >>> since_text({"kind": "none", "day": None, "first": None, "last": None, "back": None, "reason": "one value only"})
    'one value only'
    """
    if since is None:
        return "—"
    reason = clean(since["reason"] or "", limit=60)
    if since["first"] is None:
        return f"no single day: {reason}" if long else reason
    spans = f"{short_day(since['first'])} to {short_day(since['last'])}"
    if since["day"] is None:
        return f"no single day: {reason}, {spans}" if long else f"{_NOT_ONE.get(since['kind'], '')}{spans}"
    said = day_text(since["day"]) if long else short_day(since["day"])
    if since["back"] is not None:
        return f"{said}, back {short_day(since['back'])}"
    return f"{said} ({spans})" if since["first"] != since["last"] else said


def short_day(day: datetime) -> str:
    """A day of a month: "1 Oct"."""
    return f"{day.day} {day:%b}"


def psi_text(psi: float | None) -> str:
    """Three digits, four where three would say nothing.

    >>> psi_text(0.1234), psi_text(0.00412), psi_text(None)
    ('0.123', '0.0041', '—')
    """
    if psi is None:
        return "—"
    return f"{psi:.3f}" if psi >= 0.01 else f"{psi:.4f}"


def distribution_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of the two distributions. ``frame`` is a result of ``distribution``; every bar is one unit wide."""
    lines = frame.to_dicts()
    rows: list[theme.Row] = []
    for line in lines:
        for role, left in zip(theme.ROLE_NAMES, (0.06, 0.5), strict=True):
            rows.append(
                {
                    "part": "bar",
                    "role": role,
                    "from": line["place"] + left,
                    "to": line["place"] + left + 0.44,
                    "share": line[f"share_{role}"],
                    "said_label": clean(line["label"]),
                    "said_share": value_text(line[f"share_{role}"]),
                    "said_n": count_text(line[f"n_{role}"]),
                }
            )
    return rows + _axis_labels(lines)


def _axis_labels(lines: list[dict[str, Any]]) -> list[theme.Row]:
    """Ends of ranges between the bars (not all of them where there are many), names of values beneath theirs."""
    found: list[theme.Row] = []
    ends = [line for line in lines if line["kind"] == "ranges" and line["lower"] is not None]
    every = -(-len(ends) // _MOST_LABELS) if ends else 1
    for number, line in enumerate(ends):
        if number % every == 0:
            found.append({"part": "label", "at": line["place"], "said": f"{line['lower']:.6g}"})
    last = next((line for line in reversed(lines) if line["label"] != "(null)"), None)
    if last is not None and last["upper"] is not None and len(ends) % every == 0:
        found.append({"part": "label", "at": last["place"] + 1, "said": f"{last['upper']:.6g}"})
    named = [line for line in lines if line["kind"] == "values" or line["label"] == "(null)"]
    found += [{"part": "label", "at": line["place"] + 0.5, "said": clean(line["label"], limit=16)} for line in named]
    return found


def day_rows(
    series: pl.DataFrame,
    *,
    column: str,
    since: Mapping[str, Any] | None,
    windows: Sequence[tuple[datetime, datetime, str]] = (),
    changes: Changes = None,
) -> list[theme.Row]:
    """Rows of PSI by day: points, what chance gives, the compared periods, the change log, the day it changed."""
    days = series.filter((pl.col("column") == column) & (pl.col("grain") == "1d")).to_dicts()
    rows: list[theme.Row] = [
        {
            "part": "day",
            "at": epoch_ms(day["period_start"]) + _DAY_MS // 2,
            "psi": day["psi"],
            "null": day["psi_null_95"],
            "said_day": day_text(day["period_start"]),
            "said_psi": psi_text(day["psi"]),
            "said_null": psi_text(day["psi_null_95"]),
            "said_n": count_text(day["n"]),
        }
        for day in days
    ]
    shades = [
        {"part": "window", "role": role, "from": epoch_ms(start), "to": epoch_ms(end)} for start, end, role in windows
    ]
    ends = [day["period_start"] for day in days]
    log = change_rows(changes, start=ends[0], end=ends[-1] + timedelta(days=1), width=_DAYS) if ends else []
    return shades + rows + log + _since_rows(since, [row["at"] for row in rows])


def _since_rows(since: Mapping[str, Any] | None, times: Sequence[int]) -> list[theme.Row]:
    if since is None or since["first"] is None:
        return []
    begun, ended = epoch_ms(since["first"]), epoch_ms(since["last"]) + _DAY_MS
    made: list[theme.Row] = []
    # A range of most of the days tells nothing.
    if ended - begun <= len(times) * _DAY_MS / 2:
        made.append({"part": "range", "said": since_text(since, long=True), "from": begun, "to": ended})
    if since["day"] is not None:
        said = f"changed {short_day(since['day'])}"
        at = epoch_ms(since["day"])
        late = len(times) > 0 and at > times[0] + 0.6 * (times[-1] - times[0])
        made.append({"part": "began", "at": at, "left": said if late else "", "right": "" if late else said})
    return made


def axis_title(column: str, bars: pl.DataFrame) -> str:
    """The title of the axis of the distribution."""
    if column == "score":
        return "score of the model"
    numbers = bars.height > 0 and bars.item(0, "kind") == "ranges"
    return f"{clean(column)} (unit as logged)" if numbers else clean(column)


def distribution_part(title: str) -> Any:
    """Bars of both periods over the reference's bins."""
    x = alt.X("from:Q", scale=alt.Scale(nice=False, zero=True), axis=alt.Axis(
        title=title, labels=False, ticks=False, grid=False, titlePadding=44,
    ))  # fmt: skip
    y = alt.Y("share:Q", axis=alt.Axis(format="~%", title="share of predictions", tickCount=4))
    bars = part("bar").mark_rect(opacity=0.85)
    drawn = bars.encode(
        x=x, x2=alt.X2("to:Q"), y=y, y2=alt.datum(0), color=alt.Color("role:N", scale=theme.role_scale()),
        tooltip=theme.tips(("said_label", "value"), ("role", "period"), ("said_share", "share"), ("said_n", "n")),
    )  # fmt: skip
    named = part("label").mark_text(align="right", baseline="middle", angle=325, fontSize=11, color=theme.FAINT)
    told = named.encode(
        x=alt.X("at:Q", scale=alt.Scale(nice=False, zero=True)), y=alt.value(138), text=alt.Text("said:N")
    )
    return alt.layer(drawn, told, width=_DAYS, height=130)


def days_part() -> Any:
    """PSI by day with what chance alone gives, and the day it changed; days can be brushed."""
    axis = alt.Axis(format="%-d %b", title="day of prediction (UTC)", tickCount=10)
    x = alt.X("at:T", scale=alt.Scale(type="utc"), axis=axis)
    wide = alt.X("from:T", scale=alt.Scale(type="utc"), axis=axis)
    y = alt.Y("psi:Q", axis=alt.Axis(title="PSI of the day (no unit)", tickCount=4))
    colour = alt.Color("role:N", scale=theme.role_scale(), legend=None)
    day, red = part("day"), ALARM
    tips = theme.tips(("said_day", "day"), ("said_psi", "PSI"), ("said_null", "by chance up to"), ("said_n", "n"))
    brush = alt.selection_interval(
        name=BRUSH, encodings=["x"], mark=alt.BrushConfig(fill=theme.CURRENT, fillOpacity=0.12, stroke=theme.CURRENT)
    )
    points = day.mark_point(filled=True, size=30, color=theme.INK, opacity=1).encode(x=x, y=y, tooltip=tips)
    layers = [
        part("window").mark_rect(opacity=0.1).encode(x=wide, x2=alt.X2("to:T"), color=colour),
        part("range").mark_rect(opacity=0.16, color=red)
        .encode(x=wide, x2=alt.X2("to:T"), tooltip=theme.tips(("said", "changed"))),
        day.mark_area(opacity=0.6, color=theme.RULE).encode(x=x, y=alt.Y("null:Q")),
        day.mark_line(color=theme.INK, strokeWidth=1.2).encode(x=x, y=y),
        points.add_params(brush),
        part("began").mark_rule(color=red, strokeWidth=2).encode(x=x),
        _named("left", 4, "right").encode(x=x),
        _named("right", -4, "left").encode(x=x),
        *changes_layer(),
    ]  # fmt: skip
    return alt.layer(*layers, width=_DAYS, height=120)


def _named(align: Literal["left", "right"], far: int, field: str) -> alt.Chart:
    """The day beside its rule, on the side that has room."""
    text = part("began").mark_text(align=align, baseline="bottom", dx=far, fontSize=11, color=ALARM)
    return text.encode(y=alt.value(14), text=alt.Text(f"{field}:N"))
