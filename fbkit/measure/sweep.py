"""One measure at many thresholds at once: the sums that its value and interval need, from one pass over the rows."""

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.kinds import F, S, Total, W, Y
from fbkit.measure.scope import ENTITY, IN, MATURE, Scope, Stage, with_entities
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import COUNTS, estimate

_ZERO: Final = 1e-9
_PLACE: Final = "\0flagged_by"


class Ready(NamedTuple):
    """Rows of one question that count at the stage, each with the number of thresholds that flag it.

    Entities are numbered and side by side, the highest score first. ``gathered`` are the independent rows by that
    number and label, their weights added up: all that a plain proportion needs.
    """

    rows: pl.DataFrame
    gathered: pl.DataFrame | None
    fractional: bool
    counts: dict[str, int]
    stage: Stage


def ready(scope: Scope, thresholds: Array) -> Ready:
    """Number and sort the rows once for all measures."""
    frame, clustered = with_entities(scope.frame, scope.keys)
    inside = frame.filter(IN)
    inside = inside.with_columns(
        pl.Series(_PLACE, np.searchsorted(thresholds, inside.get_column(S).to_numpy(), side="right"))
    )
    if clustered:
        inside = inside.sort(ENTITY, S, descending=[False, True])
    gathered = None if clustered else inside.group_by(_PLACE, Y).agg(pl.col(W).sum())
    fractional = not frame.select(pl.col(Y).is_in([0.0, 1.0]).all()).item()
    counts: dict[str, int] = dict.fromkeys(map(str, COUNTS), inside.height)
    counts |= {COUNTS[0]: frame.height, COUNTS[2]: int(inside.get_column(MATURE).sum())}
    counts |= dict.fromkeys(COUNTS[4:], int(inside.get_column(Y).is_not_null().sum()))
    return Ready(inside, gathered, fractional, counts, scope.stage)


def flagged_sums(ready: Ready, size: int) -> tuple[Array, Array, Array]:
    """Weight of positives, of labelled rows and of all rows that each of ``size`` thresholds flags."""
    rows = ready.rows.lazy().group_by(_PLACE)
    labelled = pl.col(W).filter(pl.col(Y).is_not_null()).sum()
    made = rows.agg((pl.col(W) * pl.col(Y)).sum().alias("y"), labelled.alias("n"), pl.col(W).sum().alias("all"))
    found = made.collect()
    place = found.get_column(_PLACE).to_numpy()

    def tail(name: str) -> Array:
        held = np.bincount(place, weights=found.get_column(name).cast(pl.Float64).to_numpy(), minlength=size + 1)
        return np.cumsum(held[::-1], dtype=np.float64)[::-1][1:]

    return tail("y"), tail("n"), tail("all")


def at_thresholds(ready: Ready, measure: Total, thresholds: Array, *, level: float, weighted: bool) -> pl.DataFrame:
    """The measure's estimate at each rising threshold, were every row flagged at ``score >= threshold``.

    Values and intervals are those that :func:`fbkit.metrics` gives for such flags.
    """
    plain = measure.kind == "proportion" and not weighted and not (ready.fractional and measure.uses_label)
    clustered = ready.gathered is None
    rows = ready.gathered if plain and ready.gathered is not None else ready.rows
    used = rows.filter(pl.col(Y).is_not_null()) if measure.uses_label else rows
    sides = [
        used.with_columns(pl.lit(flag).alias(F))
        .select(measure.numerator.cast(pl.Float64).alias("a"), measure.denominator.cast(pl.Float64).alias("b"))
        .to_numpy()
        for flag in (0.0, 1.0)
    ]
    flagged_from = used.get_column(_PLACE).to_numpy()
    cluster = used.get_column(ENTITY).to_numpy() if clustered else None
    moments = clustered or not plain
    sums = _sums(sides[0], sides[1], flagged_from, len(thresholds), cluster=cluster, moments=moments)
    cells = pl.DataFrame(sums).with_columns(pl.lit(n, dtype=pl.Int64).alias(name) for name, n in ready.counts.items())
    return estimate(cells, measure, level=level, stage=ready.stage)


def _sums(
    off: Array,
    on: Array,
    flagged_from: NDArray[np.int64],
    size: int,
    *,
    cluster: NDArray[np.int64] | None,
    moments: bool,
) -> dict[str, Array]:
    """Sums of numerator and denominator (and their products over rows or clusters) at each threshold."""

    def at(unflagged: Array, gained: Array) -> Array:
        by_place = np.bincount(flagged_from, weights=gained, minlength=size + 1)
        return np.sum(unflagged) + np.cumsum(by_place[::-1])[::-1][1:]

    (a0, b0), (a1, b1) = off.T, on.T
    made = {"a": at(a0, a1 - a0), "b": at(b0, b1 - b0)}
    if not moments:
        return made
    made["rows"] = at(_held(b0), _held(b1) - _held(b0))
    first = np.ones(len(a0), dtype=bool)
    if cluster is not None:
        first = np.diff(cluster, prepend=cluster[:1] - 1) != 0
        (a0, a1), (b0, b1) = (_running(*pair, first) for pair in ((a0, a1), (b0, b1)))
    products = {"aa": (a0 * a0, a1 * a1), "ab": (a0 * b0, a1 * b1), "bb": (b0 * b0, b1 * b1)}
    products["units"] = (_held(b0), _held(b1))
    return made | {name: at(before[first], after - before) for name, (before, after) in products.items()}


def _held(denominator: Array) -> Array:
    return (np.abs(denominator) > _ZERO).astype(np.float64)


def _running(unflagged: Array, flagged: Array, first: NDArray[np.bool_]) -> tuple[Array, Array]:
    """A cluster's total just before and just after each of its rows is flagged, the highest score first."""
    starts = np.flatnonzero(first)
    cluster = np.cumsum(first) - 1
    gained = flagged - unflagged
    total = np.cumsum(gained)
    before = total - gained
    if not len(starts):
        return before, total
    start = (np.add.reduceat(unflagged, starts) - before[starts])[cluster]
    return start + before, start + total
