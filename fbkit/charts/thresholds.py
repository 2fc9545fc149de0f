"""What another threshold would have given: recall, precision, flag rate and value with their bands."""

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
