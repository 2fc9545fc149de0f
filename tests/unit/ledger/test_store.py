"""A saved ledger comes back the same, or not at all: every damaged or foreign file is named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import InputError, OutputError
from fbkit.ledger.build import build
from fbkit.ledger.ledger import Ledger
from fbkit.schema.logs import UnreadablePart
from fbkit.schema.period import Period
from fbkit.testing.frames import FakeJoined, random_joined


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    joined = random_joined(500, seed=1, entities=60)
    frame = joined.frame.with_columns(region=pl.col("region").replace("EU", "<b>É|\n"), w=pl.lit(0.5))
    marked = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
    return build(marked, slices=["region", "group"], pairs=[("region", "group")], weights="w")


def test_what_was_saved_is_what_is_opened(ledger: Ledger, tmp_path: Path) -> None:
    folder = ledger.save(tmp_path / "ledger")
    again = Ledger.open(folder)
    assert again == ledger
    assert again.manifest == ledger.manifest
    assert again.evaluation_key == ledger.evaluation_key
    # A second save of the same ledger writes the same bytes in its place, and leaves nothing beside it.
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    again.save(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["ledger"]


def test_incomplete_parts_are_kept(tmp_path: Path) -> None:
    joined = random_joined(50, seed=2)
    part = UnreadablePart(table="outcomes", file="a.csv", period=Period.parse("2026-04-01..2026-04-02"), reason="torn")
    whole = build(joined, slices=[])
    marked = replace(whole, manifest=replace(whole.manifest, incomplete=(part,)))
    assert Ledger.open(marked.save(tmp_path / "ledger")).incomplete == (part,)


def test_no_identifier_is_in_the_saved_bytes(tmp_path: Path) -> None:
    joined = random_joined(400, seed=3, entities=50)
    frame = joined.frame.with_columns(entity=pl.lit("SECRET-") + pl.col("entity"))
    folder = build(FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), slices=["region"]).save(
        tmp_path / "ledger"
    )
    held = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"region" in held
    for identifier in (b"SECRET", *(name.encode() for name in joined.frame["prediction_id"])):
        assert identifier not in held


def edit(name: str, change: Callable[[dict], object]) -> Callable[[Path], str]:
    def spoil(folder: Path) -> str:
        told = json.loads((folder / "manifest.json").read_text())
        change(told)
        (folder / "manifest.json").write_text(json.dumps(told))
        return name

    return spoil


def truncate(folder: Path) -> str:
    file = min(folder.glob("bins-*.parquet"))
    file.write_bytes(file.read_bytes()[:-20])
    return file.name


def flip(folder: Path) -> str:
    file = folder / "cells-00.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    return file.name


def remove(folder: Path) -> str:
    (folder / "cells-00.parquet").unlink()
    return "cells-00.parquet"


def swap(folder: Path) -> str:
    """Another table under a right hash: its columns give it away."""
    other = folder / min(file.name for file in folder.glob("groups-*.parquet"))
    told = json.loads((folder / "manifest.json").read_text())
    digest = next(item["sha256"] for item in told["files"] if item["name"] == other.name)
    (folder / "cells-00.parquet").write_bytes(other.read_bytes())
    told["files"][0]["sha256"] = digest
    (folder / "manifest.json").write_text(json.dumps(told))
    return "cells-00.parquet"


@pytest.mark.parametrize(
    "spoil",
    [
        truncate,
        flip,
        remove,
        swap,
        edit("manifest.json", lambda told: told.update(what="something else")),
        edit("manifest.json", lambda told: told.update(format=2)),
        edit("manifest.json", lambda told: told.update(rows=499)),
        edit("manifest.json", lambda told: told.pop("edges")),
        edit("manifest.json", lambda told: told.update(edges=[0.5, 0.1])),
        edit("manifest.json", lambda told: told.update(contract_hash="0")),
        edit("manifest.json", lambda told: told.update(contract="[model")),
        edit("manifest.json", lambda told: told["files"].pop()),
        edit("manifest.json", lambda told: told["files"].clear()),
        edit("manifest.json", lambda told: told["files"][0].update(name="../manifest.json")),
    ],
)
def test_a_spoilt_ledger_is_refused_by_the_name_of_the_file(spoil: Callable[[Path], str], tmp_path: Path) -> None:
    folder = build(random_joined(200, seed=4, entities=20), slices=["group"]).save(tmp_path / "ledger")
    named = spoil(folder)
    with pytest.raises(InputError, match=re.escape(named)) as caught:
        Ledger.open(folder)
    assert caught.value.next_step


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no ledger here"):
        Ledger.open(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json cannot be used"):
        Ledger.open(tmp_path)


def test_nothing_foreign_is_overwritten(ledger: Ledger, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="no part of a ledger"):
        ledger.save(notes)
    assert (notes / "mine.txt").read_text() == "mine"
    link = tmp_path / "link"
    link.symlink_to(notes)
    with pytest.raises(OutputError, match="link or a file"):
        ledger.save(link)
    with pytest.raises(OutputError, match="could not write"):
        ledger.save(notes / "mine.txt" / "below")
