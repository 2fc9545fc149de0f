"""Killed in the middle of a write: the output is the old one or the new one, whole, and nothing lies about."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import IO

import pytest

import fbkit as fb
from tests.faults.writers import WRITERS, bundle, text

ROOT = Path(__file__).resolve().parents[2]
TRIES = 20
SIGNALS = {"SIGKILL": (signal.SIGKILL, -9), "SIGINT": (signal.SIGINT, 130)}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def whole_file(out: Path) -> None:
    assert (out / "contract.toml").read_bytes() in (text(0), text(1))


def whole_folder(out: Path) -> None:
    assert contents(out / "incident") in (bundle(0), bundle(1))


def whole_page(out: Path) -> None:
    page = (out / "page.md").read_text(encoding="utf-8")
    assert page.startswith(("# ", "<!--"))
    assert page.count("one" if "one" in page else "two")
    assert page.endswith("\n")


def whole_tables(out: Path) -> None:
    """A table that is there can be read; what was cut off is no table."""
    from fbkit.join.cache import Cache
    from tests.fuzz.base import N, contract

    made = fb.Contract.from_dict({key: value for key, value in contract().items() if key not in ("actions", "changes")})
    assert list(out.glob("cache/*")), "nothing was kept"
    cache = Cache(out / "cache")
    found = [cache.find(entry.name, contract=made) for entry in (out / "cache").iterdir() if entry.name[0] != "."]
    assert found
    assert all(joined is not None and joined.frame.height == N - 1 for joined in found)


WHOLE: dict[str, Callable[[Path], None]] = {
    "file": whole_file, "folder": whole_folder, "page": whole_page, "table": whole_tables
}  # fmt: skip


def lying_about(out: Path) -> list[str]:
    """Temporary files and folders, by name."""
    return sorted(path.name for folder in (out, out / "cache") if folder.is_dir() for path in folder.glob(".*"))


def line(stream: IO[str] | None) -> int:
    assert stream is not None
    return int(stream.readline())


def test_every_writer_has_a_check() -> None:
    assert WHOLE.keys() == WRITERS.keys()


@pytest.mark.parametrize("which", SIGNALS)
@pytest.mark.parametrize("name", WRITERS)
def test_twenty_kills_in_the_middle_of_a_write(name: str, which: str, tmp_path: Path) -> None:
    number, expected = SIGNALS[which]
    random = Random(f"{name} {which}")
    command = [sys.executable, "-m", "tests.faults.writers", name, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as nursery:
        assert nursery.stdin is not None
        for _ in range(TRIES):
            nursery.stdin.write("\n")
            nursery.stdin.flush()
            writer = line(nursery.stdout)
            time.sleep(random.uniform(0, 0.03))
            subprocess.run(["kill", f"-{number.value}", str(writer)], check=True)
            assert line(nursery.stdout) == expected
            WHOLE[name](tmp_path)
            left = lying_about(tmp_path)
            assert left == [] or which == "SIGKILL"
            assert [each for each in left if not re.fullmatch(r"\.[\w.-]+[.-][0-9a-f]{12}", each)] == []
        nursery.stdin.close()


STARTED = "import sys; from fbkit.cli import main; import fbkit.session; print('1', flush=True); main(sys.argv[1:])"


def kill_the_command(out: Path, *, after: float, number: signal.Signals) -> None:
    """Start the command, and kill it so many seconds after it is loaded."""
    loop = fb.samples.path("recall_drop") / "variant_a"
    arguments = ["incident", "write", str(loop), "--out", str(out), "--draws", "0"]
    command = [sys.executable, "-c", STARTED, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert line(process.stdout) == 1
        time.sleep(after)
        process.send_signal(number)
        _, said = process.communicate()
        # Python itself tells of an interrupt that it could not deliver ("Exception ignored in ...").
        assert "Traceback" not in said or "Exception ignored" in said


@pytest.mark.parametrize("which", SIGNALS)
def test_the_incident_command_killed_leaves_the_old_bundle_or_a_whole_new_one(
    which: str, tmp_path: Path, budget: Callable[[int, int], int]
) -> None:
    out = tmp_path / "incident"
    started = time.perf_counter()
    fb.triage(fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join(), draws=0).incident(out)
    length = time.perf_counter() - started
    old = contents(out)
    random = Random(which)
    for _ in range(budget(2, TRIES)):
        kill_the_command(out, after=random.uniform(0.3, 1.2) * length, number=SIGNALS[which][0])
        now = contents(out)
        listed = {item["name"]: item["sha256"] for item in json.loads(now["manifest.json"])["files"]}
        assert {*listed, "manifest.json"} == set(now)
        assert now == old or now["manifest.json"] != old["manifest.json"]
        old = now
        assert which == "SIGKILL" or lying_about(tmp_path) == []
