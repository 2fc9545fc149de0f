"""Which rows of two versions are about the same request, and what their pair's outcome is."""

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError
from fbkit.measure.versioning.pairs import SAME_ROWS, SPLIT_TRAFFIC, sides
from fbkit.schema.contract import Contract
from fbkit.testing.frames import START
from tests.unit.measure.two_versions import joined_of, two_versions


def rows(*given: tuple[str, str, float | None], **columns: list[Any]) -> Any:
    """(version, request, label) per row; all made at the same age."""
    n = len(given)
    return joined_of(
        {
            "score": [0.6] * n,
            "label": [label for _, _, label in given],
            "entity": [request for _, request, _ in given],
            "age": [30.0] * n,
            "version": [version for version, _, _ in given],
            "request": [request for _, request, _ in given],
            "region": ["EU"] * n,
        },
        **columns,
    )


def test_requests_scored_by_both_are_paired_line_by_line() -> None:
    found = sides(two_versions(200), champion="a", challenger="b")
    assert found.design == SAME_ROWS
    assert found.rule == "same request_id"
    assert found.unpaired == (0, 0)
    assert found.champion.frame["request_id"].equals(found.challenger.frame["request_id"])
    assert set(found.champion.frame["model_version"]) == {"a"}
    assert set(found.challenger.frame["model_version"]) == {"b"}


def test_a_shadow_row_takes_the_label_of_the_row_that_was_served() -> None:
    found = sides(
        rows(("a", "q1", 1.0), ("b", "q1", None), ("a", "q2", None), ("b", "q2", 0.0)), champion="a", challenger="b"
    )
    for side in (found.champion, found.challenger):
        assert dict(side.frame.select("request_id", "label").iter_rows()) == {"q1": 1.0, "q2": 0.0}
        assert dict(side.frame.select("request_id", "state").iter_rows()) == {"q1": "positive", "q2": "negative"}


def test_a_stated_label_wins_over_silence_and_censoring_over_silence() -> None:
    joined = rows(("a", "q1", 1.0), ("b", "q1", 0.0), ("a", "q2", None), ("b", "q2", 0.0))
    silent = pl.col("model_version") == "b"
    hidden = (pl.col("model_version") == "a") & (pl.col("request_id") == "q2")
    frame = joined.frame.with_columns(
        pl.when(~silent).then(pl.col("ts_pred") + pl.col("arrival_lag")).alias("ts_event"),
        pl.when(hidden)
        .then(pl.lit("censored"))
        .otherwise(pl.col("state").cast(pl.String))
        .cast(joined.frame["state"].dtype)
        .alias("state"),
    )
    found = sides(type(joined)(frame=frame, contract=joined.contract, as_of=joined.as_of), champion="a", challenger="b")
    for side in (found.champion, found.challenger):
        assert side.frame.sort("request_id")["label"].to_list() == [1.0, None]
        assert side.frame.sort("request_id")["state"].to_list() == ["positive", "censored"]
    assert found.contradicted == 0


def test_statements_that_contradict_each_other_leave_the_pair_without_a_label() -> None:
    found = sides(
        rows(("a", "q1", 1.0), ("b", "q1", 0.0), ("a", "q2", 1.0), ("b", "q2", 1.0)), champion="a", challenger="b"
    )
    assert found.contradicted == 1
    assert found.challenger.frame.sort("request_id")["label"].to_list() == [None, 1.0]


def test_the_first_good_answer_of_a_request_counts() -> None:
    joined = rows(("a", "q1", 1.0), ("b", "q1", None), ("b", "q1", None), status=["ok", "timeout", "ok"])
    found = sides(joined, champion="a", challenger="b")
    assert found.challenger.frame["status"].to_list() == ["ok"]
    assert found.unpaired == (0, 1)


def test_items_of_one_request_are_paired_by_item() -> None:
    given = [("a", "q1", 1.0), ("a", "q1", 0.0), ("b", "q1", None), ("b", "q1", None)]
    found = sides(rows(*given, item_id=["x", "y", "y", "x"]), champion="a", challenger="b")
    assert found.rule == "same request_id and item_id"
    assert found.champion.frame["item_id"].equals(found.challenger.frame["item_id"])


def test_without_request_ids_the_same_entity_and_time_pair() -> None:
    joined = two_versions(100)
    found = sides(
        type(joined)(frame=joined.frame.drop("request_id"), contract=joined.contract, as_of=joined.as_of),
        champion="a",
        challenger="b",
    )
    assert (found.design, found.rule) == (SAME_ROWS, "same entity and time")


def test_few_common_requests_are_split_traffic() -> None:
    joined = two_versions(300, shadow=False)
    assert sides(joined, champion="a", challenger="b").design == SPLIT_TRAFFIC
    few = pl.when(pl.int_range(pl.len()) < 100).then(pl.lit("q0")).otherwise("request_id").alias("request_id")
    mended = type(joined)(frame=joined.frame.with_columns(few), contract=joined.contract, as_of=joined.as_of)
    assert sides(mended, champion="a", challenger="b").design == SPLIT_TRAFFIC


def test_only_the_time_in_which_both_served_is_compared() -> None:
    joined = two_versions(400, shadow=False)
    cut = joined.frame["ts_pred"].quantile(0.5)
    late = joined.frame.filter((pl.col("model_version") == "a") | (pl.col("ts_pred") > cut))
    found = sides(type(joined)(frame=late, contract=joined.contract, as_of=joined.as_of), champion="a", challenger="b")
    first = late.filter(pl.col("model_version") == "b")["ts_pred"].min()
    assert found.limits is not None
    assert found.limits.start == first
    assert found.champion.frame["ts_pred"].min() >= first
    assert found.champion.frame.height < late.filter(pl.col("model_version") == "a").height


def test_versions_that_never_served_together_are_not_compared() -> None:
    joined = two_versions(100, shadow=False)
    shifted = joined.frame.with_columns(
        pl.when(pl.col("model_version") == "b")
        .then(pl.col("ts_pred") + timedelta(days=90))
        .otherwise("ts_pred")
        .alias("ts_pred")
    )
    found = sides(
        type(joined)(frame=shifted, contract=joined.contract, as_of=joined.as_of), champion="a", challenger="b"
    )
    assert found.limits is None
    assert found.reason is not None
    assert "never served at the same time" in found.reason
    nobody = sides(
        joined, champion="a", challenger="b", period=f"{START:%Y-%m-%d}..{START + timedelta(days=1):%Y-%m-%d}"
    )
    assert nobody.reason == "no predictions of a and b in the period"


@pytest.mark.parametrize(
    ("champion", "challenger", "what"),
    [
        ("a", "a", "the same version"),
        ("a", "c", "no prediction of the challenger"),
        ("z", "b", "no prediction of the champion"),
    ],
)
def test_a_wrong_version_is_refused(champion: str, challenger: str, what: str) -> None:
    with pytest.raises(ArgumentError, match=what) as caught:
        sides(two_versions(50), champion=champion, challenger=challenger)
    assert caught.value.allowed
    assert caught.value.next_step


def test_slices_and_entity_of_a_pair_are_the_champions() -> None:
    joined = rows(("a", "q1", 1.0), ("b", "q1", None), ("a", "q2", 1.0), ("b", "q2", None))
    other = pl.when(pl.col("model_version") == "b").then(pl.lit("XX")).otherwise(pl.lit("EU")).alias("region")
    blank = (
        pl.when((pl.col("model_version") == "a") & (pl.col("request_id") == "q2"))
        .then(None)
        .otherwise("region")
        .alias("region")
    )
    frame = joined.frame.with_columns(other).with_columns(blank)
    found = sides(
        type(joined)(frame=frame, contract=joined.contract, as_of=joined.as_of),
        champion="a",
        challenger="b",
        slices=["region"],
    )
    for side in (found.champion, found.challenger):
        assert side.frame.sort("request_id")["region"].to_list() == ["EU", "XX"]


def test_where_only_positives_are_reported_silence_about_the_shadow_row_is_no_negative() -> None:
    """Outcomes name the served prediction; the shadow row's window closes in silence all the same."""
    rng = np.random.default_rng(1)
    n = 400
    score = rng.beta(1, 4, n).round(3)
    positive = np.flatnonzero(rng.random(n) < score)
    times = [START + timedelta(minutes=10 * i) for i in range(n)]
    logs = [
        pl.DataFrame(
            {
                "prediction_id": [f"{version}{i}" for i in range(n)],
                "request_id": [f"q{i}" for i in range(n)],
                "ts_pred": times,
                "score": score,
                "model_version": version,
                "environment": environment,
            }
        )
        for version, environment in (("a", "prod"), ("b", "shadow"))
    ]
    outcomes = pl.DataFrame(
        {
            "prediction_id": [f"a{i}" for i in positive],
            "ts_event": [times[i] + timedelta(days=1) for i in positive],
            "label": [1] * len(positive),
        }
    )
    contract = Contract.from_dict(
        {
            "model": {"name": "m"},
            "predictions": {"where": {"environment": ["prod", "shadow"]}},
            "outcomes": {"complete_through": "2026-06-01T00:00:00Z"},
            "label": {"window": "5d", "silence": "negative"},
            "decision": {"threshold": 0.3},
        }
    )
    joined = fb.open_loop(contract=contract, predictions=pl.concat(logs), outcomes=outcomes).join(as_of="2026-06-01")
    assert joined.frame.filter(pl.col("model_version") == "b")["label"].sum() == 0
    found = sides(joined, champion="a", challenger="b")
    assert found.contradicted == 0
    assert found.challenger.frame["label"].sum() == len(positive)
    assert found.challenger.frame["label"].null_count() == 0
