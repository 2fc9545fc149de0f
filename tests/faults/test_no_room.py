"""A full disk, a folder that cannot be written, a link in the way: an error in our words, and the old output intact."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from fbkit.cli import main
from fbkit.errors import FbkitError, OutputError
from fbkit.report.files import write_file, write_folder
from tests.faults.test_killed import contents, lying_about
from tests.faults.writers import bundle, text

TRIES = 20
Write = Callable[[Path, int], object]
TARGETS: dict[str, Write] = {
    "file": lambda out, number: write_file(out / "contract.toml", text(number)),
    "folder": lambda out, number: write_folder(out / "incident", bundle(number)),
}


@contextmanager
def largest_file(size: int) -> Generator[None]:
    """No file may grow beyond this: what a full disk looks like to one who may not make disks."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Callable[..., Path]]:
    """A small disk of its own, where the system lets us; else the test is skipped."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*, options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "fbkit-test", str(place)]
        if not sys.platform.startswith("linux") or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk; the limit on file sizes stands in for it")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True, check=False)


@pytest.mark.parametrize("name", TARGETS)
def test_twenty_files_that_may_not_grow(name: str, tmp_path: Path) -> None:
    TARGETS[name](tmp_path, 0)
    old, random = contents(tmp_path), Random(name)
    for _ in range(TRIES):
        with largest_file(random.randrange(1, len(text(1)))), pytest.raises(OutputError, match="EFBIG") as caught:
            TARGETS[name](tmp_path, 1)
        assert caught.value.next_step
        assert contents(tmp_path) == old
        assert lying_about(tmp_path) == []


@pytest.mark.parametrize("name", TARGETS)
def test_twenty_full_disks(name: str, disk: Callable[..., Path]) -> None:
    place = disk(options="size=4m")
    TARGETS[name](place, 0)
    old, random = contents(place), Random(name)
    room = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    for _ in range(TRIES):
        (place / "ballast").write_bytes(b"x" * (room - random.randrange(0, len(text(1)))))
        with pytest.raises(OutputError, match="ENOSPC"):
            TARGETS[name](place, 1)
        (place / "ballast").unlink()
        assert contents(place) == old
        assert lying_about(place) == []
    TARGETS[name](place, 1)
    assert contents(place) != old


@pytest.mark.parametrize("name", TARGETS)
def test_a_folder_that_cannot_be_written(name: str, disk: Callable[..., Path]) -> None:
    place = disk(options="size=4m")
    TARGETS[name](place, 0)
    old = contents(place)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    for _ in range(TRIES):
        with pytest.raises(OutputError, match="EROFS"):
            TARGETS[name](place, 1)
    assert contents(place) == old


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; run as another user")
@pytest.mark.parametrize("name", TARGETS)
def test_a_folder_without_permission(name: str, tmp_path: Path) -> None:
    TARGETS[name](tmp_path, 0)
    old = contents(tmp_path)
    tmp_path.chmod(0o555)
    try:
        for _ in range(TRIES):
            with pytest.raises(OutputError, match="EACCES"):
                TARGETS[name](tmp_path, 1)
    finally:
        tmp_path.chmod(0o755)
    assert contents(tmp_path) == old


def _linked(place: Path, *, inside: bool, random: Random) -> tuple[Path, dict[str, bytes]]:
    """A precious folder that a link in the way points to; the link is the target, or a file of the old bundle."""
    precious = place / "precious"
    precious.mkdir(parents=True)
    (precious / "incident.md").write_text(str(random.random()))
    if inside:
        write_folder(place / "incident", bundle(0))
        name = random.choice(sorted(bundle(0)))
        (place / "incident" / name).unlink()
        (place / "incident" / name).symlink_to(precious / "incident.md")
    else:
        (place / "incident").symlink_to(random.choice([precious, precious / "incident.md", place / "nowhere"]))
    return precious, contents(precious)


@pytest.mark.parametrize("inside", [True, False])
def test_twenty_links_in_the_way_of_a_folder(inside: bool, tmp_path: Path) -> None:
    random = Random(str(inside))
    for number in range(TRIES):
        place = tmp_path / str(number)
        precious, old = _linked(place, inside=inside, random=random)
        with pytest.raises(OutputError):
            write_folder(place / "incident", bundle(1))
        assert contents(precious) == old
        assert lying_about(place) == []


def test_twenty_links_in_the_way_of_a_file_are_replaced_and_not_followed(tmp_path: Path) -> None:
    for number in range(TRIES):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "precious").write_text("precious")
        (place / "contract.toml").symlink_to(place / ("precious" if number % 2 else "nowhere"))
        write_file(place / "contract.toml", text(1))
        assert (place / "precious").read_text() == "precious"
        assert not (place / "contract.toml").is_symlink()
        assert not (place / "nowhere").exists()


def test_a_folder_in_the_way_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "contract.toml").mkdir()
    with pytest.raises(OutputError, match=r"could not write contract\.toml"):
        write_file(tmp_path / "contract.toml", text(1))
    assert lying_about(tmp_path) == []


def test_the_command_says_so_in_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fbkit import samples

    monkeypatch.chdir(tmp_path)
    loop = str(samples.path("recall_drop") / "variant_a")
    with largest_file(5_000), pytest.raises(SystemExit) as caught:
        main(["incident", "write", loop, "--out", "out", "--draws", "0"])
    said = capsys.readouterr()
    assert (caught.value.code, said.out) == (2, "")
    assert said.err.startswith("fbkit: could not write out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_output_error_is_one_of_ours() -> None:
    assert issubclass(OutputError, FbkitError)
