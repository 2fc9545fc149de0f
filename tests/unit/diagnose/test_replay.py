"""Shapley values against their definition, replays against direct computation."""

from itertools import permutations

import numpy as np
import pytest

from fbkit.diagnose.bootstrap import Resampler
from fbkit.diagnose.cells import count
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.replay import COVARIATE, MIX, PLAYERS, THRESHOLD, Stage, shapley
from fbkit.diagnose.rows import cross, encode, prepare


@pytest.fixture
def stage(by_hand, weeks):
    joined = by_hand(
        n=8000,
        threshold=lambda frame: np.where(frame["current"], 0.6, 0.5),
        device=lambda u, current: u < np.where(current, 0.7, 0.3),
        truth=lambda frame: np.where(frame["device"] == "app", 0.3, frame["score"]),
    )
    reference, current = weeks.periods()
    rows = prepare(joined.frame, metric="recall", reference=reference, current=current)
    encoded = {"device": encode(rows.frame["device"])}
    resampler = Resampler.make(np.arange(len(rows)) % 512, draws=5, seed=0, buckets=512)
    bin_of = np.minimum((rows.score * 10 + 1e-9).astype(np.int64), 9)
    cells = count(
        rows,
        Labels.as_shown(rows),
        cross(["device"], encoded, rows=len(rows)),
        bin_of=bin_of,
        bins=10,
        resampler=resampler,
    )
    return Stage.of(cells, metric="recall", thin=6)


def test_shapley_equals_the_mean_over_all_orders(stage):
    found = shapley(stage, PLAYERS)
    for player in PLAYERS:
        steps = []
        for order in permutations(PLAYERS):
            before = order[: order.index(player)]
            steps.append(stage.value((*before, player)) - stage.value(before))
        assert found[player] == pytest.approx(np.mean(steps, axis=0), abs=1e-12)
    total = stage.value(PLAYERS) - stage.value(())
    assert sum(found.values()) == pytest.approx(total, abs=1e-12)


def test_a_symmetric_pair_shares_equally_and_a_dummy_gets_nothing(stage):
    alone = shapley(stage, (THRESHOLD,))[THRESHOLD]
    assert alone == pytest.approx(stage.value((THRESHOLD,)) - stage.value(()))
    assert alone[0] < 0


def test_the_mix_replay_is_a_reweighting(stage):
    share = stage.share[1][0, 0]
    rate, inside, flagged = stage.rate[0], stage.inside[0][0], stage.flagged[0][0]
    positive = share * inside * rate
    assert stage.value((MIX,))[0] == pytest.approx((positive * flagged).sum() / positive.sum())


def test_with_everything_current_only_the_outcomes_are_the_references(stage):
    size = stage.share[1] * stage.inside[1]
    assert size.sum((1, 2)) == pytest.approx(np.ones(6))
    positive = size * stage.rate
    expected = (positive * stage.flagged[1]).sum((1, 2)) / positive.sum((1, 2))
    assert stage.value((THRESHOLD, MIX, COVARIATE)) == pytest.approx(expected)
