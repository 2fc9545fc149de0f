"""Reliability before and after a recalibration, on the same rows: does the new curve lie on the diagonal?"""

from typing import Any, Final

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.calibration import calibration_rows, observed_title

WHEN: Final = ("before", "after")
_SHARE: Final = ".0%"
_COLOURS: Final = dict(zip(WHEN, (theme.REFERENCE, theme.CURRENT), strict=True))


def recalibration_rows(frame: pl.DataFrame) -> list[theme.Row]:
    """Rows of both diagrams; ``frame`` has ``when`` ("before" or "after") and the columns of a reliability curve."""
    rows: list[theme.Row] = []
    for when in WHEN:
        part = frame.filter(pl.col("when") == when) if frame.height else frame
        rows += [row | {"when": when} for row in calibration_rows(part) if row["part"] != "diagonal"]
    ends = ({"part": "diagonal", "score": place, "observed": place} for place in (0.0, 1.0))
    return [*rows, *ends]


def recalibration_chart(
    frame: pl.DataFrame,
    *,
    stage: str | None = "final",
    title: str = "Before and after recalibration",
    subtitle: str = "",
) -> Any:
    """Binned reliability with intervals before (grey) and after (blue) over the isotonic steps of both.

    Steps: CORP, Dimitriadis, Gneiting and Jordan 2021, doi:10.1073/pnas.2016191118.
    """
    rows = recalibration_rows(frame)
    top = alt.layer(*_layers(stage)).properties(width=380, height=340)
    bottom = _histogram().properties(width=380, height=80)
    chart = alt.vconcat(top, bottom, data=theme.data(rows), spacing=12)
    note = "dots: bins with intervals; steps: isotonic fit; dashed: where a calibrated score lies"
    return theme.finish(chart, title=title, subtitle=subtitle or note)


def _colour() -> alt.Color:
    return alt.Color("when:N", scale=alt.Scale(domain=list(WHEN), range=list(_COLOURS.values())))


def _part(name: str) -> alt.Chart:
    return alt.Chart().transform_filter(f"datum.part === '{name}'")


def _layers(stage: str | None) -> list[alt.Chart]:
    unit = alt.Scale(domain=[0, 1], nice=False)
    x_axis = alt.Axis(format=_SHARE, title=None, labels=False, ticks=False, tickCount=5)
    y_axis = alt.Axis(format=_SHARE, title=observed_title(stage), tickCount=5)
    x, steps = (alt.X(f"{field}:Q", scale=unit, axis=x_axis) for field in ("score", "from"))
    y = alt.Y("observed:Q", scale=unit, axis=y_axis)
    tooltip = theme.tips(
        ("when", "score"),
        ("said_score", "scores"),
        ("said_mean", "mean score"),
        ("said_observed", "share positive"),
        ("said_interval", "interval"),
        ("said_n", "labelled predictions"),
    )
    corp, bins = _part("corp"), _part("bins")
    return [
        _part("diagonal").mark_line(color=theme.OTHER, strokeDash=[5, 4]).encode(x=x, y=y),
        corp.mark_rule(strokeWidth=2, opacity=0.55).encode(x=steps, x2="to:Q", y=y, color=_colour(), tooltip=tooltip),
        corp.mark_line(strokeWidth=1, opacity=0.35, interpolate="linear").encode(x=x, y=y, color=_colour()),
        bins.transform_filter("isValid(datum.lower)")
        .mark_rule(opacity=0.8, strokeWidth=1.5)
        .encode(x=x, y="lower:Q", y2="upper:Q", color=_colour()),
        bins.mark_point(filled=True, size=52, opacity=1).encode(x=x, y=y, color=_colour(), tooltip=tooltip),
    ]


def _histogram() -> alt.Chart:
    middle = "(datum.from + datum.to) / 2 + (datum.when === 'after' ? 0.017 : -0.017)"
    return (
        _part("bins")
        .transform_calculate(middle=middle)
        .mark_bar(size=11, opacity=0.75)
        .encode(
            x=alt.X(
                "middle:Q",
                scale=alt.Scale(domain=[0, 1], nice=False, padding=0),
                axis=alt.Axis(format=_SHARE, title="score of the model", tickCount=5),
            ),
            y=alt.Y("n:Q", axis=alt.Axis(title="predictions", tickCount=2, format="~s")),
            color=_colour(),
            tooltip=theme.tips(("when", "score"), ("said_score", "scores"), ("said_n", "labelled predictions")),
        )
    )
