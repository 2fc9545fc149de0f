"""A metric by slice: value, interval and worst-case band, what it adds to the change, availability and n beside it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    clean,
    count_text,
    distinct,
    interval_text,
    is_share,
    metric_name,
    number_format,
    stage_name,
    value_text,
)

ALL: Final = "all predictions"
HOW: Final = "line: interval; pale bar: what missing labels could still hide"
# Reference and current of a slice are drawn one above the other within its line.
_BY_ROLE: Final = alt.ExprRef("datum.role === 'current' ? 5 : -5")
_moved: Any = {"test": "datum.moved", "value": theme.INK}
_STEP: Final = 30

Lines = pl.DataFrame | Sequence[Mapping[str, Any]]


class _Whole:
    """Stands for all predictions, apart from a slice that is called so."""

    def __str__(self) -> str:
        return ALL


_WHOLE: Final = _Whole()


def slice_labels(values: Sequence[Any]) -> dict[Any, str]:
    """What each value of a slice column is called in a chart, beside the line of the whole."""
    return distinct([_WHOLE, *values])


def slices_rows(
    lines: Lines,
    *,
    by: str,
    metric: str,
    focused: Sequence[str | None] = (),
    labels: Mapping[Any, str] | None = None,
) -> list[theme.Row]:
    """Rows of the slice chart, in the order given.

    Parameters
    ----------
    lines
        A frame, or its lines as mappings: the slice column ``by``, value, lower, upper, bound_lower, bound_upper, n,
        n_labelled, reason and, optionally, role ("reference", "current"), whole, contribution, mix_effect, rate_effect,
        slot (the number that a click sends back).
    focused
        Slices that are marked.
    labels
        From :func:`slice_labels`, where the same slices are drawn again and again.
    """
    held = lines.to_dicts() if isinstance(lines, pl.DataFrame) else lines
    names = slice_labels([line[by] for line in held]) if labels is None else labels
    made = [_slice_row(line, names, by=by, metric=metric, focused=focused) for line in held]
    _say_added(made, metric=metric)
    for at, row in enumerate(made):
        row["first"] = at == 0 or made[at - 1]["slice"] != row["slice"]
    return made


def _slice_row(
    row: Mapping[str, Any], labels: Mapping[Any, str], *, by: str, metric: str, focused: Sequence[str | None]
) -> theme.Row:
    n, labelled = row.get("n"), row.get("n_labelled")
    availability = labelled / n if n and labelled is not None else None
    value, whole = row["value"], bool(row.get("whole"))
    role = row.get("role") or "current"
    made = {
        "slice": labels[_WHOLE] if whole else labels[row[by]],
        "role": role,
        "value": value,
        "lower": row.get("lower"),
        "upper": row.get("upper"),
        "bound_lower": row.get("bound_lower"),
        "bound_upper": row.get("bound_upper"),
        "availability": availability,
        "focused": not whole and row[by] in focused,
        "said_value": value_text(value, metric=metric) if value is not None else "not estimable",
        "said_interval": interval_text(row.get("lower"), row.get("upper"), metric=metric),
        "said_bounds": interval_text(row.get("bound_lower"), row.get("bound_upper"), metric=metric),
        "said_availability": value_text(availability, metric="availability") if availability is not None else "—",
        "said_n": count_text(n),
        "said_labelled": count_text(labelled),
        "said_reason": clean(row.get("reason"), limit=90) if row.get("reason") else "—",
    }
    if row.get("slot") is not None and not whole:
        made["pick"] = row["slot"]
    if "contribution" in row and role == "current":
        scale = 100 if is_share(metric) else 1
        parts = {"added": "contribution", "rate": "rate_effect", "mix": "mix_effect"}
        made |= {name: None if row[column] is None else scale * row[column] for name, column in parts.items()}
        made["moved"] = whole
    return made


def _say_added(rows: Sequence[theme.Row], *, metric: str) -> None:
    """Put into words what each slice adds, with as many digits as the largest part needs; the whole has no bar."""
    largest = max((abs(row["added"]) for row in rows if row.get("added") is not None and not row["moved"]), default=0.0)
    least = 1 if is_share(metric) else 3
    digits = least if not 1e-6 < largest < 1 else max(least, 1 - math.floor(math.log10(largest)))
    for row in rows:
        if "added" not in row:
            continue
        for name in ("added", "rate", "mix"):
            value = row[name] if name == "added" else row.pop(name)
            row[f"said_{name}"] = "" if value is None else _signed(value, digits)
        if row["moved"]:
            row["added"] = None


def _signed(value: float, digits: int) -> str:
    """A part with its sign; one that rounds to nothing is 0."""
    size = f"{abs(value):.{digits}f}"
    return f"{'−' if value < 0 else '+'}{size}" if float(size) else "0"


def slices_chart(
    lines: Lines,
    *,
    by: str,
    metric: str = "recall",
    stage: str | None = "final",
    title: str | None = None,
    subtitle: str = "",
    focused: Sequence[str | None] = (),
) -> Any:
    """Dot plot of a metric by slice: interval (line), worst case (pale bar); beside it what each adds, and n."""
    rows = slices_rows(lines, by=by, metric=metric, focused=focused)
    name = metric_name(metric)
    parts = [alt.layer(*_value_layers(metric, stage)).properties(width=310, height=alt.Step(_STEP))]
    if any(row.get("added") is not None for row in rows):
        parts.append(alt.layer(*_added_layers(metric)).properties(width=130, height=alt.Step(_STEP)))
    parts.append(alt.layer(*_availability_layers()).properties(width=90, height=alt.Step(_STEP)))
    spacing = 50 if len(parts) > 2 else 12
    chart = alt.hconcat(*parts, data=theme.data(rows), spacing=spacing)
    return theme.finish(chart, title=title or f"{name[:1].upper()}{name[1:]} by {clean(by)}", subtitle=subtitle or HOW)


def value_title(metric: str, stage: str | None) -> str:
    """The title of the value axis: metric and label stage."""
    return f"{metric_name(metric)} ({stage_name(stage)})"


def _y(*, labels: bool) -> alt.Y:
    axis = alt.Axis(labels=labels, labelColor=theme.INK, labelPadding=8, domain=False, grid=True, zindex=0)
    return alt.Y("slice:N", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.2))


def _ground(*, labels: bool) -> alt.Chart:
    """The line of each slice: it takes clicks, and is tinted where the slice is focused."""
    # Channels are named in full: Altair takes ten times as long to guess them.
    tint: Any = {"test": "datum.focused", "value": 0.15}
    shade = alt.OpacityValue(0.001, condition=tint)
    ground = alt.Chart().transform_filter("datum.first").mark_rect(color=theme.CURRENT, cursor="pointer")
    return ground.encode(y=_y(labels=labels), opacity=shade)


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
    chart = alt.Chart().encode(y=_y(labels=True), color=colour, tooltip=tooltip)
    return [
        _ground(labels=True),
        chart.transform_filter("isValid(datum.bound_lower)")
        .mark_rule(strokeWidth=8, opacity=0.18, yOffset=_BY_ROLE, cursor="pointer")
        .encode(x=alt.X("bound_lower:Q", scale=scale, axis=axis), x2=alt.X2("bound_upper")),
        chart.transform_filter("isValid(datum.lower)")
        .mark_rule(strokeWidth=2, yOffset=_BY_ROLE, cursor="pointer")
        .encode(x=alt.X("lower:Q"), x2=alt.X2("upper")),
        chart.transform_filter("isValid(datum.value)")
        .mark_point(filled=True, size=60, opacity=1, yOffset=_BY_ROLE, cursor="pointer")
        .encode(x=alt.X("value:Q", scale=scale, axis=axis)),
    ]


def _added_layers(metric: str) -> list[alt.Chart]:
    unit = " (points)" if is_share(metric) else ""
    axis = alt.Axis(title=f"adds to the change{unit}", tickCount=3, format="+~r")
    tooltip = theme.tips(
        ("slice", "slice"), ("said_added", "adds"), ("said_rate", "by its own rate"), ("said_mix", "by its share")
    )
    chart = alt.Chart().encode(y=_y(labels=False), tooltip=tooltip)
    return [
        _ground(labels=False),
        chart.transform_filter("isValid(datum.added)")
        .mark_bar(height=13, color=theme.CURRENT, cursor="pointer")
        .encode(x=alt.X("added:Q", stack=None, axis=axis)),
        chart.transform_filter("isValid(datum.said_added)")
        .mark_text(align="left", fontSize=10, fontWeight=alt.ExprRef("datum.moved ? 700 : 400"))
        .encode(x=alt.XValue(136), text=alt.Text("said_added:N"), color=alt.ColorValue(theme.FAINT, condition=_moved)),
    ]


def _availability_layers() -> list[alt.Chart]:
    colour = alt.Color("role:N", scale=theme.role_scale())
    axis = alt.Axis(format=".0%", title="labels available, n", values=[0, 1])
    tooltip = theme.tips(
        ("slice", "slice"), ("role", "period"), ("said_availability", "availability"), ("said_n", "predictions")
    )
    chart = alt.Chart().encode(y=_y(labels=False))
    return [
        _ground(labels=False),
        chart.mark_bar(height=7, opacity=0.75, yOffset=_BY_ROLE, cursor="pointer").encode(
            x=alt.X("availability:Q", stack=None, scale=alt.Scale(domain=[0, 1]), axis=axis),
            color=colour,
            tooltip=tooltip,
        ),
        chart.mark_text(align="left", fontSize=10, color=theme.FAINT, yOffset=_BY_ROLE).encode(
            x=alt.XValue(96), text=alt.Text("said_n:N")
        ),
    ]
