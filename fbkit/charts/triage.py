"""The ladder: from the observed reference to the observed current value, one bar per cause."""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    change_interval_text,
    change_text,
    clean,
    interval_text,
    is_share,
    metric_name,
    number_format,
    value_text,
)
from fbkit.schema.words import FAMILY_COLOURS

TOTAL = "total"
_FAMILY_SAID = "datum.label === 'quality' ? 'model' : datum.label"
_WIDTH = 380  # with the labels at the left and the numbers at the right it fits a notebook's column


def ladder_rows(ladder: pl.DataFrame, *, metric: str, opened: int | None = None) -> list[theme.Row]:
    """Rows of the waterfall.

    ``ladder`` has label, family, kind ("total" or "step"), value, lower, upper, start, end in the
    metric's unit; a rung without a value (not estimable) keeps its line and says so. The field ``pick`` of a step is
    its place among the steps; ``opened`` is the place of the one whose evidence is shown.
    """
    rows = [_ladder_row(row, metric=metric) for row in ladder.to_dicts()]
    for place, row in enumerate(row for row in rows if row["kind"] != TOTAL):
        row["pick"] = place
        if place == opened:
            row["opened"] = True
    seen: dict[str, int] = {}
    for row in rows:  # two rungs with the same label stay two lines
        count = seen[row["label"]] = seen.get(row["label"], 0) + 1
        if count > 1:
            row["label"] = f"{row['label']} ({count})"
    for row, following in pairwise(rows):
        row["next_label"] = following["label"]
    return rows


EVIDENCE_OF = {
    "concept_drift": ("remainder_by_slice", "weekly"),
    "version_regression": ("remainder_by_slice", "weekly"),
    "label_slice_loss": ("availability_by_slice", "availability_by_decision"),
    "label_outage": ("daily", "arrivals"),
    "slow_labels": ("arrivals", "daily"),
    "immature_window": ("arrivals", "windows"),
    "join_break": ("orphans", "daily"),
    "label_conflict": ("corrected", "daily"),
    "label_definition_change": ("daily", "weekly"),
    "label_loss_nonrandom": ("conservation", "tipping"),
    "mix_shift": ("replay", "remainder_by_slice"),
    "covariate_shift": ("replay", "features_moved"),
    "feature_corruption": ("features_moved", "replay"),
    "serving_fallback": ("replay", "features_moved"),
    "prediction_log_loss": ("daily", "windows"),
    "threshold_change": ("windows", "replay"),
    "action_censoring": ("availability_by_decision", "availability_by_slice"),
    "noise": ("weekly", "daily"),
}
"""The evidence frames of a cause, the most telling first."""


def evidence_of(cause: str, present: Collection[str]) -> str | None:
    """The frame to open for a cause, of those that are there."""
    return next((name for name in (*EVIDENCE_OF.get(cause, ()), "weekly", "daily") if name in present), None)


def _ladder_row(row: dict[str, Any], *, metric: str) -> theme.Row:
    total = row["kind"] == TOTAL
    value, lower, upper, start = row["value"], row.get("lower"), row.get("upper"), row.get("start")
    family = TOTAL if total else clean(row.get("family") or "unexplained")
    drawn: theme.Row = {
        "label": clean(row["label"], limit=44),
        "family": family if family in FAMILY_COLOURS else "unexplained",
        "kind": row["kind"],
        "end": row.get("end"),
        "next_label": None,
        "said": value_text(value, metric=metric) if total else change_text(value, metric=metric),
        "said_interval": (interval_text if total else change_interval_text)(lower, upper, metric=metric),
    }
    if not total and start is not None:
        drawn["start"] = start
        if lower is not None and upper is not None:
            drawn["low"], drawn["high"] = start + lower, start + upper
    return drawn


def ladder_chart(ladder: pl.DataFrame, *, metric: str = "recall", title: str | None = None, subtitle: str = "") -> Any:
    """Waterfall of a diagnosis (evidence frame ``ladder``): totals as marks, causes as floating bars with whiskers."""
    rows = ladder_rows(ladder, metric=metric)
    unit = "share" if is_share(metric) else "score"
    name = metric_name(metric)
    y = alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=300, labelColor=theme.INK, labelPadding=8))
    x_axis = alt.Axis(format=number_format(metric), title=f"{name} ({unit})", tickCount=6)
    x_scale = alt.Scale(zero=False, nice=True)
    drawn = {row["family"] for row in rows if row["kind"] == TOTAL or row.get("start") is not None}
    families = [family for family in FAMILY_COLOURS if family in drawn]
    shown = [family for family in families if family != TOTAL]
    colour = alt.Color(
        "family:N",
        scale=alt.Scale(domain=families, range=[FAMILY_COLOURS[family] for family in families]),
        legend=alt.Legend(values=shown, labelExpr=_FAMILY_SAID) if len(shown) > 1 else None,
    )
    tooltip = theme.tips(("label", "cause"), ("said", "explains"), ("said_interval", "interval"))
    base = alt.Chart().encode(y=y)
    drawn_bars = base.transform_filter("isValid(datum.start)")
    outline = alt.condition("datum.opened === true", alt.value(theme.INK), alt.value(None))
    bars = drawn_bars.mark_bar(height=15, cornerRadius=2, cursor="pointer", strokeWidth=1.5).encode(
        x=alt.X("start:Q", scale=x_scale, axis=x_axis), x2="end:Q", color=colour, stroke=outline, tooltip=tooltip
    )
    whiskers = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(color=theme.INK, strokeWidth=1.2)
        .encode(x=alt.X("low:Q"), x2="high:Q")
    )
    totals = (
        base.transform_filter(alt.datum.kind == TOTAL)
        .mark_tick(thickness=4, size=22, color=FAMILY_COLOURS[TOTAL])
        .encode(x=alt.X("end:Q", scale=x_scale, axis=x_axis), tooltip=tooltip)
    )
    links = (
        alt.Chart()
        .transform_filter("isValid(datum.next_label) && isValid(datum.end)")
        .mark_rule(color=theme.OTHER, strokeDash=[3, 3])
        .encode(x="end:Q", y=alt.Y("label:N", sort=None), y2="next_label:N")
    )
    said = base.mark_text(align="left", fontWeight=600, cursor="pointer").encode(
        x=alt.value(_WIDTH + 14), text="said:N"
    )
    said_interval = (
        base.transform_filter(alt.datum.kind != TOTAL)
        .mark_text(align="left", color=theme.FAINT, dx=88)
        .encode(x=alt.value(_WIDTH + 14), text="said_interval:N")
    )
    # The texts come first: they hold every line, and lines stand in the order in which they first appear.
    layered = alt.layer(said, said_interval, links, bars, whiskers, totals, data=theme.data(rows)).properties(
        width=_WIDTH, height=alt.Step(28)
    )
    return theme.finish(
        layered, title=title or f"What moved {name}", subtitle=subtitle or "bars are causes, whiskers their intervals"
    )
