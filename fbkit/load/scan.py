"""A log as a lazy frame over the files, table or query that a contract names, with what identifies it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
import polars.selectors as cs

from fbkit.errors import InputError
from fbkit.load.files import (
    FORMATS,
    UNREADABLE,
    File,
    check_pages,
    check_path,
    check_readable,
    describe,
    find_files,
    scan_file,
    unreadable,
)
from fbkit.load.hashes import file_hash
from fbkit.load.quiet import quiet
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import SourceFile, UnreadablePart

# Logs up to this size are read into memory before anything looks at them.
_HELD_BYTES = 64_000_000
Kind = Literal["parquet", "csv", "ndjson", "mixed", "delta", "query", "frame"]
Sources = tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A log that has been found and whose columns are known, but whose rows have not been read.

    Attributes
    ----------
    frame
        Every row of the log as it stands in its files, in name order of the files; nothing is renamed or cast.
    kind
        What stands behind it: ``parquet``, ``csv``, ``ndjson``, ``mixed``, ``delta``, ``query`` or ``frame``.
    files
        The files behind it, sorted by name; empty for a table, a query or a frame.
    incomplete
        Parts that could not be read and were left out on request, with the period that they would have covered.
    """

    table: str
    frame: pl.LazyFrame
    kind: Kind
    files: tuple[Path, ...] = ()
    incomplete: tuple[UnreadablePart, ...] = ()
    identify: Callable[[pl.DataFrame | None], Sources]
    explain: Callable[[BaseException], InputError]
    errors: tuple[type[BaseException], ...] = UNREADABLE

    def collect(self) -> pl.DataFrame:
        """Read every row.

        Raises
        ------
        InputError
            A part cannot be read; the message names it.
        """
        try:
            with quiet():
                return self.frame.collect()
        except self.errors as error:
            raise self.explain(error) from error

    def sources(self, collected: pl.DataFrame | None = None) -> Sources:
        """What was read: a name, a hash and the rows of every file, table version or frame.

        ``collected`` saves reading a frame or query a second time, which has to be hashed by its rows.

        Raises
        ------
        InputError
            A file changed or vanished since it was scanned, so that its hash would not be the hash of what was read.
        """
        return self.identify(collected)


def scan_source(source: Source, *, root: Path, table: str, skip_unreadable: bool = False) -> Scan:
    """Find what a contract names and make it one lazy frame; no row is read yet.

    Text columns of CSV files stay text; types are given by the log's own loader, so that an id such as ``00123``
    keeps its zeros. Folders named ``day=2026-05-01`` become columns, as text.

    Parameters
    ----------
    skip_unreadable
        Leave out files that cannot be read, and say which period they leave open. Every file is decoded once for that.

    Raises
    ------
    InputError
        No file, an unreadable file, a duplicate header, files whose columns differ, an unreachable database.
    MissingPartError
        A Delta table or a query needs a package that is not installed.
    """
    if source.query is not None and source.connection_env is not None:
        from fbkit.load.query import scan_query

        return scan_query(source.query, variable=source.connection_env, root=root, table=table)
    if source.path is None:
        raise InputError(
            f"the {table} log has neither path nor query",
            allowed="path = a .parquet, .csv or .ndjson file, pattern or folder, or query with connection_env",
            next_step=f"set path under [{table}] in the contract",
            got="neither",
        )
    check_path(source.path, table=table)
    if source.format == "delta" or (source.format is None and (root / source.path / "_delta_log").is_dir()):
        from fbkit.load.delta import scan_delta

        return scan_delta(source.path, root=root, table=table)
    if source.format == "iceberg":
        raise _iceberg(source, table=table)
    found = find_files(source.path, root=root, table=table)
    if source.format is None:
        _refuse_parts_of_tables(found, source=source, table=table)
    files = describe(found, path=source.path, root=root, table=table)
    return _scan_files(files, table=table, source=source, skip_unreadable=skip_unreadable)


def _refuse_parts_of_tables(found: Sequence[Path], *, source: Source, table: str) -> None:
    """The files of a lake table hold deleted rows too, and only the table's own log tells which."""
    folders = {folder for file in found for folder in [*file.absolute().parents][:5]}
    if any((folder / "_delta_log").is_dir() for folder in folders):
        raise InputError(
            f"the files of the {table} log belong to a Delta table, and may hold rows that were deleted",
            got=source.path,
            allowed="the folder of the table",
            next_step=f'set path under [{table}] to the folder that holds _delta_log, or format = "parquet" to insist',
        )
    if any(next((folder / "metadata").glob("*.metadata.json"), None) for folder in folders):
        raise _iceberg(source, table=table)


def _iceberg(source: Source, *, table: str) -> InputError:
    return InputError(
        f"the {table} log is an Iceberg table, which fbkit does not read by itself",
        got=source.path,
        allowed="Parquet, CSV, NDJSON, a Delta table, or a database query",
        next_step=f"hand it in as a lazy frame: open_loop(folder, {table}=pl.scan_iceberg(...))",
    )


def _scan_files(files: Sequence[File], *, table: str, source: Source, skip_unreadable: bool) -> Scan:
    stamps = {file.path: file.stamp for file in files}
    held = sum(stamp[1] for stamp in stamps.values() if stamp is not None) <= _HELD_BYTES
    parts: list[tuple[File, pl.LazyFrame]] = []
    broken: list[tuple[File, InputError]] = []
    for file in files:
        try:
            frame = scan_file(file.path, table=table, format=source.format, held=held)
            if skip_unreadable:
                check_readable(frame, file=file.path, table=table)
        except InputError as error:
            if not skip_unreadable:
                raise
            broken.append((file, error))
        else:
            parts.append((file, with_partition(frame, file=file)))
    if not parts:
        raise broken[0][1]
    kinds = {source.format or FORMATS[file.path.suffix.lower()] for file, _ in parts}
    read = tuple(file for file, _ in parts)

    def identify(collected: pl.DataFrame | None) -> Sources:
        return _identify(parts, stamps=stamps, table=table, collected=collected)

    def explain(error: BaseException) -> InputError:
        return _explain(parts, stamps=stamps, table=table, error=error)

    return Scan(
        table=table,
        frame=_together(parts, kinds=kinds, table=table, held=held),
        kind=kinds.pop() if len(kinds) == 1 else "mixed",  # type: ignore[arg-type]  # the formats are the kinds
        files=tuple(file.path for file in read),
        incomplete=_gaps(broken, read=parts, source=source, table=table),
        identify=identify,
        explain=explain,
    )


def _gaps(
    broken: Sequence[tuple[File, InputError]],
    *,
    read: Sequence[tuple[File, pl.LazyFrame]],
    source: Source,
    table: str,
) -> tuple[UnreadablePart, ...]:
    if not broken:
        return ()
    from fbkit.load.gaps import find_gap

    return tuple(find_gap(file, reason=str(error.got), read=read, source=source, table=table) for file, error in broken)


def with_partition(frame: pl.LazyFrame, *, file: File) -> pl.LazyFrame:
    """Add the columns that stand in the path; a column that the file holds itself is left as it is."""
    held = frame.collect_schema().names()
    made = [pl.lit(value, dtype=pl.String).alias(key) for key, value in file.partition if key not in held]
    return frame.with_columns(made) if made else frame


def _together(parts: Sequence[tuple[File, pl.LazyFrame]], *, kinds: set[str], table: str, held: bool) -> pl.LazyFrame:
    """One lazy frame; a file with other columns or types is named, not padded."""
    schemas = [frame.collect_schema() for _, frame in parts]
    names = [file.path.name for file, _ in parts]
    check_columns([schema.names() for schema in schemas], names=names, table=table)
    alike = kinds == {"parquet"} and all(schema == schemas[0] for schema in schemas) and not parts[0][0].partition
    if alike and not held:
        # One scan of many files is read in parallel and skips files by their statistics.
        return pl.scan_parquet([file.path for file, _ in parts], hive_partitioning=False, glob=False)
    wanted = cs.by_name(*schemas[0].names())  # as they stand: a plain "*" would be read as a pattern
    try:
        pl.concat([schema.to_frame().select(wanted) for schema in schemas], how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise other_types(error, table=table) from error
    return pl.concat([frame.select(wanted) for _, frame in parts], how="vertical_relaxed")


def check_columns(columns: Sequence[Sequence[str]], *, names: Sequence[str], table: str) -> None:
    """Refuse files whose columns differ; the order of the columns is free."""
    first = set(columns[0])
    for held, name in zip(columns, names, strict=True):
        if set(held) != first:
            differing = sorted(set(held) ^ first)
            raise InputError(
                f"the files of the {table} log have different columns",
                got=f"{name}: {', '.join(differing)} only in one of {names[0]}, {name}",
                next_step="write the files with the same columns",
                allowed="the same columns in every file, in any order",
            )


def other_types(error: BaseException, *, table: str) -> InputError:
    """The error for files whose column types cannot stand in one column."""
    return InputError(
        f"the files of the {table} log have different types",
        got=str(error).splitlines()[0],
        allowed="the same type for a column in every file",
        next_step="write the files with the same types",
    )


def _identify(
    parts: Sequence[tuple[File, pl.LazyFrame]],
    *,
    stamps: dict[Path, tuple[int, int, int] | None],
    table: str,
    collected: pl.DataFrame | None,
) -> Sources:
    read: list[SourceFile] = []
    for file, frame in parts:
        try:
            whole = collected if len(parts) == 1 else None
            with quiet():
                rows = int(frame.select(pl.len()).collect().item()) if whole is None else whole.height
            digest = file_hash(file.path)
        except UNREADABLE as error:
            raise _explain([(file, frame)], stamps=stamps, table=table, error=error) from error
        if file.stamp != stamps[file.path]:
            raise _changed(file, table=table)
        check_pages(file.path, table=table)
        read.append(SourceFile(name=file.name, sha256=digest, rows=rows))
    return tuple(read)


def _explain(
    parts: Sequence[tuple[File, pl.LazyFrame]],
    *,
    stamps: dict[Path, tuple[int, int, int] | None],
    table: str,
    error: BaseException,
) -> InputError:
    """Find the file behind an error that Polars does not place."""
    for file, frame in parts:
        if file.stamp != stamps[file.path]:
            return _changed(file, table=table)
        try:
            check_readable(frame, file=file.path, table=table)
        except InputError as found:
            return found
    return unreadable(parts[0][0].path, table=table, error=error)


def _changed(file: File, *, table: str) -> InputError:
    gone = file.stamp is None
    return InputError(
        f"a file of the {table} log {'vanished' if gone else 'changed'} while it was read",
        got=file.path.name,
        allowed="files that stay as they are until the command ends",
        next_step="run it again once the writer has finished, or read a copy",
    )
