"""The timeline of an incident from its evidence: when it began on each axis, was visible, and was decidable."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from fbkit.report import notes, numbers
from fbkit.report.document import Fields, Table
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import parse_instant

Frames = Mapping[str, pl.DataFrame]

_NOT_MEASURED: Final = "not measured"
_SCHEMA: Final = {"at": pl.Datetime("us", "UTC"), "source": pl.String, "what": pl.String}
_EVENTS: Final = {
    "began_by_prediction": "began, by time of prediction",
    "began_by_arrival": "began, by arrival of labels",
    "visible": "visible on a dashboard",
    "decidable": "decidable",
}
_TOLD: Final = {
    "began_by_prediction": "It begins, by time of prediction{range}.",
    "began_by_arrival": "It begins, by the arrival of labels{range}.",
    "visible": "The first midnight from which on the labels known by then showed it.",
    "decidable": "Every label window of the current period is closed: the question can be decided.",
}
_HOW: Final = (
    "A beginning is the step of the daily counts, with the days between which it lies with 95 %; by arrival the days "
    "mix, for labels come late. Logged changes stand beside what was measured; a date in common is not a proof."
)


def frame(diagnosis: Diagnosis, frames: Frames) -> pl.DataFrame:
    """Everything with a date, in order: at, source (measured, logged, asked, noted), what.

    ``frames`` may hold ``onset`` (event, at, first, last, reason); what it does not hold is taken from the diagnosis.
    """
    rows: list[tuple[object, str, str]] = [
        (diagnosis.current.start, "asked", "The current period begins."),
        (diagnosis.current.end, "asked", "The current period ends."),
        (diagnosis.as_of, "asked", "As of: nothing that arrived later is in this document."),
    ]
    rows += [
        (row["at"] or row.get("first"), "measured", _TOLD[event].format(range=_between(row)))
        for event, row in _onset(diagnosis, frames).items()
        if row["at"] or row.get("first")
    ]
    rows += [_change(item) for item in diagnosis.changes if _instant(item.get("ts")) is not None]
    rows += [(note.at, "noted", notes.told(note, diagnosis)) for note in diagnosis.notes if note.at is not None]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort("at", maintain_order=True)


def _change(item: Mapping[str, object]) -> tuple[object, str, str]:
    together = " Within a day of the start of the current period." if item.get("coincides") else ""
    return _instant(item.get("ts")), "logged", f"{item.get('kind') or 'change'}: {item.get('what') or ''}.{together}"


def _instant(text: object) -> object:
    from fbkit.errors import ArgumentError

    try:
        return parse_instant(str(text))
    except ArgumentError:
        return None


def _onset(diagnosis: Diagnosis, frames: Frames) -> dict[str, dict[str, Any]]:
    found = frames.get("onset")
    if found is not None:
        return {row["event"]: row for row in found.iter_rows(named=True) if row["event"] in _EVENTS}
    day = diagnosis.method.get("day_of_change")
    began = parse_instant(day) if isinstance(day, str) else None
    return {
        "began_by_prediction": {"at": began, "reason": _NOT_MEASURED},
        "decidable": {"at": diagnosis.decidable_at, "reason": diagnosis.reason or _NOT_MEASURED},
    }


def _between(row: Mapping[str, Any]) -> str:
    """The days of a range in words; nothing where one day is all there is."""
    first, last = row.get("first"), row.get("last")
    if first is None or last is None or first == last:
        return ""
    days = f"between {numbers.instant(first)} and {numbers.instant(last)}"
    return f" ({days})" if row["at"] else f" ({row['reason']}, {days})"


def _told(row: Mapping[str, Any]) -> str:
    if row["at"]:
        return f"{numbers.instant(row['at'])}{_between(row)}"
    if row.get("first"):
        return _between(row).strip(" ()")
    return f"not known: {row['reason'] or _NOT_MEASURED}"


def blocks(diagnosis: Diagnosis, frames: Frames) -> tuple[Fields, Table]:
    """The four moments as fields, and beneath everything that has a date."""
    found = _onset(diagnosis, frames)
    fields = [(name, _told(found.get(event, {"at": None, "reason": None}))) for event, name in _EVENTS.items()]
    rows = [[numbers.instant(at), source, what] for at, source, what in frame(diagnosis, frames).iter_rows()]
    table = Table(columns=["when (UTC)", "known how", "what"], rows=rows, caption="In order of time", note=_HOW)
    return Fields(items=fields), table
