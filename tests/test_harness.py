"""The commands of the README's first lines, and the rules by which tests are skipped, are product too."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fbkit

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "requirements" / "constraints.txt"

ASKS_FOR_A_TOOL = """
def test_of_a_tool(require_tool):
    require_tool("no-such-tool")
def test_of_python(require_tool):
    assert require_tool("polars")
"""


def shell(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    cleaned = {name: value for name, value in os.environ.items() if not name.startswith(("FBKIT", "PYTEST", "MAKE"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env=cleaned | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_asking.py").write_text(ASKS_FOR_A_TOOL, encoding="utf-8")
    return tmp_path


def test_a_missing_tool_skips_its_tests_and_says_how_to_get_it(asking: Path) -> None:
    done = shell(sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", cwd=asking)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "no-such-tool is missing; to get it: install no-such-tool" in done.stdout


def test_a_missing_tool_fails_where_all_tools_are_required(asking: Path) -> None:
    done = shell(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=asking, FBKIT_REQUIRE="1")
    assert "1 failed, 1 passed" in done.stdout


def test_pins_are_names_and_versions_only() -> None:
    pin = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; [a-z_]+ .*)?")
    assert [line for line in PINS.read_text(encoding="utf-8").splitlines() if not pin.fullmatch(line)] == []


def test_everything_that_make_installs_is_pinned() -> None:
    """Walks what is installed here, from fbkit's own requirements down."""
    pinned = {line.split("==")[0] for line in PINS.read_text(encoding="utf-8").splitlines()}
    seen: set[tuple[str, str]] = set()
    waiting = [("fbkit", ""), ("fbkit", "lab"), ("fbkit", "dev")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for wanted in map(Requirement, _requirements(name)):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                canonical = re.sub(r"[-_.]+", "-", wanted.name).lower()
                waiting += [(canonical, chosen) for chosen in ("", *wanted.extras)]
    assert {name for name, _ in seen} - {"fbkit"} - pinned == set()


def _requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []


def test_make_without_a_usable_python_says_what_to_install(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "env"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is missing; to get it: apt-get install make")
    done = shell(make, "lab", cwd=tmp_path, PATH=str(tools))
    assert done.returncode == 2
    assert "fbkit needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("target", ["lab", "triage", "test", "check", "test-deep", "test-packaging", "bench", "clean"])
def test_make_knows_its_targets(target: str) -> None:
    done = shell("make", "--dry-run", target, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert f"make {target} " in shell("make", "help", cwd=ROOT).stdout + " "


def test_the_script_of_the_bare_machine_is_valid_bash() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert shell("bash", "-n", str(script), cwd=ROOT).returncode == 0


def test_the_version_is_the_same_wherever_it_is_written() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == fbkit.__version__
    assert f"\n## {fbkit.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_the_one_that_the_package_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n" in (ROOT / "LICENSE").read_text(encoding="utf-8")
