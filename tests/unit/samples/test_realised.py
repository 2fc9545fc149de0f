from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.samples import Simulation, WorldConfig, simulate
from fbkit.samples.faults import (
    ActionCensoring,
    ImmatureWindow,
    Injection,
    LabelConflict,
    LabelDefinitionChange,
    LabelOutage,
    LabelSliceLoss,
    SlowLabels,
    VersionRegression,
)
from fbkit.samples.truth import truth

CONFIG = WorldConfig(reference_weeks=2, per_day=1000, duplicate_share=0, orphan_share=0, correction_share=0)
POLICY = replace(CONFIG, actions=True, blocked_share=0.2)
SILENT = replace(CONFIG, silence="negative", base_rate=0.05)
SEEDS = range(5)
UNFLAGGED = {"decision": "not flagged"}
DEFINITION = LabelDefinitionChange(severity=0.02, where=UNFLAGGED)

CASES: dict[str, tuple[WorldConfig, tuple[Injection, ...]]] = {
    "censoring": (POLICY, (ActionCensoring(severity=0.4),)),
    "censoring without overlap": (POLICY, (ActionCensoring(severity=0.4, exploration=0.0),)),
    "censoring of one region, nothing before": (CONFIG, (ActionCensoring(severity=0.6, where={"region": "EU"}),)),
    "conflict": (CONFIG, (LabelConflict(severity=0.1, where={"region": ("EU", "US")}),)),
    "conflict in mid window": (CONFIG, (LabelConflict(severity=0.3, label=0, source="auto", arrives=9.0),)),
    "conflict where silence means no": (SILENT, (LabelConflict(severity=0.05),)),
    "definition": (CONFIG, (DEFINITION,)),
    "definition, not logged": (
        CONFIG,
        (LabelDefinitionChange(severity=0.3, where={"decision": "flagged"}, logged=False),),
    ),
    "definition where silence means no": (SILENT, (DEFINITION,)),
    "immature": (CONFIG, (ImmatureWindow(severity=9.0),)),
    "immature where silence means no": (SILENT, (ImmatureWindow(severity=9.0),)),
    "partial outage of a slice": (CONFIG, (LabelOutage(severity=0.7, end=9, where={"decision": "flagged"}),)),
    "outage that began before the reference ended": (CONFIG, (LabelOutage(severity=0.5, start=-3, end=4),)),
    "slow positives, too early": (CONFIG, (SlowLabels(severity=4.0, outcome=1), ImmatureWindow(severity=4.0))),
    "loss where silence means no": (SILENT, (LabelSliceLoss(severity=0.5, where={"decision": "flagged"}),)),
    "wrong weights": (
        replace(CONFIG, model_noise=0, unlogged_weight=0),
        (VersionRegression(severity=2, how="weights"),),
    ),
    "three at once": (
        POLICY,
        (
            ActionCensoring(severity=0.3),
            LabelConflict(severity=0.1, where={"region": "EU"}),
            DEFINITION,
        ),
    ),
}


def known(simulation: Simulation) -> pl.DataFrame:
    """Join by brute force: the latest statement inside the window counts; then silence, where it means something."""
    window = timedelta(days=simulation.config.window_days)
    pairs = simulation.predictions.join(simulation.outcomes.drop("entity_id"), on="prediction_id")
    counted = pairs.filter(pl.col("ts_event").is_between(pl.col("ts_pred"), pl.col("ts_pred") + window))
    last = counted.sort("ts_arrival").group_by("prediction_id", maintain_order=True).agg(said=pl.col("label").last())
    rows = simulation.final.join(last, on="prediction_id", how="left", maintain_order="left")
    if simulation.config.silence == "negative":
        closed = pl.col("ts_pred") + window <= simulation.as_of
        rows = rows.with_columns(
            said=pl.when(pl.col("said").is_null() & closed & ~pl.col("blocked")).then(0).otherwise("said")
        )
    return rows


def changes(simulation: Simulation) -> list[float]:
    """Change of observed recall, observed base rate, availability and true recall."""
    rows = known(simulation)
    found: list[list[float]] = []
    for early in (True, False):
        part = rows.filter((pl.col("ts_pred") < simulation.config.current_start) == early)
        shares = (
            part.filter(pl.col("said") == 1)["decision"].mean(),
            part["said"].mean(),
            part["said"].is_not_null().mean(),
            part.filter(pl.col("label") == 1)["decision"].mean(),
        )
        found.append([share for share in shares if isinstance(share, float)])
    return np.subtract(found[1], found[0]).tolist()


def expected_changes(config: WorldConfig, faults: tuple[Injection, ...]) -> list[float]:
    recall = truth(config, faults, rows=200_000)
    rate = truth(config, faults, metric="base_rate", rows=200_000)
    return [recall.observed.change, rate.observed.change, recall.availability.change, recall.true.change]


@pytest.mark.parametrize("case", CASES)
def test_what_a_fault_does_to_the_logs_is_what_the_truth_says(case: str) -> None:
    config, faults = CASES[case]
    effects = [
        np.subtract(changes(simulate(config, faults, seed=seed)), changes(simulate(config, seed=seed)))
        for seed in SEEDS
    ]
    expected = np.subtract(expected_changes(config, faults), expected_changes(config, ()))
    error = np.std(effects, axis=0, ddof=1) / np.sqrt(len(effects))
    # The same seed with and without the fault: little noise is left, and the truth has a little of its own.
    assert np.all(np.abs(np.mean(effects, axis=0) - expected) <= 4 * error + 0.003), (
        np.mean(effects, axis=0),
        expected,
    )
    assert np.max(np.abs(expected)) > 0.01


@pytest.mark.parametrize("case", ["censoring", "conflict", "definition", "immature", "three at once"])
def test_one_large_log_changes_as_expected(case: str) -> None:
    config, faults = CASES[case]
    simulation = simulate(replace(config, per_day=4000), faults, seed=77)
    positives = known(simulation).filter(pl.col("said") == 1)
    sizes = positives.group_by(pl.col("ts_pred") < simulation.config.current_start).len()["len"].to_numpy()
    error = float(np.sqrt((0.25 / sizes).sum()))
    expected = truth(config, faults, rows=200_000).observed.change
    assert abs(changes(simulation)[0] - expected) < 4 * error
