"""Files that change, vanish or are replaced while they are read: an error that says so, or one version, whole."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import InputError
from fbkit.load import scan
from fbkit.load.hashes import file_hash
from tests.fuzz.base import FRAMES
from tests.fuzz.case import encode

TRIES = 20
FORMATS = ("csv", "ndjson", "parquet")
CONTRACT = fb.Contract.from_dict(
    {
        "model": {"name": "m"},
        "predictions": {},
        "outcomes": {},
        "label": {"window": "2d"},
        "decision": {"threshold": 0.5},
    }
)
OLD = FRAMES["predictions"].drop("environment", "account", "amount")
NEW = OLD.with_columns(score=1 - pl.col("score")).head(20)


def in_place(file: Path, new: bytes) -> None:
    file.write_bytes(new)


def replaced(file: Path, new: bytes) -> None:
    beside = file.with_suffix(".tmp")
    beside.write_bytes(new)
    beside.replace(file)


def vanished(file: Path, new: bytes) -> None:
    file.unlink()


def cut(file: Path, new: bytes) -> None:
    os.truncate(file, 100)


def grown(file: Path, new: bytes) -> None:
    with file.open("ab") as stream:
        stream.write(new.split(b"\n", 1)[1])


FAULTS: dict[str, Callable[[Path, bytes], None]] = {
    "changed in place": in_place, "replaced": replaced, "vanished": vanished, "cut": cut, "grown": grown,
}  # fmt: skip


class Moment:
    """Lets the fault happen at one of the steps of reading: before the rows are read, or before they are identified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: Callable[[], None] | None = None
        self.at = ""
        for name, owner, attribute in (("read", scan.Scan, "collect"), ("hash", scan, "file_hash")):
            monkeypatch.setattr(owner, attribute, self._wrapped(name, getattr(owner, attribute)))

    def _wrapped(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if self.fault is not None and self.at == name:
                fault, self.fault = self.fault, None
                fault()
            return function(*args, **kwargs)

        return call


def encoded(frame: pl.DataFrame, kind: str) -> bytes:
    made = encode(frame, kind)
    assert made is not None
    return made


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    return Moment(monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_twenty_files_that_do_not_stay_as_they_were(fault: str, tmp_path: Path, moment: Moment) -> None:
    random = Random(fault)
    for number in range(TRIES):
        kind = random.choice(FORMATS)
        file = tmp_path / f"{number}.{kind}"
        file.write_bytes(encoded(OLD, kind))
        moment.at = random.choice(["read", "hash"])
        moment.fault = lambda file=file, kind=kind: FAULTS[fault](file, encoded(NEW, kind))
        with pytest.raises(InputError) as caught:
            fb.open_loop(contract=CONTRACT, predictions=file, outcomes=FRAMES["outcomes"]).join()
        assert moment.fault is None
        word = "vanished" if fault == "vanished" else "changed"
        assert caught.value.what == f"a file of the predictions log {word} while it was read"
        assert caught.value.got == file.name
        assert str(caught.value.next_step).startswith("run it again")


def test_a_guessed_loop_notices_too(tmp_path: Path, moment: Moment) -> None:
    files = {name: tmp_path / f"{name}.csv" for name in ("predictions", "outcomes")}
    files["predictions"].write_bytes(encoded(OLD, "csv"))
    files["outcomes"].write_bytes(encoded(FRAMES["outcomes"], "csv"))
    moment.at, moment.fault = "hash", files["predictions"].unlink
    with pytest.raises(InputError, match="vanished while it was read"):
        fb.open_loop(**files, window="2d")


RACE = """
import sys, polars as pl, fbkit as fb
from fbkit.errors import InputError
from tests.faults.test_reading import CONTRACT, NEW, OLD
from tests.fuzz.base import FRAMES
for number in range(20):
    try:
        loop = fb.open_loop(contract=CONTRACT, predictions=sys.argv[1], outcomes=FRAMES["outcomes"])
        frame = loop.logs.predictions.frame
    except InputError as error:
        print("refused", error.what)
        continue
    scores = dict(frame.select("prediction_id", "score").iter_rows())
    versions = [dict(each.select("prediction_id", "score").iter_rows()) for each in (OLD, NEW)]
    assert scores in versions, scores
    print("result", loop.logs.sources[0].sha256, versions.index(scores))
"""


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", ["changed in place", "replaced"])
def test_a_race_with_a_writer_gives_one_version_or_an_error(fault: str, kind: str, tmp_path: Path) -> None:
    """In a process of its own: a file that shrinks under a memory map could end more than a test."""
    file = tmp_path / f"predictions.{kind}"
    versions = [encoded(OLD, kind), encoded(NEW, kind)]
    file.write_bytes(versions[0])
    hashes = []
    for version in versions:
        (tmp_path / "copy").write_bytes(version)
        hashes.append(file_hash(tmp_path / "copy"))
    command = [sys.executable, "-c", RACE, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        turn = 0
        while reader.poll() is None:
            turn += 1
            FAULTS[fault](file, versions[turn % 2])
            time.sleep(0.005)  # the clock of a file system ticks every few milliseconds
        said, error = reader.communicate()
    assert (reader.returncode, error) == (0, "")
    ends = said.splitlines()
    assert len(ends) == TRIES
    for end in ends:
        if end.startswith("result"):
            _, digest, version = end.split()
            assert digest == hashes[int(version)]
