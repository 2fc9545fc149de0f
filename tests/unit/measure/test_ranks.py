"""Exact ranks from a coarse grid: whatever its steps, the answer is that of sorting everything."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.stats.ranks import Counted, Grid, compare

TENTHS = np.linspace(0, 1, 11)[1:-1]
plain = st.floats(allow_nan=False, allow_infinity=False, width=32)
few = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52, 5e-324, -1e308, 1e308, np.inf, -np.inf])
one = st.lists(st.one_of(plain, few), min_size=1, max_size=40)
repeated = st.lists(st.integers(-2, 2).map(float), min_size=1, max_size=40)
samples = st.one_of(st.lists(one, min_size=2, max_size=4), st.lists(repeated, min_size=2, max_size=4))
steps = st.sampled_from([1, 2, 7, 100, 600])


def slow_distance(first: np.ndarray, second: np.ndarray) -> float:
    def share(rows: np.ndarray, at: float) -> Fraction:
        return Fraction(int((rows <= at).sum()), len(rows))

    return float(max(abs(share(first, at) - share(second, at)) for at in np.concatenate([first, second])))


@given(samples, steps)
def test_distances_and_bins_are_those_of_full_sorting(rows: list[list[float]], coarse: int) -> None:
    reference, *cells = (np.array(part) for part in rows)
    found = compare(reference, cells, shares=TENTHS, steps=coarse)
    for cell, distance in zip(cells, found.ks, strict=True):
        assert distance == slow_distance(reference, cell)
    bins = len(found.edges) + 1
    for part, counts in zip([reference, *cells], [found.reference, *found.cells], strict=True):
        expected = np.bincount(np.searchsorted(found.edges, part, side="right"), minlength=bins)
        np.testing.assert_array_equal(counts, expected)


@given(st.lists(plain, min_size=1, max_size=60), steps)
def test_edges_are_numpys_quantiles_above_the_least_value(values: list[float], coarse: int) -> None:
    sample = np.array(values)
    expected = np.unique(np.quantile(sample, TENTHS))
    expected = expected[expected > sample.min()]
    if not len(expected):
        expected = np.array([sample.min(), np.nextafter(sample.min(), np.inf)])
    found = compare(sample, [sample], shares=TENTHS, steps=coarse)
    np.testing.assert_allclose(found.edges, expected, rtol=1e-15, atol=0)


@given(one, one, steps)
def test_the_grid_keeps_the_order_of_values(seen: list[float], asked: list[float], coarse: int) -> None:
    grid = Grid.over(np.array(seen), coarse)
    step = grid.of(np.sort(np.array(asked)))
    assert (np.diff(step) >= 0).all()
    assert step.min() >= 0
    assert step.max() < grid.size


@pytest.mark.parametrize("law", ["normal", "lognormal", "heavy", "whole", "infinite"])
def test_many_rows_of_any_law_agree_with_scipy(law: str) -> None:
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(7)
    draw = {
        "normal": lambda n: rng.normal(size=n),
        "lognormal": lambda n: rng.lognormal(size=n),
        "heavy": lambda n: np.exp(6 * rng.normal(size=n)),
        "whole": lambda n: np.floor(rng.normal(size=n) * 3),
        "infinite": lambda n: rng.choice([np.inf, -np.inf, 0.0, 1.0], n) + rng.normal(size=n),
    }[law]
    reference, cells = draw(60_000), [draw(40_000), draw(30_000) * 1.02, draw(9)]
    found = compare(reference, cells, shares=TENTHS)
    for cell, distance in zip(cells, found.ks, strict=True):
        assert distance == pytest.approx(ks_2samp(reference, cell, method="asymp").statistic, abs=1e-15)


def test_a_long_tail_is_cut_more_finely_where_the_rows_are() -> None:
    rng = np.random.default_rng(8)
    values = np.exp(2 * rng.normal(size=50_000))
    grid = Grid.over(values, 4096)
    assert grid.fine is not None
    largest = np.bincount(grid.of(values)).max() / len(values)
    assert largest < 0.02
    ranked = Counted.on(grid, values)
    np.testing.assert_array_equal(ranked.at(np.arange(0, 50_000, 777)), np.sort(values)[::777])


def test_nothing_to_compare_is_not_a_number() -> None:
    assert np.isnan(compare(np.array([1.0]), [np.empty(0)], shares=TENTHS).ks).all()
    nothing = compare(np.empty(0), [np.array([1.0, 2.0])], shares=TENTHS)
    assert np.isnan(nothing.ks).all()
    assert nothing.cells.tolist() == [[2]]
