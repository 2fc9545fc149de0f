"""The difference of one measure between two versions: paired on the same rows, unpaired on split traffic."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.measure.kernels.made import REQUEST
from fbkit.measure.kinds import Cell, Cellwise, Measure, Total, working_name
from fbkit.measure.stats.intervals import Array, cluster_totals, normal_p, quantile, ratio_variance
from fbkit.measure.stats.intervals import difference as mover
from fbkit.measure.stats.paired import (
    Difference,
    mcnemar,
    paired_auc,
    paired_average_precision,
    paired_bootstrap,
    paired_ratio,
    percentiles,
)
from fbkit.measure.stats.per_unit import codes_of
from fbkit.measure.user import Metric, point
from fbkit.measure.versioning.version_bounds import sharp_bounds
from fbkit.measure.versioning.version_rows import Ints, Rows, Sums, taken

DRAWS: Final = 400
FEWER_DRAWS: Final = 200
FEW: Final = 5_000
LARGE: Final = 50_000
"""Rows beyond which a bootstrap takes minutes: then the two versions' own intervals, taken as independent, must do."""
SEED: Final = 20_230_907
FEWEST_ALIKE: Final = 20
"""Rows that two versions must treat alike before an interval without length is believed."""
_KERNELS: Final = {"roc_auc": paired_auc, "average_precision": paired_average_precision}
_NOTHING: Final = Difference(np.nan, np.nan, np.nan, np.nan, "")


class Gap(NamedTuple):
    """A difference, and its least and greatest value over the labels that are missing (NaN: not computed)."""

    found: Difference
    bound_lower: float = np.nan
    bound_upper: float = np.nan


def paired_gap(measure: Measure, sides: tuple[Rows, Rows], rows: Ints, *, metric: Metric | None, level: float) -> Gap:
    """The difference on the same rows: line ``i`` of both sides is about the same request."""
    clusters = sides[0].clusters_of(rows)
    if isinstance(measure, Total):
        one, two = (taken(side.sums[measure.name], rows) for side in sides)
        found = _paired_total(measure, one, two, clusters, level=level)
        alike = (
            np.array_equal(one.a, two.a) and np.array_equal(one.b, two.b) and int((one.b != 0).sum()) >= FEWEST_ALIKE
        )
        gap = Gap(found, *sharp_bounds(one, two))
    else:
        gap = Gap(_paired_cellwise(measure, sides, rows, clusters, metric=metric, level=level))
        alike = len(rows) >= FEWEST_ALIKE and _same_order(sides[0].score[rows], sides[1].score[rows])
    # No visible variance is no certainty: a few rows on which both happen to be perfect tell nothing.
    certain = gap.found.lower == gap.found.upper and not alike
    return gap._replace(found=_NOTHING) if certain else gap


def _same_order(one: Array, two: Array) -> bool:
    """Whether both scores order the rows alike, ties included."""
    first, second = (np.unique(score, return_inverse=True)[1] for score in (one, two))
    return bool(np.array_equal(first, second))


def _paired_total(measure: Total, one: Sums, two: Sums, clusters: Ints | None, *, level: float) -> Difference:
    counted = one.b == 1
    binary = all(np.isin(part.a[counted], (0.0, 1.0)).all() and (part.a[~counted] == 0).all() for part in (one, two))
    same = np.array_equal(one.b, two.b) and np.isin(one.b, (0.0, 1.0)).all()
    if clusters is None and same and binary and measure.transform is None and measure.kind == "proportion":
        return mcnemar(one.a[counted], two.a[counted], level=level)
    some = (one.b != 0) | (two.b != 0)
    first, second = ((part.a[some], part.b[some]) for part in (one, two))
    units = None if clusters is None else clusters[some]
    return paired_ratio(first, second, clusters=units, transform=measure.transform, level=level)


def _paired_cellwise(
    measure: Cellwise,
    sides: tuple[Rows, Rows],
    rows: Ints,
    clusters: Ints | None,
    *,
    metric: Metric | None,
    level: float,
) -> Difference:
    whole = measure.rows == "all" and measure.name not in _KERNELS
    kept = np.ones(len(rows), dtype=bool) if whole else np.isfinite(sides[0].label[rows])
    chosen, units = rows[kept], None if clusters is None else clusters[kept]
    if len(chosen) < 2:
        return _NOTHING
    scores = (sides[0].score[chosen], sides[1].score[chosen])
    label = sides[0].label[chosen]
    if measure.name in _KERNELS:
        return _KERNELS[measure.name](scores[0], scores[1], label, clusters=units, level=level)
    if len(chosen) > LARGE or (metric is not None and metric.needs == "bins"):
        return _NOTHING  # a value of bins costs hundreds of calls of a stranger's function
    cells = [_cell(measure, side, chosen) for side in sides]
    if metric is not None and not isinstance(metric.fn, pl.Expr) and metric.needs == "rows":
        return _own_bootstrap(metric, cells, scores, units, level=level)
    if units is None and REQUEST in measure.columns:
        units = codes_of(cells[0].columns[REQUEST])[0][np.argsort(np.argsort(scores[0], kind="stable"))]
    return _weighted_bootstrap(measure, cells, scores, units, level=level)


def _cell(measure: Cellwise, side: Rows, rows: Ints) -> Cell:
    """The rows as the measure wants them: by rising score. Nothing is open: bounds are not asked for."""
    order = rows[np.argsort(side.score[rows], kind="stable")]
    named = {name: working_name(name) for name in measure.columns} | {name: name for name in measure.expressions}
    columns = {name: side.frame[column][order] for name, column in named.items()}
    return Cell(side.score[order], side.label[order], side.flag[order], None, None, np.zeros(0), columns)


def _weighted_bootstrap(
    measure: Cellwise, cells: Sequence[Cell], scores: Sequence[Array], units: Ints | None, *, level: float
) -> Difference:
    """Both versions see the same resampled requests, as weights; the first rank says whose rows a draw holds."""
    n = len(scores[0])
    ranks = [np.argsort(np.argsort(score, kind="stable")) for score in scores]

    def value(codes: Array, _label: Array, weights: Array) -> float:
        cell = cells[0] if codes[0] < n else cells[1]
        return measure.fn(cell._replace(weight=weights), level).value

    draws = DRAWS if n <= FEW else FEWER_DRAWS
    return paired_bootstrap(
        value, ranks[0], n + ranks[1], np.zeros(n), clusters=units, draws=draws, seed=SEED, level=level
    )


def _own_bootstrap(
    metric: Metric, cells: Sequence[Cell], scores: Sequence[Array], units: Ints | None, *, level: float
) -> Difference:
    """A team's function of rows need not know of weights: rows are drawn again, the same ones for both versions."""
    ranks = [np.argsort(np.argsort(score, kind="stable")) for score in scores]
    rng, n = np.random.default_rng(SEED), len(scores[0])
    codes = np.arange(n) if units is None else np.unique(units, return_inverse=True)[1]
    many = int(codes.max()) + 1

    def gap(times: Ints) -> float:
        found = []
        for cell, rank in zip(cells, ranks, strict=True):
            again = np.empty(n, dtype=np.int64)
            again[rank] = times
            found.append(point(metric, cell, np.repeat(np.arange(n), again)))
        return found[1] - found[0]

    value = gap(np.ones(n, dtype=np.int64))
    drawn = [np.bincount(rng.integers(0, many, many), minlength=many)[codes] for _ in range(FEWER_DRAWS)]
    known = np.array([number for number in map(gap, drawn) if np.isfinite(number)])
    if many < 2 or len(known) < 0.9 * len(drawn):
        return Difference(value, np.nan, np.nan, np.nan, "")
    error = float(np.std(known, ddof=1))
    half = float(quantile(level, df=many - 1)) * error
    p_value = float(normal_p(value / error, df=many - 1)) if error else 1.0 if value == 0 else np.nan
    return Difference(value, value - half, value + half, p_value, f"paired bootstrap ({len(drawn)} draws)")


def split_gap(
    measure: Measure,
    sides: tuple[Rows, Rows],
    rows: tuple[Ints, Ints],
    estimates: tuple[Mapping[str, Any], Mapping[str, Any]],
    *,
    metric: Metric | None,
    level: float,
) -> Difference:
    """The difference of two shares of the traffic: Welch for means, else by the limits of both estimates (MOVER)."""
    if isinstance(measure, Total) and measure.kind == "mean" and measure.transform is None:
        return _welch(
            [(side.sums[measure.name], side.clusters_of(own), own) for side, own in zip(sides, rows, strict=True)],
            level=level,
        )
    found = unpaired(*estimates, level=level)
    if isinstance(measure, Total) or np.isfinite(found.lower) or metric is not None:
        return found
    return _unpaired_bootstrap(measure, sides, rows, found.value, level=level)


def _unpaired_bootstrap(
    measure: Cellwise, sides: tuple[Rows, Rows], rows: tuple[Ints, Ints], value: float, *, level: float
) -> Difference:
    """For what has no interval of its own: each version's rows are drawn again by themselves."""
    rng, drawn = np.random.default_rng(SEED), []
    for side, own in zip(sides, rows, strict=True):
        kept = own[np.isfinite(side.label[own])] if measure.rows == "labelled" else own
        if not 2 <= len(kept) <= LARGE:
            return _NOTHING._replace(value=value)
        cell, order = _cell(measure, side, kept), np.argsort(side.score[kept], kind="stable")
        clusters = side.clusters_of(kept)
        codes = order if clusters is None else np.unique(clusters, return_inverse=True)[1][order]
        many = int(codes.max()) + 1
        weights = (np.bincount(rng.integers(0, many, many), minlength=many)[codes] for _ in range(FEWER_DRAWS))
        drawn.append(np.array([measure.fn(cell._replace(weight=w.astype(float)), level).value for w in weights]))
    return percentiles(value, drawn[1] - drawn[0], level=level, name=f"bootstrap ({FEWER_DRAWS} draws)")


def _welch(parts: Sequence[tuple[Sums, Ints | None, Ints]], *, level: float) -> Difference:
    values, variances, sizes = [], [], []
    for sums, clusters, rows in parts:
        counted = sums.b[rows] != 0
        a, b = sums.a[rows][counted], sums.b[rows][counted]
        if clusters is not None:
            a, b = (cluster_totals(part, clusters[counted]) for part in (a, b))
        if not b.sum() > 0 or len(a) < 2:
            return _NOTHING
        values.append(float(a.sum() / b.sum()))
        variances.append(float(ratio_variance(a.sum(), b.sum(), a @ a, a @ b, b @ b, units=len(a))))
        sizes.append(len(a))
    total = sum(variances)
    value = values[1] - values[0]
    if total <= 0:
        return Difference(value, np.nan, np.nan, np.nan, "Welch")
    df = total**2 / sum(part**2 / (size - 1) for part, size in zip(variances, sizes, strict=True))
    half = float(quantile(level, df=df)) * total**0.5
    name = "Welch" if all(clusters is None for _, clusters, _ in parts) else "Welch, cluster-robust (entity)"
    return Difference(value, value - half, value + half, float(normal_p(value / total**0.5, df=df)), name)


def unpaired(one: Mapping[str, Any], two: Mapping[str, Any], *, level: float) -> Difference:
    """From two independent estimates with their intervals: squared distances to the limits add (MOVER, Newcombe).

    The p-value is that of the interval: the one at which an interval of this shape would end at zero.
    """
    first, second = (
        [np.nan if part[name] is None else part[name] for name in ("value", "lower", "upper")] for part in (one, two)
    )
    value = second[0] - first[0]
    lower, upper = (float(limit) for limit in mover((first[0], first[1], first[2]), (second[0], second[1], second[2])))
    if not np.isfinite([lower, upper]).all():
        return Difference(value, np.nan, np.nan, np.nan, "")
    methods = dict.fromkeys(str(part["method"]) for part in (one, two))
    both = " and ".join(methods)
    name = {"Wilson": "Newcombe", "DeLong": "DeLong (unpaired)"}.get(both, f"MOVER ({both})")
    side = value - lower if value > 0 else upper - value
    if side <= 0:
        return Difference(value, lower, upper, 1.0 if value == 0 else 0.0, name)
    return Difference(value, lower, upper, float(normal_p(float(quantile(level)) * value / side)), name)
