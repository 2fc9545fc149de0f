"""Which numbers of a bundle still hold: nothing is missed, and nothing is found where only words were edited."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

import fbkit as fb
from fbkit.report.bundle import Bundle
from fbkit.report.verify import CHANGED, COLUMNS, EDITED, HOLDS, holds, verify, verify_text
from fbkit.session import incident


def _bad(folder: Path) -> pl.DataFrame:
    return verify(Bundle.open(folder)).filter(pl.col("status") == CHANGED)


def test_a_fresh_bundle_holds_in_every_respect(folder: Path) -> None:
    found = verify(Bundle.open(folder))
    assert tuple(found.columns) == COLUMNS
    assert found["status"].unique().to_list() == [HOLDS]
    assert {"number", "sum", "line", "file"} == set(found["kind"])
    assert holds(found)
    assert verify_text(found).startswith("everything holds: ")


def test_a_fresh_bundle_holds_against_the_logs(folder: Path, variant_b: fb.Loop) -> None:
    assert incident.verify(folder, variant_b)["status"].unique().to_list() == [HOLDS]


@pytest.mark.parametrize("name", ["incident.md", "incident.html"])
def test_a_number_that_was_changed_in_a_text_is_found(folder: Path, name: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    first = re.search(r"-11\.9", text)
    assert first is not None
    path.write_text(text.replace("-11.9", "-1.9"), encoding="utf-8")
    found = _bad(folder)
    assert {(row["where"], row["written"], row["now"]) for row in found.iter_rows(named=True)} == {
        (name, "-11.9", "-1.9")
    }


def test_a_number_that_was_changed_in_the_card_is_found(folder: Path) -> None:
    path = folder / "incident.html"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<b>91.9 % → 63.7 %</b>", "<b>91.9 % → 93.7 %</b>"), encoding="utf-8")
    found = _bad(folder)
    assert found.select("where", "written", "now").rows() == [("incident.html", "63.7", "93.7")]


def test_a_number_that_was_changed_in_the_word_file_is_found(folder: Path) -> None:
    import docx

    word = docx.Document(str(folder / "incident.docx"))
    touched = 0
    for place in word.paragraphs:
        for run in place.runs:
            if "-11.9" in run.text:
                run.text, touched = run.text.replace("-11.9", "-9.9"), touched + 1
    word.save(str(folder / "incident.docx"))
    assert touched
    assert set(_bad(folder)["where"]) == {"incident.docx"}


def test_words_and_empty_fields_that_were_filled_in_are_no_fault(folder: Path) -> None:
    path = folder / "incident.md"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"- decision: \S+", "- decision: roll back 3 services on Monday", text)
    path.write_text(f"{text}\nWe met at 14:00, 5 people, ticket 4711.\n", encoding="utf-8")
    found = verify(Bundle.open(folder))
    assert holds(found)
    assert found.filter(pl.col("status") != HOLDS).select("kind", "where", "status").rows() == [
        ("file", "incident.md", EDITED)
    ]


def test_a_sentence_that_was_taken_out_is_found(folder: Path) -> None:
    path = folder / "incident.md"
    lines = path.read_text(encoding="utf-8").splitlines()
    gone = next(line for line in lines if line.startswith("Observed recall fell from"))
    path.write_text("\n".join(line for line in lines if line != gone), encoding="utf-8")
    assert gone in [" ".join(str(text).split()) for text in _bad(folder)["claim"]]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_cell_that_was_changed_takes_its_sentences_with_it(folder: Path, ending: str) -> None:
    path = folder / f"data/ladder.{ending}"
    frame = pl.read_parquet(path) if ending == "parquet" else pl.read_csv(path)
    lost = pl.col("cause") == "label_slice_loss"
    frame = frame.with_columns(pl.when(lost).then(-0.05).otherwise("value").alias("value"))
    frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    found = _bad(folder)
    numbers = found.filter(kind="number")
    assert {"headline", "why", "rung:label_slice_loss"} <= set(numbers["where"])
    assert numbers["now"].unique().to_list() == ["-5.0"]
    assert all("was edited since it was written" in why for why in numbers["why"])
    assert f"data/ladder.{ending}" in found.filter(kind="file")["where"]
    assert found.filter(kind="sum").height == 1


def test_a_claim_that_was_rewritten_with_its_sentence_is_found(folder: Path) -> None:
    for ending, read in (("parquet", pl.read_parquet), ("csv", pl.read_csv)):
        path = folder / f"data/claims.{ending}"
        frame = read(path).with_columns(pl.col("number").cast(pl.String).str.replace("10.4", "1.4", literal=True))
        frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    assert "1.4" in _bad(folder).filter(kind="number")["written"].to_list()


def test_a_frame_that_is_gone_is_told(folder: Path) -> None:
    for ending in ("csv", "parquet"):
        (folder / f"data/corrected.{ending}").unlink()
    found = _bad(folder)
    assert "the bundle has no frame corrected" in set(found["why"])
    assert found.filter(kind="file").height == 2


def test_other_logs_give_other_numbers_and_are_named(folder: Path) -> None:
    other = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
    found = incident.verify(folder, other).filter(status=CHANGED)
    assert found.filter(kind="number").height > 20
    assert found.filter(kind="file").is_empty()
    assert all(why.startswith("the logs say otherwise now: logs that differ: ") for why in found["why"])


def test_the_loop_in_the_working_directory_is_used_if_it_is_the_bundles(folder: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(incident, "_asked_again", lambda *_, **__: asked.append(1) or pytest.fail("asked"))
    monkeypatch.chdir(fb.samples.path("flights_2013"))
    assert incident.verify(folder)["status"].unique().to_list() == [HOLDS]
    monkeypatch.chdir(fb.samples.path("recall_drop") / "variant_b")
    with pytest.raises(pytest.fail.Exception, match="asked"):
        incident.verify(folder)


def test_a_changed_contract_is_named(folder: Path, variant_b: fb.Loop) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["contract"]["sha256"] = "0" * 64
    manifest["versions"]["fbkit"] = "0.0.1"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    again = incident._asked_again(variant_b, Bundle.open(folder).asked)
    said = incident._differences(Bundle.open(folder).asked, again)
    assert said.startswith(": the contract is another one; fbkit 0.0.1 then, ")


def test_an_own_metric_has_to_be_given_again(early, tmp_path: Path, variant_b: fb.Loop) -> None:
    own = fb.Metric(name="own_loss", needs="rows", fn=(pl.col("score") - pl.col("label")) ** 2, better="lower")
    weeks = fb.Comparison(reference=early.reference, current=early.current)
    folder = fb.triage(early.joined, weeks, metric=own, draws=20).incident(tmp_path / "own")
    assert holds(incident.verify(folder))
    assert holds(incident.verify(folder, variant_b, metric=own))
    with pytest.raises(fb.errors.ArgumentError, match="metric=your_metric"):
        incident.verify(folder, variant_b)


def test_what_does_not_hold_is_said_in_words(folder: Path) -> None:
    path = folder / "incident.md"
    path.write_text(path.read_text(encoding="utf-8").replace("-11.9", "-1.9"), encoding="utf-8")
    text = verify_text(verify(Bundle.open(folder)))
    assert "no longer holds: line in incident.md: -11.9 written, -1.9 now" in text
    assert "edited by hand: file in incident.md" in text
    assert text.splitlines()[-1].endswith("still do")
    assert "still do" not in verify_text(verify(Bundle.open(folder)), quiet=True)


def test_a_question_about_a_slice_is_asked_of_the_slice_again(early, tmp_path: Path, variant_b: fb.Loop) -> None:
    weeks = fb.Comparison(reference=early.reference, current=early.current)
    made = fb.triage(early.joined.only({"region": "EU"}), weeks, draws=20)
    assert '.only({"region": "EU"})' in made.call
    folder = made.incident(tmp_path / "part")
    assert Bundle.open(folder).asked.narrowed == (("region", "EU"),)
    assert Bundle.open(folder).document.subtitle.endswith(", only region = EU")
    assert incident.verify(folder, variant_b)["status"].unique().to_list() == [HOLDS]
    assert incident.reopen(folder, variant_b).final
