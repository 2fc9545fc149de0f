"""The latency breakdown of a large log: the same counts in batches as in one piece, and only of the kept rows."""

from pathlib import Path

import polars as pl
import pytest

from fbkit.join.latencies import latencies_in
from fbkit.load.columns import LATENCIES
from fbkit.load.latency import count_latencies
from fbkit.load.scan import scan_source
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import Source

BODY = {"model": {"name": "m"}, "outcomes": {}, "label": {"window": "1d"}}


def test_counts_in_batches_are_those_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fbkit.join.slim.BATCH", 7)
    rows = pl.DataFrame(
        {
            "total": [100.0 + number for number in range(50)],
            "latency_feature_ms": [50.0] * 50,
            "latency_inference_ms": [40.0 if number % 3 else None for number in range(50)],
            "latency_post_ms": [10.0 + number * (number % 2) for number in range(50)],
        }
    )
    rows.write_parquet(tmp_path / "log.parquet", row_group_size=7)
    columns = {"latency_ms": "total"}
    contract = Contract.from_dict(BODY | {"predictions": {"columns": columns}})
    scan = scan_source(Source(path="log.parquet", columns=columns), root=tmp_path, table="predictions")
    keep = pl.Series([number % 5 != 0 for number in range(50)])
    whole = count_latencies(rows.rename({"total": "latency_ms"}).filter(keep))
    assert set(whole) >= {"checked", "off"}
    assert 0 < whole["off"] < whole["checked"] < 40
    counted = latencies_in(scan, keep=keep, contract=contract)
    assert counted == {name: value for name, value in whole.items() if value}


def test_a_log_without_every_part_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({name: [1.0] for name in LATENCIES[:3]}).write_parquet(tmp_path / "log.parquet")
    scan = scan_source(Source(path="log.parquet"), root=tmp_path, table="predictions")
    monkeypatch.setattr("fbkit.join.latencies.batches", None)
    contract = Contract.from_dict(BODY | {"predictions": {}})
    assert latencies_in(scan, keep=pl.Series([True]), contract=contract) == {}
