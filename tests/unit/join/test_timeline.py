"""The timeline of a receipt says what joining the whole logs again at that moment says."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

import fbkit as fb
from fbkit.errors import FbkitError
from fbkit.testing.worlds import World, worlds

TICK = timedelta(microseconds=1)


def state_at(loop: fb.Loop, prediction_id: str, moment: datetime) -> dict[str, Any]:
    frame = loop.join(as_of=moment).frame.filter(pl.col("prediction_id") == prediction_id)
    return frame.select("state", "label", "source", "mature").row(0, named=True)


def opened(world: World) -> tuple[fb.Loop, fb.Joined] | None:
    try:
        loop = fb.open_loop(contract=world.contract, **world.frames())
        return loop, loop.join(as_of=world.as_of)
    except FbkitError:
        return None


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_every_row_is_what_a_join_at_that_moment_says_and_nothing_moves_between_them(world: World) -> None:
    made = opened(world)
    if made is None:
        return
    loop, joined = made
    for name in joined.frame["prediction_id"].head(2):
        past = [row for row in joined.receipt(name).timeline.iter_rows(named=True) if row["at"] <= joined.as_of]
        for row in past:
            assert {key: row[key] for key in ("state", "label", "source", "mature")} == state_at(loop, name, row["at"])
        for row, following in pairwise(past):
            assert row["state"] == state_at(loop, name, following["at"] - TICK)["state"]
        assert past[-1]["state"] == state_at(loop, name, joined.as_of)["state"]


T0 = datetime.fromisoformat("2024-05-06T00:00:00+00:00")
HOUR = timedelta(hours=1)


def loop_of(*rows: tuple[str | None, timedelta, timedelta, float, str], **tables: Any) -> fb.Loop:
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "4h", "grace": "1h"}}
    names = ["prediction_id", "event", "arrival", "label", "source"]
    right = pl.DataFrame(
        [dict(zip(names, row, strict=True)) for row in rows], schema_overrides={"prediction_id": pl.String}
    )
    right = right.select(
        "prediction_id",
        "label",
        "source",
        (T0 + pl.col("event")).alias("ts_event"),
        (T0 + pl.col("arrival")).alias("ts_arrival"),
    )
    left = pl.DataFrame({"prediction_id": ["a", "b"], "ts_pred": [T0, T0 + HOUR], "score": [0.5, 0.6]})
    return fb.open_loop(contract=fb.Contract.from_dict(content | tables), predictions=left, outcomes=right)


def test_a_correction_moves_the_state_when_it_arrives_and_not_before() -> None:
    loop = loop_of(("a", HOUR, 2 * HOUR, 1.0, "auto"), ("a", HOUR, 8 * HOUR, 0.0, "backfill"))
    shown = loop.join().receipt("a").timeline
    assert shown["at"].to_list() == [T0, T0 + 2 * HOUR, T0 + 4 * HOUR, T0 + 5 * HOUR, T0 + 8 * HOUR]
    assert shown["state"].to_list() == ["pending", "positive", "positive", "positive", "negative"]
    assert shown["mature"].to_list() == [False, False, False, True, True]


def test_what_is_still_to_come_has_no_state() -> None:
    shown = loop_of(("a", HOUR, 2 * HOUR, 1.0, "auto")).join().receipt("b").timeline
    assert shown["state"].to_list() == ["pending", None, None]
    assert all(text.startswith("to come: ") for text in shown["what"][1:])


@pytest.mark.parametrize("silence", ["missing", "negative"])
def test_silence_becomes_what_the_contract_says_once_the_feed_is_past_the_window(silence: str) -> None:
    label = {"window": "4h", "silence": silence}
    loop = loop_of(("a", HOUR, 2 * HOUR, 1.0, "auto"), ("a", HOUR, 7 * HOUR, 1.0, "auto"), label=label)
    shown = loop.join().receipt("b").timeline
    ends = {"missing": ["pending", "missing"], "negative": ["pending", "pending", "negative"]}
    assert shown["state"].to_list() == ends[silence]


def test_a_session_that_goes_on_opens_the_window_again() -> None:
    minute = timedelta(minutes=1)
    left = pl.DataFrame(
        {"prediction_id": ["a", "b"], "ts_pred": [T0, T0 + 40 * minute], "score": [0.5, 0.6], "session_id": "s"}
    )
    right = pl.DataFrame({"prediction_id": ["b"], "ts_event": [T0 + 9 * HOUR], "label": [1.0]})
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "session"}}
    loop = fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right)
    shown = loop.join().receipt("a").timeline
    assert shown["at"].to_list() == [T0, T0 + 30 * minute, T0 + 40 * minute, T0 + 70 * minute]
    assert shown["state"].to_list() == ["pending", "missing", "pending", "missing"]
    assert shown["state"].to_list() == [state_at(loop, "a", at)["state"] for at in shown["at"]]


def test_statements_that_clash_later_counted_until_then() -> None:
    left = pl.DataFrame({"prediction_id": ["a", "b"], "ts_pred": [T0, T0], "score": [0.5, 0.6]})
    right = pl.DataFrame({
        "prediction_id": ["a", "a", "b", "b"], "outcome_id": ["x", "x", "y", "z"],
        "ts_event": [T0 + HOUR] * 4, "label": [1.0, 0.0, 1.0, 1.0],
        "ts_arrival": [T0 + HOUR, T0 + 3 * HOUR, T0 + 9 * HOUR, T0 + 9 * HOUR],
    })  # fmt: skip
    content = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "2h"}}
    loop = fb.open_loop(contract=fb.Contract.from_dict(content), predictions=left, outcomes=right)
    shown = loop.join().receipt("a").timeline
    assert shown["state"].to_list() == ["pending", "positive", "positive", "missing"]
    assert shown["state"].to_list() == [state_at(loop, "a", at)["state"] for at in shown["at"]]
