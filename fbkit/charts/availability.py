"""Are the labels there: over time, by slice, by decision and score, and how fast they arrive."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.changes import Changes, change_rows, changes_layer
from fbkit.charts.moments import day_of_ms, in_milliseconds
from fbkit.charts.text import clean, count_text, distinct, epoch_ms, interval_text, value_text

_AXIS = alt.Axis(format=".0%", title="labels available", tickCount=5)


def _said(row: dict[str, Any]) -> theme.Row:
    return {
        "said_value": value_text(row["value"], metric="availability"),
        "said_interval": interval_text(row.get("lower"), row.get("upper")),
        "said_n": f"{count_text(row.get('n_labelled'))} of {count_text(row.get('n'))}",
    }


def _window(start: datetime, end: datetime, role: str) -> theme.Row:
    return {"part": "window", "role": role, "from": epoch_ms(start), "to": epoch_ms(end)}


def _cell(row: dict[str, Any]) -> theme.Row:
    """Few and short texts: hundreds of cells travel with every move."""
    pending = row.get("n_pending")
    waiting = f", {count_text(pending)} pending" if pending else ""
    between = interval_text(row.get("lower"), row.get("upper"))
    value = value_text(row["value"], metric="availability")
    return {
        "part": "point",
        "from": row["period_start"],
        "to": row["period_end"],
        "value": row["value"],
        "said_from": day_of_ms(row["period_start"]),
        "said_value": value if between == "—" else f"{value} ({between})",
        "said_n": f"{count_text(row.get('n_labelled'))} of {count_text(row.get('n'))}{waiting}",
        **({} if row.get("stage") in (None, "final") else {"young": True}),
    }


def availability_rows(
    frame: pl.DataFrame,
    *,
    by: str | None = None,
    windows: Sequence[tuple[datetime, datetime, str]] = (),
    changes: Changes = None,
) -> list[theme.Row]:
    """Rows of the availability chart: one per period and slice, the shaded windows (start, end, role), changes.

    ``frame`` is a result of ``availability``: period_start, period_end, value, lower, upper, n,
    n_labelled, n_pending, stage, and the slice column ``by``. ``pick`` is the place of a row's slice among the slices.
    """
    labels = distinct(frame[by].to_list()) if by else {}
    places = {value: place for place, value in enumerate(labels)}
    rows: list[theme.Row] = [_window(*window) for window in windows]
    for row in in_milliseconds(frame).to_dicts():
        place = {"slice": labels[row[by]], "pick": places[row[by]]} if by else {"slice": "all predictions"}
        rows += [_cell(row) | place]
    if frame.is_empty():
        return rows
    start, end = (frame[name].sort()[place] for name, place in (("period_start", 0), ("period_end", -1)))
    return rows + change_rows(changes, start=start, end=end)


def availability_chart(
    frame: pl.DataFrame,
    *,
    by: str | None = None,
    windows: Sequence[tuple[datetime, datetime, str]] = (),
    title: str | None = None,
    subtitle: str = "",
    changes: Changes = None,
) -> Any:
    """Heat map of label availability, day or week of prediction by slice; hatched ends mark labels still arriving."""
    rows = availability_rows(frame, by=by, windows=windows, changes=changes)
    x = alt.X(
        "from:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%-d %b", title="day of prediction (UTC)", tickCount=8, grid=False),
    )
    y = alt.Y("slice:N", sort=None, title=None, axis=alt.Axis(labelColor=theme.INK, labelPadding=8, domain=False))
    tooltip = theme.tips(
        ("slice", "slice"),
        ("said_from", "from"),
        ("said_value", "labels available (interval)"),
        ("said_n", "labelled"),
    )
    # Light means missing: the eye goes to the holes. Cividis is even for all colour visions.
    scale = alt.Scale(scheme="cividis", domain=[0, 1], reverse=False)
    cells = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)")
    heat = cells.mark_rect(stroke=theme.PAPER, strokeWidth=0.6).encode(
        x=x,
        x2="to:T",
        y=y,
        color=alt.Color(
            "value:Q",
            scale=scale,
            legend=alt.Legend(
                format=".0%",
                title="labels available",
                gradientLength=160,
                titleFontWeight="normal",
                titleColor=theme.FAINT,
                offset=18,
            ),
        ),
        tooltip=tooltip,
    )
    young = cells.transform_filter("datum.young").mark_rect(fill=theme.PAPER, opacity=0.45).encode(x=x, x2="to:T", y=y)
    edges = alt.Chart().transform_filter("datum.part === 'window'")
    marks = [edges.mark_rule(color=theme.INK, strokeDash=[4, 3]).encode(x=f"{end}:T") for end in ("from", "to")]
    layers = [heat, young, *marks, *changes_layer()]
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=theme.WIDTH, height=alt.Step(24))
    named = f" by {clean(by)}" if by else ""
    return theme.finish(
        chart,
        title=title or f"Label availability{named}",
        subtitle=subtitle or "dashed: the compared periods; veiled: labels still arriving",
    )


def lag_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of the arrival curves. ``frame``: role or slice column ``role``, age_days, value, lower, upper, n."""
    return [
        {
            "role": clean(row.get("role") or "current"),
            "age": row["age_days"],
            "value": row["value"],
            "lower": row.get("lower"),
            "upper": row.get("upper"),
            "said_age": f"{row['age_days']:g} days",
            "said_value": value_text(row["value"], metric="availability"),
            "said_interval": interval_text(row.get("lower"), row.get("upper")),
            "said_n": count_text(row.get("n")),
        }
        for row in frame.to_dicts()
    ]


def lag_chart(frame: pl.DataFrame, *, title: str = "How fast labels arrive", subtitle: str = "") -> Any:
    """Share of predictions whose label had arrived by an age, reference against current, with intervals."""
    rows = lag_rows(frame)
    colour = alt.Color("role:N", scale=theme.role_scale())
    x = alt.X("age:Q", axis=alt.Axis(title="days since the prediction", grid=True, format="~f", tickMinStep=0.5))
    y_axis = alt.Axis(format=".0%", title="predictions with a label")
    y, low = (alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, 1]), axis=y_axis) for field in ("value", "lower"))
    base = alt.Chart().transform_filter("isValid(datum.value)").encode(x=x, color=colour)
    band = base.mark_area(opacity=0.15, interpolate="step-after").encode(y=low, y2="upper:Q")
    line = base.mark_line(strokeWidth=2, interpolate="step-after").encode(y=y)
    tooltip = theme.tips(
        ("role", "period"),
        ("said_age", "age"),
        ("said_value", "labelled"),
        ("said_interval", "interval"),
        ("said_n", "predictions this old"),
    )
    dots = base.mark_point(filled=True, size=26, opacity=1).encode(y=y, tooltip=tooltip)
    chart = alt.layer(band, line, dots, data=theme.data(rows)).properties(width=theme.WIDTH, height=200)
    return theme.finish(
        chart, title=title, subtitle=subtitle or "of all predictions at least that old; bands are intervals"
    )


def arrivals_chart(arrivals: pl.DataFrame, *, title: str = "How fast labels arrive", subtitle: str = "") -> Any:
    """The arrival curves of a diagnosis (evidence frame ``arrivals``: age_days, reference, current)."""
    return lag_chart(arrivals_long(arrivals), title=title, subtitle=subtitle)


def arrivals_long(arrivals: pl.DataFrame) -> pl.DataFrame:
    """The evidence frame ``arrivals`` with one line per period and age."""
    long = arrivals.select("age_days", *theme.ROLE_NAMES).unpivot(
        index="age_days", variable_name="role", value_name="value"
    )
    return long.sort("role", "age_days", descending=[True, False])


def by_slice_rows(frame: pl.DataFrame, *, group: str) -> list[theme.Row]:
    """Rows of availability by a group: ``group`` (text), window, value or availability, lower, upper, n, n_labelled."""
    labels = distinct(frame[group].to_list())
    rows = []
    for row in frame.to_dicts():
        value = row["availability"] if "availability" in row else row["value"]
        rows.append(
            {
                "slice": labels[row[group]],
                "role": row["window"],
                "value": value,
                "lower": row.get("lower"),
                "upper": row.get("upper"),
                **_said(row | {"value": value}),
            }
        )
    return rows


def availability_by_chart(frame: pl.DataFrame, *, group: str, title: str | None = None, subtitle: str = "") -> Any:
    """Availability by decision, slice or score band (evidence frames ``availability_by_*``), by period."""
    rows = by_slice_rows(frame, group=group)
    colour = alt.Color("role:N", scale=theme.role_scale())
    y = alt.Y(
        "slice:N", sort=None, title=None, axis=alt.Axis(labelColor=theme.INK, labelPadding=8, domain=False, grid=True)
    )
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, 1]), axis=_AXIS)
    tooltip = theme.tips(
        ("slice", "group"),
        ("role", "period"),
        ("said_value", "labels available"),
        ("said_interval", "interval"),
        ("said_n", "labelled"),
    )
    layers: list[alt.Chart] = []
    for role, shift in (("reference", -5), ("current", 5)):
        base = alt.Chart().transform_filter(f"datum.role === '{role}'").encode(y=y, color=colour)
        layers += [
            base.transform_filter("isValid(datum.lower)")
            .mark_rule(strokeWidth=2, yOffset=shift)
            .encode(x="lower:Q", x2="upper:Q"),
            base.mark_point(filled=True, size=60, opacity=1, yOffset=shift).encode(x=x, tooltip=tooltip),
            base.mark_text(align="left", fontSize=10, yOffset=shift).encode(
                x=alt.value(368), text="said_n:N", color=alt.value(theme.FAINT)
            ),
        ]
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=360, height=alt.Step(30))
    return theme.finish(
        chart,
        title=title or f"Label availability by {clean(group)}",
        subtitle=subtitle or "labelled of all at the right",
    )
