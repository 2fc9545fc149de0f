"""A metric by slice over time: small multiples with interval and n, one scale for all, and the change log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.changes import Changes, change_rows
from fbkit.charts.slices import slice_labels, value_title
from fbkit.charts.text import (
    clean,
    count_text,
    day_text,
    epoch_ms,
    interval_text,
    metric_name,
    number_format,
    value_text,
)

MOST: Final = 12
HOW: Final = "bar: interval; size of a dot: predictions; dashed: the change log"
_COLUMNS: Final = 3
_WIDTH: Final = 215
_HEIGHT: Final = 105


def panel_rows(
    frame: pl.DataFrame,
    *,
    by: str,
    metric: str,
    slices: Sequence[str | None],
    windows: Sequence[tuple[datetime, datetime, str]] = (),
    changes: Changes = None,
    focused: Sequence[str | None] = (),
    labels: Mapping[Any, str] | None = None,
) -> list[theme.Row]:
    """Rows of the small multiples, panel by panel.

    ``frame`` is a result of ``metrics`` by the slice column ``by`` and time; ``slices`` are the panels in order, at
    most 12; ``windows`` are (start, end, role) of the compared periods; ``focused`` panels are framed.
    """
    names = slice_labels(slices) if labels is None else labels
    held: dict[Any, list[dict[str, Any]]] = {value: [] for value in slices[:MOST]}
    for row in frame.iter_rows(named=True):
        if row[by] in held:
            held[row[by]].append(row)
    ends = [row[name] for lines in held.values() for row in lines for name in ("period_start", "period_end")]
    if not ends:
        return []
    marks = change_rows(changes, start=min(ends), end=max(ends), width=_WIDTH)
    made: list[theme.Row] = []
    for slot, (value, lines) in enumerate(held.items()):
        panel = {"slice": f"{names[value]}   n {sum(row['n'] or 0 for row in lines):,}", "pick": slot}
        made += [
            {**panel, "part": "window", "role": role, "from": epoch_ms(start), "to": epoch_ms(end)}
            for start, end, role in windows
        ]
        made += [panel | {"part": "focused"}] if value in focused else []
        made += [panel | mark for mark in marks]
        made += [panel | _point(row, metric=metric, windows=windows) for row in lines]
        if lines and all(row["value"] is None for row in lines):
            why = clean(next((row["reason"] for row in lines if row["reason"]), "not estimable"), limit=34)
            made.append(panel | {"part": "nothing", "said": why})
    return made


def _point(row: Mapping[str, Any], *, metric: str, windows: Sequence[tuple[datetime, datetime, str]]) -> theme.Row:
    start, end = row["period_start"], row["period_end"]
    middle = start + (end - start) / 2
    role = next((role for first, last, role in reversed(windows) if first <= middle < last), "other")
    return {
        "part": "point",
        "role": role,
        "at": epoch_ms(middle),
        "value": row["value"],
        "lower": row["lower"],
        "upper": row["upper"],
        "n": row["n"],
        "said_from": day_text(start),
        "said_value": value_text(row["value"], metric=metric),
        "said_interval": interval_text(row["lower"], row["upper"], metric=metric),
        "said_n": f"{count_text(row['n_labelled'])} labelled of {count_text(row['n'])}",
        "said_reason": row["reason"] or "—",
    }


def panels_chart(rows: Sequence[theme.Row], *, metric: str, stage: str | None, title: str, subtitle: str = HOW) -> Any:
    """Small multiples of :func:`panel_rows`."""
    panel = alt.layer(*_layers(metric, stage)).properties(width=_WIDTH, height=_HEIGHT)
    header = alt.Header(title=None, labelAnchor="start", labelFontWeight=600, labelLimit=_WIDTH, labelPadding=4)
    facet = alt.Facet("slice:N", sort=alt.EncodingSortField(field="pick", op="min"), header=header)
    chart = panel.facet(facet=facet, columns=_COLUMNS, data=theme.data(rows), spacing=22)
    return theme.finish(chart, title=title, subtitle=subtitle)


def _part(name: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.part === '{name}'")


def _layers(metric: str, stage: str | None) -> list[alt.Chart]:
    utc = alt.Scale(type="utc")
    axis = alt.Axis(format="%-d %b", title=None, tickCount=4, grid=False)
    x = alt.X("at:T", scale=utc, axis=axis)
    colour = alt.Color("role:N", scale=theme.role_scale((*theme.ROLE_NAMES, "other")), legend=_legend())
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(zero=False, nice=True),
        axis=alt.Axis(format=number_format(metric), title=value_title(metric, stage), tickCount=4),
    )
    tooltip = theme.tips(
        ("said_from", "week from"),
        ("said_value", metric_name(metric)),
        ("said_interval", "interval"),
        ("said_n", "rows"),
        ("said_reason", "note"),
    )
    points = _part("point").transform_filter("isValid(datum.value)").encode(x=x)
    size = alt.Size("n:Q", scale=alt.Scale(range=[8, 90], zero=True), legend=None)
    return [
        _part("nothing")
        .mark_text(color=theme.FAINT, fontSize=11)
        .encode(x=alt.XValue(_WIDTH / 2), y=alt.YValue(_HEIGHT / 2), text=alt.Text("said:N")),
        _part("window").mark_rect(opacity=0.06).encode(x=alt.X("from:T", scale=utc), x2="to:T", color=colour),
        _part("focused").mark_rect(fillOpacity=0, stroke=theme.CURRENT, strokeWidth=1.5),
        _part("change")
        .mark_rule(strokeDash=[4, 3], strokeWidth=1.2, color=theme.INK, opacity=0.7)
        .encode(x=x, tooltip=theme.tips(("said_change", "change"))),
        points.mark_line(color=theme.OTHER, strokeWidth=1.2).encode(y=y),
        points.transform_filter("isValid(datum.lower)")
        .mark_rule(strokeWidth=2, opacity=0.6)
        .encode(y="lower:Q", y2="upper:Q", color=colour, tooltip=tooltip),
        points.mark_point(filled=True, opacity=1, cursor="pointer").encode(
            y=y, color=colour, size=size, tooltip=tooltip
        ),
    ]


def _legend() -> alt.Legend:
    return alt.Legend(values=list(theme.ROLE_NAMES))
