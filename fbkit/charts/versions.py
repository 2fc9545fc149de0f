"""Challenger less champion by slice: difference, interval and worst-case band, and how far a guardrail lets it fall."""

from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import (
    change_interval_text,
    change_text,
    clean,
    count_text,
    distinct,
    is_share,
    metric_name,
    stage_name,
    value_text,
)

_KINDS = ("better", "worse", "not told apart")
_COLOURS = ("#009e73", "#d55e00", theme.REFERENCE)
OVERALL = "overall"


def versions_rows(
    frame: pl.DataFrame, *, by: str | None, metric: str, lower_is_better: bool = False
) -> list[theme.Row]:
    """Rows of the versions chart, in the order of the frame.

    ``frame`` has metric, champion, challenger, difference, lower, upper, bound_lower, bound_upper,
    n_labelled_champion, n_labelled_challenger, reason and the slice column ``by``.
    """
    chosen = frame.filter(pl.col("metric") == metric)
    labels = {} if by is None else distinct(chosen[by].to_list())
    return [
        _row(row, OVERALL if by is None else labels[row[by]], metric=metric, lower_is_better=lower_is_better)
        for row in chosen.to_dicts()
    ]


def _row(row: dict[str, Any], label: str, *, metric: str, lower_is_better: bool) -> theme.Row:
    difference, lower, upper = row["difference"], row.get("lower"), row.get("upper")
    apart = lower is not None and upper is not None and (lower > 0 or upper < 0)
    better = apart and (difference < 0) == lower_is_better
    return {
        "slice": label,
        "difference": difference,
        "lower": lower,
        "upper": upper,
        "bound_lower": row.get("bound_lower"),
        "bound_upper": row.get("bound_upper"),
        "kind": "better" if better else "worse" if apart else "not told apart",
        "said_difference": "not estimable" if difference is None else change_text(difference, metric=metric),
        "said_interval": change_interval_text(lower, upper, metric=metric),
        "said_bounds": change_interval_text(row.get("bound_lower"), row.get("bound_upper"), metric=metric),
        "said_champion": value_text(row.get("champion"), metric=metric),
        "said_challenger": value_text(row.get("challenger"), metric=metric),
        "said_labelled": " and ".join(count_text(row.get(f"n_labelled_{side}")) for side in ("champion", "challenger")),
        "said_reason": clean(row.get("reason"), limit=90) if row.get("reason") else "—",
    }


def versions_chart(
    frame: pl.DataFrame,
    *,
    metric: str,
    by: str | None = None,
    max_drop: float | None = None,
    lower_is_better: bool = False,
    title: str | None = None,
    subtitle: str = "",
) -> Any:
    """Dot plot of the difference of one metric by slice, with zero and the guardrail's limit as lines."""
    rows = versions_rows(frame, by=by, metric=metric, lower_is_better=lower_is_better)
    stage = next(iter(frame["stage"].to_list()), None) if "stage" in frame.columns else None
    limit = None if max_drop is None else max_drop if lower_is_better else -max_drop
    chart = alt.layer(*_rules(limit), *_layers(metric, stage), data=theme.data(rows))
    chart = chart.properties(width=420, height=alt.Step(30))
    name = metric_name(metric)
    heading = f"{name[:1].upper()}{name[1:]}: challenger less champion" + ("" if by is None else f", by {clean(by)}")
    note = "line: interval, pale bar: what missing labels could still hide"
    note += "" if limit is None else ", dashed: the farthest that a guardrail lets it fall"
    return theme.finish(chart, title=title or heading, subtitle=subtitle or note)


def _rules(limit: float | None) -> list[alt.Chart]:
    def rule(at: float, dash: list[int]) -> alt.Chart:
        return alt.Chart().mark_rule(color=theme.FAINT, strokeDash=dash).encode(x=alt.datum(at))

    return [rule(0.0, [1, 0]), *([] if limit is None else [rule(limit, [5, 4])])]


def _layers(metric: str, stage: str | None) -> list[alt.Chart]:
    unit = " in points" if is_share(metric) else ""
    title = f"change of {metric_name(metric)}{unit} ({stage_name(stage)})"
    # Points are hundredths: the axis multiplies what it shows, never the rows.
    shown = alt.Axis(
        title=title, labelExpr="format(datum.value * 100, '+.1f')" if unit else "format(datum.value, '+.3')"
    )
    scale = alt.Scale(zero=True, nice=True)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(_KINDS), range=list(_COLOURS)))
    axis = alt.Axis(labelColor=theme.INK, labelPadding=8, domain=False, grid=True)
    slices = alt.Y("slice:N", sort=None, title=None, axis=axis, scale=alt.Scale(paddingInner=0.2))
    tooltip = theme.tips(
        ("slice", "slice"),
        ("said_champion", "champion"),
        ("said_challenger", "challenger"),
        ("said_difference", "difference"),
        ("said_interval", "interval"),
        ("said_bounds", "worst case"),
        ("said_labelled", "labelled"),
        ("said_reason", "note"),
    )
    base = alt.Chart().encode(y=slices, color=colour)
    across = alt.X("difference:Q", scale=scale, axis=shown)
    return [
        base.transform_filter("isValid(datum.bound_lower)")
        .mark_rule(strokeWidth=8, opacity=0.18)
        .encode(x=alt.X("bound_lower:Q", scale=scale, axis=shown), x2="bound_upper:Q", tooltip=tooltip),
        base.transform_filter("isValid(datum.lower)")
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("lower:Q", scale=scale, axis=shown), x2="upper:Q", tooltip=tooltip),
        base.transform_filter("isValid(datum.difference)")
        .mark_point(filled=True, size=60, opacity=1)
        .encode(x=across, tooltip=tooltip),
        base.transform_filter("!isValid(datum.difference)")
        .mark_text(align="left", dx=6, fontSize=11)
        .encode(x=alt.datum(0.0), text="said_difference:N", color=alt.value(theme.FAINT), tooltip=tooltip),
    ]
