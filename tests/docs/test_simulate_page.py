"""The page on simulated loops names every fault, what the code has of it, and every kind of scenario."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fbkit.samples.expected_metrics import METRICS
from fbkit.samples.faults import FAULTS, Injection
from fbkit.samples.scenarios import SCENARIOS

PAGE = (Path(__file__).resolve().parents[2] / "docs/simulate.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` (\|.*)$", PAGE, re.MULTILINE))
COMMON = {field.name for field in fields(Injection)}


@pytest.mark.parametrize("cause", sorted(FAULTS))
def test_a_fault_stands_in_the_table_with_its_class_and_its_options(cause: str) -> None:
    fault = FAULTS[cause]
    assert f"`{fault.__name__}`" in ROWS[cause]
    named = set(re.findall(r"`(\w+)", ROWS[cause].rsplit("|", 2)[1]))
    own = {field.name for field in fields(fault)} - COMMON
    assert named - {"WorldConfig"} <= own
    assert own - named <= {"version", "how"}


def test_kinds_and_metrics_are_all_there() -> None:
    assert {scenario.kind for scenario in SCENARIOS.values()} <= set(ROWS)
    assert all(f"`{metric}`" in PAGE for metric in METRICS)
