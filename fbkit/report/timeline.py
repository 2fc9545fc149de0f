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
    "began_by_prediction": "The first day that differs, by time of prediction.",
    "began_by_arrival": "The first day that differs, by the arrival of labels.",
    "visible": "The first midnight from which on the labels known by then showed it.",
    "decidable": "Every label window of the current period is closed: the question can be decided.",
}


def frame(diagnosis: Diagnosis, frames: Frames) -> pl.DataFrame:
    """Everything with a date, in order: at, source (measured, logged, asked, noted), what.

    ``frames`` may hold ``onset`` (event, at, reason); what it does not hold is taken from the diagnosis.
    """
    rows: list[tuple[object, str, str]] = [
        (diagnosis.current.start, "asked", "The current period begins."),
        (diagnosis.current.end, "asked", "The current period ends."),
        (diagnosis.as_of, "asked", "As of: nothing that arrived later is in this document."),
    ]
    rows += [(row["at"], "measured", _TOLD[event]) for event, row in _onset(diagnosis, frames).items() if row["at"]]
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


def blocks(diagnosis: Diagnosis, frames: Frames) -> tuple[Fields, Table]:
    """The four moments as fields, and beneath everything that has a date."""
    found = _onset(diagnosis, frames)
    fields = []
    for event, name in _EVENTS.items():
        row = found.get(event, {"at": None, "reason": _NOT_MEASURED})
        value = numbers.instant(row["at"]) if row["at"] else f"not known: {row['reason'] or _NOT_MEASURED}"
        fields.append((name, value))
    rows = [[numbers.instant(at), source, what] for at, source, what in frame(diagnosis, frames).iter_rows()]
    note = (
        "By prediction: the day that splits the daily series best, searched from two weeks before the current period. "
        "By arrival: the same for the metric of the labels that arrived on each day. Logged changes stand beside "
        "what was measured; a date in common is not a proof."
    )
    table = Table(columns=["when (UTC)", "known how", "what"], rows=rows, caption="In order of time", note=note)
    return Fields(items=fields), table
