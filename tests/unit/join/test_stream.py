"""The join in batches against the join in memory: random small worlds, cut into tiny batches, no difference."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from fbkit.errors import InputError
from fbkit.join import parts, slim, stream
from fbkit.join.joined import Joined
from fbkit.join.stream import HashCollisionError, LazyLogs, can_stream, stream_join
from fbkit.load.frames import scan_frame
from fbkit.load.loop import load_logs
from fbkit.testing.rich_worlds import rich_worlds
from fbkit.testing.worlds import World
from tests.unit.join.test_against_reference import joined as in_memory

SHOWN = ("used", "not_yet_arrived")


def streamed(world: World, folder: Path) -> Joined:
    frames = world.frames()
    contract = world.contract.for_label(world.label or world.contract.label.name)
    logs = load_logs(world.contract, root=Path(), frames=frames)
    lazy = LazyLogs(
        predictions=scan_frame(frames["predictions"].lazy(), table="predictions"),
        outcomes=scan_frame(frames["outcomes"].lazy(), table="outcomes"),
        actions=logs.actions,
        changes=logs.changes,
    )
    return stream_join(lazy, contract=contract, folder=folder, as_of=world.as_of, label_versions=world.label_versions)


def counted(audit: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(audit.select("table", "rule", "rows", "detail").iter_rows(), key=str)


def compare(world: World, folder: Path) -> str:
    if not can_stream(world.contract.for_label(world.label or world.contract.label.name)):
        return "in memory only"
    try:
        expected = in_memory(world, frames=world.frames())
    except InputError:
        return "refused"
    found = streamed(world, folder)
    assert_frame_equal(found.frame, expected.frame)
    assert found.frame.write_ipc(None).getvalue() == expected.frame.write_ipc(None).getvalue()
    assert counted(found.audit) == counted(expected.audit)
    assert found.data_through == expected.data_through
    assert found.as_of == expected.as_of
    told = [name for name in ("fate", "prediction_id", "ts_event", "ts_arrival", "label", "source", "rule")]
    idle = ~pl.col("fate").is_in(SHOWN)
    assert_frame_equal(
        found.candidates.filter(idle).select(told).sort(told),
        expected.candidates.filter(idle).select(told).sort(told),
    )
    for name, rows in expected.rejects.items():
        assert found.rejects[name].height == rows.height
    return "equal"


@pytest.fixture
def tiny_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (slim, parts):
        monkeypatch.setattr(module, "BATCH", 3)


def run(examples: int, folder: Path) -> Counter[str]:
    met: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None)
    @given(rich_worlds())
    def check(world: World) -> None:
        met[compare(world, folder)] += 1

    check()
    return met


def test_batches_join_as_memory_does(tiny_batches: None, tmp_path: Path) -> None:
    met = run(200, tmp_path)
    assert met["equal"] > 50


@pytest.mark.deep
def test_many_worlds_in_batches_join_as_memory_does(tiny_batches: None, tmp_path: Path) -> None:
    assert run(5000, tmp_path)["equal"] > 1000
