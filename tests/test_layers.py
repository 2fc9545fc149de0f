"""Folders are layers of knowledge. A planted violation of each agreement must be caught, or it is only a wish."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINT = Path(sys.executable).with_name("lint-imports")

# (module that breaks the agreement, its first line, what the linter must say)
VIOLATIONS = {
    "analysis imports a chart library": ("measure/planted.py", "import altair", "fbkit.measure -> altair"),
    "analysis imports pandas inside a function": (
        "diagnose/planted.py",
        "def f():\n    import pandas",
        "fbkit.diagnose -> pandas",
    ),
    "the schema imports a widget": ("schema/planted.py", "from ipywidgets import Box", "fbkit.schema -> ipywidgets"),
    "a lower layer imports a higher one": (
        "join/planted.py",
        "from fbkit import measure",
        "fbkit.join -> fbkit.measure",
    ),
    "a lower layer imports the contents page": (
        "load/planted.py",
        "def f():\n    import fbkit.session",
        "fbkit.load -> fbkit.session",
    ),
    "a chart computes": ("charts/planted.py", "from fbkit.measure import intervals", "fbkit.charts -> fbkit.measure"),
    "a chart knows a diagnosis being made": (
        "charts/planted.py",
        "import fbkit.diagnose",
        "fbkit.charts -> fbkit.diagnose",
    ),
    "a report knows an explorer": ("report/planted.py", "import fbkit.explorers", "fbkit.report -> fbkit.explorers"),
    "an explorer knows a report": ("explorers/planted.py", "import fbkit.report", "fbkit.explorers -> fbkit.report"),
    "samples know an analysis": ("samples/planted.py", "import fbkit.join", "fbkit.samples -> fbkit.join"),
    "an analysis leans on the samples": (
        "measure/planted.py",
        "import fbkit.samples",
        "fbkit.measure -> fbkit.samples",
    ),
    "a module that no layer claims": ("planted.py", "", "fbkit.planted"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "fbkit", tmp_path / "fbkit", ignore=shutil.ignore_patterns("__pycache__", "*.parquet"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_layers_hold(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_planted_violation_is_caught(copy: Path, violation: str) -> None:
    file, line, said = VIOLATIONS[violation]
    (copy / "fbkit" / file).write_text(f'"""Planted."""\n\n{line}\n', encoding="utf-8")
    done = lint(copy)
    assert done.returncode != 0
    output = " ".join(done.stdout.replace("is not allowed to import", "->").split())
    assert said in output or said.replace(" -> ", ".planted -> ", 1) in output, done.stdout
