"""Ranks of one sample's values within another, exactly, sorting only the few rows on which the answer depends.

A coarse grid of equal steps counts every row; between two of its edges a distribution function can only rise by what
was counted there, so that most steps cannot hold the largest gap of two distribution functions and stay unsorted.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.stats.intervals import Array

Whole = NDArray[np.int64]
_LARGEST_GRID: Final = 8192
_ROWS_PER_STEP: Final = 4
_LOOKED_AT: Final = 8192
_LARGEST_TAIL: Final = 4096
_DIGIT: Final = 64_000  # steps (with those of the widest grid) that sixteen bits can number
_FEW: Final = 1_000
_WIDE: Final = 512
_CROWDED: Final = 8


class Fine(NamedTuple):
    """Where the values crowd, each step is cut again: its first number, left end, parts per unit and last part."""

    first: NDArray[np.int32]
    left: Array
    rate: Array
    last: Array


class Grid(NamedTuple):
    """A rising map of finite and infinite values to the whole numbers 0 .. ``size`` - 1, by equal steps from ``low``.

    ``repeats``: most values occur more than once, so that a step may hold nothing but copies of one value.
    """

    low: float
    scale: float
    steps: int
    size: int
    repeats: bool
    fine: Fine | None = None

    @classmethod
    def over(cls, values: Array, steps: int, *, looked_at: int = _LOOKED_AT) -> Self:
        """Steps over the bulk of the values, as a small regular choice of them shows it."""
        seen = np.sort(values[:: max(1, len(values) // looked_at)])
        seen = seen[np.isfinite(seen)]
        if not len(seen):
            return cls(0.0, 1.0, 1, 3, repeats=True)
        # A long tail would leave all others in a few steps; it shares the last one.
        rare = len(seen) // _LARGEST_TAIL
        low, high = float(seen[rare]), float(seen[len(seen) - 1 - rare])
        with np.errstate(over="ignore"):
            spread = high - low
        repeats = bool(2 * np.count_nonzero(seen[1:] != seen[:-1]) < len(seen))
        plain = cls(low, _rate(steps, spread), steps, steps + 2, repeats)
        wide = cls(low, _rate(_WIDE, spread), _WIDE, _WIDE + 2, repeats)
        crowd = np.bincount(wide.of(seen), minlength=wide.size) / len(seen)
        if steps <= _WIDE or repeats or crowd.max() < _CROWDED / _WIDE:
            return plain
        crowd[[0, -1]] = 0
        parts = 1 + np.floor(steps * crowd)
        first = np.concatenate([[0], np.cumsum(parts)]).astype(np.int32)
        fine = Fine(first, low + (np.arange(wide.size) - 1) / wide.scale, parts * wide.scale, parts - 1)
        return wide._replace(size=int(first[-1]), fine=fine)

    def of(self, values: Array) -> NDArray[np.int32]:
        """The step of each value; rounding keeps the order, so that the map rises in floating point too."""
        with np.errstate(over="ignore"):
            place = values - self.low
            place *= self.scale
        wide = np.clip(place, -1, self.steps, out=place).astype(np.int32)
        wide += 1
        if self.fine is None:
            return wide
        first, left, rate, last = self.fine
        with np.errstate(over="ignore"):
            part = np.subtract(values, left.take(wide), out=place)
            part *= rate.take(wide)
        made = np.clip(part, 0, last.take(wide), out=part).astype(np.int32)
        made += first.take(wide)
        return made


def rising(values: Array) -> NDArray[np.intp]:
    """The stable order that sorts: by steps of a grid first, digit by digit, which leaves next to nothing to do."""
    if len(values) < _FEW or np.isnan(values).any():
        return np.argsort(values, kind="stable")
    order = np.argsort(Grid.over(values, _DIGIT, looked_at=_FEW).of(values).astype(np.uint16), kind="stable")
    return order[np.argsort(values[order], kind="stable")]


class Counted(NamedTuple):
    """Values with their steps, and how many lie in lower steps (one entry more than there are steps)."""

    values: Array
    step: NDArray[np.int32]
    before: Whole

    @classmethod
    def on(cls, grid: Grid, values: Array) -> Self:
        step = grid.of(values)
        return cls(values, step, _before(np.bincount(step, minlength=grid.size)))

    def sorted_in(self, chosen: NDArray[np.bool_]) -> "Ranked":
        """The same values, those of the chosen steps sorted."""
        held = np.where(chosen, np.diff(self.before), 0)
        members = self.values.compress(chosen.take(self.step))
        members.sort()
        return Ranked(members, self.before[:-1] - (np.cumsum(held) - held))

    def at(self, ranks: Whole) -> Array:
        """The values of these ranks, 0 the least."""
        steps = np.searchsorted(self.before, ranks, side="right") - 1
        chosen = np.zeros(len(self.before) - 1, dtype=bool)
        chosen[steps] = True
        ranked = self.sorted_in(chosen)
        return ranked.members[ranks - ranked.offset[steps]]


class Ranked(NamedTuple):
    """The sorted values of some steps, and for each step how many values lie before it that are not among them."""

    members: Array
    offset: Whole

    def below(self, points: Array, steps: NDArray[np.int32]) -> Whole:
        """How many values are less than each point; its step must be sorted or empty."""
        return np.searchsorted(self.members, points, side="left") + self.offset[steps]

    def upto(self, points: Array, steps: NDArray[np.int32]) -> Whole:
        """How many values are not greater than each point; its step must be sorted or empty."""
        return np.searchsorted(self.members, points, side="right") + self.offset[steps]


class Compared(NamedTuple):
    """A reference against cells: its inner edges, the rows of each by bin (cells line by line), exact KS per cell."""

    edges: Array
    reference: Whole
    cells: Whole
    ks: Array


def compare(reference: Array, cells: Sequence[Array], *, shares: Array, steps: int | None = None) -> Compared:
    """Kolmogorov-Smirnov's distance of each cell from the reference, and rows between the reference's quantiles.

    ``shares`` are the quantiles (see :func:`inner_edges`). No value may be NaN; infinite ones are allowed. A cell or
    reference without values has NaN for its distance. ``steps`` sets the coarseness of the grid; the result does not
    depend on it.
    """
    if steps is None:
        rows = sum(len(cell) for cell in cells) // max(len(cells), 1)
        steps = int(np.clip(rows // _ROWS_PER_STEP, 1, _LARGEST_GRID))
    grid = Grid.over(reference, steps)
    base = Counted.on(grid, reference)
    counted = [Counted.on(grid, cell) for cell in cells]
    edges = inner_edges(base, shares) if len(reference) else np.empty(0)
    at = grid.of(edges)
    always = np.zeros(grid.size, dtype=bool)
    always[at] = True
    best, open_steps = _coarse(base.before, np.array([cell.before for cell in counted]).reshape(len(cells), -1))
    if grid.repeats:
        open_steps &= _mixed([base, *counted], grid.size)
    ranked = base.sorted_in(always | open_steps.any(axis=0))
    distances, rows_of = np.full(len(cells), np.nan), np.zeros((len(cells), len(edges) + 1), dtype=np.int64)
    for index, cell in enumerate(counted):
        fine = cell.sorted_in(always | open_steps[index])
        n, m = len(reference), len(cell.values)
        rows_of[index] = np.diff(fine.below(edges, at), prepend=0, append=m)
        if n and m:
            largest = max(int(best[index]), _largest_gap(grid, ranked, fine, n, m))
            distances[index] = largest / (n * m)
    return Compared(edges, np.diff(ranked.below(edges, at), prepend=0, append=len(reference)), rows_of, distances)


def inner_edges(sample: Counted, shares: Array) -> Array:
    """Distinct quantiles of the sample above its least value; where there is none, the least value and the next float.

    Quantiles interpolate linearly (Hyndman and Fan's definition 7, NumPy's default).
    """
    place = shares * (len(sample.values) - 1)
    left = np.floor(place).astype(np.int64)
    ends = sample.at(np.concatenate([[0], left, np.minimum(left + 1, len(sample.values) - 1)]))
    least, low, high = ends[0], ends[1 : len(left) + 1], ends[len(left) + 1 :]
    part = place - left
    with np.errstate(invalid="ignore", over="ignore"):
        gap = high - low
        inner = np.where(part < 0.5, low + gap * part, high - gap * (1 - part))
        # The gap of two numbers near the ends of what a double holds is infinite, what lies between them is not.
        both = np.isfinite(low) & np.isfinite(high) & ~np.isfinite(gap)
        inner = np.where(both, low * (1 - part) + high * part, inner)
    # An edge at the least value would leave the bin below it empty for ever.
    inner = np.unique(inner[inner > least])
    # One value holds nine tenths of the reference or more: below it, exactly it, above it.
    return inner if len(inner) else np.array([least, np.nextafter(least, np.inf)])


def _coarse(base: Whole, cells: Whole) -> tuple[Whole, NDArray[np.bool_]]:
    """The largest gap at the grid's edges, times n m, and the steps in which a larger one may hide."""
    n, m = base[-1], cells[:, -1:]
    best = np.abs(base * m - cells * n).max(axis=1, initial=0)
    above, below = base[1:] * m - cells[:, :-1] * n, cells[:, 1:] * n - base[:-1] * m
    # Where only one of the two has rows, the gap is largest at an edge.
    both = (np.diff(base) > 0) & (np.diff(cells, axis=1) > 0)
    return best, both & (np.maximum(above, below) > best[:, None])


def _mixed(samples: Sequence[Counted], size: int) -> NDArray[np.bool_]:
    """The steps that hold more than one value: elsewhere the edges say all."""
    one, mixed = np.zeros(size), np.zeros(size, dtype=bool)
    for sample in reversed(samples):
        one[sample.step] = sample.values
    for sample in samples:
        mixed[sample.step[sample.values != one[sample.step]]] = True
    return mixed


def _largest_gap(grid: Grid, base: Ranked, cell: Ranked, n: int, m: int) -> int:
    """The largest gap, times n m, at the cell's sorted values and just below them."""
    points = cell.members
    if not len(points):
        return 0
    first = np.flatnonzero(np.concatenate([[True], points[1:] != points[:-1]]))
    points = points[first]
    steps = grid.of(points)
    own = cell.offset[steps]
    at = base.upto(points, steps) * m - (np.append(first[1:], len(cell.members)) + own) * n
    under = base.below(points, steps) * m - (first + own) * n
    return int(max(np.abs(at).max(), np.abs(under).max()))


def _rate(steps: int, spread: float) -> float:
    with np.errstate(over="ignore"):
        rate = steps / spread if spread > 0 else 1.0
    return rate if 0 < rate < np.inf else 1.0


def _before(counts: Whole) -> Whole:
    return np.concatenate([[0], np.cumsum(counts)])
