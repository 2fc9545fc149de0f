"""The thresholds explorer's picture: one panel a measure, reference against current, and a handle to drag."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, interval_text, stage_name, value_text
from fbkit.schema.words import FAMILY_COLOURS

VALUE = "value_per_prediction"
HANDLE = "fbkit_threshold"
PANELS = ("recall", "precision", "flag_rate", VALUE)
NAMES = {"recall": "recall", "precision": "precision", "flag_rate": "flag rate", VALUE: "value"}
_HEIGHT = 82
_AMBER = FAMILY_COLOURS["labels"]
_DRAG = "pointerdown, [pointerdown, window:pointerup] > pointermove"


def curve_rows(curves: Mapping[str, pl.DataFrame]) -> list[theme.Row]:
    """Rows of the curves, which no move changes; ``curves`` are results of ``threshold_curve`` by role."""
    return [
        {"part": "curve", "role": role} | {name: _digits(value) for name, value in row.items()}
        for role, frame in curves.items()
        for row in frame.select(_columns(frame)).to_dicts()
    ]


def panel_rows(
    curves: Sequence[theme.Row],
    *,
    at: float,
    own: float | None = None,
    best: tuple[float, float | None, float | None] | None = None,
) -> list[theme.Row]:
    """Rows of the panels.

    ``curves`` are those of :func:`curve_rows`, ``at`` is the place of the handle, ``own`` the threshold in use,
    ``best`` the chosen one and between which thresholds it cannot be told.
    """
    place = _digits(at)
    handle = [_handle_row(row) for row in curves if row["threshold"] == place]
    marks = {"own": (own, None, None), "best": best or (None, None, None)}
    return [
        *curves,
        *handle,
        *(
            {"part": part, "threshold": threshold, "low": low, "high": high}
            for part, (threshold, low, high) in marks.items()
            if threshold is not None
        ),
    ]


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
    return value_text(value) if metric != VALUE or value is None else _money(value)


def between_said(lower: float | None, upper: float | None, *, metric: str) -> str:
    """An interval in the unit of :func:`value_said`; empty where there is none."""
    if lower is None or upper is None:
        return ""
    return interval_text(lower, upper) if metric != VALUE else f"{_money(lower)} to {_money(upper)}"


def _money(value: float, *, signed: bool = False) -> str:
    return f"{value:+,.3g}".replace("-", "−") if signed else f"{value:,.3g}".replace("-", "−")


def title_of(metric: str, currency: str | None) -> str:
    """A panel's name; the value's with its currency."""
    unit = f" ({clean(currency)})" if currency else ""
    return f"value per prediction{unit}" if metric == VALUE else NAMES[metric]


def move_said(move: Mapping[str, Any] | None, *, currency: str | None) -> str:
    """What a threshold changes against the one in use, from a row of ``threshold_moves``; empty without one."""
    if move is None:
        return ""
    own = f"Against {move['threshold_before']:.4g}, the threshold in use"
    if move["threshold"] == move["threshold_before"]:
        return "It is the threshold in use"
    hits, slips, flags = (_more(move[f"more_{name}"]) for name in ("true_positives", "false_positives", "flagged"))
    said = f"{own}: {hits} true positives, {slips} false positives among the labelled, {flags} flags in all"
    if move["value"] is None:
        return said
    unit = f" {clean(currency)}" if currency else ""
    between = (
        ""
        if move["lower"] is None
        else f" ({_money(move['lower'], signed=True)} to {_money(move['upper'], signed=True)})"
    )
    return f"{said}, value {_money(move['value'], signed=True)}{unit}{between} per prediction"


def _more(count: float) -> str:
    return f"{count:+,.0f}".replace("-", "−")


def best_said(
    best: Mapping[str, Any], between: tuple[float | None, float | None], *, target: str, currency: str | None
) -> str:
    """The chosen threshold with its range, and what it gives now; ``best`` is a row of ``choose_threshold``."""
    aim = "most value" if target == "value" else f"a {target} of at least {value_text(best.get('at_least'))}"
    if best.get("threshold") is None:
        return f"For {aim} there is no threshold: {clean(best.get('reason') or 'not estimable', limit=200)}"
    low, high = between
    spread = "" if low is None or high is None or low == high else f" ({low:.4g} to {high:.4g} cannot be told apart)"
    chosen = f"For {aim} the reference chooses {best['threshold']:.4g}{spread}"
    metric = VALUE if target == "value" else target
    if best.get("value") is None:
        return f"{chosen}; what it gives now is not estimable"
    unit = f" {clean(currency)} per prediction" if target == "value" and currency else ""
    held = between_said(best.get("lower"), best.get("upper"), metric=metric)
    return f"{chosen}; now it gives {value_said(best['value'], metric=metric)}{unit}{f' ({held})' if held else ''}"


def panels_chart(
    rows: Sequence[theme.Row], *, priced: bool, currency: str | None, stage: str, title: str, subtitle: str
) -> Any:
    """Recall, precision, flag rate and (``priced``) value against the threshold, reference and current.

    The solid line is the handle: the parameter ``fbkit_threshold`` follows the pointer while it is dragged, to the
    nearest threshold of the curve. Dashed is the threshold in use, the amber strip the chosen one.
    """
    shown = PANELS if priced else PANELS[:-1]
    unit = f" ({clean(currency)})" if currency else ""
    panels = [
        _panel(
            metric,
            title=NAMES[metric] + (unit if metric == VALUE else ""),
            below=stage_name(stage) if metric == shown[-1] else None,
        )
        for metric in shown
    ]
    finished = theme.finish(alt.vconcat(*panels, spacing=12), title=title, subtitle=subtitle)
    # Altair gives the views of joined charts names of its own; the last layer of each panel is the one to drag on.
    finished.params = [_drag([panel.layer[-1].name for panel in finished.vconcat])]
    finished.data = theme.data(rows)  # last: every step before copies what the chart holds
    return finished


def _drag(views: list[str]) -> alt.TopLevelSelectionParameter:
    """The handle as a parameter: the threshold of the curve that is nearest to the pressed pointer."""
    select = alt.PointSelectionConfig(type="point", encodings=["x"], nearest=True, on=_DRAG, clear=False, toggle=False)
    return alt.TopLevelSelectionParameter(name=HANDLE, select=select, views=views)


def _panel(metric: str, *, title: str, below: str | None) -> Any:
    """One measure: bands, lines, the marks of thresholds, the handle; ``below`` is what the lowest axis says."""
    x, y, low = _axes(metric, title=title, below=below)
    colour = alt.Color("role:N", scale=theme.role_scale())
    curve = alt.Chart().transform_filter(f"datum.part === 'curve' && isValid(datum.{metric})").encode(x=x, color=colour)
    band = curve.transform_filter(f"isValid(datum.{metric}_lower)").mark_area(opacity=0.16)
    near = curve.mark_point(opacity=0, size=60).encode(y=y, tooltip=_tooltip(metric)).properties(name=f"at_{metric}")
    lines = [band.encode(y=low, y2=f"{metric}_upper:Q"), curve.mark_line(strokeWidth=2).encode(y=y)]
    layers = [_strip(), *lines, _rules(x), *_held(metric, x=x, y=y, colour=colour), near]
    return alt.layer(*layers).properties(width=theme.WIDTH - 60, height=_HEIGHT)


def _tooltip(metric: str) -> alt.TooltipValue:
    """Period, threshold, value and interval of the nearest point: Vega-Lite forgets the words of a nearest one."""
    at, number = "(datum.datum || datum)", ".1%" if metric != VALUE else ",.4~r"
    ends = [f"format({at}.{metric}_{end}, '{number}')" for end in ("lower", "upper")]
    parts = {
        "period": f"{at}.role",
        "threshold": f"format({at}.threshold, '.4~r')",
        NAMES[metric]: f"format({at}.{metric}, '{number}')",
        "interval": f"isValid({at}.{metric}_lower) ? {ends[0]} + ' to ' + {ends[1]} : 'none'",
    }
    said = ", ".join(f"'{name}': {expression}" for name, expression in parts.items())
    return alt.TooltipValue(alt.ExprRef(expr=f"{{{said}}}"))


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


def _strip() -> Any:
    """Between which thresholds the chosen one may lie."""
    known = alt.Chart().transform_filter("datum.part === 'best' && isValid(datum.low) && isValid(datum.high)")
    return known.mark_rect(opacity=0.22, color=_AMBER).encode(x=alt.X("low:Q"), x2="high:Q")


def _rules(x: alt.X) -> Any:
    """The handle, the threshold in use (dashed) and the chosen one (amber)."""
    once = "datum.part === 'own' || datum.part === 'best' || (datum.part === 'handle' && datum.role === 'current')"
    base = alt.Chart().transform_filter(once)
    return base.mark_rule(strokeWidth=1.8).encode(
        x=x,
        color=alt.condition("datum.part === 'best'", alt.value(_AMBER), alt.value(theme.INK)),
        strokeDash=alt.condition("datum.part === 'own'", alt.value([4, 3]), alt.value([1, 0])),
    )


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
