"""Guessing a contract from foreign logs: right where names tell, said aloud, and an error where nothing tells."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, ContractError, InputError
from fbkit.load.guess import guess_contract

T0 = datetime(2024, 5, 6, tzinfo=UTC)
N = 30


def left(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {"txn_id": list(range(N)), "created_at": [T0] * N, "risk_score": [i / N for i in range(N)]} | columns
    )


def right(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(
        {"payment": list(range(N)), "is_fraud": [i % 2 for i in range(N)], "happened_at": [T0] * N} | columns
    )


def guess(predictions: pl.DataFrame, outcomes: pl.DataFrame, **options: Any) -> tuple[fb.Contract, tuple[str, ...]]:
    return guess_contract({"predictions": predictions, "outcomes": outcomes}, window="7d", **options)


def test_names_and_values_are_recognised_and_said() -> None:
    made, said = guess(
        left(country=["DE", "FR"] * 15, spend=list(range(N)), user=["u"] * N), right(ingested_at=[T0] * N)
    )
    assert made.predictions.columns == {
        "prediction_id": "txn_id",
        "ts_pred": "created_at",
        "score": "risk_score",
        "entity_id": "user",
    }
    assert made.outcomes.columns == {
        "prediction_id": "payment",
        "label": "is_fraud",
        "ts_event": "happened_at",
        "ts_arrival": "ingested_at",
    }
    assert (made.slices.columns, made.features.columns, made.decision.threshold) == (("country",), ("spend",), 0.5)
    assert any("score >= 0.5" in line for line in said)
    assert any("100.0% of outcomes match" in line for line in said)


def test_a_label_never_passes_for_an_id() -> None:
    made, _ = guess(left(), right().head(20).with_columns(payment=pl.col("payment") + 15))
    assert made.outcomes.columns["prediction_id"] == "payment"


def test_names_of_the_joined_table_are_kept_under_others() -> None:
    frame = left(state=["CA", "NY"] * 15, lag=list(range(N)))
    made, _ = guess(frame, right())
    assert made.slices.columns == ("logged_state",)
    assert made.features.columns == ("logged_lag",)
    loop = fb.open_loop(predictions=frame, outcomes=right(), window="7d")
    assert loop.join().frame["logged_state"].to_list()[:2] == ["CA", "NY"]


def test_a_slice_with_the_name_of_another_column_of_ours_is_kept_under_another() -> None:
    frame = left(score=["EU", "US"] * 15, threshold=["high", "low"] * 15, latency_ms=[float(i) for i in range(N)])
    made, _ = guess(frame, right())
    assert made.predictions.columns["score"] == "risk_score"
    assert made.slices.columns == ("logged_score", "logged_threshold")
    assert made.features.columns == ("latency_ms",)
    frame = fb.open_loop(predictions=frame, outcomes=right(), window="7d").join().frame
    assert frame["logged_score"].to_list()[:2] == ["EU", "US"]
    assert frame["latency_ms"].dtype == pl.Float64


def test_a_stray_bad_score_does_not_hide_the_score() -> None:
    made, _ = guess(left(risk_score=[float("nan"), 1.2] + [0.3, 0.4] * 14), right())
    assert made.predictions.columns["score"] == "risk_score"


def test_types_tell_where_names_do_not() -> None:
    made, _ = guess(
        left().rename({"created_at": "wann", "risk_score": "wert"}), right().rename({"happened_at": "dann"})
    )
    assert (made.predictions.columns["ts_pred"], made.predictions.columns["score"]) == ("wann", "wert")
    assert made.outcomes.columns["ts_event"] == "dann"


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ((left(), right(payment=[f"x{i}" for i in range(N)])), "no column pairs"),
        ((left().clear(), right()), "the predictions have no rows"),
        ((left(), right().clear()), "the outcomes have no rows"),
        ((left().drop("risk_score"), right()), "the score of the predictions could not be guessed"),
        (
            (left().rename({"created_at": "a"}).with_columns(b="a"), right()),
            "the ts_pred of the predictions could not be guessed",
        ),
        ((left(risk_score=[i * 10.0 for i in range(N)]), right()), "the score of the predictions could not be guessed"),
        ((left(), right(is_fraud=["yes"] * N)), "the label of the outcomes could not be guessed"),
    ],
)
def test_what_cannot_be_guessed_is_an_error_with_the_columns(
    frames: tuple[pl.DataFrame, pl.DataFrame], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        guess(*frames)
    assert caught.value.got
    assert caught.value.next_step


def test_a_logged_decision_a_given_threshold_and_a_zone_are_used() -> None:
    made, said = guess(left(flagged=[True, False] * 15), right())
    assert (made.decision.threshold, made.predictions.columns["decision"]) == (None, "flagged")
    made, said = guess(left(), right(), threshold=0.3, timezone="UTC")
    assert (made.decision.threshold, made.time.timezone) == (0.3, "UTC")
    assert "times without a zone are read as UTC" in said


def test_the_log_says_what_its_label_is_called() -> None:
    names = ["fraud"] * 20 + ["dispute"] * 9 + [" "]
    made, said = guess(left(), right(label_name=names))
    assert made.label.name == "fraud"
    assert "labels: the label is fraud, by label_name; rows about dispute are left out" in said
    assert guess(left(), right(label_name=[None] * N))[0].label.name == "is_fraud"
    loop = fb.open_loop(predictions=left(), outcomes=right(label_name=names), window="7d")
    assert loop.labels["statements"].to_list() == [21]


def test_text_columns_are_read_like_typed_ones() -> None:
    text = left(flag=["true", "false"] * 15).with_columns(pl.all().cast(pl.String))
    text = text.with_columns(created_at=pl.lit("2024-05-06T00:00:00Z"), empty=pl.lit(None, dtype=pl.String))
    made, _ = guess(text, right().with_columns(pl.col("payment", "is_fraud").cast(pl.String)))
    assert made.predictions.columns["score"] == "risk_score"


def test_without_a_contract_window_and_both_logs_are_needed() -> None:
    with pytest.raises(ArgumentError, match="window are needed"):
        fb.open_loop(predictions=left(), outcomes=right())
    with pytest.raises(ArgumentError, match="window are needed"):
        fb.open_loop(predictions=left(), window="7d")
    with pytest.raises(ContractError, match="longer than zero"):
        fb.open_loop(predictions=left(), outcomes=right(), window="0d")


def test_a_log_of_positives_only_makes_silence_negative() -> None:
    made, said = guess(left(), right(is_fraud=[1] * N).head(5))
    assert made.label.silence == "negative"
    assert any("every logged label is 1" in line for line in said)
    assert guess(left(), right(is_fraud=[1] * N))[0].label.silence == "missing"
    assert guess(left(), right().head(5))[0].label.silence == "missing"
