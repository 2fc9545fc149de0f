"""What the engineers add beside the machine's verdict: notes that are kept, checked and told in every document."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fbkit.errors import ArgumentError, nearest
from fbkit.report import numbers, words
from fbkit.report.document import Block, Bullets
from fbkit.report.escape import clean
from fbkit.schema.diagnosis import Diagnosis, Note
from fbkit.schema.period import parse_instant

VERDICT: Final = "verdict"
_LONGEST: Final = 4000
_LONGEST_NAME: Final = 120


def annotated(
    diagnosis: Diagnosis,
    text: str,
    *,
    author: str | None = None,
    disagrees_with: str | None = None,
    at: datetime | str | None = None,
) -> tuple[Note, ...]:
    """The diagnosis' notes with one more.

    Parameters
    ----------
    text
        One paragraph, at most 4,000 characters.
    author
        Who says so.
    disagrees_with
        "verdict", a cause of the ladder, or the key of a check.
    at
        When it was said, in UTC; left out, the note carries no time.

    Raises
    ------
    ArgumentError
        An empty or overlong text or author, a time without a zone, or something to disagree with that is not there.
    """
    made = Note(
        text=_said(text, name="text", longest=_LONGEST),
        author=None if author is None else _said(author, name="author", longest=_LONGEST_NAME),
        disagrees_with=_target(diagnosis, disagrees_with),
        at=None if at is None else parse_instant(at),
    )
    return (*diagnosis.notes, made)


def _said(text: object, *, name: str, longest: int) -> str:
    if isinstance(text, str) and text.strip() and len(text) <= longest:
        return text.strip()
    got = f"{len(text):,} characters" if isinstance(text, str) and text.strip() else repr(text)
    raise ArgumentError(
        f"a note's {name} cannot be used",
        got=got,
        allowed=f"text of 1 to {longest:,} characters",
        next_step="say it in words; longer reports belong into a document that the note names",
    )


def targets(diagnosis: Diagnosis) -> list[str]:
    """What a note can disagree with: the verdict, each cause, each check."""
    known = [VERDICT, *(item.cause for item in diagnosis.contributions), *(check.key for check in diagnosis.checks)]
    return list(dict.fromkeys(known))


def _target(diagnosis: Diagnosis, name: str | None) -> str | None:
    known = targets(diagnosis)
    if name is None or name in known:
        return name
    meant = nearest(str(name), known)
    raise ArgumentError(
        "there is nothing of this name to disagree with",
        got=name,
        allowed=", ".join(known),
        next_step=f"did you mean {meant}?" if meant else "name one of these, or leave disagrees_with out",
    )


def told(note: Note, diagnosis: Diagnosis) -> str:
    """The note as one line: who, when, against what, and what was said."""
    when = None if note.at is None else numbers.instant(note.at)
    who = ", ".join(clean(part) for part in (note.author, when) if part)
    against = f"disagrees with {_named(note.disagrees_with, diagnosis)}" if note.disagrees_with else ""
    head = "; ".join(part for part in (who, against) if part)
    return f"{head}: {clean(note.text)}" if head else clean(note.text)


def _named(target: str, diagnosis: Diagnosis) -> str:
    if target == VERDICT:
        return f"the verdict ({words.verdict(diagnosis.verdict)})"
    asked = next((check.question for check in diagnosis.checks if check.key == target), None)
    return f"the answer to: {clean(asked)}" if asked else f"the cause {words.cause(target)}"


def blocks(diagnosis: Diagnosis) -> Sequence[Block]:
    """The notes of a document, in the order in which they were added."""
    return [Bullets(items=[told(note, diagnosis) for note in diagnosis.notes])] if diagnosis.notes else []
