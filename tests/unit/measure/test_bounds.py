"""The confidence set for a range: its published equation, its limits, and its coverage where labels hide by outcome."""

import numpy as np
import pytest
from scipy.stats import norm

from fbkit.measure.labels.bounds import ends, imbens_manski, worst_case
from fbkit.measure.labels.masses import METRICS, Rows


@pytest.mark.parametrize("width", [0.0, 0.001, 0.02, 0.3])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_critical_value_solves_the_published_equation(width: float, level: float) -> None:
    low, high = imbens_manski(0.4, 0.4 + width, 0.02, 0.01, level=level)
    c = (0.4 - float(low[0])) / 0.02
    assert (float(high[0]) - 0.4 - width) / 0.01 == pytest.approx(c, abs=1e-9)
    assert norm.cdf(c + width / 0.02) - norm.cdf(-c) == pytest.approx(level, abs=1e-9)


def test_from_a_point_to_a_wide_range_the_critical_value_falls_from_two_sided_to_one_sided() -> None:
    widths = np.array([0.0, 0.01, 0.05, 0.5])
    low, _ = imbens_manski(np.full(4, 0.3), 0.3 + widths, 0.01, 0.01)
    c = (0.3 - low) / 0.01
    assert np.all(np.diff(c) < 0)
    assert c[0] == pytest.approx(norm.ppf(0.975), abs=1e-6)
    assert c[-1] == pytest.approx(norm.ppf(0.95), abs=1e-6)


def test_a_range_without_error_stays_as_it_is_and_one_that_is_not_known_too() -> None:
    low, high = imbens_manski([0.2, np.nan], [0.4, 0.5], [0.0, 0.1], [0.0, 0.1])
    assert (low[0], high[0]) == (0.2, 0.4)
    assert np.isnan(low[1])


def mini(withheld: np.ndarray) -> Rows:
    """The mini challenge: 5,000 rows, TP 2406, FN 180, 49 % flagged."""
    flag = np.repeat([1.0, 0.0], [2450, 2550])
    label = np.repeat([1.0, 0.0, 1.0, 0.0], [2406, 44, 180, 2370])
    return Rows.of(np.full(5000, 0.5), np.where(withheld, np.nan, label), flag)


def test_the_mini_challenge() -> None:
    positives = mini(np.arange(5000) < 1500)
    assert ends(METRICS["recall"], positives) == pytest.approx((0.834254, 0.930394), abs=5e-7)
    labelled = METRICS["recall"].slope(positives, *positives.labelled())
    assert labelled is not None
    assert labelled.value == pytest.approx(0.834254, abs=5e-7)
    at_random = mini(np.random.default_rng(7).permutation(5000) < 1500)
    assert ends(METRICS["recall"], at_random) == pytest.approx((0.654, 0.951), abs=0.01)


@pytest.mark.parametrize("name", ["recall", "precision", "brier", "roc_auc"])
def test_the_set_covers_the_truth_where_labels_are_lost_by_outcome(name: str) -> None:
    """The truth lies at one end of the range (all lost labels are positive): the hardest place to cover."""
    rng = np.random.default_rng(11)
    metric, reps, n = METRICS[name], 400, 600
    big = np.sort(rng.random(200_000))
    full = Rows.of(big, big, (big >= 0.5).astype(float))  # fractional labels: the truth of the population
    truth = metric.slope(full, *full.labelled())
    assert truth is not None
    covered, naive = 0, 0
    for _ in range(reps):
        score = np.sort(rng.random(n))
        label = (rng.random(n) < score).astype(float)
        lost = (label == 1) & (score >= 0.5) & (rng.random(n) < 0.3)
        rows = Rows.of(score, np.where(lost, np.nan, label), (score >= 0.5).astype(float))
        found = worst_case(metric, rows)
        low, high = imbens_manski(found.low, found.high, found.se_low, found.se_high)
        covered += float(low[0]) <= truth.value <= float(high[0])
        own = metric.slope(rows, *rows.labelled())
        naive += own is not None and abs(own.value - truth.value) < 1.96 * found.se_high
    assert covered / reps >= 0.93
    assert naive / reps < 0.88


def test_weights_and_doubled_rows_give_the_same_range() -> None:
    rng = np.random.default_rng(2)
    score = np.sort(rng.random(60))
    label = np.where(rng.random(60) < 0.3, np.nan, (rng.random(60) < score).astype(float))
    flag = (score >= 0.5).astype(float)
    double = [np.repeat(part, 2) for part in (score, label, flag)]
    weighted = Rows.of(score, label, flag, weight=np.full(60, 2.0))
    for name, metric in METRICS.items():
        got, want = ends(metric, weighted), ends(metric, Rows.of(*double))
        # Doubled rows share their score, which average precision can only bound from outside.
        assert got == pytest.approx(want, abs=1e-12 if name not in ("average_precision", "roc_auc") else 0.05)
