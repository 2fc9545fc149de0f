import numpy as np
import pytest
from sklearn import metrics as sklearn

from fbkit.samples.expected_metrics import METRICS, VALUE, Tally, gathered

ROWS = 4000


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels, decisions that are not a function of the score alone, and integer weights."""
    rng = np.random.default_rng(12)
    score = np.round(rng.beta(1, 4, ROWS), 3)
    label = (rng.random(ROWS) < score**1.3).astype(int)
    flagged = score + rng.normal(0, 0.02, ROWS) > 0.3
    return score, label, flagged, rng.integers(0, 4, ROWS)


@pytest.fixture(scope="module")
def tally(drawn: tuple[np.ndarray, ...]) -> Tally:
    score, label, flagged, weight = drawn
    return gathered(score, flagged, positive=weight * label * 1.0, negative=weight * (1 - label) * 1.0)


def oracle(name: str, score: np.ndarray, label: np.ndarray, flagged: np.ndarray) -> float:
    tn, fp, fn, tp = sklearn.confusion_matrix(label, flagged).ravel()
    worth = [VALUE[k] for k in ("true_negative", "false_positive", "false_negative", "true_positive")]
    bins = np.minimum((score * 10).astype(int), 9)
    gaps = [abs(label[bins == b].mean() - score[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(
        {
            "recall": sklearn.recall_score(label, flagged),
            "precision": sklearn.precision_score(label, flagged),
            "specificity": sklearn.recall_score(1 - label, ~flagged),
            "f1": sklearn.f1_score(label, flagged),
            "accuracy": sklearn.accuracy_score(label, flagged),
            "base_rate": label.mean(),
            "brier": sklearn.brier_score_loss(label, score),
            "log_loss": sklearn.log_loss(label, np.clip(score, 2.3e-16, 1 - 2.3e-16)),
            "roc_auc": sklearn.roc_auc_score(label, score),
            "average_precision": sklearn.average_precision_score(label, score),
            "ece": sum(gaps),
            "value_per_prediction": np.dot([tn, fp, fn, tp], worth) / len(label),
        }[name]
    )


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"mcb"}))
def test_each_metric_is_that_of_the_rows_written_out(name: str, drawn: tuple[np.ndarray, ...], tally: Tally) -> None:
    score, label, flagged, weight = (np.repeat(column, drawn[3]) for column in drawn)
    assert len(weight) > ROWS
    assert METRICS[name](tally) == pytest.approx(oracle(name, score, label, flagged), rel=1e-9)


def test_the_miscalibration_is_what_an_isotonic_fit_takes_off_the_brier_score(
    drawn: tuple[np.ndarray, ...], tally: Tally
) -> None:
    from sklearn.isotonic import IsotonicRegression

    score, label, _, weight = drawn
    fitted = IsotonicRegression().fit(score, label, sample_weight=weight).predict(score)
    gain = sklearn.brier_score_loss(label, score, sample_weight=weight) - np.average(
        (fitted - label) ** 2, weights=weight
    )
    assert METRICS["mcb"](tally) == pytest.approx(gain, rel=1e-6)


def test_half_positive_rows_count_as_half_of_each() -> None:
    score, flagged = np.array([0.2, 0.9]), np.array([False, True])
    tally = gathered(score, flagged, positive=np.array([0.5, 0.5]), negative=np.array([0.5, 0.5]))
    assert METRICS["recall"](tally) == METRICS["precision"](tally) == METRICS["roc_auc"](tally) == 0.5


def test_a_calibrated_score_has_no_expected_miscalibration() -> None:
    score = np.linspace(0.01, 0.99, 50)
    tally = gathered(score, score > 0.5, positive=score, negative=1 - score)
    assert METRICS["mcb"](tally) == pytest.approx(0, abs=1e-12)
    assert METRICS["ece"](tally) == pytest.approx(0, abs=1e-12)
