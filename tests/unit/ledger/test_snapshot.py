"""A snapshot comes back as it was written, without what must stay at home; anything else is refused with its name."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fbkit.errors import ArgumentError, FbkitError, InputError, OutputError
from fbkit.ledger import snapshot as snap
from fbkit.ledger.build import build
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.snapshot import read_snapshot, save_snapshot
from fbkit.schema.archive import pack
from fbkit.schema.files import sha256
from fbkit.testing.frames import FakeJoined, random_joined
from tests.unit.report.hostile import HOSTILE

VIEW = {"metric": "recall", "as_of": "2026-05-01T00:00:00Z", "focus": {"region": "EU"}}
FACTS = {"check": [{"id": "a", "status": "failed", "rows": 3}], "note": "<script>alert(1)</script>\u202e"}


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return build(random_joined(500, seed=1, entities=60), slices=["region", "group"])


@pytest.fixture(scope="module")
def frames() -> dict[str, pl.DataFrame]:
    changed = pl.DataFrame({"ts": [datetime(2026, 3, 2, tzinfo=UTC)], "kind": ["deploy"], "what": ["v2 <b>"]})
    return {"changes": changed, "drift": pl.DataFrame({"column": ["x"], "psi": [0.4], "bins": [[1, 2]]})}


@pytest.fixture
def file(tmp_path: Path, ledger: Ledger, frames: dict[str, pl.DataFrame]) -> Path:
    return save_snapshot(tmp_path / "page.snap", ledger=ledger, view=VIEW, frames=frames, facts=FACTS)


def test_what_was_saved_comes_back(file: Path, ledger: Ledger, frames: dict[str, pl.DataFrame]) -> None:
    again = read_snapshot(file)
    assert again.ledger == ledger
    assert again.ledger.evaluation_key == ledger.evaluation_key
    assert again.contract == ledger.contract
    assert dict(again.view) == VIEW
    assert dict(again.facts) == FACTS
    assert {name: frame.equals(frames[name]) for name, frame in again.frames.items()} == {
        "changes": True,
        "drift": True,
    }
    assert again.notes == ()
    assert file.stat().st_size < 1_000_000


def test_several_ledgers_have_their_names(tmp_path: Path, ledger: Ledger) -> None:
    other = build(random_joined(100, seed=2), slices=[])
    again = read_snapshot(save_snapshot(tmp_path / "a", ledger={"ledger": ledger, "small": other}))
    assert list(again.ledgers) == ["ledger", "small"]
    assert again.ledgers["small"] == other
    assert (dict(again.view), dict(again.frames), dict(again.facts)) == ({}, {}, {})


def test_equal_content_gives_equal_bytes_and_replaces_what_was_there(
    file: Path, ledger: Ledger, frames: dict[str, pl.DataFrame]
) -> None:
    before = file.read_bytes()
    save_snapshot(file, ledger=ledger, view=dict(reversed(VIEW.items())), frames=frames, facts=FACTS)
    assert file.read_bytes() == before
    assert [held.name for held in file.parent.iterdir()] == [file.name]


def test_neither_rows_nor_ids_nor_personal_columns_nor_thin_slices_are_in_the_file(tmp_path: Path) -> None:
    joined = random_joined(400, seed=3, entities=50)
    thin = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("TINY-TOWN")).otherwise(pl.col("region"))
    frame = joined.frame.with_columns(entity=pl.lit("SECRET-") + pl.col("entity"), region=thin)
    body = joined.contract
    contract = body.model_copy(
        update={
            "slices": body.slices.model_copy(update={"columns": ("region",)}),
            "privacy": body.privacy.model_copy(update={"personal": ("customer",)}),
        }
    )
    ledger = build(FakeJoined(frame=frame, contract=contract, as_of=joined.as_of), slices=["region"])
    told = {
        "by_person": pl.DataFrame({"customer": ["ANN-7"], "n": [1]}),
        "by_region": pl.DataFrame({"region": ["EU", "US", "UK"], "n": [100, 3, 4], "value": [0.5, 0.123456, 0.2]}),
        "remarks": pl.DataFrame({"comment": ["BOB SAYS"], "n": [1]}),
    }
    file = save_snapshot(tmp_path / "a", ledger=ledger, frames=told)
    with zipfile.ZipFile(file) as opened:
        content = b"".join(opened.read(name) for name in opened.namelist())
    for secret in (b"SECRET", b"TINY-TOWN", b"ANN-7", b"BOB SAYS", *(name.encode() for name in frame["prediction_id"])):
        assert secret not in content
    again = read_snapshot(file)
    assert again.frames["by_region"]["value"].to_list() == [0.5, None, None]
    assert again.frames["by_region"]["masked"].to_list() == [None, "fewer than 20", "fewer than 20"]
    assert "told together" in again.notes[0]
    assert read_snapshot(save_snapshot(tmp_path / "b", ledger=again.ledger)).notes == ()


def test_hostile_texts_come_back_as_they_were(tmp_path: Path, ledger: Ledger) -> None:
    held = [text.encode("utf-8", "replace").decode() for text in HOSTILE]
    names = pl.Series("region", held).sample(2000, with_replacement=True, seed=1)
    joined = random_joined(2000, seed=5)
    frame = joined.frame.with_columns(region=names)
    hostile = build(FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), slices=["region"])
    file = save_snapshot(tmp_path / "a", ledger=hostile, facts={"notes": held}, view={"by": held[0]})
    again = read_snapshot(file)
    assert set(again.ledger.values["region"]) <= {*held, "(slices of fewer than 20)"}
    assert again.facts["notes"] == held
    halves = save_snapshot(tmp_path / "b", ledger=ledger, facts={"notes": ["\ud800"]})
    assert read_snapshot(halves).facts["notes"] == ["?"]


def wide() -> Ledger:
    joined = random_joined(6000, seed=6)
    sizes = [f"r{min(i % 40, 39 - i % 7):02d}" for i in range(6000)]
    frame = joined.frame.with_columns(region=pl.Series(sizes))
    return build(FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of), slices=["region", "group"])


def test_a_wide_column_gives_way_where_the_file_would_be_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = wide()
    whole = save_snapshot(tmp_path / "whole", ledger=ledger)
    assert read_snapshot(whole).ledger == ledger
    monkeypatch.setattr(snap, "_FEW_BYTES", 10)
    sizes = dict(ledger.table("region").group_by("region").agg(pl.col("n").sum()).iter_rows())
    rarest = min(sizes, key=lambda name: (sizes[name], name))
    file = save_snapshot(tmp_path / "small", ledger=ledger, view={"focus": {"region": rarest}})
    assert file.stat().st_size < whole.stat().st_size
    again = read_snapshot(file)
    kept = set(again.ledger.values["region"])
    assert rarest in kept
    assert kept - {rarest} <= {
        f"({len(sizes) - 12} smaller slices)",
        *sorted(sizes, key=lambda name: -sizes[name])[:20],
    }
    assert len(kept) == 13
    assert again.notes == (
        f"the {len(sizes) - 12} smallest slices of region are told together, to keep the file small",
    )
    assert again.ledger.values["group"] == ledger.values["group"]
    assert again.ledger.table("region")["n"].sum() == 6000
    assert again.ledger.tables["cells", ()].equals(ledger.tables["cells", ()])


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "a.b", "x" * 61, "=1+1"])
def test_names_come_from_a_fixed_alphabet(tmp_path: Path, ledger: Ledger, name: str) -> None:
    for part in ({"facts": {name: 1}}, {"frames": {name: pl.DataFrame()}}):
        with pytest.raises(ArgumentError, match="a name in a snapshot"):
            save_snapshot(tmp_path / "a", ledger=ledger, **part)
    with pytest.raises(ArgumentError, match="a name in a snapshot"):
        save_snapshot(tmp_path / "a", ledger={name: ledger})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fact", [float("nan"), {1, 2}, datetime(2026, 1, 1, tzinfo=UTC), b"x", [object()]])
def test_facts_are_what_json_can_carry(tmp_path: Path, ledger: Ledger, fact: object) -> None:
    with pytest.raises(ArgumentError, match="JSON"):
        save_snapshot(tmp_path / "a", ledger=ledger, facts={"x": fact})


def test_rows_are_not_taken_for_a_result(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snap, "_MOST_CELLS", 1000)
    with pytest.raises(ArgumentError, match="too large for a snapshot"):
        save_snapshot(tmp_path / "a", ledger=ledger, frames={"rows": pl.DataFrame({"a": range(1001)})})
    monkeypatch.setattr(snap, "MOST_BYTES", 1000)
    with pytest.raises(ArgumentError, match="larger than one that can be read"):
        save_snapshot(tmp_path / "a", ledger=ledger)


def test_what_is_no_ledger_and_what_cannot_be_written_is_told(tmp_path: Path, ledger: Ledger) -> None:
    for thing in ({}, {"ledger": 5}):
        with pytest.raises(ArgumentError, match="stands on a ledger"):
            save_snapshot(tmp_path / "a", ledger=thing)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError):
        save_snapshot(tmp_path / "file" / "a", ledger=ledger)


def parts(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def signed(held: dict[str, bytes], **told: object) -> bytes:
    """The parts as a snapshot whose manifest is right about them."""
    inside = {name: content for name, content in held.items() if name != "manifest.json"}
    listed = [{"name": name, "sha256": sha256(content)} for name, content in inside.items()]
    manifest = {"what": snap.KIND, "format": 1, "notes": [], "files": listed} | told
    return pack({"manifest.json": json.dumps(manifest).encode(), **inside})


def test_a_changed_a_missing_and_a_strange_part_are_named(file: Path) -> None:
    held = parts(file)
    for changed, said in (
        ({**held, "view.json": b"{}"}, "view.json: its SHA-256"),
        ({name: content for name, content in held.items() if name != "view.json"}, "does not hold the files"),
        ({**held, "facts/more.json": b"1"}, "does not hold the files"),
        ({name: content for name, content in held.items() if name != "manifest.json"}, "its manifest"),
        ({**held, "manifest.json": b"[]"}, "its manifest"),
        ({**held, "manifest.json": b"[" * 100_000}, "its manifest"),
    ):
        file.write_bytes(pack(changed))
        with pytest.raises(InputError, match=said):
            read_snapshot(file)


def test_newer_and_foreign_files_are_told_apart_from_damaged_ones(file: Path) -> None:
    held = parts(file)
    for told in ({"format": 2}, {"what": "fbkit ledger"}):
        file.write_bytes(signed(held, **told))
        with pytest.raises(InputError, match="kind or format that this version does not know"):
            read_snapshot(file)


def billion() -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame({"a": pl.repeat(1, 3_000_000, eager=True, dtype=pl.Int8)}).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("frames/drift.parquet", b"no parquet", "drift"),
        ("frames/drift.parquet", billion(), "says that it has 3,000,000 rows"),
        ("facts/check.json", b"{", "check"),
        ("facts/check.json", b"[" * 100_000, "check"),
        ("view.json", b"[1]", "not a view"),
        ("ledgers/ledger/manifest.json", b"{}", "not the manifest of a ledger"),
        ("ledgers/ledger/cells-00.parquet", b"no parquet", "cells-00"),
    ],
)
def test_a_part_that_is_not_what_it_should_be_is_named(file: Path, name: str, content: bytes, said: str) -> None:
    file.write_bytes(signed({**parts(file), name: content}))
    with pytest.raises(InputError, match=said):
        read_snapshot(file)


def test_a_snapshot_without_its_ledger_or_with_half_of_it(file: Path) -> None:
    held = parts(file)
    bare = {name: content for name, content in held.items() if not name.startswith("ledgers")}
    file.write_bytes(signed(bare))
    with pytest.raises(InputError, match="no ledger in it"):
        read_snapshot(file)
    file.write_bytes(signed({name: content for name, content in held.items() if not name.endswith("cells-00.parquet")}))
    with pytest.raises(InputError, match=r"cells-00\.parquet of a ledger is missing"):
        read_snapshot(file)


def test_every_cut_and_many_turned_bytes_end_in_one_sentence(file: Path) -> None:
    whole = file.read_bytes()
    before = read_snapshot(file)
    for place in range(0, len(whole), max(len(whole) // 60, 1)):
        file.write_bytes(whole[:place])
        with pytest.raises(FbkitError):
            read_snapshot(file)
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            again = read_snapshot(file)
        except FbkitError:
            continue
        assert again.ledger == before.ledger
        assert again.facts == before.facts
