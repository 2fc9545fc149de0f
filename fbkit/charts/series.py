"""A metric over time with its interval and worst case, and the availability of its labels beneath."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    clean,
    count_text,
    day_text,
    epoch_ms,
    interval_text,
    metric_name,
    number_format,
    stage_name,
    value_text,
)


def series_rows(frame: pl.DataFrame, *, metric: str, changes: Sequence[tuple[datetime, str]] = ()) -> list[theme.Row]:
    """Rows of the time chart: one ``point`` per period, one ``window`` per role, one ``change`` per known change.

    ``frame`` has period_start, period_end (or day), value, lower, upper, n, n_labelled, and, where
    known, bound_lower, bound_upper, availability and role ("reference", "current", "other").
    """
    points = [_point(row, metric=metric) for row in frame.to_dicts()]
    windows = []
    for role in theme.ROLE_NAMES:
        inside = [point for point in points if point["role"] == role]
        if inside:
            windows.append(
                {
                    "part": "window",
                    "role": role,
                    "from": min(p["from"] for p in inside),
                    "to": max(p["to"] for p in inside),
                }
            )
    marks = [{"part": "change", "at": epoch_ms(when), "said_change": clean(text, limit=34)} for when, text in changes]
    return windows + points + marks


def _point(row: dict[str, Any], *, metric: str) -> theme.Row:
    start = row.get("period_start") or row["day"]
    end = row.get("period_end")
    begin = epoch_ms(start if isinstance(start, datetime) else _midnight(start))
    finish = begin + 86_400_000 if end is None else epoch_ms(end)
    availability = row.get("availability")
    if availability is None and row.get("n"):
        availability = row.get("n_labelled", 0) / row["n"]
    return {
        "part": "point",
        "role": row.get("role") or "other",
        "from": begin,
        "to": finish,
        "at": (begin + finish) // 2,
        "value": row["value"],
        "lower": row.get("lower"),
        "upper": row.get("upper"),
        "bound_lower": row.get("bound_lower"),
        "bound_upper": row.get("bound_upper"),
        "availability": availability,
        "said_period": day_text(datetime.fromtimestamp(begin / 1000, tz=UTC)),
        "said_value": value_text(row["value"], metric=metric),
        "said_interval": interval_text(row.get("lower"), row.get("upper"), metric=metric),
        "said_bounds": interval_text(row.get("bound_lower"), row.get("bound_upper"), metric=metric),
        "said_n": f"{count_text(row.get('n_labelled'))} labelled of {count_text(row.get('n'))}",
        "said_availability": value_text(availability, metric="availability"),
    }


def _midnight(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def series_chart(
    frame: pl.DataFrame,
    *,
    metric: str = "recall",
    stage: str | None = "final",
    title: str | None = None,
    subtitle: str = "",
    changes: Sequence[tuple[datetime, str]] = (),
) -> Any:
    """Metric over time (evidence frames ``weekly``, ``daily``): whiskers, worst-case band, availability beneath."""
    rows = series_rows(frame, metric=metric, changes=changes)
    name = metric_name(metric)
    colour = alt.Color(
        "role:N", scale=theme.role_scale((*theme.ROLE_NAMES, "other")), legend=alt.Legend(values=list(theme.ROLE_NAMES))
    )
    top = alt.layer(*_shade(colour), *_metric_layers(rows, metric, f"{name} ({stage_name(stage)})", colour)).properties(
        width=theme.WIDTH + 80, height=200
    )
    bottom = alt.layer(*_shade(colour), *_availability_layers(colour)).properties(width=theme.WIDTH + 80, height=90)
    chart = alt.vconcat(top, bottom, data=theme.data(rows), spacing=14)
    note = (
        "whiskers are intervals, bands are what missing labels could still hide"
        if _has_bounds(rows)
        else "whiskers are intervals"
    )
    return theme.finish(chart, title=title or f"{name[:1].upper()}{name[1:]} over time", subtitle=subtitle or note)


def _has_bounds(rows: Sequence[theme.Row]) -> bool:
    return any(row.get("bound_lower") is not None for row in rows)


def _x(*, labels: bool, field: str = "at") -> alt.X:
    axis = alt.Axis(
        format="%-d %b", title="day of prediction (UTC)" if labels else None, labels=labels, ticks=labels, tickCount=8
    )
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc"), axis=axis)


def _shade(colour: alt.Color) -> list[alt.Chart]:
    shade = (
        alt.Chart()
        .transform_filter("datum.part === 'window'")
        .mark_rect(opacity=0.08)
        .encode(x=alt.X("from:T", scale=alt.Scale(type="utc")), x2="to:T", color=colour)
    )
    changes = _changes().mark_rule(color=theme.INK, strokeDash=[4, 3])
    return [shade, changes.encode(tooltip=theme.tips(("said_change", "change")))]


def _changes() -> alt.Chart:
    drawn = alt.Chart().transform_filter("datum.part === 'change'")
    return drawn.encode(x=alt.X("at:T", scale=alt.Scale(type="utc")))


def _wide(chart: alt.Chart, *, labels: bool) -> alt.Chart:
    """From the first to the last instant of the period, so that a week looks like a week."""
    return chart.encode(x=_x(labels=labels, field="from"), x2="to:T")


def _metric_layers(rows: Sequence[theme.Row], metric: str, title: str, colour: alt.Color) -> list[alt.Chart]:
    y = alt.Y(
        "value:Q", scale=alt.Scale(zero=False), axis=alt.Axis(format=number_format(metric), title=title, tickCount=5)
    )
    points = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)").encode(x=_x(labels=False))
    band = points.transform_filter("isValid(datum.bound_lower)").mark_rect(opacity=0.28)
    tooltip = theme.tips(
        ("said_period", "from"),
        ("said_value", metric_name(metric)),
        ("said_interval", "interval"),
        ("said_bounds", "worst case"),
        ("said_n", "rows"),
        ("said_availability", "availability"),
    )
    named = _changes().mark_text(align="left", baseline="top", dx=4, fontSize=10, color=theme.FAINT)
    layers = [
        named.encode(y=alt.value(2), text="said_change:N"),
        points.mark_line(color=theme.OTHER, strokeWidth=1.5).encode(y=y),
        points.mark_rule(strokeWidth=2, opacity=0.75).encode(y=alt.Y("lower:Q"), y2="upper:Q", color=colour),
        points.mark_point(size=52, filled=True, opacity=1).encode(y=y, color=colour, tooltip=tooltip),
    ]
    return (
        [_wide(band, labels=False).encode(y=alt.Y("bound_lower:Q"), y2="bound_upper:Q", color=colour), *layers]
        if _has_bounds(rows)
        else layers
    )


def _availability_layers(colour: alt.Color) -> list[alt.Chart]:
    y = alt.Y(
        "availability:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", title=["labels", "available"], values=[0, 0.5, 1]),
    )
    points = alt.Chart().transform_filter("datum.part === 'point'").encode(x=_x(labels=True))
    tooltip = theme.tips(("said_period", "from"), ("said_availability", "availability"), ("said_n", "rows"))
    return [
        _wide(points.mark_rect(opacity=0.55), labels=True).encode(y=y, y2=alt.datum(0), color=colour, tooltip=tooltip),
    ]
