"""Truth bands as pictures: one number under every assumption, the same over time, and the curve of odds ratios."""

import math
from typing import Any, Final, Literal

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
from fbkit.schema import bands
from fbkit.schema.words import FAMILY_COLOURS

_SAID: Final = {
    bands.LABELLED: "labelled rows only",
    bands.WORST_CASE: "no assumption (worst case)",
    bands.MORE: "unlabelled at least as often positive",
    bands.LESS: "unlabelled at most as often positive",
    bands.AT_RANDOM: "missing at random within cells",
    bands.EXPECTED: "scores alone (CBPE)",
}
_WORST: Final = "worst case"
_BETWEEN: Final = "odds ratios"
_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_NOTE: Final = "bar: what the assumption allows; thin line: with sampling uncertainty"


def band_rows(frame: pl.DataFrame, *, metric: str) -> list[theme.Row]:
    """One row per assumption; ``frame`` is a result of ``truth_bands`` for one metric and one cell."""
    return [_row(row, metric) for row in frame.to_dicts() if not str(row[bands.ASSUMPTION]).startswith("to reach")]


def _row(row: dict[str, Any], metric: str) -> theme.Row:
    assumption = str(row[bands.ASSUMPTION])
    point = assumption == bands.LABELLED
    return {
        "part": "line",
        "assumption": _SAID.get(assumption, clean(assumption)),
        "value": row["value"],
        # Beside the labelled rows stands the worst case, which has a line of its own.
        "low": None if point else row["bound_lower"],
        "high": None if point else row["bound_upper"],
        "from": row[bands.BAND_LOWER],
        "to": row[bands.BAND_UPPER],
        "delta": row[bands.DELTA],
        "at": epoch_ms(row["period_start"]) if row.get("period_start") else None,
        "end": epoch_ms(row["period_end"]) if row.get("period_end") else None,
        "said_period": day_text(row.get("period_start")),
        "said_value": value_text(row["value"], metric=metric) if row["value"] is not None else "a range only",
        "said_range": interval_text(row["bound_lower"], row["bound_upper"], metric=metric),
        "said_band": interval_text(row[bands.BAND_LOWER], row[bands.BAND_UPPER], metric=metric),
        "said_n": f"{count_text(row['n_labelled'])} labelled of {count_text(row['n'])}",
        "said_reason": clean(row["reason"]) if row.get("reason") else "—",
    }


_TOOLTIP: Final = (
    ("assumption", "assumption"),
    ("said_value", "value"),
    ("said_range", "range"),
    ("said_band", "with sampling uncertainty"),
    ("said_n", "rows"),
    ("said_reason", "note"),
)


def bands_chart(
    frame: pl.DataFrame, *, metric: str = "recall", stage: str | None = "final", title: str | None = None,
    subtitle: str = "",
) -> Any:  # fmt: skip
    """One metric of one cell under every assumption, a line each."""
    rows = band_rows(frame, metric=metric)
    name = metric_name(metric)
    order = list(dict.fromkeys(row["assumption"] for row in rows))
    # The domain by hand: an assumption without a number has a line, too.
    y = alt.Y(
        "assumption:N",
        scale=alt.Scale(domain=order),
        sort=order,
        axis=alt.Axis(title=None, labelLimit=300, labelColor=theme.INK),
    )
    axis = alt.Axis(format=number_format(metric), title=f"{name} ({stage_name(stage)})", tickCount=6)
    scale = alt.Scale(zero=False)
    base = alt.Chart().encode(y=y)
    known = base.transform_filter("isValid(datum.from)")
    thin = known.mark_rule(strokeWidth=2, color=theme.REFERENCE).encode(
        x=alt.X("from:Q", scale=scale, axis=axis), x2="to:Q"
    )
    bar = (
        base.transform_filter("isValid(datum.low)")
        .mark_bar(height=11, color=theme.CURRENT, opacity=0.5)
        .encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", tooltip=theme.tips(*_TOOLTIP))
    )
    dot = (
        base.transform_filter("isValid(datum.value)")
        .mark_point(size=64, filled=True, opacity=1, color=theme.CURRENT)
        .encode(x=alt.X("value:Q", scale=scale, axis=axis), tooltip=theme.tips(*_TOOLTIP))
    )
    chart = alt.layer(thin, bar, dot, data=theme.data(rows)).properties(width=theme.WIDTH, height=alt.Step(26))
    heading = title or f"{name[:1].upper()}{name[1:]}, by what one assumes about the missing labels"
    return theme.finish(chart, title=heading, subtitle=subtitle or _NOTE)


def bands_over_time_chart(
    frame: pl.DataFrame, *, metric: str = "recall", stage: str | None = "final", title: str | None = None,
    subtitle: str = "",
) -> Any:  # fmt: skip
    """One metric by period: worst case and odds-ratio range as bands, what is estimated as points and lines."""
    rows = [row | {"part": _kind(row["assumption"])} for row in band_rows(frame, metric=metric)]
    name = metric_name(metric)
    names = [_SAID[key] for key in (bands.LABELLED, bands.AT_RANDOM, bands.EXPECTED)]
    drawn = {row["assumption"] for row in rows if row["value"] is not None}
    shown = [each for each in names if each in drawn]
    colours = dict(zip(names, (theme.CURRENT, FAMILY_COLOURS["mix"], FAMILY_COLOURS["quality"]), strict=True))
    colour = alt.Color("assumption:N", scale=alt.Scale(domain=shown, range=[colours[each] for each in shown]))
    day = alt.Axis(format="%-d %b", title="day of prediction (UTC)", tickCount=8)
    x = alt.X("at:T", scale=alt.Scale(type="utc"), axis=day)
    axis = alt.Axis(format=number_format(metric), title=f"{name} ({stage_name(stage)})", tickCount=6)
    y = alt.Y("value:Q", scale=alt.Scale(zero=False), axis=axis)
    tooltip = theme.tips(("said_period", "from"), *_TOOLTIP)
    layers: list[alt.Chart] = []
    for part, opacity in ((_WORST, 0.22), (_BETWEEN, 0.5)):
        band = alt.Chart().transform_filter(f"datum.part === '{part}' && isValid(datum.low)")
        area = band.mark_rect(color=theme.OTHER, opacity=opacity)
        layers.append(area.encode(x=x, x2="end:T", y=alt.Y("low:Q", axis=axis), y2="high:Q", tooltip=tooltip))
    middle = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)")
    middle = middle.transform_calculate(middle="(datum.at + datum.end) / 2")
    at = alt.X("middle:T", scale=alt.Scale(type="utc"), axis=day)
    layers.append(
        middle.mark_rule(strokeWidth=2, opacity=0.75).encode(x=at, y=alt.Y("from:Q"), y2="to:Q", color=colour)
    )
    layers.append(middle.mark_line(strokeWidth=1.5).encode(x=at, y=y, color=colour))
    layers.append(middle.mark_point(size=48, filled=True, opacity=1).encode(x=at, y=y, color=colour, tooltip=tooltip))
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=theme.WIDTH + 80, height=240)
    note = "light: whatever the missing labels are; dark: within the odds ratios; whiskers: intervals"
    return theme.finish(
        chart, title=title or f"{name[:1].upper()}{name[1:]} and its truth bands", subtitle=subtitle or note
    )


def _kind(said: str) -> str:
    if said in (_SAID[bands.LABELLED], _SAID[bands.AT_RANDOM], _SAID[bands.EXPECTED]):
        return "point"
    return _WORST if said == _SAID[bands.WORST_CASE] else _BETWEEN if ".." in said else "other"


def delta_rows(frame: pl.DataFrame, *, metric: str) -> list[theme.Row]:
    """Rows of the curve: a point per odds ratio, the worst case, and the break-even where one was asked for."""
    rows: list[theme.Row] = []
    for row in frame.to_dicts():
        assumption, made = str(row[bands.ASSUMPTION]), _row(row, metric)
        delta = row[bands.DELTA]
        if bands.one_odds_ratio(assumption) or assumption == bands.AT_RANDOM:
            rows.append(made | {"part": "curve", "said_delta": _odds(delta)})
        elif assumption == bands.WORST_CASE:
            rows.append(made | {"part": _WORST})
        elif assumption.startswith("to reach") and "pattern" not in assumption and delta is not None:
            said = f"{value_text(row['value'], metric=metric)} at {_odds(delta)}"
            rows.append(made | {"part": "reach", "said_delta": _odds(delta), "said_reach": said})
    return sorted(rows, key=lambda row: (row["part"], row["delta"] or 0.0))


def _said_reach(reach: alt.Chart, side: Literal["left", "right"]) -> alt.Chart:
    """The break-even in words, towards the middle of the picture."""
    mine = reach.transform_filter("datum.delta < 1" if side == "left" else "datum.delta >= 1")
    shift = 8 if side == "left" else -8
    return mine.mark_text(align=side, dx=shift, dy=-12, color=theme.INK).encode(text="said_reach:N")


def _odds(delta: float) -> str:
    return f"odds ratio {delta:.3g}" if math.isfinite(delta) else "—"


def delta_chart(
    frame: pl.DataFrame, *, metric: str = "recall", stage: str | None = "final", title: str | None = None,
    subtitle: str = "",
) -> Any:  # fmt: skip
    """The metric against one odds ratio for all cells; dashed the worst case, a cross the value to reach."""
    rows = delta_rows(frame, metric=metric)
    name = metric_name(metric)
    x_axis = alt.Axis(title="odds of a positive: unlabelled against labelled rows (ratio)", format="~g", values=_TICKS)
    x = alt.X("delta:Q", scale=alt.Scale(type="log", nice=False), axis=x_axis)
    axis = alt.Axis(format=number_format(metric), title=f"{name} ({stage_name(stage)})", tickCount=6)
    y, low = (alt.Y(f"{field}:Q", scale=alt.Scale(zero=False), axis=axis) for field in ("value", "from"))
    curve = alt.Chart().transform_filter("datum.part === 'curve' && isValid(datum.value)").encode(x=x)
    tooltip = theme.tips(("said_delta", "odds ratio"), *_TOOLTIP[1:])
    worst = alt.Chart().transform_filter(f"datum.part === '{_WORST}' && isValid(datum.low)")
    reach = alt.Chart().transform_filter("datum.part === 'reach'")
    dashed = worst.mark_rule(color=theme.REFERENCE, strokeDash=[4, 3])
    curve_area = curve.transform_filter("isValid(datum.from)").mark_area(opacity=0.16, color=theme.CURRENT)
    cross = reach.mark_point(shape="cross", size=90, filled=True, opacity=1, color=theme.INK)
    layers = [
        curve_area.encode(y=low, y2="to:Q"),
        dashed.encode(y=alt.Y("low:Q")),
        dashed.encode(y=alt.Y("high:Q")),
        curve.mark_line(strokeWidth=2, color=theme.CURRENT).encode(y=y),
        curve.mark_point(opacity=0, size=90).encode(y=y, tooltip=tooltip),
        cross.encode(x=x, y=y, tooltip=tooltip),
        *(_said_reach(reach, side).encode(x=x, y=y) for side in ("left", "right")),
    ]  # fmt: skip
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=theme.WIDTH, height=240)
    note = "1: missing at random in cells; dashed: worst case; shaded: interval"
    heading = title or f"{name[:1].upper()}{name[1:]}, if unlabelled rows differ from labelled ones"
    return theme.finish(chart, title=heading, subtitle=subtitle or note)
