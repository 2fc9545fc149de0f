"""A Delta table as a log: the rows of its newest version, identified by the table's own log and its files."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from fbkit.errors import InputError, MissingPartError
from fbkit.load.files import UNREADABLE
from fbkit.load.hashes import file_hash
from fbkit.load.quiet import quiet
from fbkit.load.scan import Scan, Sources
from fbkit.schema.logs import SourceFile

if TYPE_CHECKING:
    from deltalake import DeltaTable


def scan_delta(path: str, *, root: Path, table: str) -> Scan:
    """Open a Delta table at its newest version; its files are read when the frame is collected.

    Raises
    ------
    MissingPartError
        The package ``deltalake`` is not installed.
    InputError
        There is no readable table, or a file is not the one that the table's log describes.
    """
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise MissingPartError(
            f"the {table} log is a Delta table, and the package deltalake is not installed",
            next_step="pip install 'fbkit[delta]'",
            got="no package deltalake",
            allowed="deltalake beside fbkit",
        ) from error
    remote = "://" in path
    where = path if remote else str(Path(path) if Path(path).is_absolute() else root / path)
    name = path.rstrip("/").rsplit("/", 1)[-1]
    try:
        opened = DeltaTable(where)
        files = _files(opened)
        if not remote:
            _check_sizes(files, folder=Path(where), name=name, table=table)
        frame = pl.scan_delta(opened)
        with quiet():
            frame.collect_schema()
    except (DeltaError, *UNREADABLE) as error:
        raise _unreadable(error, name=name, where=where, table=table) from error

    def identify(collected: pl.DataFrame | None) -> Sources:
        rows = counted.collect().item() if collected is None else collected.height
        try:
            digest = _hash(files, opened=opened, folder=None if remote else Path(where))
        except OSError as error:
            raise explain(error) from error
        return (SourceFile(name=f"{table}/{name} version {opened.version()}", sha256=digest, rows=int(rows)),)

    def explain(error: BaseException) -> InputError:
        if not remote:
            _check_sizes(files, folder=Path(where), name=name, table=table)
        return _unreadable(error, name=name, where=where, table=table)

    errors = (DeltaError, *UNREADABLE)
    counted = Scan(
        table=table, frame=frame.select(pl.len()), kind="delta", identify=identify, explain=explain, errors=errors
    )
    return replace(counted, frame=frame)


def _files(opened: "DeltaTable") -> list[dict[str, Any]]:
    """Path, size and rows of every file of the version, in name order."""
    listed = pl.DataFrame(opened.get_add_actions(flatten=True))
    return listed.select("path", "size_bytes", "num_records").sort("path").to_dicts() if listed.width else []


def _check_sizes(files: list[dict[str, Any]], *, folder: Path, name: str, table: str) -> None:
    """A file shorter than its log says would bring the reader down instead of being named."""
    for file in files:
        target = folder / file["path"]
        size = target.stat().st_size if target.is_file() else None
        if size != file["size_bytes"]:
            state = "is missing" if size is None else f"has {size:,} bytes"
            raise InputError(
                f"a file of the {table} log is not the one that its Delta table describes",
                got=f"{name}: {target.name} {state}",
                allowed=f"{file['size_bytes']:,} bytes",
                next_step="restore the file, or restore the table to a version before it",
            )


def _hash(files: list[dict[str, Any]], *, opened: "DeltaTable", folder: Path | None) -> str:
    """SHA-256 over the table's id, its version and its files; the bytes of local files count too."""
    lines = [str(opened.metadata().id), str(opened.version())]
    for file in files:
        digest = file_hash(folder / file["path"]) if folder is not None else ""
        lines.append(f"{file['path']} {file['size_bytes']} {file['num_records']} {digest}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _unreadable(error: BaseException, *, name: str, where: str, table: str) -> InputError:
    lines = str(error).replace(where, name).splitlines()
    return InputError(
        f"the Delta table of the {table} log could not be read",
        got=f"{name}: {lines[0] if lines else type(error).__name__}",
        allowed="the folder of a Delta table (it holds _delta_log)",
        next_step=f"set path under [{table}] to the table's folder",
    )
