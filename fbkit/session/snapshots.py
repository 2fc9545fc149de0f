"""The linked page as one file, and the page of such a file: ledgers, view, checks and verdict, and no row."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from fbkit.errors import InputError
from fbkit.ledger.snapshot import Snapshot, read_snapshot, save_snapshot
from fbkit.schema.diagnosis import Change, Check, Contribution, Diagnosis, Interval, Note
from fbkit.schema.period import Period, parse_instant

if TYPE_CHECKING:
    from fbkit.explorers.page import Page
    from fbkit.explorers.source import Source
    from fbkit.explorers.state import View

STRIP: Final = "strip"
CHANGES: Final = "changes"
VERDICT: Final = "diagnosis"
_EVIDENCE: Final = "evidence-"


def save(
    source: "Source", view: "View", path: Path, *, strip: pl.DataFrame | None = None, diagnosis: Diagnosis | None = None
) -> Path:
    """Write what a page shows as one file, thin slices told together and personal columns left out.

    Raises
    ------
    OutputError
        The file cannot be written.
    ArgumentError
        The rows cannot be counted (regression, ranking), so that there is no ledger to save.
    """
    from fbkit.report.serial import diagnosis_facts

    ledger = source.whole()
    frames = {name: frame for name, frame in ((STRIP, strip), (CHANGES, source.changes)) if frame is not None}
    facts: dict[str, Any] = {}
    if diagnosis is not None:
        facts[VERDICT] = diagnosis_facts(diagnosis)
        frames |= {f"{_EVIDENCE}{name}": frame for name, frame in diagnosis.evidence.items() if frame.width}
    return save_snapshot(path, ledger=ledger, view=view.to_dict(), frames=frames, facts=facts)


def open_page(path: Path) -> "Page":
    """The page of a snapshot, as it was when it was saved.

    Raises
    ------
    InputError
        The file is missing, damaged, foreign or of a newer format.
    """
    from fbkit.explorers.page import Page
    from fbkit.explorers.source import Source
    from fbkit.explorers.state import View

    held = read_snapshot(path)
    source = Source(ledger=held.ledger, changes=held.frames.get(CHANGES))
    view = View.from_dict(held.view) if held.view else source.view()
    strip = held.frames.get(STRIP)
    verdict = diagnosis_of(held)
    return Page(
        source,
        source.within(view),
        strip=None if strip is None else lambda: strip,
        said="" if strip is not None else "a snapshot without checks",
        further={} if verdict is None else {"triage": lambda _, __: _card(verdict)},
        notes=held.notes,
    )


def _card(diagnosis: Diagnosis) -> Any:
    from fbkit.explorers.triage import TriageCard

    return TriageCard(diagnosis)


def diagnosis_of(held: Snapshot) -> Diagnosis | None:
    """The verdict in a snapshot with its evidence, or None if there is none."""
    facts = held.facts.get(VERDICT)
    if facts is None:
        return None
    evidence = {
        name.removeprefix(_EVIDENCE): frame for name, frame in held.frames.items() if name.startswith(_EVIDENCE)
    }
    try:
        return _made(facts, evidence)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "the verdict in the snapshot cannot be read",
            got=f"{type(error).__name__}: {error}"[:200],
            allowed="a snapshot as it was written",
            next_step="have it written again",
        ) from error


def _made(facts: Mapping[str, Any], evidence: Mapping[str, pl.DataFrame]) -> Diagnosis:
    made: dict[str, Any] = dict(facts)
    made |= {name: Period.parse(facts[name]) for name in ("reference", "current")}
    made["as_of"] = parse_instant(facts["as_of"])
    decidable = facts.get("decidable_at")
    made["decidable_at"] = None if decidable is None else parse_instant(decidable)
    made["observed"] = Change(**facts["observed"])
    made["true_change"] = Interval(**facts["true_change"])
    made["worst_case"] = {name: tuple(ends) for name, ends in facts["worst_case"].items()}
    made["contributions"] = tuple(Contribution(**item) for item in facts["contributions"])
    made["checks"] = tuple(Check(**item) for item in facts["checks"])
    made["notes"] = tuple(_note(item) for item in facts.get("notes", ()))
    for name in ("warnings", "worlds", "would_change_verdict", "do_now", "do_not", "changes"):
        made[name] = tuple(facts.get(name, ()))
    return Diagnosis(**made, evidence=evidence)


def _note(item: Mapping[str, Any]) -> Note:
    said = item.get("at")
    at = None if said is None else parse_instant(said)
    return Note(text=item["text"], author=item.get("author"), disagrees_with=item.get("disagrees_with"), at=at)
