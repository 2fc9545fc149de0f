"""Analysis and command line work where no notebook is installed: in a scheduler's container, in a service, in CI."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ABSENT = ("ipywidgets", "anywidget", "IPython", "jupyterlab", "ipykernel", "notebook", "comm", "traitlets")

# As if the packages were not installed: no finder knows them, so `import` fails and `find_spec` answers None.
BLOCK = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {ABSENT!r}
        return None if absent else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::ImportWarning", "-c", BLOCK + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def fbkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(f"sys.argv = {['fbkit', *arguments]!r}\nfrom fbkit.cli import main\nsys.exit(main())")


def test_the_block_blocks() -> None:
    assert "ModuleNotFoundError" in run("import ipywidgets").stderr


@pytest.mark.parametrize(
    "layer", ["schema", "load", "join", "measure", "diagnose", "charts", "report", "session", "cli"]
)
def test_layer_imports_with_all_its_modules(layer: str) -> None:
    code = f"""
import importlib, pkgutil
top = importlib.import_module("fbkit.{layer}")
for module in pkgutil.walk_packages(getattr(top, "__path__", []), "fbkit.{layer}."):
    importlib.import_module(module.name)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_the_command_line_tells_its_version() -> None:
    done = fbkit("--version")
    assert done.returncode == 0, done.stderr
    assert "fbkit" in done.stdout


def test_the_command_line_reaches_a_verdict() -> None:
    import fbkit as fb

    done = fbkit("triage", str(fb.samples.path("recall_drop") / "variant_a"), "--json")
    assert done.returncode in {0, 1}, done.stderr
    assert json.loads(done.stdout)["verdict"]
