"""What fewer labels do to calibration errors, against fresh draws of a calibrated world."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from fbkit.diagnose.chance import by_chance
from fbkit.diagnose.rows import CURRENT, REFERENCE, prepare
from fbkit.diagnose.triage import triage
from fbkit.measure.stats.corp import decompose, expected_error


def rows_of(joined, weeks, metric):
    reference, current = weeks.periods()
    frame = joined.frame.with_columns(entity=pl.col("prediction_id"))
    return prepare(frame, metric=metric, reference=reference, current=current)


def value_of(metric, score, label):
    return expected_error(score, label) if metric == "ece" else decompose(score, label)[metric]


@pytest.mark.parametrize("metric", ["ece", "mcb"])
def test_a_calibrated_model_s_error_is_all_chance(by_hand, weeks, metric):
    values, biases = np.zeros((8, 2)), np.zeros((8, 2))
    for seed in range(8):
        rows = rows_of(by_hand(n=3000, seed=seed), weeks, metric)
        biases[seed] = by_chance(rows)
        for window in (REFERENCE, CURRENT):
            mine = rows.of(window)
            values[seed, window] = value_of(metric, rows.score[mine], rows.label[mine])
    value, bias = values.mean(0), biases.mean(0)
    assert bias[CURRENT] > 1.5 * bias[REFERENCE] > 0
    assert (np.abs(value - bias) < 0.4 * value).all()


@pytest.mark.parametrize("metric", ["ece", "mcb"])
def test_labels_that_are_still_to_come_are_no_miscalibration(by_hand, weeks, metric):
    young = rows_of(by_hand(n=6000, as_of=datetime(2026, 9, 8, tzinfo=UTC)), weeks, metric)
    rng = np.random.default_rng(5)
    score = young.score[young.of(CURRENT)]
    fresh = [value_of(metric, score, (rng.random(len(score)) < score).astype(float)) for _ in range(60)]
    assert by_chance(young, silent=True)[CURRENT] == pytest.approx(np.mean(fresh), rel=0.2)


def test_other_metrics_have_no_such_bias(by_hand, weeks):
    joined = by_hand(n=1000)
    for metric in ("brier", "recall", "mae"):
        assert by_chance(rows_of(joined, weeks, metric)).tolist() == [0.0, 0.0]


def test_one_class_has_none(by_hand, weeks):
    joined = by_hand(n=1000)
    joined = replace(joined, frame=joined.frame.with_columns(label=pl.lit(0.0)))
    assert by_chance(rows_of(joined, weeks, "ece")).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("metric", ["ece", "mcb"])
def test_a_week_with_few_labels_does_not_look_miscalibrated(by_hand, weeks, metric):
    said = triage(by_hand(n=6000, seed=2), weeks, metric=metric, draws=60)
    assert said.observed.change > 0
    assert said.true_change.value < said.observed.change
    assert said.verdict == "noise"
    assert sum(part.value for part in said.contributions) == pytest.approx(said.observed.change, abs=1e-12)


def test_a_miscalibrated_week_is_told_beside_what_chance_adds(by_hand, weeks):
    def overconfident(frame):
        score = frame["score"].to_numpy()
        return np.where(frame["current"].to_numpy(), 0.5 * score, score)

    said = triage(by_hand(n=8000, truth=overconfident), weeks, metric="ece", draws=60)
    values = {part.cause: part for part in said.contributions}
    assert (said.verdict, said.top_cause) == ("quality", "concept_drift")
    assert values["noise"].value == pytest.approx(said.observed.change - sum(
        part.value for name, part in values.items() if name != "noise"
    ), abs=1e-12)  # fmt: skip
    assert "Chance alone" in values["noise"].evidence
    numbers = said.evidence["key_numbers"].filter(pl.col("name") == "change_by_chance")
    assert numbers["value"].item() == values["noise"].value
