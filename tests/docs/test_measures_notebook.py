"""The notebook on measures says what the kit finds, and is reviewed as text."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from tests.docs.test_triage_notebook import ROOT, cells, execute, source

NOTEBOOK = ROOT / "notebooks" / "measures.ipynb"
TEXT = NOTEBOOK.with_suffix(".py")


def test_both_forms_of_the_notebook_agree() -> None:
    import jupytext

    text = jupytext.read(TEXT)
    assert [(c["cell_type"], source(c)) for c in cells(NOTEBOOK)] == [(c.cell_type, c.source) for c in text.cells]


def test_the_shipped_notebook_carries_no_output() -> None:
    assert [cell for cell in cells(NOTEBOOK) if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The cells of the notebook, run as a plain script in an empty folder."""
    spec = importlib.util.spec_from_file_location("measures_notebook", TEXT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("measures"))
        spec.loader.exec_module(module)
    return module


def test_what_it_says_is_true(session: ModuleType) -> None:
    week = session.week
    assert round(week.filter(metric="recall")["value"][0], 2) == 0.46
    assert (
        week.select((pl.col("bound_lower") <= pl.col("value")) & (pl.col("value") <= pl.col("bound_upper")))
        .to_series()
        .all()
    )
    worst = session.bands.filter(assumption="worst case").row(0, named=True)
    inside = session.bands.filter(pl.col("value").is_not_null())["value"]
    assert inside.is_between(worst["bound_lower"], worst["bound_upper"]).all()
    assert session.chosen["fit_value"][0] == pytest.approx(0.8, abs=0.01)
    assert set(session.week["evaluation_id"].str.len_chars()) == {16}


@pytest.mark.notebook
def test_it_runs_top_to_bottom_in_a_kernel(tmp_path: Path) -> None:
    done = execute(NOTEBOOK, tmp_path)
    outputs = [out for cell in done for out in cell.get("outputs", [])]
    assert not [out for out in outputs if out["output_type"] == "error"]
    assert len(outputs) >= 10
    assert str(ROOT) not in json.dumps(outputs)
