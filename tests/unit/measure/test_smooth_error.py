"""Smooth ECE against a sum over all pairs, the authors' own implementation, and laws."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fbkit.measure.stats.smooth_error import smooth_error

NIAMEY = pl.read_csv(Path(__file__).parents[2] / "data" / "oracles" / "niamey_2016.csv")


def at_bandwidth(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, width: float) -> float:
    """The definition (arXiv:2309.12236, section 3): every pair, every mirror image, an integral by trapezoids."""
    places = np.linspace(0, 1, 2001)
    smoothed = np.zeros_like(places)
    for turn in range(-4, 5):
        for image in (scores + 2 * turn, -scores + 2 * turn):
            kernel = np.exp(-((places[:, None] - image) ** 2) / (2 * width**2)) / (np.sqrt(2 * np.pi) * width)
            smoothed += (kernel * (weights * (labels - scores))).sum(axis=1) / weights.sum()
    return float(np.trapezoid(np.abs(smoothed), places))


def by_definition(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    low, high = 0.0, 1.0
    for _ in range(22):
        middle = (low + high) / 2
        low, high = (middle, high) if at_bandwidth(scores, labels, weights, middle) >= middle else (low, middle)
    return low


@pytest.mark.parametrize(("n", "power", "seed"), [(4, 1.0, 0), (50, 1.0, 1), (150, 2.0, 2), (150, 1.0, 3)])
def test_equals_the_definition_pair_by_pair(n: int, power: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, weights = rng.random(n), rng.integers(1, 4, n).astype(float)
    labels = (rng.random(n) < scores**power).astype(float)
    expected = by_definition(scores, labels, weights)
    assert smooth_error(scores, labels, weights=weights) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(("forecast", "value"), [("EMOS", 0.059479), ("EPC", 0.058300), ("Logistic", 0.055948)])
def test_equals_relplot_on_published_forecasts(forecast: str, value: float) -> None:
    # relplot 1.0.3, smECE(f, y): it searches the bandwidth in steps of 1/1024 and smooths on 2,000 points.
    got = smooth_error(NIAMEY[forecast].to_numpy(), NIAMEY["obs"].to_numpy())
    assert got == pytest.approx(value, abs=5e-4)


def test_mass_at_the_border_is_reflected_in_full() -> None:
    """relplot halves what lies on 0 and 1 (.2050 for ENS, which has such forecasts); the definition does not."""
    scores, labels = NIAMEY["ENS"].to_numpy(), NIAMEY["obs"].to_numpy()
    assert {0.0, 1.0} & set(scores.tolist())
    expected = by_definition(scores, labels, np.ones_like(scores))
    assert smooth_error(scores, labels) == pytest.approx(expected, rel=2e-5)
    assert smooth_error(np.zeros(3), np.ones(3)) == pytest.approx(1.0)


def test_laws() -> None:
    rng = np.random.default_rng(4)
    scores = rng.random(400)
    labels = (rng.random(400) < scores**2).astype(float)
    value = smooth_error(scores, labels)
    order = rng.permutation(400)
    assert smooth_error(scores[order], labels[order]) == pytest.approx(value, rel=1e-9)
    assert smooth_error(np.tile(scores, 2), np.tile(labels, 2)) == pytest.approx(value, rel=1e-9)
    assert smooth_error(scores, labels, weights=np.full(400, 3.0)) == pytest.approx(value, rel=1e-9)
    assert smooth_error(1 - scores, 1 - labels) == pytest.approx(value, rel=1e-6), "swapping the classes mirrors it"
    assert smooth_error(scores, scores) == pytest.approx(0.0, abs=1e-9), "an expected label that is the score"
    assert smooth_error(np.array([0.2]), np.array([1.0])) == pytest.approx(0.8), "one row"
    assert abs(labels.mean() - scores.mean()) <= value + 1e-12, "at least the error of the mean"
