"""One measure at many thresholds at once: the sums that its value and interval need, from one pass over the rows."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.intervals import Array
from fbkit.measure.kinds import F, S, Total, Y
from fbkit.measure.scope import ENTITY, IN, MATURE, Stage
from fbkit.measure.totals import CLUSTERED, COUNTS, estimate

_ZERO: Final = 1e-9


def at_thresholds(
    frame: pl.DataFrame, measure: Total, thresholds: Array, *, units: str | None, level: float, stage: Stage
) -> pl.DataFrame:
    """The measure's estimate at each rising threshold, were every row flagged at ``score >= threshold``.

    ``frame`` holds the working columns of a scope; only rows that count at the stage are used. Values and intervals
    are those that :func:`fbkit.metrics` gives for such flags.
    """
    inside = frame.filter(IN)
    used = inside.filter(pl.col(Y).is_not_null()) if measure.uses_label else inside
    sides = [
        used.with_columns(pl.lit(flag).alias(F))
        .select(measure.numerator.cast(pl.Float64).alias("a"), measure.denominator.cast(pl.Float64).alias("b"))
        .to_numpy()
        for flag in (0.0, 1.0)
    ]
    flagged_from = np.searchsorted(thresholds, used.get_column(S).to_numpy(), side="right")
    cluster = used.get_column(ENTITY).to_numpy() if units == CLUSTERED else None
    sums = _sums(sides[0], sides[1], flagged_from, len(thresholds), cluster=cluster, moments=units is not None)
    labelled = inside.get_column(Y).is_not_null().sum()
    counts = dict.fromkeys(COUNTS, inside.height)
    counts |= {COUNTS[0]: frame.height, COUNTS[2]: inside.get_column(MATURE).sum()}
    counts |= dict.fromkeys(COUNTS[4:], labelled)
    cells = pl.DataFrame(sums).with_columns(pl.lit(n, dtype=pl.Int64).alias(name) for name, n in counts.items())
    return estimate(cells, measure, level=level, stage=stage)


def _sums(
    off: Array, on: Array, flagged_from: NDArray[np.int64], size: int, *, cluster: Array | None, moments: bool
) -> dict[str, Array]:
    """Sums of numerator and denominator (and their products over rows or clusters) at each threshold."""

    def at(unflagged: Array | float, gained: Array, place: NDArray[np.int64] = flagged_from) -> Array:
        by_place = np.bincount(place, weights=gained, minlength=size + 1)
        return np.sum(unflagged) + np.cumsum(by_place[::-1])[::-1][1:]

    (a0, b0), (a1, b1) = off.T, on.T
    made = {"a": at(a0, a1 - a0), "b": at(b0, b1 - b0)}
    if not moments:
        return made
    held = (np.abs(b0) > _ZERO).astype(np.float64), (np.abs(b1) > _ZERO).astype(np.float64)
    made["rows"] = at(held[0], held[1] - held[0])
    place = flagged_from
    if cluster is not None:
        order = np.lexsort((-flagged_from, cluster))
        place = flagged_from[order]
        codes = np.unique(cluster, return_inverse=True)[1][order]
        (a0, a1), (b0, b1) = (_running(part[order].T, codes) for part in (np.stack([a0, a1], 1), np.stack([b0, b1], 1)))
        first = np.diff(codes, prepend=-1) > 0
    else:
        first = np.ones(len(a0), dtype=bool)
    products = {"aa": (a0 * a0, a1 * a1), "ab": (a0 * b0, a1 * b1), "bb": (b0 * b0, b1 * b1)}
    products["units"] = ((np.abs(b0) > _ZERO).astype(np.float64), (np.abs(b1) > _ZERO).astype(np.float64))
    return made | {name: at(before[first], after - before, place) for name, (before, after) in products.items()}


def _running(parts: Array, codes: NDArray[np.int64]) -> tuple[Array, Array]:
    """A cluster's total just before and just after each of its rows is flagged, the highest score first."""
    unflagged, flagged = parts
    gained = flagged - unflagged
    start = np.bincount(codes, weights=unflagged)[codes]
    total = np.cumsum(gained)
    firsts = np.flatnonzero(np.diff(codes, prepend=-1))
    base = (total - gained)[firsts][codes]
    return start + total - gained - base, start + total - base
