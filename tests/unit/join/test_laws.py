"""Laws of the join that hold whatever the data: nothing lost, no order, no future."""

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fbkit.errors import InputError
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.schema.results import LABEL_STATES
from fbkit.testing.rich_worlds import rich_worlds
from fbkit.testing.worlds import World, worlds

LESS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def join_frames(world: World, frames: dict[str, pl.DataFrame]) -> Joined:
    contract = world.contract.for_label(world.label or world.contract.label.name)
    try:
        logs = load_logs(contract, root=Path(), frames=frames)
        return join(logs, contract=contract, as_of=world.as_of, label_versions=world.label_versions)
    except InputError:
        assume(condition=False)
        raise


def ipc(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc_stream(buffer)
    return buffer.getvalue()


@LESS
@given(rich_worlds())
def test_the_states_partition_the_predictions_and_the_rows_add_up(world: World) -> None:
    frames = world.frames()
    joined = join_frames(world, frames)
    counts = joined.frame.group_by("state").len()
    assert counts["len"].sum() == joined.frame.height
    assert set(counts["state"].cast(pl.String)) <= set(LABEL_STATES)
    for table, frame in frames.items():
        audit = joined.audit.filter(
            (pl.col("table") == table) & ~pl.col("rule").is_in(["cast", "arrival_is_event_time"])
        )
        rows = dict(audit.select("rule", "rows").iter_rows())
        assert rows.pop("in") == frame.height == sum(rows.values())
        assert joined.rejects[table].height == frame.height - rows["used"]
    labelled = joined.frame["label"].is_not_null()
    assert joined.frame.filter(labelled)["state"].is_in(["positive", "negative", "labelled"]).all()
    assert joined.frame.filter(~labelled)["rule"].null_count() == (~labelled).sum()


@LESS
@given(rich_worlds(), st.randoms(use_true_random=False))
def test_row_order_and_chunks_change_no_byte(world: World, random: object) -> None:
    frames = world.frames()
    first = join_frames(world, frames)
    shuffled = {}
    for name, frame in frames.items():
        order = list(range(frame.height))
        random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis hands over a random.Random
        mixed = frame[order]
        cut = frame.height // 2
        shuffled[name] = pl.concat([mixed[:cut], mixed[cut:]], rechunk=False)
    second = join_frames(world, shuffled)
    assert ipc(first.frame) == ipc(second.frame)
    assert ipc(first.audit) == ipc(second.audit)
    assert ipc(first.candidates) == ipc(second.candidates)


# Rows of the account that say what the logs hold besides what was known then.
HINDSIGHT = ("after_as_of", "not_yet_arrived", "clash_still_unknown", "clash_then")


def counted(joined: Joined, table: str, rule: str) -> int:
    return int(joined.audit.filter((pl.col("table") == table) & (pl.col("rule") == rule))["rows"].sum())


def account(joined: Joined) -> pl.DataFrame:
    return joined.audit.filter((pl.col("table") == "join") & ~pl.col("rule").is_in(HINDSIGHT))


@settings(LESS, max_examples=150)
@given(rich_worlds(always_as_of=True))
def test_what_comes_later_changes_no_earlier_view(world: World) -> None:
    """All logs as of T, or only the rows that were known at T: the same table, candidates, account and reach."""
    then = join_frames(world, world.as_known().frames())
    now = join_frames(world, world.frames())
    assert then.frame.equals(now.frame)
    told = pl.col("fate") != "not_yet_arrived"
    kept = [name for name in now.candidates.columns if name != "statement"]
    assert then.candidates.filter(told).select(kept).equals(now.candidates.filter(told).select(kept))
    assert account(then).equals(account(now))
    assert then.data_through == now.data_through
    assert then.ambiguity.equals(now.ambiguity)
    assert then.warnings == now.warnings


@LESS
@given(rich_worlds(always_as_of=True))
def test_the_predictions_of_a_view_are_accounted_for(world: World) -> None:
    joined = join_frames(world, world.frames())
    rows = dict(joined.audit.filter(pl.col("table") == "join").select("rule", "rows").iter_rows())
    used = counted(joined, "predictions", "used")
    restored = joined.frame.height - used + rows.get("after_as_of", 0) + rows.get("clash_then", 0)
    assert rows["predictions"] == joined.frame.height
    assert 0 <= restored <= rows.get("clash_still_unknown", 0)


@LESS
@given(worlds(always_as_of=True))
def test_labels_only_settle_as_time_goes_on(world: World) -> None:
    """A mature row never becomes immature, and a pending one with closed window never reopens."""
    assert world.as_of is not None
    early = join_frames(world, world.frames())
    late = join_frames(replace(world, as_of=world.as_of + timedelta(days=2)), world.frames())
    both = early.frame.join(late.frame, on="prediction_id", suffix="_late")
    assert both.height == early.frame.height
    assert both.filter(pl.col("mature") & ~pl.col("mature_late")).is_empty()
    assert both.filter(pl.col("label").is_not_null() & (pl.col("state_late") == "pending")).is_empty()
