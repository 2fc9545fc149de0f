"""How one period's number moved while its labels arrived: value, interval and worst case, arrivals beneath."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    count_text,
    day_text,
    epoch_ms,
    interval_text,
    metric_name,
    number_format,
    stage_name,
    value_text,
)
from fbkit.schema import results

_NEW, _BACKFILL, _CHANGED = "new labels", "backfilled", "corrected or withdrawn"
_KINDS: Final = (_NEW, _BACKFILL, _CHANGED)
_COLOURS: Final = ("#8cb9d9", "#e69f00", "#d55e00")


def revision_rows(frame: pl.DataFrame, *, metric: str) -> list[theme.Row]:
    """Rows of the chart: one ``point`` per as-of time, one ``arrived`` per time and kind, one ``final`` mark."""
    rows = frame.sort(results.AS_OF).to_dicts()
    points = [_point(row, metric=metric) for row in rows]
    bars = [bar for row, width in zip(rows, _widths(rows), strict=True) for bar in _bars(row, width=width)]
    final = next((point for point in points if point["stage"] == results.STAGE_FINAL), None)
    mark = [] if final is None else [{"part": "final", "at": final["at"], "said": "every window is closed"}]
    return mark + bars + points


def _point(row: dict[str, Any], *, metric: str) -> theme.Row:
    return {
        "part": "point",
        "at": epoch_ms(row[results.AS_OF]),
        "stage": row[results.STAGE],
        "value": row[results.VALUE],
        "lower": row[results.LOWER],
        "upper": row[results.UPPER],
        "bound_lower": row[results.BOUND_LOWER],
        "bound_upper": row[results.BOUND_UPPER],
        "said_when": f"{row[results.AS_OF]:%Y-%m-%d %H:%M} UTC",
        "said_value": value_text(row[results.VALUE], metric=metric),
        "said_interval": interval_text(row[results.LOWER], row[results.UPPER], metric=metric),
        "said_bounds": interval_text(row[results.BOUND_LOWER], row[results.BOUND_UPPER], metric=metric),
        "said_n": f"{count_text(row[results.N_LABELLED])} labelled of {count_text(row[results.N])}",
        "said_availability": value_text(row[results.AVAILABILITY], metric=results.AVAILABILITY),
        "said_stage": stage_name(row[results.STAGE]),
    }


def _widths(rows: Sequence[dict[str, Any]]) -> list[timedelta]:
    """Bars as wide as half the shortest step, so that none hides another."""
    times = [row[results.AS_OF] for row in rows]
    steps = [later - earlier for earlier, later in pairwise(times)]
    return [min(steps, default=timedelta(days=1)) * 0.7] * len(rows)


def _bars(row: dict[str, Any], *, width: timedelta) -> list[theme.Row]:
    backfilled, at = row[results.BACKFILLED], row[results.AS_OF]
    counts = {
        _NEW: max(0, row[results.NEW_LABELS] - backfilled),
        _BACKFILL: backfilled,
        _CHANGED: row[results.CORRECTIONS] + row[results.WITHDRAWN],
    }
    made: list[theme.Row] = []
    base = 0
    for kind, count in counts.items():
        if not count:
            continue
        made.append({
            "part": "arrived",
            "kind": kind,
            "from": epoch_ms(at - width / 2),
            "to": epoch_ms(at + width / 2),
            "at": epoch_ms(at),
            "base": base,
            "top": base + count,
            "said_when": f"{at:%Y-%m-%d %H:%M} UTC",
            "said_count": count_text(count),
        })  # fmt: skip
        base += count
    return made


def revision_chart(
    frame: pl.DataFrame, *, metric: str | None = None, title: str | None = None, subtitle: str = ""
) -> Any:
    """Draw what :func:`fbkit.revisions` returns for one slice: the last point is what the number became.

    Parameters
    ----------
    frame
        as_of, value, lower, upper, bound_lower, bound_upper, availability, n, n_labelled, stage, new_labels,
        corrections, withdrawn, backfilled; one row per as-of time.
    metric
        Its name for the axis; by default the frame's own ``metric``.
    """
    name = metric or (frame[results.METRIC][0] if results.METRIC in frame.columns and frame.height else "value")
    rows = revision_rows(frame, metric=name)
    said = metric_name(name)
    limits = _limits(rows)
    rows = [_cut(row, limits) for row in rows]
    top = alt.layer(*_value_layers(name, limits)).properties(width=theme.WIDTH + 80, height=220)
    bottom = alt.layer(*_arrival_layers(rows)).properties(width=theme.WIDTH + 80, height=90)
    chart = alt.vconcat(top, bottom, data=theme.data(rows), spacing=14)
    chart = chart.resolve_scale(color="independent", x="shared")
    note = "whiskers: interval; band: what labels missing then could do (cut off at the edge)"
    return theme.finish(chart, title=title or _title(frame, said), subtitle=subtitle or note)


def _title(frame: pl.DataFrame, said: str) -> str:
    start, end = frame[results.PERIOD_START].drop_nulls(), frame[results.PERIOD_END].drop_nulls()
    if start.is_empty() or end.is_empty():
        return f"How {said} moved"
    return f"How the {said} of {day_text(start[0])} to {day_text(end[0] - timedelta(microseconds=1))} moved"


def _x(*, labels: bool, field: str = "at") -> alt.X:
    title = "as known at (UTC)" if labels else None
    axis = alt.Axis(format="%-d %b", title=title, labels=labels, ticks=labels, tickCount=8)
    return alt.X(f"{field}:T", scale=alt.Scale(type="utc"), axis=axis)


def _limits(rows: Sequence[theme.Row]) -> list[float]:
    """Room for the intervals: the worst case may be so wide that no movement could be seen beside it."""
    ends = [row[name] for row in rows if row["part"] == "point" for name in ("lower", "value", "upper")]
    known = [end for end in ends if end is not None]
    room = 0.35 * (max(known) - min(known)) or 0.05 if known else 0.0
    return [min(known) - room, max(known) + room] if known else [0.0, 1.0]


def _cut(row: theme.Row, limits: list[float]) -> theme.Row:
    cut = {
        name: min(max(row[name], limits[0]), limits[1])
        for name in ("bound_lower", "bound_upper")
        if row.get(name) is not None
    }
    return row | cut


def _value_layers(metric: str, limits: list[float]) -> list[alt.Chart]:
    axis = alt.Axis(format=number_format(metric), title=metric_name(metric), tickCount=5)
    scale = alt.Scale(zero=False, domain=limits, nice=False)
    y = alt.Y("value:Q", scale=scale, axis=axis)
    points = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)").encode(x=_x(labels=False))
    band = points.transform_filter("isValid(datum.bound_lower)").mark_area(
        color=theme.CURRENT, opacity=0.13, line=False
    )
    final = alt.Chart().transform_filter("datum.part === 'final'").encode(x=_x(labels=False))
    tooltip = theme.tips(
        ("said_when", "as known at"),
        ("said_value", metric_name(metric)),
        ("said_interval", "interval"),
        ("said_bounds", "worst case"),
        ("said_n", "rows"),
        ("said_availability", "availability"),
        ("said_stage", "stage"),
    )
    filled = alt.condition("datum.stage === 'final'", alt.value(theme.CURRENT), alt.value(theme.PAPER))
    return [
        band.encode(y=alt.Y("bound_lower:Q", scale=scale), y2="bound_upper:Q"),
        final.mark_rule(color=theme.INK, strokeDash=[4, 3]),
        final.mark_text(align="left", baseline="top", dx=4, fontSize=10, color=theme.FAINT).encode(
            y=alt.value(2), text="said:N"
        ),
        points.mark_line(color=theme.CURRENT, strokeWidth=1.5, opacity=0.6).encode(y=y),
        points.mark_rule(color=theme.CURRENT, strokeWidth=2, opacity=0.75).encode(y=alt.Y("lower:Q"), y2="upper:Q"),
        points.mark_point(size=52, opacity=1, stroke=theme.CURRENT, strokeWidth=1.6).encode(
            y=y, fill=filled, tooltip=tooltip
        ),
    ]


def _arrival_layers(rows: Sequence[theme.Row]) -> list[alt.Chart]:
    present = [kind for kind in _KINDS if any(row.get("kind") == kind for row in rows)]
    colours = [colour for kind, colour in zip(_KINDS, _COLOURS, strict=True) if kind in present]
    axis = alt.Axis(title=["arrived since", "the look before"], tickCount=3, format="~s")
    arrived = alt.Chart().transform_filter("datum.part === 'arrived'")
    changed = arrived.transform_filter(alt.FieldEqualPredicate(field="kind", equal=_CHANGED))
    return [
        arrived.mark_rect(opacity=0.9).encode(
            x=_x(labels=True, field="from"),
            x2="to:T",
            y=alt.Y("base:Q", axis=axis, scale=alt.Scale(zero=True)),
            y2="top:Q",
            color=alt.Color("kind:N", scale=alt.Scale(domain=present, range=colours)),
            tooltip=theme.tips(("said_when", "as known at"), ("kind", "what"), ("said_count", "labels")),
        ),
        # A few corrections can move the number more than thousands of new labels, so their count is written out.
        changed.mark_text(baseline="bottom", dy=-2, fontSize=10, color=_COLOURS[2]).encode(
            x=_x(labels=True), y=alt.Y("top:Q", axis=axis), text="said_count:N"
        ),
    ]
