"""Extremes of every metric against trying each labelling, of weighted rows against a grid, and laws of the order."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fbkit.measure.labels.extremes import extreme
from fbkit.measure.labels.masses import METRICS, Metric, Rows
from fbkit.measure.stats.ranking import auc_bounds

UNKNOWN = np.nan
label = st.sampled_from([0.0, 1.0, 0.3, UNKNOWN, UNKNOWN])
flag = st.sampled_from([0.0, 1.0, UNKNOWN])


def rows_of(world: list[tuple[float, float, float]], weights: list[float] | None = None) -> Rows:
    order = np.argsort([row[0] for row in world], kind="stable")
    score, known, flags = (np.array(part)[order] for part in zip(*world, strict=True))
    return Rows.of(score, known, flags, weight=None if weights is None else np.array(weights)[order])


def free_of(metric: Metric, rows: Rows) -> np.ndarray:
    return ~rows.known & ((rows.decided > 0) if metric.uses_flag else True)


def every_value(metric: Metric, rows: Rows, *, steps: tuple[float, ...] = (0.0, 1.0)) -> Iterator[float]:
    free = np.flatnonzero(free_of(metric, rows))
    for labels in itertools.product(steps, repeat=len(free)):
        positive, negative = rows.labelled()
        positive[free] = rows.weight[free] * np.array(labels)
        negative[free] = rows.weight[free] * (1 - np.array(labels))
        at = metric.slope(rows, positive, negative)
        if at is not None:
            yield at.value


def both_ends(metric: Metric, rows: Rows) -> tuple[float, float, bool]:
    found = [extreme(metric, rows, *rows.labelled(), free=free_of(metric, rows), sign=sign) for sign in (-1, 1)]
    return found[0].value, found[1].value, found[0].exact and found[1].exact


worlds = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.3001, 0.5, 0.9]), label, flag), min_size=1, max_size=8)
distinct_worlds = st.lists(
    st.tuples(st.sampled_from([n / 16 for n in range(1, 16)]), label, flag),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0],
)


@pytest.mark.parametrize("name", [name for name in METRICS if name != "average_precision"])
@given(world=worlds)
def test_the_extremes_equal_trying_every_labelling_with_shared_scores(
    name: str, world: list[tuple[float, float, float]]
) -> None:
    metric, rows = METRICS[name], rows_of(world)
    values = list(every_value(metric, rows))
    if values:
        assert both_ends(metric, rows) == pytest.approx((min(values), max(values), True), abs=1e-12)
    else:
        assert np.isnan(both_ends(metric, rows)[0])


@given(world=distinct_worlds)
def test_average_precision_is_exact_without_shared_scores(world: list[tuple[float, float, float]]) -> None:
    metric, rows = METRICS["average_precision"], rows_of(world)
    values = list(every_value(metric, rows))
    if values:
        assert both_ends(metric, rows) == pytest.approx((min(values), max(values), True), abs=1e-12)


@given(world=worlds)
def test_average_precision_is_never_too_narrow_and_says_when_it_may_be_too_wide(
    world: list[tuple[float, float, float]],
) -> None:
    metric, rows = METRICS["average_precision"], rows_of(world)
    values = list(every_value(metric, rows))
    if not values:
        return
    low, high, exact = both_ends(metric, rows)
    assert low <= min(values) + 1e-12
    assert high >= max(values) - 1e-12
    assert low >= 0
    assert high <= 1
    if exact:
        assert (low, high) == pytest.approx((min(values), max(values)), abs=1e-12)


def test_average_precision_bounds_are_tight_where_scores_are_rounded() -> None:
    # What the outer bound of 3,000 rows with scores of two digits gives away, against the same rows without ties.
    rng = np.random.default_rng(0)
    score = np.sort(rng.random(3000))
    known = np.where(rng.random(3000) < 0.2, np.nan, (rng.random(3000) < score).astype(float))
    exact = both_ends(METRICS["average_precision"], Rows.of(score, known, score))
    outer = both_ends(METRICS["average_precision"], Rows.of(np.round(score, 2), known, score))
    assert (exact[2], outer[2]) == (True, False)
    assert outer[0] == pytest.approx(exact[0], abs=0.01)
    assert exact[1] - 0.005 <= outer[1] <= exact[1] + 0.03


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ("average_precision", "roc_auc")])
@given(world=distinct_worlds, data=st.data())
def test_weighted_extremes_equal_trying_every_labelling(
    name: str, world: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=len(world), max_size=len(world)))
    metric, rows = METRICS[name], rows_of(world, weights)
    values = list(every_value(metric, rows))
    assume(values)
    assert both_ends(metric, rows)[:2] == pytest.approx((min(values), max(values)), abs=1e-12)


@given(world=st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), label, flag), min_size=1, max_size=5))
def test_weighted_auc_holds_every_labelling_also_fractional_ones(world: list[tuple[float, float, float]]) -> None:
    rows = rows_of(world, [1.0, 2.5, 0.7, 4.0, 1.3][: len(world)])
    metric = METRICS["roc_auc"]
    assume((~rows.known).sum() != 1)  # one weight alone is an equal weight: its label is 0 or 1
    values = list(every_value(metric, rows, steps=(0.0, 0.25, 0.5, 0.75, 1.0)))
    assume(values)
    low, high, _ = both_ends(metric, rows)
    # At the very end one class may be empty, where the limit is approached and not reached.
    assert low <= min(values) + 1e-6
    assert high >= max(values) - 1e-6


def test_weighted_auc_is_reached_by_labels_between_0_and_1() -> None:
    rng = np.random.default_rng(3)
    score = np.sort(rng.random(200))
    known = np.where(rng.random(200) < 0.4, np.nan, (rng.random(200) < score).astype(float))
    rows = Rows.of(score, known, score, weight=rng.uniform(0.2, 3, 200))
    metric = METRICS["roc_auc"]
    for sign in (-1, 1):
        end = extreme(metric, rows, *rows.labelled(), free=~rows.known, sign=sign)
        positive, negative = rows.labelled()
        positive = positive + np.where(rows.known, 0.0, rows.weight * end.label)
        negative = negative + np.where(rows.known, 0.0, rows.weight * (1 - end.label))
        at = metric.slope(rows, positive, negative)
        assert at is not None
        assert end.value == pytest.approx(at.value, abs=1e-9)


@given(world=st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.sampled_from([0.0, 1.0, UNKNOWN]), flag)))
def test_auc_equals_the_scan_over_counts(world: list[tuple[float, float, float]]) -> None:
    assume(world)
    rows = rows_of(world)
    want = auc_bounds(rows.score[rows.known], rows.label[rows.known], missing=rows.score[~rows.known])
    assert both_ends(METRICS["roc_auc"], rows)[:2] == pytest.approx(want, abs=1e-12, nan_ok=True)


def test_unequal_weights_leave_average_precision_without_bounds() -> None:
    rows = Rows.of(
        np.array([0.1, 0.5, 0.9]), np.array([np.nan, 1.0, np.nan]), np.zeros(3), weight=np.array([1.0, 1.0, 2.0])
    )
    assert np.isnan(both_ends(METRICS["average_precision"], rows)[0])


def test_a_label_known_or_of_weight_zero_opens_no_range() -> None:
    rows = Rows.of(np.array([0.1, 0.5, 0.9]), np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
    for metric in METRICS.values():
        low, high, _ = both_ends(metric, rows)
        assert low == pytest.approx(high, abs=1e-12)
