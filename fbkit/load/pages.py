"""What a Parquet file says about itself: checksums of its pages, and the first and last time of a column."""

import mmap
import os
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

Fields = dict[int, Any]
_MAGIC = b"PAR1"
_HELD_BYTES = 64_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 2
_TIMESTAMP = 8
# A timestamp's unit, by its number in the format: how many of them make a microsecond, or the other way round.
_UNITS = {1: (1000, 1), 2: (1, 1), 3: (1, 1000)}
# What a file that is damaged, encrypted or newer than this reader makes of it.
ODD = (IndexError, KeyError, TypeError, ValueError, OverflowError)


def damaged_page(file: Path) -> str | None:
    """The first page whose bytes do not give its checksum, in words; None if there is none.

    Most readers, Polars among them, do not look at the checksums, and a damaged page that still decodes gives wrong
    values without an error. Writers may leave checksums out; then nothing can be told.

    References
    ----------
    Apache Parquet format, ``parquet.thrift`` (PageHeader.crc: CRC-32 of the page's bytes as they are stored).
    """
    try:
        with file.open("rb") as handle, _mapped(handle) as content:
            for group, row_group in enumerate(_footer(content)[4]):
                for chunk in row_group[1]:
                    if not _chunk_is_whole(content, chunk[3]):
                        column = b".".join(chunk[3][3]).decode(errors="replace")
                        return f"a page of column {column} in row group {group} does not match its checksum"
    except ODD:
        return None  # whoever reads the rows will say what is wrong
    return None


def time_range(file: Path, *, column: str) -> tuple[datetime, datetime] | None:
    """The first and last value of a UTC timestamp column by the statistics in the footer, None if they do not say."""
    try:
        with file.open("rb") as handle, _mapped(handle) as content:
            footer = _footer(content)
            leaf = next(item for item in footer[2] if item.get(4) == column.encode() and item.get(1) == _INT64)
            factor, divisor = _UNITS[next(iter(leaf[10][_TIMESTAMP][2]))]
            chunks = [chunk[3] for group in footer[4] for chunk in group[1]]
            told = [chunk[12] for chunk in chunks if chunk[3] == [column.encode()]]
            first = min(int.from_bytes(item[6], "little", signed=True) for item in told)
            last = max(int.from_bytes(item[5], "little", signed=True) for item in told)
            moments = [_EPOCH + timedelta(microseconds=value * factor // divisor) for value in (first, last)]
    except (OSError, StopIteration, *ODD):
        return None
    return moments[0], moments[1]


def _mapped(handle: BinaryIO) -> mmap.mmap:
    """The bytes of a file; short ones are copied, because a file that shrinks while it is mapped ends the process."""
    if os.fstat(handle.fileno()).st_size > _HELD_BYTES:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    content = handle.read()
    held = mmap.mmap(-1, max(len(content), 1))
    held[: len(content)] = content
    return held


def _footer(content: mmap.mmap) -> Fields:
    if content[:4] != _MAGIC or content[-4:] != _MAGIC:
        raise ValueError("no Parquet file, or one whose footer is encrypted")
    length = int.from_bytes(content[-8:-4], "little")
    return _struct(content[-8 - length : -8], 0)[0]


def _chunk_is_whole(content: mmap.mmap, chunk: Fields) -> bool:
    """Every page of a column chunk gives its checksum; a chunk without checksums counts as whole."""
    position = min(chunk[9], chunk.get(11) or chunk[9])
    end = position + chunk[7]
    while position < end:
        header, start = _struct(content, position)
        stored = header.get(4)
        if stored is None:
            return True
        if header[3] < 0:
            raise ValueError("a page of negative length")
        position = start + header[3]
        if zlib.crc32(content[start:position]) != stored & 0xFFFFFFFF:
            return False
    return True


def _struct(data: bytes | mmap.mmap, position: int) -> tuple[Fields, int]:
    """A structure in Thrift's compact form: its fields by number, and where it ends."""
    fields: Fields = {}
    number = 0
    while True:
        head = data[position]
        position += 1
        if head == 0:
            return fields, position
        if head >> 4:
            number += head >> 4
        else:
            number, position = _whole(data, position)
        kind = head & 15
        if kind in (1, 2):
            fields[number] = kind == 1
        else:
            fields[number], position = _value(data, position, kind)


def _value(data: bytes | mmap.mmap, position: int, kind: int) -> tuple[Any, int]:
    if kind in (4, 5, 6):
        return _whole(data, position)
    if kind in (1, 2, 3):  # in a list a truth value takes a byte
        return data[position], position + 1
    if kind == 7:
        return data[position : position + 8], position + 8
    if kind == 8:
        length, position = _length(data, position)
        return data[position : position + length], position + length
    if kind in (9, 10):
        return _list(data, position)
    if kind == 12:
        return _struct(data, position)
    raise ValueError(f"kind {kind} does not occur in Parquet")


def _list(data: bytes | mmap.mmap, position: int) -> tuple[list[Any], int]:
    head = data[position]
    size, position = (head >> 4, position + 1) if head >> 4 != 15 else _length(data, position + 1)
    items: list[Any] = []
    for _ in range(size):
        item, position = _value(data, position, head & 15)
        items.append(item)
    return items, position


def _length(data: bytes | mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7


def _whole(data: bytes | mmap.mmap, position: int) -> tuple[int, int]:
    value, position = _length(data, position)
    return (value >> 1) ^ -(value & 1), position
