"""What commands print: tables for people, JSON for machines, and what was guessed."""

import hashlib
from pathlib import Path
from typing import Any

import click
import polars as pl

from fbkit.schema.logs import SourceFile
from fbkit.session import Joined, Loop


def told(given: dict[str, Any], loop: Loop) -> dict[str, object]:
    """Print what was left out or guessed, and write the guesses down; the same facts for ``--json``."""
    left_out = [
        {
            "table": part.table,
            "file": part.file,
            "period": None if part.period is None else str(part.period),
            "reason": part.reason,
        }
        for part in loop.source.scans.incomplete
    ]
    for part in [] if given["as_json"] else left_out:
        remark(given, f"left out, because it could not be read: {part['file']} ({part['period'] or 'unknown period'})")
    incomplete = {"incomplete": left_out} if left_out else {}
    return {**incomplete, **_guesses(given, loop)}


def warned(given: dict[str, Any], joined: Joined) -> dict[str, object]:
    """Print what must be said before a number is read; the same for ``--json``."""
    for line in [] if given["as_json"] else joined.definition_warnings:
        click.echo(f"warning: {line}", err=True)
    return {"warnings": list(joined.warnings)} if joined.warnings else {}


def _guesses(given: dict[str, Any], loop: Loop) -> dict[str, object]:
    if not loop.assumptions:
        return {}
    draft = _write_draft(loop, Path(given["draft"]))
    if not given["as_json"]:
        remark(given, "assumed, because there is no contract:")
        for line in loop.assumptions:
            remark(given, f"  - {line}")
        remark(given, f"draft contract: {draft}")
    return {"assumptions": list(loop.assumptions), "draft": str(draft)}


def _write_draft(loop: Loop, wanted: Path) -> Path:
    """Write the guessed contract without touching another file that stands there."""
    from fbkit.report.files import write_file
    from fbkit.schema.contract_template import template

    text = template(loop.contract, remarks=loop.assumptions).encode()
    wanted = wanted / "contract.draft.toml" if wanted.is_dir() else wanted
    target, number = wanted, 1
    while target.exists() and not (target.is_file() and target.read_bytes() == text):
        number += 1
        target = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return write_file(target, text)


def remark(given: dict[str, Any], text: str) -> None:
    """A line for people, left out under ``--quiet``."""
    if not given["quiet"]:
        click.echo(text)


def print_json(facts: object) -> None:
    """Facts as JSON on standard output."""
    from fbkit.report.serial import to_json

    click.echo(to_json(facts), nl=False)


def audit_rows(frame: pl.DataFrame) -> list[dict[str, object]]:
    """The account of every row, for ``--json``."""
    return frame.select("table", "rule", "rows", "detail").to_dicts()


def sources_text(joined: Joined) -> str:
    """One line per log: how many files and rows, and what identifies them."""
    tables: dict[str, list[SourceFile]] = {}
    for source in joined.sources:
        tables.setdefault(source.name.split("/")[0].removesuffix(" (frame)"), []).append(source)
    lines = []
    for table, files in tables.items():
        rows = sum(file.rows for file in files)
        digest = (
            files[0].sha256
            if len(files) == 1
            else hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
        )
        lines.append(
            f"  {table:<12} {rows:>9,} rows in {len(files)} file{'s' if len(files) > 1 else ''}, sha256 {digest[:12]}"
        )
    return "\n".join(["sources:", *lines])
