from dataclasses import replace

import polars as pl
import pytest

from fbkit.samples import WorldConfig, scenarios
from fbkit.samples.faults import FAULTS
from fbkit.samples.ranking import list_truth
from fbkit.samples.regression import cost_truth
from fbkit.samples.scenarios import SCENARIOS, Scenario
from fbkit.samples.truth import MATERIAL, Truth, truth
from fbkit.schema.contract import Contract

ROWS = 20_000
USUAL = [s for s in SCENARIOS.values() if s.config == WorldConfig() and not s.lacks]


def told(scenario: Scenario) -> Truth:
    return truth(scenario.config, scenario.faults, rows=ROWS)


def names(chosen: list[Scenario]) -> list[str]:
    return [scenario.name for scenario in chosen]


def test_no_scenario_hides_another_of_the_same_name() -> None:
    parts = (
        scenarios.quality,
        scenarios.labels,
        scenarios.mix_and_policy,
        scenarios.pipeline,
        scenarios.several,
        scenarios.censored,
        scenarios.healthy,
        scenarios.in_other_loops,
        scenarios.ablations,
        scenarios.tasks,
    )
    assert sum(len(part()) for part in parts) == len(SCENARIOS)
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_every_cause_has_scenarios_of_its_own(cause: str) -> None:
    own = [s for s in SCENARIOS.values() if s.causes == (cause,) and s.kind in {"cause", "undecidable"}]
    assert len(own) >= 2


SIZED = [s for s in USUAL if s.kind == "cause" and s.size is not None]


@pytest.mark.parametrize("scenario", SIZED, ids=names(SIZED))
def test_a_size_is_an_effect_on_recall(scenario: Scenario) -> None:
    found = told(scenario)
    low, high = {"mild": (0.018, 0.034), "moderate": (0.03, 0.085), "severe": (0.095, 0.15)}[scenario.size or "mild"]
    assert low <= abs(found.contributions[0].value) <= high
    assert (found.verdict, found.top_cause) == (FAULTS[scenario.causes[0]].family, scenario.causes[0])


COMPOUND = [s for s in USUAL if s.kind == "compound"]


@pytest.mark.parametrize("scenario", COMPOUND, ids=names(COMPOUND))
def test_every_part_of_a_compound_is_material(scenario: Scenario) -> None:
    assert len(scenario.causes) in {2, 3}
    assert min(abs(part.value) for part in told(scenario).contributions) > 4 * MATERIAL


MASKED = [s for s in USUAL if s.kind == "masked"]


@pytest.mark.parametrize("scenario", MASKED, ids=names(MASKED))
def test_a_masked_drop_is_a_true_drop_that_the_labels_do_not_show(scenario: Scenario) -> None:
    found = told(scenario)
    assert found.true.change < -0.04
    assert found.observed.change > 0


HARMLESS = [s for s in USUAL if s.kind == "no_change"]


@pytest.mark.parametrize("scenario", HARMLESS, ids=names(HARMLESS))
def test_a_week_without_change_has_none(scenario: Scenario) -> None:
    found = told(scenario)
    assert abs(found.observed.change) < MATERIAL
    assert found.verdict == "noise"


def test_weeks_without_change_in_other_loops_have_no_cause() -> None:
    quiet = [s for s in SCENARIOS.values() if s.kind == "no_change" and s not in HARMLESS and s.task == "binary"]
    assert len(quiet) > 10
    assert all(scenario.faults == () for scenario in quiet)


def test_an_undecidable_scenario_is_one_that_the_labels_cannot_tell() -> None:
    chosen = [s for s in SCENARIOS.values() if s.kind == "undecidable"]
    assert {cause for s in chosen for cause in s.causes} == {
        "label_loss_nonrandom",
        "action_censoring",
        "concept_drift",
    }
    for scenario in chosen:
        if scenario.causes == ("action_censoring",):
            assert [getattr(fault, "exploration", None) for fault in scenario.faults] == [0.0]


OTHERS = [s for s in SCENARIOS.values() if s.task != "binary"]


@pytest.mark.parametrize("scenario", OTHERS, ids=names(OTHERS))
def test_incidents_of_other_tasks_have_the_verdict_of_their_causes(scenario: Scenario) -> None:
    f = cost_truth if scenario.task == "regression" else list_truth
    found = f(scenario.config, scenario.faults, metric=scenario.metric, rows=ROWS)
    if scenario.kind == "no_change":
        assert found.verdict == "noise"
    else:
        families = {part.family for part in found.contributions}
        assert found.verdict == ("both" if families == {"quality", "labels"} else families.pop())


@pytest.mark.parametrize(
    "name",
    [
        "healthy-blocking",
        "concept_drift-severe-silence_is_negative",
        "label_outage-severe-no_arrival",
        "healthy-no_ids",
        "costs-serving_fallback",
        "lists-concept_drift",
    ],
)
def test_a_scenario_is_a_loop_whose_contract_holds(name: str) -> None:
    scenario = SCENARIOS[name]
    small = replace(scenario, config=replace(scenario.config, per_day=20))
    simulation = small(4)
    Contract.from_toml(simulation.contract_toml)
    assert small(4).outcomes.equals(simulation.outcomes)
    assert simulation.config.per_day == 20
    for part, column in (("arrival", "ts_arrival"), ("ids", "prediction_id")):
        if part in scenario.lacks:
            assert column not in simulation.outcomes.columns
    assert simulation.predictions.select(pl.len()).item() > 500


def test_the_truth_of_a_scenario_is_that_of_its_metric_unless_another_is_asked_for() -> None:
    assert SCENARIOS["healthy"].truth().metric == "recall"
    assert SCENARIOS["healthy"].truth(metric="brier").metric == "brier"
    assert SCENARIOS["costs-healthy"].truth().metric == "mae"
