"""How one piece of work is measured in a fresh process: wall clock, processor time, peak memory; standard library only.

A script says how to load the rows, the work, and which numbers it found. Imports and the loading are not timed (they
are reported apart). The same call is first made on a small part of the rows, so that what a library imports or
prepares at its first use is not timed either; then twice on all of them: the first time the process asks the system
for memory, the second it has it. The better of the two counts, and the first is reported beside it.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Work = Callable[[Any], Any]
Numbers = Callable[[Any], Mapping[str, float]]

SMALL = 60_000
_CALLS = 2
# This module is the first that a script imports after the standard library.
STARTED = time.perf_counter()


class Task:
    """One piece of work: ``load(path, step)`` gives every step-th row in the library's own form, ``work`` is timed."""

    def __init__(self, *, load: Callable[[str, int], Any], work: Work, numbers: Numbers) -> None:
        self.load = load
        self.work = work
        self.numbers = numbers


def main(tasks: Mapping[str, Task], *, version: str) -> None:
    """Measure the task named on the command line."""
    imported = time.perf_counter() - STARTED
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=list(tasks))
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, required=True)
    options = parser.parse_args()
    task = tasks[options.task]
    task.work(task.load(options.data, max(1, options.rows // SMALL)))
    loaded = task.load(options.data, 1)
    before = _memory("VmRSS")
    _forget_peak()
    calls = [timed(task.work, loaded) for _ in range(_CALLS)]
    found = {
        "version": version,
        "import_seconds": imported,
        "first_wall_seconds": calls[0][1],
        "wall_seconds": min(wall for _, wall, _ in calls),
        "processor_seconds": min(processor for _, _, processor in calls),
        "memory_before_mb": before,
        "memory_peak_mb": _memory("VmHWM"),
        "numbers": dict(task.numbers(calls[-1][0])),
    }
    Path(options.out).write_text(json.dumps(found), encoding="utf-8")


def timed(work: Work, loaded: Any) -> tuple[Any, float, float]:
    """What the work made, its seconds by the wall clock and of the processor."""
    wall, processor = time.perf_counter(), _processor()
    made = work(loaded)
    return made, time.perf_counter() - wall, _processor() - processor


def _processor() -> float:
    """Processor seconds of this process and of those it started and awaited."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _forget_peak() -> None:
    """Let the peak of the resident memory start anew, so that it is the work's and not the loading's."""
    if os.access("/proc/self/clear_refs", os.W_OK):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _memory(kind: str) -> float:
    """Resident megabytes now (VmRSS) or at their peak (VmHWM)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    lines = (line.split() for line in status.splitlines() if line.startswith(f"{kind}:"))
    return round(int(next(lines)[1]) / 1024, 1)
