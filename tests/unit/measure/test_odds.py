"""Odds ratios: the tilt by its definition, its limits, the range against a grid of patterns, and the break-even."""

import itertools

import numpy as np
import pytest

from fbkit.measure.labels.bounds import worst_case
from fbkit.measure.labels.mar import Cells, gather, make_cells
from fbkit.measure.labels.masses import METRICS, Rows
from fbkit.measure.labels.odds import influence, masses, positive_share, tilted, tipping_delta, tipping_width, within


def world(n: int = 400, *, seed: int = 1, lost: float = 0.3) -> tuple[Rows, Cells]:
    rng = np.random.default_rng(seed)
    score = np.sort(rng.random(n))
    label = np.where(rng.random(n) < lost, np.nan, (rng.random(n) < score).astype(float))
    rows = Rows.of(score, label, (score >= 0.5).astype(float), weight=rng.uniform(0.5, 2, n))
    return rows, make_cells(rows, bins=3)


def value(name: str, rows: Rows, cells: Cells, delta: float | np.ndarray) -> float:
    found = tilted(METRICS[name], rows, cells, np.broadcast_to(np.asarray(delta, dtype=float), cells.positive.shape))
    assert found is not None
    return found.value


def test_the_odds_of_unlabelled_rows_are_delta_times_those_of_the_labelled() -> None:
    _, cells = world()
    for delta in (0.2, 1.0, 5.0):
        share = positive_share(cells, np.full_like(cells.positive, delta))
        np.testing.assert_allclose(share / (1 - share), delta * cells.positive / cells.negative)


def test_masses_add_up_to_all_rows_whatever_delta() -> None:
    rows, cells = world()
    for delta in (0.0, 0.3, 1.0, np.inf):
        positive, negative = masses(cells, np.full_like(cells.positive, delta))
        np.testing.assert_allclose(cells.sums(positive + negative), cells.sums(rows.weight))
        assert not positive[~rows.known].any()


def test_a_known_odds_ratio_of_loss_is_undone() -> None:
    """Positives are labelled at 0.4 and negatives at 0.8 within every cell: delta is what is lost over what is kept."""
    rng = np.random.default_rng(4)
    score = np.sort(rng.random(60_000))
    label = (rng.random(60_000) < score).astype(float)
    seen = rng.random(60_000) < np.where(label == 1, 0.4, 0.8)
    rows = Rows.of(score, np.where(seen, label, np.nan), (score >= 0.5).astype(float))
    full = Rows.of(score, label, rows.flag)
    cells = make_cells(rows)
    for name, metric in METRICS.items():
        truth = metric.slope(full, *full.labelled())
        assert truth is not None
        right, plain = value(name, rows, cells, (0.6 / 0.4) / (0.2 / 0.8)), value(name, rows, cells, 1.0)
        assert abs(right - truth.value) < 0.012
        assert abs(right - truth.value) < abs(plain - truth.value)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("delta", [0.0, 0.3, 1.0, 4.0, np.inf])
def test_influence_is_the_derivative_by_each_row(name: str, delta: float) -> None:
    rows, cells = world()
    at_delta = np.full_like(cells.positive, delta)
    at = METRICS[name].slope(rows, *masses(cells, at_delta))
    assert at is not None
    found = influence(rows, cells, at_delta, at)
    assert found.sum() == pytest.approx(0, abs=1e-12)
    for row in (0, 55, 210, 399):
        weight = rows.weight.copy()
        weight[row] *= 1 + 1e-6
        heavier = Rows.of(rows.score, rows.label, rows.flag, weight=weight)
        moved = METRICS[name].slope(heavier, *masses(gather(heavier, cells.code), at_delta))
        assert moved is not None
        assert (moved.value - at.value) / 1e-6 == pytest.approx(found[row], rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("name", ["precision", "base_rate"])
def test_curves_of_shares_rise_with_delta(name: str) -> None:
    rows, cells = world()
    curve = [value(name, rows, cells, delta) for delta in np.geomspace(0.01, 100, 31)]
    assert np.all(np.diff(curve) > 0)


@pytest.mark.parametrize("name", METRICS)
def test_the_range_holds_every_pattern_of_odds_ratios(name: str) -> None:
    rows, cells = world(120, seed=9)
    size = len(cells.positive)
    assert size <= 6
    found = within(METRICS[name], rows, cells, 0.5, 2.0)
    values = [
        value(name, rows, cells, np.array(pattern)) for pattern in itertools.product((0.5, 1.0, 2.0), repeat=size)
    ]
    # Exact for ratios; for metrics of the order the search finds the best of these 729 patterns here.
    assert (found.low, found.high) == pytest.approx((min(values), max(values)), abs=1e-9)
    assert found.exact == (METRICS[name].ordered is None)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_the_search_misses_little_of_the_range_of_ordered_metrics(name: str, seed: int) -> None:
    rows, cells = world(150, seed=seed)
    found = within(METRICS[name], rows, cells, 0.2, 5.0)
    corners = itertools.product((0.2, 5.0), repeat=len(cells.positive))
    values = [value(name, rows, cells, np.array(pattern)) for pattern in corners]
    spread = max(values) - min(values)
    assert found.low <= min(values) + 0.02 * spread
    assert found.high >= max(values) - 0.02 * spread


def test_ranges_are_nested_and_lie_in_the_worst_case() -> None:
    rows, cells = world()
    for name in ("recall", "precision", "specificity", "accuracy", "f1", "base_rate"):
        metric = METRICS[name]
        outer = worst_case(metric, rows)
        last = (value(name, rows, cells, 1.0),) * 2
        for width in (1.5, 3.0, 10.0, np.inf):
            found = within(metric, rows, cells, 1 / width, width)
            assert found.low <= last[0] + 1e-12
            assert found.high >= last[1] - 1e-12
            last = (found.low, found.high)
        assert outer.low - 1e-9 <= last[0]
        assert last[1] <= outer.high + 1e-9


def test_break_even_of_one_odds_ratio_hits_the_value_nearest_to_one() -> None:
    rows, cells = world()
    for name in ("precision", "base_rate", "brier", "roc_auc"):
        target = value(name, rows, cells, 2.5)
        found = tipping_delta(METRICS[name], rows, cells, target)
        assert found is not None
        assert value(name, rows, cells, found) == pytest.approx(target, abs=1e-9)
        assert abs(np.log(found)) <= np.log(2.5) + 1e-6
    assert tipping_delta(METRICS["precision"], rows, cells, value("precision", rows, cells, 1.0)) == pytest.approx(1)
    assert tipping_delta(METRICS["precision"], rows, cells, 0.999) is None


def test_break_even_of_any_pattern_is_where_the_range_begins_to_hold_the_value() -> None:
    rows, cells = world()
    metric = METRICS["recall"]
    own = value("recall", rows, cells, 1.0)
    for target in (own + 0.03, own - 0.03):
        found = tipping_width(metric, rows, cells, target)
        assert found is not None
        ends = within(metric, rows, cells, 1 / found, found)
        assert (ends.high if target > own else ends.low) == pytest.approx(target, abs=1e-6)
        one = tipping_delta(metric, rows, cells, target)
        assert one is None or found <= max(one, 1 / one) + 1e-6
    assert tipping_width(metric, rows, cells, own) == pytest.approx(1.0, abs=1e-6)
    assert tipping_width(metric, rows, cells, 1.0) is None


def test_the_mini_challenge_can_be_explained_away_only_by_a_strong_pattern() -> None:
    """1,500 labels of true positives withheld: the odds ratio that gives the true recall back is that of the loss."""
    flag = np.repeat([1.0, 0.0], [2450, 2550])
    label = np.repeat([1.0, 0.0, 1.0, 0.0], [2406, 44, 180, 2370])
    rows = Rows.of(np.full(5000, 0.5), np.where(np.arange(5000) < 1500, np.nan, label), flag)
    cells = gather(rows, flag.astype(np.int64))
    # Flagged: 906 labelled positives and 44 negatives; all of the 1,500 lost ones are positive.
    assert value("recall", rows, cells, 1.0) == pytest.approx((906 + 1500 * 906 / 950) / (906 + 1500 * 906 / 950 + 180))
    assert value("recall", rows, cells, np.inf) == pytest.approx(2406 / 2586)
