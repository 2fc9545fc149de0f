"""Files and folders that appear whole or not at all."""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fbkit.errors import OutputError

MANIFEST: Final = "manifest.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_RENAME_EXCHANGE = 2
_CURRENT_FOLDER = -100


def sha256(content: bytes) -> str:
    """The content's SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def write_file(path: str | Path, content: bytes) -> Path:
    """Write one file: to a temporary name beside it, to disk, then into place. A link is replaced, not followed.

    Raises
    ------
    OutputError
        The folder cannot be written; what stood there before is untouched.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_new(temporary, content)
        temporary.replace(target)
    except OSError as error:
        raise failed(target, error) from error
    finally:
        clear(temporary)
    return target


def write_folder(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write a whole folder at once; an older bundle of ours is replaced in one step.

    Parameters
    ----------
    folder
        Where the bundle goes. If it exists it must be empty or an unedited bundle (its ``manifest.json``
        names every file and still matches), so that nobody's own files or notes are lost.
    files
        Content by relative name, for example ``figures/ladder.svg``; names come from a fixed alphabet.

    Raises
    ------
    OutputError
        The folder is a link, holds files that are not ours or were edited, or cannot be written.
        Nothing half-written stays behind and the previous bundle is untouched.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow the link that is refused next)
    for name in files:
        _check_name(name)
    _check_replaceable(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _fill(temporary, files)
        put_in_place(temporary, target)
    except OSError as error:
        raise failed(target, error) from error
    finally:
        clear(temporary)
    return target


def replace_folder(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder anew in one step, whatever stands in it; files that are not among ``files`` are kept as they are.

    For a caller that has read the folder and carries on what people changed in it.

    Raises
    ------
    OutputError
        The folder or something in it is a link, or it cannot be written. What stood there before is untouched.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow the link that is refused next)
    for name in files:
        _check_name(name)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        kept = _others(target, files)
        _fill(temporary, files)
        for path in kept:
            place = temporary / path.relative_to(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place, follow_symlinks=False)
        put_in_place(temporary, target)
    except OSError as error:
        raise failed(target, error) from error
    finally:
        clear(temporary)
    return target


def _others(target: Path, files: Mapping[str, bytes]) -> list[Path]:
    """What else stands in the folder; a link or a pipe in it is refused."""
    found = [target, *sorted(target.rglob("*"))]
    strange = [path for path in found if path.is_symlink() or not (path.is_dir() or path.is_file())]
    if strange:
        raise OutputError(
            "the folder holds a link or something else that is no file, and that is not followed",
            got=", ".join(path.name for path in strange[:5]),
            allowed="plain files and folders",
            next_step="move it away, then try again",
        )
    return [path for path in found if path.is_file() and path.relative_to(target).as_posix() not in files]


def _check_name(name: str) -> None:
    if not all(_NAME.fullmatch(part) for part in name.split("/")):
        raise OutputError(
            "a file name is not allowed",
            got=name,
            allowed="lower-case letters, digits, . _ -",
            next_step="give the file another name",
        )


def _check_replaceable(target: Path) -> None:
    if target.is_symlink():
        raise OutputError(
            "the folder is a link, and links are not followed",
            got=target.name,
            allowed="a folder, or a name that is free",
            next_step="name the folder itself",
        )
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(
            "a file stands where the folder should go",
            got=target.name,
            allowed="a folder, or a name that is free",
            next_step="choose another folder",
        )
    found = {
        str(path.relative_to(target)): path
        for path in sorted(target.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }
    listed = _listed(found.pop(MANIFEST, None))
    strange = [
        name for name, path in found.items() if path.is_symlink() or listed.get(name) != sha256(path.read_bytes())
    ]
    if strange:
        raise OutputError(
            "the folder holds files that this call did not write, or that were edited since",
            got=", ".join(strange[:5]),
            allowed="an empty folder, or a bundle as it was written",
            next_step="choose another folder, or move those files away",
        )


def _listed(manifest: Path | None) -> dict[str, str]:
    if manifest is None or manifest.is_symlink():
        return {}
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return {str(item["name"]): str(item["sha256"]) for item in content["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _fill(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, content)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet, to disk."""
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def put_in_place(temporary: Path, target: Path) -> None:
    """Move a finished folder to its name, in place of the one that is there; in one step where the system can."""
    if not target.exists() or not any(target.iterdir()):
        temporary.rename(target)
    elif not _exchange(temporary, target):
        aside = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
        target.rename(aside)
        try:
            temporary.rename(target)
        except BaseException:  # an interrupt too must not leave the name empty
            aside.rename(target)
            raise
        clear(aside)


def clear(path: Path) -> None:
    """Remove a temporary file or folder; an interrupt waits until it is gone."""
    try:
        _remove(path)
    except KeyboardInterrupt:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step where the system can; False where it cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return rename(_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other), _RENAME_EXCHANGE) == 0


def failed(target: Path, error: OSError) -> OutputError:
    """What to tell of a file or folder that could not be written."""
    reason = errno.errorcode.get(error.errno or 0, "error")
    return OutputError(
        f"could not write {target.name}",
        got=f"{error.strerror or error} ({reason})",
        allowed="a folder that can be written, on a disk with room",
        next_step="choose another folder, or make room; what stood there before is untouched",
    )
