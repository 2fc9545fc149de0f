"""Joined tables on disk, found again by the content they were made of, so that no command joins the same logs twice."""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.join.joined import Joined
from fbkit.join.parts import Writer
from fbkit.join.slim import BATCH
from fbkit.join.table import StoredTable, Table
from fbkit.schema.contract import Contract
from fbkit.schema.logs import SourceFile
from fbkit.schema.period import format_instant, parse_instant

VARIABLE: Final = "FBKIT_CACHE"
_LIMIT_BYTES: Final = 20 * 2**30
_STALE: Final = timedelta(days=1)
_FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_FRAMES: Final = ("audit", "changes", "feed", "feedback", "actions")


def cache_folder() -> Path | None:
    """Where joined tables are kept: ``FBKIT_CACHE``, else the user's cache folder; None when it is ``off``."""
    stated = os.environ.get(VARIABLE, "").strip()
    if stated.lower() in ("off", "none", "0", "false"):
        return None
    if stated:
        return Path(stated)
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path.home() / ".cache") / "fbkit"


def cache_key(contract: Contract, *, sources: Mapping[str, str], view: Mapping[str, object]) -> str:
    """Hash of everything a joined table follows from: contract, content of the logs, the view, this code."""
    said = {"format": _FORMAT, "code": _code(), "polars": pl.__version__, "contract": contract.hash}
    said |= {"sources": sorted(sources.items()), "view": dict(view)}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


@cache
def _code() -> str:
    """Hash of the layers that make the table, so that none made by other code is ever shown."""
    package = Path(__file__).parent.parent
    files = sorted(file for layer in ("schema", "load", "join") for file in (package / layer).glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


class Cache:
    """One folder of joined tables. A table that is damaged, or that cannot be written, is as good as none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str, *, contract: Contract) -> Joined | None:
        """The table stored under this key, its rows still on disk."""
        entry = self.folder / key
        try:
            told = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
            if any((entry / name).stat().st_size != size for name, size in told["files"].items()):
                return None
            os.utime(entry / _MANIFEST)
            return _joined(entry, told, contract=contract)
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
            return None

    def room(self) -> Path:
        """Where the folder of a table that is being written may stand; :meth:`make` makes it."""
        return self.folder / f".new-{os.getpid()}-{secrets.token_hex(6)}"

    def make(self, room: Path) -> bool:
        """Make that folder; False when none can be made here."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sweep(self.folder)
            room.mkdir(mode=0o700)
        except OSError:
            return False
        return True

    def keep(self, key: str, joined: Joined, room: Path) -> Joined:
        """Put a table whose parts were written to ``room`` in its place; the same table, read from there."""
        try:
            _describe(joined, room)
            target, aside = self.folder / key, room.with_name(f"{room.name}-old")
            if target.exists():  # a damaged one: a sound one would have been found
                target.rename(aside)
            room.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
        except (OSError, pl.exceptions.PolarsError):
            # The rows are in the room all the same, and go with the table.
            if isinstance(joined.rows, StoredTable):
                joined.rows.tidy_up(room)
            return joined
        return self.find(key, contract=joined.contract) or joined


def _describe(joined: Joined, room: Path) -> None:
    """Write everything but the rows, and at last the manifest, without which a folder is no table."""
    parts = {name: _parts(table, room, name=name) for name, table in (("part", joined.rows), ("pairs", joined.pairs))}
    frames = {name: getattr(joined, name) for name in _FRAMES}
    frames |= {f"rejects-{name}": rows for name, rows in joined.rejects.items()}
    for name, frame in frames.items():
        frame.write_ipc(room / f"{name}.arrow", compression="zstd")
    told = {
        "height": joined.rows.height,
        "pairs_height": joined.pairs.height,
        "parts": parts,
        "rejects": sorted(joined.rejects),
        "as_of": format_instant(joined.as_of),
        "data_through": dict(joined.data_through),
        "label_versions": joined.label_versions,
        "sources": [asdict(source) for source in joined.sources],
        "files": {file.name: file.stat().st_size for file in sorted(room.iterdir())},
    }
    (room / _MANIFEST).write_text(json.dumps(told), encoding="utf-8")


def _parts(table: Table, room: Path, *, name: str) -> list[str]:
    """The files of a table in ``room``, written now if it is still in memory."""
    if isinstance(table, StoredTable):
        return [part.name for part in table.parts]
    with Writer(room, name=name) as writer:
        for start in range(0, max(table.height, 1), BATCH):
            writer.add(table.frame.slice(start, BATCH))
    return [part.name for part in writer.parts]


def _joined(entry: Path, told: Mapping[str, Any], *, contract: Contract) -> Joined:
    def frame(name: str) -> pl.DataFrame:
        return pl.read_ipc(entry / f"{name}.arrow")

    return Joined(
        rows=StoredTable([entry / name for name in told["parts"]["part"]], height=told["height"]),
        pairs=StoredTable([entry / name for name in told["parts"]["pairs"]], height=told["pairs_height"]),
        contract=contract,
        as_of=parse_instant(told["as_of"]),
        rejects={name: frame(f"rejects-{name}") for name in told["rejects"]},
        sources=tuple(SourceFile(**source) for source in told["sources"]),
        data_through=told["data_through"],
        label_versions=told["label_versions"],
        audit=frame("audit"),
        changes=frame("changes"),
        feed=frame("feed"),
        feedback=frame("feedback"),
        actions=frame("actions"),
    )


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half-written, and what was not used for longest if there is too much."""
    now = time.time()
    entries = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink()]
    for entry in entries:
        if entry.name.startswith(".new-") and now - entry.stat().st_mtime > _STALE.total_seconds():
            shutil.rmtree(entry, ignore_errors=True)
    kept = [entry for entry in entries if (entry / _MANIFEST).is_file()]
    kept.sort(key=lambda entry: (entry / _MANIFEST).stat().st_mtime, reverse=True)
    total = 0
    for entry in kept:
        total += sum(file.stat().st_size for file in entry.iterdir())
        if total > _LIMIT_BYTES:
            shutil.rmtree(entry, ignore_errors=True)
