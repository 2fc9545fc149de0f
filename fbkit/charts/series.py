"""A metric over time with its interval and worst case, and the availability of its labels beneath."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.changes import Changes, change_rows, changes_layer
from fbkit.charts.moments import day_of_ms
from fbkit.charts.text import (
    clean,
    count_text,
    epoch_ms,
    instant_text,
    interval_text,
    metric_name,
    number_format,
    stage_name,
    value_text,
)
from fbkit.schema.period import Period

BRUSH: Final = "fbkit_days"
"""The name of the parameter that holds the brushed stretch of a timeline."""
_WIDTH: Final = theme.WIDTH + 80
_DAY: Final = 86_400_000
_YOUNG: Final = 0.35
_MANY: Final = 40
# Vega gives all ticks of an axis the same prefix, and writes 0k.
_SHORT: Final = "datum.value === 0 ? '0' : format(datum.value, '~s')"

Periods = Sequence[tuple[str, Period]]


def series_rows(frame: pl.DataFrame, *, metric: str, changes: Changes = ()) -> list[theme.Row]:
    """Rows of the time chart: one ``point`` per period, one ``window`` per role, one ``change`` per known change.

    ``frame`` has period_start, period_end (or day), value, lower, upper, n, n_labelled, and, where
    known, bound_lower, bound_upper, availability and role ("reference", "current", "other"). ``changes`` is what
    :func:`fbkit.charts.changes.change_rows` takes.
    """
    points = [_point(row, metric=metric) for row in frame.to_dicts()]
    windows = []
    for role in theme.ROLE_NAMES:
        inside = [point for point in points if point["role"] == role]
        if inside:
            windows.append(_window(role, min(p["from"] for p in inside), max(p["to"] for p in inside)))
    return windows + points + _changes_within(points, changes)


def timeline_rows(
    frame: pl.DataFrame,
    *,
    metric: str,
    changes: Changes = None,
    periods: Periods = (),
    as_of: datetime | None = None,
) -> list[theme.Row]:
    """Rows of :func:`timeline_chart`: points, the compared periods, the as-of time, the young end, changes.

    ``frame`` is a result of ``metrics`` by day or week, where known with ``availability`` and ``n_mature`` (rows whose
    window is closed) beside it: a point with fewer mature rows than rows is young, and drawn lighter.
    """
    points = [_point(row | {"role": _role(row, periods)}, metric=metric) for row in frame.to_dicts()]
    windows = [_window(role, epoch_ms(period.start), epoch_ms(period.end)) for role, period in periods]
    rows = windows + points + _changes_within(points, changes)
    young = [point["from"] for point in points if point["young"]]
    if young and points:
        rows.append({"part": "young", "from": min(young), "to": points[-1]["to"], "said": "labels still arriving"})
    if as_of is not None and points:
        rows.append(_as_of(as_of, points))
    return rows


def _window(role: str, start: int, end: int) -> theme.Row:
    return {"part": "window", "role": role, "from": start, "to": end}


def _role(row: dict[str, Any], periods: Periods) -> str:
    middle = row["period_start"] + (row["period_end"] - row["period_start"]) / 2
    return next((role for role, period in reversed(periods) if period.start <= middle < period.end), "other")


def _as_of(as_of: datetime, points: Sequence[theme.Row]) -> theme.Row:
    """The as-of time; one far beyond the last point stands at the end and says so."""
    first, last = points[0]["from"], max(point["to"] for point in points)
    limit = last + (last - first) // 12
    at = epoch_ms(as_of)
    beyond = " →" if at > limit else ""
    said = f"as of {as_of.astimezone(UTC).day} {as_of.astimezone(UTC):%b}{beyond}"
    return {"part": "asof", "at": min(at, limit), "said": said, "said_instant": instant_text(as_of)}


def _changes_within(points: Sequence[theme.Row], changes: Changes) -> list[theme.Row]:
    if not points:
        return []
    limits = min(point["from"] for point in points), max(point["to"] for point in points)
    start, end = (datetime.fromtimestamp(limit / 1000, tz=UTC) for limit in limits)
    return change_rows(changes, start=start, end=end, width=_WIDTH)


def _point(row: dict[str, Any], *, metric: str) -> theme.Row:
    start = row.get("period_start") or row["day"]
    end = row.get("period_end")
    begin = epoch_ms(start if isinstance(start, datetime) else _midnight(start))
    finish = begin + _DAY if end is None else epoch_ms(end)
    availability = row.get("availability")
    if availability is None and row.get("n"):
        availability = row.get("n_labelled", 0) / row["n"]
    mature = row.get("n_mature")
    value = row["value"]
    reason = row.get("reason")
    return {
        "part": "point",
        "role": row.get("role") or "other",
        "from": begin,
        "to": finish,
        "at": (begin + finish) // 2,
        "value": value,
        "lower": row.get("lower"),
        "upper": row.get("upper"),
        "bound_lower": row.get("bound_lower"),
        "bound_upper": row.get("bound_upper"),
        "availability": availability,
        "n": row.get("n"),
        "n_labelled": row.get("n_labelled"),
        "young": mature is not None and mature < (row.get("n") or 1),
        "said_period": day_of_ms(begin),
        "said_value": value_text(value, metric=metric) + (f" ({clean(reason)})" if value is None and reason else ""),
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
    changes: Changes = (),
) -> Any:
    """Metric over time (evidence frames ``weekly``, ``daily``): whiskers, worst-case band, availability beneath."""
    rows = series_rows(frame, metric=metric, changes=changes)
    top = alt.layer(*_shade(), *_metric_layers(rows, metric, stage), *changes_layer())
    bottom = alt.layer(*_shade(), *_availability_layers(), *changes_layer(badges=False))
    panels = [top.properties(width=_WIDTH, height=200), bottom.properties(width=_WIDTH, height=90)]
    chart = alt.vconcat(*panels, data=theme.data(rows), spacing=14).resolve_scale(x="shared")
    return theme.finish(chart, title=title or _titled(metric), subtitle=subtitle or _note(rows))


def timeline_chart(
    frame: pl.DataFrame,
    *,
    metric: str = "recall",
    stage: str | None = "final",
    title: str | None = None,
    subtitle: str = "",
    changes: Changes = None,
    periods: Periods = (),
    as_of: datetime | None = None,
) -> Any:
    """Metric by day or week with interval and worst case, labels available and rows beneath; days can be brushed.

    The brush is the interval parameter ``fbkit_days`` on the metric's panel; exchanging the rows leaves it alone.
    """
    rows = timeline_rows(frame, metric=metric, changes=changes, periods=periods, as_of=as_of)
    metric_layers = _metric_layers(rows, metric, stage)
    brush = alt.selection_interval(
        name=BRUSH, encodings=["x"], mark=alt.BrushConfig(fill=theme.CURRENT, fillOpacity=0.12, stroke=theme.CURRENT)
    )
    metric_layers[-1] = metric_layers[-1].add_params(brush)
    top = alt.layer(*_shade(), *_young(), *metric_layers, *_as_of_layers(), *changes_layer())
    middle = alt.layer(*_shade(), *_availability_layers(labels=False), *changes_layer(badges=False))
    bottom = alt.layer(*_shade(), *_count_layers(), *changes_layer(badges=False))
    heights = (top, 190), (middle, 50), (bottom, 50)
    panels = [panel.properties(width=_WIDTH, height=height) for panel, height in heights]
    chart = alt.vconcat(*panels, data=theme.data(rows), spacing=10).resolve_scale(x="shared")
    return theme.finish(chart, title=title or _titled(metric), subtitle=subtitle or f"{_note(rows)}; pale: young")


def _titled(metric: str) -> str:
    name = metric_name(metric)
    return f"{name[:1].upper()}{name[1:]} over time"


def _note(rows: Sequence[theme.Row]) -> str:
    if _has_bounds(rows):
        return "whiskers are intervals, bands are what missing labels could still hide"
    return "whiskers are intervals"


def _has_bounds(rows: Sequence[theme.Row]) -> bool:
    return any(row.get("bound_lower") is not None for row in rows)


def _colour() -> alt.Color:
    scale = theme.role_scale((*theme.ROLE_NAMES, "other"))
    return alt.Color("role:N", scale=scale, legend=alt.Legend(values=list(theme.ROLE_NAMES)))


def _x(*, labels: bool | None = None, field: str = "at") -> alt.X:
    """One layer of a panel says whether its axis has labels, the others say nothing."""
    scale = alt.Scale(type="utc", nice=False)
    if labels is None:
        return alt.X(f"{field}:T", scale=scale)
    title = "day of prediction (UTC)" if labels else None
    return alt.X(
        f"{field}:T", scale=scale, axis=alt.Axis(format="%-d %b", title=title, labels=labels, ticks=labels, tickCount=8)
    )


def _part(name: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.part === '{name}'")


def _shade() -> list[alt.Chart]:
    return [_part("window").mark_rect(opacity=0.08).encode(x=_x(field="from"), x2="to:T", color=_colour())]


def _young() -> list[alt.Chart]:
    young = _part("young")
    band = young.mark_rect(color=theme.OTHER, opacity=0.16).encode(x=_x(field="from"), x2="to:T")
    told = young.mark_text(align="right", baseline="bottom", dx=-4, fontSize=10, color=theme.FAINT)
    return [band, told.encode(x=_x(field="to"), y=alt.value(186), text="said:N")]


def _as_of_layers() -> list[alt.Chart]:
    there = _part("asof").encode(x=_x(), tooltip=theme.tips(("said_instant", "as known at")))
    rule = there.mark_rule(color=theme.INK, strokeWidth=1.2, strokeDash=[2, 2])
    told = there.mark_text(align="right", baseline="top", dx=-4, fontSize=10, color=theme.INK)
    return [rule, told.encode(y=alt.value(4), text="said:N")]


def _wide(chart: alt.Chart, *, labels: bool | None = None) -> alt.Chart:
    """From the first to the last instant of the period, so that a week looks like a week."""
    return chart.encode(x=_x(labels=labels, field="from"), x2="to:T")


def _metric_layers(rows: Sequence[theme.Row], metric: str, stage: str | None) -> list[alt.Chart]:
    """Worst-case band, line, whiskers and points; the points come last and carry the tooltip."""
    axis = alt.Axis(format=number_format(metric), title=f"{metric_name(metric)} ({stage_name(stage)})", tickCount=5)
    y = alt.Y("value:Q", scale=alt.Scale(zero=False), axis=axis)
    points = _part("point").transform_filter("isValid(datum.value)").encode(x=_x(labels=False))
    tooltip = theme.tips(
        ("said_period", "from"),
        ("said_value", metric_name(metric)),
        ("said_interval", "interval"),
        ("said_bounds", "worst case"),
        ("said_n", "rows"),
        ("said_availability", "availability"),
    )
    colour = _colour()
    small = sum(row["part"] == "point" for row in rows) > _MANY
    layers = [
        points.mark_line(color=theme.OTHER, strokeWidth=1.5).encode(y=y),
        points.mark_rule(strokeWidth=2).encode(y=alt.Y("lower:Q"), y2="upper:Q", color=colour, opacity=_pale(0.75)),
        points.mark_point(size=22 if small else 52, filled=True).encode(
            y=y, color=colour, tooltip=tooltip, opacity=_pale(1)
        ),
    ]
    if not _has_bounds(rows):
        return layers
    band = _wide(points.transform_filter("isValid(datum.bound_lower)").mark_rect(opacity=0.28))
    return [band.encode(y=alt.Y("bound_lower:Q"), y2="bound_upper:Q", color=colour), *layers]


def _pale(full: float) -> Any:
    return alt.condition("datum.young", alt.value(_YOUNG), alt.value(full))


def _availability_layers(*, labels: bool = True) -> list[alt.Chart]:
    axis = alt.Axis(format=".0%", title=["labels", "available"], values=[0, 0.5, 1])
    y = alt.Y("availability:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    tooltip = theme.tips(("said_period", "from"), ("said_availability", "availability"), ("said_n", "rows"))
    bars = _wide(_part("point").mark_rect(opacity=0.55), labels=labels)
    return [bars.encode(y=y, y2=alt.datum(0), color=_colour(), tooltip=tooltip)]


def _count_layers() -> list[alt.Chart]:
    """Rows counted, and within them those with a label."""
    tooltip = theme.tips(("said_period", "from"), ("said_n", "rows"))
    bars = _wide(_part("point").mark_rect(), labels=True).encode(y2=alt.datum(0), color=_colour(), tooltip=tooltip)
    axis = alt.Axis(labelExpr=_SHORT, title=["rows,", "labelled"], tickCount=2)
    return [
        bars.encode(y=alt.Y("n:Q", axis=axis, scale=alt.Scale(zero=True)), opacity=alt.value(0.3)),
        bars.encode(y=alt.Y("n_labelled:Q"), opacity=alt.value(0.55)),
    ]
