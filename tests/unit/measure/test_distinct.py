"""Places of the positives against sorting, scikit-learn, and every labelling of the unlabelled rows."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fbkit.measure.stats import distinct, ranking

worlds = st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=12)


def rows(labels: list[float | None]) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(len(labels)) / 16, np.array([np.nan if label is None else label for label in labels])


@given(worlds)
def test_values_and_intervals_are_those_of_the_general_way(labels: list[float | None]) -> None:
    score, label = rows(labels)
    order = distinct.order_of(score, label)
    assert order is not None
    known = ~np.isnan(label)
    expected = ranking.roc_auc(score[known], label[known])
    found = distinct.auc(order)
    assert (found is None) == np.isnan(expected.value)
    if found is not None:
        spread = found[1]
        made = ranking.result(
            found[0], spread, min(spread.positives, spread.negatives), None, name=ranking.AUC, level=0.95
        )
        np.testing.assert_allclose(
            [made.value, made.lower, made.upper], [expected.value, expected.lower, expected.upper], atol=1e-12
        )
        assert made.method == expected.method
    expected, found = ranking.average_precision(score[known], label[known]), distinct.precision(order)
    assert (found is None) == np.isnan(expected.value)
    if found is not None:
        made = ranking.result(found[0], found[1], found[1].positives, None, name=ranking.PRECISION, level=0.95)
        np.testing.assert_allclose(
            [made.value, made.lower, made.upper], [expected.value, expected.lower, expected.upper], atol=1e-12
        )
        assert made.method == expected.method


@given(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=9))
def test_bounds_are_the_extremes_over_every_labelling(labels: list[float | None]) -> None:
    score, label = rows(labels)
    order = distinct.order_of(score, label)
    assert order is not None
    free = np.flatnonzero(np.isnan(label))
    areas, precisions = [], []
    for world in itertools.product((0.0, 1.0), repeat=len(free)):
        label[free] = world
        areas.append(ranking.roc_auc(score, label).value)
        precisions.append(ranking.average_precision(score, label).value)
    for found, values in ((distinct.auc_bounds(order), areas), (distinct.precision_bounds(order), precisions)):
        known = [value for value in values if not np.isnan(value)]
        expected = (min(known), max(known)) if known else (np.nan, np.nan)
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(worlds, st.integers(0, 11))
def test_equal_scores_and_other_labels_are_left_to_the_general_way(labels: list[float | None], place: int) -> None:
    score, label = rows(labels)
    assume(place < len(score))
    fractional = label.copy()
    fractional[place] = 0.5
    assert distinct.order_of(score, fractional) is None
    if place:
        score[place] = score[place - 1]
        assert distinct.order_of(score, label) is None


def test_many_rows_equal_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(11)
    score = np.sort(rng.random(5000))
    label = (rng.random(5000) < score).astype(float)
    order = distinct.order_of(score, label)
    assert order is not None
    area, precision = distinct.auc(order), distinct.precision(order)
    assert area is not None
    assert precision is not None
    assert area[0] == pytest.approx(roc_auc_score(label, score), abs=1e-13)
    assert precision[0] == pytest.approx(average_precision_score(label, score), abs=1e-13)
    assert distinct.auc_bounds(order) == pytest.approx((area[0], area[0]), abs=1e-13)
