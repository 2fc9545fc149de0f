"""A bundle opened again: what was written stays, what is known later stands behind it, bound like the rest."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.errors import ArgumentError, InputError, OutputError
from fbkit.report.bundle import Bundle
from fbkit.report.judgement import judge, then_now
from fbkit.report.lines import changed
from fbkit.report.reopen import reopen
from fbkit.report.verify import HOLDS, verify
from fbkit.session import incident

CLOCK = datetime(2026, 10, 20, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def final(variant_b: fb.Loop, early):
    """The same question, once the last label window is closed."""
    weeks = fb.Comparison(reference=early.reference, current=early.current)
    return fb.triage(variant_b.join(), weeks, draws=20)


def test_what_is_known_later_stands_behind_what_was_written(folder: Path, variant_b: fb.Loop) -> None:
    before = {path.name: path.read_bytes() for path in folder.glob("incident.*")}
    document = Bundle.open(folder).document
    judgement = incident.reopen(folder, variant_b, clock=CLOCK)
    assert (judgement.outcome, judgement.final) == ("right", True)
    text = (folder / "incident.md").read_text(encoding="utf-8")
    assert text.startswith(before["incident.md"].decode())
    assert "\n## Reopened as of 2026-10-19 23:00 UTC: the verdict was right\n" in text
    page = (folder / "incident.html").read_text(encoding="utf-8")
    assert page.index("Reopened as of 2026-10-19") < page.index("</nav>")
    assert page.rindex('<section id="reopened-1">') < page.index("</main>")
    assert all(line in page for line in before["incident.html"].decode().splitlines() if "</nav>" not in line)
    assert changed(document, "incident.docx", (folder / "incident.docx").read_bytes()) == []
    for name in before:
        assert judgement.sentence[:60].encode() in (folder / name).read_bytes() or name.endswith(".docx")
    assert verify(Bundle.open(folder))["status"].unique().to_list() == [HOLDS]


def test_the_word_file_is_still_one_and_says_it_too(folder: Path, variant_b: fb.Loop) -> None:
    import docx

    tables = len(docx.Document(str(folder / "incident.docx")).tables)
    judgement = incident.reopen(folder, variant_b, clock=CLOCK)
    word = docx.Document(str(folder / "incident.docx"))
    said = [place.text for place in word.paragraphs]
    assert judgement.sentence in said
    assert said.index(judgement.sentence) > next(i for i, text in enumerate(said) if text == "Provenance")
    assert len(word.tables) == tables + 2
    assert word.tables[-1].cell(1, 1).text == "0.803"


def test_it_can_be_opened_again_and_again_but_never_backwards(folder: Path, variant_b: fb.Loop) -> None:
    middle = incident.reopen(folder, variant_b, as_of="2026-10-14", clock=CLOCK)
    assert (middle.outcome, middle.final) == ("still open", False)
    assert "72.4 % of the current predictions is open even now" in middle.because
    with pytest.raises(ArgumentError, match="nothing later"):
        incident.reopen(folder, variant_b, as_of="2026-10-13")
    incident.reopen(folder, variant_b, clock=CLOCK)
    history = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["history"]
    assert [(item["as_of"], item["outcome"], item["frame"]) for item in history] == [
        ("2026-10-14T00:00:00Z", "still open", "reopened_1"),
        ("2026-10-19T23:00:00Z", "right", "reopened_2"),
    ]
    found = incident.verify(folder, variant_b)
    assert found["status"].unique().to_list() == [HOLDS]
    assert found.filter(pl.col("where").str.starts_with("reopened-2")).height > 3
    with pytest.raises(ArgumentError, match="nothing later"):
        incident.reopen(folder, variant_b)


def test_words_and_files_that_people_added_are_kept(folder: Path, variant_b: fb.Loop) -> None:
    with (folder / "incident.md").open("a", encoding="utf-8") as stream:
        stream.write("\nDecision: we wait.")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8 a whiteboard")
    page = folder / "incident.html"
    page.write_text(page.read_text(encoding="utf-8").replace("</main>", "<p>Ada was here</p>"), encoding="utf-8")
    incident.reopen(folder, variant_b, clock=CLOCK)
    text = (folder / "incident.md").read_text(encoding="utf-8")
    assert text.index("Decision: we wait.\n\n## Reopened as of") > 0
    assert (folder / "photo.jpg").read_bytes() == b"\xff\xd8 a whiteboard"
    assert "Ada was here" in page.read_text(encoding="utf-8")
    assert '<section id="reopened-1">' in page.read_text(encoding="utf-8")
    history = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["history"]
    assert history[0]["edited_before"] == ["incident.md", "incident.html"]
    assert verify(Bundle.open(folder)).filter(pl.col("status") != HOLDS).is_empty()


def test_a_number_that_was_changed_before_is_not_washed_clean(folder: Path, variant_b: fb.Loop) -> None:
    path = folder / "incident.md"
    path.write_text(path.read_text(encoding="utf-8").replace("-11.9", "-1.9"), encoding="utf-8")
    ladder = folder / "data/ladder.csv"
    ladder.write_text(ladder.read_text(encoding="utf-8").replace("-0.119", "-0.019"), encoding="utf-8")
    incident.reopen(folder, variant_b, clock=CLOCK)
    found = verify(Bundle.open(folder)).filter(status="changed")
    assert {"incident.md", "data/ladder.csv", "headline"} <= set(found["where"])


def test_equal_input_gives_equal_bytes(folder: Path, tmp_path: Path, early, variant_b: fb.Loop) -> None:
    import shutil

    other = Path(shutil.copytree(folder, tmp_path / "other"))
    for place in (folder, other):
        incident.reopen(place, variant_b, clock=CLOCK)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert [name for name in names if (folder / name).read_bytes() != (other / name).read_bytes()] == []
    assert early is not None


@pytest.mark.parametrize("name", ["diagnosis.json", "data/claims.csv", "data/document.json"])
def test_a_part_that_is_not_for_editing_must_be_untouched(folder: Path, final, name: str) -> None:
    with (folder / name).open("a") as stream:
        stream.write(" ")
    with pytest.raises(InputError, match="not for editing"):
        reopen(Bundle.open(folder), final)


def test_nothing_changes_when_it_cannot_be_written(folder: Path, final, monkeypatch) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(OutputError, match="a link"):
        reopen(Bundle.open(folder), final)
    (folder / "link").unlink()
    monkeypatch.setattr("fbkit.schema.files.put_in_place", _full)
    with pytest.raises(OutputError, match="could not write"):
        reopen(Bundle.open(folder), final)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["incident"]


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_word_file_that_is_none_any_more_is_told(folder: Path, final) -> None:
    (folder / "incident.docx").write_bytes(b"PK but no archive")
    with pytest.raises(InputError, match="no Word file any more"):
        reopen(Bundle.open(folder), final)


def _judged(early, final, *, then: dict[str, object], now: dict[str, object], parts=None):
    return judge(replace(early, **then), replace(final, **now, **({} if parts is None else {"contributions": parts})))


def test_the_outcome_says_what_became_of_the_verdict(early, final, make) -> None:
    assert (early.verdict, final.verdict) == ("labels", "labels")
    assert _judged(early, final, then={}, now={}).outcome == "right"
    undecided = {"verdict": "undecided", "reason": "labels may be lost because of their outcome."}
    assert _judged(early, final, then={}, now=undecided).outcome == "still open"
    decided = _judged(early, final, then=undecided, now={})
    assert decided.outcome == "decided now"
    assert decided.sentence.startswith(
        "Now that labels are final the verdict was open and is decided, because it is the "
    )
    drift = (make.contribution("concept_drift", "quality", -0.117),)
    wrong = _judged(early, final, then={}, now={"verdict": "quality"}, parts=drift)
    assert wrong.outcome == "wrong"
    assert "it said the labels, not the model, and it is the model got worse" in wrong.because
    assert "the model (concept drift) nothing then, -11.7 points now" in wrong.because
    broken = (make.contribution("join_break", "labels", -0.117),)
    assert _judged(early, final, then={}, now={}, parts=broken).outcome == "partly right"


def test_nothing_then_and_nothing_now_is_right(early, final, make) -> None:
    quiet = (make.contribution("noise", "noise", -0.01, material=False),)
    late = (*quiet, make.contribution("immature_window", "labels", 0.03))
    found = judge(
        replace(early, verdict="labels", contributions=late), replace(final, verdict="noise", contributions=quiet)
    )
    assert found.outcome == "right"
    assert found.because.startswith("nothing beyond chance is found now either")


def test_then_and_now_stand_side_by_side(folder: Path, early, final) -> None:
    frames = {name: Bundle.open(folder).need_frame(name) for name in ("availability_by_decision", "key_numbers")}
    frame = then_now(early, final, frames=frames)
    rows = {row["name"]: row for row in frame.iter_rows(named=True)}
    assert rows["observed_current"]["then"] == early.observed.current
    assert rows["observed_current"]["now"] == final.observed.current
    assert rows["cause_immature_window"]["now"] is None
    assert rows["open_share"]["then"] == pytest.approx(1.0, abs=1e-4)
    assert rows["open_share"]["now"] == 0.0
    assert rows["availability_current"]["now"] == pytest.approx(0.698, abs=5e-4)


def test_names_of_a_hostile_bundle_are_only_text(folder: Path, final) -> None:
    """Whoever writes a bundle writes its hashes too; his words still run nowhere."""
    import hashlib

    evil = "<script>alert(1)</script>[x](http://evil)|\u202e"
    path = folder / "diagnosis.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    for part in facts["contributions"]:
        part["cause"], part["where"] = evil, evil
    facts["verdict"] = evil
    path.write_text(json.dumps(facts), encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for item in manifest["files"]:
        if item["name"] == "diagnosis.json":
            item["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    reopen(Bundle.open(folder), final, clock=CLOCK)
    page = (folder / "incident.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    text = (folder / "incident.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "http://evil" not in text
    assert "\u202e" not in text + page
