"""The join in batches against the join in memory: random small worlds, cut into tiny batches, no difference."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from fbkit.errors import InputError
from fbkit.join import parts, slim
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.join.stream import HashCollisionError, LazyLogs, can_stream, stream_join
from fbkit.load.frames import scan_frame
from fbkit.load.loop import load_logs
from fbkit.samples.chargeback import ChargebackConfig, Outage, chargebacks
from fbkit.schema.contract import Contract
from fbkit.testing.rich_worlds import rich_worlds
from fbkit.testing.worlds import World
from tests.unit.join.test_against_reference import joined as in_memory


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
    assert_frame_equal(found.feed, expected.feed)
    assert found.frame.write_ipc(None).getvalue() == expected.frame.write_ipc(None).getvalue()
    assert counted(found.audit) == counted(expected.audit)
    assert found.data_through == expected.data_through
    assert found.as_of == expected.as_of
    told = ["fate", "prediction_id", "ts_pred", "ts_event", "ts_arrival", "label", "source", "rule", "n_rivals", "key"]
    assert_frame_equal(found.candidates.select(told).sort(told), expected.candidates.select(told).sort(told))
    assert found.candidates["statement"].n_unique() == expected.candidates["statement"].n_unique()
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


def test_an_outage_of_one_region_stops_its_rows_in_batches_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = chargebacks(
        ChargebackConfig(days=210, per_day=500, base_rate=0.05, outage=Outage(first=120, days=6)), seed=5
    )
    frames = {"predictions": made.predictions.sample(fraction=1.0, shuffle=True, seed=1), "outcomes": made.outcomes}
    for module in (slim, parts):
        monkeypatch.setattr(module, "BATCH", 7000)
    contract = Contract.from_toml(made.contract_toml)
    logs = load_logs(contract, root=Path(), frames=frames)
    expected = join(logs, contract=contract)
    assert expected.feed.filter(~pl.col("complete")).height
    scans = {name: scan_frame(frame.lazy(), table=name) for name, frame in frames.items()}
    found = stream_join(LazyLogs(**scans), contract=contract, folder=tmp_path)
    assert_frame_equal(found.frame, expected.frame)
    assert_frame_equal(found.feed, expected.feed)
    assert counted(found.audit) == counted(expected.audit)


def test_keys_that_share_a_hash_are_never_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that knows only the length of a key makes "a" and "b" collide."""
    monkeypatch.setattr(slim, "hashed", lambda text: text.str.len_chars().cast(pl.UInt64))
    start = pl.datetime(2026, 1, 1, time_zone="UTC")
    predictions = pl.select(prediction_id=pl.lit("a"), ts_pred=start, score=0.5)
    outcomes = pl.select(prediction_id=pl.lit("b"), ts_event=start, label=1.0)
    contract = Contract.from_dict(
        {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}
    )
    more = pl.select(prediction_id=pl.lit("cc"), ts_pred=start, score=0.5)  # goes the careful way, as the first
    scans = {
        "predictions": scan_frame(pl.concat([more, predictions]).lazy(), table="predictions"),
        "outcomes": scan_frame(outcomes.lazy(), table="outcomes"),
    }
    with pytest.raises(HashCollisionError):
        stream_join(LazyLogs(**scans), contract=contract, folder=tmp_path)


def test_the_probability_of_an_audits_draw_reaches_the_pairings_both_ways(tiny_batches: None, tmp_path: Path) -> None:
    start = pl.datetime(2026, 1, 1, time_zone="UTC")
    number = pl.int_range(20, eager=True)
    ids = number.cast(pl.String)
    predictions = pl.select(prediction_id=ids, ts_pred=start + pl.duration(hours=number), score=0.5)
    audited = pl.Series([i % 3 == 0 for i in number])
    outcomes = predictions.select(
        "prediction_id",
        (pl.col("ts_pred") + pl.duration(hours=1)).alias("ts_event"),
        pl.lit(1.0).alias("label"),
        pl.when(audited).then(pl.lit("audit")).otherwise(pl.lit("auto")).alias("source"),
        pl.when(audited).then(number / 64).alias("audit_prob"),
    )
    contract = Contract.from_dict(
        {"model": {"name": "m"}, "predictions": {}, "outcomes": {}, "label": {"window": "7d"}}
    )
    frames = {"predictions": predictions, "outcomes": outcomes}
    scans = {name: scan_frame(frame.lazy(), table=name) for name, frame in frames.items()}
    tables = [
        join(load_logs(contract, root=Path(), frames=frames), contract=contract),
        stream_join(LazyLogs(**scans), contract=contract, folder=tmp_path),
    ]
    for table in tables:
        drawn = table.candidates.filter(pl.col("fate") == "audit_row").sort("prediction_id")
        assert dict(drawn.select("prediction_id", "audit_prob").iter_rows()) == {
            str(i): i / 64 for i in range(0, 20, 3)
        }
        assert table.frame["label"].null_count() == 7
