"""An incident bundle read back from disk: nothing in it is trusted, and nothing outside of its folder is read."""

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError, InputError
from fbkit.report.asked import Asked, asked_of
from fbkit.report.document import Block, Document
from fbkit.report.files import MANIFEST, sha256
from fbkit.report.stored import from_stored, lead_from_stored
from fbkit.report.told import diagnosis_of
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import parse_instant

FORMATS: Final = ("fbkit-incident-1",)
DIAGNOSIS: Final = "diagnosis.json"
DOCUMENT: Final = "data/document.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_LARGEST: Final = 64 * 1024 * 1024
_MOST_FILES: Final = 2_000
_MOST_CELLS: Final = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A folder that ``incident write`` made, or says so.

    ``files`` are the names and hashes that its manifest lists, in order; contents are read when they are asked for.
    """

    folder: Path
    manifest: Mapping[str, Any] = field(repr=False)
    files: Mapping[str, str] = field(repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> "Bundle":
        """Read the manifest.

        Raises
        ------
        InputError
            There is no such folder, it is no bundle, its manifest is damaged or of a newer format.
        """
        path = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow links)
        if not path.is_dir():
            raise _no_bundle(path, "there is no such folder" if not path.exists() else "it is a file")
        content = read_inside(path, MANIFEST)
        if content is None:
            raise _no_bundle(path, f"no {MANIFEST} in it")
        manifest = _json(content, MANIFEST)
        _check_format(manifest.get("format"), path)
        return cls(folder=path, manifest=manifest, files=_listed(manifest.get("files")))

    def read(self, name: str) -> bytes | None:
        """A listed file's content; None if it is not listed, not there, or no plain file."""
        return read_inside(self.folder, name) if name in self.files else None

    def need(self, name: str) -> bytes:
        """A listed file's content.

        Raises
        ------
        InputError
            The manifest does not list it, or it is not there.
        """
        content = self.read(name)
        if content is None:
            raise InputError(
                f"the bundle {self.folder.name} has no {name}",
                got=", ".join(list(self.files)[:8]) or "an empty list of files",
                allowed="a bundle as this version writes it",
                next_step="write the bundle anew from the loop, or put the file back",
            )
        return content

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """The diagnosis under its JSON keys."""
        return _json(self.need(DIAGNOSIS), DIAGNOSIS)

    @cached_property
    def document(self) -> Document:
        """The text of the document, block by block."""
        return from_stored(_json(self.need(DOCUMENT), DOCUMENT))

    @cached_property
    def lead(self) -> list[Block]:
        """What stands above its sections on paper."""
        return lead_from_stored(_json(self.need(DOCUMENT), DOCUMENT))

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """The diagnosis; its evidence stays in :meth:`frames`."""
        return diagnosis_of(self.facts)

    @cached_property
    def asked(self) -> Asked:
        """What was asked, of which logs, with which versions."""
        try:
            return asked_of(self.facts, self.manifest)
        except (KeyError, TypeError, ValueError, AttributeError, ArgumentError) as error:
            raise _damaged("the question cannot be read from it", str(error).splitlines()[0][:120]) from error

    def frame_names(self) -> list[str]:
        """The frames in the data folder, by name."""
        found = [
            Path(name).stem for name in self.files if name.startswith("data/") and name.endswith((".csv", ".parquet"))
        ]
        return list(dict.fromkeys(found))

    def frames(self, name: str) -> dict[str, pl.DataFrame]:
        """A frame by the file it was read from: Parquet first, then CSV; empty if there is neither.

        Raises
        ------
        InputError
            A file cannot be read as what it is called.
        """
        found: dict[str, pl.DataFrame] = {}
        for ending, reader in ((".parquet", _parquet), (".csv", _csv)):
            file = f"data/{name}{ending}"
            content = self.read(file)
            if content is not None:
                found[file] = reader(content, file)
        return found

    def need_frame(self, name: str) -> pl.DataFrame:
        """A frame that has to be there, from Parquet if it can be; InputError otherwise."""
        found = self.frames(name)
        return next(iter(found.values())) if found else _csv(self.need(f"data/{name}.csv"), f"data/{name}.csv")

    def hash_of(self, name: str) -> str | None:
        """The SHA-256 of a listed file as it is now; None if it cannot be read."""
        content = self.read(name)
        return None if content is None else sha256(content)

    def damaged(self, what: str, got: str) -> InputError:
        """The error for a part that is not as it was written."""
        return _damaged(what, got)

    def reopened_at(self) -> list[datetime]:
        """The as-of times of its reopenings."""
        try:
            return [parse_instant(str(item["as_of"])) for item in self.history]
        except (KeyError, ArgumentError) as error:
            raise _damaged("its history names no time", str(error)[:120]) from error

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """What was appended later, oldest first."""
        found = self.manifest.get("history")
        return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def read_inside(folder: Path, name: str) -> bytes | None:
    """A plain file of a folder by its relative name; None for a link, a pipe, a folder, or nothing.

    Raises
    ------
    InputError
        The name leads out of the folder, or the file is larger than any of a bundle.
    """
    parts = name.split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise _damaged("a file name that no bundle has", name)
    path, mode = folder, 0
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except OSError:
            return None
        if stat.S_ISLNK(mode):
            return None
    if not stat.S_ISREG(mode):
        return None
    if path.stat().st_size > _LARGEST:
        raise _damaged(f"a file of more than {_LARGEST // 1024 // 1024} MB", name)
    return path.read_bytes()


def _json(content: bytes, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(f"{name} is no JSON", str(error)[:120]) from error
    if not isinstance(found, Mapping):
        raise _damaged(f"{name} holds no mapping", type(found).__name__)
    return found


def _check_format(found: object, path: Path) -> None:
    if found in FORMATS:
        return
    if isinstance(found, str) and re.fullmatch(r"fbkit-incident-\d{1,4}", found):
        raise InputError(
            f"the bundle {path.name} was written by a newer fbkit",
            got=found,
            allowed=", ".join(FORMATS),
            next_step="update fbkit, then try again",
        )
    raise _no_bundle(path, f"its manifest says {str(found)[:60]!r}")


def _listed(found: object) -> dict[str, str]:
    if not isinstance(found, list) or len(found) > _MOST_FILES:
        raise _damaged("the manifest lists no files", type(found).__name__)
    listed: dict[str, str] = {}
    for item in found:
        name = item.get("name") if isinstance(item, Mapping) else None
        digest = item.get("sha256") if isinstance(item, Mapping) else None
        if not isinstance(name, str) or not isinstance(digest, str):
            raise _damaged("the manifest lists a file without name or hash", str(item)[:120])
        if not all(_NAME.fullmatch(part) for part in name.split("/")):
            raise _damaged("the manifest names a file outside of the folder", name)
        listed[name] = digest
    return listed


def _parquet(content: bytes, name: str) -> pl.DataFrame:
    # The size is in the footer: a small file can stand for billions of rows.
    try:
        lazy = pl.scan_parquet(content)
        width = len(lazy.collect_schema())
        height = lazy.select(pl.len()).collect().item()
        if width * height > _MOST_CELLS:
            raise _damaged(f"{name} holds more cells than any evidence frame", f"{height:,} rows, {width:,} columns")
        return lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(f"{name} is no Parquet file", str(error).splitlines()[0][:120]) from error


def _csv(content: bytes, name: str) -> pl.DataFrame:
    """Every cell as text: what looks like a number may be a name."""
    if not content.strip():
        return pl.DataFrame()
    try:
        frame = pl.read_csv(content, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(f"{name} is no table", str(error).splitlines()[0][:120]) from error
    return frame.with_columns(pl.all().str.replace(r"^'(\s*[=+\-@\t\r＝＋－＠])", "$1"))


def _no_bundle(path: Path, got: str) -> InputError:
    return InputError(
        f"{path.name or path} is no incident bundle",
        got=got,
        allowed="a folder that fbkit incident write made",
        next_step="give that folder, or write one: fbkit incident write LOOP --out FOLDER",
    )


def _damaged(what: str, got: str) -> InputError:
    return InputError(
        f"the bundle is damaged: {what}",
        got=got,
        allowed="the files as they were written",
        next_step="take another copy, or write the bundle anew",
    )
