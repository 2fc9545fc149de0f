"""Delta tables on disk: the newest version and nothing else, identified by version and content."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import InputError, MissingPartError
from fbkit.load.scan import Scan, scan_source
from fbkit.schema.contract_parts import Source

pytest.importorskip("deltalake")
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROWS = pl.DataFrame({"id": ["001", "2", "3"], "score": [0.1, 0.2, 0.3], "ts": [NOON] * 3, "region": ["a", "b", "b"]})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of three rows in two partitions."""
    folder = tmp_path / "predictions"
    ROWS.write_delta(folder, delta_write_options={"partition_by": ["region"]})
    return folder


def scan(root: Path, path: str = "predictions", format: str | None = "delta") -> Scan:
    return scan_source(Source(path=path, format=format), root=root, table="predictions")  # type: ignore[arg-type]


def test_a_delta_table_gives_its_rows_by_name_by_full_path_and_unasked(tmp_path: Path, table: Path) -> None:
    for path, format in (
        ("predictions", "delta"),
        (str(table), "delta"),
        ("predictions", None),
        ("predictions/", None),
    ):
        found = scan(tmp_path, path, format)
        assert found.kind == "delta"
        assert found.collect().sort("id").equals(ROWS)
        assert [(item.name, item.rows) for item in found.sources()] == [("predictions/predictions version 0", 3)]


@pytest.mark.parametrize("path", ["predictions/*/*.parquet", "predictions/region=a", "*/*/*.parquet"])
def test_files_picked_out_of_a_table_are_refused_unless_insisted_on(tmp_path: Path, table: Path, path: str) -> None:
    for given in (path, str(tmp_path / path)):
        with pytest.raises(InputError, match=r"belong to a Delta table[\s\S]*_delta_log"):
            scan(tmp_path, given, None)
    assert scan(tmp_path, path, "parquet").collect().height > 0


def test_deleted_and_overwritten_rows_are_not_read(tmp_path: Path, table: Path) -> None:
    from deltalake import DeltaTable

    DeltaTable(table).delete("id = '2'")
    found = scan(tmp_path, format=None)
    assert sorted(found.collect()["id"]) == ["001", "3"]
    assert found.sources()[0].name == "predictions/predictions version 1"


def test_the_identity_of_a_table_is_its_version_and_content_not_its_place(tmp_path: Path, table: Path) -> None:
    first = scan(tmp_path).sources()
    assert scan(tmp_path).sources() == first
    shutil.copytree(table, tmp_path / "copy" / "predictions")
    assert scan(tmp_path / "copy").sources() == first
    ROWS.write_delta(table, mode="append")
    later = scan(tmp_path)
    assert later.sources(later.collect())[0].sha256 != first[0].sha256
    assert later.sources()[0].rows == 6


def test_rows_committed_after_the_scan_do_not_slip_in(tmp_path: Path, table: Path) -> None:
    found = scan(tmp_path)
    ROWS.write_delta(table, mode="append")
    assert found.collect().height == 3
    assert found.sources()[0].name.endswith("version 0")


def test_a_file_that_vanishes_while_the_table_is_read_is_named(tmp_path: Path, table: Path) -> None:
    found = scan(tmp_path)
    rows = found.collect()
    file = min(table.rglob("*.parquet"))
    file.unlink()
    for read in (lambda: found.sources(rows), found.sources, found.collect):
        with pytest.raises(InputError, match=rf"{file.name} is missing"):
            read()


@pytest.mark.parametrize("keep", [0, 100, None])
def test_a_file_that_was_cut_or_lost_is_named(tmp_path: Path, table: Path, keep: int | None) -> None:
    file = min(table.rglob("*.parquet"))
    if keep is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match="not the one that its Delta table describes") as caught:
        scan(tmp_path)
    assert file.name in str(caught.value.got)


def test_a_file_that_was_damaged_in_place_is_our_error(tmp_path: Path, table: Path) -> None:
    file = min(table.rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[4:200] = b"\xff" * 196
    file.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"Delta table of the predictions log could not be read"):
        scan(tmp_path).collect()


@pytest.mark.parametrize("make", ["nothing", "empty folder", "csv file", "empty log", "broken log"])
def test_what_is_no_delta_table_is_refused_in_words(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "predictions"
    if make == "csv file":
        ROWS.drop("ts").write_csv(folder)
    elif make != "nothing":
        (folder / "_delta_log").mkdir(parents=True)
        if make == "broken log":
            (folder / "_delta_log" / f"{0:020}.json").write_text("{not json")
        elif make == "empty folder":
            (folder / "_delta_log").rmdir()
    with pytest.raises(InputError, match="Delta table of the predictions log could not be read") as caught:
        scan(tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_package_names_the_command_that_brings_it(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingPartError) as caught:
        scan(tmp_path)
    assert caught.value.next_step == "pip install 'fbkit[delta]'"
