import json
import os
from pathlib import Path

import pytest

from fbkit.errors import OutputError
from fbkit.schema import files
from fbkit.schema.files import sha256, write_file, write_folder


def bundle(text: str = "one") -> dict[str, bytes]:
    content = {"a.md": text.encode(), "figures/b.svg": b"<svg/>"}
    listed = [{"name": name, "sha256": sha256(data)} for name, data in content.items()]
    return {**content, "manifest.json": json.dumps({"files": listed}).encode()}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_written_whole(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "deep" / "out", bundle())
    assert contents(folder) == bundle()
    assert os.listdir(tmp_path / "deep") == ["out"]


def test_an_unedited_bundle_is_replaced_and_old_files_go(tmp_path: Path) -> None:
    write_folder(tmp_path / "out", bundle("one"))
    newer = {name: data for name, data in bundle("two").items() if name != "figures/b.svg"}
    write_folder(tmp_path / "out", newer)
    assert contents(tmp_path / "out") == newer
    assert os.listdir(tmp_path) == ["out"]


def test_replacing_works_where_folders_cannot_be_swapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    write_folder(tmp_path / "out", bundle("one"))
    write_folder(tmp_path / "out", bundle("two"))
    assert contents(tmp_path / "out") == bundle("two")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("fail_at", range(1, 4))
def test_a_write_that_fails_leaves_the_previous_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    write_folder(tmp_path / "out", bundle("one"))
    calls = iter(range(1, 10))

    def full_disk(descriptor: int) -> None:
        if next(calls) == fail_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        write_folder(tmp_path / "out", bundle("two"))
    assert contents(tmp_path / "out") == bundle("one")
    assert os.listdir(tmp_path) == ["out"]


def test_an_interrupt_leaves_the_previous_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "out", bundle("one"))

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "out", bundle("two"))
    assert contents(tmp_path / "out") == bundle("one")
    assert os.listdir(tmp_path) == ["out"]


def test_a_failed_move_puts_the_previous_bundle_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "out", bundle("one"))
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    real = Path.rename
    moves = iter(range(1, 10))

    def second_fails(self: Path, target: Path) -> Path:
        if next(moves) == 2:
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(OutputError):
        write_folder(tmp_path / "out", bundle("two"))
    assert contents(tmp_path / "out") == bundle("one")


def test_notes_and_edits_of_people_are_never_overwritten(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "out", bundle("one"))
    (folder / "a.md").write_text("decided by Ada")
    with pytest.raises(OutputError, match=r"a\.md"):
        write_folder(folder, bundle("two"))
    write_folder(tmp_path / "other", bundle("one"))
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_folder(tmp_path / "other", bundle("two"))
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError):
        write_folder(tmp_path, bundle())
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OutputError, match="link"):
        write_folder(tmp_path / "link", bundle())
    (tmp_path / "target.txt").write_text("precious")
    (tmp_path / "file.txt").symlink_to(tmp_path / "target.txt")
    write_file(tmp_path / "file.txt", b"new")
    assert (tmp_path / "target.txt").read_text() == "precious"
    assert not (tmp_path / "file.txt").is_symlink()


@pytest.mark.parametrize(
    "name", ["../evil.md", "/etc/passwd", "A.md", "a b.md", ".hidden", "a/../b", "", "x\ny", "con:1"]
)
def test_names_come_from_a_fixed_alphabet(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="not allowed"):
        write_folder(tmp_path / "out", {name: b""})
    assert os.listdir(tmp_path) == []


def test_one_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path / "x.json", b"one")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError):
        write_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="a file stands"):
        write_folder(tmp_path / "out", bundle())
