"""Outcomes whose key was lost come back with their own label, or stay out; strangers are never let in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.join_break import join_break
from fbkit.diagnose.labels import Repair
from fbkit.diagnose.orphans import lost_statements
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.statement_world import Logs, logs, recall, scene_of


def rewritten(world: Logs, rewrite: pl.Expr, *, share: float = 0.4, only: pl.Expr | None = None) -> pl.DataFrame:
    """Some of the current outcomes carry their id in another form."""
    rng = np.random.default_rng(1)
    hit = world.of_current() & pl.Series(rng.random(world.outcomes.height) < share)
    if only is not None:
        hit &= (
            world.outcomes.join(world.predictions.select("prediction_id", "region"), on="prediction_id")
            .select(only)
            .to_series()
        )
    return world.outcomes.with_columns(pl.when(hit).then(rewrite).otherwise("prediction_id").alias("prediction_id"))


def repair_of(scene: Scene) -> Repair:
    found = join_break(scene, scene.labels)
    assert found is not None
    return found


def wrong(world: Logs, scene: Scene, found: Repair) -> int:
    """Labels that are not the truth."""
    truth = scene.rows.frame.join(world.truth.select("prediction_id", truth="label"), on="prediction_id", how="left")
    seen = found.labels.seen
    return int((truth["truth"].to_numpy()[seen] != found.labels.y[seen]).sum())


KEY = pl.col("prediction_id")
REWRITES: dict[str, pl.Expr] = {
    "prefix and lost zeros": pl.lit("TX-") + KEY.str.slice(1).str.strip_chars_start("0"),
    "upper case": KEY.str.to_uppercase(),
    "float": KEY.str.slice(1).str.strip_chars_start("0") + ".0",
    "spaces": pl.lit("  ") + KEY + " ",
    "suffix with a number in front": pl.lit("v2:") + KEY,
    "number at the end": KEY + "-1",
}


@pytest.mark.parametrize("name", sorted(REWRITES))
def test_a_rewritten_id_brings_every_label_back(name: str) -> None:
    world = logs()
    scene, whole = scene_of(world.joined(rewritten(world, REWRITES[name]))), scene_of(world.joined())
    found = repair_of(scene)
    assert found.fires
    assert found.best == "established"
    assert np.array_equal(found.labels.seen, whole.labels.seen)
    assert np.array_equal(found.labels.y[found.labels.seen], whole.labels.y[whole.labels.seen])


def test_blank_keys_find_the_only_prediction_of_their_entity() -> None:
    world = logs(entities=200_000)
    scene = scene_of(world.joined(rewritten(world, pl.lit(""))))
    found = repair_of(scene)
    assert found.fires
    assert wrong(world, scene, found) <= 3
    again = found.labels.seen & ~scene.labels.seen
    assert again.sum() > 0.9 * lost_count(scene)


def test_an_entity_with_several_free_predictions_leaves_its_outcome_alone() -> None:
    world = logs(entities=60)
    scene = scene_of(world.joined(rewritten(world, pl.lit(""))))
    found = repair_of(scene)
    again = found.labels.seen & ~scene.labels.seen
    assert again.sum() < 0.2 * lost_count(scene)


def test_outcomes_that_could_be_several_predictions_speak_through_those_that_could_not() -> None:
    """Flagged rows lose most of their keys: the unique ones among them stand for all, so recall comes back whole."""
    world = logs(n=16_000, entities=3_000, available=0.8)
    flagged = world.predictions.select("prediction_id", "score")
    hit = world.of_current() & (world.outcomes.join(flagged, on="prediction_id", how="left")["score"] >= 0.5)
    blank = world.outcomes.with_columns(prediction_id=pl.when(hit).then(pl.lit("")).otherwise("prediction_id"))
    scene, whole = scene_of(world.joined(blank)), scene_of(world.joined())
    found = repair_of(scene)
    assert found.fires
    weight = found.labels.weight
    again = found.labels.seen & ~scene.labels.seen
    assert (weight[~again] == 1).all()
    assert (weight[again] > 1).all()
    lost = float(whole.labels.seen.sum() - scene.labels.seen.sum())
    assert weight[again].sum() == pytest.approx(lost, rel=0.06)
    assert again.sum() < 0.9 * lost
    truth = recall(whole, whole.labels.y, whole.labels.seen, window=1)
    assert recall(scene, found.labels.y * weight, found.labels.seen, window=1) == pytest.approx(truth, abs=0.02)
    assert recall(scene, found.labels.y, found.labels.seen, window=1) < truth - 0.02


def test_a_fallback_that_found_several_candidates_is_settled_by_who_has_no_label_yet() -> None:
    world = logs(entities=8_000)
    fallback: dict[str, Any] = {"fallback": {"entity": ["entity_id"], "rule": "unique"}}
    joined = world.joined(rewritten(world, pl.lit("")), join=fallback)
    lost = lost_statements(joined)
    assert lost is not None
    assert set(joined.candidates["fate"]) >= {"ambiguous"}
    assert lost["statement"].is_unique().all()
    scene = scene_of(joined)
    found = repair_of(scene)
    again = found.labels.seen & ~scene.labels.seen
    assert found.fires == bool(again.any())
    assert wrong(world, scene, found) <= 0.05 * max(1, again.sum())


def test_outcomes_of_predictions_that_were_never_logged_stay_orphans() -> None:
    world = logs(entities=3_000)
    rng = np.random.default_rng(3)
    gone = world.current & pl.Series(rng.random(world.predictions.height) < 0.4)
    fewer = Logs(world.predictions.filter(~gone), world.outcomes, world.truth, world.current)
    scene = scene_of(fewer.joined())
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels
    assert found.reason is not None
    assert found.numbers["lost_share_current"][1] == pytest.approx(0.4, abs=0.1)


def test_numbers_of_another_system_are_not_taken_for_ids() -> None:
    """They run through the same range, but at other times: the label window refuses them."""
    world = logs()
    rng = np.random.default_rng(4)
    strange = world.outcomes.filter(world.of_current()).sample(400, seed=5)
    strange = strange.with_columns(prediction_id=pl.Series([f"X{i:06d}" for i in rng.permutation(8_000)[:400]]))
    scene = scene_of(world.joined(pl.concat([world.outcomes, strange.with_columns(entity_id=pl.lit("nobody"))])))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


def test_where_names_the_slice_that_lost_its_keys() -> None:
    world = logs()
    broken = rewritten(world, REWRITES["prefix and lost zeros"], share=0.9, only=pl.col("region") == "EU")
    found = repair_of(scene_of(world.joined(broken)))
    assert found.fires
    assert found.where == "region=EU"


def test_corrections_among_the_lost_statements_follow_the_contract() -> None:
    world = logs()
    lost = rewritten(world, REWRITES["upper case"], share=0.5)
    later = lost.filter(pl.col("prediction_id").str.starts_with("P")).with_columns(
        label=1 - pl.col("label"), ts_arrival=pl.col("ts_arrival") + timedelta(days=1)
    )
    for rule, flipped in (("latest", True), ("keep_first", False)):
        scene = scene_of(world.joined(pl.concat([lost, later]), label={"corrections": rule}))
        found = repair_of(scene)
        again = found.labels.seen & ~scene.labels.seen
        truth = scene.rows.frame.join(world.truth.select("prediction_id", truth="label"), on="prediction_id")["truth"]
        assert again.sum() > 100
        assert ((found.labels.y != truth.to_numpy())[again] == flipped).all()


def test_audit_rows_and_what_had_not_arrived_never_count() -> None:
    world = logs()
    lost = rewritten(world, REWRITES["upper case"])
    audit = lost.with_columns(
        pl.when(pl.col("prediction_id").str.starts_with("P")).then(pl.lit("audit")).otherwise("source").alias("source")
    )
    scene = scene_of(world.joined(audit))
    assert repair_of(scene).labels.seen.sum() == scene.labels.seen.sum()
    joined = world.joined(lost)
    known = lost_statements(joined)
    assert known is not None
    assert (known["ts_arrival"] <= joined.as_of).all()


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_loop_keeps_its_labels(seed: int) -> None:
    world = logs(n=4_000, seed=seed)
    rng = np.random.default_rng(seed)
    strange = world.outcomes.sample(30, seed=seed).with_columns(
        prediction_id=pl.Series([f"q{i:06d}" for i in rng.integers(0, 4_000, 30)])
    )
    scene = scene_of(world.joined(pl.concat([world.outcomes, strange])))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


def test_row_order_and_repetition_change_nothing() -> None:
    world = logs(entities=6_000)
    broken = rewritten(world, pl.when(KEY.str.ends_with("1")).then(pl.lit("")).otherwise(KEY.str.to_uppercase()))
    first = repair_of(scene_of(world.joined(broken)))
    second = repair_of(scene_of(world.joined(broken.sample(fraction=1, shuffle=True, seed=9))))
    assert np.array_equal(first.labels.seen, second.labels.seen)
    assert first.evidence == second.evidence
    assert first.frame is not None
    assert second.frame is not None
    assert first.frame.equals(second.frame)


def test_silence_that_means_negative_is_overruled_by_a_positive_that_comes_back() -> None:
    world = logs()
    positives = rewritten(world, REWRITES["upper case"]).filter(pl.col("label") == 1)
    joined = world.joined(positives, label={"silence": "negative"})
    scene = scene_of(joined)
    found = repair_of(scene)
    assert found.fires
    truth = scene.rows.frame.join(world.truth.select("prediction_id", truth="label"), on="prediction_id")["truth"]
    back = np.flatnonzero(found.labels.y != scene.labels.y)
    assert len(back) > 50
    assert (found.labels.y[back] == 1).all()
    assert (truth.to_numpy()[back] == 1).all()


@pytest.mark.parametrize("how", [KEY.str.to_uppercase(), pl.lit("")], ids=["rewritten", "blank"])
def test_windows_of_differing_length_and_several_keys_do_as_well(how: pl.Expr) -> None:
    world = logs(n=3_000)
    made = world.predictions.with_columns(session_id=pl.col("prediction_id"))
    sessions = Logs(made, world.outcomes, world.truth, world.current)
    label = {"window": "session", "session_gap": "7d"}
    for tables in ({"label": label}, {"join": {"keys": ["prediction_id", "entity_id"]}}):
        joined = sessions.joined(rewritten(world, how), **tables)
        scene = scene_of(joined)
        found = repair_of(scene)
        assert found.fires
        assert wrong(world, scene, found) == 0
        again = found.labels.seen & ~scene.labels.seen
        assert again.sum() == lost_count(scene)


def test_a_table_without_statements_gives_no_answer(by_hand: Callable[..., Any]) -> None:
    scene = scene_of(by_hand(n=2_000))
    assert lost_statements(by_hand(n=2_000)) is None
    assert join_break(scene, scene.labels) is None


def lost_count(scene: Scene) -> int:
    lost = lost_statements(scene.joined)
    assert lost is not None
    return lost.height
