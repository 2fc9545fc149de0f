"""A result frame as people read it: cells as texts, and the whole as a Markdown table for a chat or a wiki page."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl

from fbkit.charts.text import count_text, instant_text, value_text
from fbkit.errors import ArgumentError, nearest
from fbkit.schema.escape import CELL, clean, markdown

_METRIC: Final = "metric"
# What carries the metric's own unit where a frame says which metric it is about.
_IN_UNIT: Final = frozenset(("value", "lower", "upper", "bound_lower", "bound_upper", "reference", "current"))
_NOTHING: Final = "—"
_MOST: Final = 50


def table_cells(
    frame: pl.DataFrame, *, columns: Sequence[str] | Mapping[str, str] | None = None, metric: str | None = None
) -> list[list[str]]:
    """Headings and rows of a frame as texts: shares in percent, counts with thousands set off, instants in UTC.

    Parameters
    ----------
    frame
        A small result frame.
    columns
        Which columns, in which order; a mapping also says what to call them. By default all of them.
    metric
        The metric of the numbers where the frame has no column ``metric``; without one, numbers have four digits.

    Nothing (null) is "—", and "not estimable" where it is the value of a metric. Texts of users are cleaned of
    control and direction signs, not escaped: that is the target's.

    Raises
    ------
    ArgumentError
        The frame has no such column.
    """
    names = _columns(frame, columns)
    heads = list(names.values())
    rows = frame.select(*names, *([_METRIC] if _METRIC in frame.columns and _METRIC not in names else []))
    body = [
        [_cell(row[name], name=name, metric=row.get(_METRIC) or metric) for name in names]
        for row in rows.iter_rows(named=True)
    ]
    return [heads, *body]


def _columns(frame: pl.DataFrame, columns: Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    asked = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns or frame.columns, "")
    for name in asked:
        if name not in frame.columns:
            close = nearest(name, frame.columns)
            raise ArgumentError(
                "the frame has no such column",
                got=name,
                allowed=", ".join(frame.columns),
                next_step=f"did you mean {close!r}?" if close else "name one of these",
            )
    return {name: clean(head or name.replace("_", " "), limit=CELL) for name, head in asked.items()}


def _cell(value: Any, *, name: str, metric: str | None) -> str:
    match value:
        case None:
            return "not estimable" if metric and name == "value" else _NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return count_text(value).replace("-", "−")
        case float():
            told = value_text(value, metric=metric) if metric and name in _IN_UNIT else _number(value)
            return f"−{told[1:]}" if told.startswith("-") else told
        case datetime():
            return instant_text(value)
        case date():
            return value.isoformat()
        case timedelta():
            return f"{value.total_seconds() / 86_400:.4g} days"
        case _:
            return clean(value, limit=CELL)


def _number(value: float) -> str:
    if not math.isfinite(value):
        return _NOTHING
    return f"{value:,.0f}" if abs(value) >= 10_000 and value == round(value) else f"{value:.4g}"


def markdown_table(
    frame: pl.DataFrame,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    *,
    metric: str | None = None,
    limit: int = _MOST,
) -> str:
    r"""A result frame as a Markdown table, as it is pasted into Slack, Confluence, Google Docs or an issue.

    Numbers are as :func:`table_cells` writes them and stand at the right. Texts of users are escaped: nothing in a
    cell is markup, a link or the end of the cell. Rows past ``limit`` are left out and counted below the table.

    >>> print(markdown_table(pl.DataFrame({"carrier": ["a|b"], "n": [12345]})))
    | carrier | n |
    | :--- | ---: |
    | a\|b | 12,345 |
    """
    heads, *rows = table_cells(frame.head(limit), columns=columns, metric=metric)
    numeric = [frame.schema[name].is_numeric() for name in _columns(frame, columns)]
    rule = ["---:" if right else ":---" for right in numeric]
    shown = [_line([markdown(cell, limit=CELL) for cell in row]) for row in (heads, *rows)]
    left_out = frame.height - len(rows)
    more = [f"\n({count_text(left_out)} more rows)"] if left_out > 0 else []
    return "\n".join([shown[0], _line(rule), *shown[1:], *more])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
