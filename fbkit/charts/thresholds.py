"""What another threshold would have given: recall, precision, flag rate and value with their bands."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, count_text, interval_text, metric_name, stage_name, value_text
from fbkit.schema.words import FAMILY_COLOURS

VALUE = "value_per_prediction"
_LINES = {"recall": theme.CURRENT, "precision": FAMILY_COLOURS["quality"], "flag_rate": theme.REFERENCE}


def threshold_rows(frame: pl.DataFrame, *, threshold: float | None = None) -> list[theme.Row]:
    """Rows of the curves; ``frame`` is a result of ``threshold_curve``, ``threshold`` the one in use."""
    rows: list[theme.Row] = []
    for row in frame.to_dicts():
        for metric in _LINES:
            lower, upper = row.get(f"{metric}_lower"), row.get(f"{metric}_upper")
            rows.append(
                {
                    "part": "point",
                    "threshold": row["threshold"],
                    "metric": metric_name(metric),
                    "value": row[metric],
                    "lower": lower,
                    "upper": upper,
                    "said_threshold": f"{row['threshold']:.3f}",
                    "said_value": value_text(row[metric]),
                    "said_interval": interval_text(lower, upper),
                    "said_n": count_text(row.get("n")),
                }
            )
        if row.get(VALUE) is not None:
            rows.append(_value_row(row))
    return [*rows, {"part": "now", "threshold": threshold}] if threshold is not None else rows


def _value_row(row: theme.Row) -> theme.Row:
    lower, upper = row.get(f"{VALUE}_lower"), row.get(f"{VALUE}_upper")
    known = lower is not None and upper is not None
    return {
        "part": "worth",
        "threshold": row["threshold"],
        "metric": metric_name(VALUE),
        "value": row[VALUE],
        "lower": lower,
        "upper": upper,
        "said_threshold": f"{row['threshold']:.3f}",
        "said_value": f"{row[VALUE]:,.4g}",
        "said_interval": f"{lower:,.4g} to {upper:,.4g}" if known else "—",
        "said_n": count_text(row.get("n")),
    }


def threshold_chart(
    frame: pl.DataFrame,
    *,
    threshold: float | None = None,
    currency: str | None = None,
    stage: str | None = "final",
    title: str = "What another threshold would give",
    subtitle: str = "",
) -> Any:
    """Recall, precision and flag rate against the threshold; the dashed line is the one in use.

    Beneath, where the contract says what each outcome is worth: the mean value of a prediction.
    """
    rows = threshold_rows(frame, threshold=threshold)
    names = [metric_name(metric) for metric in _LINES]
    colour = alt.Color("metric:N", scale=alt.Scale(domain=names, range=list(_LINES.values())))
    x = alt.X("threshold:Q", axis=alt.Axis(title="threshold on the score", format=".2~f"))
    y_axis = alt.Axis(format=".0%", title=f"share ({stage_name(stage)})", tickCount=5)
    y, low = (alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, 1]), axis=y_axis) for field in ("value", "lower"))
    base = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)").encode(x=x, color=colour)
    tooltip = _tips()
    band = base.transform_filter("isValid(datum.lower)").mark_area(opacity=0.14).encode(y=low, y2="upper:Q")
    line = base.mark_line(strokeWidth=2).encode(y=y)
    dots = base.mark_point(opacity=0, size=80).encode(y=y, tooltip=tooltip)
    shares = alt.layer(band, line, dots, _now()).properties(width=theme.WIDTH, height=220)
    worth = any(row["part"] == "worth" for row in rows)
    chart = alt.vconcat(shares, _worth(currency), spacing=14) if worth else shares
    finished = chart.properties(data=theme.data(rows))
    note = "dashed: the threshold in use; bands are intervals"
    return theme.finish(finished, title=title, subtitle=subtitle or note)


def _tips() -> list[alt.Tooltip]:
    return theme.tips(
        ("metric", "metric"),
        ("said_threshold", "threshold"),
        ("said_value", "value"),
        ("said_interval", "interval"),
        ("said_n", "labelled"),
    )


def _now() -> alt.Chart:
    return (
        alt.Chart()
        .transform_filter("datum.part === 'now'")
        .mark_rule(color=theme.INK, strokeDash=[4, 3])
        .encode(x="threshold:Q")
    )


def _worth(currency: str | None) -> Any:
    unit = f" ({clean(currency)})" if currency else ""
    x = alt.X("threshold:Q", axis=alt.Axis(title="threshold on the score", format=".2~f"))
    y_axis = alt.Axis(title=f"value per prediction{unit}", tickCount=4, format="~s")
    y, low = (alt.Y(f"{field}:Q", axis=y_axis) for field in ("value", "lower"))
    base = alt.Chart().transform_filter("datum.part === 'worth'").encode(x=x)
    colour = FAMILY_COLOURS["policy"]
    band = base.transform_filter("isValid(datum.lower)").mark_area(opacity=0.14, color=colour)
    return alt.layer(
        band.encode(y=low, y2="upper:Q"),
        base.mark_line(strokeWidth=2, color=colour).encode(y=y),
        base.mark_point(opacity=0, size=80).encode(y=y, tooltip=_tips()),
        _now(),
    ).properties(width=theme.WIDTH, height=120)


# The explorer's picture: one panel a measure, reference against current, with a handle that can be dragged -----------
HANDLE = "fbkit_threshold"
PANELS = ("recall", "precision", "flag_rate", VALUE)
_HEIGHT = 82
_DRAG = "pointerdown, [pointerdown, window:pointerup] > pointermove"


def panel_rows(
    curves: Mapping[str, pl.DataFrame],
    *,
    at: float,
    own: float | None = None,
    best: tuple[float, float | None, float | None] | None = None,
) -> list[theme.Row]:
    """Rows of the panels.

    ``curves`` are results of ``threshold_curve`` by role (reference, current), ``at`` is the place of the handle,
    ``own`` the threshold in use, ``best`` the chosen one and between which thresholds it cannot be told.
    """
    rows = [
        {"part": "curve", "role": role} | {name: _digits(row.get(name)) for name in _columns(frame)}
        for role, frame in curves.items()
        for row in frame.to_dicts()
    ]
    rows += [_handle_row(row) for row in rows if row["threshold"] == at]
    marks = {"own": (own, None, None), "best": best or (None, None, None)}
    rows += [
        {"part": part, "threshold": place, "low": low, "high": high}
        for part, (place, low, high) in marks.items()
        if place is not None
    ]
    return rows


def _columns(frame: pl.DataFrame) -> list[str]:
    names = [name + end for name in PANELS for end in ("", "_lower", "_upper")]
    return ["threshold", *(name for name in names if name in frame.columns)]


def _digits(value: float | None) -> float | None:
    """Enough digits for a picture: what travels stays small."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _handle_row(row: theme.Row) -> theme.Row:
    said = {f"said_{name}": f"{row['role']}  {value_said(row.get(name), metric=name)}" for name in PANELS}
    return row | {"part": "handle"} | said


def value_said(value: float | None, *, metric: str) -> str:
    """A panel's value as people read it: shares in percent, value in its own unit.

    >>> value_said(0.5, metric="recall"), value_said(-1.25, metric="value_per_prediction")
    ('50.0 %', '−1.25')
    """
    if metric != VALUE or value is None:
        return value_text(value)
    return f"{value:,.4g}".replace("-", "−")


def panels_chart(rows: Sequence[theme.Row], *, currency: str | None, stage: str, title: str, subtitle: str) -> Any:
    """Recall, precision, flag rate and (with prices) value against the threshold, reference and current.

    The solid line is the handle: the parameter ``fbkit_threshold`` follows the pointer while it is dragged, to the
    nearest threshold of the curve. Dashed is the threshold in use, the amber strip the chosen one.
    """
    priced = any(row.get(VALUE) is not None for row in rows)
    shown = PANELS if priced else PANELS[:-1]
    unit = f" ({clean(currency)})" if currency else ""
    titles = {"flag_rate": "flag rate", VALUE: f"value{unit}"}
    panels = [
        _panel(metric, title=titles.get(metric, metric), below=stage_name(stage) if metric == shown[-1] else None)
        for metric in shown
    ]
    drag = alt.TopLevelSelectionParameter(
        name=HANDLE,
        select=alt.PointSelectionConfig(
            type="point", encodings=["x"], nearest=True, on=_DRAG, clear=False, toggle=False
        ),
        views=[_view(metric) for metric in shown],
    )
    chart = alt.vconcat(*panels, spacing=12, params=[drag]).properties(data=theme.data(rows))
    return theme.finish(chart, title=title, subtitle=subtitle)


def _view(metric: str) -> str:
    return f"at_{metric}"


def _panel(metric: str, *, title: str, below: str | None) -> Any:
    """One measure: bands, lines, the marks of thresholds, the handle; ``below`` is what the lowest axis says."""
    x, y, low = _axes(metric, title=title, below=below)
    colour = alt.Color("role:N", scale=theme.role_scale())
    curve = alt.Chart().transform_filter(f"datum.part === 'curve' && isValid(datum.{metric})").encode(x=x, color=colour)
    band = curve.transform_filter(f"isValid(datum.{metric}_lower)").mark_area(opacity=0.16)
    number = ".1%" if metric != VALUE else ",.4~r"
    said = f"format(datum.{metric}_lower, '{number}') + ' to ' + format(datum.{metric}_upper, '{number}')"
    tooltip = [
        alt.Tooltip("role:N", title="period"),
        alt.Tooltip("threshold:Q", title="threshold", format=".4~r"),
        alt.Tooltip(f"{metric}:Q", title=title, format=number),
        alt.Tooltip("said_interval:N", title="interval"),
    ]
    near = (
        curve.transform_calculate(said_interval=f"isValid(datum.{metric}_lower) ? {said} : 'none'")
        .mark_point(opacity=0, size=60)
        .encode(y=y, tooltip=tooltip)
        .properties(name=_view(metric))
    )
    lines = [band.encode(y=low, y2=f"{metric}_upper:Q"), curve.mark_line(strokeWidth=2).encode(y=y)]
    layers = [*_strip(x), *lines, _rule("own", x), _rule("handle", x), *_held(metric, x=x, y=y, colour=colour), near]
    return alt.layer(*layers).properties(width=theme.WIDTH - 60, height=_HEIGHT)


def _axes(metric: str, *, title: str, below: str | None) -> tuple[alt.X, alt.Y, alt.Y]:
    last = below is not None
    under = f"threshold on the score ({below})" if last else None
    x_axis = alt.Axis(title=under, labels=last, ticks=last, format=".3~f")
    form = ".0%" if metric != VALUE else "~s"
    y_axis = alt.Axis(format=form, title=title, tickCount=3, titleAngle=0, titleAlign="right", titleX=-48)
    whole = metric in ("recall", "precision")
    scale = alt.Scale(domain=[0, 1]) if whole else alt.Scale(zero=metric != VALUE)
    y, low = (alt.Y(f"{name}:Q", axis=y_axis, scale=scale) for name in (metric, f"{metric}_lower"))
    return alt.X("threshold:Q", axis=x_axis, scale=alt.Scale(zero=False, nice=False)), y, low


def _strip(x: alt.X) -> list[Any]:
    """Where the chosen threshold may lie, and the chosen one in it."""
    base = alt.Chart().transform_filter("datum.part === 'best'")
    colour = FAMILY_COLOURS["labels"]
    strip = base.transform_filter("isValid(datum.low) && isValid(datum.high)").mark_rect(opacity=0.22, color=colour)
    return [strip.encode(x=alt.X("low:Q"), x2="high:Q"), base.mark_rule(color=colour, strokeWidth=2).encode(x=x)]


def _rule(part: str, x: alt.X) -> Any:
    base = alt.Chart().transform_filter(f"datum.part === '{part}'").encode(x=x)
    if part == "own":
        return base.mark_rule(color=theme.INK, strokeDash=[4, 3])
    return base.mark_rule(color=theme.INK, strokeWidth=1.6)


def _held(metric: str, *, x: alt.X, y: alt.Y, colour: alt.Color) -> list[Any]:
    """The dots on the handle, and their values beside the panel."""
    base = alt.Chart().transform_filter("datum.part === 'handle'")
    dot = base.transform_filter(f"isValid(datum.{metric})").mark_point(
        filled=True, size=64, opacity=1, stroke=theme.PAPER, strokeWidth=1
    )
    places = zip(theme.ROLE_NAMES, theme.ROLE_COLOURS, (-9, 9), strict=True)
    said = [
        base.transform_filter(f"datum.role === '{role}'")
        .mark_text(align="left", fontWeight=600 if role == "current" else 400, color=shade)
        .encode(x=alt.value(theme.WIDTH - 50), y=alt.value(_HEIGHT / 2 + shift), text=f"said_{metric}:N")
        for role, shade, shift in places
    ]
    return [dot.encode(x=x, y=y, color=colour), *said]
