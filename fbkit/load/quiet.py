"""What a library says on standard error, below Python, when damaged bytes defeat it; the kit has its own words."""

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator

_lock = threading.RLock()
_depth = [0]


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Hold back what is written to standard error below Python; it is passed on unless the body raises.

    Examples
    --------
    >>> with quiet():
    ...     text = "nothing to say"
    """
    with _lock:
        kept = _redirected() if not _depth[0] else None
        _depth[0] += 1
        whole = False
        try:
            yield
            whole = True
        finally:
            _depth[0] -= 1
            if kept is not None:
                if not whole:
                    _settle(kept[1])
                _restore(*kept, pass_on=whole)


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


def _settle(caught: int) -> None:
    """Wait until the threads that were still at work have had their say: nothing new for 50 ms, half a second at most."""
    size = -1
    for _ in range(10):
        if os.fstat(caught).st_size == size:
            return
        size = os.fstat(caught).st_size
        time.sleep(0.05)


def _restore(error: int, caught: int, *, pass_on: bool) -> None:
    os.dup2(error, 2)
    size = os.lseek(caught, 0, os.SEEK_END)
    if pass_on and size:
        os.lseek(caught, 0, os.SEEK_SET)
        os.write(error, os.read(caught, size))
    os.close(caught)
    os.close(error)
