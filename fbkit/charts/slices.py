"""A metric by slice: value, interval and worst-case band, reference against current, n and availability beside it."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    clean,
    count_text,
    distinct,
    interval_text,
    metric_name,
    number_format,
    stage_name,
    value_text,
)

# Reference and current of a slice are drawn one above the other within its line.
_OFFSET = {"reference": -5, "current": 5}


def slices_rows(frame: pl.DataFrame, *, by: str, metric: str) -> list[theme.Row]:
    """Rows of the slice chart, in the order of the frame.

    ``frame`` has the slice column ``by``, value, lower, upper, bound_lower, bound_upper, n,
    n_labelled, reason and, optionally, role ("reference", "current").
    """
    labels = distinct(frame[by].to_list())
    return [_slice_row(row, labels[row[by]], metric=metric) for row in frame.to_dicts()]


def _slice_row(row: dict[str, Any], label: str, *, metric: str) -> theme.Row:
    n, labelled = row.get("n"), row.get("n_labelled")
    availability = labelled / n if n and labelled is not None else None
    value = row["value"]
    return {
        "slice": label,
        "role": row.get("role") or "current",
        "value": value,
        "lower": row.get("lower"),
        "upper": row.get("upper"),
        "bound_lower": row.get("bound_lower"),
        "bound_upper": row.get("bound_upper"),
        "availability": availability,
        "said_value": value_text(value, metric=metric) if value is not None else "not estimable",
        "said_interval": interval_text(row.get("lower"), row.get("upper"), metric=metric),
        "said_bounds": interval_text(row.get("bound_lower"), row.get("bound_upper"), metric=metric),
        "said_availability": value_text(availability, metric="availability") if availability is not None else "—",
        "said_n": count_text(n),
        "said_labelled": count_text(labelled),
        "said_reason": clean(row.get("reason"), limit=90) if row.get("reason") else "—",
    }


def slices_chart(
    frame: pl.DataFrame,
    *,
    by: str,
    metric: str = "recall",
    stage: str | None = "final",
    title: str | None = None,
    subtitle: str = "",
) -> Any:
    """Dot plot of a metric by slice: interval (line), worst case (pale bar); n and availability at the right."""
    rows = slices_rows(frame, by=by, metric=metric)
    name = metric_name(metric)
    note = "line: interval, pale bar: what missing labels could still hide"
    plot = alt.layer(*_value_layers(metric, stage)).properties(width=360, height=alt.Step(30))
    beside = alt.layer(*_availability_layers()).properties(width=110, height=alt.Step(30))
    chart = alt.hconcat(plot, beside, data=theme.data(rows), spacing=12)
    return theme.finish(chart, title=title or f"{name[:1].upper()}{name[1:]} by {clean(by)}", subtitle=subtitle or note)


def value_title(metric: str, stage: str | None) -> str:
    """The title of the value axis: metric and label stage."""
    return f"{metric_name(metric)} ({stage_name(stage)})"


def _y(*, labels: bool) -> alt.Y:
    axis = alt.Axis(labels=labels, labelColor=theme.INK, labelPadding=8, domain=False, grid=True)
    return alt.Y("slice:N", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.2))


def _in_role(role: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.role === '{role}'")


def _value_layers(metric: str, stage: str | None) -> list[alt.Chart]:
    colour = alt.Color("role:N", scale=theme.role_scale())
    axis = alt.Axis(format=number_format(metric), title=value_title(metric, stage), tickCount=5)
    scale = alt.Scale(zero=False, nice=True)
    tooltip = theme.tips(
        ("slice", "slice"),
        ("role", "period"),
        ("said_value", "value"),
        ("said_interval", "interval"),
        ("said_bounds", "worst case"),
        ("said_n", "predictions"),
        ("said_labelled", "labelled"),
        ("said_availability", "availability"),
        ("said_reason", "note"),
    )
    layers: list[alt.Chart] = []
    for role, shift in _OFFSET.items():
        chart = _in_role(role).encode(y=_y(labels=True), color=colour)
        layers += [
            chart.transform_filter("isValid(datum.bound_lower)")
            .mark_rule(strokeWidth=8, opacity=0.18, yOffset=shift)
            .encode(x=alt.X("bound_lower:Q", scale=scale, axis=axis), x2="bound_upper:Q", tooltip=tooltip),
            chart.transform_filter("isValid(datum.lower)")
            .mark_rule(strokeWidth=2, yOffset=shift)
            .encode(x="lower:Q", x2="upper:Q", tooltip=tooltip),
            chart.transform_filter("isValid(datum.value)")
            .mark_point(filled=True, size=60, opacity=1, yOffset=shift)
            .encode(x=alt.X("value:Q", scale=scale, axis=axis), tooltip=tooltip),
        ]
    return layers


def _availability_layers() -> list[alt.Chart]:
    colour = alt.Color("role:N", scale=theme.role_scale())
    layers: list[alt.Chart] = []
    axis = alt.Axis(format=".0%", title="labels available, predictions", values=[0, 0.5, 1])
    for role, shift in _OFFSET.items():
        chart = _in_role(role).encode(y=_y(labels=False))
        layers += [
            chart.mark_bar(height=7, opacity=0.75, yOffset=shift).encode(
                x=alt.X("availability:Q", scale=alt.Scale(domain=[0, 1]), axis=axis),
                color=colour,
                tooltip=theme.tips(
                    ("slice", "slice"),
                    ("role", "period"),
                    ("said_availability", "availability"),
                    ("said_n", "predictions"),
                ),
            ),
            chart.mark_text(align="left", fontSize=10, color=theme.FAINT, yOffset=shift).encode(
                x=alt.value(118), text="said_n:N"
            ),
        ]
    return layers
