"""The triage notebook says what the kit finds, is reviewed as text, and can be filled in for any loop."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

import fbkit as fb
from fbkit.lab import prepare_notebook

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "triage.ipynb"
TEXT = NOTEBOOK.with_suffix(".py")


def cells(path: Path) -> list[dict[str, object]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def source(cell: dict[str, object]) -> str:
    text = cell["source"]
    return text if isinstance(text, str) else "".join(map(str, text))  # pyright: ignore[reportArgumentType]


def execute(path: Path, folder: Path) -> list[dict[str, object]]:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=240, store_widget_state=False, resources=where).execute()
    return notebook.cells


def test_both_forms_of_the_notebook_agree() -> None:
    import jupytext

    text = jupytext.read(TEXT)
    assert [(c["cell_type"], source(c), c["metadata"].get("tags", [])) for c in cells(NOTEBOOK)] == [
        (c.cell_type, c.source, c.metadata.get("tags", [])) for c in text.cells
    ]


def test_the_shipped_notebook_carries_no_output() -> None:
    assert [cell for cell in cells(NOTEBOOK) if cell.get("outputs") or cell.get("execution_count")] == []
    assert NOTEBOOK.stat().st_size < 100_000


def test_it_is_mostly_sentences_and_short_calls() -> None:
    code = [source(cell) for cell in cells(NOTEBOOK) if cell["cell_type"] == "code"]
    words = [source(cell) for cell in cells(NOTEBOOK) if cell["cell_type"] == "markdown"]
    assert sum(map(len, words)) > sum(map(len, code))
    assert sorted(text.count("\n") for text in code)[len(code) // 2] <= 1


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The cells of the notebook, run as a plain script in an empty folder."""
    folder = tmp_path_factory.mktemp("night")
    spec = importlib.util.spec_from_file_location("triage_notebook", TEXT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        spec.loader.exec_module(module)
    return module


def test_what_it_says_about_the_flights_is_true(session: ModuleType) -> None:
    drop, storm = session.diagnosis, session.storm
    assert -0.35 < drop.observed.change < -0.25
    assert drop.verdict == "mix"
    assert [item.cause for item in drop.contributions if item.material] == ["covariate_shift"]
    assert storm.observed.change > 0.20
    labels = [item.value for item in storm.contributions if item.family == "labels"]
    assert -0.03 < sum(labels) < 0.0
    missing = session.joined.frame.filter(session.pl.col("state") == "missing")
    assert missing["flagged"].mean() > 0.6


def test_what_it_says_about_the_three_incidents_is_true(session: ModuleType) -> None:
    for name, found in session.verdicts.items():
        assert found.verdict == session.truth[name]["verdict"], name
        assert found.true_change.lower <= session.truth[name]["true"]["change"] <= found.true_change.upper, name
    headlines = [round(found.observed.change, 2) for found in session.verdicts.values()]
    assert max(headlines) - min(headlines) <= 0.02


@pytest.mark.notebook
def test_it_runs_top_to_bottom_in_a_kernel(tmp_path: Path) -> None:
    done = execute(NOTEBOOK, tmp_path)
    assert not [out for cell in done for out in cell.get("outputs", []) if out["output_type"] == "error"]
    assert (tmp_path / "out" / "incident" / "incident.html").exists()
    plain = json.dumps([out for cell in done for out in cell.get("outputs", [])])
    assert str(ROOT) not in plain


@pytest.mark.notebook
def test_it_is_filled_in_for_another_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = prepare_notebook(fb.samples.path("recall_drop/variant_c"))
    kept = [source(cell) for cell in cells(tmp_path / made)]
    assert any("variant_c" in text and text.startswith("LOOP = ") for text in kept)
    assert not [text for text in kept if "flights" in text.lower() or "storm" in text.lower()]
    done = execute(tmp_path / made, tmp_path)
    shown = json.dumps([out for cell in done for out in cell.get("outputs", [])])
    assert "The model got worse" in shown
