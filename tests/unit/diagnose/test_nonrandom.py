"""Count conservation: which losses leave the pattern of labels lost by outcome, and which only look like it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.nonrandom import Conservation, conservation, give_back
from fbkit.diagnose.rows import CURRENT, cross
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import SETTINGS

Lose = Callable[[pl.DataFrame, Any], Any]


def look(
    by_hand: Any, weeks: Any, lose: Lose | None = None, *, n: int = 24_000, seed: int = 0, **world: Any
) -> tuple[Conservation, Cells, float]:
    """The pattern, the counts, and the current recall of all outcomes."""
    hand = by_hand(n=n, seed=seed, lose=lose, **world)
    reference, current = weeks.periods()
    scene = set_scene(hand, metric="recall", reference=reference, current=current, draws=80, seed=3, settings=SETTINGS)
    cells = scene.table(cross(("region",), scene.encoded, rows=len(scene.rows)), scene.labels)
    now = hand.frame.filter(pl.col("current"))
    hits = (now["outcome"] * now["flagged"]).sum()
    return conservation(cells, settings=SETTINGS), cells, hits / now["outcome"].sum()


def lost(share: float, *, outcome: int | None = 1, flagged: bool | None = True, region: str | None = None) -> Lose:
    """The current week loses labels: of one outcome, one decision, one region; 8 % go missing everywhere."""

    def lose(frame: pl.DataFrame, y: Any) -> Any:
        hit = frame["current"].to_numpy().copy()
        if flagged is not None:
            hit &= frame["flagged"].to_numpy() == flagged
        if region is not None:
            hit &= frame["region"].to_numpy() == region
        if outcome is not None:
            hit &= y == outcome
        return np.where(hit, share, 0.08)

    return lose


def drift(frame: pl.DataFrame) -> Any:
    """In the current week a third of what the score promises is gone."""
    score = frame["score"].to_numpy()
    return np.where(frame["current"], 0.65 * score + 0.35 * score.mean(), score)


def recall(cells: Cells) -> float:
    return float(evaluate("recall", corrected(cells, thin=SETTINGS.thin_cell))[0, CURRENT])


@pytest.mark.parametrize("region", [None, "EU"])
def test_lost_flagged_positives_are_found_and_given_back(by_hand: Any, weeks: Any, region: str | None) -> None:
    found, cells, truth = look(by_hand, weeks, lost(0.5, region=region))
    assert found.fires
    assert (found.outcome, found.decision) == (1, 1)
    assert len(found.strata) == (1 if region else 3)
    given = recall(give_back(cells, found))
    assert given == pytest.approx(truth, abs=0.03)
    if region is None:
        assert recall(cells) < truth - 0.04


def test_positives_lost_on_both_sides_are_given_back_on_both(by_hand: Any, weeks: Any) -> None:
    found, cells, truth = look(by_hand, weeks, lost(0.5, flagged=None))
    assert found.fires
    assert found.everywhere
    assert found.lost_missed == pytest.approx(found.expected_missed / 2, rel=0.35)
    assert recall(give_back(cells, found)) == pytest.approx(truth, abs=0.04)


def test_lost_missed_positives_make_a_rise_that_is_taken_back(by_hand: Any, weeks: Any) -> None:
    found, cells, truth = look(by_hand, weeks, lost(0.6, flagged=False))
    assert found.fires
    assert (found.outcome, found.decision) == (1, 0)
    assert recall(cells) > truth + 0.05
    assert recall(give_back(cells, found)) == pytest.approx(truth, abs=0.04)


def test_lost_negatives_are_told_from_lost_positives(by_hand: Any, weeks: Any) -> None:
    found, cells, truth = look(by_hand, weeks, lost(0.6, outcome=0))
    assert found.fires
    assert (found.outcome, found.decision) == (0, 1)
    assert recall(give_back(cells, found)) == pytest.approx(truth, abs=0.04)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.5])
def test_random_loss_of_flagged_rows_does_not_fire_under_drift(by_hand: Any, weeks: Any, share: float) -> None:
    for seed in range(4):
        found, _, _ = look(by_hand, weeks, lost(share, outcome=None), seed=seed, truth=drift)
        assert not found.fires


@pytest.mark.parametrize("lose", [None, lost(0.4, outcome=None), lost(0.4, outcome=None, flagged=None)])
def test_healthy_weeks_and_random_loss_do_not_fire(by_hand: Any, weeks: Any, lose: Lose | None) -> None:
    for seed in range(6):
        found, cells, _ = look(by_hand, weeks, lose, seed=seed)
        assert not found.fires
        assert found.lost_missed == 0
        assert (give_back(cells, found).v0 == cells.v0).all()


def test_loss_that_follows_the_score_does_not_fire(by_hand: Any, weeks: Any) -> None:
    def graded(frame: pl.DataFrame, y: Any) -> Any:
        hit = frame["current"].to_numpy() & frame["flagged"].to_numpy()
        return np.where(hit, frame["score"].to_numpy() ** 2 * 0.9, 0.08)

    for seed in range(4):
        assert not look(by_hand, weeks, graded, seed=seed)[0].fires


def test_what_is_explained_already_does_not_fire(by_hand: Any, weeks: Any) -> None:
    found, cells, _ = look(by_hand, weeks, lost(0.5))
    assert found.fires
    assert not conservation(cells, settings=SETTINGS, explained=True).fires


def test_expected_counts_are_reference_rates_times_rows(by_hand: Any, weeks: Any) -> None:
    found, cells, _ = look(by_hand, weeks, lost(0.5))
    n, v1, v0 = (part[0].sum((-2, -1)) for part in (cells.n, cells.v1, cells.v0))
    seen = (v1 + v0)[0, 1] / n[0, 1] * ((v1 + v0)[1, 0] / n[1, 0]) / ((v1 + v0)[0, 0] / n[0, 0])
    assert found.expected_positives + found.expected_negatives == pytest.approx(n[1, 1] * seen, rel=0.02)
    assert found.missing == pytest.approx((n - v1 - v0)[1, 1])
    assert found.positives == pytest.approx(v1[1, 1])
