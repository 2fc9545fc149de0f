"""What is measured: each function opens the notebooks that it needs and returns a small table of figures."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.explorers.page import Notebook, Opener, summary

ROOT = Path(__file__).resolve().parents[2]
HEAD = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
PREPARE = """\
from pathlib import Path
from benchmarks.explorers import data
thing = data.opened(Path({folder!r}))
import fbkit as fb
"""
BARE = """\
from benchmarks.explorers import prototypes as bare
import polars as pl
cube = bare.Cube(pl.read_parquet({folder!r} + "/joined/*.parquet", columns=["ts_pred", "score", "label"]))
bare.prepare()
"""
MEMORY = """\
import json
said = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({name: int(said[name].split()[0]) / 1000 for name in ("VmHWM", "VmRSS")}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where the data are, and how much patience there is."""

    data: Path
    rounds: int
    quick: bool

    @property
    def moves(self) -> int:
        return 12 if self.quick else 30

    def ours(self) -> str:
        return HEAD + PREPARE.format(folder=str(self.data))

    def bare(self) -> str:
        return BARE.format(folder=str(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to draw: a cell, and how to move what it shows. Without ``marker`` it is ours."""

    name: str
    cell: str
    marker: str | None = None
    label: str | None = None
    key: str = "Arrow"


BARE_TEXT = r"^recall, threshold "
ARMS = (
    Arm(name="(t) bare thin view", cell="bare.thin(cube)", marker=BARE_TEXT),
    Arm(name="(b) bare, values in a param, canvas", cell="bare.param(cube)", marker=BARE_TEXT),
    Arm(name="(a) bare, chart rebuilt, canvas", cell="bare.rebuilt(cube, renderer='canvas')", marker=BARE_TEXT),
    Arm(name="(a) bare, chart rebuilt, SVG", cell="bare.rebuilt(cube, renderer='svg')", marker=BARE_TEXT),
    Arm(name="(d) bare, redisplayed in an output", cell="bare.redisplayed(cube)", marker=BARE_TEXT),
    Arm(name="slices, threshold slider", cell="fb.explore.slices(thing)", label="score ≥"),
)
EXPLORERS = ("slices", "calibration", "availability", "drift", "thresholds", "predictions")
TWELVE = (
    ("(t) bare thin views, shared runtime", "bare.twelve(cube, bare.thin_view)"),
    ("(b) bare, a bundle for each", "bare.twelve(cube, bare.param_chart)"),
    ("twelve live charts", "ours.twelve_charts(one)"),
    ("twelve explorers", "ours.twelve_explorers(thing)"),
)


def there(notebook: Notebook, cell: int, names: Sequence[str]) -> list[str]:
    """Which of the explorers this version of fbkit has; ``cell`` prints them."""
    offered = json.loads(notebook.said(cell))
    return [name for name in names if name in offered]


def in_turn(items: Sequence[Any], turn: int) -> list[Any]:
    """Every other round in the opposite order."""
    return list(items if turn % 2 == 0 else reversed(items))


def moves(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Key press to painted picture of every way, in rounds."""
    notebook = opener.open([plan.ours() + plan.bare(), *(arm.cell for arm in ARMS)])
    notebook.run(0)
    totals: dict[str, list[list[float]]] = {arm.name: [] for arm in ARMS}
    parts: dict[str, list[list[float]]] = {arm.name: [] for arm in ARMS}
    for turn in range(plan.rounds):
        for arm in in_turn(ARMS, turn):
            cell = 1 + ARMS.index(arm)
            notebook.run(cell, pictures=1)
            # Each round sees other values than the one before it, so that nobody answers from memory.
            key = arm.key + ("Right", "Left")[turn % 2] if arm.key == "Arrow" else arm.key
            found = notebook.moves(cell, key=key, times=plan.moves, marker=arm.marker, label=arm.label, wanted=1)
            totals[arm.name].append(found.total)
            parts[arm.name] += found.parts
            notebook.clear(cell)
    opener.close()
    thin = summary(totals[ARMS[0].name])
    return {
        name: {**summary(rounds), **_shares(parts[name]), "ratio": round(summary(rounds)["median"] / thin["median"], 2)}
        for name, rounds in totals.items()
    }


def _shares(parts: list[list[float]]) -> dict[str, float]:
    """Where the median move spends its time."""
    names = ("to the socket", "kernel and wire", "to the picture", "to the paint")
    return {name: round(median(values), 1) for name, values in zip(names, zip(*parts, strict=True), strict=True)}


def twelve(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Twelve charts in one output, of each kind in a kernel and page of its own."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in TWELVE}
    for turn in range(plan.rounds):
        for name, cell in in_turn(TWELVE, turn):
            ours = not cell.startswith("bare")
            start = plan.ours() + (
                "from benchmarks.explorers import ours\none = ours.one(thing)" if ours else plan.bare()
            )
            notebook = opener.open([start, cell])
            notebook.run(0)
            waited = notebook.run(1, pictures=12) or 0.0
            found[name].append((waited / 1000, notebook.megabytes()))
            opener.close()
    return {
        name: {
            "seconds": round(median(s for s, _ in rounds), 2),
            "megabytes": round(median(m for _, m in rounds), 2),
            "rounds": len(rounds),
        }
        for name, rounds in found.items()
    }


def first(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Seconds from running an explorer's cell to its picture."""
    offered = "import json\nprint(json.dumps([n for n in dir(fb.explore) if not n.startswith('_')]))"
    cells = [plan.ours(), offered, *(f"fb.explore.{name}(thing)" for name in EXPLORERS)]
    cold: dict[str, list[float]] = {}
    warm: dict[str, list[float]] = {}
    for turn in range(plan.rounds):
        for name in in_turn(EXPLORERS if turn or not plan.quick else EXPLORERS[:1], turn):
            notebook = opener.open(cells)
            notebook.run(0)
            notebook.run(1)
            if name in there(notebook, 1, EXPLORERS):
                order = [name, *(other for other in there(notebook, 1, EXPLORERS) if other != name)]
                _first_pictures(notebook, order, cold, warm)
            opener.close()
            if plan.quick:
                break
    return {
        name: {
            "later": round(median(warm[name]) / 1000, 2) if warm.get(name) else None,
            "in a fresh kernel": round(median(cold[name]) / 1000, 2) if cold.get(name) else None,
        }
        for name in warm | cold
    }


def _first_pictures(
    notebook: Notebook, order: list[str], cold: dict[str, list[float]], warm: dict[str, list[float]]
) -> None:
    for place, name in enumerate([*order, order[0]]):
        cell = 2 + EXPLORERS.index(name)
        waited = notebook.run(cell, pictures=1) or 0.0
        (warm if place else cold).setdefault(name, []).append(waited)
        notebook.clear(cell)
