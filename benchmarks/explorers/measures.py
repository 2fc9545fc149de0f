"""What is measured of single explorers and charts: moves, charts by the dozen, first pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from benchmarks.explorers.page import FailedError, Moves, Notebook, Opener, summary
from benchmarks.explorers.plan import Plan

OURS = "from benchmarks.explorers import ours\n"
BARE_TEXT = r"^recall, threshold "
PARTS_OF_A_MOVE = ("to the socket", "kernel and wire", "to the picture", "to the paint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to draw: a cell, and the slider that moves it. Without ``marker``, a text that changes, it is ours."""

    name: str
    cell: str
    marker: str | None = None
    label: str | None = None
    key: str | None = None


BARE_ARMS = (
    Arm(name="(t) bare thin view", cell="bare.thin(cube)", marker=BARE_TEXT),
    Arm(name="(b) bare, values in a param, canvas", cell="bare.param(cube)", marker=BARE_TEXT),
    Arm(name="(a) bare, chart rebuilt, canvas", cell="bare.rebuilt(cube, renderer='canvas')", marker=BARE_TEXT),
    Arm(name="(a) bare, chart rebuilt, SVG", cell="bare.rebuilt(cube, renderer='svg')", marker=BARE_TEXT),
    Arm(name="(d) bare, redisplayed in an output", cell="bare.redisplayed(cube)", marker=BARE_TEXT),
    Arm(name="the bare picture in our live view", cell="ours.bare_picture(cube)"),
)
# Sliders over a curve's or ledger's own thresholds start near their end, and the newest as-of is the last one.
EXPLORER_ARMS = (
    Arm(name="slices, threshold slider", cell="fb.explore.slices(thing)", label="score ≥", key="{free}"),
    Arm(name="thresholds, threshold slider", cell="fb.explore.thresholds(thing)", label="score ≥", key="ArrowLeft"),
    Arm(name="availability, as-of slider", cell="fb.explore.availability(thing)", label="As known at", key="ArrowLeft"),
)


def arms(plan: Plan) -> tuple[Arm, ...]:
    """All ways, with the direction in which a slider has room."""
    free = "ArrowRight" if plan.loop.exists() else "ArrowLeft"
    return (*BARE_ARMS, *(replace(arm, key=arm.key and arm.key.format(free=free)) for arm in EXPLORER_ARMS))


TWELVE = (
    ("(t) bare thin views, shared runtime", "bare.twelve(cube, bare.thin_view)"),
    ("(b) bare, a bundle for each", "bare.twelve(cube, bare.param_chart)"),
    ("the bare picture in our live views", "ours.twelve_bare(cube)"),
    ("charts of the slices explorer", "ours.twelve_charts(one)"),
    ("whole slices explorers, one source", "ours.twelve_explorers(thing)"),
)
EXPLORERS = ("slices", "calibration", "availability", "drift", "thresholds", "predictions")


def in_turn(items: Sequence[Any], turn: int) -> list[Any]:
    """Every other round in the opposite order."""
    return list(items if turn % 2 == 0 else reversed(items))


class Rounds:
    """What was found under a name in each round, or why nothing could be."""

    def __init__(self, names: Sequence[str]) -> None:
        self.found: dict[str, list[Any]] = {name: [] for name in names}
        self.failed: dict[str, str] = {}

    def take(self, name: str, measure: Callable[[], Any]) -> None:
        """Add what a call returns; where it failed before it is not tried again."""
        if name in self.failed:
            return
        try:
            self.found[name].append(measure())
        except FailedError as why:
            self.failed[name] = f"not measured: {why}"[:160]

    def table(self, figures: Callable[[list[Any]], dict[str, Any]]) -> dict[str, Any]:
        """The figures of all rounds under each name."""
        return {
            name: self.failed.get(name) or figures(rounds)
            for name, rounds in self.found.items()
            if rounds or name in self.failed
        }


def moves(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Key press to painted picture of every way, in rounds."""
    ways = arms(plan)
    notebook = opener.open([plan.ours() + plan.bare() + OURS, *(arm.cell for arm in ways)])
    notebook.run(0)
    rounds = Rounds([arm.name for arm in ways])
    for turn in range(plan.rounds):
        for cell, arm in in_turn(list(enumerate(ways, start=1)), turn):
            rounds.take(arm.name, partial(_moved, notebook, plan, arm, cell, turn))
            notebook.clear(cell)
    opener.close()
    thin = summary([turn.total for turn in rounds.found[ways[0].name]])["median"]
    return rounds.table(lambda found: _of_moves(found, thin))


def _moved(notebook: Notebook, plan: Plan, arm: Arm, cell: int, turn: int) -> Moves:
    notebook.run(cell, pictures=1)
    notebook.page.wait_for_timeout(500)
    # Where there is room, each round sees other values than the one before it.
    key = arm.key or ("ArrowRight", "ArrowLeft")[turn % 2]
    return notebook.moves(cell, key=key, times=plan.moves, marker=arm.marker, label=arm.label, wanted=1)


def _of_moves(found: list[Moves], thin: float) -> dict[str, float]:
    whole = summary([turn.total for turn in found])
    parts = zip(*(part for turn in found for part in turn.parts), strict=True)
    return {
        **whole,
        "ratio": round(whole["median"] / thin, 2),
        **{name: round(median(values), 1) for name, values in zip(PARTS_OF_A_MOVE, parts, strict=True)},
    }


def twelve(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Twelve charts in one output, of each kind in a kernel and page of its own."""
    rounds = Rounds([name for name, _ in TWELVE])
    for turn in range(plan.rounds):
        for name, cell in in_turn(TWELVE, turn):
            rounds.take(name, partial(_dozen, opener, plan, cell))
            opener.close()
    return rounds.table(
        lambda found: {
            "seconds": round(median(seconds for seconds, _ in found), 2),
            "megabytes": round(median(megabytes for _, megabytes in found), 2),
            "rounds": len(found),
        }
    )


def _dozen(opener: Opener, plan: Plan, cell: str) -> tuple[float, float]:
    start = plan.bare() + OURS if "cube" in cell else plan.ours() + OURS + "one = ours.one(thing)"
    notebook = opener.open([start, cell])
    notebook.run(0)
    return notebook.run(1, pictures=12) / 1000, notebook.megabytes()


def first(opener: Opener, plan: Plan) -> dict[str, Any]:
    """Seconds from running an explorer's cell to its picture: as the first of a kernel, and after others."""
    fresh, later = Rounds(EXPLORERS), Rounds(EXPLORERS)
    for turn in range(1 if plan.quick else plan.rounds):
        for name in EXPLORERS[:1] if plan.quick else in_turn(EXPLORERS, turn):
            notebook = opener.open([plan.ours(), *(f"fb.explore.{each}(thing)" for each in EXPLORERS)])
            notebook.run(0)
            fresh.take(name, partial(_first, notebook, name))
            for other in (*EXPLORERS, name):
                later.take(other, partial(_first, notebook, other))
            opener.close()
    cold, warm = (rounds.table(lambda found: {"s": round(median(found), 2)}) for rounds in (fresh, later))
    return {
        name: warm[name]
        if isinstance(warm[name], str)
        else {"later": warm[name]["s"], "in a fresh kernel": _s(cold.get(name))}
        for name in warm
    }


def _s(figures: Any) -> float | None:
    return figures["s"] if isinstance(figures, dict) else None


def _first(notebook: Notebook, name: str) -> float:
    cell = 1 + EXPLORERS.index(name)
    waited = notebook.run(cell, pictures=1)
    notebook.clear(cell)
    return waited / 1000
