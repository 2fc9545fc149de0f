"""Reliability: what a score promised against what happened, with the histogram of the scores beneath."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import count_text, interval_text, stage_name, value_text

_SHARE = ".0%"


def calibration_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of the reliability diagram.

    ``frame`` has curve ("corp" or "bins"), score_lower, score_upper, score_mean, observed, n and,
    where known, lower, upper (interval of a bin) and band_lower, band_upper (where the CORP curve
    would lie, were the score calibrated).
    """
    rows = []
    for row in frame.to_dicts():
        part = "corp" if row["curve"] == "corp" else "bins"
        rows.append(
            {
                "part": part,
                "from": row["score_lower"],
                "to": row["score_upper"],
                "score": row["score_mean"],
                "observed": row["observed"],
                "lower": row.get("lower"),
                "upper": row.get("upper"),
                "band_lower": row.get("band_lower"),
                "band_upper": row.get("band_upper"),
                "n": row["n"],
                "said_score": interval_text(row["score_lower"], row["score_upper"]),
                "said_mean": value_text(row["score_mean"]),
                "said_observed": value_text(row["observed"]),
                "said_interval": interval_text(row.get("lower"), row.get("upper")),
                "said_n": count_text(row["n"]),
            }
        )
    rows.sort(key=lambda row: (row["part"], row["from"] if row["from"] is not None else -1.0))
    return [
        *rows,
        {"part": "diagonal", "score": 0.0, "observed": 0.0},
        {"part": "diagonal", "score": 1.0, "observed": 1.0},
    ]


def calibration_chart(
    frame: pl.DataFrame, *, stage: str | None = "final", title: str = "Reliability of the score", subtitle: str = ""
) -> Any:
    """Reliability diagram: CORP steps and binned points.

    CORP: Dimitriadis, Gneiting, Jordan 2021, doi:10.1073/pnas.2016191118.
    """
    rows = calibration_rows(frame)
    top = alt.layer(*_curve_layers(stage)).properties(width=360, height=320)
    bottom = _histogram().properties(width=360, height=70)
    chart = alt.vconcat(top, bottom, data=theme.data(rows), spacing=12)
    note = "steps: isotonic fit; dots: bins with intervals; shade: where a calibrated score would lie"
    return theme.finish(chart, title=title, subtitle=subtitle or note)


def observed_title(stage: str | None) -> str:
    """The title of the vertical axis."""
    return f"share positive ({stage_name(stage)})"


def _part(name: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.part === '{name}'")


def _curve_layers(stage: str | None) -> list[alt.Chart]:
    unit = alt.Scale(domain=[0, 1], nice=False)
    x_axis = alt.Axis(format=_SHARE, title=None, labels=False, ticks=False, tickCount=5)
    y_axis = alt.Axis(format=_SHARE, title=observed_title(stage), tickCount=5)
    x, steps = (alt.X(f"{field}:Q", scale=unit, axis=x_axis) for field in ("score", "from"))
    y, band = (alt.Y(f"{field}:Q", scale=unit, axis=y_axis) for field in ("observed", "band_lower"))
    tooltip = theme.tips(
        ("said_score", "scores"),
        ("said_mean", "mean score"),
        ("said_observed", "share positive"),
        ("said_interval", "interval"),
        ("said_n", "labelled predictions"),
    )
    corp = _part("corp")
    return [
        corp.transform_filter("isValid(datum.band_lower)")
        .mark_area(interpolate="linear", opacity=0.16, color=theme.REFERENCE)
        .encode(x=x, y=band, y2="band_upper:Q"),
        _part("diagonal").mark_line(color=theme.OTHER, strokeDash=[5, 4]).encode(x=x, y=y),
        corp.mark_rule(color=theme.CURRENT, strokeWidth=2.5).encode(x=steps, x2="to:Q", y=y, tooltip=tooltip),
        corp.mark_line(color=theme.CURRENT, strokeWidth=1, opacity=0.45, interpolate="linear").encode(x=x, y=y),
        _part("bins")
        .transform_filter("isValid(datum.lower)")
        .mark_rule(color=theme.INK, opacity=0.6)
        .encode(x=x, y="lower:Q", y2="upper:Q"),
        _part("bins").mark_point(filled=True, size=46, color=theme.INK, opacity=1).encode(x=x, y=y, tooltip=tooltip),
    ]


def _histogram() -> alt.Chart:
    return (
        _part("bins")
        .mark_rect(color=theme.CURRENT, opacity=0.55, stroke=theme.PAPER)
        .encode(
            x=alt.X(
                "from:Q",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(format=_SHARE, title="score of the model", tickCount=5),
            ),
            x2="to:Q",
            y=alt.Y("n:Q", axis=alt.Axis(title="predictions", tickCount=2, format="~s")),
            y2=alt.datum(0),
            tooltip=theme.tips(("said_score", "scores"), ("said_n", "labelled predictions")),
        )
    )
