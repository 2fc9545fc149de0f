"""Which numbers of an incident bundle still hold: against its files, its frames, and the logs."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl

from fbkit.report.bundle import Bundle
from fbkit.report.cells import Frames, value_at
from fbkit.report.escape import terminal
from fbkit.report.formats import written
from fbkit.report.lines import DOCUMENTS, changed, expected
from fbkit.schema.diagnosis import Diagnosis

HOLDS: Final = "holds"
CHANGED: Final = "changed"
EDITED: Final = "edited by hand"
COLUMNS: Final = ("kind", "where", "claim", "written", "now", "status", "why")
_EDITABLE: Final = (*DOCUMENTS, "incident.pdf")
_TOLERANCE: Final = 1e-8

Row = tuple[str, str, str, str | None, str | None, str, str | None]


def verify(
    bundle: Bundle, *, again: Diagnosis | None = None, later: Frames | None = None, why: str = ""
) -> pl.DataFrame:
    """Check every number of a bundle.

    Parameters
    ----------
    bundle
        What was written, read with :meth:`fbkit.report.bundle.Bundle.open`.
    again
        The same question, asked of the logs again; without it the shipped frames have to do.
    later
        What the logs say now about the frames that were appended later (then and now), by name.
    why
        What is known to be different now: logs, contract, versions. Told beside a number that no longer holds.

    Returns
    -------
    One row per thing that was checked: ``kind`` (``number`` of a sentence, ``sum`` of a frame, ``line`` of a document,
    ``file``), ``where``, ``claim`` (the sentence), ``written``, ``now``, ``status`` (``holds``, ``changed``, ``edited
    by hand``: a document that has other words, but the same numbers) and ``why``.

    Raises
    ------
    InputError
        The bundle lacks its claims, or a file of it is damaged.
    """
    fresh = None if again is None else {**again.evidence, **(later or {})}
    edited = {name for name, digest in bundle.files.items() if bundle.hash_of(name) != digest}
    rows = [
        *_of_numbers(bundle, fresh, edited=edited, why=why),
        *_of_sums(bundle),
        *_of_lines(bundle),
        *_of_files(bundle, edited),
    ]
    return pl.DataFrame(rows, schema=[(name, pl.String) for name in COLUMNS], orient="row")


def holds(found: pl.DataFrame) -> bool:
    """Whether nothing that was checked has changed; words that were edited by hand are no change."""
    return found.filter(pl.col("status") == CHANGED).is_empty()


def _of_numbers(bundle: Bundle, fresh: Frames | None, *, edited: set[str], why: str) -> Iterator[Row]:
    shipped: dict[str, dict[str, pl.DataFrame]] = {}
    metric = bundle.diagnosis.metric
    for claim in _claims(bundle):
        number, frame, where = str(claim["number"]), claim["frame"], f"{claim['key']}"
        if frame is None:
            reason = "no cell of an evidence frame stands behind it"
            yield "number", where, str(claim["sentence"]), number, None, CHANGED, reason
            continue
        name = str(frame)
        shipped.setdefault(name, bundle.frames(name))
        row = _picked(claim["row"])
        now, reason = _in_bundle(claim, row, shipped[name], edited=edited, metric=metric)
        if reason is None and fresh is not None:
            now, same = _again(fresh.get(name), claim, row, metric)
            reason = None if same else f"the logs say otherwise now{why}"
        status = HOLDS if reason is None else CHANGED
        yield "number", where, str(claim["sentence"]), number, now, status, reason


def _claims(bundle: Bundle) -> Iterator[Mapping[str, Any]]:
    """The bound numbers, Parquet and CSV alike: what either of them says has to hold."""
    bundle.need_frame("claims")
    needed = ("key", "sentence", "number", "position", "frame", "row", "column", "value", "format")
    told: set[tuple[str, ...]] = set()
    for name, frame in bundle.frames("claims").items():
        if not set(needed) <= set(frame.columns):
            raise bundle.damaged(f"{name} lacks a column", ", ".join(frame.columns))
        for row in frame.iter_rows(named=True):
            unique = tuple(str(row[column]) for column in needed if column not in ("sentence", "value"))
            if unique not in told:
                told.add(unique)
                yield row


def _picked(text: object) -> dict[str, str]:
    try:
        found = json.loads(str(text))
    except (ValueError, RecursionError):
        return {"": ""}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {"": ""}


def _again(
    frame: pl.DataFrame | None, claim: Mapping[str, Any], row: Mapping[str, str], metric: str
) -> tuple[str | None, bool]:
    """The number as a cell has it now, and whether that is what was written."""
    number, how = str(claim["number"]), str(claim["format"])
    value = value_at(frame, row, str(claim["column"]))
    now = written(value, how, metric=metric)
    if now == number or value is None:
        return now, now == number
    # Ten digits in a file and sixteen in memory may fall on two sides of a rounding: then the values decide.
    told = value_at(pl.DataFrame({"value": [claim["value"]]}), {}, "value")
    close = told is not None and abs(told - value) <= _TOLERANCE * max(1.0, abs(value))
    same = close and written(told, how, metric=metric) == number
    return number if same else now, same


def _in_bundle(
    claim: Mapping[str, Any], row: Mapping[str, str], frames: Frames, *, edited: set[str], metric: str
) -> tuple[str | None, str | None]:
    """The number as the shipped cells have it, and why it does not hold."""
    now = None
    for file, frame in frames.items():
        now, same = _again(frame, claim, row, metric)
        if not same:
            said = "has no such cell any more" if now is None else f"has {now} in the cell"
            since = ", and was edited since it was written" if file in edited else ""
            return now, f"{file} {said}{since}"
    return (now, None) if frames else (None, f"the bundle has no frame {str(claim['frame'])[:60]}")


def _of_sums(bundle: Bundle) -> Iterator[Row]:
    """Laws that the frames obey among themselves."""
    change = bundle.diagnosis.observed.change
    for file, frame in bundle.frames("ladder").items():
        if {"kind", "value"} <= set(frame.columns) and change is not None:
            steps = frame.filter(pl.col("kind").cast(pl.String) == "step")["value"].cast(pl.Float64, strict=False)
            yield _sum(file, "the contributions add up to the observed change", change, float(steps.sum()))
    for file, frame in bundle.frames("availability_by_decision").items():
        if {"n", "n_labelled", "availability"} <= set(frame.columns):
            read = frame.select(pl.col("n", "n_labelled", "availability").cast(pl.Float64, strict=False))
            gap = read.select((pl.col("n_labelled") / pl.col("n") - pl.col("availability")).abs().max()).item()
            yield _sum(file, "availability is labelled rows over all rows", 0.0, float(gap or 0.0))


def _sum(where: str, said: str, before: float, now: float) -> Row:
    fine = abs(before - now) <= _TOLERANCE
    reason = None if fine else "the file and what stands beside it no longer agree"
    return "sum", where, said, f"{before:.6g}", f"{now:.6g}", HOLDS if fine else CHANGED, reason


def _of_lines(bundle: Bundle) -> Iterator[Row]:
    for name in DOCUMENTS:
        content = bundle.read(name)
        if content is None:
            continue
        try:
            found = changed(bundle.document, name, content, lead=bundle.lead)
        except ValueError as error:
            yield "line", name, "", None, None, CHANGED, str(error)
            continue
        if not found:
            size = f"{len(expected(bundle.document, name, lead=bundle.lead)):,} lines with numbers"
            yield "line", name, "", size, size, HOLDS, None
        for line in found:
            reason = "the line is no longer there" if line.now is None else "the number was changed by hand"
            yield "line", name, line.line, line.written, line.now, CHANGED, reason


def _of_files(bundle: Bundle, edited: Iterable[str]) -> Iterator[Row]:
    differs = set(edited)
    for name, digest in bundle.files.items():
        now = bundle.hash_of(name)
        if name not in differs:
            yield "file", name, "", digest[:12], digest[:12], HOLDS, None
        elif now is None:
            yield "file", name, "", digest[:12], None, CHANGED, "the file is missing, or no plain file any more"
        else:
            by_hand = name in _EDITABLE
            reason = "its words were edited since it was written" if by_hand else "it was edited since it was written"
            yield "file", name, "", digest[:12], now[:12], EDITED if by_hand else CHANGED, reason


def verify_text(found: pl.DataFrame, *, quiet: bool = False) -> str:
    """What :func:`verify` found, for a terminal: what no longer holds first, then how much does."""
    lines: list[str] = []
    for row in found.filter(pl.col("status") != HOLDS).iter_rows(named=True):
        mark = "no longer holds" if row["status"] == CHANGED else "edited by hand"
        now = "" if row["written"] is None else f": {row['written']} written, {row['now'] or 'nothing'} now"
        lines.append(f"{mark}: {row['kind']} in {row['where']}{'' if row['status'] == EDITED else now}")
        lines += [f"    {text}" for text in (row["claim"], row["why"]) if text]
    kinds = found.filter(pl.col("status") == HOLDS).group_by("kind", maintain_order=True).len()
    held = ", ".join(f"{size:,} {kind}{'s' if size != 1 else ''}" for kind, size in kinds.iter_rows())
    bad = found.filter(pl.col("status") == CHANGED).height
    last = f"everything holds: {held}" if not bad else f"{bad:,} no longer hold; {held or 'nothing'} still do"
    return "\n".join(terminal(line) for line in (lines if quiet and bad else [*lines, last]))
