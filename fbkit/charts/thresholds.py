"""What another threshold would have given: recall, precision and flag rate with their bands."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import count_text, interval_text, metric_name, stage_name, value_text
from fbkit.schema.words import FAMILY_COLOURS

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
    return [*rows, {"part": "now", "threshold": threshold}] if threshold is not None else rows


def threshold_chart(
    frame: pl.DataFrame,
    *,
    threshold: float | None = None,
    stage: str | None = "final",
    title: str = "What another threshold would give",
    subtitle: str = "",
) -> Any:
    """Recall, precision and flag rate against the threshold; the dashed line is the one in use."""
    rows = threshold_rows(frame, threshold=threshold)
    names = [metric_name(metric) for metric in _LINES]
    colour = alt.Color("metric:N", scale=alt.Scale(domain=names, range=list(_LINES.values())))
    x = alt.X("threshold:Q", axis=alt.Axis(title="threshold on the score", format=".2~f"))
    y_axis = alt.Axis(format=".0%", title=f"share ({stage_name(stage)})", tickCount=5)
    y, low = (alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, 1]), axis=y_axis) for field in ("value", "lower"))
    base = alt.Chart().transform_filter("datum.part === 'point' && isValid(datum.value)").encode(x=x, color=colour)
    tooltip = theme.tips(
        ("metric", "metric"),
        ("said_threshold", "threshold"),
        ("said_value", "value"),
        ("said_interval", "interval"),
        ("said_n", "labelled"),
    )
    band = base.transform_filter("isValid(datum.lower)").mark_area(opacity=0.14).encode(y=low, y2="upper:Q")
    line = base.mark_line(strokeWidth=2).encode(y=y)
    dots = base.mark_point(opacity=0, size=80).encode(y=y, tooltip=tooltip)
    now = (
        alt.Chart()
        .transform_filter("datum.part === 'now'")
        .mark_rule(color=theme.INK, strokeDash=[4, 3])
        .encode(x="threshold:Q")
    )
    chart = alt.layer(band, line, dots, now, data=theme.data(rows)).properties(width=theme.WIDTH, height=220)
    return theme.finish(chart, title=title, subtitle=subtitle or "dashed: the threshold in use; bands are intervals")
