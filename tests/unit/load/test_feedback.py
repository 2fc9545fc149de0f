"""The feedback log at load: what is used, what is set aside, and which forms of rating are understood."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.feedback import load_feedback
from fbkit.schema.contract import Contract
from fbkit.schema.logs import FeedbackLog

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def contract(**more: Any) -> Contract:
    body: dict[str, Any] = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "1d"}}
    return Contract.from_dict(body | more)


def load(columns: dict[str, list[Any]], **more: Any) -> FeedbackLog:
    rows = len(next(iter(columns.values())))
    given = {"prediction_id": [f"p{number}" for number in range(rows)], "ts_feedback": [NOON] * rows} | columns
    return load_feedback(pl.DataFrame(given, strict=False), contract=contract(**more), sources=())


def test_every_row_is_used_or_set_aside_under_its_rule() -> None:
    log = load(
        {
            "prediction_id": ["a", "b", " ", None, "e", "f", "g", "g", "i", "j", "k", "l", "m"],
            "ts_feedback": [NOON, NOON, NOON, NOON, None, datetime(1950, 1, 1, tzinfo=UTC), *[NOON] * 7],
            "rating": [1.0, None, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, None, float("nan"), 3.5, 1.0, 1.0],
            "comment": [None, "so so", *[None] * 6, "  ", None, None, None, None],
        }
    )
    assert log.frame["prediction_id"].to_list() == ["a", "b", "g", "k", "l", "m"]
    counts = {rule: rows for _, rule, rows, _ in log.audit.iter_rows()}
    refused = {
        "no_target": 2,
        "null_time": 1,
        "absurd_time": 1,
        "duplicate_row": 1,
        "empty_feedback": 1,
        "rating_not_finite": 1,
    }
    assert {rule: counts[rule] for rule in refused} == refused
    assert counts["in"] == counts["used"] + sum(refused.values()) == 13
    assert log.rejects.height == 7


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["up", "Down", "👍", "👎 ", "thumbs_up", None], [1.0, 0.0, 1.0, 0.0, 1.0, None]),
        ([True, False, True], [1.0, 0.0, 1.0]),
        (["5", "4.5", "1"], [5.0, 4.5, 1.0]),
        ([1, 5, 3], [1.0, 5.0, 3.0]),
    ],
)
def test_thumbs_booleans_stars_and_text_become_numbers(given: list[Any], expected: list[float | None]) -> None:
    log = load({"rating": given, "comment": ["x"] * len(given)})
    assert log.frame.sort("prediction_id")["rating"].to_list() == expected
    changed = log.audit.filter(pl.col("detail").str.starts_with("rating")).height
    assert changed == 1


def test_a_rating_that_is_prose_is_refused_and_shown_only_as_what_it_is() -> None:
    with pytest.raises(InputError, match="rating"):
        load({"rating": ["terrible answer", "lovely", "hm"]})


@pytest.mark.parametrize(
    ("drop", "message"), [("rating", "neither rating nor comment"), ("prediction_id", "names no prediction")]
)
def test_a_log_without_what_it_is_for_is_refused_with_the_column_to_map(drop: str, message: str) -> None:
    frame = pl.DataFrame({"prediction_id": ["a"], "ts_feedback": [NOON], "rating": [1]}).drop(drop)
    with pytest.raises(InputError, match=message) as caught:
        load_feedback(frame, contract=contract(), sources=())
    assert "[feedback.columns]" in str(caught.value.next_step)


def test_columns_are_mapped_and_naive_times_take_the_logs_own_zone() -> None:
    frame = pl.DataFrame({"answer": ["007"], "at": ["2026-05-01 12:00:00"], "stars": ["4"], "who": [17]})
    part = {
        "timezone": "Europe/Berlin",
        "columns": {"response_id": "answer", "ts_feedback": "at", "rating": "stars", "rater": "who"},
    }
    log = load_feedback(frame, contract=contract(feedback=part), sources=())
    row = log.frame.row(0, named=True)
    assert (row["response_id"], row["rating"], row["rater"]) == ("007", 4.0, "17")
    assert row["ts_feedback"] == datetime(2026, 5, 1, 10, tzinfo=UTC)


def test_columns_that_the_link_makes_are_kept_under_another_name() -> None:
    log = load({"rating": [1, 2], "fate": ["x", "y"], "lag": [1, 2]})
    assert {"logged_fate", "logged_lag"} <= set(log.frame.columns)


def test_the_request_keys_name_a_prediction_only_if_all_are_there() -> None:
    join = {"keys": ["request_id", "item_id", "position"]}
    log = load(
        {
            "prediction_id": [None, None],
            "request_id": ["r", "r"],
            "item_id": ["i", None],
            "position": [1, 2],
            "rating": [1, 1],
        },
        join=join,
    )
    assert log.frame["position"].to_list() == ["1"]
    assert log.rejects["rule"].to_list() == ["no_target"]
