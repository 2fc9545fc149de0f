"""Files and frames in: what is read, what is refused, and that the message names the file."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fbkit.errors import InputError
from fbkit.load.files import file_hash, find_files
from fbkit.load.read import frame_hash, read_frame, read_source
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


def test_a_query_and_other_formats_are_refused_for_now(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="database query"):
        read_source(Source(query="select 1", connection_env="DB"), root=tmp_path, table="predictions")
    FRAME.write_csv(tmp_path / "log.csv")
    with pytest.raises(InputError, match="unknown format"):
        read(tmp_path, "log.csv", format="delta")


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
