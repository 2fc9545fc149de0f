"""Excess, its variance and its tests against leaving rows out, drawing again, exact tests and integrals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import integrate
from scipy.stats import hypergeom, norm

from fbkit.measure.slicing.slice_evidence import Moments, clustered_variance, deviance, excess, shrinkage, two_sided
from fbkit.measure.stats.intervals import Array


def moments(a: Array, b: Array, inside: NDArray[np.bool_]) -> Moments:
    x, y = a[inside], b[inside]
    return Moments(*(np.array([[v]]) for v in (float(len(x)), x.sum(), y.sum(), x @ x, x @ y, y @ y)))


def two(first: Moments, second: Moments) -> Moments:
    return Moments(*(np.vstack(pair) for pair in zip(first, second, strict=True)))


def world(seed: int, *, n: int = 400, weighted: bool = False) -> tuple[Array, Array, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    b = rng.uniform(0.5, 2, n) if weighted else np.ones(n)
    inside = rng.random(n) < 0.2
    a = b * (rng.random(n) < np.where(inside, 0.5, 0.3))
    return a, b, inside


@pytest.mark.parametrize("weighted", [False, True])
def test_the_excess_is_what_leaving_the_rows_out_changes(weighted: bool) -> None:
    a, b, inside = world(1, weighted=weighted)
    c, d, other = world(2, weighted=weighted)
    part, whole = moments(a, b, inside), moments(a, b, inside | True)
    now, all_now = moments(c, d, other), moments(c, d, other | True)
    then_excess = a.sum() / b.sum() - a[~inside].sum() / b[~inside].sum()
    now_excess = c.sum() / d.sum() - c[~other].sum() / d[~other].sum()
    assert excess(part, whole, binary=not weighted).value == pytest.approx([then_excess], abs=1e-12)
    moved = excess(two(part, now), two(whole, all_now), binary=not weighted)
    assert moved.value == pytest.approx([now_excess - then_excess], abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_its_variance_is_that_of_rows_drawn_again(weighted: bool) -> None:
    a, b, inside = world(3, n=2000, weighted=weighted)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(800):
        rows = rng.integers(0, len(a), len(a))
        x, y, mine = a[rows], b[rows], inside[rows]
        drawn.append(x.sum() / y.sum() - x[~mine].sum() / y[~mine].sum())
    found = excess(moments(a, b, inside), moments(a, b, inside | True), binary=False)
    assert np.sqrt(found.variance[0]) == pytest.approx(np.std(drawn), rel=0.12)


def test_a_slice_without_a_loss_is_not_certain() -> None:
    """By its own spread alone it would be."""
    a = np.zeros(500)
    a[:90] = 1
    inside = np.zeros(500, dtype=bool)
    inside[480:] = True
    found = excess(moments(a, np.ones(500), inside), moments(a, np.ones(500), inside | True), binary=True)
    assert two_sided(found.value / np.sqrt(found.variance))[0] > 0.02


def test_a_slice_of_everything_has_no_rest_to_compare_with() -> None:
    a, b, inside = world(4)
    whole = moments(a, b, inside | True)
    found = excess(whole, whole, binary=True)
    assert np.isnan(found.value).all()
    assert np.isnan(found.variance).all()


@pytest.mark.parametrize(("rows", "events", "n"), [(1000, 100, 40), (1000, 700, 25), (5000, 250, 500), (300, 60, 100)])
def test_the_tail_is_that_of_fishers_exact_test(rows: int, events: int, n: int) -> None:
    """Within a factor of 3 down to one in a million, and hardly ever more certain than it."""
    law = hypergeom(rows, events, n)
    least, most = max(0, n + events - rows), min(n, events)
    for k in range(least, most + 1):
        exact = law.sf(k - 1) if k > law.mean() else law.cdf(k)
        if not 1e-7 < exact < 0.3:
            continue
        part = Moments(*(np.array([[float(v)]]) for v in (n, k, n, k, k, n)))
        whole = Moments(*(np.array([[float(v)]]) for v in (rows, events, rows, events, events, rows)))
        z = float(deviance(part, whole)[0])
        assert np.sign(z) == np.sign(k - law.mean())
        assert 0.6 * exact < norm.sf(abs(z)) < 3 * exact


@given(seed=st.integers(0, 500))
def test_clustered_variance_is_that_of_whole_groups(seed: int) -> None:
    """Against influence worked out row by row and added up by group."""
    a, b, inside = world(seed, n=120, weighted=True)
    group = np.random.default_rng(seed).integers(0, 8, 120)
    whole_a, whole_b = (np.bincount(group, x, minlength=8).astype(float)[None, None, :] for x in (a, b))
    part_a, part_b = (np.bincount(group[inside], x[inside], minlength=8).astype(float)[None, None, :] for x in (a, b))
    ratio, rest = a.sum() / b.sum(), a[~inside].sum() / b[~inside].sum()
    influence = (a - ratio * b) / b.sum() - np.where(inside, 0.0, (a - rest * b) / b[~inside].sum())
    totals = np.array([influence[group == g].sum() for g in range(8)])
    present = len(np.unique(group))
    expected = (totals @ totals) * present / (present - 1)
    assert clustered_variance(part_a, part_b, whole_a, whole_b) == pytest.approx([expected], rel=1e-9)


def test_shrinkage_is_the_posterior_mean_of_the_long_tailed_law() -> None:
    """Against integrals: theta is 0, or normal with a variance whose law makes the tails long."""
    z = np.r_[np.random.default_rng(1).standard_normal(300), 3.0, 4.5, 6.0]
    factor = shrinkage(z)
    share = _share(z)
    for value, got in ((3.0, factor[-3]), (4.5, factor[-2]), (0.7, shrinkage(np.r_[z, 0.7])[-1])):

        def weight(t: float) -> float:
            # Johnstone and Silverman: theta is normal with variance 1 / t - 1, and t is Beta(1/2, 1).
            return 0.5 * t**-0.5

        density = integrate.quad(lambda t, x=value: weight(t) * norm.pdf(x, scale=t**-0.5), 0, 1)[0]
        top = integrate.quad(lambda t, x=value: weight(t) * norm.pdf(x, scale=t**-0.5) * (1 - t) * x, 0, 1)[0]
        real = share * density / (share * density + (1 - share) * norm.pdf(value))
        assert got == pytest.approx(real * top / density / value, rel=0.03)


def _share(z: Array) -> float:
    grid = np.linspace(0.5 / len(z), 0.99, 4000)
    half = z * z / 2
    g = -np.expm1(-half) / (z * z) / np.sqrt(2 * np.pi)
    likelihood = [np.log(w * g + (1 - w) * norm.pdf(z)).sum() for w in grid]
    return float(grid[int(np.argmax(likelihood))])


def test_shrinkage_of_chance_is_nearly_everything_and_of_one_strong_slice_hardly_anything() -> None:
    z = np.random.default_rng(5).standard_normal(2000)
    assert np.abs(shrinkage(z) * z).max() < 0.6
    assert shrinkage(np.r_[z, 8.0])[-1] > 0.9
    assert np.isnan(shrinkage(np.array([np.nan, 1.0]))[0])
    assert np.isnan(shrinkage(np.array([np.nan]))).all()
