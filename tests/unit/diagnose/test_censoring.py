"""Rows whose action hides the outcome are stood for by rows that were let through at random, or by nobody."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.censoring import (
    NO_EXPLORATION,
    NO_PROPENSITY,
    TOO_FEW,
    action_censoring,
    censoring,
)
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.rows import CURRENT, REFERENCE, cross
from fbkit.diagnose.scene import Scene, set_scene
from fbkit.diagnose.settings import SETTINGS

Policy = Callable[[pl.DataFrame, Any], tuple[Any, Any, Any]]


def in_scene(by_hand: Any, weeks: Any, policy: Policy, *, n: int = 20_000, draws: int = 60, **world: Any) -> Scene:
    """A world in which the policy answers action, propensity and which rows are blocked."""
    hand = by_hand(n=n, **world)
    action, propensity, blocked = policy(hand.frame, np.random.default_rng(5))
    frame = hand.frame.with_columns(
        action=pl.Series(action, dtype=pl.String),
        propensity=pl.Series(propensity, dtype=pl.Float64).fill_nan(None),
        blocked=pl.Series(blocked),
    )
    frame = frame.with_columns(label=pl.when(~pl.col("blocked")).then("label"))
    reference, current = weeks.periods()
    return set_scene(
        replace(hand, frame=frame),
        metric="recall",
        reference=reference,
        current=current,
        draws=draws,
        seed=1,
        settings=SETTINGS,
    )


def blocking(*, e: float, reference: bool = False, logged: bool = True) -> Policy:
    """High scores are blocked but for a random share ``e``; in the current week, or always."""

    def policy(frame: pl.DataFrame, rng: Any) -> tuple[Any, Any, Any]:
        zone = (frame["score"].to_numpy() > 0.72) & (frame["current"].to_numpy() | reference)
        blocked = zone & (rng.random(frame.height) >= e)
        propensity = np.where(zone, np.where(blocked, 1 - e, e), 1.0)
        return np.where(blocked, "block", "allow"), propensity if logged else np.full(frame.height, np.nan), blocked

    return policy


def value(scene: Scene, labels: Any) -> Any:
    """The metric by window, every label counted with its weight."""
    table = scene.table(cross((), scene.encoded, rows=len(scene.rows)), labels)
    return evaluate(scene.metric, table.observed())[0]


def truth(scene: Scene) -> list[float]:
    """The recall that all outcomes would show."""
    rows = scene.rows
    outcome = rows.frame["outcome"].to_numpy()
    return [
        float((outcome * rows.decision)[rows.of(w)].sum() / outcome[rows.of(w)].sum()) for w in (REFERENCE, CURRENT)
    ]


def test_explored_rows_give_back_what_blocking_hides(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.2))
    repair = action_censoring(scene, scene.labels)
    assert repair is not None
    assert repair.fires
    assert repair.reason is None
    shown, mended, true = value(scene, scene.labels), value(scene, repair.labels), truth(scene)
    assert true[CURRENT] - shown[CURRENT] > 0.1
    assert mended[CURRENT] == pytest.approx(true[CURRENT], abs=0.03)
    assert mended[REFERENCE] == shown[REFERENCE]


def test_weights_of_a_cell_add_up_to_the_rows_they_stand_for(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.2), draws=0)
    found = censoring(scene, scene.labels)
    assert found is not None
    current = scene.rows.of(CURRENT) & (scene.rows.decision == 1)
    stood_for = (found.blocked | found.explored) & current
    assert found.weight[found.explored & current].sum() == pytest.approx(stood_for.sum())
    plain = ~found.explored
    assert (found.weight[plain] == 1).all()


def test_within_one_cell_the_estimate_is_the_self_normalised_one(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.25), draws=0)
    found = censoring(scene, scene.labels)
    assert found is not None
    bins = scene.bin_of[found.explored]
    cell = (scene.bin_of == bins[0]) & scene.rows.of(CURRENT) & (found.blocked | found.explored)
    by_hand_weight = np.where(found.explored, 4.0, 0.0)[cell]
    y, n = np.nan_to_num(scene.labels.y)[cell], int(cell.sum())
    expected = n * (by_hand_weight * y).sum() / by_hand_weight.sum()
    assert (found.weight * found.explored)[cell] @ y == pytest.approx(expected)


def test_effective_sample_size_is_that_of_the_formula(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.2), draws=0)
    found = censoring(scene, scene.labels)
    assert found is not None
    w = found.weight[found.explored & scene.labels.seen & scene.rows.of(CURRENT)]
    assert found.effective[CURRENT] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert found.effective[CURRENT] <= len(w)


def test_review_or_not_is_never_a_weight(by_hand: Any, weeks: Any) -> None:
    def policy(frame: pl.DataFrame, rng: Any) -> tuple[Any, Any, Any]:
        action, propensity, blocked = blocking(e=0.2)(frame, rng)
        review = rng.random(frame.height) < 0.3
        free = ~blocked & (propensity == 1.0)
        return (
            np.where(free & review, "review", action),
            np.where(free, np.where(review, 0.3, 0.7), propensity),
            blocked,
        )

    scene = in_scene(by_hand, weeks, policy, draws=0)
    found = censoring(scene, scene.labels)
    assert found is not None
    taken = scene.rows.frame["action"].to_numpy()
    assert (found.weight[taken == "review"] == 1).all()
    assert found.weight[found.explored].min() > 2


def test_without_blocked_rows_there_is_nothing_to_say(by_hand: Any, weeks: Any) -> None:
    def reviews(frame: pl.DataFrame, rng: Any) -> tuple[Any, Any, Any]:
        review = rng.random(frame.height) < 0.3
        return np.where(review, "review", "none"), np.where(review, 0.3, 0.7), np.zeros(frame.height, dtype=bool)

    scene = in_scene(by_hand, weeks, reviews, n=3000, draws=0)
    assert action_censoring(scene, scene.labels) is None


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (blocking(e=0.0), NO_EXPLORATION),
        (blocking(e=0.2, logged=False), NO_PROPENSITY),
        (blocking(e=0.01), TOO_FEW),
    ],
)
def test_what_nobody_stands_for_is_not_repaired(by_hand: Any, weeks: Any, policy: Policy, reason: str) -> None:
    scene = in_scene(by_hand, weeks, policy)
    repair, found = action_censoring(scene, scene.labels), censoring(scene, scene.labels)
    assert repair is not None
    assert found is not None
    assert repair.fires
    assert not found.identified
    assert repair.reason == reason
    assert repair.labels is scene.labels


def test_without_weights_only_rows_beside_labelled_ones_are_covered(by_hand: Any, weeks: Any) -> None:
    no_one = in_scene(by_hand, weeks, blocking(e=0.0), draws=0)
    some = in_scene(by_hand, weeks, blocking(e=0.2, logged=False), draws=0)
    alone, beside = (censoring(scene, scene.labels) for scene in (no_one, some))
    assert alone is not None
    assert beside is not None
    assert alone.covered < 0.5
    assert alone.bounds_only
    assert beside.covered == 1.0
    assert not beside.bounds_only


def test_the_same_policy_in_both_windows_is_weighted_and_does_not_fire(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.2, reference=True))
    repair = action_censoring(scene, scene.labels)
    assert repair is not None
    assert not repair.fires
    mended, true = value(scene, repair.labels), truth(scene)
    assert mended == pytest.approx(true, abs=0.03)


def test_another_threshold_under_the_same_policy_is_no_change_of_policy(by_hand: Any, weeks: Any) -> None:
    policy = blocking(e=0.2, reference=True)
    scene = in_scene(
        by_hand, weeks, policy, n=60_000, threshold=lambda frame: np.where(frame["current"], 0.3, 0.5), draws=20
    )
    found = censoring(scene, scene.labels)
    assert found is not None
    assert found.z == pytest.approx(0, abs=3.5)
    assert not found.fires


def test_numbers_of_the_sentence_are_cells(by_hand: Any, weeks: Any) -> None:
    scene = in_scene(by_hand, weeks, blocking(e=0.2), draws=0)
    repair = action_censoring(scene, scene.labels)
    assert repair is not None
    assert repair.frame is not None
    explored = repair.frame.filter(pl.col("window") == "current")["explored"].sum()
    assert f"{explored:,} rows like them" in repair.evidence
    assert repair.numbers["explored_current"] == ("count", float(explored))
    assert repair.frame["n"].sum() == len(scene.rows)
    assert repair.where == "action=block"
