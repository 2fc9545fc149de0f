"""What a library says on standard error, below Python, when damaged bytes defeat it; the kit has its own words."""

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator

import polars as pl

_GAVE_UP = b"panicked at"
_lock = threading.RLock()
_depth = [0]


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Hold back what is written to standard error below Python; it is passed on unless a thread gave up.

    Examples
    --------
    >>> with quiet():
    ...     text = "nothing to say"
    """
    with _lock:
        kept = _redirected() if not _depth[0] else None
        _depth[0] += 1
        try:
            yield
        except pl.exceptions.PanicException as error:
            # An interrupt that arrives while Polars calls back into Python comes out as its panic.
            if "KeyboardInterrupt" in str(error):
                raise KeyboardInterrupt from error
            raise
        finally:
            _depth[0] -= 1
            if kept is not None:
                _restore(*kept)


def _redirected() -> tuple[int, int] | None:
    try:
        error = os.dup(2)
    except OSError:  # there is no standard error, as in a service
        return None
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sys.stderr.flush()
    caught, name = tempfile.mkstemp(prefix="fbkit-")
    os.unlink(name)  # noqa: PTH108 - a name that is gone at once
    os.dup2(caught, 2)
    return error, caught


def _restore(error: int, caught: int) -> None:
    told = _read(caught)
    if _GAVE_UP in told or isinstance(sys.exc_info()[1], pl.exceptions.PanicException):
        _settle(caught)
        told = b""
    os.dup2(error, 2)
    os.write(error, told)
    os.close(caught)
    os.close(error)


def _read(caught: int) -> bytes:
    os.lseek(caught, 0, os.SEEK_SET)
    return os.read(caught, os.fstat(caught).st_size)


def _settle(caught: int) -> None:
    """Wait until other threads of the same failure have had their say: nothing new for 0.4 s, two seconds at most."""
    size, still = -1, 0
    for _ in range(20):
        now = os.fstat(caught).st_size
        still = still + 1 if now == size else 0
        if still == 4:
            return
        size = now
        time.sleep(0.1)
