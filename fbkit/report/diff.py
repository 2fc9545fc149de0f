"""Two incident bundles compared in words: verdict, causes, answers, numbers, and what they were made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from fbkit.report import numbers, sentences, words
from fbkit.report.bundle import Bundle
from fbkit.report.cells import value_at
from fbkit.report.escape import terminal
from fbkit.schema.diagnosis import Contribution, Diagnosis

COLUMNS: Final = ("part", "what", "before", "after", "change")
NOTHING: Final = "no difference"
_LONG: Final = 120
_DECISIONS: Final = ("all", "flagged", "not flagged")
_HEADINGS: Final = {
    "question": "What was asked", "verdict": "Verdict", "cause": "Contributions", "number": "Numbers",
    "check": "Answers of the checks", "text": "What to do, and what would change it", "note": "Notes",
    "source": "Logs", "contract": "Contract", "version": "Versions", "reopened": "Reopened",
}  # fmt: skip

Row = tuple[str, str, str | None, str | None, str | None]


def diff(before: Bundle, after: Bundle) -> pl.DataFrame:
    """What differs between two bundles; no row where nothing does.

    Returns
    -------
    ``part`` (question, verdict, cause, number, check, text, note, source, contract, version, reopened), ``what``,
    ``before``, ``after`` (as they are written in a document; null where one side has no such thing) and ``change``
    (of a contribution, or of a change: after minus before). When it was written is no difference.

    Raises
    ------
    InputError
        One of the bundles is damaged.
    """
    one, other = before.diagnosis, after.diagnosis
    rows = [
        *_asked(one, other),
        *_verdict(one, other),
        *_causes(one, other),
        *_numbers(before, after),
        *_checks(one, other),
        *_texts(one, other),
        *_made_of(before, after),
    ]
    return pl.DataFrame(rows, schema=[(name, pl.String) for name in COLUMNS], orient="row")


def _differing(part: str, pairs: Mapping[str, tuple[str | None, str | None]]) -> Iterator[Row]:
    for what, (left, right) in pairs.items():
        if left != right:
            yield part, what, left, right, None


def _asked(one: Diagnosis, other: Diagnosis) -> Iterator[Row]:
    read: dict[str, Callable[[Diagnosis], object]] = {
        "metric": lambda d: d.metric,
        "reference": lambda d: d.reference,
        "current": lambda d: d.current,
        "as of": lambda d: numbers.instant(d.as_of),
        "draws": lambda d: d.method.get("draws"),
        "seed": lambda d: d.method.get("seed"),
    }
    yield from _differing("question", {name: (str(get(one)), str(get(other))) for name, get in read.items()})


def _verdict(one: Diagnosis, other: Diagnosis) -> Iterator[Row]:
    read: dict[str, Callable[[Diagnosis], str | None]] = {
        "verdict": sentences.verdict,
        "largest cause": lambda d: words.cause(d.top_cause),
        "headline": lambda d: d.headline,
        "reason": lambda d: d.reason,
        "decidable": lambda d: numbers.instant(d.decidable_at),
    }
    yield from _differing("verdict", {name: (get(one), get(other)) for name, get in read.items()})


def _causes(one: Diagnosis, other: Diagnosis) -> Iterator[Row]:
    sides = [{part.cause: part for part in d.contributions} for d in (one, other)]
    for cause in dict.fromkeys(part.cause for d in (one, other) for part in sentences.by_size(d)):
        left, right = (side.get(cause) for side in sides)
        told = [None if part is None else _amount(part, metric=one.metric) for part in (left, right)]
        if told[0] != told[1]:
            value = [0.0 if part is None else part.value for part in (left, right)]
            yield "cause", words.cause(cause), told[0], told[1], _moved(value[0], value[1], one.metric)


def _amount(part: Contribution, *, metric: str) -> str:
    text = numbers.change_interval(part.value, part.lower, part.upper, metric=metric)
    return f"{text}, {part.where}" if part.material else f"{text}, not material"


def _moved(left: float | None, right: float | None, metric: str) -> str | None:
    return None if left is None or right is None else numbers.change(right - left, metric=metric)


def _numbers(before: Bundle, after: Bundle) -> Iterator[Row]:
    one, other = _told(before), _told(after)
    metric = before.diagnosis.metric
    for what in dict.fromkeys([*one, *other]):
        (kind, left), (_, right) = one.get(what, ("", None)), other.get(what, ("", None))
        kind = kind or other[what][0]
        texts = [None if value is None else _written(value, kind, metric) for value in (left, right)]
        if texts[0] != texts[1]:
            moved = _moved(left, right, metric) if kind == "change" else None
            yield "number", what, texts[0], texts[1], moved


def _written(value: float, kind: str, metric: str) -> str:
    if kind == "share":
        return numbers.share(value)
    if kind == "change":
        return numbers.change(value, metric=metric)
    if kind == "count":
        return f"{value:,.0f}"
    return numbers.plain(value, places=3 if kind == "level" else None)


def _told(bundle: Bundle) -> dict[str, tuple[str, float | None]]:
    """The numbers of a bundle by what they are: (kind, value)."""
    known = bundle.diagnosis
    found: dict[str, tuple[str, float | None]] = {
        "observed, reference": ("level", known.observed.reference),
        "observed, current": ("level", known.observed.current),
        "observed change": ("change", known.observed.change),
        "observed change, from": ("change", known.observed.lower),
        "observed change, to": ("change", known.observed.upper),
        "change once labels are repaired": ("change", known.true_change.value),
        "change once labels are repaired, from": ("change", known.true_change.lower),
        "change once labels are repaired, to": ("change", known.true_change.upper),
        "tipping ratio": ("ratio", known.tipping_ratio),
        "smallest change that can be shown": ("change", known.minimum_detectable_change),
    }
    for window, ends in known.worst_case.items():
        for end, value in zip(("from", "to"), ends, strict=True):
            found[f"worst case, {window}, {end}"] = ("level", value)
    frame = next(iter(bundle.frames("availability_by_decision").values()), None)
    for decision in _DECISIONS:
        for window in ("reference", "current"):
            row = {"decision": decision, "window": window}
            found[f"labels available, {decision} rows, {window}"] = ("share", value_at(frame, row, "availability"))
    impact = {name: value for name, value in known.impact.items() if isinstance(value, int | float)}
    return found | {f"impact, {words.column(name)}": ("count", float(value)) for name, value in impact.items()}


def _checks(one: Diagnosis, other: Diagnosis) -> Iterator[Row]:
    sides = [{check.question: check.answer for check in d.checks} for d in (one, other)]
    yield from _differing("check", {name: (sides[0].get(name), sides[1].get(name)) for name in sides[0] | sides[1]})


def _texts(one: Diagnosis, other: Diagnosis) -> Iterator[Row]:
    for name, heading in (
        ("do_now", "do now"), ("do_not", "do not"), ("would_change_verdict", "would change the verdict"),
        ("warnings", "warning"),
    ):  # fmt: skip
        yield from _lists("text", heading, getattr(one, name), getattr(other, name))
    yield from _lists("note", "note", [note.text for note in one.notes], [note.text for note in other.notes])


def _lists(part: str, what: str, left: Sequence[str], right: Sequence[str]) -> Iterator[Row]:
    yield from ((part, what, text, None, None) for text in left if text not in right)
    yield from ((part, what, None, text, None) for text in right if text not in left)


def _made_of(before: Bundle, after: Bundle) -> Iterator[Row]:
    one, other = before.asked, after.asked
    yield from _differing("contract", {"SHA-256": (one.contract[:12], other.contract[:12])})
    yield from _sources(before, after)
    left, right = one.versions, other.versions
    yield from _differing("version", {name: (left.get(name), right.get(name)) for name in {**left, **right}})
    told = [[f"as of {item.get('as_of')}: {item.get('outcome')}" for item in side.history] for side in (before, after)]
    yield from _lists("reopened", "reopened", *told)


def _sources(before: Bundle, after: Bundle) -> Iterator[Row]:
    """Logs that differ: changed where one file of a name stands on each side, else gone and new."""
    sides = [_listed(before), _listed(after)]
    for name in dict.fromkeys(name for side in sides for name, _ in side):
        left, right = ([told for other, told in side if other == name] for side in sides)
        gone, new = [told for told in left if told not in right], [told for told in right if told not in left]
        if len(gone) == len(new) == 1:
            yield "source", name, gone[0], new[0], None
        else:
            yield from (("source", name, told, None, None) for told in gone)
            yield from (("source", name, None, told, None) for told in new)


def _listed(bundle: Bundle) -> list[tuple[str, str]]:
    """Name, and rows and hash, of every log."""
    found: list[tuple[str, str]] = []
    for item in bundle.manifest.get("sources") or []:
        rows, digest = item.get("rows"), str(item.get("sha256"))[:12]
        told = f"{rows:,} rows, {digest}" if isinstance(rows, int) else digest
        found.append((str(item.get("name")), told))
    return found


def diff_text(found: pl.DataFrame) -> str:
    """The differences as sentences, one a line under the heading of their part; ``no difference`` if there is none.

    Examples
    --------
    >>> print(diff_text(pl.DataFrame(schema=[(name, pl.String) for name in COLUMNS])))
    no difference
    """
    if found.is_empty():
        return NOTHING
    lines: list[str] = []
    for part, heading in _HEADINGS.items():
        said = [line for row in found.filter(part=part).iter_rows(named=True) for line in _sentence(row)]
        lines += [f"{heading}:", *said] if said else []
    return "\n".join(terminal(line) for line in lines)


def _sentence(row: Mapping[str, str | None]) -> list[str]:
    what, before, after, change = row["what"], row["before"], row["after"], row["change"]
    if before is None:
        return [f"  - {what}, new: {after}"]
    if after is None:
        return [f"  - {what}, gone: {before}"]
    if len(before) + len(after) > _LONG:
        return [f"  - {what}", f"      before: {before}", f"      after:  {after}"]
    moved = f" (moved by {change})" if change else ""
    return [f"  - {what} changed from {before} to {after}{moved}"]
