"""``fbkit incident``: write, verify, reopen, diff; the exit status tells a pipeline what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import fbkit as fb
from fbkit.cli import main

Run = Callable[..., tuple[int, str, str]]
LOOP = fb.samples.path("recall_drop") / "variant_b"
WEEKS = ("--reference", "2026-08-31..2026-09-28", "--current", "2026-09-28..2026-10-05", "--draws", "20")

SAID = ("--clock", "2026-10-12T06:00Z", "--note", "I think it is the feed.", "--note", "So do I.", "--author", "Ada")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(["incident", *map(str, words)])
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def _written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "incident"
    with pytest.raises(SystemExit):
        main(["incident", "write", str(LOOP), *WEEKS, "--as-of", "2026-10-12", "--out", str(folder), *SAID])
    return folder


@pytest.fixture
def folder(_written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_written, tmp_path / "incident"))


def test_write_keeps_notes_beside_the_verdict_and_the_clock_still(folder: Path) -> None:
    facts = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert [(note["text"], note["author"]) for note in facts["notes"]] == [
        ("I think it is the feed.", "Ada"),
        ("So do I.", "Ada"),
    ]
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["written"] == "2026-10-12T06:00:00Z"
    assert not (folder / "incident.pdf").exists()


def test_an_author_without_a_note_is_a_slip(run: Run, tmp_path: Path) -> None:
    status, _, err = run("write", LOOP, "--out", tmp_path / "x", "--author", "Ada")
    assert (status, "there is no note" in err, (tmp_path / "x").exists()) == (2, True, False)


def test_verify_is_silent_about_what_holds_and_loud_about_what_does_not(run: Run, folder: Path) -> None:
    status, out, _ = run("verify", folder)
    assert (status, out.startswith("everything holds: ")) == (0, True)
    path = folder / "incident.md"
    path.write_text(path.read_text(encoding="utf-8").replace("-11.9", "-1.9"), encoding="utf-8")
    status, out, _ = run("verify", folder)
    assert status == 1
    assert "no longer holds: line in incident.md: -11.9 written, -1.9 now" in out


def test_verify_asks_the_logs_and_answers_in_json(run: Run, folder: Path) -> None:
    status, out, _ = run("verify", folder, LOOP, "--json")
    facts = json.loads(out)
    assert (status, facts["all_hold"], facts["changed"], facts["rows"]) == (0, True, 0, [])
    assert facts["holds"] > 150
    status, out, _ = run("verify", folder, LOOP.parent / "variant_a", "--json")
    facts = json.loads(out)
    assert (status, facts["all_hold"]) == (1, False)
    assert facts["changed"] == len([row for row in facts["rows"] if row["status"] == "changed"]) > 20
    assert set(facts["rows"][0]) == {"kind", "where", "claim", "written", "now", "status", "why"}


def test_reopen_appends_and_says_whether_the_verdict_was_right(run: Run, folder: Path) -> None:
    status, out, _ = run("reopen", folder, LOOP, "--as-of", "2026-10-14", "--clock", "2026-10-14T09:00Z")
    assert (status, "the verdict is still open, because" in out) == (0, True)
    status, out, _ = run("reopen", folder, LOOP, "--json", "--clock", "2026-10-20")
    facts = json.loads(out)
    assert (status, facts["outcome"], facts["final"]) == (0, "right", True)
    assert (folder / "incident.md").read_text(encoding="utf-8").count("## Reopened as of") == 2
    status, _, err = run("reopen", folder, LOOP)
    assert (status, err.startswith("fbkit: nothing later than the bundle is known")) == (2, True)
    assert run("verify", folder)[0] == 0


def test_diff_compares_in_words(run: Run, folder: Path, tmp_path: Path) -> None:
    before = Path(shutil.copytree(folder, tmp_path / "before"))
    assert run("diff", before, folder)[:2] == (0, "no difference\n")
    run("reopen", folder, LOOP, "--clock", "2026-10-20")
    status, out, _ = run("diff", before, folder)
    assert (status, out) == (0, "Reopened:\n  - reopened, new: as of 2026-10-19T23:00:00Z: right\n")
    facts = json.loads(run("diff", before, folder, "--json")[1])
    assert facts["rows"] == [
        {
            "part": "reopened",
            "what": "reopened",
            "before": None,
            "after": "as of 2026-10-19T23:00:00Z: right",
            "change": None,
        }
    ]


@pytest.mark.parametrize("command", [("verify",), ("verify", LOOP), ("reopen", LOOP), ("diff", ".")])
def test_a_folder_that_is_no_bundle_is_a_wrong_call(run: Run, tmp_path: Path, command: tuple[object, ...]) -> None:
    name, *more = command
    status, out, err = run(name, tmp_path, *more)
    assert (status, out) == (2, "")
    assert err.startswith(f"fbkit: {tmp_path.name} is no incident bundle")
    assert "Traceback" not in err


def test_a_damaged_bundle_is_told_as_json_too(run: Run, folder: Path) -> None:
    (folder / "data/document.json").write_text("{")
    status, out, err = run("verify", folder, "--json")
    assert (status, out) == (2, "")
    assert json.loads(err)["error"]["code"] == "input"


@pytest.mark.parametrize("option", ["--clock", "--as-of"])
def test_a_time_that_cannot_be_read_is_a_wrong_call(run: Run, folder: Path, option: str) -> None:
    status, _, err = run("reopen", folder, LOOP, option, "soon")
    assert (status, "an instant could not be read" in err) == (2, True)


@pytest.mark.parametrize("command", ["write", "verify", "reopen", "diff"])
def test_every_command_says_what_it_does(run: Run, command: str) -> None:
    status, out, _ = run(command, "--help")
    assert status == 0
    assert f"Usage: fbkit incident {command} " in out
