"""The climb: repairs in order, each rung's difference its contribution, what does not fire left alone."""

from dataclasses import replace

import numpy as np
import pytest

from fbkit.diagnose import climb as climbing
from fbkit.diagnose.labels import Repair
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import SETTINGS


@pytest.fixture
def scene(by_hand, weeks):
    reference, current = weeks.periods()
    joined = by_hand(n=4000, lose=lambda frame, outcome: np.full(len(outcome), 0.2))
    return set_scene(joined, metric="recall", reference=reference, current=current, draws=40, seed=0, settings=SETTINGS)


def flagged_missing_as(value, *, fires=True, either_side=False):
    """A repair that gives every flagged current row without a label this label."""

    def repair(scene, labels):
        where = (scene.rows.decision == 1) & (scene.rows.window == 1) & ~labels.seen
        made = labels.with_labels(where, np.full(int(where.sum()), value))
        sides = tuple(labels.with_labels(where, np.full(int(where.sum()), v)) for v in (value - 0.2, value + 0.2))
        return Repair(cause="join_break", labels=made, fires=fires, either_side=sides if either_side else ())

    return repair


def climbed(scene, monkeypatch, *repairs):
    monkeypatch.setattr(climbing, "EARLY", repairs)
    monkeypatch.setattr(climbing, "arrival_repairs", lambda scene, labels: ())
    return climbing.climb(scene)


def test_the_contribution_of_a_rung_is_its_difference(scene, monkeypatch):
    found = climbed(scene, monkeypatch, flagged_missing_as(1.0))
    rows, (step,) = scene.rows, found.steps
    now = rows.window == 1
    shown = (rows.positive & (rows.decision == 1) & now).sum() / (rows.positive & now).sum()
    added = (~rows.labelled & (rows.decision == 1) & now).sum()
    lifted = ((rows.positive & (rows.decision == 1) & now).sum() + added) / ((rows.positive & now).sum() + added)
    assert step.contribution[0] == pytest.approx(shown - lifted)
    assert found.reached[0, 1] == pytest.approx(lifted)
    assert found.reached[0, 0] == found.observed[0, 0]


def test_a_repair_that_does_not_fire_changes_nothing_but_is_told(scene, monkeypatch):
    found = climbed(scene, monkeypatch, flagged_missing_as(1.0, fires=False), lambda scene, labels: None)
    assert found.steps == ()
    assert [repair.cause for repair in found.looked_at] == ["join_break"]
    assert (found.reached == found.observed).all()
    assert (found.labels.seen == scene.labels.seen).all()


def test_repairs_build_on_each_other(scene, monkeypatch):
    found = climbed(scene, monkeypatch, flagged_missing_as(1.0), flagged_missing_as(0.0))
    assert len(found.steps) == 2
    assert found.steps[1].contribution == pytest.approx(np.zeros(41)), "the second finds nothing left to do"
    total = sum(step.contribution for step in found.steps)
    assert climbing.change(found.observed) - total == pytest.approx(climbing.change(found.reached))


def test_an_estimated_repair_is_unsure_in_the_draws_and_exact_in_the_data(scene, monkeypatch):
    sure = climbed(scene, monkeypatch, flagged_missing_as(0.5))
    unsure = climbed(scene, monkeypatch, flagged_missing_as(0.5, either_side=True))
    assert unsure.reached[0] == pytest.approx(sure.reached[0])
    wider = np.std(unsure.reached[1:, 1]) / np.std(sure.reached[1:, 1])
    assert wider > 1.02
    assert unsure.spread[0] == pytest.approx(np.zeros(2))


def test_without_draws_an_estimated_repair_is_a_plain_one(scene, monkeypatch):
    bare = replace(scene, resampler=replace(scene.resampler, weights=scene.resampler.weights[:, :0]))
    found = climbed(bare, monkeypatch, flagged_missing_as(0.5, either_side=True))
    assert found.reached.shape == (1, 2)
