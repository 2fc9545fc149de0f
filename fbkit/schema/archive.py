"""Several small files in one: a zip archive with the same bytes for the same content, and a reader that is on guard."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fbkit.errors import InputError

MOST_FILES: Final = 2_000
MOST_BYTES: Final = 64 * 2**20  # of the archive, and of each file in it
MOST_TOGETHER: Final = 256 * 2**20
_NAME = re.compile(r"(?:[a-z0-9][a-z0-9_.-]{0,99}/){0,4}[a-z0-9][a-z0-9_.-]{0,99}")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip archive can tell


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as one archive, in their order; without times, owners or anything else of this machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"a file name that is not allowed in an archive: {name!r}")
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            # What is compressed already would only grow.
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(".parquet") else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=6)
    return buffer.getvalue()


def unpack(path: str | Path, *, what: str) -> dict[str, bytes]:
    """The files of an archive by name, read into memory; nothing is written anywhere.

    Before a byte of content is read: the archive's size, the number of its files, their names (no path that leads
    elsewhere) and the sizes they will have. ``what`` is what the file should be, for messages.

    Raises
    ------
    InputError
        It is missing, no archive, damaged, or larger than anything that :func:`pack` is used for.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _refused(file, what, f"{file.stat().st_size:,} bytes")
        with zipfile.ZipFile(file) as archive:
            _check(archive, file, what)
            return {entry.filename: _read(archive, entry) for entry in archive.infolist()}
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {what} here", got=file.name, allowed=f"the file of a {what}", next_step="name the file"
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise _refused(file, what, f"{type(error).__name__}: {error}".splitlines()[0]) from error
    except OSError as error:
        raise _refused(file, what, error.strerror or type(error).__name__) from error


def _check(archive: zipfile.ZipFile, file: Path, what: str) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    strange = next((name for name in names if not _NAME.fullmatch(name)), None)
    if strange is not None:
        raise _refused(file, what, f"a file name that is not ours: {strange!r}"[:200])
    if len(entries) > MOST_FILES or len(set(names)) < len(names):
        raise _refused(file, what, f"{len(entries):,} files" if len(entries) > MOST_FILES else "one name twice")
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise _refused(file, what, "a file with a password")
    sizes = [entry.file_size for entry in entries]
    if max(sizes, default=0) > MOST_BYTES or sum(sizes) > MOST_TOGETHER:
        raise _refused(file, what, f"{sum(sizes):,} bytes when unpacked, {max(sizes):,} in one file")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename} has another size than the archive says")
    return content


def _refused(file: Path, what: str, why: str) -> InputError:
    return InputError(
        f"{file.name} is not a {what} that can be read",
        got=why,
        allowed=f"a {what} as it was written, of at most {MOST_BYTES // 2**20} MB",
        next_step="copy it again, or have it written again",
    )
