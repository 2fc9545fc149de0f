"""What calibrated scores promise: every labelling with its chance, every threshold, simulation, the calibration map."""

import itertools

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from fbkit.measure.labels.cbpe import Expected, chances, expected, fit
from fbkit.measure.labels.masses import METRICS, Rows

UNLABELLED = np.nan


def rows_of(score: np.ndarray, weight: np.ndarray | None = None) -> Rows:
    return Rows.of(score, np.full_like(score, UNLABELLED), (score >= 0.5).astype(float), weight=weight)


def promised(name: str, rows: Rows, *, level: float = 0.95) -> Expected:
    found = expected(METRICS[name], rows, chances(rows), level=level)
    assert found is not None
    return found


def labellings(score: np.ndarray):
    for labels in itertools.product((0.0, 1.0), repeat=len(score)):
        label = np.array(labels)
        yield label, float(np.prod(np.where(label == 1, score, 1 - score)))


TINY = np.array([0.05, 0.2, 0.35, 0.45, 0.55, 0.6, 0.8, 0.9, 0.95])


@pytest.mark.parametrize("name", ["brier", "log_loss", "accuracy", "precision", "base_rate"])
def test_sums_over_all_labellings_give_the_same_expectation(name: str) -> None:
    # These are linear in the labels, so that the expectation over 512 worlds is met exactly.
    rows, total = rows_of(TINY), 0.0
    for label, chance in labellings(TINY):
        at = METRICS[name].slope(rows, label, 1 - label)
        assert at is not None
        total += chance * at.value
    assert promised(name, rows).value == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("name", ["recall", "f1", "specificity"])
def test_ratios_are_those_of_the_expected_counts(name: str) -> None:
    flag = (TINY >= 0.5).astype(float)
    counts = np.zeros(4)  # TP, FP, FN, TN
    for label, chance in labellings(TINY):
        cells = [one * other for other in (flag, 1 - flag) for one in (label, 1 - label)]
        counts += chance * np.array([cell.sum() for cell in cells])
    tp, fp, fn, tn = counts
    want = {"recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn), "specificity": tn / (tn + fp)}[name]
    assert promised(name, rows_of(TINY)).value == pytest.approx(want, abs=1e-12)


def test_auc_is_the_area_under_the_expected_curve() -> None:
    """Expected true and false positive rates at every threshold, the area by trapezoids."""
    score = np.sort(np.round(np.random.default_rng(0).random(300), 2))
    tpr, fpr = [0.0], [0.0]
    for threshold in np.unique(score)[::-1]:
        flagged = score >= threshold
        tpr.append(score[flagged].sum() / score.sum())
        fpr.append((1 - score[flagged]).sum() / (1 - score).sum())
    assert promised("roc_auc", rows_of(score)).value == pytest.approx(np.trapezoid(tpr, fpr), abs=1e-12)


@pytest.mark.parametrize("name", ["brier", "accuracy", "precision", "base_rate", "recall"])
def test_the_variance_is_that_of_independent_labels(name: str) -> None:
    rows, values, weights = rows_of(TINY), [], []
    for label, chance in labellings(TINY):
        at = METRICS[name].slope(rows, label, 1 - label)
        if at is not None:
            values.append(at.value)
            weights.append(chance)
    exact = float(np.sqrt(np.cov(values, aweights=weights, ddof=0)))
    found = promised(name, rows, level=0.6826895)
    half = (found.upper - found.lower) / 2
    # Linear metrics: exact but for the shape of the interval (Wilson, Student); nine rows are no limit for a ratio.
    assert half == pytest.approx(exact, rel=0.12 if name != "recall" else 0.35)


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_holds_the_metric_of_the_labels_to_come(name: str) -> None:
    rng = np.random.default_rng(8)
    score = np.sort(rng.beta(1.2, 2.5, 1500))
    rows, inside = rows_of(score), 0
    found = promised(name, rows)
    for _ in range(400):
        label = (rng.random(1500) < score).astype(float)
        at = METRICS[name].slope(rows, label, 1 - label)
        assert at is not None
        inside += found.lower <= at.value <= found.upper
    assert 0.92 <= inside / 400 <= 0.98


# NannyML 0.13.1, CBPE.fit(first half).estimate(second half) of the rows below: with scores as they are, and calibrated
# on the first half (there by isotonic regression with straight lines between the steps, here with the steps).
NANNYML = {
    "roc_auc": (0.8750229007443496, 0.8746968532293686),
    "average_precision": (0.7833596037717994, 0.7834482454106072),
    "precision": (0.7357774032092864, 0.7356058485174577),
    "recall": (0.6464901623989995, 0.6454674244426963),
    "f1": (0.6882500388858641, 0.6875951069994338),
    "accuracy": (0.8047657643, 0.8042149210126794),
    "specificity": (0.8839104404075557, 0.8837565386345737),
}


@pytest.mark.parametrize("name", NANNYML)
def test_it_equals_the_implementation_of_its_inventors(name: str) -> None:
    place = np.arange(20_000)
    score = np.round((place * 0.6180339887498949 % 1.0) ** 2, 6)
    label = (place * 0.7548776662466927 % 1.0 < score).astype(float)
    rows = rows_of(np.sort(score[10_000:]))
    made = expected(METRICS[name], rows, chances(rows, fit(score[:10_000], label[:10_000])), level=0.95)
    assert made is not None
    assert promised(name, rows).value == pytest.approx(NANNYML[name][0], abs=5e-9)
    assert made.value == pytest.approx(NANNYML[name][1], abs=5e-5)


def test_concept_drift_is_not_seen() -> None:
    """The same scores, labels that mean something else: the promise stays, the truth falls. That is what it is."""
    rng = np.random.default_rng(0)
    score = np.sort(rng.random(4000))
    drifted = (rng.random(4000) < 0.5 * score).astype(float)
    rows = rows_of(score)
    truth = METRICS["precision"].slope(rows, drifted, 1 - drifted)
    assert truth is not None
    assert promised("precision", rows).lower > truth.value + 0.3


def test_the_map_equals_isotonic_regression_and_takes_the_nearer_step_between_scores() -> None:
    rng = np.random.default_rng(3)
    score = np.round(rng.random(2000), 3)
    label = (rng.random(2000) < score**2).astype(float)
    made = fit(score, label)
    assert made is not None
    want = IsotonicRegression(out_of_bounds="clip").fit(score, label).predict(np.unique(score))
    distinct = np.unique(score)
    np.testing.assert_allclose(chances(rows_of(distinct), made).probability, want, atol=1e-12)
    assert made.weight.sum() == 2000
    assert np.all(np.diff(made.probability) > 0)
    new = np.sort(rng.random(500))
    nearest = np.array([want[np.abs(distinct - value).argmin()] for value in new])
    got = chances(rows_of(new), made).probability
    assert (got != nearest).mean() < 0.02  # exact half ways only


def test_a_map_adds_its_own_uncertainty_which_more_rows_do_not_shrink() -> None:
    rng = np.random.default_rng(5)
    small = np.sort(rng.random(400))
    made = fit(small, (rng.random(400) < small).astype(float))
    assert made is not None
    widths = []
    for n in (1000, 100_000):
        rows = rows_of(np.sort(rng.random(n)))
        found = expected(METRICS["base_rate"], rows, chances(rows, made), level=0.95)
        assert found is not None
        plain = promised("base_rate", rows)
        assert found.upper - found.lower > plain.upper - plain.lower
        widths.append(found.upper - found.lower)
    assert widths[1] > 0.6 * widths[0]
    # The map's own error alone: 400 labels of a base rate of a half.
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(1 / 6 / 400), rel=0.25)


def test_a_miscalibrated_model_is_put_right_on_its_reference() -> None:
    rng = np.random.default_rng(6)
    truth = rng.random(20_000)
    score = truth**3
    label = (rng.random(20_000) < truth).astype(float)
    made = fit(score[:10_000], label[:10_000])
    assert made is not None
    order = np.argsort(score[10_000:])
    rows, known = rows_of(score[10_000:][order]), label[10_000:][order]
    want = METRICS["recall"].slope(rows, known, 1 - known)
    found = expected(METRICS["recall"], rows, chances(rows, made), level=0.95)
    assert want is not None
    assert found is not None
    assert found.value == pytest.approx(want.value, abs=0.02)
    assert abs(promised("recall", rows).value - want.value) > 0.05


def test_weights_count_rows() -> None:
    score = np.array([0.1, 0.4, 0.6, 0.9])
    weighted, repeated = rows_of(score, np.array([1.0, 2.0, 3.0, 1.0])), rows_of(np.repeat(score, [1, 2, 3, 1]))
    for name in METRICS:
        assert promised(name, weighted).value == pytest.approx(promised(name, repeated).value, abs=1e-12)
    label = np.array([0.0, 1.0, 0.0, 1.0])
    one, two = fit(score, label, weights=np.array([1.0, 2.0, 3.0, 1.0])), fit(
        np.repeat(score, [1, 2, 3, 1]), np.repeat(label, [1, 2, 3, 1])
    )  # fmt: skip
    assert one is not None
    assert two is not None
    np.testing.assert_allclose(one.probability, two.probability)
    np.testing.assert_allclose(one.weight, [1, 25 / 13, 1])  # (2 + 3)^2 / (4 + 9) rows of equal weight
    assert fit(score, label, weights=np.zeros(4)) is None


def test_certain_scores_leave_no_doubt() -> None:
    rows = rows_of(np.array([0.0, 0.0, 1.0, 1.0]))
    assert promised("accuracy", rows) == (1.0, 1.0, 1.0)
    assert expected(METRICS["recall"], rows_of(np.zeros(3)), chances(rows_of(np.zeros(3))), level=0.95) is None
