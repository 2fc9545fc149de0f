"""The score explained by the logged features: splines, products and text values, by least squares; R2 says how well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import ndtri

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.features import Feature

GOOD_FIT: Final = 0.98
"""R2 on rows that were not fitted, below which a surrogate does not stand for the model."""
FIT_ROWS: Final = 20_000
HELD_OUT: Final = 0.2
KNOTS: Final = np.array([0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98])
GRID: Final = np.linspace(0.001, 0.999, 200)
MOST_PRODUCTS: Final = 10
"""Numeric features beyond which products would be more columns than rows can tell."""
RIDGE: Final = 1e-4
FEWEST_ROWS: Final = 300

Columns = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """How one feature enters: knots of its spline, its normal scores, or its text values."""

    name: str
    knots: Floats
    scale: float
    middle: float
    grid: Floats
    levels: int

    @classmethod
    def of(cls, name: str, values: Floats, *, levels: int) -> "_Column":
        known = values[np.isfinite(values)]
        if levels or not len(known):
            return cls(name=name, knots=np.zeros(0), scale=1.0, middle=0.0, grid=np.zeros(0), levels=levels)
        grid = np.quantile(known, GRID)
        knots = np.unique(np.quantile(known, KNOTS))
        # Two clusters far apart (one unit and another) need a scale of their own between the knots.
        scale = float(knots[-1] - knots[0]) or 1.0
        return cls(name=name, knots=knots, scale=scale, middle=float(np.median(known)), grid=grid, levels=0)

    def basis(self, values: Floats) -> list[Floats]:
        """One or more columns of the design; a null counts as the middle with a column of its own."""
        null = np.isnan(values)
        parts = [null.astype(np.float64)]
        if self.levels:
            code = np.where(null, -1, values).astype(np.int64)
            return parts + [(code == level).astype(np.float64) for level in range(1, self.levels)]
        x = np.where(null, self.middle, values)
        between = [np.interp(x, self.knots[i : i + 2], [0.0, 1.0]) for i in range(len(self.knots) - 1)]
        outside = [np.minimum(x - self.knots[0], 0), np.maximum(x - self.knots[-1], 0)] if len(self.knots) else []
        return parts + between + [np.clip(part / self.scale, -5, 5) for part in outside]

    def normal(self, values: Floats) -> Floats:
        """Normal score of the value, 0 for a null."""
        if not len(self.grid):
            return np.zeros(len(values))
        u = np.interp(np.where(np.isnan(values), self.middle, values), *_distinct(self.grid))
        return np.where(np.isnan(values), 0.0, ndtri(u))


def _distinct(grid: Floats) -> tuple[Floats, Floats]:
    """Grid values once each, with the middle of the levels that share one."""
    values, place = np.unique(grid, return_inverse=True)
    return values, np.bincount(place, weights=GRID) / np.bincount(place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A fitted explanation of the score on the link's scale; ``r2`` is on rows that were not fitted."""

    columns: tuple[_Column, ...]
    coefficients: Floats
    r2: float
    rows: int

    def predict(self, values: Columns) -> Floats:
        """Scores on the link's scale for feature values (NaN: null)."""
        return _design(self.columns, values) @ self.coefficients


def fit(features: Sequence[Feature], target: Floats, *, rows: Ints, seed: int = 0) -> Surrogate | None:
    """Fit ``target`` (a score on the link's scale, one per row) on some of ``rows``; None with too few of them.

    A fifth of the rows is held out for R2.
    """
    if len(rows) < FEWEST_ROWS or not features:
        return None
    order = np.random.default_rng(seed).permutation(rows)[:FIT_ROWS]
    held = max(50, int(len(order) * HELD_OUT))
    test, train = order[:held], order[held:]
    columns = tuple(_Column.of(feature.name, feature.values[train], levels=len(feature.levels)) for feature in features)
    design = _design(columns, {feature.name: feature.values[train] for feature in features})
    square = design.T @ design
    penalty = RIDGE * np.maximum(np.diag(square), 1e-9)
    penalty[0] = 0.0
    coefficients = np.linalg.solve(square + np.diag(penalty) + 1e-9 * np.eye(len(square)), design.T @ target[train])
    coefficients = coefficients.astype(np.float64)
    made = Surrogate(columns=columns, coefficients=coefficients, r2=0.0, rows=len(train))
    left = target[test] - made.predict({feature.name: feature.values[test] for feature in features})
    return replace(made, r2=r_squared(left, target[test]))


def r_squared(left: Floats, target: Floats) -> float:
    """1 - residual over total variance; of a constant target 1 if nothing is left, else 0."""
    total = float(np.var(target))
    if total <= 0:
        return 1.0 if not np.any(left) else 0.0
    return 1.0 - float(np.mean(left**2)) / total


def _design(columns: Sequence[_Column], values: Columns) -> Floats:
    first = next(iter(values.values()))
    parts = [np.ones(len(first))]
    for column in columns:
        parts += column.basis(values[column.name])
    scores = [column.normal(values[column.name]) for column in columns if not column.levels]
    if len(scores) <= MOST_PRODUCTS:
        parts += [score**2 for score in scores]
        parts += [one * other for one, other in combinations(scores, 2)]
    return np.column_stack(parts)
