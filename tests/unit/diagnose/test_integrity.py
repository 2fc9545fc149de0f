"""Every kind of dirt is counted where it was put, and differs only where it was put."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from fbkit.diagnose.integrity import FAN_OUT, SCHEMA, integrity
from tests.unit.diagnose.statement_world import AS_OF, Logs, logs, scene_of


def count(frame: pl.DataFrame, check: str, window: str = "current") -> int:
    found = frame.filter((pl.col("check") == check) & (pl.col("window") == window))
    return 0 if found.is_empty() else int(found["rows"].item())


def differing(frame: pl.DataFrame) -> set[str]:
    return set(frame.filter("differs")["check"])


def hit(world: Logs, share: int = 5) -> pl.DataFrame:
    """Every fifth of the current outcomes that a week more does not put beyond the evaluation."""
    known = pl.col("ts_arrival") + timedelta(days=8) <= AS_OF
    return world.outcomes.filter(world.of_current() & known).gather_every(share)


def put(world: Logs, what: str) -> tuple[pl.DataFrame, int]:
    """The outcomes with one kind of dirt in the current window, and how much of it."""
    some = hit(world)
    rest = world.outcomes.join(some, on="prediction_id", how="anti")
    made: dict[str, pl.DataFrame] = {
        "orphans": pl.concat([rest, some.with_columns(prediction_id=pl.col("prediction_id").str.replace("p", "q"))]),
        "ids of another format": pl.concat([rest, some.with_columns(prediction_id="TX-" + pl.col("prediction_id"))]),
        "statements without a usable key": pl.concat([rest, some.with_columns(prediction_id=pl.lit(""))]),
        "replaced statements": pl.concat(
            [
                world.outcomes,
                some.with_columns(label=1 - pl.col("label"), ts_arrival=pl.col("ts_arrival") + timedelta(1)),
            ]
        ),
        "conflicting statements": pl.concat([world.outcomes, some.with_columns(label=1 - pl.col("label"))]),
        "events before the prediction": pl.concat(
            [rest, some.with_columns(ts_event=pl.col("ts_event") - timedelta(days=8))]
        ),
        "events after the label window": pl.concat(
            [
                rest,
                some.with_columns(
                    ts_event=pl.col("ts_event") + timedelta(days=8), ts_arrival=pl.col("ts_arrival") + timedelta(days=8)
                ),
            ]
        ),
    }
    return made[what], some.height * (2 if what == "conflicting statements" else 1)


@pytest.mark.parametrize(
    "what",
    [
        "orphans", "ids of another format", "statements without a usable key", "replaced statements",
        "conflicting statements", "events before the prediction", "events after the label window",
    ],
)  # fmt: skip
def test_dirt_is_counted_where_it_was_put(what: str) -> None:
    world = logs()
    outcomes, wanted = put(world, what)
    frame = integrity(scene_of(world.joined(outcomes)))
    assert count(frame, what) == wanted
    assert count(frame, what, "reference") == 0
    assert what in differing(frame)


def test_a_healthy_loop_differs_nowhere() -> None:
    world = logs()
    frame = integrity(scene_of(world.joined()))
    assert frame.schema == pl.Schema(SCHEMA)
    assert not differing(frame)
    assert count(frame, "orphans") == 0
    missing = frame.filter(pl.col("check") == "predictions that no statement reached")
    joined = world.joined().frame
    assert missing["rows"].sum() == joined["label"].null_count()
    assert missing["of"].sum() == joined.height


def test_rows_of_another_environment_are_counted_as_left_out() -> None:
    world = logs(n=3_000)
    shadow = world.predictions.gather_every(3).with_columns(
        prediction_id="s" + pl.col("prediction_id"), environment=pl.lit("shadow")
    )
    both = pl.concat([world.predictions.with_columns(environment=pl.lit("prod")), shadow])
    tables: dict[str, Any] = {"predictions": {"where": {"environment": ["prod"]}}}
    found = integrity(scene_of(Logs(both, world.outcomes, world.truth, world.current).joined(**tables)))
    left_out = found.filter(pl.col("check") == "predictions of another environment")
    assert left_out["rows"].sum() == shadow.height
    assert left_out["of"].sum() == both.height


def test_fan_out_is_counted_by_statement() -> None:
    world = logs(n=3_000, entities=300)
    fallback: dict[str, Any] = {"join": {"fallback": {"entity": ["entity_id"], "rule": "earliest"}}}
    joined = world.joined(world.outcomes.with_columns(prediction_id=pl.lit("")), **fallback)
    frame = integrity(scene_of(joined))
    pairs = joined.candidates.filter((pl.col("n_rivals") > 0) & (pl.col("fate") == "used"))
    assert frame.filter(pl.col("check") == FAN_OUT)["rows"].sum() == pairs["statement"].n_unique()


def test_fewer_late_statements_for_young_rows_are_no_difference() -> None:
    """What arrives late for the current rows may still come: only more of it than before tells something."""
    world = logs()
    old = world.outcomes.filter(~world.of_current()).gather_every(4)
    later = old.with_columns(label=1 - pl.col("label"), ts_arrival=pl.col("ts_arrival") + timedelta(days=1))
    frame = integrity(scene_of(world.joined(pl.concat([world.outcomes, later]))))
    assert count(frame, "replaced statements", "reference") > 100
    assert "replaced statements" not in differing(frame)


def test_without_statements_the_checks_of_the_predictions_remain(by_hand: Callable[..., Any]) -> None:
    frame = integrity(scene_of(by_hand(n=1_000)))
    assert frame.schema == pl.Schema(SCHEMA)
    assert "orphans" not in set(frame["check"])
