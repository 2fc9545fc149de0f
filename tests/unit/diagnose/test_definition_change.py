"""Another definition is told by old cohorts whose late labels changed, and undone; nothing else fires it."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.definition_change import CONFOUNDED, definition_change
from fbkit.diagnose.join_break import join_break
from fbkit.diagnose.label_conflict import label_conflict
from fbkit.diagnose.labels import Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.statement_world import TURN, Logs, logs, recall, scene_of

N = 24_000


def redefined(
    world: Logs,
    *,
    share: float = 0.15,
    since: datetime = TURN,
    version: str | None = None,
    of: pl.Expr | None = None,
    to: float = 1.0,
) -> pl.DataFrame:
    """From an instant of arrival on a share of one kind of label is called the other."""
    rng = np.random.default_rng(3)
    flagged = (
        world.outcomes.join(world.predictions.select("prediction_id", "score"), on="prediction_id")["score"] >= 0.5
    )
    new = pl.col("ts_arrival") >= since
    turned = new & (pl.col("label") == 1 - to) & pl.Series(rng.random(world.outcomes.height) < share)
    log = world.outcomes.with_columns(flagged=flagged)
    hit = turned if of is None else turned & of
    log = log.with_columns(label=pl.when(hit).then(to).otherwise("label")).drop("flagged")
    if version is None:
        return log
    return log.with_columns(label_version=pl.when(new).then(pl.lit(version)).otherwise(pl.lit("1")))


def repair_of(scene: Scene) -> Repair:
    found = definition_change(scene, scene.labels)
    assert found is not None
    return found


def of(scene: Scene, labels: Any, *, window: int = CURRENT) -> float:
    return recall(scene, labels.y, labels.seen, window=window)


@pytest.fixture(scope="module")
def world() -> Logs:
    return logs(n=N, seed=1)


@pytest.fixture(scope="module")
def clean(world: Logs) -> Scene:
    return scene_of(world.joined())


@pytest.mark.parametrize("version", [None, "2"], ids=["unlogged", "logged"])
def test_recall_by_the_old_definition_comes_back_within_the_error_that_is_told(
    world: Logs, clean: Scene, version: str | None
) -> None:
    label = {} if version is None else {"version": "1"}
    scene = scene_of(world.joined(redefined(world, version=version), label=label))
    found = repair_of(scene)
    assert found.fires
    for window in (REFERENCE, CURRENT):
        truth, shown = of(clean, clean.labels, window=window), of(scene, scene.labels, window=window)
        low, high = sorted(of(scene, side, window=window) for side in found.either_side)
        room = max(high - low, 0.004)
        assert abs(of(scene, found.labels, window=window) - truth) < 1.5 * room
        assert abs(shown - truth) > 2 * room


def test_positives_of_each_decision_keep_the_mass_that_is_left(world: Logs) -> None:
    """What is taken from the positives is the excess rate times the negatives: 0.15 / 0.85 of those that are left."""
    scene = scene_of(world.joined(redefined(world)))
    found = repair_of(scene)
    mine = (scene.rows.window == CURRENT) & (scene.rows.decision == 0) & scene.labels.seen
    taken = float((scene.labels.y - found.labels.y)[mine].sum())
    negatives = float((scene.labels.y[mine] == 0).sum())
    assert taken / negatives == pytest.approx(0.15 / 0.85, rel=0.25)
    assert (found.labels.y[mine & (scene.labels.y == 0)] == 0).all()
    assert ((found.labels.y[mine] >= 0) & (found.labels.y[mine] <= 1)).all()


def test_a_change_for_one_decision_leaves_the_other_alone(world: Logs) -> None:
    scene = scene_of(world.joined(redefined(world, of=~pl.col("flagged"))))
    found = repair_of(scene)
    assert found.fires
    assert "not flagged" in found.where
    flagged = scene.rows.decision == 1
    moved = np.nansum(np.abs(found.labels.y - scene.labels.y)[flagged])
    assert moved < 0.02 * scene.labels.seen[flagged].sum()


def test_a_day_of_change_before_the_current_window_is_found(world: Logs, clean: Scene) -> None:
    since = TURN - timedelta(days=6)
    scene = scene_of(world.joined(redefined(world, share=0.25, since=since)))
    found = repair_of(scene)
    assert found.fires
    assert f"{since:%Y-%m-%d}" in found.where
    assert abs(of(scene, found.labels, window=REFERENCE) - of(clean, clean.labels, window=REFERENCE)) < 0.02


def test_positives_called_negative_are_undone_only_when_the_version_says_so(world: Logs, clean: Scene) -> None:
    logged = scene_of(world.joined(redefined(world, share=0.4, to=0.0, version="2"), label={"version": "1"}))
    found = repair_of(logged)
    assert found.fires
    back, shown = (abs(of(logged, labels) - of(clean, clean.labels)) for labels in (found.labels, logged.labels))
    assert back < max(0.02, shown)
    positives = float(np.nansum(found.labels.y[logged.rows.window == CURRENT]))
    truth = float(np.nansum(clean.labels.y[clean.rows.window == CURRENT]))
    assert positives == pytest.approx(truth, rel=0.1)
    silent = scene_of(world.joined(redefined(world, share=0.4, to=0.0)))
    unlogged = repair_of(silent)
    assert not unlogged.fires
    assert unlogged.labels is silent.labels
    assert unlogged.reason is not None


def test_a_version_that_no_old_cohort_has_is_confounded_and_repairs_nothing(world: Logs) -> None:
    """The new version comes with the predictions of the current window, not with a day of arrival."""
    rng = np.random.default_rng(0)
    now = world.of_current()
    log = world.outcomes.with_columns(
        label=pl.when(now & pl.Series(rng.random(world.outcomes.height) < 0.2)).then(1.0).otherwise("label"),
        label_version=pl.when(now).then(pl.lit("2")).otherwise(pl.lit("1")),
    )
    scene = scene_of(world.joined(log, label={"version": "1"}))
    found = repair_of(scene)
    assert found.labels is scene.labels
    assert found.best == "probable"
    assert found.reason == CONFOUNDED


@pytest.mark.parametrize("contract", ["1", None], ids=["the old version counts", "the newest counts"])
def test_rows_labelled_by_both_definitions_tell_the_size_and_get_the_old_label_back(
    world: Logs, clean: Scene, contract: str | None
) -> None:
    """No old cohort is labelled anew, but every fifth current row is labelled once more by the old definition."""
    rng = np.random.default_rng(0)
    now = world.of_current()
    turned = now & pl.Series(rng.random(world.outcomes.height) < 0.2)
    new = world.outcomes.with_columns(
        label=pl.when(turned).then(1.0).otherwise("label"),
        label_version=pl.when(now).then(pl.lit("2")).otherwise(pl.lit("1")),
        ts_arrival=pl.col("ts_arrival") + timedelta(minutes=1),
    )
    old = world.outcomes.filter(now).gather_every(5).with_columns(label_version=pl.lit("1"))
    label = {} if contract is None else {"version": contract}
    scene = scene_of(world.joined(pl.concat([new, old]), label=label))
    conflict = label_conflict(scene, scene.labels)
    assert conflict is not None
    assert not conflict.fires
    found = repair_of(scene)
    assert found.fires
    assert found.numbers["labelled_by_both_definitions"][1] == old.height
    truth, shown = of(clean, clean.labels), of(scene, scene.labels)
    assert abs(of(scene, found.labels) - truth) < 0.03 < abs(shown - truth)
    both = scene.rows.frame["prediction_id"].is_in(old["prediction_id"].implode()).to_numpy()
    assert np.array_equal(found.labels.y[both], clean.labels.y[both])


def test_a_new_version_that_means_the_same_changes_nothing(world: Logs) -> None:
    scene = scene_of(world.joined(redefined(world, share=0.0, version="2"), label={"version": "1"}))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels
    assert found.numbers["new_definition_share"][1] == pytest.approx(1.0)


def drifted(world: Logs) -> pl.DataFrame:
    """In the current window the outcome has nothing to do with the score any more."""
    rng = np.random.default_rng(8)
    base = float(world.outcomes["label"].to_numpy().mean())
    free = pl.Series((rng.random(world.outcomes.height) < 2 * base).astype(float))
    return world.outcomes.with_columns(label=pl.when(world.of_current()).then(free).otherwise("label"))


def slower(world: Logs, *, of: pl.Expr) -> pl.DataFrame:
    """What would arrive after the start of the current window waits three days more, old cohorts too."""
    late = pl.col("ts_arrival") + pl.when((pl.col("ts_arrival") >= TURN) & of).then(timedelta(days=3)).otherwise(
        timedelta(0)
    )
    return world.outcomes.with_columns(ts_arrival=late)


def backlog(world: Logs, *, of: pl.Expr) -> pl.DataFrame:
    """A feed that stood still for five days before the current window delivers everything on its first day."""
    held = (pl.col("ts_arrival") >= TURN - timedelta(days=5)) & (pl.col("ts_arrival") < TURN) & of
    return world.outcomes.with_columns(
        ts_arrival=pl.when(held).then(pl.lit(TURN + timedelta(hours=2))).otherwise("ts_arrival")
    )


ANY, POSITIVE = pl.lit(value=True), pl.col("label") == 1
OTHERS: dict[str, Callable[[Logs], pl.DataFrame]] = {
    "drift": drifted,
    "slow labels": lambda world: slower(world, of=ANY),
    "slow positives": lambda world: slower(world, of=POSITIVE),
    "backlog": lambda world: backlog(world, of=ANY),
    "backlog of positives": lambda world: backlog(world, of=POSITIVE),
    "outage": lambda world: world.outcomes.filter(
        (pl.col("ts_arrival") < TURN) | (pl.col("ts_arrival") >= TURN + timedelta(days=4))
    ),
    "positives lost": lambda world: world.outcomes.filter(
        (pl.col("ts_arrival") < TURN) | (pl.col("label") == 0) | (pl.col("prediction_id").str.ends_with("1"))
    ),
    "current positives lost": lambda world: world.outcomes.filter(
        ~(world.of_current() & (pl.col("label") == 1) & ~pl.col("prediction_id").str.ends_with("1"))
    ),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_other_faults_are_not_taken_for_a_definition(world: Logs, name: str) -> None:
    scene = scene_of(world.joined(OTHERS[name](world)))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


def test_a_new_definition_is_neither_a_broken_join_nor_a_conflict(world: Logs) -> None:
    scene = scene_of(world.joined(redefined(world)))
    for other in (join_break, label_conflict):
        found = other(scene, scene.labels)
        assert found is not None
        assert not found.fires


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_loop_keeps_its_labels(seed: int) -> None:
    world = logs(n=5_000, seed=100 + seed)
    scene = scene_of(world.joined())
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_where_only_positives_are_reported_their_number_tells(world: Logs, share: float) -> None:
    silence = {"silence": "negative"}
    whole = scene_of(world.joined(world.outcomes.filter(pl.col("label") == 1), label=silence))
    scene = scene_of(world.joined(redefined(world, share=share).filter(pl.col("label") == 1), label=silence))
    found = repair_of(scene)
    assert found.fires == (share > 0)
    if not found.fires:
        assert found.labels is scene.labels
        return
    low, high = sorted(of(scene, side) for side in found.either_side)
    truth, shown = of(whole, whole.labels), of(scene, scene.labels)
    assert abs(of(scene, found.labels) - truth) < 1.5 * (high - low)
    assert abs(shown - truth) > 2 * (high - low)
    before = of(scene, found.labels, window=REFERENCE) - of(whole, whole.labels, window=REFERENCE)
    assert abs(before) < 0.01


SILENT = {name: fault for name, fault in OTHERS.items() if "lost" not in name}


@pytest.mark.parametrize("name", sorted(SILENT))
def test_where_only_positives_are_reported_other_faults_do_not_fire_it(world: Logs, name: str) -> None:
    scene = scene_of(world.joined(SILENT[name](world).filter(pl.col("label") == 1), label={"silence": "negative"}))
    found = repair_of(scene)
    assert not found.fires
    assert found.labels is scene.labels


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_loop_of_positives_keeps_its_labels(seed: int) -> None:
    world = logs(n=4_000, seed=200 + seed)
    scene = scene_of(world.joined(world.outcomes.filter(pl.col("label") == 1), label={"silence": "negative"}))
    found = definition_change(scene, scene.labels)
    assert found is None or not found.fires


def test_it_says_nothing_where_it_cannot_know(world: Logs, by_hand: Callable[..., Any]) -> None:
    values = scene_of(world.joined(model={"name": "small", "task": "regression"}), metric="mae")
    assert definition_change(values, values.labels) is None
    bare = scene_of(by_hand(n=2_000))
    assert definition_change(bare, bare.labels) is None


def test_every_number_of_the_sentence_stands_in_the_frame(world: Logs) -> None:
    found = repair_of(scene_of(world.joined(redefined(world))))
    assert found.frame is not None
    row = found.frame.row(by_predicate=pl.col("decision") == "not flagged", named=True)
    for number in (row["observed"], row["labels"], row["expected"]):
        assert f"{number:,.0f}" in found.evidence
    assert f"{abs(row['z']):.1f} standard deviations" in found.evidence
