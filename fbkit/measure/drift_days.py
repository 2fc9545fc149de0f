"""Drift by day and by week, and the day on which each column changed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.join.periods import resolve
from fbkit.join.rows import lazy_rows
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.drift import chosen_columns, shifts
from fbkit.measure.halves import Halves
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import INSTANT
from fbkit.measure.shift import psi_columns
from fbkit.measure.stats.change_point import change_point
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period, floor_day
from fbkit.schema.protocols import JoinedLike, check_joined

GRAIN: Final = "grain"
SERIES: Final = {
    "column": pl.String, GRAIN: pl.String, results.PERIOD_START: INSTANT, results.PERIOD_END: INSTANT,
    "psi": pl.Float64, "psi_null_95": pl.Float64, results.N: pl.Int64,
}  # fmt: skip
CHANGED: Final = {
    "column": pl.String, "kind": pl.String, "day": INSTANT, "first": INSTANT, "last": INSTANT, "back": INSTANT,
    results.REASON: pl.String,
}  # fmt: skip
_DAY: Final = timedelta(days=1)
_MONDAY: Final = datetime(1970, 1, 5).toordinal()  # noqa: DTZ001, only the weekday is used


class ByDay(NamedTuple):
    """One column's rows by day of prediction (UTC) and bin, and by bin in the reference."""

    column: str
    days: list[datetime]
    counts: Array
    reference: Array


class DriftDays(NamedTuple):
    """``series``: PSI by day and by week; ``changed``: when each column changed."""

    series: pl.DataFrame
    changed: pl.DataFrame


@checked
def drift_days(
    joined: JoinedLike | Ledger,
    comparison: Comparison,
    *,
    columns: str | Sequence[str] | None = None,
    as_of: str | datetime | None = None,
) -> DriftDays:
    """How far each day and week from the reference to the current period is from the reference, and the day of change.

    Parameters
    ----------
    columns
        As for :func:`fbkit.drift`.
    as_of
        For ledgers: the predictions that were known at an earlier midnight UTC.

    Returns
    -------
    ``series``: column, grain ("1d" or "1w", from Monday), period_start, period_end, psi (against the whole reference,
    whose own days are part of it), psi_null_95, n. Days without predictions have no line.

    ``changed``: one line per column: kind ("step", "there and back", "slow", "some day", "none"), day (UTC; the first
    one after the change), first and last (between them it lies with 95 %), back (the day the old level returned),
    reason. Where no single day can be named ``day`` is null beside the reason; ``first`` and ``last`` then say from
    when to when it moved, if it did.

    Raises
    ------
    ArgumentError
        As for :func:`fbkit.drift`.

    Notes
    -----
    The day splits the shares of the column's bins best into before and after (Page 1954,
    doi:10.1093/biomet/41.1-2.100); see :func:`fbkit.measure.stats.change_point.change_point`.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.days import ledger_by_day

        counted = ledger_by_day(joined, comparison, columns=columns, as_of=as_of)
    else:
        not_of_rows(as_of=as_of)
        check_joined(joined)
        counted = _by_day(joined, comparison, chosen_columns(joined, columns))
    series = [_series(one, grain) for one in counted for grain in ("1d", "1w")]
    changed = pl.DataFrame([_changed(one) for one in counted], schema=CHANGED)
    return DriftDays(pl.concat([pl.DataFrame(schema=SERIES), *series]), changed)


def _by_day(joined: JoinedLike, comparison: Comparison, names: list[str]) -> list[ByDay]:
    reference, current = resolve(joined, comparison).periods()
    time, day = pl.col("ts_pred"), pl.col("ts_pred").dt.truncate("1d").alias("\0day")
    span = (time >= reference.start) & (time < current.end)
    own = (time < reference.end).alias("\0own")
    rows = lazy_rows(joined).filter(span).select(*names, day, own).collect()
    if rows.is_empty():
        return [ByDay(name, [], np.zeros((0, 1)), np.zeros(1)) for name in names]
    if not rows.get_column("\0day").is_sorted():
        rows = rows.sort("\0day")
    runs = rows.get_column("\0day").rle().struct.unnest()
    halves = Halves(
        reference=rows.filter(pl.col("\0own")).select(names),
        current=rows.select(names),
        ends=np.concatenate([[0], np.cumsum(runs.get_column("len").to_numpy().astype(np.int64))]),
        cells=runs.select(pl.col("value").alias(results.PERIOD_START)),
        periods=(reference, Period(start=reference.start, end=current.end)),
    )
    days = runs.get_column("value").to_list()
    return [
        ByDay(shift.column, days, shift.current.astype(np.float64), shift.reference.astype(np.float64))
        for shift in shifts(halves, names)
    ]


def _series(one: ByDay, grain: str) -> pl.DataFrame:
    """PSI of each day or week; nothing where the reference is empty."""
    if not one.days or not one.reference.sum() > 0:
        return pl.DataFrame(schema=SERIES)
    place = np.array(
        [(day.toordinal() - (_MONDAY if grain == "1w" else 0)) // (7 if grain == "1w" else 1) for day in one.days]
    )
    cells, code = np.unique(place, return_inverse=True)
    table = np.zeros((len(cells), one.counts.shape[1]))
    np.add.at(table, code, one.counts)
    first, last = (
        np.searchsorted(code, np.arange(len(cells))),
        np.searchsorted(code, np.arange(len(cells)), side="right"),
    )
    made = psi_columns(one.reference, table)
    return pl.DataFrame(
        {
            "column": [one.column] * len(cells),
            GRAIN: [grain] * len(cells),
            results.PERIOD_START: [one.days[at] for at in first.tolist()],
            results.PERIOD_END: [one.days[at - 1] + _DAY for at in last.tolist()],
            "psi": pl.Series(made["psi"], dtype=pl.Float64).fill_nan(None),
            "psi_null_95": pl.Series(made["psi_null_95"], dtype=pl.Float64).fill_nan(None),
            results.N: table.sum(axis=1).astype(np.int64),
        },
        schema=SERIES,
    ).filter(pl.col(results.N) > 0)


def _changed(one: ByDay) -> dict[str, object]:
    found = change_point(one.counts)
    named = {
        name: None if place is None else floor_day(one.days[place])
        for name, place in (("day", found.at), ("first", found.first), ("last", found.last), ("back", found.back))
    }
    return {"column": one.column, "kind": found.kind, **named, results.REASON: found.reason}
