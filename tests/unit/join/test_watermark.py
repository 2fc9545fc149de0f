"""Silence may be believed up to the watermark of a row's own slices, as it was known at the time."""

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.join.watermark import FEED_SCHEMA, count_feed, incomplete_feed, merge_counts, row_watermark
from fbkit.load.loop import load_logs
from fbkit.samples.chargeback import ChargebackConfig, Chargebacks, Outage, chargebacks
from fbkit.schema.contract import Contract

SHAPE = {"days": 180, "per_day": 900, "base_rate": 0.02}
FIRST = 130
OUTAGE = Outage(first=FIRST, days=8)


@cache
def world(outage: Outage | None = OUTAGE) -> Chargebacks:
    return chargebacks(ChargebackConfig(**SHAPE, outage=outage), seed=12)


def join_world(
    made: Chargebacks,
    *,
    as_of: datetime | None = None,
    change: dict[str, dict[str, object]] | None = None,
    predictions: pl.DataFrame | None = None,
    outcomes: pl.DataFrame | None = None,
) -> Joined:
    content = Contract.from_toml(made.contract_toml).model_dump(exclude_defaults=True)
    for table, keys in (change or {}).items():
        content[table] = {**content.get(table, {}), **keys}
    contract = Contract.from_dict(content)
    frames = {
        "predictions": made.predictions if predictions is None else predictions,
        "outcomes": made.outcomes if outcomes is None else outcomes,
    }
    return join(load_logs(contract, root=Path(), frames=frames), contract=contract, as_of=as_of)


def day(number: int) -> datetime:
    return ChargebackConfig(**SHAPE).start + timedelta(days=number)


def wrong(joined: Joined, made: Chargebacks) -> int:
    """Rows called negative that a sound feed would have reported as positive by now."""
    truth = made.final.select("prediction_id", pl.col("label").alias("true"), "ts_sound")
    rows = joined.frame.join(truth, on="prediction_id").filter(pl.col("ts_sound") <= joined.as_of)
    return rows.filter((pl.col("state") == "negative") & (pl.col("true") == 1)).height


def test_a_sound_feed_has_no_short_days_and_its_watermark_is_the_newest_arrival() -> None:
    joined = join_world(world(None))
    assert joined.feed.is_empty()
    assert joined.feed.schema == FEED_SCHEMA
    assert joined.data_through["feed_complete"] == joined.data_through["outcomes"]
    assert "feed_incomplete" not in joined.audit["rule"].to_list()


def test_an_outage_holds_the_rows_of_its_slice_and_no_others() -> None:
    made = world()
    joined = join_world(made)
    assert joined.feed.select("slice", "value", "complete").rows() == [("region", "EU", False)]
    start, end = joined.feed.row(0)[2:4]
    assert abs((start - day(FIRST)).days) <= 3
    assert abs((end - day(FIRST + OUTAGE.days)).days) <= 3
    closes = pl.col("ts_pred") + timedelta(days=90)
    silent = joined.frame.filter(pl.col("label").is_null() | (pl.col("label") == 0))
    states = silent.select("region", "state", (closes <= start).alias("before"), "mature")
    eu = pl.col("region") == "EU"
    assert set(states.filter(eu & pl.col("before"))["state"]) == {"negative"}
    assert set(states.filter(eu & ~pl.col("before"))["state"]) == {"pending"}
    assert set(states.filter(~eu & pl.col("mature"))["state"]) == {"negative"}
    held = joined.audit.filter(pl.col("rule") == "feed_incomplete")["rows"].sum()
    assert held == states.filter(eu & ~pl.col("before") & pl.col("mature")).height > 0


def test_no_lost_positive_is_called_negative_though_the_newest_arrival_would_have_it_so() -> None:
    made = world()
    assert wrong(join_world(made), made) == 0
    # Without slices the healthy regions hide the one that failed: the old watermark.
    blind = join_world(made, change={"slices": {"columns": []}})
    assert wrong(blind, made) > 0


def test_the_whole_feed_stops_everybody_and_is_said_in_the_reach() -> None:
    joined = join_world(world(Outage(first=FIRST, days=6, region=None)))
    assert joined.feed["slice"].to_list() == [None]
    start = joined.feed["start"][0]
    assert joined.data_through["feed_complete"] == start.isoformat().replace("+00:00", "Z")
    late = joined.frame.filter(pl.col("ts_pred") + timedelta(days=90) > start)
    assert set(late["state"]) <= {"positive", "pending"}


def test_a_backfill_heals_the_feed_from_its_arrival_on_and_not_before() -> None:
    made = world(Outage(first=FIRST, days=8, backfill=160))
    before, after = (join_world(made, as_of=day(number)) for number in (159, 162))
    assert before.feed["complete"].to_list() == [False]
    assert after.feed["complete"].to_list() == [True]
    assert after.feed["recovered"][0] == pytest.approx(after.feed["expected"][0], rel=0.4)
    assert "feed_incomplete" in before.audit["rule"].to_list()
    # What is mature but later than the newest arrival waits for that alone.
    held = after.frame.filter(pl.col("mature") & (pl.col("state") == "pending"))
    assert (held["ts_pred"] + timedelta(days=90)).min() is None or held.height < 0.02 * after.frame.height


@pytest.mark.parametrize("number", [131, 134, 139, 150])
def test_what_was_known_decides(number: int) -> None:
    made, moment = world(), day(number)
    known = join_world(
        made,
        as_of=moment,
        predictions=made.predictions.filter(pl.col("ts_pred") <= moment),
        outcomes=made.outcomes.filter(pl.col("ts_arrival") <= moment),
    )
    replayed = join_world(made, as_of=moment)
    assert known.feed.equals(replayed.feed)
    assert known.frame["state"].equals(replayed.frame["state"])


def test_the_last_day_is_not_judged_before_it_is_over() -> None:
    made = world(None)
    monday = next(number for number in range(FIRST, FIRST + 7) if day(number).weekday() == 0)
    early = made.outcomes.filter(
        (pl.col("ts_arrival") < day(monday)) | (pl.col("ts_arrival") >= day(monday) + timedelta(hours=7))
    )
    joined = join_world(made, outcomes=early, as_of=day(monday) + timedelta(hours=7, minutes=1))
    assert joined.feed.is_empty()


def test_a_feed_that_died_is_short_from_then_on_and_its_watermark_stays_at_its_last_word() -> None:
    made = world(None)
    joined = join_world(made, outcomes=made.outcomes.filter(pl.col("ts_arrival") < day(150)), as_of=day(178))
    assert joined.feed.select("slice", "complete").rows() == [(None, False)]
    assert abs((joined.feed["start"][0] - day(150)).days) <= 3
    late = joined.frame.filter(pl.col("ts_pred") + timedelta(days=90) >= day(150))
    assert set(late["state"]) <= {"positive", "pending"}


def test_the_order_of_rows_changes_nothing() -> None:
    made = world()
    shuffled = join_world(
        made,
        predictions=made.predictions.sample(fraction=1, shuffle=True, seed=1),
        outcomes=made.outcomes.sample(fraction=1, shuffle=True, seed=2),
    )
    assert shuffled.feed.equals(join_world(made).feed)


def test_a_slice_without_a_value_and_a_column_named_like_ours_are_slices_too() -> None:
    made = world()
    renamed = made.predictions.with_columns(
        pl.when(pl.col("region") == "EU").then(None).otherwise("region").alias("day")
    )
    joined = join_world(made, predictions=renamed.drop("region"), change={"slices": {"columns": ["day", "device"]}})
    assert joined.feed.select("slice", "value", "complete").rows() == [("day", None, False)]
    held = joined.frame.filter(pl.col("mature") & (pl.col("state") == "pending"))
    assert held["day"].null_count() == held.height > 0


def test_where_silence_means_missing_nothing_is_judged() -> None:
    joined = join_world(world(), change={"label": {"silence": "missing"}, "slo": {"feed_completeness": None}})
    assert joined.feed.is_empty()
    assert set(joined.frame.filter("mature")["state"]) == {"positive", "missing"}


def test_a_stated_watermark_does_not_hide_short_days() -> None:
    joined = join_world(world(), change={"outcomes": {"complete_through": day(180)}})
    assert joined.feed["value"].to_list() == ["EU"]


def test_the_watermark_of_a_row_is_the_least_of_its_slices_lazily_too() -> None:
    base = day(100)
    lines = [
        ("region", "EU", day(50), day(52), 0, 30.0, 0.0, False),
        ("region", "US", day(20), day(22), 0, 30.0, 30.0, True),
        ("device", None, day(40), day(42), 0, 30.0, 0.0, False),
    ]
    feed = pl.DataFrame(lines, schema=FEED_SCHEMA, orient="row")
    rows = pl.DataFrame({"region": ["EU", "US", "EU", "US"], "device": ["web", "web", None, None]})
    expected = [day(50), base, day(40), day(40)]
    expression = row_watermark(feed, base=base).alias("watermark")
    assert rows.select(expression)["watermark"].to_list() == expected
    assert rows.lazy().select(expression).collect()["watermark"].to_list() == expected


def test_counts_of_parts_add_up_to_the_counts_of_the_whole() -> None:
    made, base = world(), day(175)
    contract = Contract.from_toml(made.contract_toml)
    rows = made.predictions.with_columns(
        pl.lit(value=False).alias("blocked"), (pl.col("ts_pred") + timedelta(days=90)).alias("__closes")
    )
    pairs = made.outcomes.filter(pl.col("ts_arrival") <= base).with_columns(pl.lit("used").alias("fate"))
    whole = count_feed(rows, pairs, contract=contract, base=base)
    halves = [
        count_feed(rows.filter(part).lazy(), pairs.lazy(), contract=contract, base=base)
        for part in (pl.col("device") == "web", pl.col("device") != "web")
    ]
    added = merge_counts(halves)
    for name in ("made", "arrived", "backfilled", "delays"):
        one, other = getattr(whole, name), getattr(added, name)
        assert one.sort(pl.all()).equals(other.select(one.columns).sort(pl.all()))
    assert incomplete_feed(added, as_of=base).equals(incomplete_feed(whole, as_of=base))


def test_columns_of_very_many_values_are_given_up_before_memory_is() -> None:
    made = world()
    many = made.predictions.with_columns(
        (pl.int_range(pl.len()) % 190).cast(pl.String).alias("shop"), (pl.int_range(pl.len()) % 5000).alias("customer")
    )
    joined = join_world(
        made, predictions=many, change={"slices": {"columns": ["shop", "customer", "region", "device"]}}
    )
    assert joined.feed.select("slice", "value").rows() == [("region", "EU")]
