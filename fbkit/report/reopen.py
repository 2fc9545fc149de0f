"""An incident document opened again: what is known later goes behind what was written, which stays as it was."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError, InputError, MissingPartError
from fbkit.report import numbers, sentences, words
from fbkit.report.appended import appended
from fbkit.report.bundle import DIAGNOSIS, DOCUMENT, Bundle
from fbkit.report.cells import Cell
from fbkit.report.claims import rows_of
from fbkit.report.document import Document, Fields, Paragraph, Section, Table
from fbkit.report.files import MANIFEST, replace_folder, sha256
from fbkit.report.judgement import Judgement, judge, then_now
from fbkit.report.lines import DOCUMENTS
from fbkit.report.serial import to_csv, to_json, to_parquet
from fbkit.report.stored import to_stored
from fbkit.schema.diagnosis import Diagnosis

_OURS: Final = (DIAGNOSIS, DOCUMENT, "data/claims.csv", "data/claims.parquet")
_PDF: Final = "incident.pdf"


def reopen(bundle: Bundle, now: Diagnosis, *, call: str = "", clock: datetime | None = None) -> tuple[Path, Judgement]:
    """Append a section to every document of a bundle: was the verdict right, by what is known later.

    Parameters
    ----------
    bundle
        What was written.
    now
        The same question, asked with what is known at a later time.
    call
        The call that made it, as its reader would repeat it.
    clock
        The time of writing; pin it and equal input gives equal bytes.

    Returns
    -------
    The folder, and the judgement. The documents keep what they said, and what people added to them; the manifest
    gains an entry in its ``history``, the data folder a frame with both verdicts' numbers.

    Raises
    ------
    ArgumentError
        What is known is not later than what the bundle, or its last reopening, already tells.
    InputError
        The bundle lacks a part, or a part that is not for editing was edited.
    OutputError
        The folder cannot be written; then nothing has changed.
    """
    _check_later(bundle, now.as_of)
    _check_untouched(bundle)
    written, number = clock or datetime.now(UTC), len(bundle.history) + 1
    name = f"reopened_{number}"
    then = bundle.diagnosis
    judgement = judge(then, now)
    frames = {key: bundle.need_frame(key) for key in ("availability_by_decision", "key_numbers")}
    beside = then_now(then, now, frames=frames)
    section = _section(name, then, now, judgement, beside, written=written)
    files = _documents(bundle, section, written=written)
    files |= _data(bundle, section, beside, name=name, metric=then.metric)
    entry = {
        "as_of": now.as_of,
        "written": written,
        "outcome": judgement.outcome,
        "verdict": now.verdict,
        "evaluation_id": now.evaluation_id,
        "frame": name,
        "call": call,
        "edited_before": [item for item in DOCUMENTS if bundle.hash_of(item) not in (None, bundle.files.get(item))],
    }
    files[MANIFEST] = _manifest(bundle, files, entry)
    return replace_folder(bundle.folder, files), judgement


def _check_later(bundle: Bundle, as_of: datetime) -> None:
    known = [numbers.instant(bundle.asked.as_of), *(str(item.get("as_of")) for item in bundle.history)]
    last = max([bundle.asked.as_of, *bundle.reopened_at()])
    if as_of <= last:
        raise ArgumentError(
            "nothing later than the bundle is known at that time",
            got=numbers.instant(as_of),
            allowed=f"a time after {numbers.instant(last)}",
            next_step=f"give a later --as-of, or wait for labels; the bundle knows {', '.join(known)}",
        )


def _check_untouched(bundle: Bundle) -> None:
    touched = [name for name in _OURS if name in bundle.files and bundle.hash_of(name) != bundle.files[name]]
    if touched:
        raise InputError(
            "a part of the bundle that is not for editing was edited",
            got=", ".join(touched),
            allowed="words added to incident.md, incident.html or incident.docx",
            next_step="see fbkit incident verify, and put the file back",
        )


def _section(
    key: str, then: Diagnosis, now: Diagnosis, judgement: Judgement, beside: pl.DataFrame, *, written: datetime
) -> Section:
    before, after = numbers.instant(then.as_of), numbers.instant(now.as_of)
    fields = [
        (f"verdict then, as of {before}", _verdict(then)),
        (f"verdict now, as of {after}", _verdict(now)),
        ("decidable", numbers.instant(now.decidable_at)),
    ]
    columns = ["", f"then, as of {before}", f"now, as of {after}"]
    rows = [_row(row, metric=then.metric) for row in beside.iter_rows(named=True)]
    note = "The same question, the same periods; only what is known of the labels differs."
    return Section(
        key=key.replace("_", "-"),
        title=f"Reopened as of {after}: {judgement.heading}",
        blocks=[
            Paragraph(text=judgement.sentence, strong=True),
            Fields(items=fields),
            Table(columns=columns, rows=rows, numeric=frozenset({1, 2}), caption="Then and now", note=note),
            Paragraph(
                text=f"Added on {numbers.instant(written)}. What stands above was written before, and not changed."
            ),
        ],
    )


def _verdict(diagnosis: Diagnosis) -> str:
    claimed = ", ".join(words.cause(part.cause) for part in sentences.material(diagnosis))
    return f"{sentences.verdict(diagnosis)} ({claimed})" if claimed else sentences.verdict(diagnosis)


def _row(row: Mapping[str, Any], *, metric: str) -> list[str]:
    return [str(row["label"]), *(_cell(row, side, metric=metric) for side in ("then", "now"))]


def _cell(row: Mapping[str, Any], side: str, *, metric: str) -> str:
    value, lower, upper = (row[f"{side}{end}"] for end in ("", "_lower", "_upper"))
    if value is None:
        return "–" if str(row["name"]).startswith("cause_") else numbers.NONE
    if row["kind"] == "share":
        return numbers.share(value)
    if row["kind"] == "change":
        return numbers.change_interval(value, lower, upper, metric=metric)
    return numbers.plain(value, places=3 if row["kind"] == "level" else None)


def _documents(bundle: Bundle, section: Section, *, written: datetime) -> dict[str, bytes]:
    files = {
        name: appended(name, bundle.need(name), section, written=written) for name in DOCUMENTS if name in bundle.files
    }
    if _PDF in bundle.files:
        files[_PDF] = _pdf(bundle, _with(bundle.document, section), written=written)
    return files


def _pdf(bundle: Bundle, document: Document, *, written: datetime) -> bytes:
    """A PDF cannot be continued: it is made anew from the stored text and the pictures."""
    if find_spec("fpdf") is None:
        raise MissingPartError(
            "the bundle holds a PDF, and the package that writes it is not installed",
            got=_PDF,
            allowed="the PDF written anew, with the new section",
            next_step='pip install "fbkit[pdf]", or move the PDF away and take it out of the manifest',
        )
    from fbkit.report import pdf
    from fbkit.report.figures import width

    pictures = {figure.key: bundle.need(f"figures/{figure.key}.png") for figure in document.figures()}
    drawn = {key: (png, width(png)) for key, png in pictures.items()}
    return pdf.render(document, pictures=drawn, written=written, lead=bundle.lead)


def _with(document: Document, section: Section) -> Document:
    return Document(title=document.title, subtitle=document.subtitle, sections=[*document.sections, section])


def _data(bundle: Bundle, section: Section, beside: pl.DataFrame, *, name: str, metric: str) -> dict[str, bytes]:
    """The frame with both verdicts' numbers, the claims of the new section, and the stored text."""
    document = _with(bundle.document, section)
    said = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    bound = rows_of([(section.key, text) for text in said], cells=_cells(beside, name, said), metric=metric)
    claims = bundle.need_frame("claims")
    claims = pl.concat([claims.cast(dict(bound.schema)), bound])  # pyright: ignore[reportArgumentType]
    files = {DOCUMENT: to_json(to_stored(document, lead=bundle.lead)).encode()}
    for key, frame in (("claims", claims), (name, beside)):
        files[f"data/{key}.csv"], files[f"data/{key}.parquet"] = to_csv(frame), to_parquet(frame)
    return files


def _cells(beside: pl.DataFrame, name: str, said: Sequence[str]) -> list[Cell]:
    """Then and now of each row, in the order in which the sentences name what they are about."""
    text = " ".join(said)

    def first(row: Mapping[str, Any]) -> int:
        found = re.search(re.escape(str(row["label"])), text)
        return found.start() if found else len(text)

    return [
        Cell(frame=name, row={"name": str(row["name"])}, column=side, kind=str(row["kind"]), value=float(row[side]))
        for row in sorted(beside.iter_rows(named=True), key=first)
        for side in ("then", "then_lower", "then_upper", "now")
        if row[side] is not None
    ]


def _manifest(bundle: Bundle, files: Mapping[str, bytes], entry: Mapping[str, object]) -> bytes:
    """The manifest with the new hashes; of a file that this call did not write it keeps the old one."""
    listed = {str(item["name"]): dict(item) for item in bundle.manifest["files"]}
    for name, content in files.items():
        listed[name] = {"name": name, "sha256": sha256(content), "bytes": len(content)}
    facts = {key: value for key, value in bundle.manifest.items() if key not in ("files", "history")}
    return to_json(
        {**facts, "history": [*bundle.history, entry], "files": [listed[name] for name in sorted(listed)]}
    ).encode()
