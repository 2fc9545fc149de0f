"""How much more common each reference row's features are now: a logistic density ratio, within strata."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import chdtrc, expit, ndtri

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler
from fbkit.diagnose.features import Feature
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Strata
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.selection import Test
from fbkit.measure.stats.intervals import homogeneity

LOWEST, HIGHEST = 0.02, 30.0
"""Ratios are clipped to this range: beyond it a few rows would stand for a whole window."""
MOST_FEATURES: Final = 8
WITH_SQUARE: Final = 4
STEPS: Final = 12
RIDGE: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Density:
    """The ratio of every row, and how the fit would move from draw to draw.

    ``design`` has one column per coefficient of ``slopes``; ``wobble`` (draws, coefficients) is what each bootstrap
    draw adds to them (one Newton step).
    """

    ratio: Floats
    design: Floats
    slopes: Floats
    wobble: Floats
    strata: Strata
    reference: Flags

    def noise(self, value: Callable[[Floats], float]) -> Floats:
        """What the draws of the fit add to a metric, ``value`` being the metric at a ratio; 0 for the data."""
        step = 1e-3
        base = value(self.ratio)
        slope = np.zeros(len(self.slopes))
        for j in range(len(self.slopes)):
            moved = self.slopes.copy()
            moved[j] += step
            slope[j] = (value(_ratio(self.design, moved, self.strata, self.reference)) - base) / step
        return np.concatenate([[0.0], self.wobble @ np.nan_to_num(slope)])


def density(
    scene: Scene, features: Sequence[Feature], *, strata: Strata, usable: Flags, with_score: bool
) -> Density | None:
    """Fit current against reference rows on the features' normal scores (and the score's); None without any."""
    columns: list[Floats] = []
    for place, feature in enumerate(features[:MOST_FEATURES]):
        normal = _normal(feature.ranks)
        columns.append(normal)
        if place < WITH_SQUARE:
            columns.append(normal**2)
        if feature.null[usable].any():
            columns.append(feature.null.astype(np.float64))
    if with_score:
        score = Feature("", scene.rows.score, (), scene.rows.of(REFERENCE) & usable)
        columns += [_normal(score.ranks), _normal(score.ranks) ** 2]
    if not columns:
        return None
    design = np.column_stack(columns)
    now = scene.rows.of(CURRENT)
    fitted = _logistic(design, strata, now, usable=usable, resampler=scene.resampler)
    slopes, wobble = fitted
    reference = scene.rows.of(REFERENCE) & usable
    ratio = _ratio(design, slopes, strata, reference)
    return Density(ratio=ratio, design=design, slopes=slopes, wobble=wobble, strata=strata, reference=reference)


def scores_test(scene: Scene, *, strata: Strata, usable: Flags) -> Test:
    """Does the distribution over the score bins differ between the windows, within the strata?"""
    rows, bins = scene.rows, scene.bins
    code = (strata.code * 2 + rows.window) * bins + scene.bin_of
    table = np.bincount(code[usable], minlength=strata.size * 2 * bins).reshape(strata.size, 2, bins)
    parts = [homogeneity(part) for part in table]
    statistic, freedom = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return Test("score", statistic, freedom, float(chdtrc(freedom, statistic)) if freedom else 1.0)


def _normal(ranks: Floats) -> Floats:
    """Normal scores of ranks, 0 for nulls, at most three standard deviations out."""
    return np.clip(ndtri(np.clip(np.nan_to_num(ranks, nan=0.5), 1e-4, 1 - 1e-4)), -3, 3)


def _logistic(
    design: Floats, strata: Strata, now: Flags, *, usable: Flags, resampler: Resampler
) -> tuple[Floats, Floats]:
    """Slopes of a logistic regression with an intercept per stratum, and one Newton step of every draw."""
    dummies = (strata.code[usable, None] == np.arange(strata.size)).astype(np.float64)
    x = np.hstack([design[usable], dummies[:, dummies.any(0)]])
    y = now[usable].astype(np.float64)
    beta = np.zeros(x.shape[1])
    information = np.eye(x.shape[1])
    for _ in range(STEPS):
        p = expit(x @ beta)
        information = x.T @ (x * (p * (1 - p))[:, None]) + RIDGE * len(y) * np.eye(x.shape[1])
        step = np.linalg.solve(information, x.T @ (y - p) - RIDGE * len(y) * beta)
        beta = np.clip(beta + step, -30, 30)
        if np.abs(step).max() < 1e-6:
            break
    left = (y - expit(x @ beta))[:, None] * x
    own = Resampler(resampler.cluster[usable], resampler.weights)
    nowhere = np.zeros(len(y), dtype=np.int64)
    drawn = np.column_stack([own.sums(nowhere, size=1, values=column)[1:, 0] for column in left.T])
    wobble = np.linalg.solve(information, drawn.T).T.astype(np.float64)
    k = design.shape[1]
    return beta[:k], wobble[:, :k]


def _ratio(design: Floats, slopes: Floats, strata: Strata, reference: Flags) -> Floats:
    """Clipped ratio of every row, 1 on average over the reference rows of each stratum."""
    index = design @ slopes
    raw = np.exp(np.clip(index - np.median(index[reference]), -50, 50))
    raw = raw / _means(raw, strata.code, reference, size=strata.size)[strata.code]
    raw = np.clip(raw, LOWEST, HIGHEST)
    return raw / _means(raw, strata.code, reference, size=strata.size)[strata.code]


def _means(value: Floats, code: Ints, mine: Flags, *, size: int) -> Floats:
    n = np.bincount(code[mine], minlength=size)
    total = np.bincount(code[mine], weights=value[mine], minlength=size)
    return np.where(n > 0, total / np.maximum(n, 1), 1.0)
