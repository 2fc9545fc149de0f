"""A bundle that is read back is somebody else's: nothing of it is trusted, nothing outside of it is read."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fbkit.errors import InputError
from fbkit.report.bundle import Bundle, read_inside
from fbkit.report.serial import diagnosis_facts
from fbkit.report.stored import from_stored, to_stored
from fbkit.report.told import diagnosis_of
from fbkit.report.verify import verify


def _manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = folder / "manifest.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_what_was_written_is_read_back(folder: Path, early) -> None:
    bundle = Bundle.open(folder)
    assert diagnosis_facts(bundle.diagnosis) == json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert from_stored(to_stored(bundle.document)) == bundle.document
    assert (bundle.asked.metric, bundle.asked.as_of, bundle.asked.draws) == ("recall", early.as_of, 20)
    assert_frame_equal(bundle.need_frame("key_numbers"), early.evidence["key_numbers"], rel_tol=1e-9)
    assert bundle.history == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "manifest.json").unlink(), "no manifest.json in it"),
        (lambda f: (f / "manifest.json").write_text("{"), "no JSON"),
        (lambda f: (f / "manifest.json").write_text("[]"), "holds no mapping"),
        (lambda f: (f / "manifest.json").write_text("[" * 100_000), "no JSON"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe"), "no JSON"),
        (lambda f: _manifest(f, lambda m: m.update(format="fbkit-incident-2")), "newer fbkit"),
        (lambda f: _manifest(f, lambda m: m.update(format="a-zip-of-cats")), "a-zip-of-cats"),
        (lambda f: _manifest(f, lambda m: m.pop("format")), "no incident bundle"),
        (lambda f: _manifest(f, lambda m: m.update(files="all")), "lists no files"),
        (lambda f: _manifest(f, lambda m: m["files"].append({"name": "../../x"})), "without name or hash"),
        (lambda f: _manifest(f, lambda m: m["files"].append({"name": "../x", "sha256": "0"})), "outside of the folder"),
        (lambda f: _manifest(f, lambda m: m["files"].append({"name": "/etc/passwd", "sha256": "0"})), "outside"),
        (lambda f: _manifest(f, lambda m: m["files"].extend([m["files"][0]] * 3000)), "lists no files"),
        (lambda f: (f / "diagnosis.json").write_text('{"metric": 3}'), "does not hold a diagnosis|question"),
        (lambda f: (f / "diagnosis.json").unlink(), "has no diagnosis.json"),
        (lambda f: (f / "data/document.json").write_text('{"title": 1, "sections": []}'), "document is damaged"),
        (lambda f: [(f / f"data/claims.{e}").unlink() for e in ("csv", "parquet")], "has no data/claims.csv"),
        (lambda f: (f / "data/ladder.parquet").write_bytes(b"PAR1 and more PAR1"), "no Parquet file"),
        (lambda f: pl.DataFrame({"x": [1]}).write_parquet(f / "data/claims.parquet"), "lacks a column"),
    ],
)
def test_a_damaged_bundle_is_an_input_error(folder: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=said):
        verify(Bundle.open(folder))


@pytest.mark.parametrize(
    "change",
    [
        {"sources": "all"},
        {"sources": [["x", "y"]]},
        {"versions": ["polars"]},
        {"contract": "abc"},
        {"contract": None},
    ],
)
def test_a_manifest_that_does_not_tell_the_question_is_damaged(folder: Path, change: dict[str, Any]) -> None:
    _manifest(folder, lambda manifest: manifest.update(change))
    with pytest.raises(InputError, match="the question cannot be read"):
        _ = Bundle.open(folder).asked


def test_a_bundle_cannot_ask_for_more_draws_than_a_machine_has_room_for(folder: Path) -> None:
    path = folder / "diagnosis.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["method"]["draws"] = 10**12
    path.write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(InputError, match="1000000000000 draws"):
        _ = Bundle.open(folder).asked


def test_a_folder_that_is_none_and_a_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        Bundle.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="it is a file"):
        Bundle.open(tmp_path / "file")


def test_a_link_is_not_followed_and_a_pipe_not_waited_for(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("x\n1\n")
    (folder / "data/ladder.csv").unlink()
    (folder / "data/ladder.csv").symlink_to(secret)
    (folder / "incident.md").unlink()
    os.mkfifo(folder / "incident.md")
    (tmp_path / "elsewhere").mkdir()
    (folder / "figures").rename(tmp_path / "elsewhere/figures")
    (folder / "figures").symlink_to(tmp_path / "elsewhere/figures")
    bundle = Bundle.open(folder)
    assert bundle.read("data/ladder.csv") is None
    assert bundle.read("incident.md") is None
    assert bundle.read("figures/ladder.png") is None
    missing = verify(bundle).filter(pl.col("why").str.contains("missing, or no plain file"))
    assert {"data/ladder.csv", "incident.md", "figures/ladder.png"} <= set(missing["where"])


def test_a_manifest_that_is_a_link_is_none(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").rename(tmp_path / "manifest.json")
    (folder / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(InputError, match=r"no manifest\.json in it"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "", "a//b", ".hidden", "a\x00b", "A", "x" * 200])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no bundle has"):
        read_inside(tmp_path, name)


def test_a_file_that_is_far_too_large_is_refused_unread(folder: Path) -> None:
    with (folder / "incident.md").open("r+b") as stream:
        stream.truncate(65 * 1024 * 1024)
    with pytest.raises(InputError, match="more than 64 MB"):
        verify(Bundle.open(folder))


def test_a_small_parquet_file_of_many_rows_is_refused_unread(folder: Path) -> None:
    pl.DataFrame({"value": pl.repeat(0.0, 6_000_000, eager=True)}).write_parquet(folder / "data/ladder.parquet")
    assert (folder / "data/ladder.parquet").stat().st_size < 1_000_000
    with pytest.raises(InputError, match="more cells than any evidence frame"):
        verify(Bundle.open(folder))


def test_csv_is_read_as_text_and_its_guard_against_formulas_taken_off(folder: Path) -> None:
    (folder / "data/ladder.parquet").unlink()
    (folder / "data/ladder.csv").write_text("cause,value\n'-x,-0.5\n007,1\n'tis,2\n", encoding="utf-8")
    frame = Bundle.open(folder).need_frame("ladder")
    assert frame.rows() == [("-x", "-0.5"), ("007", "1"), ("'tis", "2")]


def _with(*blocks: object, level: int = 2) -> dict[str, Any]:
    section = {"key": "a", "title": "b", "level": level, "blocks": list(blocks)}
    return {"title": "x", "subtitle": "y", "sections": [section]}


@pytest.mark.parametrize(
    "facts",
    [
        None,
        [],
        _with(level=7),
        _with({"block": "Script"}),
        _with({"block": "Paragraph"}),
        _with({"block": "Fields", "items": [["a", "b", "c"]]}),
        _with({"block": "Bullets", "items": [1]}),
        {"title": "x", "subtitle": "y", "sections": [{}] * 30_000},
    ],
)
def test_a_stored_document_of_other_values_is_refused(facts: object) -> None:
    with pytest.raises(InputError, match="stored document is damaged"):
        from_stored(facts)


@pytest.mark.parametrize(
    "change",
    [
        {"metric": None}, {"observed": []}, {"observed": {"reference": "0.8"}}, {"contributions": [{"cause": "x"}]},
        {"as_of": "yesterday"}, {"reference": "2026"}, {"warnings": "many"}, {"worst_case": {"current": 3}},
        {"checks": [{"key": 1, "question": "", "answer": "", "seconds": 0, "table": ""}]}, {"notes": ["x"]},
        {"metric_level": True}, {"do_now": ["x"] * 5000},
    ],
)  # fmt: skip
def test_a_diagnosis_of_other_values_is_refused(diagnosis, change: dict[str, Any]) -> None:
    facts = {**json.loads(json.dumps(diagnosis_facts(diagnosis))), **change}
    with pytest.raises(InputError, match="does not hold a diagnosis"):
        diagnosis_of(facts)
