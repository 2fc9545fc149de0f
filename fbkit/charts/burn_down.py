"""Labels missing to the promise, day by day: what was seen, what mature cohorts lacked, what is to be expected."""

from datetime import datetime
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.changes import Changes, change_rows, changes_layer
from fbkit.charts.text import count_text, day_text, epoch_ms
from fbkit.schema import results

SEEN, USUAL, AHEAD = "this cohort", "mature cohorts", "forecast"
_COLOURS = {SEEN: theme.CURRENT, USUAL: theme.REFERENCE, AHEAD: "#e69f00"}
_DASHES = {USUAL: [5, 3], AHEAD: [2, 2], SEEN: [1, 0]}


def burn_down_rows(frame: pl.DataFrame, *, changes: Changes = None) -> list[theme.Row]:
    """Rows of the burn-down chart of one cohort: ``point`` lines of three kinds, the dates, changes.

    ``frame`` is one cohort of a result of ``burn_down``: as_of, n_labelled, n_missing, expected and forecast with their
    intervals, n_needed, period_start, period_end.
    """
    lines = frame.to_dicts()
    if not lines:
        return []
    start, end = lines[0]["as_of"], lines[-1]["as_of"]
    seen = [line["as_of"] for line in lines if line["n_labelled"] is not None]
    open_yet = bool(seen) and seen[-1] < end
    # What was seen is drawn last, on top of what it is compared with.
    kinds = {USUAL: "expected", **({AHEAD: "forecast"} if open_yet else {}), SEEN: results.N_MISSING}
    rows = [
        _point(line, kind, line[column], line.get(f"{column}_lower"), line.get(f"{column}_upper"))
        for kind, column in kinds.items()
        for line in lines
        if line[column] is not None
    ]
    dates: theme.Row = {"part": "dates", "due": epoch_ms(end), "said_due": f"due {_short(end)}", "zero": 0}
    if open_yet:
        dates |= {"now": epoch_ms(seen[-1]), "said_now": f"known until {_short(seen[-1])}"}
    dates |= {"from": epoch_ms(start), "to": epoch_ms(lines[0]["period_end"])}
    return [dates, *rows, *change_rows(changes, start=start, end=end, width=theme.WIDTH)]


def _short(moment: datetime) -> str:
    return f"{moment.day} {moment:%b}"


def _point(line: dict[str, Any], kind: str, missing: float, lower: float | None, upper: float | None) -> theme.Row:
    ends = "—" if lower is None or upper is None else f"{count_text(round(lower))} to {count_text(round(upper))}"
    return {
        "part": "point",
        "kind": kind,
        "at": epoch_ms(line["as_of"]),
        "value": missing,
        "lower": lower,
        "upper": upper,
        "said_at": day_text(line["as_of"]),
        "said_value": count_text(round(missing)),
        "said_interval": ends,
        "said_needed": f"{count_text(line['n_needed'])} of {count_text(line['n'])}",
    }


def burn_down_chart(
    frame: pl.DataFrame, *, changes: Changes = None, title: str = "Labels missing to the promise", subtitle: str = ""
) -> Any:
    """Lines of labels missing at each midnight; bands are intervals; at zero the promise is reached."""
    rows = burn_down_rows(frame, changes=changes)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())))
    x = alt.X(
        "at:T",
        scale=alt.Scale(type="utc", nice=False),
        axis=alt.Axis(format="%-d %b", title="known at midnight (UTC)", tickCount=8),
    )
    y = alt.Y("value:Q", axis=alt.Axis(format=",.0f", tickMinStep=1, title="labels still missing", tickCount=6))
    points = alt.Chart().transform_filter("datum.part === 'point'").encode(x=x, color=colour)
    tooltip = theme.tips(
        ("kind", "line"),
        ("said_at", "known at midnight of"),
        ("said_value", "labels missing"),
        ("said_interval", "interval"),
        ("said_needed", "promised labels"),
    )
    dates = alt.Chart().transform_filter("datum.part === 'dates'")
    layers = [
        dates.mark_rect(color=theme.CURRENT, opacity=0.06).encode(x="from:T", x2="to:T"),
        points.transform_filter("isValid(datum.lower)").mark_area(opacity=0.16).encode(y="lower:Q", y2="upper:Q"),
        *(
            points.transform_filter(f"datum.kind === '{kind}'").mark_line(strokeWidth=2, strokeDash=dash).encode(y=y)
            for kind, dash in _DASHES.items()
        ),
        points.mark_point(filled=True, size=24, opacity=1).encode(y=y, tooltip=tooltip),
        dates.mark_rule(color=theme.INK, strokeWidth=1.2).encode(y="zero:Q"),
        *(layer for name in ("due", "now") for layer in _date(dates, name)),
        *changes_layer(),
    ]
    chart = alt.layer(*layers, data=theme.data(rows)).properties(width=theme.WIDTH, height=240)
    return theme.finish(
        chart,
        title=title,
        subtitle=subtitle or "bands: spread between mature cohorts; shaded: the cohort's days; zero: promise kept",
    )


def _date(dates: alt.Chart, name: str) -> list[alt.Chart]:
    there = dates.transform_filter(f"isValid(datum.{name})").encode(x=f"{name}:T")
    told = there.mark_text(align="right", baseline="top", dx=-4, fontSize=11, color=theme.INK)
    rule = there.mark_rule(color=theme.INK, strokeWidth=1.2, strokeDash=[1, 0] if name == "due" else [2, 2])
    return [rule, told.encode(y=alt.value(4 if name == "due" else 20), text=f"said_{name}:N")]
