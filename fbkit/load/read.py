"""Read what a contract names, or a frame in memory, into one Polars frame."""

from pathlib import Path
from typing import Any

import polars as pl

from fbkit.load.frames import scan_frame
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
    """Accept a frame in memory: Polars eager or lazy, pandas, Arrow, a DuckDB relation."""
    scan = scan_frame(data, table=table)
    frame = scan.collect()
    return frame, scan.sources(frame)
