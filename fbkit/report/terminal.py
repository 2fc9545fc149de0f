"""A result frame as a readable table in the terminal."""

from datetime import datetime, timedelta

import polars as pl

from fbkit.report.escape import terminal
from fbkit.schema.durations import format_duration

_WIDEST = 64


def table_text(frame: pl.DataFrame, *, empty: str = "no rows") -> str:
    """Align a small frame: numbers right, text left, whole-day times as dates, null as a dash.

    >>> print(table_text(pl.DataFrame({"slice": ["EU", None], "value": [0.5, 0.25]})))
    slice  value
    EU       0.5
    -       0.25
    """
    if frame.is_empty():
        return empty
    numeric = [dtype.is_numeric() for dtype in frame.schema.values()]
    rows = [list(frame.columns), *[[_cell(value) for value in row] for row in frame.iter_rows()]]
    widths = [max(len(row[place]) for row in rows) for place in range(frame.width)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return f"{value:%Y-%m-%d}" if midnight else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, timedelta):
        return format_duration(value)
    return terminal(value, limit=_WIDEST)
