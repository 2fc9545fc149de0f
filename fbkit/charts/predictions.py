"""How predictions were found: what each rule left of them, as bars; counts only, no row and no id."""

from datetime import datetime, timedelta
from typing import Any

import altair as alt
import polars as pl

from fbkit.charts import theme
from fbkit.charts.text import clean, count_text, instant_text

_WIDTH = 330


def funnel_rows(steps: pl.DataFrame) -> list[theme.Row]:
    """Rows of the bars; ``steps`` has rule, left, dropped, in the order in which the rules were applied."""
    labels: dict[str, int] = {}
    last = steps.height - 1
    rows: list[theme.Row] = []
    for place, row in enumerate(steps.to_dicts()):
        label = clean(row["rule"])
        labels[label] = labels.get(label, 0) + 1
        again = f" ({labels[label]})" if labels[label] > 1 else ""
        verb = "not shown" if place == last else "dropped"
        dropped = f"{count_text(row['dropped'])} {verb}" if row["dropped"] else ""
        rows.append(
            {
                "order": place,
                "label": f"{label}{again}",
                "left": row["left"],
                "said": count_text(row["left"]),
                "said_dropped": dropped,
            }
        )
    return rows


def funnel_chart(steps: pl.DataFrame, *, title: str = "Predictions found", subtitle: str = "") -> Any:
    """Bars of how many predictions each rule left, with the number that it dropped."""
    rows = funnel_rows(steps)
    order = alt.EncodingSortField(field="order", order="ascending")
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, labelColor=theme.INK, labelPadding=8))
    x = alt.X(
        "left:Q",
        scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(title="predictions left (count)", format=",~f", tickCount=4),
    )
    tooltip = theme.tips(("label", "rule"), ("said", "left"), ("said_dropped", "dropped"))
    base = alt.Chart().encode(y=y)
    bars = base.mark_bar(height=13, cornerRadius=2, color=theme.CURRENT).encode(x=x, tooltip=tooltip)
    said = base.mark_text(align="left", fontWeight=600).encode(x=alt.value(_WIDTH + 14), text="said:N")
    dropped = base.mark_text(align="left", color=theme.FAINT).encode(x=alt.value(_WIDTH + 88), text="said_dropped:N")
    layered = alt.layer(bars, said, dropped, data=theme.data(rows)).properties(width=_WIDTH, height=alt.Step(22))
    return theme.finish(layered, title=title, subtitle=subtitle or "which rule dropped how many predictions")


def cell_text(value: object) -> str:
    """A cell of the table of rows, as people read it.

    >>> cell_text(None), cell_text(True), cell_text(0.123456789)
    ('—', 'yes', '0.1235')
    """
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 86_400:.1f} days"
    return clean(value, limit=60)


_COLUMNS = {"prediction_id": "id", "ts_pred": "predicted at", "arrival_lag": "label after", "model_version": "version"}


def column_name(name: str) -> str:
    """A column of the table of rows in words.

    >>> column_name("ts_pred"), column_name("log_amount")
    ('predicted at', 'log amount')
    """
    return _COLUMNS.get(name, clean(name).replace("_", " "))
