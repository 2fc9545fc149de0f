"""What concerns a whole page: four linked charts, memory, and the document beside the peers' reports."""

import json
import subprocess
import sys
from statistics import median
from typing import Any

from benchmarks.explorers.page import FailedError, Notebook, Opener, summary
from benchmarks.explorers.plan import HEAD, ROOT, Plan

MEMORY = """\
import json
said = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({name: int(said[name].split()[0]) / 1000 for name in ("VmHWM", "VmRSS")}))
"""
LOOP = HEAD + "import fbkit as fb\nloop = fb.open_loop({folder!r})\n"
# As the pages of the table in docs/results.md were written: Evidently 0.7.23, the same number of predictions.
EVIDENTLY_MEGABYTES = 3.9


def memory(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Peak of the kernel and heap of the page, with one explorer and with the linked page."""
    found: dict[str, Any] = {}
    empty = opener.open([MEMORY])
    empty.run(0)
    found["a page and a kernel with nothing"] = _held(empty, 0)
    opener.close()
    cells = {"one explorer": (plan.ours(), "fb.explore.slices(thing)", 1)}
    if plan.loop.exists():
        cells["the linked page"] = (LOOP.format(folder=str(plan.loop)), "fb.explore(loop)", 2)
    for name, (start, cell, pictures) in cells.items():
        notebook = opener.open([start, cell, MEMORY])
        try:
            found[name] = _used(notebook, pictures)
        except FailedError as why:
            found[name] = str(why)
        opener.close()
    return found


def _used(notebook: Notebook, pictures: int) -> dict[str, float]:
    """What is held after some moves."""
    notebook.run(0)
    notebook.run(1, pictures=pictures)
    for _ in range(5):
        notebook.handle(1, None).press("ArrowRight")
        notebook.page.wait_for_timeout(300)
    notebook.idle()
    notebook.run(2)
    return _held(notebook, 2)


def _held(notebook: Notebook, cell: int) -> dict[str, float]:
    kernel = json.loads(notebook.said(cell))
    return {
        "kernel, peak": round(kernel["VmHWM"]),
        "kernel, now": round(kernel["VmRSS"]),
        "page": round(notebook.heap_megabytes()),
    }


def peers(_: Opener, plan: Plan) -> dict[str, Any]:
    """The document of the same number of predictions as the peers' reports, whose seconds are in the baselines."""
    command = [sys.executable, str(ROOT / "benchmarks" / "explorers" / "dossier.py"), str(plan.loop)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    ours = json.loads(done.stdout)
    baseline = json.loads((ROOT / "benchmarks" / "baselines" / "peers.json").read_text())
    theirs = next(line for line in baseline["table"] if line["task"] == "report")
    seconds = theirs["theirs"]["wall_seconds"]
    return {
        "incident document": {name: round(value, 2) for name, value in ours.items()},
        theirs["peer"]: {"seconds": round(seconds, 2), "html": EVIDENTLY_MEGABYTES},
        "times smaller, times faster": {
            "html": round(EVIDENTLY_MEGABYTES / ours["html"], 1),
            "seconds": round(seconds / ours["seconds"], 1),
        },
    }


def linked(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Acts on the linked page that change four charts, each until the last of them is painted."""
    notebook = opener.open([LOOP.format(folder=str(plan.loop)), "fb.explore(loop)"])
    try:
        notebook.run(0)
        waited = [notebook.run(1, pictures=4)]
    except FailedError as why:
        return {"the page": str(why)}
    found: dict[str, list[list[float]]] = {}
    for turn in range(plan.rounds):
        key = ("ArrowLeft", "ArrowRight")[turn % 2]
        for name, label in (("as-of slider", "as of"), ("threshold slider", "score ≥")):
            if notebook.handle(1, label).count():
                moved = notebook.moves(1, key=key, times=plan.moves, marker=None, label=label, wanted=4)
                found.setdefault(name, []).append(moved.total)
    opener.close()
    acts = {name: summary(rounds) for name, rounds in found.items()}
    return {"first picture of four": {"seconds": round(median(waited) / 1000, 2)}, **acts}
