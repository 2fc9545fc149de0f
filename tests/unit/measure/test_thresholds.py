"""Threshold curves against flagging again at each threshold."""

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.thresholds import CURVES, threshold_curve
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, make_joined, random_joined


def priced(joined: FakeJoined) -> FakeJoined:
    """The same rows with weights, and a contract that says what each outcome is worth."""
    rng = np.random.default_rng(0)
    frame = joined.frame.with_columns(w=pl.Series(rng.integers(1, 4, joined.frame.height)).cast(pl.Float64))
    value = {"true_positive": 10.0, "false_positive": -2.0, "false_negative": -6.0, "true_negative": 0.5}
    contract = Contract.from_dict(joined.contract.model_dump(exclude_defaults=True) | {"value": value})
    return FakeJoined(frame=frame, contract=contract, as_of=joined.as_of)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("entities", [None, 300])
def test_each_point_equals_the_metrics_at_that_threshold(entities: int | None, weights: str | None) -> None:
    joined = priced(random_joined(1500, seed=1, entities=entities))
    for row in threshold_curve(joined, points=8, weights=weights).iter_rows(named=True):
        flagged = joined.frame.with_columns(flagged=pl.col("score") >= row["threshold"])
        again = metrics(
            FakeJoined(frame=flagged, contract=joined.contract, as_of=joined.as_of), list(CURVES), weights=weights
        )
        for expected in again.iter_rows(named=True):
            name = expected["metric"]
            got = (row[name], row[f"{name}_lower"], row[f"{name}_upper"])
            assert got == pytest.approx((expected["value"], expected["lower"], expected["upper"]), abs=1e-12)


def test_the_contracts_threshold_is_on_the_grid_and_scores_outside_0_1_use_quantiles() -> None:
    joined = random_joined(200)
    assert 0.5 in threshold_curve(joined, points=4)["threshold"].to_list()
    wide = make_joined(scores=[-5.0, 0.0, 3.0, 9.0], labels=[0, 0, 1, 1])
    assert threshold_curve(wide, points=2)["threshold"].to_list() == [-5.0, 0.5, 9.0]


def test_no_rows_is_null_not_zero() -> None:
    frame = threshold_curve(random_joined(10), period="2020-01-01..2020-01-02", points=3)
    assert frame["recall"].null_count() == frame.height
    assert frame["flag_rate_lower"].null_count() == frame.height
    assert not frame.select(pl.col(pl.Float64).is_nan().any()).row(0)[0]
    with pytest.raises(ArgumentError, match="at least two points"):
        threshold_curve(random_joined(10), points=1)


def test_recall_falls_as_the_threshold_rises() -> None:
    frame = threshold_curve(random_joined(800, seed=5))
    assert np.all(np.diff(frame["recall"].to_numpy()) <= 0)
    assert np.all(np.diff(frame["flag_rate"].to_numpy()) <= 0)


def test_the_value_needs_prices_and_the_labels_a_final_stage() -> None:
    assert threshold_curve(random_joined(50), points=2)["value_per_prediction"].null_count() == 3
    young = make_joined(scores=[0.2, 0.8], labels=[0, 1], ages=[1, 1])
    frame = threshold_curve(young, points=2)
    assert frame["reason"].unique().to_list() == ["window open"]
    assert frame["recall"].null_count() == frame.height


def test_a_task_without_flags_is_refused() -> None:
    with pytest.raises(ArgumentError, match="binary model"):
        threshold_curve(make_joined(scores=[1.0], labels=[2.0], task="regression"))


def test_the_id_of_the_question_stands_beside_the_curve() -> None:
    joined = random_joined(50)
    one, other = (threshold_curve(joined, points=points)["evaluation_id"].unique().to_list() for points in (2, 3))
    assert len(one) == 1
    assert one != other
