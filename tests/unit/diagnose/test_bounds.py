"""Tipping ratio by algebra, worst case by enumeration, tilt by its definition."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fbkit.diagnose import bounds
from fbkit.diagnose.bootstrap import Resampler
from fbkit.diagnose.cells import count
from fbkit.diagnose.correction import positive_rate
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import Masses, evaluate
from fbkit.diagnose.rows import CURRENT, check_metric, cross, prepare


def test_the_selection_odds_identity():
    # Thin detected and missed positives at different rates: the odds of recall move by the ratio of the rates.
    detected, missed = 800.0, 200.0
    for keep_detected, keep_missed in ((0.49, 0.92), (0.9, 0.3)):
        seen = detected * keep_detected / (detected * keep_detected + missed * keep_missed)
        assert bounds.tipping_ratio(0.8, seen) == pytest.approx(keep_detected / keep_missed)
    assert bounds.tipping_ratio(0.0, 0.5) is None


@pytest.fixture
def small(by_hand, weeks):
    joined = by_hand(n=400, lose=lambda frame, outcome: np.where(frame["current"].to_numpy(), 0.1, 0.0))
    return joined, weeks


@pytest.mark.parametrize(
    "metric",
    [
        "recall", "precision", "specificity", "f1", "accuracy", "base_rate", "brier", "log_loss", "roc_auc",
        "average_precision", "value_per_prediction",
    ],
)  # fmt: skip
def test_worst_case_equals_enumeration(small, metric):
    joined, weeks = small
    reference, current = weeks.periods()
    name = check_metric(metric, contract=joined.contract)
    rows = prepare(joined.frame, metric=name, reference=reference, current=current)
    mine = rows.of(CURRENT)
    open_rows = np.flatnonzero(mine & ~rows.labelled)
    assert 2 <= len(open_rows) <= 14
    values = []
    for labels in product((0.0, 1.0), repeat=len(open_rows)):
        filled = rows.label.copy()
        filled[open_rows] = labels
        values.append(brute(metric, filled[mine], rows.decision[mine], rows.score[mine]))
    low, high = bounds.worst_case(rows, window=CURRENT)
    # Unlabelled rows that share their score with others: the bounds of average precision are outer ones.
    near = 1e-3 if metric == "average_precision" else 1e-12
    assert min(values) - near <= low <= min(values) + 1e-12
    assert max(values) - 1e-12 <= high <= max(values) + near


def brute(metric, y, d, s):
    tp, fp, fn, tn = (int(((y == a) & (d == b)).sum()) for a, b in ((1, 1), (0, 1), (1, 0), (0, 0)))
    if metric == "brier":
        return float(((s - y) ** 2).mean())
    if metric == "log_loss":
        s = np.clip(s, np.finfo(float).eps, 1 - np.finfo(float).eps)
        return float(-(y * np.log(s) + (1 - y) * np.log(1 - s)).mean())
    if metric == "value_per_prediction":
        return (10.0 * tp - 10.0 * fn - fp) / len(y)
    if metric in ("roc_auc", "average_precision"):
        return {"roc_auc": roc_auc_score, "average_precision": average_precision_score}[metric](y, s)
    return {
        "recall": tp / (tp + fn), "precision": tp / (tp + fp), "specificity": tn / (tn + fp),
        "f1": 2 * tp / (2 * tp + fp + fn), "accuracy": (tp + tn) / len(y), "base_rate": (tp + fn) / len(y),
    }[metric]  # fmt: skip


@pytest.mark.parametrize("metric", ["ece", "mcb", "dsc", "mae", "bias"])
def test_calibration_and_values_have_no_simple_bound(small, metric):
    joined, weeks = small
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric=metric, reference=reference, current=current)
    assert bounds.worst_case(rows, window=CURRENT) == (None, None)


def table(by_hand, weeks, **how):
    joined = by_hand(n=8000, **how)
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric="recall", reference=reference, current=current)
    resampler = Resampler.make(np.arange(len(rows)) % 64, draws=0, seed=0, buckets=64)
    bin_of = np.minimum((rows.score * 10).astype(np.int64), 9)
    return count(
        rows, Labels.as_shown(rows), cross([], {}, rows=len(rows)), bin_of=bin_of, bins=10, resampler=resampler
    )


def test_the_tilt_undoes_a_loss_that_depends_on_the_outcome(by_hand, weeks):
    def positives(frame, outcome):
        flagged = (frame["current"] & frame["flagged"]).to_numpy()
        return np.where(flagged, np.where(outcome == 1, 0.7, 0.4), 0.0)

    cells = table(by_hand, weeks, lose=positives)
    rate = positive_rate(cells, thin=6)
    odds = 0.3 / 0.6
    full = table(by_hand, weeks)
    truth = evaluate("recall", Masses(full.n1[:, CURRENT], full.n0[:, CURRENT]))[0]
    plain = bounds.tilted(cells, rate, delta=1.0, metric="recall")
    tilted = bounds.tilted(cells, rate, delta=odds, metric="recall")
    assert abs(tilted - truth) < 0.5 * abs(plain - truth)
    reference = evaluate("recall", Masses(full.n1[:, 0], full.n0[:, 0]))[0]
    found = bounds.tilt(cells, rate, metric="recall", reference=float(reference), error=0.005)
    assert 0 < found.vanish < found.touch <= 1
    assert bounds.tilted(cells, rate, delta=found.vanish, metric="recall") == pytest.approx(reference, abs=1e-6)


def test_no_ratio_explains_what_the_counts_exclude(by_hand, weeks):
    cells = table(
        by_hand, weeks, truth=lambda frame: np.where(frame["current"], 0.5 * frame["score"] + 0.2, frame["score"])
    )
    rate = positive_rate(cells, thin=6)
    # Nothing is unlabelled, so no assumption about missing labels can move anything.
    assert bounds.tilt(cells, rate, metric="recall", reference=0.99, error=0.01).vanish is None
    assert bounds.reach(cells, rate, metric="recall", gamma=(3.0, 3.0)) == pytest.approx(0, abs=1e-12)
    assert bounds.reach(cells, rate, metric="brier", gamma=(3.0, 3.0)) == 0
