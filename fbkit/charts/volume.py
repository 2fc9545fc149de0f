"""Are the predictions all there: counts over time, what weeks before led to expect, and the cells that stand out."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, count_text, day_text, distinct, epoch_ms

_MARKED = {"low": "too few", "high": "too many"}
_DAY = 86_400_000


def volume_rows(frame: pl.DataFrame, *, by: str | None = None) -> list[theme.Row]:
    """Rows of the chart, one per cell and slice.

    ``frame`` is a result of ``volume``: period_start, period_end, n, expected, lower, upper, ratio, p_adjusted, flag,
    reason, and the slice column ``by``.
    """
    labels = distinct(frame[by].to_list()) if by else {}
    return [
        {
            "part": "cell",
            "slice": labels[row[by]] if by else "all predictions",
            "from": epoch_ms(row["period_start"]),
            "to": epoch_ms(row["period_end"]),
            "at": (epoch_ms(row["period_start"]) + epoch_ms(row["period_end"])) // 2,
            "n": row["n"],
            "expected": row["expected"],
            "lower": row["lower"],
            "upper": row["upper"],
            "flag": _MARKED.get(row["flag"] or ""),
            "said_from": _when(row),
            "said_n": count_text(row["n"]),
            "said_expected": "—" if row["expected"] is None else f"{row['expected']:,.0f}",
            "said_interval": _limits(row),
            "said_reason": clean(row["reason"] or _MARKED.get(row["flag"] or "", "as expected")),
        }
        for row in frame.to_dicts()
    ]


def _when(row: dict[str, Any]) -> str:
    length = epoch_ms(row["period_end"]) - epoch_ms(row["period_start"])
    return day_text(row["period_start"]) if length >= _DAY else f"{row['period_start']:%Y-%m-%d %H:%M} UTC"


def _limits(row: dict[str, Any]) -> str:
    if row["lower"] is None or row["upper"] is None:
        return "—"
    return f"{row['lower']:,.0f} to {row['upper']:,.0f}"


def volume_chart(frame: pl.DataFrame, *, by: str | None = None, title: str | None = None, subtitle: str = "") -> Any:
    """Counts as a line over the band where chance would put them; flagged cells as points, an empty one at zero."""
    rows = volume_rows(frame, by=by)
    x = alt.X(
        "at:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format="%-d %b", title="time of prediction (UTC)", tickCount=8, grid=False),
    )
    y = alt.Y("n:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title="predictions", format=",d", tickCount=5))
    cells = alt.Chart().transform_filter("datum.part === 'cell'")
    judged = cells.transform_filter("isValid(datum.lower) && isValid(datum.upper)")
    band = judged.mark_area(color=theme.RULE, opacity=0.6, interpolate="step").encode(x=x, y="lower:Q", y2="upper:Q")
    line = cells.mark_line(color=theme.INK, strokeWidth=1.2).encode(x=x, y=y)
    marks = (
        cells.transform_filter("isValid(datum.flag)")
        .mark_point(filled=True, size=70)
        .encode(
            x=x,
            y=y,
            color=alt.Color("flag:N", scale=alt.Scale(domain=list(_MARKED.values()), range=["#d55e00", "#0072b2"])),
            shape=alt.Shape(
                "flag:N", scale=alt.Scale(domain=list(_MARKED.values()), range=["triangle-down", "triangle-up"])
            ),
            tooltip=theme.tips(
                ("slice", "slice"),
                ("said_from", "from"),
                ("said_n", "predictions"),
                ("said_expected", "expected"),
                ("said_interval", "by chance"),
                ("said_reason", "reading"),
            ),
        )
    )
    chart = alt.layer(band, line, marks).properties(width=theme.WIDTH, height=180 if by is None else 90)
    if by is not None:
        chart = chart.facet(row=alt.Row("slice:N", sort=None), data=theme.data(rows)).resolve_scale(y="independent")
    else:
        chart.data = theme.data(rows)
    named = f" by {clean(by)}" if by else ""
    return theme.finish(
        chart,
        title=title or f"Predictions{named}",
        subtitle=subtitle or "band: where the same weekday and time of weeks before would put it by chance",
    )
