"""AUC and average precision against scikit-learn, brute force and published formulas."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fbkit.measure.stats.ranking import (
    Sample,
    Spread,
    auc_bounds,
    auc_influence,
    auc_spread,
    average_precision,
    roc_auc,
)

worlds = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=25)


def _arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s / 4 for s, _ in rows]), np.array([float(y) for _, y in rows])


@given(worlds)
def test_auc_equals_counting_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _arrays(rows)
    pos, neg = scores[labels == 1], scores[labels == 0]
    got = roc_auc(scores, labels)
    if not len(pos) or not len(neg):
        assert np.isnan(got.value)
        return
    wins = sum((p > n) + 0.5 * (p == n) for p in pos for n in neg)
    assert got.value == pytest.approx(wins / (len(pos) * len(neg)), abs=1e-14)


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_auc_and_average_precision_equal_sklearn_with_ties_and_weights(decimals: int) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(decimals)
    scores = np.round(rng.random(3000), decimals)
    labels = (rng.random(3000) < scores).astype(float)
    weights = rng.random(3000)
    for w in (None, weights):
        assert roc_auc(scores, labels, weights=w).value == pytest.approx(
            roc_auc_score(labels, scores, sample_weight=w), abs=1e-12
        )
        assert average_precision(scores, labels, weights=w).value == pytest.approx(
            average_precision_score(labels, scores, sample_weight=w), abs=1e-12
        )


def _delong_variance(scores: np.ndarray, labels: np.ndarray) -> float:
    """DeLong, DeLong and Clarke-Pearson 1988, equations 3 to 5, pair by pair."""
    pos, neg = scores[labels == 1], scores[labels == 0]
    kernel = (pos[:, None] > neg[None, :]) + 0.5 * (pos[:, None] == neg[None, :])
    return float(kernel.mean(axis=1).var(ddof=1) / len(pos) + kernel.mean(axis=0).var(ddof=1) / len(neg))


def _spread(scores: object, labels: object) -> Spread:
    sample, order = Sample.of(np.asarray(scores), np.asarray(labels))
    found = auc_influence(sample)
    assert found is not None
    return auc_spread(found, sample, None, order)


def _on_logit_scale(value: float, spread: Spread) -> np.ndarray:
    half = stats.t.ppf(0.975, spread.df) * np.sqrt(spread.variance) / (value * (1 - value))
    centre = np.log(value / (1 - value))
    return 1 / (1 + np.exp([half - centre, -half - centre]))


@given(worlds)
def test_delong_equals_the_published_formula(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _arrays(rows)
    if min(labels.sum(), (1 - labels).sum()) < 2:
        return
    variance = _delong_variance(scores, labels)
    got, spread = roc_auc(scores, labels), _spread(scores, labels)
    assert spread.variance == pytest.approx(variance, abs=1e-14)
    if variance < 1e-15:
        assert got.method == "Wilson (no visible variance)"
        return
    assert got.method == "DeLong, logit"
    np.testing.assert_allclose((got.lower, got.upper), _on_logit_scale(got.value, spread), rtol=1e-9)


def test_delong_worked_by_hand() -> None:
    # Positives 3, 5; negatives 1, 4: wins of 3 are 1/2, of 5 are 2/2; of the negatives 1 loses to 2/2, 4 to 1/2.
    # Both sample variances are 1/8, over two each: 1/8.
    got, spread = roc_auc([3, 5, 1, 4], [1, 1, 0, 0]), _spread([3, 5, 1, 4], [1, 1, 0, 0])
    assert got.value == 0.75
    assert spread.variance == pytest.approx(0.125, abs=1e-15)
    assert spread.df == 1


def test_delong_of_a_published_rating_study() -> None:
    # Hanley and McNeil 1982, table I: ratings of 58 normal and 51 abnormal CT images; area .893. Its nonparametric
    # standard error, .0307, and interval .83295 to .95339 are those of Stata's manual entry on roctab (same data).
    ratings = np.repeat(np.tile([1.0, 2.0, 3.0, 4.0, 5.0], 2), [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    labels = np.repeat([0.0, 1.0], [58, 51])
    value, spread = roc_auc(ratings, labels).value, _spread(ratings, labels)
    assert value == pytest.approx(0.8932, abs=5e-5)
    assert spread.variance**0.5 == pytest.approx(0.0307, abs=5e-5)
    half = 1.959963984540054 * spread.variance**0.5
    np.testing.assert_allclose((value - half, value + half), (0.83295, 0.95339), atol=5e-6)


def test_few_large_influences_make_fewer_degrees_of_freedom() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0.0, 1.0], [500, 40])
    near = np.concatenate([rng.normal(size=500), rng.normal(0.5, 1, 40)])
    far = np.concatenate([rng.normal(size=500), rng.normal(6, 1, 39), [-1.0]])
    assert _spread(near, labels).df > 30
    assert _spread(far, labels).df < 4


def test_cluster_variance_counts_a_repeated_entity_once() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(300)
    labels = (rng.random(300) < scores).astype(float)
    alone = roc_auc(scores, labels, clusters=np.arange(300))
    five = roc_auc(np.repeat(scores, 5), np.repeat(labels, 5), clusters=np.repeat(np.arange(300), 5))
    naive = roc_auc(np.repeat(scores, 5), np.repeat(labels, 5))
    assert five.value == pytest.approx(alone.value, abs=1e-14)
    assert five.lower == pytest.approx(alone.lower, abs=1e-12)
    assert five.upper == pytest.approx(alone.upper, abs=1e-12)
    assert naive.upper - naive.lower < 0.6 * (five.upper - five.lower)
    assert five.method == "cluster-robust (entity), DeLong, logit"


def test_no_interval_from_a_single_entity_or_a_single_positive() -> None:
    scores, labels = [0.1, 0.4, 0.35, 0.8], [0.0, 0.0, 1.0, 1.0]
    for measure in (roc_auc, average_precision):
        one_entity = measure(scores, labels, clusters=["e"] * 4)
        assert 0 < one_entity.value < 1
        assert np.isnan(one_entity.lower)
        assert np.isnan(one_entity.upper)
    single = roc_auc([0.1, 0.2, 0.3], [0, 0, 1])
    assert (single.value, single.method) == (1.0, None)
    assert np.isnan(single.lower)


def test_perfect_order_has_an_interval_below_one() -> None:
    for measure in (roc_auc, average_precision):
        got = measure([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
        assert (got.value, got.upper) == (1.0, 1.0)
        assert got.lower < 0.5
        assert got.method == "Wilson (no visible variance)"


def test_average_precision_influence_equals_finite_differences() -> None:
    rng = np.random.default_rng(7)
    scores = np.round(rng.random(60), 1)
    labels = (rng.random(60) < scores).astype(float)
    step = 1e-6
    slopes = []
    for row in range(60):
        up, down = np.ones(60), np.ones(60)
        up[row], down[row] = 1 + step, 1 - step
        high, low = average_precision(scores, labels, weights=up), average_precision(scores, labels, weights=down)
        slopes.append((high.value - low.value) / (2 * step))
    got, squares = average_precision(scores, labels), np.square(slopes)
    p = labels.sum()
    excess = np.sum(squares**2) / np.sum(squares) ** 2 - 1 / 60
    df = min(2 / excess, p - 1)
    expected = _on_logit_scale(got.value, Spread(np.sum(squares) * p / (p - 1), df, p, 60 - p))
    np.testing.assert_allclose((got.lower, got.upper), expected, atol=1e-7)


@given(worlds)
def test_duplicating_rows_equals_weight_two(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _arrays(rows)
    for measure in (roc_auc, average_precision):
        twice = measure(np.tile(scores, 2), np.tile(labels, 2)).value
        np.testing.assert_allclose(twice, measure(scores, labels, weights=np.full(len(scores), 2.0)).value, atol=1e-12)


@given(worlds)
def test_fractional_label_is_two_rows_with_its_weights(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _arrays(rows)
    soft = np.where(labels == 1, 0.8, 0.3)
    split = roc_auc(
        np.tile(scores, 2),
        np.concatenate([np.ones(len(scores)), np.zeros(len(scores))]),
        weights=np.concatenate([soft, 1 - soft]),
    )
    np.testing.assert_allclose(roc_auc(scores, soft).value, split.value, atol=1e-12)


@given(worlds)
def test_auc_laws(rows: list[tuple[int, bool]]) -> None:
    scores, labels = _arrays(rows)
    value = roc_auc(scores, labels).value
    np.testing.assert_allclose(roc_auc(np.exp(3 * scores), labels).value, value, atol=1e-13)
    np.testing.assert_allclose(roc_auc(-scores, labels).value, 1 - value, atol=1e-13)
    np.testing.assert_allclose(roc_auc(scores, 1 - labels).value, 1 - value, atol=1e-13)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    np.testing.assert_array_equal(roc_auc(scores[order], labels[order]).value, value)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_auc_bounds_equal_trying_every_labelling(rows: list[tuple[int, bool]], missing: list[int]) -> None:
    scores, labels = (np.array([float(row[i]) for row in rows]) for i in (0, 1))
    seen = []
    for world in itertools.product([0.0, 1.0], repeat=len(missing)):
        value = roc_auc(np.concatenate([scores, missing]), np.concatenate([labels, world])).value
        seen += [] if np.isnan(value) else [value]
    least, greatest = auc_bounds(scores, labels, missing=np.array(missing, dtype=float))
    if not seen:
        assert np.isnan(least)
        assert np.isnan(greatest)
    else:
        np.testing.assert_allclose((least, greatest), (min(seen), max(seen)), atol=1e-12)
