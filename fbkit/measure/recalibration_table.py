"""Before and after a recalibration on the same rows: every number with its interval, and that of the difference."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from fbkit.measure.kernels.calibration_error import STATISTICS, dsc_draws
from fbkit.measure.stats.corp import decompose
from fbkit.measure.stats.intervals import Array, cluster_totals, effective_units, mean_by_variance, ratio_variance
from fbkit.measure.stats.null_band import Judged, Rows, Statistic, Worlds, judge, worlds
from fbkit.measure.stats.paired import Difference, paired_auc, paired_ratio
from fbkit.measure.stats.ranking import roc_auc

METRICS: Final = ("brier", "mcb", "dsc", "ece", "smooth_ece", "log_loss", "roc_auc")
NUMBERS: Final = (
    "before", "before_lower", "before_upper", "after", "after_lower", "after_upper",
    "change", "change_lower", "change_upper", "before_debiased", "after_debiased",
)  # fmt: skip
_TINY: Final = float(np.finfo(np.float64).eps)


class Line(NamedTuple):
    """One metric before and after; NaN is not estimable."""

    before: tuple[float, float, float]
    after: tuple[float, float, float]
    change: tuple[float, float, float]
    debiased: tuple[float, float] = (np.nan, np.nan)
    method: str | None = None
    reason: str | None = None

    def numbers(self) -> dict[str, float]:
        """The numbers under their column names."""
        return dict(zip(NUMBERS, (*self.before, *self.after, *self.change, *self.debiased), strict=True))


def lines(before: Rows, after: Rows, *, level: float) -> dict[str, Line]:
    """Every metric of the rows scored before and after; both hold the same rows in the same order."""
    made = {name: _mean(before, after, loss, level=level) for name, loss in (("brier", _square), ("log_loss", _log))}
    made["roc_auc"] = _ranked(before, after, level=level)
    return {**made, **_biased(before, after, level=level)}


def _square(score: Array, label: Array) -> Array:
    return label * np.square(1 - score) + (1 - label) * np.square(score)


def _log(score: Array, label: Array) -> Array:
    inside = np.clip(score, _TINY, 1 - _TINY)
    return -label * np.log(inside) - (1 - label) * np.log1p(-inside)


def _mean(before: Rows, after: Rows, loss: Callable[[Array, Array], Array], *, level: float) -> Line:
    weight = np.ones_like(before.score) if before.weight is None else before.weight
    losses = [weight * loss(rows.score, rows.label) for rows in (before, after)]
    found = paired_ratio((losses[0], weight), (losses[1], weight), clusters=before.cluster, level=level)
    sides = [mean_interval(top, weight, before, level=level) for top in losses]
    return Line(sides[0], sides[1], _change(found), method=found.method)


def mean_interval(top: Array, weight: Array, rows: Rows, *, level: float) -> tuple[float, float, float]:
    """Mean of ``top`` over ``weight`` with Student's interval over rows or entities."""
    a, b = (part if rows.cluster is None else cluster_totals(part, rows.cluster) for part in (top, weight))
    value = float(a.sum() / b.sum())
    variance = ratio_variance(a.sum(), b.sum(), a @ a, a @ b, b @ b, units=len(a))
    units = effective_units(b.sum(), b @ b)
    lower, upper = mean_by_variance(value, variance, units=units, level=level, low=0.0)
    return value, float(lower), float(upper)


def _ranked(before: Rows, after: Rows, *, level: float) -> Line:
    weight, cluster = before.weight, before.cluster
    first, second = (
        roc_auc(rows.score, rows.label, weights=weight, clusters=cluster, level=level) for rows in (before, after)
    )
    if np.isnan(first.value):
        nothing = (np.nan, np.nan, np.nan)
        return Line(nothing, nothing, nothing, reason="one class")
    found = paired_auc(before.score, after.score, before.label, weights=weight, clusters=cluster, level=level)
    sides = [(part.value, part.lower, part.upper) for part in (first, second)]
    return Line(sides[0], sides[1], _change(found), method=found.method)


def _change(found: Difference) -> tuple[float, float, float]:
    return found.value, found.lower, found.upper


def _biased(before: Rows, after: Rows, *, level: float) -> dict[str, Line]:
    """The statistics that are biased near zero: intervals from labels drawn again, the same for both scores."""
    sides = (before, after)
    calibrated = [worlds(rows) for rows in sides]
    worthless = [worlds(rows, against="base") for rows in sides]
    mapped = _pooled(calibrated[0], before, after)
    made: dict[str, Line] = {}
    for name in ("mcb", "dsc", "ece", "smooth_ece"):
        value_of, draws, _ = STATISTICS.get(name, (_dsc, dsc_draws, "base"))
        values = [value_of(rows.score, rows.label, weights=rows.weight) for rows in sides]
        against = worthless if name == "dsc" else calibrated
        judged = [judge(value, draws, world, level=level) for value, world in zip(values, against, strict=True)]
        made[name] = Line(
            _side(judged[0]),
            _side(judged[1]),
            _difference(values[1] - values[0], draws, calibrated[0], mapped, level=level),
            debiased=(judged[0].debiased, judged[1].debiased),
            method=f"{judged[0].method} (paired)",
        )
    return made


def _dsc(scores: Array, labels: Array, *, weights: Array | None) -> float:
    return decompose(scores, labels, weights=weights)["dsc"]


def _side(judged: Judged) -> tuple[float, float, float]:
    return judged.value, judged.lower, judged.upper


def _pooled(made: Worlds, before: Rows, after: Rows) -> Callable[[Array], tuple[Array, Array, Array]]:
    """Sums by group of the score before as rising score after, its rows, and the sums of their labels."""
    n = made.groups.n
    weight = np.ones_like(before.score) if before.weight is None else before.weight
    score = np.bincount(made.code, weights=weight * after.score) / n
    starts = np.flatnonzero(np.diff(score, prepend=-np.inf) > 0)
    rows = np.add.reduceat(n, starts)
    mean = np.add.reduceat(n * score, starts) / rows
    return lambda sums: (mean, rows, np.add.reduceat(sums, starts, axis=1))


def _difference(
    change: float,
    draws: Statistic,
    made: Worlds,
    mapped: Callable[[Array], tuple[Array, Array, Array]],
    *,
    level: float,
) -> tuple[float, float, float]:
    groups = made.groups

    def gap(sums: Array) -> Array:
        return draws(*mapped(sums)) - draws(groups.score, groups.n, sums)

    excess = [gap(drawn) - gap((groups.n * truth)[None, :])[0] for truth, drawn in made.seen]
    low, high = np.quantile(np.stack(excess), [(1 - level) / 2, (1 + level) / 2], axis=1)
    return change - float(excess[0].mean()), change - float(high.max()), change - float(low.min())
