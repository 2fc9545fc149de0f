"""What identifies a file or a frame: SHA-256 of its content."""

import hashlib
import io
from pathlib import Path

import polars as pl


def file_hash(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def frame_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's content as an Arrow stream; the row order counts, chunking does not."""
    buffer = io.BytesIO()
    frame.rechunk().write_ipc(buffer)
    return hashlib.sha256(buffer.getvalue()).hexdigest()
