"""Files and frames in: what is read, what is refused, and that the message names the file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.files import find_files
from fbkit.load.frames import scan_frame
from fbkit.load.hashes import file_hash, frame_hash
from fbkit.load.read import read_frame, read_source
from fbkit.load.scan import scan_source
from fbkit.schema.contract_parts import Source

FRAME = pl.DataFrame({"a": ["001", "2"], "b": ["x", "y"]})


def read(root: Path, path: str, **options: Any) -> pl.DataFrame:
    return read_source(Source(path=path, **options), root=root, table="predictions")[0]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson", "jsonl", "pq", "CSV"])
def test_every_format_gives_the_same_frame(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"log.{suffix}"
    kind = suffix.lower()
    if kind == "csv":
        FRAME.write_csv(file)
    elif kind in ("parquet", "pq"):
        FRAME.write_parquet(file)
    else:
        FRAME.write_ndjson(file)
    frame, sources = read_source(Source(path=file.name), root=tmp_path, table="predictions")
    assert frame.equals(FRAME)
    assert [(source.name, source.sha256, source.rows) for source in sources] == [
        (f"predictions/{file.name}", file_hash(file), 2)
    ]
    assert read(tmp_path, ".").equals(FRAME)


def test_csv_keeps_text_as_text_and_knows_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("\ufeffid,name\n00123,ö\n,\n".encode())
    assert read(tmp_path, "log.csv").rows() == [("00123", "ö"), (None, None)]


def test_a_pattern_a_folder_and_brackets_in_the_folder_above(tmp_path: Path) -> None:
    root = tmp_path / "my[loop]"
    (root / "part").mkdir(parents=True)
    FRAME.write_csv(root / "part" / "b.csv")
    FRAME.write_csv(root / "part" / "a.csv")
    (root / "part" / "README.txt").write_text("not a log")
    for path in ("part/*.csv", "part", str(root / "part"), "**/*.csv", "../*/part/*.csv"):
        assert [file.name for file in find_files(path, root=root, table="x")] == ["a.csv", "b.csv"]
    plain = tmp_path / "plain"
    plain.mkdir()
    FRAME.write_csv(plain / "a.csv")
    assert [file.name for file in find_files(str(plain / "*.csv"), root=root, table="x")] == ["a.csv"]


@pytest.mark.parametrize("path", ["none.csv", "none/*.csv", "empty"])
def test_no_file_is_an_error_that_names_the_path(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no files") as caught:
        read(tmp_path, path)
    assert caught.value.got == path


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("log.parquet", b"PAR1 but no more", "could not be read"),
        ("log.ndjson", b"{not json", "could not be read"),
        ("log.csv", b"a,b\n1,\xff\xfe\n", "could not be read"),
        ("log.csv", b'a,b\n1,2,3,4\n"', "could not be read"),
        ("log.csv", b"", "has no header"),
        ("log.csv", b"a,b,a\n1,2,3\n", "repeated column name"),
        ("log.txt", b"a,b\n", "unknown format"),
        ("log.csv", b'"' + b"x" * 200_000 + b'"\n1\n', "could not be read"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=what) as caught:
        read(tmp_path, name)
    assert name in str(caught.value.got)


def test_a_truncated_parquet_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"a": list(range(5000))}).write_parquet(file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"could not be read[\s\S]*log\.parquet"):
        read(tmp_path, "log.parquet")


def test_files_with_other_columns_or_types_are_named(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "one.parquet")
    FRAME.with_columns(c=pl.lit(1)).write_parquet(tmp_path / "two.parquet")
    with pytest.raises(InputError, match=r"different columns[\s\S]*two\.parquet: c only"):
        read(tmp_path, "*.parquet")
    FRAME.select("b", "a").write_parquet(tmp_path / "two.parquet")
    assert read(tmp_path, "*.parquet").equals(pl.concat([FRAME, FRAME]))
    utc, naive = pl.Datetime("us", "UTC"), pl.Datetime("us")
    pl.DataFrame(schema={"t": utc}).write_parquet(tmp_path / "one.parquet")
    pl.DataFrame(schema={"t": naive}).write_parquet(tmp_path / "two.parquet")
    with pytest.raises(InputError, match="different types"):
        read(tmp_path, "*.parquet")


def test_a_source_without_path_and_query_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither path nor query"):
        read_source(Source(), root=tmp_path, table="predictions")


def test_an_iceberg_table_is_refused_in_words_whether_named_or_found(tmp_path: Path) -> None:
    (tmp_path / "table" / "metadata").mkdir(parents=True)
    (tmp_path / "table" / "metadata" / "v1.metadata.json").write_text("{}")
    FRAME.write_parquet(tmp_path / "table" / "rows.parquet")
    for options in ({"format": "iceberg"}, {}):
        with pytest.raises(InputError, match=r"Iceberg table[\s\S]*scan_iceberg"):
            read(tmp_path, "table", **options)


def test_what_writers_leave_beside_their_data_is_not_read(tmp_path: Path) -> None:
    for folder in ("", "_temporary", ".part"):
        (tmp_path / "log" / folder).mkdir(parents=True, exist_ok=True)
        FRAME.write_parquet(tmp_path / "log" / folder / "rows.parquet")
    FRAME.write_parquet(tmp_path / "log" / "_metadata.parquet")
    assert read(tmp_path, "log").height == FRAME.height


def hive(root: Path, *, suffix: str = "parquet") -> None:
    for number, folder in enumerate(("day=2026-05-01/region=EU", "day=2026-05-02/region=a%20b")):
        target = root / "log" / folder
        target.mkdir(parents=True)
        part = pl.DataFrame({"id": [f"{number}"]})
        part.write_parquet(target / "part-0.parquet") if suffix == "parquet" else part.write_csv(target / "part-0.csv")


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("path", ["log", "log/**/*", "log/day=*/*/part-0.*"])
def test_hive_folders_become_text_columns_and_name_the_part(tmp_path: Path, suffix: str, path: str) -> None:
    hive(tmp_path / "env=test", suffix=suffix)
    root = tmp_path / "env=test"
    for given in (path, str(root / path)):
        frame, sources = read_source(Source(path=given), root=root, table="predictions")
        assert frame.to_dicts() == [
            {"id": "0", "day": "2026-05-01", "region": "EU"},
            {"id": "1", "day": "2026-05-02", "region": "a b"},
        ]
        assert frame.schema["day"] == pl.String
        assert sources[0].name == f"predictions/day=2026-05-01/region=EU/part-0.{suffix}"


def test_a_column_in_the_file_wins_over_the_folder_of_that_name_and_null_is_null(tmp_path: Path) -> None:
    for folder, day in (("day=2026-05-01", "x"), ("day=__HIVE_DEFAULT_PARTITION__", "y")):
        (tmp_path / folder).mkdir()
        pl.DataFrame({"day": [day]}).write_parquet(tmp_path / folder / "a.parquet")
    assert read(tmp_path, ".")["day"].to_list() == ["x", "y"]
    (tmp_path / "none" / "k=__HIVE_DEFAULT_PARTITION__").mkdir(parents=True)
    FRAME.write_parquet(tmp_path / "none" / "k=__HIVE_DEFAULT_PARTITION__" / "a.parquet")
    assert read(tmp_path, "none")["k"].to_list() == [None, None]


def test_a_folder_without_the_partition_of_its_siblings_is_named(tmp_path: Path) -> None:
    hive(tmp_path)
    FRAME.select(id="a").write_parquet(tmp_path / "log" / "stray.parquet")
    with pytest.raises(InputError, match=r"different columns[\s\S]*day, region"):
        read(tmp_path, "log")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "ndjson"])
def test_nothing_is_read_before_the_scan_is_collected_and_a_swap_in_between_is_named(
    tmp_path: Path, suffix: str
) -> None:
    write = {"csv": FRAME.write_csv, "parquet": FRAME.write_parquet, "ndjson": FRAME.write_ndjson}[suffix]
    for name in ("a", "b"):
        write(tmp_path / f"{name}.{suffix}")
    scan = scan_source(Source(path=f"*.{suffix}"), root=tmp_path, table="outcomes")
    assert (scan.kind, [file.name for file in scan.files]) == (suffix, [f"a.{suffix}", f"b.{suffix}"])
    collected = scan.collect()
    assert collected.equals(pl.concat([FRAME, FRAME]))
    assert [source.rows for source in scan.sources(collected)] == [2, 2]
    write(tmp_path / "new")
    (tmp_path / "new").replace(tmp_path / f"b.{suffix}")
    with pytest.raises(InputError, match=rf"changed while it was read[\s\S]*b\.{suffix}"):
        scan.sources(collected)
    (tmp_path / f"b.{suffix}").unlink()
    with pytest.raises(InputError, match=rf"vanished while it was read[\s\S]*b\.{suffix}"):
        scan.sources(collected)


def test_a_file_damaged_after_its_header_was_read_is_found_among_many(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        pl.DataFrame({"x": [f"{name}{number}" for number in range(3000)]}).write_parquet(tmp_path / f"{name}.parquet")
    content = bytearray((tmp_path / "b.parquet").read_bytes())
    content[40:400] = b"\xff" * 360
    (tmp_path / "b.parquet").write_bytes(bytes(content))
    scan = scan_source(Source(path="*.parquet"), root=tmp_path, table="outcomes")
    with pytest.raises(InputError, match=r"could not be read[\s\S]*b\.parquet"):
        scan.collect()


def test_frames_of_every_kind_are_accepted() -> None:
    pandas = pytest.importorskip("pandas")
    for data in (FRAME, FRAME.lazy(), FRAME.to_arrow(), pandas.DataFrame(FRAME.to_dict(as_series=False))):
        frame, sources = read_frame(data, table="predictions")
        assert frame.equals(FRAME)
        assert sources[0].name == "predictions (frame)"


@pytest.mark.parametrize("data", [42, "text", [1, 2], FRAME["a"]])
def test_what_is_no_frame_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="not a data frame"):
        read_frame(data, table="predictions")


def test_a_lazy_frame_that_cannot_be_collected_is_our_error() -> None:
    with pytest.raises(InputError, match="could not be collected"):
        read_frame(FRAME.lazy().select("nothing"), table="predictions")


def test_the_hash_of_a_frame_ignores_chunks_but_not_content() -> None:
    assert frame_hash(pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)) == frame_hash(FRAME)
    assert frame_hash(FRAME.reverse()) != frame_hash(FRAME)


def test_a_lazy_frame_stays_lazy_until_it_is_asked_for() -> None:
    asked: list[int] = []

    def spy(frame: pl.DataFrame) -> pl.DataFrame:
        asked.append(frame.height)
        return frame

    scan = scan_frame(FRAME.lazy().map_batches(spy, schema=FRAME.schema), table="predictions")
    assert not asked
    assert scan.collect().equals(FRAME)
    assert asked == [2]


def test_a_duckdb_relation_is_a_frame_without_pyarrow() -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        relation = connection.sql("select '001' a, timestamptz '2026-05-01 02:00:00+02' t, 0.5::float s")
        frame, sources = read_frame(relation, table="predictions")
        assert frame["a"].to_list() == ["001"]
        assert frame["t"].dt.convert_time_zone("UTC").to_list() == [datetime(2026, 5, 1, tzinfo=UTC)]
        assert sources[0].rows == 1
        with pytest.raises(InputError, match="DuckDB relation"):
            read_frame(connection.sql("select cast(x as integer) from (select 'abc' x)"), table="predictions")
