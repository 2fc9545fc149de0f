"""Read what a contract names (Parquet, CSV, NDJSON, or a frame in memory) into one Polars frame."""

import hashlib
import io
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from fbkit.errors import InputError
from fbkit.load.scan import scan_source
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import SourceFile


def read_source(source: Source, *, root: Path, table: str) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    """Read every row of a log as one frame: :func:`fbkit.load.scan.scan_source`, collected.

    Raises
    ------
    InputError
        No file, an unreadable file, a duplicate header, files whose columns differ, or one that changes while read.
    """
    scan = scan_source(source, root=root, table=table)
    frame = scan.collect()
    return frame, scan.sources(frame)


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


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's content as an Arrow stream; the row order counts, chunking does not."""
    buffer = io.BytesIO()
    frame.rechunk().write_ipc(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()
