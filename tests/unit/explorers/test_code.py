"""Every explorer's code, pasted into a fresh interpreter, runs and computes frames: nothing in it is made up."""

import ast
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

import fbkit as fb

LOOP = fb.samples.path("recall_drop") / "variant_b"
MAKERS: dict[str, Callable[[fb.Joined], Any]] = {
    name: lambda joined, name=name: getattr(fb.explore, name)(joined)
    for name in ("slices", "calibration", "availability", "drift", "thresholds", "predictions")
}


def computed(code: str) -> list[pl.DataFrame]:
    """What the bare expressions of a code are worth, those of them that are frames."""
    space: dict[str, Any] = {}
    found: list[pl.DataFrame] = []
    for node in ast.parse(code).body:
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), "code", "eval"), space)
            found += [value] if isinstance(value, pl.DataFrame) else []
        else:
            exec(compile(ast.Module([node], []), "code", "exec"), space)
    return found


@pytest.fixture(scope="module")
def joined() -> fb.Joined:
    return fb.open_loop(LOOP).join()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("narrow", [False, True], ids=["whole", "narrowed"])
def test_the_code_of_an_explorer_runs_by_itself(joined: fb.Joined, name: str, narrow: bool) -> None:
    explorer = MAKERS[name](joined)
    if narrow:
        with explorer.shared.together():
            explorer.shared.focus_on("device", "web")
            explorer.shared.stage = "any"
            explorer.shared.as_of = explorer.source.moments()[-3]
    frames = computed(explorer.code().replace('"FOLDER"', repr(str(LOOP))))
    if name != "predictions":
        assert frames, "at least one result frame"
        assert all(frame.height for frame in frames)


@pytest.mark.parametrize("show", ["slices", "time", "search"])
def test_every_view_of_the_slices_has_its_code(joined: fb.Joined, show: str) -> None:
    explorer = fb.explore.slices(joined)
    explorer.show = show
    frames = computed(explorer.code().replace('"FOLDER"', repr(str(LOOP))))
    assert len(frames) == 1


@pytest.mark.parametrize("name", ["slices", "availability", "thresholds"])
def test_the_code_of_a_ledgers_explorer_opens_a_ledger(joined: fb.Joined, name: str, tmp_path: Any) -> None:
    ledger = joined.ledger()
    folder = ledger.save(tmp_path / "ledger")
    explorer = MAKERS[name](ledger)
    assert computed(explorer.code().replace('"FOLDER"', repr(str(folder))))


@pytest.mark.parametrize("name", MAKERS)
def test_an_explorer_opens_on_a_saved_view(joined: fb.Joined, name: str, tmp_path: Any) -> None:
    first = MAKERS[name](joined)
    with first.shared.together():
        first.shared.focus_on("region", "EU")
        first.shared.as_of = first.source.moments()[-2]
    view = fb.explore.View.open(first.shared.view().save(tmp_path / "view.json"))
    again = getattr(fb.explore, name)(joined, view=view)
    assert again.shared.view() == first.shared.view()
    assert again.summary == first.summary
