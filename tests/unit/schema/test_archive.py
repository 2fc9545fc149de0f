"""Archives have the same bytes for the same content, and one that wants to harm is refused before it is read."""

import io
import zipfile
import zlib
from pathlib import Path

import pytest

from fbkit.errors import InputError
from fbkit.schema import archive

FILES = {"manifest.json": b"{}", "ledgers/a/cells-00.parquet": b"\x00" * 100, "facts/x.json": b"[1]" * 500}


def made(path: Path, entries: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, content)
    return path


def test_what_is_packed_comes_back_in_its_order_and_with_the_same_bytes(tmp_path: Path) -> None:
    packed = archive.pack(FILES)
    assert packed == archive.pack(dict(FILES))
    (tmp_path / "a").write_bytes(packed)
    assert list(archive.unpack(tmp_path / "a", what="thing").items()) == list(FILES.items())
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        assert {entry.date_time for entry in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a//b", "A", "a\\b", "", "a/../b", "c:x", ".x", "a/b/c/d/e/f"])
def test_names_that_lead_elsewhere_are_neither_written_nor_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not allowed"):
        archive.pack({name: b""})
    file = made(tmp_path / "a", [(name or "/", b"x")])
    with pytest.raises(InputError, match="a file name that is not ours"):
        archive.unpack(file, what="thing")
    assert [held.name for held in tmp_path.iterdir()] == ["a"]


def test_a_bomb_is_refused_by_the_sizes_it_states(tmp_path: Path) -> None:
    one = made(tmp_path / "one", [("a", b"\x00" * (archive.MOST_BYTES + 1))])
    assert one.stat().st_size < 100_000
    many = made(tmp_path / "many", [(f"f{number}", b"\x00" * 30_000_000) for number in range(10)])
    for file in (one, many):
        with pytest.raises(InputError, match="bytes when unpacked"):
            archive.unpack(file, what="thing")


def test_an_entry_that_is_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    file = made(tmp_path / "a", [("a", b"0123456789" * 1000)])
    content = bytearray(file.read_bytes())
    for place in (content.index(b"PK\x03\x04") + 22, content.index(b"PK\x01\x02") + 24):
        content[place : place + 4] = (100).to_bytes(4, "little")
    file.write_bytes(content)
    with pytest.raises(InputError, match="BadZipFile"):
        archive.unpack(file, what="thing")


def test_too_many_files_and_one_name_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = made(tmp_path / "twice", [("a", b"1"), ("a", b"2")])
    with pytest.raises(InputError, match="one name twice"):
        archive.unpack(twice, what="thing")
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    with pytest.raises(InputError, match="3 files"):
        archive.unpack(made(tmp_path / "three", [("a", b""), ("b", b""), ("c", b"")]), what="thing")


def test_large_files_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    monkeypatch.setattr(archive, "MOST_BYTES", 50)
    with pytest.raises(InputError, match="100 bytes"):
        archive.unpack(tmp_path / "a", what="thing")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"PK\x05\x06" + b"\x00" * 10])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.snap").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.snap is not a thing"):
        archive.unpack(tmp_path / "a.snap", what="thing")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no thing here"):
        archive.unpack(tmp_path / "none", what="thing")
    with pytest.raises(InputError, match="is not a thing"):
        archive.unpack(tmp_path, what="thing")


def test_every_cut_of_an_archive_is_refused_or_whole(tmp_path: Path) -> None:
    packed = archive.pack(FILES)
    file = tmp_path / "a"
    for end in range(0, len(packed), 7):
        file.write_bytes(packed[:end])
        with pytest.raises(InputError):
            archive.unpack(file, what="thing")


def test_every_turned_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    packed = archive.pack(FILES)
    file = tmp_path / "a"
    for place in range(0, len(packed), 5):
        file.write_bytes(packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :])
        try:
            held = archive.unpack(file, what="thing")
        except InputError:
            continue
        assert all(zlib.crc32(held[name]) == zlib.crc32(FILES[name]) for name in set(held) & set(FILES))
