"""The page of metrics names every metric there is, for its tasks, and none that there is not."""

import re
from pathlib import Path

from fbkit.measure.registry import FAMILIES, FROM_CONTRACT, REGISTRY

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
SECTIONS = {
    "Decisions (binary)": "binary",
    "Scores (binary)": "binary",
    "Numbers (regression)": "regression",
    "Lists (ranking)": "ranking",
}


def names(text: str) -> list[str]:
    """Names in the first column of the tables."""
    cells = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_metric_is_on_the_page_once_and_nothing_else_is() -> None:
    found = names(PAGE.read_text(encoding="utf-8"))
    known = [*REGISTRY, *FROM_CONTRACT, *(f"{name}@k" for name in FAMILIES)]
    assert sorted(found) == sorted(known)


def test_metrics_stand_under_a_task_that_they_are_for() -> None:
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        for name in names(text) if title in SECTIONS else []:
            measure = REGISTRY.get(name) or (FAMILIES[name[:-2]](10) if name.endswith("@k") else None)
            assert measure is None or SECTIONS[title] in measure.tasks, name
