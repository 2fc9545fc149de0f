import json
from datetime import UTC, datetime

import pytest

from fbkit.errors import ArgumentError
from fbkit.report import card, incident, notes
from fbkit.report.document import Bullets
from fbkit.schema.diagnosis import Diagnosis

CLOCK = datetime(2026, 11, 2, tzinfo=UTC)


def test_notes_are_added_and_none_is_lost(make, diagnosis: Diagnosis) -> None:
    first = notes.annotated(diagnosis, "  The feed moved. ", author="Ada")
    second = notes.annotated(make.diagnosis(notes=first), "So it did.", at="2026-10-20T09:30+02:00")
    assert [note.text for note in second] == ["The feed moved.", "So it did."]
    assert second[0].at is None
    assert second[1].at == datetime(2026, 10, 20, 7, 30, tzinfo=UTC)
    assert diagnosis.notes == ()


@pytest.mark.parametrize("target", ["verdict", "concept_drift", "labels", "corrected"])
def test_a_note_can_disagree_with_verdict_cause_and_check(diagnosis: Diagnosis, target: str) -> None:
    (note,) = notes.annotated(diagnosis, "No.", disagrees_with=target)
    assert note.disagrees_with == target
    assert "disagrees with" in notes.told(note, diagnosis)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": 5}, "text"),
        ({"text": "x" * 4001}, "4,001 characters"),
        ({"text": "x", "author": ""}, "author"),
        ({"text": "x", "author": "a" * 121}, "121 characters"),
        ({"text": "x", "disagrees_with": "concept_drif"}, "did you mean concept_drift"),
        ({"text": "x", "disagrees_with": ""}, "disagree"),
        ({"text": "x", "at": "2026-10-20T09:30"}, "time zone"),
        ({"text": "x", "at": "yesterday"}, "instant"),
    ],
)
def test_a_note_that_cannot_be_kept_is_refused_in_words(diagnosis: Diagnosis, given: dict, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        notes.annotated(diagnosis, **given)


def test_the_note_says_who_when_and_against_what(diagnosis: Diagnosis) -> None:
    (note,) = notes.annotated(diagnosis, "Labels first.", author="Ada", disagrees_with="verdict", at="2026-10-20")
    assert notes.told(note, diagnosis) == (
        "Ada, 2026-10-20; disagrees with the verdict (Both the model and the labels): Labels first."
    )
    (plain,) = notes.annotated(diagnosis, "Labels first.")
    assert notes.told(plain, diagnosis) == "Labels first."
    assert notes.blocks(diagnosis) == []


def test_notes_stand_in_card_json_and_every_document(make, diagnosis: Diagnosis, contract) -> None:
    noted = make.without_pictures(
        make.diagnosis(notes=notes.annotated(diagnosis, "The owner confirms an outage.", author="Ada"))
    )
    files = incident.render(noted, contract=contract, clock=CLOCK)
    said = "The owner confirms an outage."
    assert json.loads(files["diagnosis.json"])["notes"] == [
        {"text": said, "author": "Ada", "disagrees_with": None, "at": None}
    ]
    for text in (files["incident.md"].decode(), files["incident.html"].decode(), card.card_text(noted)):
        assert f"Ada: {said}" in text
    assert said in card.card_html(noted)
    (listed,) = notes.blocks(noted)
    assert isinstance(listed, Bullets)
    bare = incident.render(make.without_pictures(diagnosis), contract=contract, clock=CLOCK)
    assert bare["data/corrected.csv"] == files["data/corrected.csv"]


def test_the_diagnosis_in_hand_keeps_its_notes_and_writes_them(tmp_path) -> None:
    import fbkit as fb

    joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    plain = fb.triage(joined, draws=20)
    noted = plain.annotate("First.", author="Ada").annotate("Second.", disagrees_with="verdict")
    assert type(noted) is type(plain)
    assert [note.text for note in noted.notes] == ["First.", "Second."]
    assert (plain.notes, noted.evaluation_id) == ((), plain.evaluation_id)
    folder = noted.incident(tmp_path / "incident", clock=CLOCK)
    assert "Ada: First." in (folder / "incident.md").read_text(encoding="utf-8")
    written = {path.name for path in (folder / "data").iterdir()}
    assert {"onset.csv", "as_seen.parquet", "metric_by_arrival.csv", "timeline.csv", "audit.parquet"} <= written
