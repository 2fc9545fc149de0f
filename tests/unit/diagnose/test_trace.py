"""Traced predictions: drawn by a seed, each with what a receipt says about it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import fbkit as fb
from fbkit.diagnose.trace import COLUMNS
from fbkit.errors import ArgumentError

T0 = datetime(2024, 5, 6, tzinfo=UTC)


def opened(*, keyed: bool = True) -> fb.Loop:
    ids = [f"p{i:02d}" for i in range(40)]
    made = [T0 + timedelta(minutes=i) for i in range(40)]
    left = pl.DataFrame({"prediction_id": ids, "ts_pred": made, "score": [0.5] * 40, "account": ["a"] * 40})
    right = pl.DataFrame(
        {
            "prediction_id": ids if keyed else [None] * 40,
            "account": ["a"] * 40,
            "ts_event": [moment + timedelta(hours=1) for moment in made],
            "label": [1.0] * 40,
        },
        schema_overrides={"prediction_id": pl.String},
    )
    content = {
        "model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "4h"},
        "join": {"fallback": {"entity": "account", "rule": "latest"}},
    }  # fmt: skip
    return fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right)


def test_ten_predictions_are_drawn_and_equal_seeds_draw_the_same() -> None:
    loop = opened()
    rows = loop.trace()
    assert (rows.height, rows.columns) == (10, list(COLUMNS))
    assert rows.equals(loop.trace())
    assert not rows["prediction_id"].equals(loop.trace(seed=1)["prediction_id"])
    assert rows["ts_pred"].is_sorted()
    assert loop.trace(n=99).height == 40


def test_each_row_says_what_the_receipt_says() -> None:
    loop = opened()
    joined = loop.join()
    for row in loop.trace(n=5).iter_rows(named=True):
        facts = {name: value for _, name, value in joined.receipt(row["prediction_id"]).facts}
        assert (facts["state"], facts["rule"], facts["n_rivals"]) == (row["state"], row["rule"], str(row["n_rivals"]))
        assert row["clear"]


def test_outcomes_that_others_could_have_claimed_are_not_clear() -> None:
    rows = opened(keyed=False).join().trace()
    assert not rows["clear"].any()
    assert rows["why"].str.contains("other predictions of the entity could claim it").all()


def test_a_number_out_of_range_is_told() -> None:
    with pytest.raises(ArgumentError, match="out of range"):
        opened().trace(n=0)
