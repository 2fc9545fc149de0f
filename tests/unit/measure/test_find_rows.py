"""Rows worth looking at: against plain loops over the rows."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.measure.find_rows import find_rows, questions
from fbkit.schema.contract import Contract
from fbkit.testing.frames import START, FakeJoined, make_joined, random_joined

PERIOD = (START + timedelta(days=40), START + timedelta(days=52))
ASKED = f"{PERIOD[0]:%Y-%m-%d}..{PERIOD[1]:%Y-%m-%d}"


@pytest.fixture(scope="module")
def joined() -> FakeJoined:
    made = random_joined(2500, seed=4, groups=3)
    late = pl.col("score").hash(seed=1) % 11 == 0
    return FakeJoined(frame=made.frame.with_columns(late.alias("late")), contract=made.contract, as_of=made.as_of)


def personal(joined: FakeJoined, *names: str) -> FakeJoined:
    facts = joined.contract.model_dump(exclude_defaults=True)
    facts |= {"privacy": {"personal": list(names)}, "slices": {"columns": ["group"]}}
    return FakeJoined(frame=joined.frame, contract=Contract.from_dict(facts), as_of=joined.as_of)


def by_hand(joined: FakeJoined, question: str, threshold: float | None) -> list[str]:
    """Ids in order, with a loop and Python's own sort."""
    found: list[tuple[Any, str]] = []
    for row in joined.frame.to_dicts():
        if not PERIOD[0] <= row["ts_pred"] < PERIOD[1] or row["group"] != "g1":
            continue
        flag = row["flagged"] if threshold is None else row["score"] >= threshold
        settled = row["mature"] and row["label"] is not None
        keep, order = {
            "missed": (settled and row["label"] == 1 and not flag, row["score"]),
            "false_alarms": (settled and row["label"] == 0 and flag, -row["score"]),
            "missing": (row["state"] == "missing", -row["ts_pred"].timestamp()),
            "pending": (row["state"] == "pending", -row["ts_pred"].timestamp()),
            "newest": (True, -row["ts_pred"].timestamp()),
        }[question]
        if keep:
            found.append((order, row["prediction_id"]))
    return [name for _, name in sorted(found)]


@pytest.mark.parametrize("question", ["missed", "false_alarms", "missing", "pending", "newest"])
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_what_is_found_is_what_a_loop_finds_in_its_order(
    joined: FakeJoined, question: str, threshold: float | None
) -> None:
    found = find_rows(joined, question, period=ASKED, where={"group": "g1"}, threshold=threshold)
    expected = by_hand(joined, question, threshold)
    assert found.rows["prediction_id"].to_list() == expected[:50]
    assert found.steps["left"].to_list()[-2:] == [len(expected), min(len(expected), 50)]


def test_each_step_counts_what_the_rules_so_far_leave(joined: FakeJoined) -> None:
    steps = find_rows(joined, "missed", period=ASKED, where={"region": None, "group": "g0"}).steps
    rules = ["all predictions", "in the period", "region = (no value)", "group = g0", "final", "labelled", "positive"]
    assert steps["rule"].to_list() == [*rules, "not flagged", "shown here"]
    frame = joined.frame
    inside = frame.filter(pl.col("ts_pred").is_between(*PERIOD, closed="left"))
    assert steps["left"].to_list()[:3] == [2500, inside.height, inside["region"].null_count()]
    assert (steps["dropped"][1:] + steps["left"][1:]).to_list() == steps["left"][:-1].to_list()
    assert steps["dropped"][0] == 0


def test_the_longest_wait_comes_first_among_late_labels() -> None:
    joined = make_joined(scores=[0.5] * 4, labels=[1, 0, 1, 1], arrival_days=[9, 1, 12, 8])
    late = FakeJoined(
        frame=joined.frame.with_columns((pl.col("arrival_lag") > timedelta(days=7)).alias("late")),
        contract=joined.contract,
        as_of=joined.as_of,
    )
    assert find_rows(late, "late").rows["prediction_id"].to_list() == ["p-000002", "p-000000", "p-000003"]
    with pytest.raises(ArgumentError, match="no such column"):
        find_rows(joined, "late")


def test_regression_has_the_largest_errors_and_ranking_no_flags() -> None:
    numbers = make_joined(scores=[1.0, 5.0, 2.0, 9.0], labels=[1.5, 1.0, 2.0, None], task="regression")
    found = find_rows(numbers, "errors").rows
    assert found["error"].to_list() == [4.0, 0.5, 0.0]
    ranked = make_joined(scores=[0.9, 0.1, 0.4], labels=[0.0, 1.0, 1.0], flags=[None] * 3, task="ranking")
    assert find_rows(ranked, "missed").rows["score"].to_list() == [0.1, 0.4]
    assert find_rows(ranked, "false_alarms").rows["score"].to_list() == [0.9]
    with pytest.raises(ArgumentError, match="cannot be looked for"):
        find_rows(numbers, "missed")


def test_a_part_of_an_id_is_text_and_no_pattern(joined: FakeJoined) -> None:
    assert find_rows(joined, "newest", identifier=" p-000012 ").rows["prediction_id"].to_list() == ["p-000012"]
    assert find_rows(joined, "newest", identifier="p-.*").rows.is_empty()
    assert find_rows(joined, "newest", identifier="p-00001").steps["left"].to_list()[-2] == 10


@pytest.mark.parametrize("question", ["missed", "newest"])
def test_personal_columns_never_come_along(joined: FakeJoined, question: str) -> None:
    found = find_rows(personal(joined, "region", "model_version"), question, where={"region": "EU"})
    assert "region" not in found.rows.columns
    assert found.hidden == ("model_version",)
    assert "model_version" not in found.rows.columns
    assert "EU" not in str(found.steps["rule"].to_list())
    assert "group" in found.rows.columns


def test_at_most_fifty_rows_and_no_feature(joined: FakeJoined) -> None:
    found = find_rows(joined, "newest")
    assert found.rows.height == 50
    assert "entity" not in found.rows.columns


@pytest.mark.parametrize("task", ["binary", "regression", "ranking"])
def test_every_question_of_a_task_is_answered(task: str) -> None:
    joined = make_joined(scores=[0.2, 0.9], labels=[1.0, None], task=task)
    frame = joined.frame.with_columns(pl.lit(value=False).alias("late"))
    for question in questions(joined.contract):
        made = find_rows(FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), question)
        assert made.rows.height == made.steps["left"][-1]


def test_an_unknown_column_is_refused(joined: FakeJoined) -> None:
    with pytest.raises(ArgumentError, match="no such column"):
        find_rows(joined, "newest", where={"country": "EU"})
