"""Evidence frames as tables that a person reads."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Final

import polars as pl

from fbkit.report import numbers, words
from fbkit.report.document import Table
from fbkit.report.mask import MASKED
from fbkit.schema.diagnosis import Diagnosis

MAXIMUM_ROWS: Final = 14
MOST_BEHIND: Final = 60  # rows of a table that opens on a click
_SHARES = frozenset({"availability", "share", "share_reference", "share_current"})
_POINTS = frozenset({"remainder", "change"})
# The column that lower and upper belong to: the first of these that the frame has.
_BOUNDED = ("corrected", "availability", "remainder", "change", "value")


def evidence_table(frame: pl.DataFrame, *, metric: str, caption: str = "", limit: int = MAXIMUM_ROWS) -> Table:
    """Any small evidence frame: bounds beside their value, shares in percent, masked rows in words."""
    if "player" in frame.columns and "value" in frame.columns:  # a replay says by how much, not how high
        frame = frame.rename({"value": "change"})
    shown = [name for name in frame.columns if name != MASKED and not _is_folded(name, frame.columns)]
    shown = [name for name in shown if frame[name].null_count() < frame.height or name in ("value", "n")]
    rows = [[_cell(name, row, metric=metric) for name in shown] for row in frame.head(limit).iter_rows(named=True)]
    numeric = frozenset(i for i, name in enumerate(shown) if frame.schema[name].is_numeric())
    left = frame.height - limit
    note = f"{left:,} more rows in the data folder." if left > 0 else ""
    return Table(columns=[words.column(name) for name in shown], rows=rows, caption=caption, numeric=numeric, note=note)


def _is_folded(name: str, columns: list[str]) -> bool:
    if name not in ("lower", "upper"):
        return False
    return _bounded(columns) is not None


def _bounded(columns: Iterable[str]) -> str | None:
    found = set(columns)
    return next((name for name in _BOUNDED if name in found), None)


def _cell(name: str, row: Mapping[str, object], *, metric: str) -> str:
    value = row[name]
    masked = row.get(MASKED)
    if masked is not None and (value is None or isinstance(value, float)):
        return str(masked) if name in ("n", "n_labelled") else "–"
    if isinstance(value, datetime):
        return numbers.instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return words.cause(value) if name in ("player", "cause") else value
    if isinstance(value, int):
        return numbers.count(value)
    return _number(name, float(value), row, metric=metric) if isinstance(value, float) else str(value)


def _number(name: str, value: float, row: Mapping[str, object], *, metric: str) -> str:
    lower, upper = (row.get("lower"), row.get("upper")) if name == _bounded(row) else (None, None)
    lower = lower if isinstance(lower, float) else None
    upper = upper if isinstance(upper, float) else None
    if name in ("p_value", "p_adjusted"):
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if name in _SHARES:
        text = numbers.share(value)
        return text if lower is None or upper is None else f"{text} [{100 * lower:.1f}, {100 * upper:.1f}]"
    if name in _POINTS:
        return numbers.change_interval(value, lower, upper, metric=metric)
    return numbers.interval(value, lower, upper, places=3 if abs(value) < 1 else None)


def weekly_table(diagnosis: Diagnosis) -> Table | None:
    """Metric, interval, worst case, availability and rows by week."""
    frame = diagnosis.evidence.get("weekly")
    if frame is None or frame.is_empty():
        return None
    rows = [_week(row) for row in frame.tail(MAXIMUM_ROWS).iter_rows(named=True)]
    note = "Every label known at the as-of time counts, in weeks that are still open too."
    if frame.height > MAXIMUM_ROWS:
        note += f" The newest {MAXIMUM_ROWS} of {frame.height}; all in the data folder."
    columns = [
        "week",
        "part",
        f"{diagnosis.metric}, with interval",
        "worst case",
        "labels available",
        "predictions",
        "labelled",
    ]
    return Table(columns=columns, rows=rows, numeric=frozenset({2, 3, 4, 5, 6}), note=note)


def _week(row: Mapping[str, object]) -> list[str]:
    get = row.get
    bounds = [numbers.finite(get(name)) for name in ("bound_lower", "bound_upper")]
    start, end = get("period_start"), get("period_end")
    return [
        f"{numbers.instant(start)} to {numbers.instant(end)}"
        if isinstance(start, datetime) and isinstance(end, datetime)
        else str(start),
        "" if get("role") in (None, "other") else str(get("role")),
        numbers.interval(get("value"), get("lower"), get("upper"), places=3),
        "–" if None in bounds else f"{bounds[0]:.3f} to {bounds[1]:.3f}",
        numbers.share(get("availability")),
        numbers.count(get("n")),
        numbers.count(get("n_labelled")),
    ]


def slice_table(diagnosis: Diagnosis, frame: pl.DataFrame | None) -> Table | None:
    """Availability of every slice in both windows, the largest change first; thin slices in words."""
    if frame is None or frame.is_empty() or "flagged" not in frame.columns:
        return None
    pairs: dict[tuple[str, str], dict[str, Mapping[str, object]]] = {}
    for row in frame.filter(pl.col("flagged").cast(pl.String) == "all").iter_rows(named=True):
        pairs.setdefault((str(row["column"]), str(row["value"])), {})[str(row["window"])] = row
    rows = sorted((_slice_row(key, windows) for key, windows in pairs.items()), key=lambda item: item[0])
    note = f"{len(rows) - MAXIMUM_ROWS} more in the data folder." if len(rows) > MAXIMUM_ROWS else ""
    columns = ["slice", "reference", "current", "change", "predictions now", "flagged to not flagged, now"]
    cells = [row for _, row in rows[:MAXIMUM_ROWS]]
    caption = f"Labels available by slice ({diagnosis.current} against {diagnosis.reference})"
    return Table(columns=columns, rows=cells, caption=caption, numeric=frozenset({1, 2, 3, 4, 5}), note=note)


def _slice_row(
    key: tuple[str, str], windows: Mapping[str, Mapping[str, object]]
) -> tuple[tuple[float, str, str], list[str]]:
    before, now = (windows.get(name, {}) for name in ("reference", "current"))
    values = [numbers.finite(row.get("availability")) for row in (before, now)]
    change = None if values[0] is None or values[1] is None else values[1] - values[0]
    shown = [_masked_or(row, numbers.share(value)) for row, value in zip((before, now), values, strict=True)]
    ratio = numbers.finite(now.get("ratio"))
    size = _masked_or(now, numbers.count(now.get("n")))
    text = "–" if change is None else numbers.change(change, metric="availability")
    cells = [f"{key[0]} = {key[1]}", *shown, text, size, "–" if ratio is None else f"{ratio:.2f}"]
    return (1.0 if change is None else -abs(change), *key), cells


def _masked_or(row: Mapping[str, object], text: str) -> str:
    if not row:
        return "–"
    return str(row[MASKED]) if row.get(MASKED) else text


def ladder_table(diagnosis: Diagnosis) -> Table:
    """Every contribution with its interval, where it sits, how sure, and what would overturn it."""
    from fbkit.report.sentences import by_size

    metric = diagnosis.metric
    rows = [["reference observed", numbers.plain(diagnosis.observed.reference, places=3), "", "", "", ""]]
    for item in by_size(diagnosis):
        amount = numbers.change_interval(item.value, item.lower, item.upper, metric=metric)
        claimed = item.strength if item.material else "not material"
        rows.append(
            [
                words.cause(item.cause),
                amount,
                words.FAMILIES.get(item.family, item.family),
                item.where,
                claimed,
                item.reason or item.evidence,
            ]
        )
    rows.append(["current observed", numbers.plain(diagnosis.observed.current, places=3), "", "", "", ""])
    columns = ["cause", f"share of the change in {metric}", "family", "where", "strength", "evidence"]
    return Table(columns=columns, rows=rows, numeric=frozenset({1}), note="The rungs add up to the observed change.")
