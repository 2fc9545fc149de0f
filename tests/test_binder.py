"""Three small files describe the Binder image; they must agree with the project and be accepted by repo2docker."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINDER = ROOT / "binder"


def pins(path: Path) -> dict[str, str]:
    lines = (line.split(";")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_binder_pins_equal_the_projects_pins() -> None:
    ours = pins(ROOT / "requirements" / "constraints.txt")
    assert {
        name: version for name, version in pins(BINDER / "requirements.txt").items() if ours.get(name) != version
    } == {}


def test_binder_pins_name_everything_that_fbkit_and_the_lab_need() -> None:
    """`postBuild` installs fbkit without its dependencies, so a forgotten pin would only show on Binder."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["lab"]]
    names = {re.split(r"[<>=!~ \[;]", line)[0].lower() for line in wanted}
    assert names - set(pins(BINDER / "requirements.txt")) == set()


def test_binder_installs_a_python_that_fbkit_supports() -> None:
    """Without runtime.txt Binder takes Python 3.10; beside a binder folder it does not read requires-python."""
    assert (BINDER / "runtime.txt").read_text(encoding="utf-8").strip() == "python-3.12"


def test_binder_runs_its_post_build_script() -> None:
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    assert "pip install --no-deps" in script.read_text(encoding="utf-8")


def test_repo2docker_accepts_the_repository(require_tool: Callable[[str], str]) -> None:
    require_tool("jupyter-repo2docker")
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-2000:]
    assert "FROM " in printed
    assert "binder/postBuild" in printed
    assert "python=3.12" in printed
