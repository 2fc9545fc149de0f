"""What age, outages and slower labels hide comes back within its error; on healthy weeks nothing happens."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.arrival_model import arrival_repairs
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.scene import Scene
from tests.unit.diagnose.arrival_world import (
    World,
    batches,
    healthy,
    no_weekends,
    outage,
    recall_of,
    scene_of,
    slower,
)

LONG = 40.0
"""Days after which everything has arrived."""


def climbed(scene: Scene) -> tuple[dict[str, Repair], Labels]:
    """The repairs that fire by their cause, and the labels after the last of them."""
    fired = {repair.cause: repair for repair in arrival_repairs(scene, scene.labels) if repair.fires}
    return fired, list(fired.values())[-1].labels if fired else scene.labels


def error_of(world: World, damaged: World, *, age: float, **how: str) -> tuple[float, float, dict[str, Repair]]:
    """Error of the current recall before and after the repairs, against the same world when all is in."""
    whole = scene_of(world, age=LONG)
    right = recall_of(whole, whole.labels)[1]
    scene = scene_of(damaged, age=age, **how)  # type: ignore[arg-type]  # keywords are texts here
    fired, labels = climbed(scene)
    return recall_of(scene, scene.labels)[1] - right, recall_of(scene, labels)[1] - right, fired


WEEKS: dict[str, Callable[[World], World]] = {
    "at all hours": lambda world: world,
    "not at weekends": no_weekends,
    "in nightly loads": lambda world: batches(world, every=1.0),
    "in weekly loads": lambda world: batches(world, every=7.0),
}


@pytest.mark.parametrize("arrive", WEEKS)
@pytest.mark.parametrize("age", [15.0, 5.0])
def test_healthy_weeks_are_left_alone_whatever_the_rhythm_of_the_feed(arrive: str, age: float) -> None:
    for seed in range(200, 203):
        scene = scene_of(WEEKS[arrive](healthy(seed=seed, per_day=250)), age=age)
        fired, _ = climbed(scene)
        assert set(fired) == (set() if age > 14 else {"immature_window"})


@pytest.mark.parametrize("arrive", WEEKS)
@pytest.mark.parametrize("age", [8.0, 3.0])
def test_the_age_of_young_rows_is_allowed_for(arrive: str, age: float) -> None:
    errors = []
    for seed in range(4):
        world = WEEKS[arrive](healthy(seed=seed))
        before, after, fired = error_of(world, world, age=age)
        assert set(fired) == {"immature_window"}
        errors.append((before, after))
    before, after = np.mean(errors, axis=0)
    assert abs(after) < max(0.3 * before, 0.004)
    assert before > 0.003


def test_a_closed_window_is_not_young() -> None:
    scene = scene_of(healthy(seed=1), age=14.0)
    (young, *_) = arrival_repairs(scene, scene.labels)
    assert young.cause == "immature_window"
    assert not young.fires
    assert young.numbers["open_share_current"] == ("share", 0.0)


def test_without_a_closed_window_the_age_is_not_allowed_for_and_it_says_so() -> None:
    scene = scene_of(healthy(seed=1, weeks=1, extra=3, window=14), age=1.0)
    (young,) = arrival_repairs(scene, scene.labels)
    assert young.fires
    assert young.reason is not None
    assert "not allowed for" in young.reason
    assert (young.labels.seen1 == 1).all()


def test_where_the_event_stands_in_for_the_arrival_only_the_age_is_looked_at() -> None:
    world = outage(healthy(seed=1), first=1, last=3, share=0.9)
    scene = scene_of(world, age=5.0, audit={"arrival_is_event_time": 10**6})
    (young,) = arrival_repairs(scene, scene.labels)
    assert young.reason is not None
    assert "no arrival time" in young.reason


@pytest.mark.parametrize(
    ("first", "last", "share", "where"), [(2, 4, 1.0, None), (1, 7, 0.4, None), (2, 4, 0.9, "flagged rows")]
)
def test_an_outage_is_found_on_old_labels_and_made_up_for(
    first: int, last: int, share: float, where: str | None
) -> None:
    errors = []
    for seed in range(4):
        world = healthy(seed=seed)
        rows = world.flagged if where else None
        before, after, fired = error_of(world, outage(world, first=first, last=last, share=share, rows=rows), age=15.0)
        assert set(fired) == {"label_outage"}
        assert fired["label_outage"].where.startswith("labels that arrive 2026-09-1")
        assert where is None or where in fired["label_outage"].where
        errors.append((before, after))
    before, after = np.mean(errors, axis=0)
    spread = np.std(errors, axis=0)[1] / 2
    assert abs(after) < 0.006 + 2 * spread
    assert abs(after) < abs(before)


def test_an_outage_of_one_slice_is_named_by_it() -> None:
    world = healthy(seed=3)
    damaged = outage(world, first=2, last=4, share=0.9, rows=world.region == "EU")
    scene = scene_of(damaged, age=15.0)
    fired, labels = climbed(scene)
    assert fired["label_outage"].where == "labels that arrive 2026-09-16..2026-09-18, region=EU"
    spared = world.region != "EU"
    assert (labels.seen1[spared] == 1).all()
    now = world.now() & (world.region == "EU")
    assert 0.5 < labels.seen1[now].mean() < 0.95


def test_an_outage_of_positive_labels_leaves_the_others_visible() -> None:
    world = healthy(seed=4)
    scene = scene_of(outage(world, first=2, last=5, share=1.0, rows=world.positive), age=15.0)
    fired, labels = climbed(scene)
    assert "positive labels" in fired["label_outage"].where
    assert (labels.seen0 == 1).all()
    assert labels.seen1[world.now()].mean() < 0.8


def test_the_ingest_frame_says_what_was_due_and_what_came() -> None:
    world = outage(healthy(seed=5), first=2, last=4, share=0.75)
    scene = scene_of(world, age=15.0)
    (frame,) = (repair.frame for repair in arrival_repairs(scene, scene.labels) if repair.cause == "label_outage")
    assert frame is not None
    down = frame.filter("down")
    assert down["day"].cast(pl.String).to_list() == ["2026-09-16", "2026-09-17", "2026-09-18"]
    retained = down["observed"].sum() / down["expected"].sum()
    assert abs(retained - 0.25) < 0.05
    assert (down["p_value"] < 1e-5).all()
    fine = frame.filter(~pl.col("down") & (pl.col("expected") > 50))
    assert ((fine["observed"] / fine["expected"]).is_between(0.75, 1.25)).all()
    # Counted by hand: labels of predictions before the current period by their day of arrival.
    day = np.floor(world.arrival)
    old = ~world.now() & (day == world.current + 3) & (day - np.floor(world.made) <= world.window)
    assert down["observed"][1] == old.sum()


def test_what_is_delivered_later_was_not_lost() -> None:
    world = healthy(seed=6)
    day = np.floor(world.arrival) - world.current
    down = (day >= 2) & (day <= 3)
    late = World(**{**_fields(world), "arrival": np.where(down, world.current + 6.5, world.arrival)})
    whole = scene_of(world, age=15.0)
    scene = scene_of(late, age=15.0)
    fired, labels = climbed(scene)
    assert not fired
    assert abs(recall_of(scene, labels)[1] - recall_of(whole, whole.labels)[1]) < 0.003


def _fields(world: World) -> dict[str, object]:
    return {name: getattr(world, name) for name in World.__dataclass_fields__}


@pytest.mark.parametrize("how", ["wait", "times", "later"])
@pytest.mark.parametrize("age", [15.0, 7.0])
def test_slower_positives_are_found_and_those_not_in_yet_are_counted(how: str, age: float) -> None:
    by = {"wait": 8.0, "times": 2.2, "later": 4.0}[how]
    errors = []
    for seed in range(4):
        world = healthy(seed=seed, per_day=600, weeks=5)
        before, after, fired = error_of(world, slower(world, by=by, rows=world.positive, how=how), age=age)
        assert "slow_labels" in fired
        assert "positive labels, flagged rows" in fired["slow_labels"].where
        assert "other than positive" not in fired["slow_labels"].where
        errors.append((before, after))
    before, after = np.mean(errors, axis=0)
    spread = np.std(errors, axis=0)[1] / 2
    assert abs(after) < 0.35 * abs(before) + 0.005 + 2 * spread


def test_slower_labels_of_both_outcomes_are_found_in_all_four_groups() -> None:
    world = healthy(seed=8, per_day=600)
    scene = scene_of(slower(world, by=6.0, rows=np.ones(len(world.made), dtype=bool)), age=9.0)
    (slow,) = (repair for repair in arrival_repairs(scene, scene.labels) if repair.cause == "slow_labels")
    assert slow.frame is not None
    assert slow.frame["fires"].all()
    assert slow.frame["change"].unique().to_list() == ["wait"]
    assert slow.frame["size"].is_between(5.0, 7.2).all()
    low, high = (recall_of(scene, side)[1] for side in slow.either_side)
    assert min(low, high) <= recall_of(scene, slow.labels)[1] <= max(low, high)


def test_age_and_outage_and_slower_labels_stand_on_each_other() -> None:
    world = healthy(seed=9, per_day=800)
    damaged = outage(slower(world, by=6.0, rows=world.positive), first=2, last=4, share=0.9)
    scene = scene_of(damaged, age=9.0)
    repairs = arrival_repairs(scene, scene.labels)
    assert [repair.cause for repair in repairs] == ["immature_window", "label_outage", "slow_labels"]
    assert all(repair.fires for repair in repairs)
    now = world.now()
    shares = [repair.labels.seen1[now].mean() for repair in repairs]
    assert shares[0] > shares[1]
    assert shares[0] > shares[2]
    assert shares[1] != shares[2]
    whole = scene_of(world, age=LONG)
    right = recall_of(whole, whole.labels)[1]
    assert abs(recall_of(scene, repairs[2].labels)[1] - right) < 0.03


def _slice_loss(world: World) -> World:
    gone = np.random.default_rng(1).random(len(world.made)) < 0.6
    return world.lose(world.now() & gone & (world.region == "EU") & world.flagged)


def _uniform_loss(world: World) -> World:
    return world.lose(world.now() & (np.random.default_rng(1).random(len(world.made)) < 0.4))


def _lost_positives(world: World) -> World:
    return world.lose(world.now() & world.positive & (np.random.default_rng(1).random(len(world.made)) < 0.4))


@pytest.mark.parametrize("fault", [_slice_loss, _uniform_loss, _lost_positives])
def test_faults_of_the_cohort_are_no_faults_of_the_arrival(fault: Callable[[World], World]) -> None:
    for seed in range(20, 23):
        fired, _ = climbed(scene_of(fault(healthy(seed=seed, drift=0.3)), age=15.0))
        assert not fired


def test_with_positives_only_the_same_visibility_holds_for_positives() -> None:
    world = healthy(seed=11, per_day=600)
    scene = scene_of(outage(world, first=1, last=4, share=0.9), age=5.0, silence="negative")
    fired, labels = climbed(scene)
    assert list(fired) == ["immature_window", "label_outage"]
    young = ~scene.rows.mature
    assert (labels.seen0[young] == 0).all()
    assert (labels.seen0[~young] == 1).all()
    positives = world.positive & world.now() & ~np.isinf(healthy(seed=11, per_day=600).arrival)
    shown = np.isfinite(scene.rows.label) & scene.rows.positive
    assert abs(labels.seen1[positives].mean() - shown[positives].mean()) < 0.04


def test_a_regression_has_one_kind_of_label() -> None:
    world = healthy(seed=12)
    scene = scene_of(outage(world, first=2, last=4, share=1.0), age=6.0, metric="mae")
    fired, labels = climbed(scene)
    assert list(fired) == ["immature_window", "label_outage"]
    assert labels.seen0[world.now()].mean() < 0.95


@pytest.mark.parametrize("drop", [["lag"], ["region"], ["lag", "prediction_id"]])
def test_missing_columns_are_done_without(drop: list[str]) -> None:
    world = outage(healthy(seed=13), first=2, last=4, share=1.0)
    scene = scene_of(world, age=6.0, drop=drop)
    fired, _ = climbed(scene)
    assert list(fired) == ["immature_window", "label_outage"]


def test_every_number_of_a_sentence_is_named() -> None:
    world = healthy(seed=9, per_day=800)
    damaged = outage(slower(world, by=6.0, rows=world.positive), first=2, last=4, share=0.9)
    scene = scene_of(damaged, age=9.0)
    for repair in arrival_repairs(scene, scene.labels):
        known = [value for _, value in repair.numbers.values() if value is not None]
        for text in repair.evidence.replace("2026-09-16..2026-09-18", "").replace(",", "").split():
            number = text.strip("();.%")
            if number.replace(".", "").isdigit():
                told = float(number)
                assert any(abs(told - v) <= 0.5 or abs(told - 100 * v) <= 0.05001 for v in known), (
                    text,
                    repair.evidence,
                )
