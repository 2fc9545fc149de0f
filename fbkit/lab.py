"""The way into JupyterLab, and what this environment has."""

import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from fbkit import __version__
from fbkit.errors import MissingPartError
from fbkit.report.files import write_file
from fbkit.session import open_loop

# name, required, what for, how to get it
_PARTS = (
    ("polars", True, "all computing", "pip install fbkit"),
    ("scipy", True, "statistics", "pip install fbkit"),
    ("statsmodels", True, "statistics", "pip install fbkit"),
    ("altair", True, "charts", "pip install fbkit"),
    ("vl-convert-python", True, "charts as pictures", "pip install fbkit"),
    ("ipywidgets", True, "explorers", "pip install fbkit"),
    ("anywidget", True, "explorers", "pip install fbkit"),
    ("jupyterlab", False, "fbkit lab, make lab", 'pip install "fbkit[lab]"'),
    ("deltalake", False, "Delta tables as logs", 'pip install "fbkit[delta]"'),
    ("adbc-driver-postgresql", False, "PostgreSQL queries as logs", 'pip install "fbkit[database]"'),
    ("duckdb", False, "queries of DuckDB files as logs", 'pip install "fbkit[duckdb]"'),
)  # fmt: skip
_PARAMETERS = "parameters"


def environment() -> dict[str, Any]:
    """Versions of what is installed, and how to get what is not."""
    parts = [
        {"name": name, "version": _version(name), "required": needed, "for": use, "install": how}
        for name, needed, use, how in _PARTS
    ]
    machine = [
        {
            "name": "python",
            "version": platform.python_version(),
            "required": True,
            "for": platform.system(),
            "install": "",
        },
        {"name": "fbkit", "version": __version__, "required": True, "for": "this program", "install": ""},
    ]
    return {"parts": machine + parts}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def template() -> Path:
    """The triage notebook: packaged with the kit, or in the checkout."""
    for place in (
        Path(__file__).parent / "samples" / "data" / "triage.ipynb",
        Path(__file__).parents[1] / "notebooks" / "triage.ipynb",
    ):
        if place.is_file():
            return place
    raise MissingPartError(
        "the triage notebook is not installed",
        got=f"nothing beside {Path(__file__).parent.name}",
        allowed="triage.ipynb, which comes with the kit",
        next_step="install fbkit again: pip install --force-reinstall fbkit",
    )


def prepare_notebook(loop: Path | None) -> Path:
    """The triage notebook itself, or for a loop a copy of it, filled in, in the current folder.

    The loop is opened first, so that a broken contract is told here and not in the browser. A copy
    never replaces a notebook that stands there.
    """
    if loop is None:
        return template()
    name = open_loop(loop).name
    content = json.loads(template().read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if "loop" in cell["metadata"].get("tags", [_PARAMETERS, "loop"])]
    for cell in cells:
        if _PARAMETERS in cell["metadata"].get("tags", []):
            cell["source"] = f"LOOP = {str(loop.absolute())!r}"
    safe = "".join(letter if letter.isalnum() else "-" for letter in name)[:60] or "loop"
    target, number = Path(f"triage-{safe}.ipynb"), 1
    while os.path.lexists(target):
        number += 1
        target = Path(f"triage-{safe}-{number}.ipynb")
    content["cells"] = cells
    return write_file(target, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def start(notebook: Path, lab_args: tuple[str, ...]) -> int:
    """Run JupyterLab on a notebook until it is stopped; its exit status."""
    if _version("jupyterlab") is None:
        raise MissingPartError(
            "JupyterLab is not installed",
            got=f"no jupyterlab in {sys.prefix}",
            allowed="jupyterlab 4.4 or newer",
            next_step='pip install "fbkit[lab]"',
        )
    beside = Path(sys.executable).with_name("jupyter-lab")
    program = str(beside) if beside.exists() else shutil.which("jupyter-lab")
    command = [program] if program else [sys.executable, "-m", "jupyterlab"]
    return subprocess.run([*command, str(notebook), *lab_args], env=os.environ.copy(), check=False).returncode
