"""Metrics from masses per cell against scikit-learn on rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score, roc_auc_score

from fbkit.diagnose.metric import Masses, evaluate, row_loss

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
