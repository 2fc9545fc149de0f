"""The wheel in clean environments: newest and lowest allowed versions, every supported Python found here."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

RUNTIME_PACKAGES = 64
PYTHONS = ("3.11", "3.12", "3.13")

SMOKE = """
import importlib, pkgutil, warnings
warnings.simplefilter("error")
import fbkit as fb
for module in pkgutil.walk_packages(fb.__path__, "fbkit."):
    if not module.name.startswith("fbkit.testing"):  # for those who test, and so have Hypothesis: fbkit[testing]
        importlib.import_module(module.name)
for name in fb.__all__:
    getattr(fb, name)
print(fb.__version__)
"""


def interpreter(version: str) -> str | None:
    """An interpreter of this version that starts: on the path, or among the versions that pyenv keeps."""
    candidates = [sys.executable, shutil.which(f"python{version}")]
    if pyenv := shutil.which("pyenv"):
        listed = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False).stdout.strip()
        candidates += sorted(str(path) for path in Path(listed).glob(f"versions/{version}.*/bin/python"))
    for candidate in filter(None, candidates):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    return None


def smoke(python: Path, folder: Path) -> None:
    """Import everything, tell the version, and reach a verdict on a sample that came with the wheel."""
    fbkit = python.with_name("fbkit")

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False)

    imported = run(python, "-c", SMOKE)
    assert imported.returncode == 0, imported.stderr
    told = run(fbkit, "--version")
    assert imported.stdout.strip() in told.stdout, told.stderr
    sample = run(python, "-c", "import fbkit as fb; print(fb.samples.path('recall_drop') / 'variant_a')").stdout.strip()
    verdict = run(fbkit, "triage", sample, "--json")
    assert verdict.returncode in {0, 1}, verdict.stderr
    assert json.loads(verdict.stdout)["verdict"]
    checked = run(fbkit, "check", sample)
    assert checked.returncode in {0, 1}, checked.stderr


def environment(uv: Callable[..., str], folder: Path, python: str) -> Path:
    uv("venv", "--quiet", "--no-project", "--python", python, folder / "env")
    return folder / "env" / "bin" / "python"


@pytest.mark.parametrize("version", PYTHONS)
def test_newest_allowed_versions(uv: Callable[..., str], wheel: Path, tmp_path: Path, version: str) -> None:
    found = interpreter(version)
    if found is None:
        pytest.skip(f"Python {version} is not on this machine")
    python = environment(uv, tmp_path, found)
    uv("pip", "install", "--quiet", "--python", python, wheel)
    packages = json.loads(uv("pip", "list", "--python", python, "--format", "json"))
    assert len(packages) <= RUNTIME_PACKAGES
    assert {"jupyterlab", "pytest", "scikit-learn"} & {package["name"] for package in packages} == set()
    smoke(python, tmp_path)


def test_lowest_allowed_versions(uv: Callable[..., str], wheel: Path, tmp_path: Path, root: Path) -> None:
    """The lower bounds in pyproject.toml are promises too."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = interpreter("3.11")
    if found is None:
        pytest.skip("Python 3.11 is not on this machine")
    python = environment(uv, tmp_path, found)
    lowest = ("--resolution", "lowest-direct", *project["dependencies"])
    uv("pip", "install", "--quiet", "--python", python, *lowest, wheel)
    installed = {
        package["name"]: package["version"]
        for package in json.loads(uv("pip", "list", "--python", python, "--format", "json"))
    }
    assert installed["polars"] == "2.0.0"
    smoke(python, tmp_path)


def test_the_binder_environment_builds(uv: Callable[..., str], tmp_path: Path, root: Path) -> None:
    """What Binder would do after its base image: install the pins, then run postBuild."""
    found = interpreter("3.12")
    if found is None:
        pytest.skip("Python 3.12 is not on this machine")
    uv("venv", "--quiet", "--no-project", "--seed", "--python", found, tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, "--requirement", root / "binder" / "requirements.txt")
    search = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    command = [str(root / "binder" / "postBuild")]
    done = subprocess.run(
        command, cwd=root, env=os.environ | {"PATH": search}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with JupyterLab" in done.stdout
