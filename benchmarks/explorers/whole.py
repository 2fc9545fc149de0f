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
    """Acts on the linked page, each until the last picture that it changes is painted."""
    found: dict[str, Any] = {}
    notebook = opener.open([LOOP.format(folder=str(plan.loop)), "fb.explore(loop)"])
    try:
        notebook.run(0)
        waited = [notebook.run(1, pictures=count) / 1000 for count in (1, 4)]
        found["first picture, then four"] = {"seconds": round(waited[0], 2), "four": round(waited[1], 2)}
        notebook.page.wait_for_timeout(3000)
        for name, acts in {
            "as-of by a day": _days_back,
            "brush of days": _brushes,
            "click on a slice": _clicks,
        }.items():
            found[name] = _times(acts(notebook, plan.moves))
    except FailedError as why:
        found["not measured"] = str(why)
    opener.close()
    return found


def _times(acts: list[tuple[float, int]]) -> dict[str, float]:
    """Figures of those acts that changed something."""
    told = [(waited, charts) for waited, charts in acts if charts]
    if not told:
        return {"moves": 0}
    return {**summary([[waited for waited, _ in told]]), "pictures": median(charts for _, charts in told)}


def _days_back(notebook: Notebook, times: int) -> list[tuple[float, int]]:
    handle = notebook.handle(1, "as known at (UTC)")
    handle.focus()
    acts = [notebook.act(1, "keydown", lambda: notebook.page.keyboard.press("ArrowLeft")) for _ in range(times)]
    for _ in range(times):
        notebook.act(1, "keydown", lambda: notebook.page.keyboard.press("ArrowRight"))
    return acts


def _box(notebook: Notebook, picture: int) -> dict[str, float]:
    canvas = notebook.page.locator("[data-bench='1'] .fbkit-canvas canvas").nth(picture)
    canvas.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(300)
    return canvas.bounding_box() or {}


def _brushes(notebook: Notebook, times: int) -> list[tuple[float, int]]:
    """Drag over the days of the first picture, each time to another day; the act is the last step of the drag."""
    mouse, box = notebook.page.mouse, _box(notebook, 0)
    start, height = box["x"] + 0.35 * box["width"], box["y"] + 0.45 * box["height"]
    acts: list[tuple[float, int]] = []
    mouse.move(start, height)
    mouse.down()
    mouse.move(start + 40, height)
    notebook.page.wait_for_timeout(1500)
    for turn in range(times):
        x = start + 60 + 12 * turn
        acts.append(notebook.act(1, "pointermove", lambda x=x: mouse.move(x, height)))
    mouse.up()
    mouse.dblclick(start + 10, height)
    notebook.idle()
    return acts


def _clicks(notebook: Notebook, times: int) -> list[tuple[float, int]]:
    """Click on bars of the slices: other slices in turn, as a second click on one lets it go."""
    mouse, box = notebook.page.mouse, _box(notebook, 1)
    acts: list[tuple[float, int]] = []
    for turn in range(2 * times):
        y = box["y"] + (0.35 + 0.5 * ((turn * 0.381966) % 1)) * box["height"]
        acts.append(notebook.act(1, "click", lambda y=y: mouse.click(box["x"] + 0.4 * box["width"], y)))
        if sum(charts > 0 for _, charts in acts) >= times:
            break
    return acts
