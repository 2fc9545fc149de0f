"""Two models on the same rows: published examples, fractions worked by hand, statsmodels and brute force."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbkit.measure.stats import paired
from fbkit.measure.stats.ranking import average_precision, roc_auc

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), min_size=2, max_size=20)


def table(both: int, lost: int, won: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([1.0, 1.0, 0.0, 0.0], [both, lost, won, neither])
    return first, np.repeat([1.0, 0.0, 1.0, 0.0], [both, lost, won, neither])


def components(scores: list[int], labels: list[int]) -> tuple[list[Fraction], list[Fraction]]:
    """The structural components of DeLong et al. 1988: share of pairs won, by positive and by negative."""
    pos = [s for s, y in zip(scores, labels, strict=True) if y]
    neg = [s for s, y in zip(scores, labels, strict=True) if not y]

    def won(x: int, y: int) -> Fraction:
        return Fraction(int(x > y)) + Fraction(int(x == y), 2)

    return (
        [sum((won(x, y) for y in neg), Fraction()) / len(neg) for x in pos],
        [sum((won(x, y) for x in pos), Fraction()) / len(pos) for y in neg],
    )


def variance(values: list[Fraction]) -> Fraction:
    mean = sum(values, Fraction()) / len(values)
    return sum(((value - mean) ** 2 for value in values), Fraction()) / (len(values) - 1)


def test_paired_delong_worked_by_hand() -> None:
    # Positives: 2 of 3 and 3 of 3 negatives beaten by the first model; 3 of 3 twice by the second.
    labels = [1, 1, 0, 0, 0]
    first, second = [3, 5, 1, 2, 4], [4, 5, 1, 3, 2]
    got = paired.paired_auc(first, second, labels)
    # Gains by positive: 1/3, 0 (variance 1/18); by negative: 0, 0, 1/2 (variance 1/12).
    expected = Fraction(1, 18) / 2 + Fraction(1, 12) / 3
    assert got.value == pytest.approx(1 / 6, abs=1e-15)
    half = 1.959963984540054 * float(expected) ** 0.5
    assert (got.lower, got.upper) == pytest.approx((1 / 6 - half, 1 / 6 + half), abs=1e-12)
    assert got.method == "DeLong (paired)"


@given(rows)
def test_paired_delong_equals_fractions(world: list[tuple[int, int, bool]]) -> None:
    first, second, labels = ([row[i] for row in world] for i in range(3))
    got = paired.paired_auc(first, second, labels)
    if len(set(labels)) < 2:
        assert np.isnan(got.value)
        return
    parts = [components(scores, [int(y) for y in labels]) for scores in (first, second)]
    gains = [[b - a for a, b in zip(parts[0][side], parts[1][side], strict=True)] for side in (0, 1)]
    value = sum(gains[0], Fraction()) / len(gains[0])
    assert got.value == pytest.approx(float(value), abs=1e-14)
    if min(map(len, gains)) < 2:
        assert np.isnan(got.p_value)
        return
    error = float(sum(variance(gain) / len(gain) for gain in gains)) ** 0.5
    if error == 0:
        assert got.p_value == 1.0 if value == 0 else np.isnan(got.p_value)
        return
    from scipy.stats import norm

    assert got.upper - got.lower == pytest.approx(2 * 1.959963984540054 * error, abs=1e-12)
    assert got.p_value == pytest.approx(2 * norm.sf(abs(float(value)) / error), abs=1e-12)


def test_paired_delong_of_one_model_against_itself_is_no_difference() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random(50), rng.integers(0, 2, 50)
    assert paired.paired_auc(scores, scores**3, labels)[:4] == (0.0, 0.0, 0.0, 1.0)


def test_pairing_is_narrower_than_two_samples_of_the_same_rows() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400).astype(float)
    first = labels + rng.normal(size=400)
    second = first + 0.3 * rng.normal(size=400)
    got = paired.paired_auc(first, second, labels)
    one, two = roc_auc(first, labels), roc_auc(second, labels)
    assert got.value == pytest.approx(two.value - one.value, abs=1e-14)
    assert got.upper - got.lower < 0.6 * np.hypot(one.upper - one.lower, two.upper - two.lower)


def test_mcnemar_equals_statsmodels() -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    for counts in [(36, 12, 2, 0), (794, 150, 86, 570), (3, 0, 0, 2), (1, 5, 5, 9), (0, 400, 350, 10)]:
        both, lost, won, neither = counts
        got = paired.mcnemar(*table(*counts))
        assert got.p_value == pytest.approx(mcnemar([[both, lost], [won, neither]], exact=True).pvalue, rel=1e-9)
        assert got.value == pytest.approx((won - lost) / sum(counts))


def test_newcombe_paired_published_example() -> None:
    # Newcombe 1998 (paired data), table II: 36, 12, 2, 0 gives 0.0569 to 0.3404 by method 10.
    got = paired.mcnemar(*table(36, 2, 12, 0))
    np.testing.assert_allclose((got.value, got.lower, got.upper), (0.2, 0.0569, 0.3404), atol=5e-5)


@given(st.tuples(*[st.integers(0, 8)] * 4).filter(lambda counts: sum(counts) > 0))
def test_mcnemar_turns_its_sign_and_holds_its_value(counts: tuple[int, int, int, int]) -> None:
    first, second = table(*counts)
    there, back = paired.mcnemar(first, second), paired.mcnemar(second, first)
    assert there.p_value == back.p_value
    np.testing.assert_allclose(there[:3], (-back.value, -back.upper, -back.lower), atol=1e-12)
    assert -1 - 1e-12 <= there.lower <= there.value <= there.upper <= 1 + 1e-12


def test_paired_ratio_of_two_means_is_the_paired_t_test() -> None:
    from scipy import stats

    rng = np.random.default_rng(2)
    first, second = rng.gamma(2, size=(2, 60))
    ones = np.ones(60)
    got = paired.paired_ratio((first, ones), (second, ones))
    oracle = stats.ttest_rel(second, first)
    assert got.value == pytest.approx(second.mean() - first.mean())
    assert got.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    np.testing.assert_allclose((got.lower, got.upper), oracle.confidence_interval(0.95), rtol=1e-9)


def test_paired_ratio_counts_a_repeated_entity_once() -> None:
    rng = np.random.default_rng(3)
    a, b, c = rng.random((3, 80))
    once = paired.paired_ratio((a, b), (c, b), clusters=np.arange(80))
    five = paired.paired_ratio(
        *(tuple(np.repeat(x, 5) for x in pair) for pair in ((a, b), (c, b))), clusters=np.repeat(np.arange(80), 5)
    )
    np.testing.assert_allclose(five[:4], once[:4], rtol=1e-12)
    assert five.method == "cluster-robust (entity), linearised (paired)"


def test_paired_ratio_goes_through_a_transform() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random((2, 4000)) ** 2
    ones = np.ones(4000)
    plain = paired.paired_ratio((first, ones), (second, ones))
    rooted = paired.paired_ratio((first, ones), (second, ones), transform=np.sqrt)
    assert rooted.value == pytest.approx(second.mean() ** 0.5 - first.mean() ** 0.5)
    slope = 0.5 / first.mean() ** 0.5
    assert rooted.upper - rooted.lower == pytest.approx(slope * (plain.upper - plain.lower), rel=0.02)


def test_average_precision_by_influence_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(600) < 0.3).astype(float)
    first = labels + rng.normal(size=600)
    second = first + rng.normal(size=600) * 0.5
    influence = paired.paired_average_precision(first, second, labels)
    drawn = paired.paired_bootstrap(
        lambda s, y, w: average_precision(s, y, weights=w).value, first, second, labels, draws=400
    )
    assert drawn.value == pytest.approx(influence.value, abs=1e-12)
    assert drawn.upper - drawn.lower == pytest.approx(influence.upper - influence.lower, rel=0.15)


def test_bootstrap_of_three_rows_is_every_resample() -> None:
    # 27 equally likely resamples of three gains; the mean of draws has their distribution.
    gains = np.array([0.0, 1.0, 5.0])
    every = sorted(float(np.mean([gains[i] for i in chosen])) for chosen in product(range(3), repeat=3))

    def mean(scores: np.ndarray, _: np.ndarray, weights: np.ndarray) -> float:
        return float(scores @ weights / weights.sum())

    got = paired.paired_bootstrap(mean, np.zeros(3), gains, np.zeros(3), draws=4000)
    assert got.value == pytest.approx(2.0)
    assert (got.lower, got.upper) == pytest.approx((every[0], every[-1]))
    again = paired.paired_bootstrap(mean, np.zeros(3), gains, np.zeros(3), draws=4000)
    assert again == got
    assert got.p_value == pytest.approx(2 / 27, rel=0.25)


def test_nothing_to_compare_is_not_a_number() -> None:
    one_class = ([0.1, 0.2], [0.3, 0.1], [1.0, 1.0])
    assert np.isnan(paired.paired_auc(*one_class).value)
    assert np.isnan(paired.paired_average_precision([0.1], [0.2], [0.0]).p_value)
    assert np.isnan(paired.mcnemar([], []).value)
    assert np.isnan(paired.paired_ratio(([1.0], [0.0]), ([1.0], [1.0])).value)
    single = paired.paired_ratio(([1.0], [1.0]), ([0.5], [1.0]))
    assert single.value == -0.5
    assert np.isnan(single.lower)
    same_entity = paired.paired_bootstrap(
        lambda s, y, w: float(s @ w), [1.0, 2.0], [2.0, 2.0], [0.0, 1.0], clusters=[7, 7]
    )
    assert same_entity.value == 1.0
    assert np.isnan(same_entity.lower)
