"""Read what a contract names (Parquet, CSV, NDJSON, or a frame in memory) into one Polars frame."""

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from fbkit.errors import InputError
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import SourceFile

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


def read_source(source: Source, *, root: Path, table: str) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    """Read every file of a log, in name order, as one frame.

    Text columns of CSV files stay text here; types are given by the log's own loader, so that an id
    such as ``00123`` keeps its zeros.

    Raises
    ------
    InputError
        No file, an unreadable file, a duplicate header, or files whose columns differ.
    """
    if source.query is not None or source.path is None:
        raise InputError(
            f"the {table} log is a database query, which this version does not read",
            got=source.query,
            allowed="path = a .parquet, .csv or .ndjson file, pattern or folder",
            next_step="export the query to Parquet",
        )
    files = find_files(source.path, root=root, table=table)
    frames, read = [], []
    for file in files:
        frame = read_file(file, table=table, format=source.format)
        frames.append(frame)
        read.append(SourceFile(name=f"{table}/{file.name}", sha256=file_hash(file), rows=frame.height))
    return stack(frames, names=[file.name for file in files], table=table), tuple(read)


def find_files(path: str, *, root: Path, table: str) -> list[Path]:
    """The files behind a path, a pattern or a folder, sorted by name."""
    target = Path(path) if Path(path).is_absolute() else root / path
    if target.is_file():
        return [target]
    if target.is_dir():
        files = [file for file in target.rglob("*") if file.suffix.lower() in _FORMATS]
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


def read_file(file: Path, *, table: str, format: str | None = None) -> pl.DataFrame:
    """Read one file; anything unreadable becomes an InputError that names the file."""
    kind = format or _FORMATS.get(file.suffix.lower())
    try:
        if kind == "parquet":
            return pl.read_parquet(file, hive_partitioning=False)
        if kind == "csv":
            return _read_csv(file, table=table)
        if kind == "ndjson":
            return pl.read_ndjson(file, infer_schema_length=None)
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError, csv.Error, pl.exceptions.PanicException) as error:
        raise InputError(
            f"a file of the {table} log could not be read",
            got=f"{file.name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            allowed="readable Parquet, CSV (UTF-8) or NDJSON",
            next_step="write the file again, or take it out of the folder",
        ) from error
    raise InputError(
        f"a file of the {table} log has an unknown format", got=file.name, allowed=", ".join(sorted(_FORMATS))
    )


def _read_csv(file: Path, *, table: str) -> pl.DataFrame:
    with file.open(encoding="utf-8-sig", newline="") as handle:
        header = next(csv.reader(handle), [])
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated or not header:
        raise InputError(
            f"a file of the {table} log has {'a repeated column name' if repeated else 'no header'}",
            got=f"{file.name}: {', '.join(repeated) or 'empty'}",
            next_step="give every column its own name in the first line",
        )
    return pl.read_csv(file, infer_schema=False, null_values=[""])


def stack(frames: Sequence[pl.DataFrame], *, names: Sequence[str], table: str) -> pl.DataFrame:
    """One frame from many files; a file with other columns or types is named, not padded."""
    first = frames[0]
    for frame, name in zip(frames, names, strict=True):
        if set(frame.columns) != set(first.columns):
            differing = sorted(set(frame.columns) ^ set(first.columns))
            raise InputError(
                f"the files of the {table} log have different columns",
                got=f"{name}: {', '.join(differing)} only in one of {names[0]}, {name}",
                next_step="write the files with the same columns",
            )
    try:
        return pl.concat([frame.select(first.columns) for frame in frames], how="vertical_relaxed", rechunk=True)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"the files of the {table} log have different types", got=str(error).splitlines()[0]
        ) from error


def read_frame(data: Any, *, table: str) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    """Accept a frame in memory: Polars eager or lazy, pandas, Arrow, or anything narwhals understands."""
    frame = _to_polars(data, table=table)
    objects = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
    if objects:
        raise InputError(
            f"the {table} log holds Python objects",
            got=", ".join(objects),
            allowed="columns of text, numbers, booleans or times",
            next_step="cast these columns or drop them",
        )
    return frame, (SourceFile(name=f"{table} (frame)", sha256=frame_hash(frame), rows=frame.height),)


def _to_polars(data: Any, *, table: str) -> pl.DataFrame:
    if isinstance(data, pl.DataFrame):
        return data
    if isinstance(data, pl.LazyFrame):
        try:
            return data.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"the lazy {table} log could not be collected", got=str(error).splitlines()[0]) from error
    try:
        native = nw.from_native(data)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        return eager.to_polars()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the {table} log is not a data frame",
            got=type(data).__name__,
            allowed="a Polars, pandas or Arrow frame, or a path",
        ) from error


def file_hash(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's content as an Arrow stream; the row order counts, chunking does not."""
    buffer = io.BytesIO()
    frame.rechunk().write_ipc(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()
