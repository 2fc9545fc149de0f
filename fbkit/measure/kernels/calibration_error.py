"""Brier's parts, calibration errors and the distance of the classes, with what chance alone would show of them."""

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np

from fbkit.measure.kinds import Cell, Cellwise, Found
from fbkit.measure.stats.corp import PARTS, bin_of, decompose, expected_error, sums_by
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.null_band import Against, Judged, Rows, Statistic, gained, judge, worlds
from fbkit.measure.stats.smooth_error import smooth_error, smooth_errors

BIASED: Final = ("mcb", "ece", "smooth_ece")
_DRAW_NODES: Final = 256
_DRAW_STEPS: Final = 10
_REMEMBERED: Final = 2000


def mcb_draws(score: Array, n: Array, sums: Array) -> Array:
    """Miscalibration (CORP) of each draw of labels."""
    return gained(score, n, sums, against="scores")


def dsc_draws(score: Array, n: Array, sums: Array) -> Array:
    """Discrimination (CORP) of each draw of labels."""
    return gained(score, n, sums, against="base")


def ece_draws(score: Array, n: Array, sums: Array, *, bins: int = 10) -> Array:
    """Expected calibration error of each draw of labels."""
    starts = np.flatnonzero(np.diff(bin_of(score, bins), prepend=-1))
    return np.abs(np.add.reduceat(sums - n * score, starts, axis=1)).sum(axis=1) / n.sum()


def smooth_ece_draws(score: Array, n: Array, sums: Array) -> Array:
    """Smooth calibration error of each draw of labels."""
    return smooth_errors(score, (sums - n * score) / n.sum(), nodes=_DRAW_NODES, steps=_DRAW_STEPS)


def ks_draws(score: Array, n: Array, sums: Array) -> Array:  # noqa: ARG001 - the order of the groups is all
    """Largest distance of the classes' distributions of each draw of labels."""
    positives, negatives = np.cumsum(sums, axis=1), np.cumsum(n - sums, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = negatives / negatives[:, -1:] - positives / positives[:, -1:]
    return np.nan_to_num(np.maximum(gaps.max(axis=1), 0.0))


def ks_of(scores: Array, labels: Array, *, weights: Array | None = None) -> float:
    """Largest true positive rate minus false positive rate over all thresholds; NaN with one class only.

    Kolmogorov and Smirnov's distance of the two classes' scores, as far as positives score higher.

    >>> ks_of(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.0, 0.0, 1.0, 1.0]))
    0.5
    """
    weight = np.ones_like(scores) if weights is None else weights
    score, code = np.unique(scores, return_inverse=True)
    n, positives = sums_by(code, weight), sums_by(code, weight * labels)
    if not 0 < positives.sum() < n.sum():
        return np.nan
    return float(ks_draws(score, n, positives[None, :])[0])


STATISTICS: Final[dict[str, tuple[Callable[..., float], Statistic, Against]]] = {
    "mcb": (lambda s, y, weights: decompose(s, y, weights=weights)["mcb"], mcb_draws, "scores"),
    "ece": (lambda s, y, weights: expected_error(s, y, weights=weights), ece_draws, "scores"),
    "smooth_ece": (lambda s, y, weights: smooth_error(s, y, weights=weights), smooth_ece_draws, "scores"),
    "ks_classes": (lambda s, y, weights: ks_of(s, y, weights=weights), ks_draws, "base"),
}


_judged_before: dict[str, Judged] = {}


def _judge_once(value: float, statistic: Statistic, rows: Rows, against: Against, level: float) -> Judged:
    """The debiased value, the band and the p-value are asked for one by one, of the same rows."""
    digest = hashlib.sha256(f"{statistic.__name__} {against} {level} {value!r}".encode())
    for part in rows:
        digest.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    key = digest.hexdigest()
    found = _judged_before.get(key)
    if found is None:
        found = judge(value, statistic, worlds(rows, against=against), level=level)
        if len(_judged_before) >= _REMEMBERED:
            _judged_before.clear()
        _judged_before[key] = found
    return found


def _plain(name: str) -> Cellwise:
    value_of = STATISTICS[name][0]

    def measure(cell: Cell, level: float) -> Found:  # noqa: ARG001 - biased near 0: no interval, but companions
        return Found(value_of(cell.score, cell.label, weights=cell.weight))

    return _cellwise(name, name, measure)


def _judged(name: str, what: str) -> Cellwise:
    value_of, draws, against = STATISTICS[name]

    def measure(cell: Cell, level: float) -> Found:
        value = value_of(cell.score, cell.label, weights=cell.weight)
        if np.isnan(value):
            return Found(value)
        found = _judge_once(value, draws, Rows(cell.score, cell.label, cell.weight, cell.cluster), against, level)
        if what == "debiased":
            return Found(found.debiased, found.lower, found.upper, method=found.method)
        return Found(found.null_95 if what == "null_95" else found.p_value, method=found.method)

    return _cellwise(f"{name}_{what}", name, measure)


def _cellwise(name: str, base: str, measure: Callable[[Cell, float], Found]) -> Cellwise:
    classes = base == "ks_classes"
    return Cellwise(
        name=name, fn=measure, probability=not classes, empty="one class" if classes else "no labelled rows"
    )


def _part(name: str) -> Cellwise:
    def measure(cell: Cell, level: float) -> Found:  # noqa: ARG001 - no interval
        return Found(decompose(cell.score, cell.label, weights=cell.weight)[name])

    return Cellwise(name=name, fn=measure, probability=True)


MEASURES: Final = (
    _plain("mcb"),
    *(_part(name) for name in PARTS if name != "mcb"),
    *(_plain(name) for name in STATISTICS if name != "mcb"),
    *(_judged(name, what) for name in STATISTICS for what in ("debiased", "null_95", "p_value")),
)
