"""The estimate from scores alone: against a loop over rows, and blind where it must be."""

import numpy as np
import polars as pl
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from fbkit.diagnose.cbpe import COLUMNS, SCHEMA, cbpe, sentence
from fbkit.diagnose.rows import cross
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import SETTINGS


def scene_of(joined, weeks, *, metric="recall", draws=40):
    reference, current = weeks.periods()
    return set_scene(
        joined, metric=metric, reference=reference, current=current, draws=draws, seed=0, settings=SETTINGS
    )


def estimated(scene):
    cells = scene.table(cross([], scene.encoded, rows=len(scene.rows)), scene.labels)
    return cbpe(cells, scene.rows, scene.bin_of, metric=scene.metric, settings=SETTINGS)


def by_window(frame):
    return {row["window"]: row for row in frame.iter_rows(named=True)}


def rates(scene):
    """Reference frequency of every score bin, rising."""
    before = scene.rows.of(0)
    n = np.bincount(scene.bin_of[before], minlength=scene.bins)
    hits = np.bincount(scene.bin_of[before], weights=scene.rows.label[before], minlength=scene.bins)
    places = np.arange(scene.bins)[n > 0]
    fitted = IsotonicRegression(out_of_bounds="clip").fit(places, (hits / np.maximum(n, 1))[n > 0], n[n > 0])
    return fitted.predict(scene.bin_of)


@pytest.mark.parametrize("metric", ["recall", "precision", "brier", "base_rate", "accuracy"])
def test_the_expected_metric_is_that_of_every_row_counted_by_its_rate(by_hand, weeks, metric):
    scene = scene_of(by_hand(n=6_000), weeks, metric=metric, draws=0)
    p, rows, row = rates(scene), scene.rows, by_window(estimated(scene))["current"]
    now = rows.of(1)
    p, flagged, score = p[now], rows.decision[now] == 1, rows.score[now]
    expected = {
        "recall": p[flagged].sum() / p.sum(),
        "precision": p[flagged].mean(),
        "brier": (p * (1 - score) ** 2 + (1 - p) * score**2).mean(),
        "base_rate": p.mean(),
        "accuracy": (p[flagged].sum() + (1 - p)[~flagged].sum()) / len(p),
    }[metric]
    assert row["expected"] == pytest.approx(expected, abs=1e-6)
    assert row["gap"] == pytest.approx(row["corrected"] - row["expected"])
    if metric == "brier":
        assert row["corrected"] == pytest.approx(brier_score_loss(rows.label[now], score), abs=1e-3)


def test_a_changed_concept_is_not_seen_and_so_opens_the_gap(by_hand, weeks):
    def truth(frame):
        score = frame["score"].to_numpy()
        return np.where(frame["current"], 0.4 * score + 0.6 * score.mean(), score)

    found = by_window(estimated(scene_of(by_hand(n=30_000, truth=truth), weeks)))
    assert found["current"]["expected"] == pytest.approx(found["reference"]["expected"], abs=0.03)
    assert found["current"]["upper"] < -0.05
    assert abs(found["reference"]["gap"]) < 0.01
    text = sentence(estimated(scene_of(by_hand(n=30_000, truth=truth), weeks)), metric="recall")
    assert "is a sign of other outcomes at equal scores" in text
    assert f"{found['current']['expected']:.3f}" in text


def test_other_scores_and_thresholds_move_the_estimate_and_no_gap(by_hand, weeks):
    joined = by_hand(n=30_000, threshold=lambda f: np.where(f["current"], 0.7, 0.5))
    fewer = joined.frame.filter(~pl.col("current") | (pl.col("score") < 0.8) | (pl.int_range(pl.len()) % 2 == 0))
    frame = estimated(scene_of(type(joined)(fewer, joined.contract, joined.as_of), weeks))
    found = by_window(frame)
    assert found["current"]["expected"] < found["reference"]["expected"] - 0.1
    assert found["current"]["lower"] < 0 < found["current"]["upper"]
    assert "no sign" in sentence(frame, metric="recall")


def test_lost_labels_move_neither(by_hand, weeks):
    lose = by_hand(n=30_000, lose=lambda f, y: np.where(f["current"] & f["flagged"], 0.6, 0.05))
    found = by_window(estimated(scene_of(lose, weeks)))["current"]
    assert found["lower"] < 0 < found["upper"]


def test_what_has_no_estimate_is_empty_or_null(by_hand, weeks):
    assert estimated(scene_of(by_hand(n=2_000), weeks, metric="mae")).is_empty()
    gone = by_hand(n=2_000, lose=lambda f, y: np.where(~f["current"], 1.0, 0.0))
    assert estimated(scene_of(gone, weeks)).is_empty()
    none_now = estimated(scene_of(by_hand(n=2_000, lose=lambda f, y: np.where(f["current"], 1.0, 0.0)), weeks))
    assert none_now.schema == pl.Schema(SCHEMA)
    assert all(by_window(none_now)["current"][name] is None for name in COLUMNS)
    assert sentence(none_now, metric="recall") == sentence(none_now.head(0), metric="recall") == ""
    plain = estimated(scene_of(by_hand(n=2_000), weeks, draws=0))
    assert sentence(plain, metric="recall").endswith(".")
    assert "interval" not in sentence(plain, metric="recall")
