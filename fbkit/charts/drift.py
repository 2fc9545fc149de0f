"""Did the inputs or the scores move: a ranked table with sparklines, two distributions, and the day it changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.calibration import part
from fbkit.charts.changes import ALARM, Changes, changes_layer
from fbkit.charts.drift_column import (
    axis_title,
    day_rows,
    days_part,
    distribution_part,
    distribution_rows,
    psi_text,
    short_day,
    since_text,
)
from fbkit.charts.text import clean, count_text, distinct, epoch_ms, value_text

LINES: Final = 12
NOTE: Final = "in brackets and grey: what chance alone gives up to"
_BEYOND, _WITHIN = "beyond chance", "within chance"
_COLOURS: Final = {_BEYOND: ALARM, _WITHIN: theme.OTHER}
_STEP, _WIDE = 25, 884
# Where the columns of the table begin, in pixels.
_BAR, _PSI, _KS, _P, _N, _SPARK, _SINCE = (152, 202), 210, 306, 434, 488, (598, 712), 724
_CELLS: Final = (
    (0, "column", "column"),
    (_PSI, "said_psi", "PSI (by chance up to)"),
    (_KS, "said_ks", "KS distance"),
    (_P, "said_p", "adj. p"),
    (_N, "said_n", "n, reference → now"),
    (_SINCE, "said_since", "changed on"),
)


def ranked(frame: pl.DataFrame) -> pl.DataFrame:
    """The lines of ``drift``, the furthest first; what is not estimable last."""
    return frame.sort("psi", "column", descending=[True, False], nulls_last=True)


def beyond_chance(frame: pl.DataFrame) -> list[str]:
    """The columns whose drift is larger than chance explains, the furthest first."""
    return [row["column"] for row in ranked(frame).to_dicts() if _is_beyond(row)]


def _is_beyond(row: Mapping[str, Any]) -> bool:
    psi, null, adjusted = row["psi"], row.get("psi_null_95"), row.get("p_adjusted")
    return adjusted < 0.05 if adjusted is not None else (psi is not None and null is not None and psi > null)


def drift_rows(
    frame: pl.DataFrame,
    *,
    series: pl.DataFrame | None = None,
    changed: pl.DataFrame | None = None,
    chosen: str | None = None,
    limit: int = LINES,
) -> list[theme.Row]:
    """Rows of the ranked table: the ``limit`` columns with the largest PSI.

    ``frame`` is a result of ``drift``; ``series`` and ``changed`` are those of ``drift_days``; ``chosen`` is the column
    whose line is marked. ``pick`` is the line's place in :func:`ranked`.
    """
    lines = ranked(frame).to_dicts()
    labels = distinct(row["column"] for row in lines)
    most = max((row["psi"] or 0.0 for row in lines), default=0.0) or 1.0
    since = {row["column"]: row for row in changed.iter_rows(named=True)} if changed is not None else {}
    weeks = {} if series is None else series.filter(pl.col("grain") == "1w").partition_by("column", as_dict=True)
    rows: list[theme.Row] = []
    for place, row in enumerate(lines[:limit]):
        rows.append(_line(row, place, labels[row["column"]], most=most, since=since.get(row["column"])))
        rows[-1]["chosen"] = row["column"] == chosen
        rows += _spark(weeks.get((row["column"],)), place, since.get(row["column"]))
    # The head of the PSI column stands over its bars.
    heads = [
        {"part": "head", "at": _BAR[0] if left == _PSI else left, "mid": 0.5, "said": said} for left, _, said in _CELLS
    ]
    return rows + heads


def _line(row: Mapping[str, Any], place: int, label: str, *, most: float, since: Mapping[str, Any] | None) -> theme.Row:
    psi, null, ks = row["psi"], row.get("psi_null_95"), row.get("ks")
    lower, upper = row.get("ks_lower"), row.get("ks_upper")
    between = "" if lower is None or upper is None else f"  [{lower:.3f}, {upper:.3f}]"
    chance = "" if null is None else f"  ({psi_text(null)})"
    return {
        "part": "line",
        "pick": place,
        "y": place,
        "to": place + 1,
        "mid": place + 0.5,
        "column": clean(label, limit=20),
        "whole": label,
        "bar": 0.0 if psi is None else psi / most,
        "verdict": _BEYOND if _is_beyond(row) else _WITHIN,
        "said_psi": "not estimable" if psi is None else f"{psi_text(psi)}{chance}",
        "said_ks": "—" if ks is None else f"{ks:.3f}{between}",
        "said_p": _p_text(row.get("p_adjusted")),
        "said_n": f"{count_text(row.get('n_reference'))} → {count_text(row.get('n_current'))}",
        "said_nulls": f"{value_text(row.get('null_rate_reference'))} → {value_text(row.get('null_rate_current'))}",
        "said_since": since_text(since),
        "said_reason": clean(row["reason"], limit=90) if row.get("reason") else "—",
    }


def _spark(series: pl.DataFrame | None, place: int, since: Mapping[str, Any] | None) -> list[theme.Row]:
    """PSI by week inside the line's height, and the day it changed; each line has its own scale."""
    if series is None:
        return []
    known = [week for week in series.iter_rows(named=True) if week["psi"] is not None]
    most = max((max(week["psi"], 2 * (week["psi_null_95"] or 0.0)) for week in known), default=0.0) or 1.0

    def height(psi: float) -> float:
        return place + 0.88 - 0.74 * psi / most

    rows: list[theme.Row] = [
        {
            "part": "spark",
            "pick": place,
            "line": place,
            "at": (epoch_ms(week["period_start"]) + epoch_ms(week["period_end"])) // 2,
            "y": height(week["psi"]),
            "null": height(week["psi_null_95"] or 0.0),
            "foot": height(0.0),
            "said_week": f"{short_day(week['period_start'])} to {short_day(week['period_end'])}",
            "said_psi": psi_text(week["psi"]),
            "said_null": psi_text(week["psi_null_95"]),
            "said_n": count_text(week["n"]),
        }
        for week in known
    ]
    if since is not None and since["day"] is not None and rows:
        rows.append({"part": "since", "at": epoch_ms(since["day"]), "y": place + 0.1, "to": place + 0.9})
    return rows


def _p_text(p: float | None) -> str:
    if p is None:
        return "—"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def drift_chart(
    frame: pl.DataFrame,
    *,
    series: pl.DataFrame,
    changed: pl.DataFrame,
    bars: pl.DataFrame,
    column: str,
    windows: Sequence[tuple[datetime, datetime, str]] = (),
    changes: Changes = None,
    title: str = "What moved between the periods",
    subtitle: str = "",
    limit: int = LINES,
) -> Any:
    """The ranked table, and beneath it the two distributions of one column and its PSI by day."""
    own = next((row for row in changed.iter_rows(named=True) if row["column"] == column), None)
    table = drift_rows(frame, series=series, changed=changed, chosen=column, limit=limit)
    below = distribution_rows(bars) + day_rows(series, column=column, since=own, windows=windows, changes=changes)
    lines = sum(row["part"] == "line" for row in table)
    # One beneath the other: with its brush in a row of a column Vega stumbles when the rows are exchanged.
    parts = table_part(lines), distribution_part(axis_title(column, bars)), days_part()
    chart = alt.vconcat(*parts, spacing=18, resolve=theme.apart("color"))
    return theme.finish(chart, title=title, subtitle=subtitle or NOTE, rows=table + below)


def table_part(lines: int) -> Any:
    """The ranked table of so many lines."""
    scale = alt.Scale(domain=[0, max(lines, 1)], reverse=True, nice=False)
    row = part("line")

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=scale, axis=None)

    colour = alt.Color("verdict:N", scale=alt.Scale(domain=list(_COLOURS), range=list(_COLOURS.values())))
    tooltip = theme.tips(
        ("whole", "column"), ("verdict", "PSI"), ("said_nulls", "null rate"), ("said_n", "n"), ("said_reason", "note")
    )
    back = row.mark_rect(cursor="pointer", color=theme.CURRENT).encode(
        x=alt.value(-6), x2=alt.value(_WIDE), y=y("y"), y2=alt.Y2("to:Q"), tooltip=tooltip,
        opacity=alt.condition("datum.chosen", alt.value(0.1), alt.value(0.001)),
    )  # fmt: skip
    bar = row.mark_bar(height=11, cornerRadiusEnd=2, cursor="pointer").encode(
        x=alt.X("bar:Q", scale=alt.Scale(domain=[0, 1], range=list(_BAR)), axis=None),
        x2=alt.datum(0),
        y=y("mid"),
        color=colour,
    )
    pixels = alt.Scale(domain=[0, _WIDE], range=[0, _WIDE], nice=False)
    at = "{" + ", ".join(f"'{field}': {left}" for left, field, _ in _CELLS) + "}[datum.key]"
    cells = row.transform_fold([field for _, field, _ in _CELLS]).transform_calculate(at=at)
    told = cells.mark_text(align="left", fontSize=12, cursor="pointer", color=theme.INK)
    heads = part("head").mark_text(align="left", fontSize=11, color=theme.FAINT, dy=-22)
    x = alt.X("at:Q", scale=pixels, axis=None)
    texts = [
        told.encode(x=x, y=y("mid"), text=alt.Text("value:N"), tooltip=tooltip),
        heads.encode(x=x, y=y("mid"), text=alt.Text("said:N")),
    ]
    size: dict[str, Any] = {"width": _WIDE, "height": _STEP * max(lines, 1)}
    return alt.layer(back, bar, *texts, *_spark_layers(y), resolve=theme.apart("x"), **size)


def _spark_layers(y: Any) -> list[alt.Chart]:
    axis = alt.Axis(
        orient="top", title="PSI by week", format="%-d %b", tickCount=2, grid=False, labelFontSize=10, titleFontSize=11,
        labelFlush=True, titlePadding=2, labelOverlap="greedy", labelSeparation=14,
    )  # fmt: skip
    x = alt.X("at:T", scale=alt.Scale(type="utc", range=list(_SPARK)), axis=axis)
    spark = part("spark")
    tips = theme.tips(("said_week", "week"), ("said_psi", "PSI"), ("said_null", "by chance up to"), ("said_n", "n"))
    chance = spark.mark_area(opacity=0.55, color=theme.RULE).encode(
        x=x, y=y("null"), y2=alt.Y2("foot:Q"), detail=alt.Detail("line:O")
    )
    line = spark.mark_line(color=theme.INK, strokeWidth=1.3).encode(x=x, y=y("y"), detail=alt.Detail("line:O"))
    dots = spark.mark_point(filled=True, size=14, color=theme.INK, opacity=1, cursor="pointer")
    since = part("since").mark_rule(color=ALARM, strokeWidth=2)
    drawn = alt.layer(
        *changes_layer(badges=False),
        chance,
        line,
        dots.encode(x=x, y=y("y"), tooltip=tips),
        since.encode(x=x, y=y("y"), y2=alt.Y2("to:Q")),
    )
    return [drawn]  # pyright: ignore[reportReturnType]  # one layer inside the table's, with an axis of its own
