"""Days and late labels are added without counting everything again; the result is that of counting everything."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from fbkit.errors import ArgumentError
from fbkit.ledger import update as updating
from fbkit.ledger.build import build
from fbkit.ledger.ledger import Ledger
from fbkit.testing.frames import FakeJoined, make_joined, random_joined

DAY = timedelta(days=1)


def history(n: int = 3000, seed: int = 1) -> pl.DataFrame:
    """A table with every label that will ever come, and when."""
    joined = random_joined(n, seed=seed, entities=200, missing=0.2)
    generator = np.random.default_rng(seed)
    return joined.frame.with_columns(delay=pl.Series(generator.exponential(3, n)) * 86_400_000_000).with_columns(
        arrival_lag=pl.col("delay").round().cast(pl.Int64).cast(pl.Duration("us"))
    )


def known_at(rows: pl.DataFrame, at: datetime) -> FakeJoined:
    arrived = pl.col("ts_pred") + pl.col("arrival_lag") <= at
    frame = rows.filter(pl.col("ts_pred") <= at).with_columns(
        label=pl.when(arrived).then("label"), mature=pl.col("ts_pred") + 7 * DAY <= at
    )
    frame = frame.with_columns(
        arrival_lag=pl.when(pl.col("label").is_not_null()).then("arrival_lag"),
        state=pl.when(pl.col("label") == 1)
        .then(pl.lit("positive"))
        .when(pl.col("label") == 0)
        .then(pl.lit("negative"))
        .when("mature")
        .then(pl.lit("missing"))
        .otherwise(pl.lit("pending"))
        .cast(rows.schema["state"]),
    )
    contract = make_joined(scores=[0.5], labels=[1.0]).contract
    return FakeJoined(frame=frame, contract=contract, as_of=at)


ROWS = history()
LAST: datetime = ROWS["ts_pred"].max()  # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize("later", [0.0, 0.3, 1.0, 5.5, 20.0])
def test_an_update_is_a_full_rebuild(later: float) -> None:
    first = known_at(ROWS, LAST - 8 * DAY)
    ledger = build(first, slices=["group", "region"], pairs=[("group", "region")])
    then = known_at(ROWS, first.as_of + later * DAY)
    rebuilt = build(then, slices=["group", "region"], pairs=[("group", "region")], edges=ledger.edges)
    assert ledger.updated(then) == rebuilt
    assert ledger.updated(then, period="2026-01-01..2026-06-01") == rebuilt


def test_only_weeks_that_changed_are_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = known_at(ROWS, LAST - 2 * DAY)
    ledger = build(first, slices=["group"])
    then = known_at(ROWS, first.as_of + 0.5 * DAY)
    counted: list[int] = []
    count = updating.count

    def spy(joined: FakeJoined, *given: object, **named: object) -> Ledger:
        counted.append(joined.frame.height)
        return count(joined, *given, **named)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(updating, "count", spy)
    assert ledger.updated(then) == build(then, slices=["group"], edges=ledger.edges)
    assert counted[0] < then.frame.height


def test_a_label_that_was_withdrawn_or_corrected_is_seen() -> None:
    at = LAST + 30 * DAY
    before = known_at(ROWS, at)
    ledger = build(before, slices=["group"])
    labelled = pl.col("label").is_not_null() & (pl.col("prediction_id") < "p-000900")
    withdrawn = before.frame.with_columns(
        label=pl.when(~labelled).then("label"),
        arrival_lag=pl.when(~labelled).then("arrival_lag"),
        state=pl.when(labelled).then(pl.lit("missing").cast(before.frame.schema["state"])).otherwise("state"),
    )
    corrected = before.frame.with_columns(
        label=pl.when(labelled).then(1 - pl.col("label")).otherwise("label"),
        arrival_lag=pl.when(labelled).then(pl.lit(at + DAY) - pl.col("ts_pred")).otherwise("arrival_lag"),
    )
    for frame in (withdrawn, corrected):
        then = FakeJoined(frame=frame, contract=before.contract, as_of=at + 2 * DAY)
        assert ledger.updated(then) == build(then, slices=["group"], edges=ledger.edges)


def test_new_days_can_be_added_as_a_ledger_of_their_own() -> None:
    joined = known_at(ROWS, LAST + DAY)
    cut = pl.col("ts_pred") < LAST - 3 * DAY
    old, new = (
        FakeJoined(frame=joined.frame.filter(keep), contract=joined.contract, as_of=joined.as_of)
        for keep in (cut, ~cut)
    )
    ledger = build(old, slices=["group"])
    assert ledger + build(new, slices=["group"], edges=ledger.edges) == build(
        joined, slices=["group"], edges=ledger.edges
    )


def test_what_is_no_update_is_refused() -> None:
    joined = known_at(ROWS, LAST)
    ledger = build(joined, slices=["group"])
    with pytest.raises(ArgumentError, match="forwards in time"):
        ledger.updated(known_at(ROWS, LAST - DAY))
    other = make_joined(scores=[0.5], labels=[1.0], as_of=LAST + DAY, task="ranking")
    with pytest.raises(ArgumentError, match="another contract"):
        ledger.updated(other)
    with pytest.raises(ArgumentError, match="more weeks changed"):
        build(known_at(ROWS, LAST - 9 * DAY), slices=["group"]).updated(joined, period="2026-04-05..2026-04-06")
