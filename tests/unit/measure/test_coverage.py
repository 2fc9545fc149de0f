"""Do 95 % intervals cover 95 %: on worlds whose true value is known."""

import numpy as np
import pytest

from fbkit.measure.intervals import cluster_ratio, mean_by_variance, newcombe, proportion_by_variance, wilson
from fbkit.measure.ranking import average_precision, roc_auc

LOW, HIGH = 0.93, 0.97


def test_wilson_covers_on_average_over_shares() -> None:
    from scipy.stats import binom

    shares, n = np.linspace(0.05, 0.95, 181), 200
    k = np.arange(n + 1)
    lower, upper = wilson(k, n)
    covered = [(binom.pmf(k, n, p) * ((lower <= p) & (p <= upper))).sum() for p in shares]
    assert LOW < np.mean(covered) < HIGH


def test_newcombe_covers_a_difference() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.binomial(200, 0.8, 4000), rng.binomial(300, 0.7, 4000)
    lower, upper = newcombe(first, 200, second, 300)
    assert LOW < np.mean((lower <= -0.1) & (upper >= -0.1)) < HIGH


def _binormal(rng: np.random.Generator, n: int, positives: int, gap: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    labels = (np.arange(n) < positives).astype(float)
    return rng.normal(size=n) + gap * labels, labels


@pytest.mark.parametrize(("n", "positives"), [(300, 40), (400, 150)])
def test_auc_covers_the_binormal_value(n: int, positives: int) -> None:
    from scipy.special import ndtr

    rng, true = np.random.default_rng(2), float(ndtr(1.2 / np.sqrt(2)))
    found = [roc_auc(*_binormal(rng, n, positives)) for _ in range(1200)]
    assert 0.925 < np.mean([one.lower <= true <= one.upper for one in found]) < 0.975


def test_average_precision_covers_the_value_of_a_million_rows() -> None:
    rng = np.random.default_rng(3)
    true = average_precision(*_binormal(rng, 1_000_000, 150_000)).value
    found = [average_precision(*_binormal(rng, 800, 120)) for _ in range(1000)]
    assert 0.92 < np.mean([one.lower <= true <= one.upper for one in found]) < 0.975


def test_mean_covers_a_skewed_loss() -> None:
    rng = np.random.default_rng(4)
    scores = rng.beta(1, 4, (3000, 300))
    labels = rng.random((3000, 300)) < scores
    loss = np.square(scores - labels)
    true = 1 / 5 * 4 / 6  # mean of s (1 - s) under Beta(1, 4)
    lower, upper = mean_by_variance(loss.mean(axis=1), loss.var(axis=1, ddof=1) / 300, units=300)
    truth = 0.2 - 2 / 30  # mean of s less mean of s squared
    assert true == pytest.approx(truth)
    assert LOW - 0.005 < np.mean((lower <= truth) & (truth <= upper)) < HIGH


def test_entities_seen_five_times_need_the_cluster_interval() -> None:
    rng = np.random.default_rng(5)
    robust, naive, effective = [], [], []
    for _ in range(600):
        own = rng.beta(2, 2, 80)  # each entity has its own rate, 0.5 on average
        rows = (rng.random((80, 5)) < own[:, None]).astype(float)
        _, lower, upper = cluster_ratio(rows.ravel(), np.ones(400), np.repeat(np.arange(80), 5))
        robust.append(lower <= 0.5 <= upper)
        low, high = wilson(rows.sum(), 400)
        naive.append(low <= 0.5 <= high)
        totals = rows.sum(axis=1) - 5 * rows.mean()
        variance = 80 / 79 * np.sum(totals**2) / 400**2
        low, high = proportion_by_variance(rows.mean(), variance, 400, units=80)
        effective.append(low <= 0.5 <= high)
    assert np.mean(naive) < 0.90
    assert LOW < np.mean(robust) < HIGH + 0.005
    assert LOW < np.mean(effective) < HIGH + 0.005
