"""An audit of labelled rows says how often labels are wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.label_errors import label_errors
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.rows import CURRENT, cross
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.test_audit import audited_scene, statements


def scene_with(hand: Any, weeks: Any, *, wrong: float, share: float = 0.3, metric: str = "recall") -> Scene:
    """This share of the flagged positives of the current week is labelled negative; a share of all is audited."""
    rng = np.random.default_rng(6)
    frame = hand.frame
    hit = frame["current"].to_numpy() & frame["flagged"].to_numpy() & (frame["outcome"].to_numpy() == 1)
    hit &= rng.random(frame.height) < wrong
    told = frame.with_columns(label=pl.when(~pl.Series(hit)).then("label").otherwise(0.0))
    chance = np.where(frame["current"], np.where(frame["flagged"], share, share / 2), 0.0)
    return audited_scene(replace(hand, frame=told), weeks, statements(frame, chance, rng), metric=metric, draws=0)


def recall(scene: Scene, labels: Any) -> float:
    table = scene.table(cross((), scene.encoded, rows=len(scene.rows)), labels)
    return float(evaluate("recall", table.observed())[0, CURRENT])


def test_wrong_labels_are_found_and_counted_for_what_they_are_worth(by_hand: Any, weeks: Any) -> None:
    scene = scene_with(by_hand(n=16_000), weeks, wrong=0.4)
    repair = label_errors(scene, scene.labels)
    assert repair is not None
    assert repair.fires
    outcome, mine = scene.rows.frame["outcome"].to_numpy(), scene.rows.of(CURRENT)
    truth = (outcome * scene.rows.decision)[mine].sum() / outcome[mine].sum()
    assert recall(scene, scene.labels) < truth - 0.1
    assert recall(scene, repair.labels) == pytest.approx(truth, abs=0.03)
    low, high = (recall(scene, side) for side in repair.either_side)
    assert low < recall(scene, repair.labels) < high
    assert repair.frame is not None
    assert repair.frame.filter("wrong").select("decision", "label").rows() == [("flagged", "other")]


def test_the_rate_is_the_weighted_mean_of_what_the_audit_found(by_hand: Any, weeks: Any) -> None:
    scene = scene_with(by_hand(n=8000), weeks, wrong=0.4)
    repair = label_errors(scene, scene.labels)
    assert repair is not None
    assert repair.frame is not None
    rows = scene.rows
    group = rows.of(CURRENT) & (rows.decision == 1) & (scene.labels.y == 0)
    audited = rows.frame.filter(pl.Series(group)).join(scene.joined.pairs.frame, on="prediction_id")
    found = repair.frame.filter((pl.col("decision") == "flagged") & (pl.col("label") == "other"))
    assert found["audited"].item() == audited.height
    assert found["audit_says"].item() == pytest.approx(audited["label_right"].mean())
    assert repair.labels.y[group] == pytest.approx(audited["label_right"].mean())


def test_right_labels_stay(by_hand: Any, weeks: Any) -> None:
    scene = scene_with(by_hand(n=16_000), weeks, wrong=0.0)
    repair = label_errors(scene, scene.labels)
    assert repair is not None
    assert not repair.fires
    assert repair.labels is scene.labels


def test_few_rows_and_values_say_nothing(by_hand: Any, weeks: Any) -> None:
    few = scene_with(by_hand(n=3000), weeks, wrong=0.4, share=0.02)
    assert label_errors(few, few.labels) is None
    values = scene_with(by_hand(n=3000), weeks, wrong=0.0, metric="mae")
    assert label_errors(values, values.labels) is None
