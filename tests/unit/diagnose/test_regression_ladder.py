"""Errors of numbers on the ladder: simulated costs with known faults get their name, and nothing else does."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

import fbkit as fb
from fbkit.samples.faults import FeatureCorruption, ImmatureWindow, Injection, LabelSliceLoss, MixShift
from fbkit.samples.regression import CostDrift, RegressionConfig, cost_truth, simulate_costs

CONFIG = RegressionConfig(reference_weeks=4, per_day=700)
CURRENT = CONFIG.start + timedelta(days=CONFIG.reference_days)
COMPARISON = fb.Comparison(
    reference=f"{CONFIG.start:%Y-%m-%d}..{CURRENT:%Y-%m-%d}",
    current=f"{CURRENT:%Y-%m-%d}..{CURRENT + timedelta(days=7):%Y-%m-%d}",
)
BUSINESS = {"customer": "business"}
FAULTS: dict[str, tuple[Sequence[Injection], str]] = {
    "well": ((), "noise"),
    "dearer": ((CostDrift(severity=0.3),), "concept_drift"),
    "mix": ((MixShift(severity=8.0, where=BUSINESS),), "mix_shift"),
    "lost": ((MixShift(severity=3.0, where=BUSINESS, start=-28), LabelSliceLoss(severity=0.95, where=BUSINESS)), ""),
    "nulls": ((FeatureCorruption(severity=0.3, feature="log_amount"),), "feature_corruption"),
    "young": ((ImmatureWindow(severity=12.0),), "noise"),
}


@pytest.fixture(scope="module")
def loops(tmp_path_factory) -> dict[str, fb.Joined]:
    root = tmp_path_factory.mktemp("costs")
    made = {name: simulate_costs(CONFIG, faults, seed=3) for name, (faults, _) in FAULTS.items()}
    return {name: fb.open_loop(loop.write(root / name)).join(as_of=loop.as_of) for name, loop in made.items()}


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "lost"])
def test_a_fault_gets_its_name(loops, name) -> None:
    faults, cause = FAULTS[name]
    said = fb.triage(loops[name], COMPARISON, metric="mae", draws=100)
    truth = cost_truth(CONFIG, faults, metric="mae", rows=60_000)
    assert said.top_cause == cause
    spread = (said.true_change.upper - said.true_change.lower) / 2
    assert said.true_change.value == pytest.approx(truth.true.change, abs=1.5 * spread)
    assert said.tipping_ratio is None
    assert said.worst_case["current"] == (None, None)


def test_labels_lost_in_a_slice_are_weighted_back(loops) -> None:
    """Business payments are dearer, and their labels are gone: the error seems smaller than it is."""
    said = fb.triage(loops["lost"], COMPARISON, metric="mae", draws=100)
    part = next(part for part in said.contributions if part.cause == "label_slice_loss")
    assert part.material
    assert part.value < 0
    assert part.where == "customer=business"
    assert said.verdict == "labels"


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("metric", ["mae", "rmse", "bias"])
def test_contributions_sum_and_no_decision_is_spoken_of(loops, name, metric) -> None:
    said = fb.triage(loops[name], COMPARISON, metric=metric, draws=20)
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-9)
    causes = {part.cause for part in said.contributions}
    assert not causes & {"threshold_change", "label_loss_nonrandom", "action_censoring", "label_definition_change"}
    spoken = " ".join(
        [said.headline, *(check.answer for check in said.checks), *(p.evidence for p in said.contributions)]
    )
    assert "flagged" not in spoken
    assert "positives" not in spoken
