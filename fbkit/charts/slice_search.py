"""Which slices a loss or a drop comes from: ranked, each with its value against the rest and what it adds, with n."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    change_text,
    clean,
    count_text,
    distinct,
    interval_text,
    lines,
    metric_name,
    number_format,
    stage_name,
    value_text,
)
from fbkit.schema import results

_STEP = 34


def found_slices_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of the chart, in the order of the frame; ``frame`` is what ``find_slices`` returns."""
    rows = frame.filter(pl.col("slice").is_not_null()).to_dicts()
    labels = distinct([row["slice"] for row in rows], limit=90)
    return [_row(row, labels[row["slice"]]) for row in rows]


def _row(row: dict[str, Any], label: str) -> theme.Row:
    metric = row[results.METRIC]
    return {
        "slice": label,
        "value": row[results.VALUE],
        "lower": row[results.LOWER],
        "upper": row[results.UPPER],
        "rest": row["rest"],
        "reference": row["reference"],
        "added": row["contribution"],
        "added_lower": row["contribution_lower"],
        "added_upper": row["contribution_upper"],
        "clear": row["stands_out"],
        "said_value": value_text(row[results.VALUE], metric=metric),
        "said_interval": interval_text(row[results.LOWER], row[results.UPPER], metric=metric),
        "said_rest": value_text(row["rest"], metric=metric),
        "said_reference": value_text(row["reference"], metric=metric) if row["reference"] is not None else "—",
        "said_added": change_text(row["contribution"], metric=metric),
        "said_n": f"n = {count_text(row[results.N])}",
        "said_labelled": count_text(row[results.N_LABELLED]),
        "said_reason": clean(row[results.REASON], limit=90) if row[results.REASON] else "stands out",
    }


def found_note(frame: pl.DataFrame, rows: Sequence[theme.Row]) -> str:
    """What the signs of the chart mean, or why there are none."""
    if not rows:
        return clean(frame[results.REASON][0], limit=160)
    drop = any(row["reference"] is not None for row in rows)
    note = "blue: the slice with its interval; grey bar: all other rows" + ("; ring: the slice before" if drop else "")
    return note if all(row["clear"] for row in rows) else f"{note}; pale: does not stand out"


def found_slices_chart(
    frame: pl.DataFrame, *, title: str | None = None, subtitle: str | None = None, narrow: bool = False
) -> Any:
    """Left the slice's value (dot, interval) against the rest (bar) and before (circle); right what it adds, and n.

    ``narrow`` fits a notebook's column: long names are cut short, and whole in the tooltip.
    """
    rows = found_slices_rows(frame)
    metric, stage = str(frame[results.METRIC][0]), frame[results.STAGE][0]
    drop = any(row["reference"] is not None for row in rows)
    name = metric_name(metric)
    head = f"Slices behind the {'drop' if drop else 'loss'} of {name}" if rows else f"Slices and {name}"
    note = found_note(frame, rows)
    beside = "change" if drop else "value"
    plot = alt.layer(*_values(metric, stage, room=320 if narrow else 540)).properties(
        width=230 if narrow else 300, height=alt.Step(_STEP)
    )
    added = alt.layer(*_added(metric, beside, width=120 if narrow else 180)).properties(
        width=120 if narrow else 180, height=alt.Step(_STEP)
    )
    chart = alt.hconcat(plot, added, data=theme.data(rows), spacing=14)
    return theme.finish(chart, title=title or head, subtitle=note if subtitle is None else subtitle)


def waiting_rows(said: str) -> list[theme.Row]:
    """The one row of :func:`waiting_chart`."""
    return [{"said": text, "line": line} for line, text in enumerate(lines(said, width=72))]


def waiting_chart(said: str, *, title: str, subtitle: str) -> Any:
    """What stands in the place of the chart until somebody searches."""
    axis = alt.Y("line:O", axis=None)
    chart = alt.Chart(theme.data(waiting_rows(said))).mark_text(align="left", color=theme.FAINT, fontSize=13)
    chart = chart.encode(text="said:N", x=alt.value(0), y=axis).properties(width=theme.WIDTH, height=alt.Step(22))
    return theme.finish(chart, title=title, subtitle=subtitle)


def _y(*, labels: bool, room: int = 540) -> alt.Y:
    axis = alt.Axis(labels=labels, labelColor=theme.INK, labelPadding=8, labelLimit=room, domain=False, grid=True)
    return alt.Y("slice:N", sort=None, title=None, axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    return theme.tips(
        ("slice", "slice"),
        ("said_value", "value"),
        ("said_interval", "interval"),
        ("said_rest", "all other rows"),
        ("said_reference", "before"),
        ("said_added", "adds"),
        ("said_n", "predictions"),
        ("said_labelled", "labelled"),
        ("said_reason", "note"),
    )


def _opacity() -> Any:
    return alt.condition("datum.clear", alt.value(1), alt.value(0.45))


def _values(metric: str, stage: str | None, *, room: int) -> list[alt.Chart]:
    axis = alt.Axis(format=number_format(metric), title=f"{metric_name(metric)} ({stage_name(stage)})", tickCount=5)
    x = alt.X("value:Q", scale=alt.Scale(zero=False, nice=True), axis=axis)
    chart = alt.Chart().encode(y=_y(labels=True, room=room), opacity=_opacity(), tooltip=_tooltip())
    known = "isValid(datum.{0})".format
    return [
        chart.transform_filter(known("rest"))
        .mark_tick(thickness=3, size=18, color=theme.REFERENCE)
        .encode(x=alt.X("rest:Q", axis=axis)),
        chart.transform_filter(known("lower"))
        .mark_rule(strokeWidth=2, color=theme.CURRENT)
        .encode(x="lower:Q", x2="upper:Q"),
        chart.transform_filter(known("reference"))
        .mark_point(filled=False, size=60, color=theme.CURRENT)
        .encode(x="reference:Q"),
        chart.transform_filter(known("value")).mark_point(filled=True, size=70, color=theme.CURRENT).encode(x=x),
    ]


def _added(metric: str, beside: str, *, width: int) -> list[alt.Chart]:
    # Parts of a percentage need a digit more than the percentage.
    digits = number_format(metric).replace(".0%", ".1%")
    axis = alt.Axis(
        format=digits,
        title=f"adds to the {beside}" if width < 180 else f"what it adds to the overall {beside}",
        tickCount=3,
    )
    chart = alt.Chart().encode(y=_y(labels=False), opacity=_opacity(), tooltip=_tooltip())
    return [
        chart.mark_bar(height=10, color=theme.CURRENT).encode(x=alt.X("added:Q", axis=axis)),
        chart.transform_filter("isValid(datum.added_lower)")
        .mark_rule(strokeWidth=1.5, color=theme.INK)
        .encode(x="added_lower:Q", x2="added_upper:Q"),
        chart.mark_text(align="left", fontSize=10, color=theme.FAINT).encode(x=alt.value(width + 8), text="said_n:N"),
    ]
