"""Labels lost by outcome: what counts ask, what an audit answers, and that nothing is counted twice."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.by_outcome import ByOutcome, by_outcome, told
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.rows import CURRENT, cross
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import SETTINGS
from tests.unit.diagnose.test_audit import audited_scene, everything, statements
from tests.unit.diagnose.test_nonrandom import drift, lost


def counted(scene: Scene) -> Cells:
    return scene.table(cross((), scene.encoded, rows=len(scene.rows)), scene.labels)


def world(
    by_hand: Any, weeks: Any, lose: Any, *, share: float, metric: str = "recall", **more: Any
) -> tuple[Scene, ByOutcome, float]:
    """A world, what is found of it, and its current recall; ``share`` of the unlabelled current rows is audited."""
    hand = by_hand(n=16_000, lose=lose, **more)
    pairs = statements(hand.frame, everything(hand.frame) * share, np.random.default_rng(7))
    scene = audited_scene(hand, weeks, pairs, metric=metric, draws=100)
    now = hand.frame.filter(pl.col("current"))
    return (
        scene,
        by_outcome(scene, scene.labels, counted(scene)),
        (now["outcome"] * now["flagged"]).sum() / now["outcome"].sum(),
    )


def top(scene: Scene, found: ByOutcome) -> float:
    """The corrected current metric with what was lost back."""
    plain = evaluate(scene.metric, corrected(counted(scene), thin=SETTINGS.thin_cell))
    return float((plain + found.lift_corrected)[0, CURRENT])


def test_without_an_audit_lost_positives_leave_two_worlds(by_hand: Any, weeks: Any) -> None:
    scene, found, truth = world(by_hand, weeks, lost(0.5), share=0.0)
    assert found.found
    assert not found.settled
    assert found.best == "probable"
    assert found.gap is not None
    assert found.gap > 0.03
    assert top(scene, found) == pytest.approx(truth, abs=0.03)
    text, following = told(found)
    assert "positives went missing, negatives did not" in text
    assert "would decide" in following


def test_an_audit_settles_lost_positives(by_hand: Any, weeks: Any) -> None:
    scene, found, truth = world(by_hand, weeks, lost(0.5), share=0.8)
    assert found.found
    assert found.settled
    assert found.audited
    assert found.best == "established"
    assert top(scene, found) == pytest.approx(truth, abs=0.02)
    assert "An audit finds" in told(found)[0]


def test_an_audit_clears_drift_beside_random_loss(by_hand: Any, weeks: Any) -> None:
    _, found, _ = world(by_hand, weeks, lost(0.3, outcome=None), share=0.6, truth=drift)
    assert not found.found
    assert found.settled
    assert found.lost is None
    assert not found.lift.any()
    assert "within chance" in told(found)[0]


def test_an_audit_finds_what_no_count_shows(by_hand: Any, weeks: Any) -> None:
    """Every other label of positives and of negatives with high scores is lost: counts look like random loss."""

    def lose(frame: pl.DataFrame, outcome: Any) -> Any:
        hit = frame["current"].to_numpy() & frame["flagged"].to_numpy()
        return np.where(hit, np.where(outcome == 1, 0.6, 0.35), 0.1)

    scene, found, truth = world(by_hand, weeks, lose, share=0.9)
    assert found.pattern is not None
    assert not found.pattern.fires
    assert found.audited
    assert top(scene, found) == pytest.approx(truth, abs=0.02)
    assert found.where == "rows without a label"


@pytest.mark.parametrize("share", [0.0, 0.8])
def test_what_is_left_for_random_loss_is_the_same_with_and_without_an_audit(
    by_hand: Any, weeks: Any, share: float
) -> None:
    """Loss by outcome and loss at random add up to the whole, and the audit changes only the former."""
    scene, found, _ = world(by_hand, weeks, lost(0.5), share=share)
    cells = counted(scene)
    repaired = evaluate("recall", cells.like_for_like())
    plain = evaluate("recall", corrected(cells, thin=SETTINGS.thin_cell))
    at_random = (repaired + found.lift) - (plain + found.lift_corrected)
    assert found.lost is not None
    whole = (repaired - plain - found.lift_corrected)[0]
    assert (at_random[0, 1] - at_random[0, 0]) + found.lost[0] == pytest.approx(whole[1] - whole[0])
    assert abs(at_random[0, CURRENT]) < 0.03


def test_a_metric_that_did_not_move_has_nothing_to_decide(by_hand: Any, weeks: Any) -> None:
    _, found, _ = world(by_hand, weeks, lost(0.5, flagged=None), share=0.0)
    assert found.found
    assert found.settled
    assert found.where == "positives"


@pytest.mark.parametrize(
    ("lose", "where", "said"),
    [
        (lost(0.6, flagged=False), "positives that were not flagged", "missed positives lost their labels"),
        (lost(0.6, outcome=0), "flagged negatives", "negatives went missing, positives did not"),
        (lost(0.6), "flagged positives", "positives went missing, negatives did not"),
    ],
)
def test_the_words_say_whose_labels_are_gone(by_hand: Any, weeks: Any, lose: Any, where: str, said: str) -> None:
    _, found, _ = world(
        by_hand, weeks, lose, share=0.0, metric="precision" if where == "flagged negatives" else "recall"
    )
    assert found.where == where
    assert said in told(found)[0]


def test_what_is_explained_and_healthy_weeks_stay_as_they_are(by_hand: Any, weeks: Any) -> None:
    scene, found, _ = world(by_hand, weeks, None, share=0.0)
    assert not found.found
    hit, _, _ = world(by_hand, weeks, lost(0.5), share=0.0)
    again = by_outcome(hit, hit.labels, counted(hit), explained=True)
    assert not again.found
    assert not again.lift.any()
    assert told(found)[0] == ""
    assert scene.resampler.draws == 100
