"""The files behind a contract's path: which they are, what columns they hold, whether they can be read."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from fbkit.errors import InputError
from fbkit.load.looks import separator_in
from fbkit.load.pages import damaged_page
from fbkit.load.quiet import quiet

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
UNREADABLE = (OSError, pl.exceptions.PolarsError, UnicodeDecodeError, csv.Error, pl.exceptions.PanicException)
_LONGEST = 255
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a log: where it is, what it is called in accounts, and the partition values its path carries."""

    path: Path
    name: str
    partition: tuple[tuple[str, str | None], ...] = ()

    @property
    def stamp(self) -> tuple[int, int, int] | None:
        """What tells a file from its successor of the same name; None when it is gone."""
        try:
            seen = self.path.stat()
        except OSError:
            return None
        return seen.st_ino, seen.st_size, seen.st_mtime_ns


def find_files(path: str, *, root: Path, table: str) -> list[Path]:
    """The files behind a path, a pattern or a folder, sorted by name."""
    check_path(path, table=table)
    target = Path(path) if Path(path).is_absolute() else root / path
    if target.is_file():
        return [target]
    if target.is_dir():
        files = [file for file in target.rglob("*") if file.suffix.lower() in FORMATS and _is_data(file, base=target)]
    else:
        # Only the contract's own path is a pattern: brackets in the folder above it are just letters.
        base, pattern = (Path(target.anchor), path.lstrip("/")) if Path(path).is_absolute() else (root, path)
        files = list(base.glob(pattern)) if any(mark in path for mark in "*?[") else []
    found = sorted(file for file in files if file.is_file())
    if not found:
        raise InputError(
            f"the {table} log has no files",
            got=path,
            allowed="a .parquet, .csv or .ndjson file, a pattern, or a folder of them",
            next_step=f"put files there or set path under [{table}] in the contract",
        )
    return found


def check_path(path: str, *, table: str) -> None:
    """Refuse text that no system takes for a path or a pattern.

    Raises
    ------
    InputError
        A part of it is too long, it holds a zero byte, or ``**`` stands beside other letters.
    """
    parts = Path(path).parts
    long = any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST for part in parts)
    if long or len(parts) > _LONGEST or "\0" in path or any("**" in part and part != "**" for part in parts):
        raise InputError(
            f"the path of the {table} log is no path",
            got=path,
            allowed="a path, or a pattern such as 2026/*.parquet or **/*.csv",
            next_step=f"mend path under [{table}] in the contract",
        )


def _is_data(file: Path, *, base: Path) -> bool:
    """Writers mark what is not data, such as unfinished parts and their own logs, with an underscore or a dot."""
    return not any(part.startswith(("_", ".")) for part in file.relative_to(base).parts)


def describe(found: list[Path], *, path: str, root: Path, table: str) -> list[File]:
    """Name the files for accounts, and read the partition values (``day=2026-05-01``) that their folders carry."""
    base = _fixed(path) if Path(path).is_absolute() else root
    files: list[File] = []
    for file in found:
        folders = file.relative_to(base).parent.parts if file.is_relative_to(base) else ()
        pairs = [folder.partition("=") for folder in folders if "=" in folder.strip("=")]
        values = tuple((unquote(key), None if value == _NO_VALUE else unquote(value)) for key, _, value in pairs)
        name = "/".join([table, *(f"{key}={value}" for key, _, value in pairs), file.name])
        files.append(File(path=file, name=name, partition=values))
    return files


def _fixed(path: str) -> Path:
    """The part of an absolute path before its first wildcard; folders above it are no partitions of the log."""
    parts = Path(path).parts
    wild = [number for number, part in enumerate(parts) if any(mark in part for mark in "*?[")]
    return Path(*parts[: wild[0]]) if wild else Path(path)


def scan_file(file: Path, *, table: str, format: str | None = None, held: bool = False) -> pl.LazyFrame:
    """One file as a lazy frame whose schema is known to be readable; CSV columns stay text.

    ``held`` takes its bytes into memory first: a file that shrinks while it is mapped would end the whole process.

    Raises
    ------
    InputError
        An unknown format, a repeated or missing header, or a file that cannot be read.
    """
    kind = format or FORMATS.get(file.suffix.lower())
    if kind not in ("parquet", "csv", "ndjson"):
        raise InputError(
            f"a file of the {table} log has an unknown format",
            got=file.name,
            allowed=", ".join(sorted(FORMATS)),
            next_step=f"name the file after what it holds, or set format under [{table}] in the contract",
        )
    try:
        # scan_ndjson takes every path for a pattern
        into_memory = held or (kind == "ndjson" and any(mark in str(file) for mark in "*?["))
        source = io.BytesIO(file.read_bytes()) if into_memory else file
        if kind == "parquet":
            frame = pl.scan_parquet(source, hive_partitioning=False, glob=False)
        elif kind == "csv":
            _check_header(file, source, table=table)
            frame = pl.scan_csv(source, infer_schema=False, null_values=[""], glob=False)
        else:
            frame = pl.scan_ndjson(source, infer_schema_length=None)
        with quiet():
            frame.collect_schema()
    except UNREADABLE as error:
        raise unreadable(file, table=table, error=error) from error
    return frame


def unreadable(file: Path, *, table: str, error: BaseException) -> InputError:
    """The error that names a file which cannot be read."""
    lines = str(error).splitlines() or [type(error).__name__]
    reason = "it is damaged inside" if isinstance(error, pl.exceptions.PanicException) else lines[0]
    return InputError(
        f"a file of the {table} log could not be read",
        got=f"{file.name}: {reason}".replace(str(file), file.name),
        allowed="readable Parquet, CSV (UTF-8) or NDJSON",
        next_step="write the file again, or leave its part out with --skip-unreadable, which marks its period",
    )


def check_readable(frame: pl.LazyFrame, *, file: Path, table: str) -> None:
    """Decode every value of a file once, in batches, and forget them; look at the checksums of its pages.

    Raises
    ------
    InputError
        The file is damaged inside; the message names it.
    """
    try:
        with quiet():
            whole = int(frame.select(pl.len()).collect().item())
            read = sum(batch.height for batch in frame.collect_batches(maintain_order=False))
    except UNREADABLE as error:
        raise unreadable(file, table=table, error=error) from error
    if read != whole:  # where a damaged page defeats Polars the batches just end
        raise unreadable(file, table=table, error=OSError("it is damaged inside"))
    check_pages(file, table=table)


def check_pages(file: Path, *, table: str) -> None:
    """Refuse a Parquet file in which a page does not match the checksum that its writer stored.

    Raises
    ------
    InputError
        It names the file and the column. Without checksums nothing can be told.
    """
    damage = damaged_page(file) if file.suffix.lower() in (".parquet", ".pq") else None
    if damage is not None:
        raise unreadable(file, table=table, error=ValueError(damage))


def _check_header(file: Path, source: Path | io.BytesIO, *, table: str) -> None:
    stream = io.BytesIO(source.getbuffer()) if isinstance(source, io.BytesIO) else source.open("rb")
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as handle:
        header = next(csv.reader(handle), [])
    sign = separator_in(header)
    if sign is not None:
        raise InputError(
            f"a file of the {table} log has one column, and it looks separated by {sign}",
            got=f"{file.name}: {header[0]}",
            allowed="CSV files separated by commas",
            next_step="write the file with commas between its columns",
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated or not header:
        raise InputError(
            f"a file of the {table} log has {'a repeated column name' if repeated else 'no header'}",
            got=f"{file.name}: {', '.join(repeated) or 'empty'}",
            allowed="a first line with the names of the columns",
            next_step="give every column its own name in the first line",
        )
