"""Metrics of masses against scikit-learn and hand-made sums, their slopes against small steps."""

import numpy as np
import pytest
from sklearn import metrics as sk

from fbkit.measure.labels.masses import METRICS, Rows, units_of, variance_of

SKLEARN = {
    "recall": lambda y, f, s, w: sk.recall_score(y, f, sample_weight=w),
    "precision": lambda y, f, s, w: sk.precision_score(y, f, sample_weight=w),
    "specificity": lambda y, f, s, w: sk.recall_score(y, f, pos_label=0, sample_weight=w),
    "accuracy": lambda y, f, s, w: sk.accuracy_score(y, f, sample_weight=w),
    "f1": lambda y, f, s, w: sk.f1_score(y, f, sample_weight=w),
    "f0_5": lambda y, f, s, w: sk.fbeta_score(y, f, beta=0.5, sample_weight=w),
    "f2": lambda y, f, s, w: sk.fbeta_score(y, f, beta=2, sample_weight=w),
    "false_positive_rate": lambda y, f, s, w: 1 - sk.recall_score(y, f, pos_label=0, sample_weight=w),
    "npv": lambda y, f, s, w: sk.precision_score(y, f, pos_label=0, sample_weight=w),
    "balanced_accuracy": lambda y, f, s, w: sk.balanced_accuracy_score(y, f, sample_weight=w),
    "mcc": lambda y, f, s, w: sk.matthews_corrcoef(y, f, sample_weight=w),
    "base_rate": lambda y, f, s, w: float(np.average(y, weights=w)),
    "brier": lambda y, f, s, w: sk.brier_score_loss(y, s, sample_weight=w),
    "log_loss": lambda y, f, s, w: sk.log_loss(y, s, sample_weight=w),
    "roc_auc": lambda y, f, s, w: sk.roc_auc_score(y, s, sample_weight=w),
    "average_precision": lambda y, f, s, w: sk.average_precision_score(y, s, sample_weight=w),
}


def world(n: int = 500, *, seed: int = 0, decimals: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = np.sort(np.round(rng.uniform(0.01, 0.99, n), decimals))
    return score, (rng.random(n) < score).astype(float), (score >= 0.5).astype(float), rng.uniform(0.2, 3, n)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("weighted", [False, True])
def test_values_equal_scikit_learn(name: str, weighted: bool) -> None:
    score, label, flag, weight = world()
    rows = Rows.of(score, label, flag, weight=weight if weighted else None)
    at = METRICS[name].slope(rows, *rows.labelled())
    assert at is not None
    assert at.value == pytest.approx(SKLEARN[name](label, flag, score, weight if weighted else None), abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_a_fractional_label_is_two_rows_that_share_the_weight(name: str) -> None:
    score, _, flag, weight = world(60)
    share = np.random.default_rng(1).random(60)
    rows = Rows.of(score, share, flag, weight=weight)
    twice = SKLEARN[name](
        np.repeat([1.0, 0.0], 60),
        np.tile(flag, 2),
        np.tile(score, 2),
        np.concatenate([weight * share, weight * (1 - share)]),
    )
    at = METRICS[name].slope(rows, *rows.labelled())
    assert at is not None
    assert at.value == pytest.approx(twice, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_slopes_are_derivatives(name: str) -> None:
    score, label, flag, weight = world(80)
    rows = Rows.of(score, label * 0.8 + 0.1, flag, weight=weight)
    positive, negative = rows.labelled()
    at = METRICS[name].slope(rows, positive, negative)
    assert at is not None
    for row in (0, 17, 40, 79):
        step = np.zeros(80)
        step[row] = 1e-6
        for slope, moved in (
            (at.positive, (positive + step, negative)),
            (at.negative, (positive, negative + step)),
        ):
            after = METRICS[name].slope(rows, *moved)
            assert after is not None
            assert (after.value - at.value) / 1e-6 == pytest.approx(slope[row], rel=1e-3, abs=1e-6)
    assert positive @ at.positive + negative @ at.negative == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_without_what_it_divides_by_a_metric_is_not_defined(name: str) -> None:
    rows = Rows.of(np.array([0.2, 0.8]), np.full(2, np.nan), np.full(2, np.nan))
    assert METRICS[name].slope(rows, *rows.labelled()) is None
    empty = Rows.of(np.zeros(0), np.zeros(0), np.zeros(0))
    assert METRICS[name].slope(empty, *empty.labelled()) is None


def test_rows_without_a_decision_are_in_no_rate_of_decisions() -> None:
    rows = Rows.of(np.array([0.2, 0.6, 0.8]), np.array([1.0, 1.0, 0.0]), np.array([np.nan, 1.0, 1.0]))
    values = {}
    for name in ("recall", "precision", "accuracy", "base_rate"):
        at = METRICS[name].slope(rows, *rows.labelled())
        assert at is not None
        values[name] = at.value
    assert values == {"recall": 1.0, "precision": 0.5, "accuracy": 0.5, "base_rate": pytest.approx(2 / 3)}
    assert METRICS["recall"].slope(Rows.of(rows.score, np.zeros(3), rows.flag), np.zeros(3), np.ones(3)) is None


def test_rows_of_one_entity_move_together() -> None:
    score, label, flag, _ = world(100)
    alone = Rows.of(score, label, flag)
    order = np.arange(300)
    repeated = Rows.of(
        np.repeat(score, 3), np.repeat(label, 3), np.repeat(flag, 3), cluster=np.repeat(np.arange(100), 3)
    )
    independent = Rows.of(repeated.score, repeated.label, repeated.flag, cluster=order)
    variances = []
    for rows in (alone, repeated, independent):
        positive, negative = rows.labelled()
        at = METRICS["accuracy"].slope(rows, positive, negative)
        assert at is not None
        variances.append(variance_of(positive * at.positive + negative * at.negative, rows))
    assert variances[1] == pytest.approx(variances[0], rel=1e-9)
    assert variances[2] == pytest.approx(variances[0] / 3, rel=0.02)
    assert [units_of(rows.known, rows) for rows in (alone, repeated, independent)] == [100, 100, 300]


def test_without_visible_variance_an_interval_still_has_the_width_of_its_rows() -> None:
    for name in ("recall", "roc_auc", "average_precision"):
        lower, upper = METRICS[name].interval(1.0, 0.0, units=30, level=0.95)
        assert (round(lower, 2), upper) == (0.88, 1.0)
    lower, upper = METRICS["roc_auc"].interval(0.9, 0.0001, units=1000, level=0.95)
    assert lower < 0.9 < upper < 1
    assert METRICS["mcc"].interval(-0.9, 0.01, units=50, level=0.95)[0] == -1.0
