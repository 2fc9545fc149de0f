"""Every measure of the registry against two oracles: exact fractions on small worlds, a library on larger ones."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fbkit.measure.metrics import metrics
from fbkit.measure.registry import FAMILIES, FROM_CONTRACT, REGISTRY
from fbkit.testing.frames import FakeJoined
from tests.unit.measure import library
from tests.unit.measure.brute import BRUTE, COLUMNS, Row, joined_of, worlds

# What chance alone would show is simulated: there is no second way to the same number, but tests of what it must do.
SIMULATED = ("_debiased", "_null_95", "_p_value")
# The kernel's integral is on a grid on either side.
LOOSE = {"smooth_ece": 2e-3}
TASKS = ("binary", "regression", "ranking")


def plain(name: str) -> bool:
    return not name.endswith(SIMULATED)


def members() -> dict[str, tuple[str, ...]]:
    """Every measure by name with its tasks; of a family the member that has an oracle, or its name with @k."""
    made = {name: measure.tasks for name, measure in REGISTRY.items() if plain(name)}
    for family, make in FAMILIES.items():
        known = [name for name in BRUTE if name.startswith(f"{family}@")] or [f"{family}@k"]
        made |= {name: make(90).tasks for name in known}
    contract = joined_of([], task="binary").contract
    return made | {name: make(contract).tasks for name, make in FROM_CONTRACT.items()}


NAMES = {task: [name for name, tasks in members().items() if task in tasks and name in BRUTE] for task in TASKS}


def test_every_measure_has_two_oracles() -> None:
    assert {name for name in members() if name not in BRUTE} == set()
    assert {name for name in members() if name not in library.LIBRARY} == set()
    assert set(BRUTE) == set(library.LIBRARY) == set(members())


def test_a_simulated_number_belongs_to_a_measure_with_oracles_and_has_tests_of_its_own() -> None:
    simulated = [name for name in REGISTRY if not plain(name)]
    assert {name.removesuffix(end) for name in simulated for end in SIMULATED if name.endswith(end)} <= set(BRUTE)
    here = Path(__file__)
    others = "".join(path.read_text(encoding="utf-8") for path in here.parent.glob("test_*.py") if path != here)
    assert [end for end in SIMULATED if any(name.endswith(end) for name in simulated) and end not in others] == []


def values(joined: FakeJoined, names: Sequence[str], **call: object) -> dict[str, float | None]:
    return dict(metrics(joined, list(names), **call).select("metric", "value").iter_rows())


def by_world(together: Sequence[Sequence[Row]], names: Sequence[str], **call: object) -> list[dict[str, float | None]]:
    """Many small worlds as the slices of one question, which costs as much as one of them alone."""
    task = str(call.pop("task"))
    codes = [str(code) for code, rows in enumerate(together) for _ in rows]
    joined = joined_of([row for rows in together for row in rows], task=task, world=codes)
    found = (
        metrics(joined, list(names), by="world", **call)
        .select("world", "metric", "value")
        .partition_by("world", as_dict=True)
    )
    return [dict(found[(str(code),)].select("metric", "value").iter_rows()) for code in range(len(together))]


def same(got: float | None, expected: float | Fraction | None, name: str) -> None:
    if expected is None:
        assert got is None, name
    else:
        assert got is not None, name
        assert got == pytest.approx(float(expected), abs=LOOSE.get(name, 1e-12), rel=LOOSE.get(name, 1e-12)), name


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_measure_equals_loops_over_fractions(task: str, data: st.DataObject) -> None:
    together: list[list[Row]] = data.draw(st.lists(worlds(task=task), min_size=1, max_size=12))
    alike = [[row._replace(w=1) for row in rows] for rows in together]
    for made, call in ((alike, {}), (together, {"weights": "w"})):
        for rows, got in zip(made, by_world(made, NAMES[task], task=task, **call), strict=True):
            for name in NAMES[task]:
                same(got[name], BRUTE[name](rows), name)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_every_measure_equals_a_library(task: str, weighted: bool) -> None:
    world = library.world(task=task, weighted=weighted)
    rows = [
        Row(Fraction(score), Fraction(label), bool(flag), 1, {})
        for score, label, flag in zip(world["s"], world["y"], world["f"], strict=True)
    ]
    columns = {name: world[name].tolist() for name in COLUMNS} | {"w": world["w"].tolist()}
    columns["request_id"] = [f"r{number}" for number in columns["request_id"]]
    got = values(joined_of(rows, task=task, **columns), NAMES[task], **({"weights": "w"} if weighted else {}))
    for name in NAMES[task]:
        loose = LOOSE.get(name, 1e-10)
        assert got[name] == pytest.approx(library.LIBRARY[name](world), abs=loose, rel=1e-10), name


def test_the_brute_force_sees_a_wrong_number() -> None:
    rows = [Row(Fraction(1, 2), Fraction(1), True, 1, {}), Row(Fraction(1, 4), Fraction(0), True, 1, {})]
    with pytest.raises(AssertionError):
        same(0.5 + 1e-9, BRUTE["precision"](rows), "precision")
    assert np.isclose(float(BRUTE["precision"](rows) or 0), 0.5)
