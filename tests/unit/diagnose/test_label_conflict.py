"""Contradictions in bulk are undone; ordinary corrections, true corrections and one-sided feeds are left alone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.definition_change import definition_change
from fbkit.diagnose.join_break import join_break
from fbkit.diagnose.label_conflict import label_conflict
from fbkit.diagnose.labels import Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.statement_world import END, Logs, logs, recall, scene_of

BATCH = END + timedelta(days=10)


def corrected(world: Logs, *, share: float = 0.01, seed: int = 0) -> pl.DataFrame:
    """Ordinary dirt in both windows: a wrong first statement, put right later."""
    rng = np.random.default_rng([seed, 7])
    hit = world.outcomes.filter(pl.Series(rng.random(world.outcomes.height) < share))
    first = hit.with_columns(label=1 - pl.col("label"), ts_arrival=pl.col("ts_event"))
    return pl.concat([world.outcomes, first.filter(pl.col("ts_arrival") < hit["ts_arrival"])])


def contradicted(
    world: Logs,
    *,
    share: float = 0.1,
    at: datetime | timedelta = BATCH,
    source: str = "backfill",
    only: float | None = None,
) -> pl.DataFrame:
    """A batch that says the opposite of some of the current labels."""
    rng = np.random.default_rng(11)
    hit = world.outcomes.filter(world.of_current() & pl.Series(rng.random(world.outcomes.height) < share))
    if only is not None:
        hit = hit.filter(pl.col("label") == only)
    when = pl.lit(at).cast(hit["ts_arrival"].dtype) if isinstance(at, datetime) else pl.col("ts_arrival") + at
    return hit.with_columns(label=1 - pl.col("label"), ts_arrival=when, source=pl.lit(source))


def repair_of(scene: Scene) -> Repair:
    found = label_conflict(scene, scene.labels)
    assert found is not None
    return found


def after(scene: Scene, found: Repair, *, window: int = CURRENT) -> float:
    return recall(scene, found.labels.y, found.labels.seen, window=window)


@pytest.mark.parametrize("only", [None, 1.0, 0.0], ids=["both ways", "positives denied", "negatives called positive"])
def test_a_batch_that_contradicts_is_undone_to_the_letter(only: float | None) -> None:
    world = logs()
    clean = scene_of(world.joined())
    scene = scene_of(world.joined(pl.concat([world.outcomes, contradicted(world, only=only)])))
    found = repair_of(scene)
    assert found.fires
    assert np.array_equal(found.labels.y[found.labels.seen], clean.labels.y[clean.labels.seen])
    assert recall(scene, scene.labels.y, scene.labels.seen, window=CURRENT) != after(scene, found)


@pytest.mark.parametrize("at", [BATCH, timedelta(days=1)], ids=["one day", "day by day"])
def test_ordinary_corrections_in_a_batch_are_allowed_for_in_their_number(at: datetime | timedelta) -> None:
    world = logs(n=16_000)
    dirty = corrected(world)
    clean = scene_of(world.joined(dirty))
    scene = scene_of(world.joined(pl.concat([dirty, contradicted(world, at=at, source="auto")])))
    found = repair_of(scene)
    assert found.fires
    truth = recall(clean, clean.labels.y, clean.labels.seen, window=CURRENT)
    shown = recall(scene, scene.labels.y, scene.labels.seen, window=CURRENT)
    assert abs(after(scene, found) - truth) < 0.02 < abs(shown - truth)
    kept = found.labels.y[scene.rows.window == REFERENCE]
    assert np.array_equal(kept, scene.labels.y[scene.rows.window == REFERENCE], equal_nan=True)


def test_corrections_in_bulk_that_are_right_are_kept() -> None:
    world = logs(n=16_000)
    late = contradicted(world, share=0.1)
    wrong_first = late.with_columns(ts_arrival=pl.col("ts_event"), source=pl.lit("auto"))
    scene = scene_of(world.joined(pl.concat([world.outcomes, wrong_first])))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels
    gain = found.numbers["later_labels_fit_better_by"][1]
    assert gain is not None
    assert gain > 6
    assert "are set back" not in found.evidence


def test_simultaneous_disagreement_with_an_earlier_statement_gets_that_one_back() -> None:
    """What arrives together and disagrees leaves the row without a label although something was said before."""
    world = logs()
    batch = contradicted(world, source="auto")
    twin = batch.with_columns(label=1 - pl.col("label"))
    scene = scene_of(world.joined(pl.concat([world.outcomes, batch, twin]), label={"sources": ["auto"]}))
    clean = scene_of(world.joined())
    assert scene.labels.seen.sum() < clean.labels.seen.sum()
    found = repair_of(scene)
    assert found.fires
    assert np.array_equal(found.labels.seen, clean.labels.seen)
    assert np.array_equal(found.labels.y[found.labels.seen], clean.labels.y[clean.labels.seen])


def test_a_backfill_that_came_first_does_not_win() -> None:
    world = logs()
    early = contradicted(world).with_columns(ts_arrival=pl.col("ts_event"))
    scene = scene_of(world.joined(pl.concat([world.outcomes, early]), label={"corrections": "keep_first"}))
    clean = scene_of(world.joined())
    found = repair_of(scene)
    assert found.fires
    wrong = [(labels.y != clean.labels.y)[labels.seen].sum() for labels in (scene.labels, found.labels)]
    assert wrong[0] > 100
    assert wrong[1] == 0


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_loop_with_its_usual_corrections_stays_as_it_is(seed: int) -> None:
    world = logs(n=4_000, seed=seed)
    scene = scene_of(world.joined(corrected(world, seed=seed)))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


def test_other_faults_of_labels_do_not_fire_it() -> None:
    world = logs()
    late = world.outcomes.with_columns(
        ts_arrival=pl.when(world.of_current())
        .then(pl.max_horizontal("ts_arrival", pl.lit(BATCH).cast(world.outcomes["ts_arrival"].dtype)))
        .otherwise("ts_arrival")
    )
    fewer = world.outcomes.filter(~(world.of_current() & (pl.col("label") == 1) & (pl.col("source") == "review")))
    twice = pl.concat([world.outcomes, world.outcomes.filter(world.of_current())])
    again = world.outcomes.filter(world.of_current()).with_columns(
        ts_arrival=pl.lit(BATCH).cast(late["ts_arrival"].dtype)
    )
    for log in (late, fewer, twice, pl.concat([world.outcomes, again])):
        scene = scene_of(world.joined(log))
        assert not repair_of(scene).fires


def test_a_batch_of_contradictions_is_neither_a_broken_join_nor_a_new_definition() -> None:
    world = logs()
    scene = scene_of(world.joined(pl.concat([world.outcomes, contradicted(world)])))
    for other in (join_break, definition_change):
        found = other(scene, scene.labels)
        assert found is not None
        assert not found.fires
    labels = repair_of(scene).labels
    found = definition_change(scene, labels)
    assert found is not None
    assert not found.fires


def test_the_frame_counts_every_contradicted_prediction() -> None:
    world = logs()
    batch = contradicted(world)
    found = repair_of(scene_of(world.joined(pl.concat([corrected(world), batch]))))
    assert found.frame is not None
    of_batch = found.frame.filter(pl.col("source") == "backfill")
    assert of_batch["contradicted"].sum() == batch.height
    assert of_batch["set_aside"].sum() <= of_batch["in_batch"].sum() <= of_batch["contradicted"].sum()
    assert found.numbers["contradicted_in_bulk"][1] == found.frame["in_batch"].sum()


def test_values_are_set_back_as_well_as_labels() -> None:
    world = logs()
    batch = contradicted(world).with_columns(label=pl.col("label") + 40.0)
    log = pl.concat([world.outcomes, batch])
    tables: dict[str, Any] = {"model": {"name": "small", "task": "regression"}}
    scene = scene_of(world.joined(log, **tables), metric="mae")
    clean = scene_of(world.joined(**tables), metric="mae")
    found = repair_of(scene)
    assert found.fires
    assert np.array_equal(found.labels.y[found.labels.seen], clean.labels.y[clean.labels.seen])


def test_without_statements_there_is_no_answer(by_hand: Callable[..., Any]) -> None:
    scene = scene_of(by_hand(n=2_000))
    assert label_conflict(scene, scene.labels) is None
