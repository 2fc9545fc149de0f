"""Two distributions of one column side by side: a histogram whose edges the reference makes, or categories."""

from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.drift import chosen_columns
from fbkit.measure.evaluation import stamped
from fbkit.measure.halves import Halves, known_values, read_halves
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.shift import LARGEST_CATEGORIES, shift_of
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike, check_joined

VALUES: Final = "values"
RANGES: Final = "ranges"
COLUMNS: Final = (
    "place", "kind", "label", "lower", "upper", "share_reference", "share_current", "n_reference", "n_current",
    results.EVALUATION_ID,
)  # fmt: skip
SHOWN: Final = 12
_BINS: Final = 20
_FEW: Final = 16
_OUTER: Final = 0.01
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
OTHER: Final = "(other)"
NULL: Final = "(null)"


class Bars(NamedTuple):
    """Bars from left to right; ranges have ends (an open one is None), values have none."""

    kind: str
    labels: list[str]
    ends: list[tuple[float | None, float | None]]
    reference: Array
    current: Array


@checked
def distribution(
    joined: JoinedLike | Ledger,
    comparison: Comparison,
    *,
    column: str,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The distribution of one column in the reference and in the current period, as people draw it.

    Numbers get about 20 bins of one round width over the reference's inner 98 %, with an open bin at either end for
    what lies outside; numbers of at most 16 values, and text, get a bar per value, the rarer ones past the largest 12
    together. Where such bins would hold nearly everything in one, the bins are the reference's deciles. Null is a bar
    of its own. The current data never move an edge. ``as_of``, an earlier midnight, is for ledgers.

    Returns
    -------
    place, kind ("ranges" or "values"), label, lower, upper (half-open; null where open and for values),
    share_reference, share_current (null in an empty period), n_reference, n_current, evaluation_id.

    Raises
    ------
    ArgumentError
        An unknown column, a column of times, a column that the ledger did not count.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.days import ledger_bars

        name, bars, periods = column, *ledger_bars(joined, comparison, column=column, as_of=as_of)
    else:
        not_of_rows(as_of=as_of)
        check_joined(joined)
        name = chosen_columns(joined, column)[0]
        halves = read_halves(joined, comparison, columns=[name])
        bars, periods = _bars(halves, name), halves.periods
    frame = _frame(bars)
    asked = {"column": name, "periods": [str(period) for period in periods], "as_of": str(as_of)}
    known: JoinedLike = joined  # pyright: ignore[reportAssignmentType]  # a ledger has what a stamp needs
    return stamped(frame, known, call="distribution", **asked).select(COLUMNS)


def _frame(bars: Bars) -> pl.DataFrame:
    counts = {"reference": bars.reference, "current": bars.current}
    shares = {
        f"share_{role}": pl.Series(part / part.sum() if part.sum() > 0 else [None] * len(part), dtype=pl.Float64)
        for role, part in counts.items()
    }
    return pl.DataFrame(
        {
            "place": np.arange(len(bars.labels)),
            "kind": [bars.kind] * len(bars.labels),
            "label": pl.Series(bars.labels, dtype=pl.String),
            "lower": pl.Series([low for low, _ in bars.ends], dtype=pl.Float64),
            "upper": pl.Series([high for _, high in bars.ends], dtype=pl.Float64),
            **shares,
            **{f"n_{role}": part.astype(np.int64) for role, part in counts.items()},
        }
    )


def _bars(halves: Halves, name: str) -> Bars:
    series = halves.reference.get_column(name)
    if not series.dtype.is_numeric():
        return _values(halves, name)
    before = known_values(series, np.array([0, len(series)]))[0]
    now = halves.current.get_column(name)
    after = known_values(now, np.array([0, len(now)]))[0]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    both = np.unique(np.concatenate([before, after])) if len(before) + len(after) else np.empty(0)
    if len(both) <= _FEW:
        bars = Bars(VALUES, [f"{value:.6g}" for value in both], [(None, None)] * len(both), *_held(before, after, both))
    else:
        edges = round_edges(before)
        inside = np.searchsorted(edges, before, side="right")
        if not len(edges) or np.bincount(inside, minlength=len(edges) + 1)[1:-1].max(initial=0) > 0.7 * len(before):
            return with_nulls(_deciles(halves, name), series.len() - len(before), len(now) - len(after))
        bars = ranges(edges, *(_by_edge(values, edges) for values in (before, after)))
    return with_nulls(bars, len(series) - len(before), len(now) - len(after))


def _held(before: Array, after: Array, values: Array) -> tuple[Array, Array]:
    first, second = (np.bincount(np.searchsorted(values, part), minlength=len(values)) for part in (before, after))
    return first.astype(np.float64), second.astype(np.float64)


def _by_edge(values: Array, edges: Array) -> Array:
    return np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).astype(np.float64)


def round_edges(values: Array) -> Array:
    """About 20 rising edges at multiples of a round step, over the inner 98 % of the values.

    >>> round_edges(np.linspace(0, 1, 1001)).round(3).tolist()[:3]
    [0.0, 0.05, 0.1]
    """
    if not len(values):
        return np.empty(0)
    low, high = (float(end) for end in np.quantile(values, [_OUTER, 1 - _OUTER]))
    if not (np.isfinite(high - low) and high > low):
        return np.empty(0)
    raw = (high - low) / _BINS
    unit = 10.0 ** np.floor(np.log10(raw))
    step = unit * next(size for size in _STEPS if size * unit >= raw * 0.999)
    first, last = np.floor(low / step), np.ceil(high / step)
    return np.unique(np.arange(first, last + 1) * step)


def ranges(edges: Array, reference: Array, current: Array) -> Bars:
    """Bars between edges; the open ends only where they hold something."""
    pairs = list(pairwise([None, *(float(edge) for edge in edges), None]))
    kept = np.ones(len(pairs), dtype=bool)
    kept[[0, -1]] = (reference + current)[[0, -1]] > 0
    shown = [pair for pair, keep in zip(pairs, kept.tolist(), strict=True) if keep]
    return Bars(RANGES, [range_text(*pair) for pair in shown], shown, reference[kept], current[kept])


def range_text(low: float | None, high: float | None) -> str:
    """A half-open range in words.

    >>> range_text(None, 2), range_text(0.1, 0.25), range_text(3, None)
    ('below 2', '0.1 to 0.25', '3 and above')
    """
    if low is None:
        return "all" if high is None else f"below {high:.6g}"
    return f"{low:.6g} and above" if high is None else f"{low:.6g} to {high:.6g}"


def _deciles(halves: Halves, name: str) -> Bars:
    """The bins of PSI, without those of nulls."""
    shift = shift_of(halves, name)
    bins = [item for item in shift.bins if item.label != NULL or item.lower is not None or item.upper is not None]
    held = slice(0, len(bins))
    counts = (part.astype(np.float64) for part in (shift.reference[held], shift.current[0][held]))
    return Bars(RANGES, [item.label for item in bins], [(item.lower, item.upper) for item in bins], *counts)


def _values(halves: Halves, name: str) -> Bars:
    shift = shift_of(halves, name)
    nulls = shift.nulls_reference, int(shift.nulls_current[0])
    held = len(shift.bins) - (1 if any(nulls) else 0)
    labels = [item.label for item in shift.bins[:held]]
    counts = [part.astype(np.float64)[:held] for part in (shift.reference, shift.current[0])]
    # A column of more values than PSI tells apart has its rest in the last bin already.
    return with_nulls(folded(labels, *counts, folded_already=held > LARGEST_CATEGORIES), *nulls)


def folded(labels: list[str], reference: Array, current: Array, *, folded_already: bool = False) -> Bars:
    """A bar for each of the largest values of both periods, in the order given; the rest together."""
    shares = [part / part.sum() if part.sum() > 0 else part for part in (reference, current)]
    size = len(labels) - (1 if folded_already else 0)
    order = np.argsort(-(shares[0] + shares[1])[:size], kind="stable")
    kept = np.sort(order[:SHOWN]) if size > SHOWN else np.arange(size)
    rest = np.setdiff1d(np.arange(len(labels)), kept)
    names = [labels[at] for at in kept.tolist()]
    sides = [part[kept] for part in (reference, current)]
    if len(rest):
        names.append(OTHER)
        sides = [np.append(side, part[rest].sum()) for side, part in zip(sides, (reference, current), strict=True)]
    return Bars(VALUES, names, [(None, None)] * len(names), sides[0], sides[1])


def with_nulls(bars: Bars, before: float, after: float) -> Bars:
    """The bars with one more for what has no value, where there is such."""
    if not before and not after:
        return bars
    return Bars(
        bars.kind,
        [*bars.labels, NULL],
        [*bars.ends, (None, None)],
        np.append(bars.reference, before),
        np.append(bars.current, after),
    )
