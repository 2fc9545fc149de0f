"""Every conjunction of a few conditions that holds enough rows, counted once; what cannot win is passed over, exactly.

The lattice of slices of SliceLine (Sagadeeva and Boehm 2021, doi:10.1145/3448016.3457323): a slice can only hold enough
rows if all slices with one condition less do, and no slice can score higher than the smallest of these allow.
Rows are integer codes; a set of columns is counted in one pass, for all combinations of its values together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.stats.intervals import Array

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
ROUNDING: Final = 1e-9
DENSE: Final = 1 << 22


class Block(NamedTuple):
    """One sum that is wanted of every slice: the rows ``start`` to ``stop``, each counting 1 or its weight."""

    start: int
    stop: int
    weights: Array | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows as codes: ``codes[c]`` numbers the values of column c from 0; ``cards[c]`` itself is "in no slice"."""

    codes: tuple[Ints, ...]
    cards: tuple[int, ...]
    blocks: tuple[Block, ...]

    @property
    def rows(self) -> int:
        return len(self.codes[0]) if self.codes else 0


class Slices(NamedTuple):
    """The slices of one set of columns that hold enough: ``values`` (slice, condition), ``sums`` (block, slice)."""

    columns: tuple[int, ...]
    values: Ints
    sums: Array


Judge = Callable[[Array], Flags]


def conjunctions(table: Table, *, depth: int, enough: Judge, hopeful: Judge | None = None) -> Iterator[Slices]:
    """Every slice of up to ``depth`` conditions whose sums are ``enough``, one set of columns at a time.

    ``enough`` must be monotone: whatever is too small stays so with one more condition. ``hopeful`` is shown the least
    sums among the slices with one condition less; a slice for which it says no is neither counted nor extended.
    """
    known: dict[tuple[int, ...], tuple[Ints, Slices]] = {}
    for level in range(1, depth + 1):
        for prefix in combinations(range(len(table.cards)), level - 1):
            if prefix and (prefix not in known or not len(known[prefix][0])):
                continue
            place = None
            for last in range(prefix[-1] + 1 if prefix else 0, len(table.cards)):
                columns = (*prefix, last)
                wanted = (
                    _candidates(table, columns, known, hopeful) if prefix else np.arange(table.cards[last])[:, None]
                )
                if not len(wanted):
                    continue
                place = Grouped(table, prefix, known[prefix][0] if prefix else None) if place is None else place
                counted = place.count(last, wanted)
                kept = enough(counted)
                found = Slices(columns, wanted[kept], counted[:, kept])
                known[columns] = slice_keys(table, columns, found.values), found
                yield found
        if level > 1:
            known = {columns: node for columns, node in known.items() if len(columns) in (1, level)}


def slice_keys(table: Table, columns: tuple[int, ...], values: Ints) -> Ints:
    """One integer per slice (mixed radix); rising, because slices are listed in the order of their values."""
    key = np.zeros(len(values), dtype=np.int64)
    for position, column in enumerate(columns):
        key = key * (table.cards[column] + 1) + values[:, position]
    return key


def _candidates(
    table: Table, columns: tuple[int, ...], known: dict[tuple[int, ...], tuple[Ints, Slices]], hopeful: Judge | None
) -> Ints:
    """Slices all of whose parents are known, in the order of their values."""
    first, last = known[columns[:-1]][1], known.get(columns[-1:])
    if last is None:
        return np.empty((0, len(columns)), dtype=np.int64)
    singles = last[1].values[:, 0]
    values = np.column_stack([np.repeat(first.values, len(singles), axis=0), np.tile(singles, len(first.values))])
    least = np.minimum(np.repeat(first.sums, len(singles), axis=1), np.tile(last[1].sums, (1, len(first.values))))
    for left_out in range(len(columns) - 1):
        parent = columns[:left_out] + columns[left_out + 1 :]
        keys, slices = known.get(parent, (np.empty(0, dtype=np.int64), None))
        if slices is None or not len(keys):
            return np.empty((0, len(columns)), dtype=np.int64)
        asked = slice_keys(table, parent, np.delete(values, left_out, axis=1))
        at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        present = keys[at] == asked
        values, least = values[present], np.minimum(least[:, present], slices.sums[:, at[present]])
    return values if hopeful is None else values[hopeful(least)]


class Grouped:
    """Rows with the number of their slice of some columns; those in none are left out if they are many."""

    def __init__(self, table: Table, columns: tuple[int, ...], keys: Ints | None) -> None:
        self.table, self.rows, self.place, self.slices = table, None, None, 1
        if keys is None:
            return
        self.columns, self.keys, self.slices = columns, keys, len(keys)
        place = places(table, columns, keys)
        inside = place < self.slices
        if 2 * np.count_nonzero(inside) < len(place):
            self.rows = np.flatnonzero(inside)
            place = place[self.rows]
        self.place = place

    def count(self, column: int, wanted: Ints) -> Array:
        """The sums (block, slice) of these slices of my columns and one more."""
        card = self.table.cards[column] + 1
        code = self.table.codes[column] if self.rows is None else self.table.codes[column][self.rows]
        if self.place is None:
            bins, target = card, wanted[:, 0]
        else:
            code = self.place * card + code
            bins = (self.slices + 1) * card
            prefix = np.searchsorted(self.keys, slice_keys(self.table, self.columns, wanted[:, :-1]))
            target = prefix * card + wanted[:, -1]
        return np.stack(
            [tally_codes(*self._part(block, code), bins=bins, wanted=target) for block in self.table.blocks]
        )

    def _part(self, block: Block, code: Ints) -> tuple[Ints, Array | None]:
        if self.rows is None:
            return code[block.start : block.stop], block.weights
        low, high = np.searchsorted(self.rows, [block.start, block.stop])
        weights = None if block.weights is None else block.weights[self.rows[low:high] - block.start]
        return code[low:high], weights


def places(table: Table, columns: tuple[int, ...], keys: Ints) -> Ints:
    """For each row the position of its slice among ``keys`` (rising); their number where it is in none of them."""
    code, size = table.codes[columns[0]], table.cards[columns[0]] + 1
    for column in columns[1:]:
        code, size = code * (table.cards[column] + 1) + table.codes[column], size * (table.cards[column] + 1)
    if size <= DENSE:
        lookup = np.full(size, len(keys), dtype=np.int64)
        lookup[keys] = np.arange(len(keys))
        return lookup[code]
    at = np.minimum(np.searchsorted(keys, code), len(keys) - 1)
    return np.where(keys[at] == code, at, len(keys))


def tally_codes(code: Ints, weights: Array | None, *, bins: int, wanted: Ints) -> Array:
    """Sums per code, of the wanted codes; a table of all of them only where it is not much longer than the rows."""
    if bins <= max(DENSE, 4 * len(code)):
        return np.bincount(code, weights, minlength=bins)[wanted].astype(np.float64)
    present, place = np.unique(code, return_inverse=True)
    sums = np.append(np.bincount(place, weights, minlength=len(present)), 0.0)
    at = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
    return np.where(present[at] == wanted, sums[at], 0.0) if len(present) else np.zeros(len(wanted))


def compressed(table: Table) -> Table:
    """The same sums from one row per combination of all columns, if these are much fewer than the rows."""
    size = float(np.prod([card + 1.0 for card in table.cards]))
    if size * 4 > table.rows or size > DENSE:
        return table
    code = np.zeros(table.rows, dtype=np.int64)
    for codes, card in zip(table.codes, table.cards, strict=True):
        code = code * (card + 1) + codes
    present = np.flatnonzero(np.bincount(code, minlength=int(size)))
    sums = [
        np.bincount(code[block.start : block.stop], block.weights, minlength=int(size))[present].astype(np.float64)
        for block in table.blocks
    ]
    rest, columns = present, []
    for card in reversed(table.cards):
        rest, value = np.divmod(rest, card + 1)
        columns.append(value)
    blocks = tuple(Block(0, len(present), weights) for weights in sums)
    return Table(codes=tuple(reversed(columns)), cards=table.cards, blocks=blocks)


def slice_score(size: Array, error: Array, *, total: tuple[float, float], alpha: float) -> Array:
    """SliceLine's score: how much worse than the whole, less a penalty for being small; 0 for the whole.

    >>> slice_score(np.array([10.0]), np.array([10.0]), total=(20.0, 10.0), alpha=0.95).round(6)
    array([0.9])
    """
    n, errors = total
    with np.errstate(invalid="ignore", divide="ignore"):
        return alpha * (error / size * n / errors - 1) - (1 - alpha) * (n / size - 1)


def most_score(
    size: Array, error: Array, *, total: tuple[float, float], alpha: float, least: float, worst: float
) -> Array:
    """The highest score that a part of a slice can have, with at least the size ``least`` and errors up to ``worst``.

    A part of size x has at most min(error, x * worst) errors. The score of that rises up to x = error / worst and is
    monotone beyond, so the best x is the least size, that point, or the whole slice.
    """
    turn = np.clip(error / worst, least, np.maximum(size, least)) if worst > 0 else np.full_like(size, least)
    options = [np.full_like(size, least), turn, np.maximum(size, least)]
    scores = [slice_score(x, np.minimum(error, x * worst), total=total, alpha=alpha) for x in options]
    return np.max(scores, axis=0)


class Scored(NamedTuple):
    """A slice as (column, value) pairs of numbers, with its score, size and error."""

    conditions: tuple[tuple[int, int], ...]
    score: float
    size: float
    error: float


def best_slices(
    table: Table, *, k: int, depth: int, least: float, worst: float, alpha: float = 0.95, prune: bool = True
) -> list[Scored]:
    """The k slices with the highest score above 0, exactly, ties by size, then by fewer and earlier conditions.

    The table's two blocks are the size and the error (not negative) of each row; ``worst`` is the most error per size
    of any row. With ``prune=False`` every slice is counted, for the same answer.
    """
    size, error = (float(b.stop - b.start if b.weights is None else b.weights.sum()) for b in table.blocks)
    if error <= 0:
        return []
    total, best = (size, error), list[Scored]()

    def limit() -> float:
        return best[k - 1].score if len(best) >= k else 0.0

    def enough(sums: Array) -> Flags:
        return (sums[0] >= least) & (sums[0] > 0)

    def hopeful(sums: Array) -> Flags:
        return most_score(sums[0], sums[1], total=total, alpha=alpha, least=least, worst=worst) > limit() - ROUNDING

    for found in conjunctions(table, depth=depth, enough=enough, hopeful=hopeful if prune else None):
        scores = slice_score(found.sums[0], found.sums[1], total=total, alpha=alpha)
        for i in np.flatnonzero((scores > 0) & (scores >= limit() - ROUNDING)):
            pairs = tuple(zip(found.columns, found.values[i].tolist(), strict=True))
            best.append(Scored(pairs, float(scores[i]), float(found.sums[0, i]), float(found.sums[1, i])))
        best.sort(key=lambda s: (-round(s.score, 12), -s.size, len(s.conditions), s.conditions))
        del best[k:]
    return best
