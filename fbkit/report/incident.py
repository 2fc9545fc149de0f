"""The incident bundle: one folder that says what happened, why, and how anyone can check it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from fbkit.report import facts, figures, provenance, timeline
from fbkit.report.card import card_html
from fbkit.report.claims import claims
from fbkit.report.document import Document
from fbkit.report.files import MANIFEST, sha256, write_folder
from fbkit.report.forms import forms, need_pdf
from fbkit.report.mask import export_frame
from fbkit.report.proofs import Proofs
from fbkit.report.serial import diagnosis_json, to_csv, to_json, to_parquet
from fbkit.report.stored import to_stored
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis

FORMAT: Final = "fbkit-incident-1"


def write(
    diagnosis: Diagnosis,
    folder: str | Path,
    *,
    contract: Contract,
    sources: Iterable[Sequence[object] | Mapping[str, object]] = (),
    call: str = "",
    frames: Mapping[str, pl.DataFrame] | None = None,
    clock: datetime | None = None,
    pdf: bool = False,
) -> Path:
    """Write the incident bundle and return its folder.

    Parameters
    ----------
    diagnosis
        What was found; only its aggregated evidence frames are exported, never rows of users.
    folder
        New, empty, or an unedited older bundle (replaced in one step).
    contract
        Names the thinnest slice that is shown, the personal columns, the owners.
    sources
        (name, sha256, rows) of each log that was read.
    call
        The call or command that made the diagnosis, as its reader would repeat it.
    frames
        More small result frames for the data folder. ``audit`` (table, rule, rows) is also told in the
        provenance: what was read, used and set aside.
    clock
        The time of writing; pin it and equal input gives equal bytes (run times are then left out).
    pdf
        Write ``incident.pdf`` too; it says the same on the same pages, but its bytes are not promised.

    Raises
    ------
    OutputError
        The folder holds other files, or cannot be written; nothing half-written stays behind.
    MissingPartError
        A PDF is asked for and its package is not installed.
    """
    files = render(diagnosis, contract=contract, sources=sources, call=call, frames=frames, clock=clock, pdf=pdf)
    return write_folder(folder, files)


def render(
    diagnosis: Diagnosis,
    *,
    contract: Contract,
    sources: Iterable[Sequence[object] | Mapping[str, object]] = (),
    call: str = "",
    frames: Mapping[str, pl.DataFrame] | None = None,
    clock: datetime | None = None,
    pdf: bool = False,
) -> dict[str, bytes]:
    """The bundle's files by name, without writing them; parameters as in :func:`write`."""
    if pdf:
        need_pdf()
    if clock is not None:
        diagnosis = _untimed(diagnosis)
    written = clock or datetime.now(UTC)
    exported = _exported({**diagnosis.evidence, **(frames or {})}, contract)
    exported["timeline"] = timeline.frame(diagnosis, exported)
    pictures = figures.draw(diagnosis, exported)
    known = provenance.facts(diagnosis, contract, sources=provenance.source_rows(sources), call=call, written=written)
    document = facts.document(
        diagnosis,
        contract,
        frames=exported,
        figures=[picture.figure for picture in pictures],
        provenance=provenance.blocks(known, exported.get("audit")),
    )
    exported["claims"] = claims(diagnosis, document, frames=exported, contract=contract)
    files = forms(
        document,
        images={picture.figure.key: picture.png for picture in pictures},
        written=written,
        head=card_html(diagnosis, full=False, style=False),
        lead=facts.lead(diagnosis),
        proofs=Proofs(exported["claims"]),
        pdf=pdf,
    )
    files |= _facts(diagnosis, document)
    for picture in pictures:
        files |= picture.files()
    files |= _frames(exported)
    return {**files, MANIFEST: _manifest(files, known)}


def _facts(diagnosis: Diagnosis, document: Document) -> dict[str, bytes]:
    """What a program reads: the verdict, and the text block by block."""
    return {
        "diagnosis.json": diagnosis_json(diagnosis).encode(),
        "data/document.json": to_json(to_stored(document, lead=facts.lead(diagnosis))).encode(),
    }


def _frames(exported: Mapping[str, pl.DataFrame]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name, frame in exported.items():
        files[f"data/{_file_name(name)}.csv"] = to_csv(frame)
        files[f"data/{_file_name(name)}.parquet"] = to_parquet(frame)
    return files


def _untimed(diagnosis: Diagnosis) -> Diagnosis:
    """Without the seconds it took, which no pinned clock can repeat."""
    checks = tuple(replace(check, seconds=0.0) for check in diagnosis.checks)
    return replace(diagnosis, seconds=0.0, checks=checks)


def _exported(frames: Mapping[str, pl.DataFrame], contract: Contract) -> dict[str, pl.DataFrame]:
    minimum, personal = contract.slices.minimum, contract.privacy.personal
    # How long a check took is in diagnosis.json; in a frame it would only make equal evidence look different.
    timeless = {name: frame.drop("seconds", strict=False) for name, frame in frames.items()}
    return {name: export_frame(frame, minimum=minimum, personal=personal) for name, frame in timeless.items()}


def _file_name(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")[:60] or "frame"


def _manifest(files: Mapping[str, bytes], known: Mapping[str, object]) -> bytes:
    listed = [
        {"name": name, "sha256": sha256(content), "bytes": len(content)} for name, content in sorted(files.items())
    ]
    return to_json({"format": FORMAT, **known, "files": listed}).encode()
