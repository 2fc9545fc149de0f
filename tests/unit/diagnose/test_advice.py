"""Recalibrate or retrain: worlds in which it is known, and isotonic fits against SciPy's."""

import numpy as np
import polars as pl
import pytest
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from fbkit.diagnose.advice import SCHEMA, calibration_moved, isotonic_draws, recommended
from fbkit.diagnose.rows import cross
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import SETTINGS
from fbkit.measure.stats.corp import decompose
from fbkit.measure.stats.ranking import roc_auc


def moved(joined, weeks, *, draws=60):
    reference, current = weeks.periods()
    scene = set_scene(
        joined, metric="recall", reference=reference, current=current, draws=draws, seed=0, settings=SETTINGS
    )
    cells = scene.table(cross([], scene.encoded, rows=len(scene.rows)), scene.labels)
    return calibration_moved(cells, scene.rows, scene.bin_of, settings=SETTINGS)


def now(change):
    """Outcomes follow the score, and in the current window what ``change`` makes of it."""

    def truth(frame):
        score = np.clip(frame["score"].to_numpy(), 0.001, 0.999)
        return np.where(frame["current"], change(score), score)

    return truth


WORLDS = {
    "lower risk at every score": (lambda s: expit(logit(s) - 1), "recalibrate"),
    "higher risk at every score": (lambda s: expit(logit(s) + 1), "recalibrate"),
    "the score tells less": (lambda s: 0.6 * s + 0.4 * s.mean(), "retrain"),
    "nothing": (lambda s: s, "either"),
}


@pytest.mark.parametrize("world", WORLDS)
def test_the_curve_says_what_the_model_needs(by_hand, weeks, world):
    change, needed = WORLDS[world]
    frame = moved(by_hand(n=30_000, truth=now(change)), weeks)
    assert frame.schema == pl.Schema(SCHEMA)
    assert recommended(frame) == needed
    parts = {row["part"]: row for row in frame.iter_rows(named=True)}
    assert (parts["mcb"]["lower"] > 0) is (world != "nothing")
    for row in parts.values():
        assert row["lower"] < row["change"] < row["upper"]


def test_other_cases_alone_move_nothing(by_hand, weeks):
    joined = by_hand(n=30_000, device=lambda u, current: u < np.where(current, 0.9, 0.2))
    again = joined.frame.filter(~pl.col("current") | (pl.col("score") > 0.3) | (pl.int_range(pl.len()) % 4 == 0))
    parts = {row["part"]: row for row in moved(type(joined)(again, joined.contract, joined.as_of), weeks).to_dicts()}
    assert all(row["lower"] < 0 < row["upper"] for row in parts.values())


def test_without_draws_the_parts_are_those_of_the_binned_rows(by_hand, weeks):
    joined = by_hand(n=8_000)
    frame = moved(joined, weeks, draws=0)
    assert recommended(frame) == "either"
    reference, current = weeks.periods()
    scene = set_scene(joined, metric="recall", reference=reference, current=current, draws=0, seed=0, settings=SETTINGS)
    inside = scene.rows.window == 1
    code = scene.bin_of[inside]
    mean = np.bincount(code, weights=scene.rows.score[inside]) / np.bincount(code)
    binned, label = mean[code], scene.rows.label[inside]
    expected = decompose(binned, label) | {"auc": roc_auc(binned, label).value}
    for row in frame.iter_rows(named=True):
        assert row["after"] == pytest.approx(expected[row["part"]], abs=1e-9)


def test_scores_that_are_no_probabilities_have_no_calibration(by_hand, weeks):
    joined = by_hand(n=3_000)
    scaled = joined.frame.with_columns(score=pl.col("score") * 10)
    frame = moved(type(joined)(scaled, joined.contract, joined.as_of), weeks)
    assert frame.is_empty()
    assert recommended(frame) == "either"


def test_a_window_without_labels_has_no_curve(by_hand, weeks):
    assert moved(by_hand(n=3_000, lose=lambda f, y: np.where(f["current"], 1.0, 0.0)), weeks).is_empty()


def test_isotonic_fits_of_all_draws_are_scipys():
    rng = np.random.default_rng(3)
    values, weights = rng.random((40, 17)), rng.integers(1, 50, (40, 17)).astype(float)
    found = isotonic_draws(values, weights)
    for line, value, weight in zip(found, values, weights, strict=True):
        assert line == pytest.approx(isotonic_regression(value, weights=weight).x)
