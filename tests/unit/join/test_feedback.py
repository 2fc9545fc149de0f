"""Feedback is linked to the prediction or response it reacts to, and only as far as it was known then."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import InputError
from fbkit.schema.rules import FEEDBACK_FATE

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = """
[model]
name = "answers"
[predictions]
[outcomes]
[feedback]
[label]
window = "1d"
[join]
keys = KEYS
"""


def at(hours: float) -> datetime:
    return NOON + hours * HOUR


def loop(
    feedback: pl.DataFrame, *, predictions: pl.DataFrame | None = None, keys: Sequence[str] = ("prediction_id",)
) -> fb.Loop:
    made = PREDICTIONS if predictions is None else predictions
    outcomes = made.select(*keys, pl.lit(at(20)).alias("ts_event"), pl.lit(1).alias("label"))
    contract = fb.Contract.from_toml(TEXT.replace("KEYS", str(list(keys)).replace("'", '"')))
    return fb.open_loop(contract=contract, predictions=made, outcomes=outcomes, feedback=feedback)


PREDICTIONS = pl.DataFrame(
    {
        "prediction_id": ["a", "b", "c", "d"],
        "ts_pred": [at(0), at(1), at(2), at(10)],
        "score": [0.1, 0.2, 0.3, 0.4],
        "response_id": ["r1", "r2", "r2", None],
    }
)


def given(*rows: tuple[str | None, str | None, float, float | None, str | None]) -> pl.DataFrame:
    names = ("prediction_id", "response_id", "hours", "rating", "comment")
    frame = pl.DataFrame(
        rows,
        schema=dict(zip(names, (pl.String, pl.String, pl.Float64, pl.Float64, pl.String), strict=True)),
        orient="row",
    )
    return frame.with_columns(pl.Series("ts_feedback", [at(row[2]) for row in rows])).drop("hours")


def test_every_fate_is_told_and_counted() -> None:
    feedback = given(
        ("a", None, 0, 1.0, None),  # at the very instant of the prediction
        ("b", None, 0.5, 0.0, "too early"),
        ("zz", "r1", 3, 1.0, None),  # a wrong id is not mended by the right response
        (None, "r1", 4, None, "fine"),
        (None, "r2", 4, 1.0, None),  # a response of two predictions
        ("d", None, 30, 1.0, "tomorrow's words"),
    )
    joined = loop(feedback).join(as_of=at(21))
    rows = {(row["prediction_id"], row["response_id"], row["fate"]) for row in joined.feedback.iter_rows(named=True)}
    assert rows == {
        ("a", None, "linked"),
        ("b", None, "before_prediction"),
        ("zz", "r1", "orphan"),
        ("a", "r1", "linked"),
        (None, "r2", "linked"),
        ("d", None, "not_yet_given"),
    }
    of_two = joined.feedback.filter(pl.col("response_id") == "r2").row(0, named=True)
    assert (of_two["linked_by"], of_two["n_predictions"], of_two["lag"]) == ("response_id", 2, 3 * HOUR)
    counts = dict(joined.audit.filter(pl.col("rule").is_in(list(FEEDBACK_FATE))).select("rule", "rows").iter_rows())
    assert counts == {"linked": 3, "before_prediction": 1, "orphan": 1, "not_yet_given": 1}
    assert sum(counts.values()) == feedback.height


def test_words_of_the_future_are_not_told() -> None:
    feedback = given(("a", None, 1, 1.0, "now"), ("a", None, 22, 0.0, "later"))
    joined = loop(feedback).join(as_of=at(21))
    later = joined.feedback.filter(pl.col("fate") == "not_yet_given").row(0, named=True)
    assert (later["rating"], later["comment"], later["rater"]) == (None, None, None)
    assert joined.feedback.filter(pl.col("fate") == "linked")["comment"].to_list() == ["now"]


def test_ranking_feedback_is_linked_by_the_request_keys() -> None:
    keys = ["request_id", "item_id", "position"]
    made = pl.DataFrame(
        {
            "request_id": ["q", "q"],
            "item_id": ["x", "y"],
            "position": [1, 2],
            "ts_pred": [at(0), at(0)],
            "score": [0.9, 0.1],
        }
    )
    feedback = made.select(*keys, pl.lit(at(1)).alias("ts_feedback"), pl.Series("rating", [1, 0])).tail(1)
    joined = loop(feedback, predictions=made, keys=keys).join()
    assert joined.feedback.select("prediction_id", "fate", "linked_by").row(0) == ("q|y|2", "linked", "join_keys")


def test_feedback_by_a_column_that_predictions_lack_is_refused() -> None:
    with pytest.raises(InputError, match=r"response_id[\s\S]*log that column"):
        loop(given((None, "r1", 1, 1.0, None)), predictions=PREDICTIONS.drop("response_id")).join()


def test_a_loop_without_feedback_has_an_empty_table_of_the_same_columns() -> None:
    with_one = loop(given(("a", None, 1, 1.0, None))).join()
    outcomes = PREDICTIONS.select("prediction_id", pl.lit(at(20)).alias("ts_event"), pl.lit(1).alias("label"))
    contract = fb.Contract.from_toml(TEXT.replace("[feedback]\n", "").replace("KEYS", '["prediction_id"]'))
    without = fb.open_loop(contract=contract, predictions=PREDICTIONS, outcomes=outcomes).join()
    assert without.feedback.schema == with_one.feedback.schema
    assert without.feedback.is_empty()


def test_the_contracts_path_is_read_and_hashed(tmp_path: Path) -> None:
    for name, frame in {
        "predictions": PREDICTIONS,
        "outcomes": PREDICTIONS.select("prediction_id", pl.lit(at(20)).alias("ts_event"), pl.lit(1).alias("label")),
        "feedback": given(("a", None, 1, 1.0, None)),
    }.items():
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "part.parquet")
    (tmp_path / "contract.toml").write_text(TEXT.replace("KEYS", '["prediction_id"]'), encoding="utf-8")
    joined = fb.open_loop(tmp_path).join()
    assert joined.feedback["fate"].to_list() == ["linked"]
    assert [source.name for source in joined.sources][-1] == "feedback/part.parquet"


def brute_force(
    predictions: list[dict[str, Any]], feedback: list[dict[str, Any]], as_of: datetime
) -> list[tuple[Any, ...]]:
    """Row by row, as a person would."""
    known = [row for row in predictions if row["ts_pred"] <= as_of]
    told: list[tuple[Any, ...]] = []
    for row in feedback:
        name = "prediction_id" if row["prediction_id"] is not None else "response_id"
        hits = [other for other in known if other[name] is not None and other[name] == row[name]]
        first = min((hit["ts_pred"] for hit in hits), default=None)
        if row["ts_feedback"] > as_of:
            fate = "not_yet_given"
        elif first is None:
            fate = "orphan"
        else:
            fate = "before_prediction" if row["ts_feedback"] < first else "linked"
        told.append((row["number"], fate, len(hits), first))
    return sorted(told)


def random_world(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    dice = random.Random(seed)
    n = dice.randint(1, 6)
    predictions = pl.DataFrame(
        {
            "prediction_id": [f"p{number}" for number in range(n)],
            "ts_pred": [at(dice.randint(0, 5)) for _ in range(n)],
            "score": [dice.random() for _ in range(n)],
            "response_id": [dice.choice(["r1", "r2", "r3", None]) for _ in range(n)],
        },
        schema_overrides={"response_id": pl.String},
    )
    rows = [
        {
            "prediction_id": dice.choice([None, None, *[f"p{number}" for number in range(n + 2)]]),
            "response_id": dice.choice(["r1", "r2", "r3", "r4"]),
            "ts_feedback": at(dice.randint(-1, 8)),
            "rating": float(dice.randint(0, 1)),
            "number": number,
        }
        for number in range(dice.randint(1, 8))
    ]
    return predictions, pl.DataFrame(rows, schema_overrides={"prediction_id": pl.String})


def test_random_worlds_agree_with_a_row_by_row_link_at_every_hour() -> None:
    seen: dict[str, int] = dict.fromkeys(FEEDBACK_FATE, 0)
    for seed in range(60):
        predictions, feedback = random_world(seed)
        opened = loop(feedback, predictions=predictions)
        for hours in (3, 5, 9):
            if predictions["ts_pred"].min() > at(hours):
                continue
            linked = opened.join(as_of=at(hours)).feedback
            got = sorted(linked.select("number", "fate", "n_predictions", "ts_pred").iter_rows())
            assert got == brute_force(predictions.to_dicts(), feedback.to_dicts(), at(hours)), (seed, hours)
            for fate in linked["fate"]:
                seen[fate] += 1
            # As known then: what came later changes nothing of what had been given.
            known = feedback.filter(pl.col("ts_feedback") <= at(hours))
            made = predictions.filter(pl.col("ts_pred") <= at(hours))
            if known.height:
                then = loop(known, predictions=made).join(as_of=at(hours)).feedback
                assert then.equals(linked.filter(pl.col("fate") != "not_yet_given")), (seed, hours)
    assert min(seen.values()) > 20, seen


def test_the_order_of_the_rows_does_not_matter() -> None:
    predictions, feedback = random_world(7)
    one = loop(feedback, predictions=predictions).join().feedback
    two = loop(feedback.reverse(), predictions=predictions.reverse()).join().feedback
    assert one.drop("number").equals(two.drop("number"))
