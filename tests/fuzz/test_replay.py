"""Inputs that once ended in a foreign error, a wrong account or noise are kept as files, and never do so again."""

import shutil
from pathlib import Path

import pytest

from tests.fuzz.exercise import exercise

KEPT = Path(__file__).resolve().parents[1] / "data" / "fuzz"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in KEPT.glob("*/case.json")))
def test_what_once_failed_ends_well(name: str, tmp_path: Path) -> None:
    shutil.copytree(KEPT / name, tmp_path / name)
    assert exercise(tmp_path / name)


def test_the_kept_inputs_are_small_and_there() -> None:
    folders = list(KEPT.glob("*/case.json"))
    assert len(folders) >= 10
    assert max(path.stat().st_size for path in KEPT.rglob("*") if path.is_file()) < 20_000
