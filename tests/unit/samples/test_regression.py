from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.samples import simulate
from fbkit.samples.faults import (
    ConceptDrift,
    CovariateShift,
    FeatureCorruption,
    ImmatureWindow,
    Injection,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    SlowLabels,
    VersionRegression,
)
from fbkit.samples.regression import (
    METRICS,
    CostDrift,
    CostSimulation,
    RegressionConfig,
    absolute_error,
    cost_truth,
    simulate_costs,
)

CONFIG = RegressionConfig(reference_weeks=2, per_day=1500)
ROWS = 100_000
BUSINESS = {"customer": "business"}
FAULTS: dict[str, Injection] = {
    "none": CostDrift(severity=0.0),
    "dearer": CostDrift(severity=0.15),
    "more spread": CostDrift(severity=0.5, how="noise", where={"region": "EU"}),
    "version": VersionRegression(severity=0.3),
    "covariates": CovariateShift(severity=0.7, feature="log_amount"),
    "mix": MixShift(severity=4.0, where=BUSINESS),
    "nulls": FeatureCorruption(severity=0.3, feature="log_amount"),
    "fallback": ServingFallback(severity=0.2),
    "log loss": PredictionLogLoss(severity=0.7, where=BUSINESS),
    "slice loss": LabelSliceLoss(severity=0.9, where=BUSINESS),
    "outage": LabelOutage(severity=1.0, start=1, end=5, where={"region": "LATAM"}),
    "slow": SlowLabels(severity=10.0, where=BUSINESS),
    "immature": ImmatureWindow(severity=12.0),
}
LABELS = ("slice loss", "outage", "slow", "immature", "log loss")


def errors(simulation: CostSimulation, window: Sequence[bool] | pl.Expr) -> np.ndarray:
    rows = simulation.predictions.join(simulation.outcomes.drop("entity_id"), on="prediction_id").filter(window)
    return (rows["score"] - rows["value"]).to_numpy()


def test_the_expected_distance_of_a_log_normal_cost_by_brute_force() -> None:
    rng = np.random.default_rng(5)
    score, mean, spread = np.array([30.0, 50.0, 80.0]), np.array([40.0, 45.0, 60.0]), np.array([0.2, 0.5, 0.9])
    draws = mean * np.exp(spread * rng.standard_normal((400_000, 3)) - spread**2 / 2)
    found = absolute_error(score, mean, spread)
    distance = np.abs(draws - score)
    assert np.all(np.abs(found - distance.mean(axis=0)) < 4 * distance.std(axis=0) / np.sqrt(len(draws)))


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_the_logs_move_by_what_the_truth_says(name: str) -> None:
    simulation = simulate_costs(CONFIG, [FAULTS[name]], seed=3)
    current = pl.col("ts_pred") >= CONFIG.current_start
    for window, attribute in ((current, "current"), (~current, "reference")):
        error = errors(simulation, window)
        drawn = {"mae": np.abs(error), "bias": error, "rmse": error**2}
        for metric, values in drawn.items():
            goal = getattr(cost_truth(CONFIG, [FAULTS[name]], metric=metric, rows=ROWS).observed, attribute)
            goal = goal**2 if metric == "rmse" else goal
            # Accounts repeat, and the truth is itself the mean of ROWS / 2 rows.
            allowed = 4 * values.std() * np.sqrt(1.5 / len(values) + 2 / ROWS)
            assert abs(values.mean() - goal) < allowed


@pytest.mark.parametrize("name", LABELS)
def test_faults_of_labels_and_logs_leave_the_true_error_alone(name: str) -> None:
    found = cost_truth(CONFIG, [FAULTS[name]], rows=ROWS)
    assert found.contributions[0].true_value == 0
    assert found.true == cost_truth(CONFIG, [], rows=ROWS).true


def test_a_slice_loss_hides_the_dear_payments_and_flatters_the_error() -> None:
    found = cost_truth(CONFIG, [FAULTS["slice loss"]], rows=ROWS)
    assert found.contributions[0].value < -0.5
    assert (found.verdict, found.top_cause) == ("labels", "label_slice_loss")


def test_contributions_and_background_sum_to_the_observed_change() -> None:
    both = [FAULTS["dearer"], FAULTS["slice loss"]]
    for metric in METRICS:
        found = cost_truth(CONFIG, both, metric=metric, rows=ROWS)
        total = sum(c.value for c in found.contributions) + found.background
        assert total == pytest.approx(found.observed.change, abs=1e-9)
    assert cost_truth(CONFIG, both, rows=ROWS).verdict == "both"
    assert cost_truth(CONFIG, [], rows=ROWS).verdict == "noise"


def test_the_loop_joins_and_the_kit_measures_what_the_logs_hold() -> None:
    simulation = simulate_costs(CONFIG, [FAULTS["nulls"]], seed=3)
    contract = fb.Contract.from_toml(simulation.contract_toml)
    loop = fb.open_loop(contract=contract, predictions=simulation.predictions, outcomes=simulation.outcomes)
    joined = loop.join(as_of=simulation.as_of)
    assert set(joined.frame["state"].unique()) == {"labelled", "missing"}
    measured = fb.metrics(joined, ["mae"])["value"][0]
    assert measured == pytest.approx(np.abs(errors(simulation, pl.lit(value=True))).mean(), rel=1e-9)


def test_the_same_seed_gives_the_same_rows_and_the_truth_comes_along(tmp_path: object) -> None:
    one, two = (simulate_costs(CONFIG, [FAULTS["dearer"]], seed=9) for _ in range(2))
    assert one.predictions.equals(two.predictions)
    assert one.outcomes.equals(two.outcomes)
    assert not one.outcomes.equals(simulate_costs(CONFIG, [FAULTS["dearer"]], seed=10).outcomes)


def test_faults_of_other_loops_are_refused() -> None:
    with pytest.raises(ArgumentError, match="ConceptDrift"):
        simulate_costs(CONFIG, [ConceptDrift(severity=0.1)], seed=1)
    with pytest.raises(ArgumentError, match="CostDrift"):
        simulate(faults=[CostDrift(severity=0.1)], seed=1)
    with pytest.raises(ArgumentError, match="recall"):
        cost_truth(CONFIG, [], metric="recall")
