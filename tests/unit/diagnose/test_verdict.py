"""One word from the material families, by the table of rules."""

import pytest

from fbkit.diagnose.sentences import CLAUSE
from fbkit.diagnose.triage import triage
from fbkit.diagnose.verdict import top_cause, verdict_of
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.label import LabelWindow
from fbkit.schema.results import FAMILY_OF_CAUSE


def part(cause, value, *, material=True):
    return Contribution(
        cause=cause, family=FAMILY_OF_CAUSE[cause], value=value, lower=None, upper=None, material=material,
        strength="probable", where="everywhere", evidence="", next_evidence="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("causes", "verdict"),
    [
        ((), "noise"),
        (("concept_drift",), "quality"),
        (("label_slice_loss", "join_break"), "labels"),
        (("concept_drift", "label_slice_loss"), "both"),
        (("mix_shift", "covariate_shift"), "mix"),
        (("threshold_change",), "policy"),
        (("threshold_change", "label_slice_loss"), "several"),
        (("concept_drift", "label_slice_loss", "mix_shift"), "several"),
    ],
)
def test_the_verdict_follows_the_families(causes, verdict):
    parts = [part(cause, -0.1) for cause in causes] + [part("noise", -0.5, material=False)]
    assert verdict_of(parts) == verdict
    assert verdict_of(parts, undecided=True) == "undecided"


def test_the_top_cause_is_the_largest_whatever_its_sign():
    parts = [part("concept_drift", -0.10), part("label_slice_loss", 0.12), part("mix_shift", -0.9, material=False)]
    assert top_cause(parts) == ("label_slice_loss", "labels")
    assert top_cause([part("mix_shift", -0.9, material=False)]) == ("noise", "noise")


def test_numbers_of_the_answers_stand_in_their_frames(by_hand, weeks):
    joined = by_hand(n=6000)
    said = triage(joined, weeks, draws=40)
    for check in said.checks:
        assert check.table in said.evidence
        assert check.seconds >= 0
    corrected = said.evidence["corrected"]
    assert all(f"{value:.3f}" in said.checks[1].answer for value in corrected["corrected"])
    share = said.evidence["availability_by_decision"]["availability"]
    assert all(f"{value * 100:.1f} %" in said.checks[0].answer for value in share)
    assert LabelWindow.of(joined.contract).delay.days == 7


def test_every_cause_that_can_be_claimed_has_its_words():
    assert set(CLAUSE) == set(FAMILY_OF_CAUSE)


def test_two_runs_say_the_same(by_hand, weeks):
    first, second = (triage(by_hand(n=3000), weeks, draws=30) for _ in range(2))
    assert first.headline == second.headline
    assert first.contributions == second.contributions
    assert first.evaluation_id == second.evaluation_id
    for name, frame in first.evidence.items():
        if name != "checks":
            assert frame.equals(second.evidence[name])
