"""Labels lost by outcome: what counts ask, what an audit answers, and that nothing is counted twice."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.climb import change
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.ladder import Ladder
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.outcome_loss import OutcomeLoss, by_outcome
from fbkit.diagnose.rows import CURRENT, cross
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import SETTINGS
from tests.unit.diagnose.test_audit import audited_scene, everything, statements
from tests.unit.diagnose.test_nonrandom import drift, lost


def found_in(scene: Scene, *, explained: bool = False) -> tuple[OutcomeLoss, Ladder]:
    """What is found, and the ladder below it."""
    cells = scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels)
    repaired = evaluate(scene.metric, cells.like_for_like())
    ladder = Ladder(
        observed=repaired,
        steps=(),
        like_for_like=repaired,
        corrected=evaluate(scene.metric, corrected(cells, thin=SETTINGS.thin_cell)),
        replayed={},
        tried={},
    )
    return by_outcome(scene, scene.labels, cells, ladder, explained=explained), ladder


def world(by_hand: Any, weeks: Any, lose: Any, *, share: float, **more: Any) -> tuple[Scene, float]:
    """A world and its current recall; ``share`` of its unlabelled current rows is audited."""
    hand = by_hand(n=16_000, lose=lose, **more)
    pairs = statements(hand.frame, everything(hand.frame) * share, np.random.default_rng(7))
    now = hand.frame.filter(pl.col("current"))
    return audited_scene(hand, weeks, pairs, draws=100), (now["outcome"] * now["flagged"]).sum() / now["outcome"].sum()


def test_without_an_audit_lost_positives_leave_two_worlds(by_hand: Any, weeks: Any) -> None:
    scene, truth = world(by_hand, weeks, lost(0.5), share=0.0)
    found, below = found_in(scene)
    assert found.undecided
    assert found.other_world is not None
    assert found.other_world == pytest.approx(change(below.corrected))
    assert change(found.ladder.corrected)[0] - found.other_world[0] > 0.03
    assert found.ladder.corrected[0, CURRENT] == pytest.approx(truth, abs=0.03)


def test_an_audit_settles_lost_positives(by_hand: Any, weeks: Any) -> None:
    scene, truth = world(by_hand, weeks, lost(0.5), share=0.8)
    found, _ = found_in(scene)
    assert found.audited
    assert not found.undecided
    assert found.lost is not None
    assert found.ladder.corrected[0, CURRENT] == pytest.approx(truth, abs=0.02)


def test_an_audit_clears_drift_beside_random_loss(by_hand: Any, weeks: Any) -> None:
    scene, _ = world(by_hand, weeks, lost(0.3, outcome=None), share=0.6, truth=drift)
    found, below = found_in(scene)
    assert found.lost is None
    assert not found.undecided
    assert found.ladder is below


def test_an_audit_finds_what_no_count_shows(by_hand: Any, weeks: Any) -> None:
    """More positives than negatives lose their labels, so that counts look like random loss beside drift."""

    def lose(frame: pl.DataFrame, outcome: Any) -> Any:
        hit = frame["current"].to_numpy() & frame["flagged"].to_numpy()
        return np.where(hit, np.where(outcome == 1, 0.6, 0.35), 0.1)

    scene, truth = world(by_hand, weeks, lose, share=0.9)
    found, _ = found_in(scene)
    assert found.pattern is not None
    assert not found.pattern.fires
    assert found.audited
    assert found.ladder.corrected[0, CURRENT] == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 0.8])
def test_both_losses_add_up_and_the_audit_moves_only_the_one_by_outcome(by_hand: Any, weeks: Any, share: float) -> None:
    scene, _ = world(by_hand, weeks, lost(0.5), share=share)
    found, below = found_in(scene)
    assert found.lost is not None
    whole = change(below.like_for_like) - change(found.ladder.corrected)
    assert found.lost + found.ladder.label_loss == pytest.approx(whole)
    assert abs(found.ladder.label_loss[0]) < 0.03


def test_what_is_explained_and_healthy_weeks_stay_as_they_are(by_hand: Any, weeks: Any) -> None:
    healthy, _ = world(by_hand, weeks, None, share=0.0)
    hit, _ = world(by_hand, weeks, lost(0.5), share=0.0)
    for scene, explained in ((healthy, False), (hit, True)):
        found, below = found_in(scene, explained=explained)
        assert found.lost is None
        assert found.ladder is below
