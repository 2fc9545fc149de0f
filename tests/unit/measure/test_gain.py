"""Lift and gain against breaking ties in every order, exact fractions, and coverage."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.kernels.gain import gain_at, share_of_positives
from fbkit.measure.kinds import Cell
from fbkit.measure.metrics import metrics
from fbkit.testing.frames import make_joined, random_joined


def cell(
    scores: list[float] | np.ndarray,
    labels: list[float] | np.ndarray,
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
) -> Cell:
    score = np.asarray(scores, dtype=float)
    return Cell(score, np.asarray(labels, dtype=float), np.full(len(score), np.nan), weights, clusters, np.zeros(0), {})


def test_ties_count_as_the_mean_over_every_order() -> None:
    scores, labels = [0.9, 0.5, 0.5, 0.5, 0.1], [1, 1, 0, 1, 0]
    for top in (1, 2, 3, 4):
        total = Fraction(0)
        orders = list(permutations(range(5)))
        for order in orders:
            ranked = sorted(order, key=lambda row: -scores[row])
            total += Fraction(sum(labels[row] for row in ranked[:top]), 3)
        got = share_of_positives(cell(scores, labels), top / 5, level=0.95).value
        assert got == pytest.approx(float(total / len(orders)), abs=1e-14)


def test_a_whole_decile_without_ties_is_a_share_of_sorted_rows() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(1000) / 1000
    labels = (rng.random(1000) < scores).astype(float)
    highest = np.argsort(-scores)[:200]
    got = share_of_positives(cell(scores, labels), 0.2, level=0.95)
    assert got.value == pytest.approx(labels[highest].sum() / labels.sum(), abs=1e-14)
    assert got.lower < got.value < got.upper


def test_duplicated_rows_are_rows_of_weight_two() -> None:
    rng = np.random.default_rng(1)
    scores = np.round(rng.random(300), 2)
    labels = (rng.random(300) < scores).astype(float)
    twice = share_of_positives(cell(np.tile(scores, 2), np.tile(labels, 2)), 0.1, level=0.95)
    weighted = share_of_positives(cell(scores, labels, np.full(300, 2.0)), 0.1, level=0.95)
    assert weighted.value == pytest.approx(twice.value, abs=1e-12)
    owners = share_of_positives(
        cell(np.tile(scores, 2), np.tile(labels, 2), None, np.tile(np.arange(300), 2)), 0.1, level=0.95
    )
    assert owners.value == pytest.approx(twice.value, abs=1e-12)
    assert owners.upper - owners.lower > 1.2 * (twice.upper - twice.lower)


def test_lift_is_gain_over_the_share_and_both_are_metrics() -> None:
    joined = random_joined(2000, seed=2)
    frame = metrics(joined, ["gain@10", "lift@10", "gain@100"], by="group")
    gain, lift = (frame.filter(metric=name)["value"].to_numpy() for name in ("gain@10", "lift@10"))
    np.testing.assert_allclose(lift, gain / 0.1)
    assert (gain > 0.1).all(), "better than drawing at random"
    assert frame.filter(metric="gain@100")["value"].to_list() == [1.0] * 4
    assert frame.filter(metric="gain@10")["method"].unique().to_list() == ["influence function"]


def test_nothing_to_capture_is_null_with_a_reason() -> None:
    line = metrics(make_joined(scores=[0.2, 0.4], labels=[0, 0]), "gain@10").row(0, named=True)
    assert (line["value"], line["reason"]) == (None, "no positives")
    single = share_of_positives(cell([0.4], [1]), 0.5, level=0.95)
    assert single.value == 0.5
    assert np.isnan(single.lower)


def test_more_than_all_is_refused() -> None:
    with pytest.raises(ArgumentError, match="needs a percentage"):
        gain_at(101)


def test_intervals_cover_also_when_entities_repeat() -> None:
    rng = np.random.default_rng(3)
    whole = rng.beta(1.2, 2.5, 400_000)
    truth = share_of_positives(cell(whole, whole), 0.1, level=0.95).value
    hits, naive = [], []
    for _ in range(200):
        score = np.repeat(rng.beta(1.2, 2.5, 300), 5)
        label = np.repeat((rng.random(300) < score[::5]).astype(float), 5)
        owners = np.repeat(np.arange(300), 5)
        robust = share_of_positives(cell(score, label, None, owners), 0.1, level=0.95)
        plain = share_of_positives(cell(score, label), 0.1, level=0.95)
        hits.append(robust.lower <= truth <= robust.upper)
        naive.append(plain.lower <= truth <= plain.upper)
    assert np.mean(hits) >= 0.91
    assert np.mean(naive) <= 0.8
