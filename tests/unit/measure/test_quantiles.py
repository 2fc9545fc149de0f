"""Order statistics: numpy, exact binomial tails by scipy, brute force, and how often the interval holds the truth."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from fbkit.measure.stats.quantiles import binomial_ranks, effective_size, quantile_estimate

SHARES = (0.5, 0.9, 0.95, 0.99)


def brute(values: list[float], weights: list[float], p: float) -> float:
    """The smallest value with at least a share p of the weight at or below it."""
    total = sum(weights)
    reached = [v for v in values if sum(w for u, w in zip(values, weights, strict=True) if u <= v) >= p * total - 1e-9]
    return min(reached)


@given(values=st.lists(st.integers(-5, 5), min_size=1, max_size=40), p=st.sampled_from(SHARES))
def test_value_is_numpys_inverted_distribution(values: list[int], p: float) -> None:
    found = quantile_estimate(values, p=p)
    assert found.value == np.quantile(values, p, method="inverted_cdf")
    assert not found.lower > found.value
    assert not found.upper < found.value


@given(
    rows=st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 3)), min_size=1, max_size=15), p=st.sampled_from(SHARES)
)
def test_a_weight_is_as_many_equal_rows(rows: list[tuple[int, int]], p: float) -> None:
    values, weights = [float(v) for v, _ in rows], [float(w) for _, w in rows]
    found = quantile_estimate(values, p=p, weights=weights)
    if not any(weights):
        assert np.isnan(found.value)
        return
    repeated = [v for v, w in rows for _ in range(w)]
    assert found.value == quantile_estimate(repeated, p=p).value == brute(values, weights, p)


@pytest.mark.parametrize("p", SHARES)
@pytest.mark.parametrize("n", [1, 5, 20, 59, 100, 1000, 40_000])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_ranks_have_the_binomial_tails_that_they_promise(n: int, p: float, level: float) -> None:
    lower, upper = binomial_ranks(n, p=p, level=level)
    tail = (1 - level) / 2
    # The r-th row is above the true quantile if at most r - 1 rows are below it, and so on the other side.
    assert binom.cdf(lower - 1, n, p) <= tail
    assert binom.cdf(lower, n, p) > tail or lower == n
    assert binom.sf(upper - 1, n, p) <= tail + 1e-15
    assert binom.sf(upper - 2, n, p) > tail or upper == 1


def test_a_published_interval_of_a_median() -> None:
    # Ten rows: ranks 2 and 9, with coverage 0.9785; every table of the sign test has it.
    assert binomial_ranks(10, p=0.5, level=0.95) == (2, 9)
    found = quantile_estimate([3, 1, 4, 15, 9, 2, 6, 5, 35, 8], p=0.5)
    assert (found.lower, found.value, found.upper) == (2, 5, 15)


def test_too_few_rows_leave_a_side_open() -> None:
    found = quantile_estimate(range(20), p=0.99)
    assert (found.value, np.isnan(found.upper), np.isnan(found.lower)) == (19, True, False)
    assert np.isnan(quantile_estimate([], p=0.5).value)


def test_equal_weights_and_lone_clusters_change_next_to_nothing() -> None:
    values = np.random.default_rng(0).exponential(size=500)
    plain = quantile_estimate(values, p=0.9)
    for other in (
        quantile_estimate(values, p=0.9, weights=np.full(500, 2.5)),
        quantile_estimate(values, p=0.9, clusters=np.arange(500)),
    ):
        assert other.value == plain.value
        # Student's t makes the sample a little smaller than it is.
        assert other.lower == pytest.approx(plain.lower, rel=0.02)
        assert other.upper == pytest.approx(plain.upper, rel=0.02)


def test_rows_that_say_the_same_thing_count_once() -> None:
    rng = np.random.default_rng(1)
    below = np.repeat(rng.random(100) < 0.9, 5)
    size = effective_size(below, np.ones(500), np.repeat(np.arange(100), 5), level=0.95)
    assert 90 <= size <= 100
    assert effective_size(below, np.ones(500), None, level=0.95) >= 490


def coverage(draw, *, p: float, truth: float, runs: int = 300) -> float:
    inside = 0
    for _ in range(runs):
        values, call = draw()
        found = quantile_estimate(values, p=p, **call)
        inside += not (found.lower > truth or found.upper < truth)
    return inside / runs


@pytest.mark.parametrize("p", [0.5, 0.95])
def test_intervals_hold_the_truth_as_often_as_they_say(p: float) -> None:
    rng = np.random.default_rng(5)
    exponential, normal = -np.log(1 - p), NormalDist(0, 2**0.5).inv_cdf(p)
    owner = np.repeat(np.arange(100), 5)
    shares = {
        "independent": coverage(lambda: (rng.exponential(size=400), {}), p=p, truth=exponential),
        "weights": coverage(
            lambda: (rng.exponential(size=400), {"weights": rng.exponential(size=400)}), p=p, truth=exponential
        ),
        "clusters": coverage(
            lambda: (rng.normal(size=100)[owner] + rng.normal(size=500), {"clusters": owner}), p=p, truth=normal
        ),
    }
    for name, share in shares.items():
        assert 0.91 <= share <= 0.99, name
    # What ignoring the repetition would do.
    naive = coverage(lambda: (rng.exponential(size=80)[np.repeat(np.arange(80), 5)], {}), p=p, truth=exponential)
    assert naive < 0.75
