"""``python -m tests.fuzz FIRST LAST``: run cases by number and keep the folders of those that fail."""

import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.fuzz.case import make
from tests.fuzz.exercise import exercise


def run(first: int, last: int) -> None:
    """Print how the cases ended; a failing one is written beside the others in a temporary folder."""
    ends: Counter[str] = Counter()
    kept = Path(tempfile.gettempdir()) / "fbkit-fuzz"
    started = time.perf_counter()
    for number in range(first, last):
        case = make(number)
        folder = kept / f"case-{number}"
        case.write(folder)
        try:
            end = exercise(folder)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            frames = [
                frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename
            ]
            lines = [f"  {frame.filename}:{frame.lineno} {frame.line}" for frame in frames[-3:]]
            told = "\n".join(
                [f"{number} {case.how} {case.steps}", *lines, f"{type(error).__name__}: {str(error)[:500]}"]
            )
            sys.stdout.write(f"{told}\n\n")
            ends["failed"] += 1
            continue
        ends[end] += 1
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    sys.stdout.write(f"{dict(ends)} in {time.perf_counter() - started:.1f} s\n")


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
