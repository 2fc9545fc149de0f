"""What drifted by day, and two distributions, from a ledger's score bins and slice counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from fbkit.ledger.ledger import Ledger
from fbkit.measure.distribution import Bars, folded, ranges, with_nulls
from fbkit.measure.drift_days import ByDay
from fbkit.measure.from_ledger.cells import ask
from fbkit.measure.from_ledger.curves import counted_columns, counts_of, resolved, score_bins, value_bins
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period

_ANY: Final = results.STAGE_ANY
_CROWDED: Final = 0.7


def ledger_by_day(
    ledger: Ledger,
    comparison: Comparison,
    *,
    columns: str | Sequence[str] | None = None,
    as_of: str | datetime | None = None,
) -> list[ByDay]:
    """Rows by day and bin, from the start of the reference to the end of the current period."""
    reference, current = resolved(ledger, comparison)
    span = Period(start=reference.start, end=current.end)
    made: list[ByDay] = []
    for name in counted_columns(ledger, columns):
        table, starts = _table(ledger, name, span, every="1d", as_of=as_of)
        inside = np.array([reference.start <= start < reference.end for start in starts], dtype=bool)
        first = table[inside].sum(axis=0) if len(starts) else table.sum(axis=0)
        place, _ = score_bins(first) if name == "score" else value_bins(ledger, name, first, table)
        merged = np.stack([_merged(line, place) for line in table]) if len(starts) else table[:, :1]
        made.append(ByDay(name, starts, merged, _merged(first, place)))
    return made


def _merged(line: Array, place: Array) -> Array:
    return np.bincount(place, weights=line).astype(np.float64)


def _table(
    ledger: Ledger, name: str, period: Period, *, every: str | None, as_of: str | datetime | None
) -> tuple[Array, list[Any]]:
    by = None if name == "score" else name
    question = ask(ledger, by=by, period=period, every=every, stage=_ANY, as_of=as_of)
    return counts_of(question, name)


def ledger_bars(
    ledger: Ledger, comparison: Comparison, *, column: str, as_of: str | datetime | None
) -> tuple[Bars, tuple[Period, Period]]:
    """The bars of one column, and the two periods: tenths of the score where they are edges, else the ledger's bins."""
    name = counted_columns(ledger, column)[0]
    periods = resolved(ledger, comparison)
    reference, current = (_table(ledger, name, period, every=None, as_of=as_of)[0].sum(axis=0) for period in periods)
    if name == "score":
        return _score_bars(ledger, reference, current), periods
    texts = ledger.values[name]
    order = sorted(range(len(texts)), key=lambda place: (-reference[place], -current[place], texts[place]))
    bars = folded([texts[place] for place in order], reference[order], current[order])
    return with_nulls(bars, float(reference[-1]), float(current[-1])), periods


def _score_bars(ledger: Ledger, reference: Array, current: Array) -> Bars:
    inner = np.array(ledger.edges.edges)
    tenths = np.array([at for at in range(1, 10) if np.any(np.abs(inner - at / 10) < 1e-12)])
    chosen = np.searchsorted(inner, tenths / 10 - 1e-9) if len(tenths) else np.empty(0, dtype=np.int64)
    place = np.searchsorted(chosen, np.arange(len(reference)) - 1, side="right")
    if not len(tenths) or np.bincount(place, weights=reference).max() > _CROWDED * reference.sum():
        place, _ = score_bins(reference)
        chosen = np.flatnonzero(np.diff(place))
    sides: list[Array] = [
        np.bincount(place, weights=part, minlength=len(chosen) + 1).astype(np.float64) for part in (reference, current)
    ]
    return ranges(inner[chosen], *sides)
