"""Metrics from masses per cell against scikit-learn on rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from fbkit.diagnose.metric import Masses, evaluate, exact_value, row_loss
from fbkit.diagnose.settings import ValueName

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=4, max_size=60)


def masses_of(label, score_bin, *, cut=5):
    """Counts by (decision, bin, one stratum)."""
    positive, negative = np.zeros((2, 10, 1)), np.zeros((2, 10, 1))
    for y, b in zip(label, score_bin, strict=True):
        (positive if y else negative)[int(b >= cut), b, 0] += 1
    return Masses(positive, negative)


@given(ROWS)
def test_confusion_metrics_equal_scikit_learn(rows):
    label, score = np.array([r[0] for r in rows], dtype=int), np.array([r[1] for r in rows])
    decision = (score >= 5).astype(int)
    oracles = {
        "recall": recall_score,
        "precision": precision_score,
        "f1": f1_score,
        "accuracy": accuracy_score,
        "specificity": lambda y, d: recall_score(1 - y, 1 - d, zero_division=np.nan),
        "base_rate": lambda y, d: y.mean(),
    }
    for name, oracle in oracles.items():
        found = float(evaluate(name, masses_of(label, score)))
        extra = {"zero_division": np.nan} if name in ("recall", "precision", "f1") else {}
        assert found == pytest.approx(oracle(label, decision, **extra), abs=1e-12, nan_ok=True)


@given(ROWS)
def test_auc_of_bins_equals_scikit_learn_with_ties(rows):
    label, score = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows], dtype=float)
    found = float(evaluate("roc_auc", masses_of(label, score.astype(int))))
    if label.min() == label.max():
        assert np.isnan(found)
        return
    assert found == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_average_precision_of_bins_is_that_of_rows_in_random_order():
    rng = np.random.default_rng(3)
    at = np.repeat(np.arange(10), 4000)
    label = (rng.random(40_000) < (at + 1) / 12).astype(float)
    found = float(evaluate("average_precision", masses_of(label, at)))
    mixed = [average_precision_score(label, at + rng.random(40_000)) for _ in range(10)]
    assert found == pytest.approx(np.mean(mixed), abs=5e-4)


@given(ROWS)
def test_average_precision_of_one_bin_is_the_base_rate(rows):
    label = np.array([r[0] for r in rows], dtype=float)
    found = float(evaluate("average_precision", masses_of(label, np.full(len(rows), 7))))
    assert found == pytest.approx(label.mean() if label.any() else np.nan, abs=1e-12, nan_ok=True)


@given(ROWS)
def test_average_precision_of_pure_bins_needs_no_order(rows):
    """Positives above every negative: 1, whatever the bins."""
    label = np.array([r[0] for r in rows], dtype=float)
    at = np.where(label == 1, 5, 0) + np.array([r[1] for r in rows]) // 2
    found = float(evaluate("average_precision", masses_of(label, at)))
    assert found == pytest.approx(1.0 if label.any() else np.nan, abs=1e-12, nan_ok=True)


def with_loss(metric, label, score_bin):
    """The masses with the loss of scores 0.05, 0.15, ... 0.95, one per bin."""
    counts = masses_of(label, score_bin)
    loss = np.zeros((2, 10, 1))
    each = row_loss(metric, score=(score_bin + 0.5) / 10, label=label.astype(float))
    np.add.at(loss, ((score_bin >= 5).astype(int), score_bin, 0), each)
    return Masses(counts.positive, counts.negative, loss)


@given(ROWS)
def test_calibration_parts_equal_an_isotonic_fit_by_scikit_learn(rows):
    label, at = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows])
    score = (at + 0.5) / 10
    fitted = IsotonicRegression().fit_transform(score, label)
    again, base = brier_score_loss(label, np.clip(fitted, 0, 1)), label.mean() * (1 - label.mean())
    expected = {"mcb": brier_score_loss(label, score) - again, "dsc": base - again}
    for name, value in expected.items():
        assert float(evaluate(name, with_loss("mcb", label, at))) == pytest.approx(value, abs=1e-9)
        # One score per bin: the bins lose nothing.
        assert exact_value(name, score=score, label=label) == pytest.approx(value, abs=1e-9)


@given(ROWS)
def test_calibration_error_equals_its_definition(rows):
    label, at = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows])
    score = (at + 0.5) / 10
    expected = sum(abs((label - score)[at == b].sum()) for b in range(10)) / len(rows)
    assert float(evaluate("ece", with_loss("ece", label, at))) == pytest.approx(expected, abs=1e-12)


def test_draws_do_not_pool_with_each_other():
    rng = np.random.default_rng(1)
    many = Masses(*(rng.integers(0, 9, (40, 2, 2, 12, 3)).astype(float) for _ in range(2)))
    alone = [evaluate("dsc", Masses(many.positive[i], many.negative[i])) for i in range(40)]
    assert evaluate("dsc", many) == pytest.approx(np.array(alone), abs=1e-9)


def test_what_is_not_defined_is_nan_and_leaves_its_neighbours_alone():
    counts = np.array([[3.0, 0.0, 5.0], [1.0, 2.0, 4.0]])[:, None, :, None] * np.ones((2, 2, 3, 1))
    whole = Masses(counts, counts[::-1])
    holed = Masses(np.where([[[[True]]], [[[False]]]], np.nan, whole.positive), whole.negative)
    found = evaluate("dsc", holed)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(float(evaluate("dsc", whole)[1]), abs=1e-12)


@given(ROWS, st.tuples(*[st.floats(-5, 5)] * 4))
def test_value_per_prediction_adds_up_what_every_outcome_is_worth(rows, worth):
    label, at = np.array([r[0] for r in rows], dtype=int), np.array([r[1] for r in rows])
    name = ValueName("value_per_prediction")
    name.worth = worth
    each = {(1, True): worth[0], (1, False): worth[1], (0, True): worth[2], (0, False): worth[3]}
    expected = np.mean([each[y, bool(d)] for y, d in zip(label.tolist(), (at >= 5).tolist(), strict=True)])
    assert float(evaluate(name, masses_of(label, at))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "oracle"), [("roc_auc", roc_auc_score), ("average_precision", average_precision_score)]
)
def test_what_bins_only_come_near_to_has_an_exact_value(metric, oracle):
    rng = np.random.default_rng(2)
    score = rng.random(300)
    label = (rng.random(300) < score).astype(float)
    assert exact_value(metric, score=score, label=label) == pytest.approx(oracle(label, score), abs=1e-12)
    assert exact_value("recall", score=score, label=label) is None


def test_the_calibration_error_refuses_bins_that_are_no_parts_of_its_own():
    cells = np.ones((2, 7, 1))
    with pytest.raises(ValueError, match="10 equal ones"):
        evaluate("ece", Masses(cells, cells, cells))


def test_losses_equal_their_formulas():
    rng = np.random.default_rng(0)
    score, label = rng.random(200), (rng.random(200) < 0.3).astype(float)
    assert row_loss("log_loss", score=score, label=label).mean() == pytest.approx(log_loss(label, score), abs=1e-12)
    assert row_loss("brier", score=score, label=label).mean() == pytest.approx(((score - label) ** 2).mean(), abs=1e-15)
    assert row_loss("bias", score=score, label=label).mean() == pytest.approx((score - label).mean(), abs=1e-15)
    assert row_loss("recall", score=score, label=label) is None


def test_rmse_is_the_root_of_the_mean():
    ones = np.full((2, 1, 1), 2.0)
    assert float(evaluate("rmse", Masses(np.zeros((2, 1, 1)), ones, ones * 9))) == pytest.approx(3.0)


def test_a_mean_loss_without_losses_is_a_programming_error():
    with pytest.raises(ValueError, match="needs the loss"):
        evaluate("brier", Masses(np.zeros((2, 1, 1)), np.zeros((2, 1, 1))))
