"""Which worlds fit the same logs, and when the verdict waits."""

from dataclasses import replace

import numpy as np
import pytest

from fbkit.diagnose.bounds import tipping_ratio
from fbkit.diagnose.worlds import Unsettled, twins, undecided
from fbkit.schema.results import FAMILY_OF_CAUSE

LOST = Unsettled(tipping=0.53, nonrandom=(1, 1), nonrandom_gap=0.1, audit_flagged=280, audit_unflagged=520)


def test_a_selection_by_the_tipping_ratio_makes_the_whole_change() -> None:
    """Brute force: label detected positives at that ratio, and an unchanged recall is seen as the other."""
    reference, current = 0.8, 0.68
    ratio = tipping_ratio(reference, current)
    assert ratio is not None
    detected, missed = 8000 * 0.9 * ratio, 2000 * 0.9
    assert detected / (detected + missed) == pytest.approx(current)


@pytest.mark.parametrize(("reference", "current"), [(1.0, 0.7), (0.8, 0.0)])
def test_no_ratio_at_the_ends(reference: float, current: float) -> None:
    assert tipping_ratio(reference, current) is None


def test_settled_logs_have_one_world() -> None:
    assert twins(Unsettled(tipping=0.5)) == ()
    assert undecided(Unsettled(tipping=0.5), floor=0.01) is None


def test_lost_positives_and_drift_are_named_with_the_size_of_the_audit() -> None:
    (pair,) = twins(LOST)
    assert [world.causes for world in pair.worlds] == [
        ("label_loss_nonrandom",),
        ("concept_drift", "label_slice_loss"),
    ]
    for world in pair.worlds:
        told = world.as_dict()
        assert told["tipping_ratio"] == 0.53
        assert "280 flagged and 520 unflagged" in str(told["decided_by"])
    assert undecided(LOST, floor=0.01) == pair.reason


def test_an_audit_that_decided_leaves_one_world() -> None:
    assert undecided(replace(LOST, audited=True), floor=0.01) is None


def test_worlds_that_agree_to_within_the_floor_withhold_nothing() -> None:
    close = replace(LOST, nonrandom_gap=-0.004)
    assert len(twins(close)) == 1
    assert undecided(close, floor=0.01) is None
    assert undecided(replace(close, nonrandom_gap=-0.02), floor=0.01) is not None


def test_a_version_that_cannot_be_replayed_is_named_and_withholds_no_verdict() -> None:
    switched = Unsettled(version=True, version_gap=0.2)
    assert [world.causes for world in twins(switched)[0].worlds] == [("version_regression",), ("concept_drift",)]
    assert undecided(switched, floor=0.01) is None


@pytest.mark.parametrize(
    "open_",
    [
        Unsettled(bounds_only=True),
        Unsettled(age_unknown=True, decidable="2026-10-20"),
        Unsettled(definition=True),
        Unsettled(nonrandom=(1, 0)),
        Unsettled(nonrandom=(0, 1)),
    ],
)
def test_every_kind_has_a_reason_and_causes_of_the_vocabulary(open_: Unsettled) -> None:
    (pair,) = twins(open_)
    assert undecided(open_, floor=0.01) == pair.reason
    assert pair.worlds[0].causes != pair.worlds[1].causes
    for world in pair.worlds:
        assert set(world.causes) <= set(FAMILY_OF_CAUSE)
        assert world.decided_by
        assert world.tipping_ratio is None


def test_several_open_questions_are_all_told() -> None:
    many = replace(LOST, bounds_only=True, age_unknown=True, decidable="2026-10-20", version=True, definition=True)
    assert len(twins(many)) == 5
    assert np.unique([pair.reason for pair in twins(many)]).size == 5
