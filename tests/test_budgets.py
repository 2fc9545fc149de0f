"""The agreed sizes: what fits on a screen can be read, and what is public stays a contents page."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import fbkit

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("fbkit", "tests", "benchmarks", "data_samples", "requirements", "docs")
FILE_LINES, FILE_LINES_MOSTLY = 500, 300
FUNCTION_LINES, FUNCTION_LINES_MOSTLY = 60, 30
PUBLIC_NAMES = 40

# Raising a limit needs a reason here, in the same commit: {"fbkit/x.py": "why"} or {"fbkit/x.py:function": "why"}.
FILES_ALLOWED_LONGER: dict[str, str] = {}
FUNCTIONS_ALLOWED_LONGER: dict[str, str] = {}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def functions(path: Path) -> list[tuple[str, int]]:
    """Name and number of body lines, the docstring not counted: explaining is never too long."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            lines = (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1 if body else 0
            found.append((f"{path.relative_to(ROOT)}:{node.name}", lines))
    return found


def share_within(lengths: list[int], limit: int) -> float:
    return sum(length <= limit for length in lengths) / max(len(lengths), 1)


@cache
def submodules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(fbkit.__path__, "fbkit.")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_longer_than_the_budget(folder: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)
    }
    assert {name: n for name, n in lengths.items() if n > FILE_LINES and name not in FILES_ALLOWED_LONGER} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_longer_than_the_budget(folder: str) -> None:
    lengths = [item for path in sources(folder) for item in functions(path)]
    assert [(name, n) for name, n in lengths if n > FUNCTION_LINES and name not in FUNCTIONS_ALLOWED_LONGER] == []


def test_nine_files_in_ten_are_short() -> None:
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in sources("fbkit")]
    assert share_within(lengths, FILE_LINES_MOSTLY) >= 0.9


def test_nine_functions_in_ten_are_short() -> None:
    lengths = [lines for path in sources("fbkit") for _, lines in functions(path)]
    assert share_within(lengths, FUNCTION_LINES_MOSTLY) >= 0.9


def test_public_names_are_few_sorted_and_all_there() -> None:
    names = list(fbkit.__all__)
    assert names == sorted(set(names))
    assert len([name for name in names if not name.startswith("__")]) <= PUBLIC_NAMES
    assert [name for name in names if not hasattr(fbkit, name)] == []
    assert set(names) <= set(dir(fbkit))


def test_the_contents_page_and_its_table_of_places_agree() -> None:
    assert set(fbkit.__all__) == {*fbkit._WHERE, *fbkit._PACKAGES, "__version__"}


def test_everything_public_says_what_it_is() -> None:
    values = {name: getattr(fbkit, name) for name in fbkit.__all__ if not name.startswith("__")}
    described = (name for name, value in values.items() if inspect.isroutine(value) or inspect.isclass(value))
    assert [name for name in described if not inspect.getdoc(values[name])] == []


def test_no_public_function_shares_its_name_with_a_submodule() -> None:
    """`fb.triage` and a module `fbkit.triage` would overwrite each other, depending on who is imported first."""
    tops = {name.removeprefix("fbkit.") for name in submodules() if name.count(".") == 1}
    clashes = [name for name in fbkit.__all__ if name in tops and not inspect.ismodule(getattr(fbkit, name))]
    assert clashes == []


def test_all_submodules_import() -> None:
    for name in submodules():
        importlib.import_module(name)


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {path.parent for path in sources("fbkit")}
    assert sorted(str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()) == []


HEAVY = (
    "altair",
    "anywidget",
    "ipywidgets",
    "IPython",
    "pandas",
    "scipy.stats",
    "statsmodels",
    "vl_convert",
    "sklearn",
)


# The explorers are the one public name that needs widgets, hence charts.
EVERY_NAME = "import fbkit; [getattr(fbkit, name) for name in fbkit.__all__ if name != 'explore']"


@pytest.mark.parametrize("statement", ["import fbkit", EVERY_NAME])
def test_importing_fbkit_stays_light(statement: str) -> None:
    """Half a second for `import fbkit` is kept by what it does not load; benchmarks/import_time.py holds the clock."""
    code = f"{statement}; import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
