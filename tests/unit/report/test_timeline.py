from datetime import UTC, datetime

import polars as pl
import pytest

from fbkit.diagnose.onset import SCHEMA
from fbkit.report import incident, notes, timeline
from fbkit.schema.diagnosis import Diagnosis

CLOCK = datetime(2026, 11, 2, tzinfo=UTC)


def onset(**at: datetime | None) -> pl.DataFrame:
    rows = [(event, when, None, None, None if when else f"no {event}") for event, when in at.items()]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def day(number: int, month: int = 10) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


ONSET = onset(began_by_prediction=day(28, 9), began_by_arrival=None, visible=day(5), decidable=day(20))


def test_everything_with_a_date_stands_in_order(make, diagnosis: Diagnosis) -> None:
    noted = make.diagnosis(notes=notes.annotated(diagnosis, "Called the owner.", author="Ada", at="2026-10-06"))
    listed = timeline.frame(noted, {"onset": ONSET})
    assert listed["at"].is_sorted()
    assert listed.columns == ["at", "source", "what"]
    assert listed.select("at", "source").rows() == [
        (day(28, 9), "asked"),
        (day(28, 9), "measured"),
        (datetime(2026, 9, 28, 6, tzinfo=UTC), "logged"),
        (day(5), "asked"),
        (day(5), "measured"),
        (day(6), "noted"),
        (day(20), "measured"),
        (day(2, 11), "asked"),
    ]
    (logged,) = listed.filter(pl.col("source") == "logged")["what"]
    assert logged == "label: EU feed moved. Within a day of the start of the current period."


def test_what_is_not_known_says_why(diagnosis: Diagnosis) -> None:
    fields, _ = timeline.blocks(diagnosis, {"onset": ONSET})
    assert dict(fields.items) == {
        "began, by time of prediction": "2026-09-28",
        "began, by arrival of labels": "not known: no began_by_arrival",
        "visible on a dashboard": "2026-10-05",
        "decidable": "2026-10-20",
    }


def test_a_beginning_that_is_a_range_of_days_is_told_as_one(diagnosis: Diagnosis) -> None:
    rows = [
        ("began_by_prediction", day(28, 9), day(27, 9), day(28, 9), None),
        ("began_by_arrival", None, day(29, 9), day(13), "it moved little by little"),
        ("visible", day(5), None, None, None),
    ]
    measured = {"onset": pl.DataFrame(rows, schema=SCHEMA, orient="row")}
    fields, _ = timeline.blocks(diagnosis, measured)
    told = dict(fields.items)
    assert told["began, by time of prediction"] == "2026-09-28 (between 2026-09-27 and 2026-09-28)"
    assert told["began, by arrival of labels"] == "it moved little by little, between 2026-09-29 and 2026-10-13"
    assert told["decidable"] == "not known: not measured"
    listed = timeline.frame(diagnosis, measured).filter(pl.col("source") == "measured")
    assert listed["at"].to_list() == [day(28, 9), day(29, 9), day(5)]
    assert listed["what"][1] == (
        "It begins, by the arrival of labels (it moved little by little, between 2026-09-29 and 2026-10-13)."
    )


def test_without_the_measured_frame_the_diagnosis_own_dates_are_told(make) -> None:
    plain = make.diagnosis(method={"day_of_change": "2026-09-28T00:00:00Z"})
    fields, _ = timeline.blocks(plain, {})
    assert dict(fields.items)["began, by time of prediction"] == "2026-09-28"
    assert dict(fields.items)["visible on a dashboard"] == "not known: not measured"
    never = make.diagnosis(method={"day_of_change": None}, decidable_at=None, reason="two worlds fit")
    fields, _ = timeline.blocks(never, {})
    assert dict(fields.items)["began, by time of prediction"].startswith("not known")
    assert dict(fields.items)["decidable"] == "not known: two worlds fit"


@pytest.mark.parametrize("ts", ["", "yesterday", "2026-99-99", "<script>", None])
def test_a_change_without_a_readable_time_is_left_out_of_the_order(make, ts: object) -> None:
    odd = make.diagnosis(changes=({"ts": ts, "kind": "deploy", "what": "x"},))
    assert "logged" not in timeline.frame(odd, {})["source"].to_list()


def test_the_documents_tell_it_and_the_frame_goes_with_them(make, diagnosis: Diagnosis) -> None:
    files = incident.render(
        make.without_pictures(diagnosis), contract=make.contract(), frames={"onset": ONSET}, clock=CLOCK
    )
    text = files["incident.md"].decode()
    assert text.index("## Timeline") < text.index("## What moved" if "## What moved" in text else "## Why")
    assert "- visible on a dashboard: 2026-10-05" in text
    assert b"2026-09-28T06:00:00Z,logged,label: EU feed moved." in files["data/timeline.csv"]
    assert "data/onset.csv" in files
