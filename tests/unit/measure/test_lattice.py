"""The lattice against loops over every conjunction, against the published example, and pruned against not pruned."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.slicing import lattice
from fbkit.measure.slicing.lattice import (
    Block,
    Flags,
    Ints,
    Table,
    best_slices,
    compressed,
    conjunctions,
    most_score,
    places,
    slice_keys,
    slice_score,
)
from fbkit.measure.stats.intervals import Array

ORACLE = Path(__file__).parents[2] / "data" / "oracles" / "sliceline_20.csv"
Pairs = tuple[tuple[int, int], ...]


def table_of(columns: list[Ints], error: Array, size: Array | None = None) -> Table:
    n = len(error)
    cards = tuple(int(column.max()) + 1 for column in columns)
    return Table(codes=tuple(columns), cards=cards, blocks=(Block(0, n, size), Block(0, n, error)))


def random_table(seed: int, *, rows: int = 60, cards: tuple[int, ...] = (2, 3, 4), weighted: bool = False) -> Table:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, card, rows) for card in cards]
    for column, card in zip(columns, cards, strict=True):
        column[:card] = np.arange(card)
    error = np.round(rng.exponential(size=rows) * (rng.random(rows) < 0.4), 2)
    return table_of(columns, error, np.round(rng.uniform(0.5, 2, rows), 2) if weighted else None)


def by_loops(table: Table, depth: int) -> dict[Pairs, tuple[float, float]]:
    """Size and error of every conjunction, by going through all of them."""
    size, error = (np.ones(table.rows) if b.weights is None else b.weights for b in table.blocks)
    found = {}
    for level in range(1, depth + 1):
        for columns in combinations(range(len(table.cards)), level):
            for values in product(*(range(table.cards[c]) for c in columns)):
                rows = [
                    all(table.codes[c][i] == v for c, v in zip(columns, values, strict=True)) for i in range(table.rows)
                ]
                found[tuple(zip(columns, values, strict=True))] = float(size[rows].sum()), float(error[rows].sum())
    return found


def as_found(table: Table, depth: int, least: float) -> dict[Pairs, tuple[float, float]]:
    def enough(sums: Array) -> Flags:
        return sums[0] >= least

    found = {}
    for part in conjunctions(table, depth=depth, enough=enough):
        for values, size, error in zip(part.values.tolist(), *part.sums.tolist(), strict=True):
            found[tuple(zip(part.columns, values, strict=True))] = size, error
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("least", [1.0, 4.0])
def test_every_conjunction_with_enough_rows_is_counted_as_by_loops(least: float, weighted: bool) -> None:
    table = random_table(3, rows=250, weighted=weighted)
    expected = {pairs: sums for pairs, sums in by_loops(table, 3).items() if sums[0] >= least}
    assert same(as_found(table, 3, least), expected)
    assert same(as_found(compressed(table), 3, least), expected)


def same(found: dict[Pairs, tuple[float, float]], expected: dict[Pairs, tuple[float, float]]) -> bool:
    assert found.keys() == expected.keys()
    return all(found[pairs] == pytest.approx(sums, abs=1e-9) for pairs, sums in expected.items())


def test_rows_of_few_kinds_are_compressed_to_one_each() -> None:
    table = random_table(3, rows=500)
    assert (table.rows, compressed(table).rows) == (500, 24)


@given(
    seed=st.integers(0, 10_000),
    least=st.sampled_from([1.0, 3.0, 6.0]),
    alpha=st.sampled_from([0.5, 0.8, 0.95, 1.0]),
    k=st.integers(1, 6),
    weighted=st.booleans(),
)
def test_the_best_slices_are_those_of_the_loops_pruned_or_not(
    seed: int, least: float, alpha: float, k: int, weighted: bool
) -> None:
    table = random_table(seed, rows=30, cards=(2, 3, 3, 2), weighted=weighted)
    sums = by_loops(table, 3)
    size, error = (np.ones(table.rows) if b.weights is None else b.weights for b in table.blocks)
    if error.sum() == 0:
        return
    scores = sorted(
        (
            alpha * (e / s * size.sum() / error.sum() - 1) - (1 - alpha) * (size.sum() / s - 1)
            for s, e in sums.values()
            if s >= least
        ),
        reverse=True,
    )
    expected = [score for score in scores if score > 1e-12][:k]
    worst = float((error / size).max())
    for prune in (True, False):
        found = best_slices(table, k=k, depth=3, least=least, worst=worst, alpha=alpha, prune=prune)
        assert [item.score for item in found if item.score > 1e-12] == pytest.approx(expected, abs=1e-9)
        assert all((item.size, item.error) == pytest.approx(sums[item.conditions]) for item in found)


def test_pruning_counts_far_fewer_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 6, 4000) for _ in range(6)]
    bad = (columns[0] == 1) & (columns[1] == 2)
    table = table_of(columns, ((rng.random(4000) < 0.05) | bad).astype(float))
    counted: list[int] = []
    plain = lattice.Grouped.count

    def count(self: lattice.Grouped, column: int, wanted: Ints) -> Array:
        counted.append(len(wanted))
        return plain(self, column, wanted)

    monkeypatch.setattr(lattice.Grouped, "count", count)
    pruned = best_slices(table, k=3, depth=3, least=40, worst=1.0)
    looked = sum(counted)
    assert pruned == best_slices(table, k=3, depth=3, least=40, worst=1.0, prune=False)
    assert pruned[0].conditions == ((0, 1), (1, 2))
    assert looked < (sum(counted) - looked) / 4


def test_the_published_example() -> None:
    data = pl.read_csv(ORACLE)
    columns = [data[f"col{i}"].to_numpy() - 1 for i in (1, 2, 3)]
    table = table_of(columns, data["error"].cast(pl.Float64).to_numpy())
    best, *next_two = best_slices(table, k=3, depth=2, least=1, worst=1.0)
    assert best.conditions == ((0, 0), (1, 0))
    assert (best.score, best.size, best.error) == pytest.approx((0.90, 10, 10))
    assert [(item.size, item.error) for item in next_two] == [(6, 5), (6, 5)]
    assert [item.score for item in next_two] == pytest.approx([0.516667, 0.516667], abs=1e-6)


def test_the_package_sliceline_finds_the_same() -> None:
    """Version 0.3.0 on these rows: alpha 0.95, at most three conditions, at least 50 rows."""
    rng = np.random.default_rng(3)
    columns = [rng.integers(1, card + 1, 5000) - 1 for card in (3, 4, 5, 6)]
    bad = (columns[0] == 0) & (columns[1] == 1)
    table = table_of(columns, (rng.random(5000) < np.where(bad, 0.5, 0.2)).astype(float))
    found = best_slices(table, k=5, depth=3, least=50, worst=1.0)
    assert [item.conditions for item in found] == [((0, 0), (1, 1)), ((1, 1),), ((0, 0),)]
    assert [(item.size, item.error) for item in found] == [(424, 216), (1202, 365), (1728, 471)]
    expected = [0.6689958426606966, 0.17871062353704262, 0.11027934714375369]
    assert [item.score for item in found] == pytest.approx(expected, abs=1e-12)


@given(seed=st.integers(0, 5000), alpha=st.floats(0.3, 1.0))
def test_no_part_of_a_slice_scores_more_than_its_bound(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    n, worst = 40, 1.5
    error = np.round(rng.uniform(0, worst, n), 2)
    inside = rng.random(n) < 0.6
    rows = np.flatnonzero(inside)
    if not error.sum() or len(rows) < 3:
        return
    total = (float(n), float(error.sum()))
    bound = most_score(
        np.array([float(len(rows))]), np.array([error[rows].sum()]), total=total, alpha=alpha, least=3.0, worst=worst
    )[0]
    for size in range(3, len(rows) + 1):
        worst_part = np.sort(error[rows])[::-1][:size]
        score = slice_score(np.array([float(size)]), np.array([worst_part.sum()]), total=total, alpha=alpha)[0]
        assert score <= bound + 1e-9


def test_wide_codes_are_counted_the_same_without_a_dense_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = random_table(5, rows=60, cards=(7, 8, 9))
    dense = as_found(table, 3, 1.0)
    monkeypatch.setattr(lattice, "DENSE", 0)
    assert same(as_found(table, 3, 1.0), dense)


def test_rows_find_their_slice_and_the_others_find_none() -> None:
    table = random_table(7)
    values = np.array([[0, 1], [1, 2]])
    keys = slice_keys(table, (0, 1), values)
    place = places(table, (0, 1), keys)
    for row in range(table.rows):
        pair = [int(table.codes[0][row]), int(table.codes[1][row])]
        assert place[row] == (values.tolist().index(pair) if pair in values.tolist() else 2)


def test_a_value_that_is_no_slice_is_in_none() -> None:
    """The code behind the last value says so."""
    columns = [np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 0, 1, 0, 1])]
    table = Table(codes=tuple(columns), cards=(2, 2), blocks=(Block(0, 6),))
    found = list(conjunctions(table, depth=2, enough=lambda sums: sums[0] >= 1))
    assert found[0].sums.tolist() == [[2.0, 1.0]]
    assert sum(len(part.values) for part in found) == 2 + 2 + 3
