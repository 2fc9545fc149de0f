"""Every slice that holds enough rows put to the test, and those that say the same thing left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from fbkit.errors import ArgumentError
from fbkit.measure.slicing.lattice import (
    Block,
    Flags,
    Ints,
    Slices,
    Table,
    best_slices,
    compressed,
    conjunctions,
    places,
    slice_keys,
    slice_score,
)
from fbkit.measure.slicing.slice_evidence import (
    Excess,
    clustered_variance,
    deviance,
    excess,
    shrinkage,
    two_sided,
)
from fbkit.measure.slicing.slice_rows import GROUPS, SliceRows
from fbkit.measure.stats.intervals import Array, benjamini_hochberg, quantile

Pairs = tuple[tuple[int, int], ...]
MOST_SLICES: Final = 5_000_000
_EXAMINED: Final = 100
_SUSPECT: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """All slices that were tested: conditions as (column, value), sums, excess, p-values; ``n`` is how many.

    ``n`` counts slices that could not win and were passed over too, as if their p-value were 1.
    """

    found: tuple[Slices, ...]
    excess: Excess
    z: Array
    p_value: Array
    p_adjusted: Array
    score: Array
    shrink: Array
    n: int

    def pairs(self, index: int) -> Pairs:
        """The conditions of one slice."""
        ends = np.cumsum([len(part.values) for part in self.found])
        at = int(np.searchsorted(ends, index, side="right"))
        part = self.found[at]
        row = part.values[index - (int(ends[at]) - len(part.values))]
        return tuple(zip(part.columns, row.tolist(), strict=True))

    def order(self, level: float, *, by_score: bool) -> Ints:
        """The slices that are worse, the most important first: by score, or by what they add to the loss at least."""
        least = self.excess.value - float(quantile(level)) * np.sqrt(self.excess.variance)
        worse = np.flatnonzero(np.isfinite(self.p_value) & (self.excess.value > 0))
        rank = -(self.score if by_score else least)[worse]
        return worse[np.lexsort((worse, rank))]


def examine(rows: SliceRows, *, depth: int, k: int, alpha: float | None) -> Examined:
    """Test all conjunctions of up to ``depth`` conditions that hold enough rows."""
    whole = rows.chosen(np.ones(len(rows.a), dtype=bool))
    possible = _possible(rows.table.cards, depth)
    score_only = possible > MOST_SLICES
    if score_only:
        _check_prunable(rows, possible, alpha)
        found = _best_scored(rows, depth=depth, k=k, alpha=alpha or 0.95)
    else:
        found = tuple(conjunctions(compressed(rows.table), depth=depth, enough=rows.enough))
    none = np.zeros((len(rows.table.blocks), 0))
    part = rows.moments(np.concatenate([none, *(item.sums for item in found)], axis=1))
    seen = excess(part, whole, binary=rows.binary)
    with np.errstate(invalid="ignore"):
        z = seen.value / np.sqrt(seen.variance)
    if rows.binary and rows.periods == 1:
        z = np.where(np.isnan(z), np.nan, deviance(part, whole))
    if rows.group is not None:
        seen, z = _clustered(rows, found, seen, z)
    p_value = two_sided(z)
    n = possible if score_only else int(np.isfinite(p_value).sum())
    nonnegative = not len(rows.a) or bool(rows.a.min() >= 0)
    score = slice_score(part.b[-1], part.a[-1], total=(whole.b[-1, 0], whole.a[-1, 0]), alpha=alpha or 0.95)
    return Examined(
        found=found,
        excess=seen,
        z=z,
        p_value=p_value,
        p_adjusted=_adjusted(p_value, n),
        score=np.where(np.isfinite(score) & nonnegative, score, np.nan),
        shrink=shrinkage(z),
        n=n,
    )


def _possible(cards: Sequence[int], depth: int) -> int:
    """How many conjunctions of up to ``depth`` conditions there are, whether any row is in them or not."""
    ways = [1] + [0] * depth
    for card in cards:
        for level in range(depth, 0, -1):
            ways[level] += ways[level - 1] * card
    return sum(ways[1:])


def _check_prunable(rows: SliceRows, possible: int, alpha: float | None) -> None:
    if alpha is not None and rows.periods == 1 and rows.plain and rows.a.min() >= 0:
        return
    raise ArgumentError(
        "there are too many slices to test them all",
        got=f"{possible:,} conjunctions of {len(rows.table.cards)} columns",
        allowed=f"{MOST_SLICES:,}; more only for one period, by SliceLine's score (alpha), which passes over most",
        next_step="search fewer columns, set depth=2, or raise minimum",
    )


def _best_scored(rows: SliceRows, *, depth: int, k: int, alpha: float) -> tuple[Slices, ...]:
    n = len(rows.a)
    errors = Block(rows.table.blocks[1].start, n) if rows.binary else Block(0, n, rows.a)
    table = Table(codes=rows.table.codes, cards=rows.table.cards, blocks=(Block(0, n), errors))
    best = best_slices(table, k=_EXAMINED + k, depth=depth, least=rows.least, worst=float(rows.a.max()), alpha=alpha)
    made: list[Slices] = []
    for item in best:
        columns, values = zip(*item.conditions, strict=True)
        inside = rows.inside(item.conditions)
        weights = (None, rows.a, rows.a * rows.a)[: len(rows.table.blocks)]
        sums = [float(inside.sum() if x is None else (x * inside).sum()) for x in weights]
        made.append(Slices(columns, np.array([values]), np.array(sums)[:, None]))
    return tuple(made)


def _adjusted(p_value: Array, n: int) -> Array:
    """Benjamini-Hochberg over all ``n``, those without a p-value here counted as 1."""
    more = n - int(np.isfinite(p_value).sum())
    return np.minimum(benjamini_hochberg(p_value) * (n / max(n - more, 1)), 1.0)


def _clustered(rows: SliceRows, found: tuple[Slices, ...], seen: Excess, z: Array) -> tuple[Excess, Array]:
    """Wider variances where entities repeat, for the slices that would stand out without."""
    variance, known = seen.variance.copy(), two_sided(z)
    z = z.copy()
    whole_a, whole_b = (_by_group(rows, np.zeros(len(rows.a), dtype=np.int64), 1, x) for x in (rows.a, rows.b))
    degrees = max(int(np.count_nonzero(whole_b.sum(axis=(0, 1)))) - 1, 1)
    start = 0
    for part in found:
        chosen = np.flatnonzero(known[start : start + len(part.values)] <= _SUSPECT)
        if len(chosen):
            keys = slice_keys(rows.table, part.columns, part.values[chosen])
            place = places(rows.table, part.columns, keys)
            loss, size = (_by_group(rows, place, len(keys) + 1, x)[:, :-1] for x in (rows.a, rows.b))
            wide = clustered_variance(loss, size, whole_a, whole_b)
            at = start + chosen
            variance[at] = np.maximum(variance[at], wide)
            p_value = np.maximum(known[at], two_sided(seen.value[at] / np.sqrt(variance[at]), df=degrees))
            z[at] = np.sign(seen.value[at]) * -ndtri(np.maximum(p_value, 1e-300) / 2)
        start += len(part.values)
    return Excess(seen.value, variance), z


def _by_group(rows: SliceRows, place: Ints, slices: int, weights: Array) -> Array:
    """Sums per period, slice and group of entities."""
    if rows.group is None:
        return np.zeros((rows.periods, slices, 1))
    code = place * GROUPS + rows.group
    sums = [
        np.bincount(code[start:end], weights[start:end], minlength=slices * GROUPS)
        for start, end in zip(rows.starts[:-1], rows.starts[1:], strict=True)
    ]
    return np.stack(sums).astype(np.float64).reshape(rows.periods, slices, GROUPS)


class Chooser:
    """Takes slices in the order of their importance and keeps those that add something to what is kept."""

    def __init__(self, rows: SliceRows, *, level: float, tested: int) -> None:
        """``level``: a slice adds something if, of ``tested`` slices, it would be found beside those that are kept."""
        self.rows, self.step = rows, (1 - level) / max(tested, 1)
        self.kept: list[tuple[int, Pairs, Flags]] = []

    def choose(self, tested: Examined, ordered: Sequence[int], *, k: int) -> list[int]:
        """Up to k of the slices, none of which is told by the others."""
        for index in ordered[:_EXAMINED]:
            pairs = tested.pairs(index)
            inside = self.rows.inside(pairs)
            if self._adds(inside, [mine for _, _, mine in self.kept]):
                self.kept.append((index, pairs, inside))
                self._drop_told()
            if len(self.kept) >= k:
                break
        return [index for index, _, _ in self.kept]

    def _drop_told(self) -> None:
        """Earlier slices that the newest one explains: a wide slice is bad because of the narrow one inside it."""
        for item in self.kept[:-1]:
            others = [mine for index, _, mine in self.kept if index != item[0]]
            if not self._adds(item[2], others):
                self.kept = [other for other in self.kept if other[0] != item[0]]

    def _adds(self, inside: Flags, others: Sequence[Flags]) -> bool:
        if not others:
            return True
        told = np.logical_or.reduce(others)
        rest, size = inside & ~told, np.count_nonzero(inside)
        if self._enough(rest) and np.count_nonzero(rest) * 4 >= size:
            return self._worse(rest, ~told)
        # Most of its rows are in slices that are kept: it must be worse than what surrounds it in each of these.
        around = [mine & ~inside for mine in others if np.count_nonzero(mine & inside) * 2 >= size]
        return bool(around) and all(self._enough(rows) and self._worse(inside, inside | rows) for rows in around)

    def _enough(self, some: Flags) -> bool:
        return bool(np.count_nonzero(some[self.rows.starts[-2] :]) >= self.rows.least)

    def _worse(self, some: Flags, among: Flags) -> bool:
        """Whether some rows are worse than the others among those given, surely enough."""
        found = added(self.rows, some, among)
        # Benjamini and Hochberg's limit, with those counted only that do not repeat each other.
        return found.value > 0 and found.p_value <= self.step * (1 + len(self.kept))


class Added(NamedTuple):
    """What some rows add to the loss (or to its change) of those they are among; NaN is not estimable."""

    value: float
    variance: float
    p_value: float


def added(rows: SliceRows, some: Flags, among: Flags) -> Added:
    """The excess of some rows among others, with the same tests as the search."""
    part, whole = rows.chosen(some), rows.chosen(among)
    seen = excess(part, whole, binary=rows.binary)
    variance = seen.variance
    with np.errstate(invalid="ignore"):
        z = seen.value / np.sqrt(variance)
    if rows.binary and rows.periods == 1:
        z = np.where(np.isnan(z), np.nan, deviance(part, whole))
    p_value = two_sided(z)
    if rows.group is not None:
        wide, degrees = excess_by_entity(rows, some, among)
        variance = np.maximum(variance, wide)
        p_value = np.maximum(p_value, two_sided(seen.value / np.sqrt(variance), df=degrees))
    return Added(float(seen.value[0]), float(variance[0]), float(p_value[0]))


def excess_by_entity(rows: SliceRows, some: Flags, among: Flags) -> tuple[Array, int]:
    """Variance of the excess of some rows among others, by groups of entities; and its degrees of freedom."""
    place = np.where(some, 0, np.where(among, 1, 2)).astype(np.int64)
    loss, size = (_by_group(rows, place, 3, x) for x in (rows.a, rows.b))
    whole_a, whole_b = (x[:, :2].sum(axis=1, keepdims=True) for x in (loss, size))
    degrees = max(int(np.count_nonzero(whole_b.sum(axis=(0, 1)))) - 1, 1)
    return clustered_variance(loss[:, :1], size[:, :1], whole_a, whole_b), degrees


def unlike(rows: SliceRows, pairs: Pairs, others: Sequence[Flags]) -> bool:
    """Whether a slice is more than a shadow of others: most of its rows, and of its excess, lie outside of them."""
    inside = rows.inside(pairs)
    if not others:
        return True
    told = np.logical_or.reduce(others)
    rest = inside & ~told
    if np.count_nonzero(rest) * 2 < np.count_nonzero(inside):
        return False
    return added(rows, rest, ~told).value * 2 >= added(rows, inside, np.ones_like(inside)).value


def unequal(rows: SliceRows, pairs: Pairs, others: Sequence[Flags]) -> bool:
    """Whether a slice's rows are not exactly those of another."""
    inside = rows.inside(pairs)
    return not any(bool((inside == other).all()) for other in others)
