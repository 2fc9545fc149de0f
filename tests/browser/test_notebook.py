"""The triage notebook as a person runs it, top to bottom, in a real JupyterLab."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser


def test_the_triage_notebook_runs_and_its_explorers_follow(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    require_tool("playwright")
    require_tool("jupyterlab")
    executable = require_tool("chromium")
    folder, state = tmp_path / "work", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    shutil.copy(root / "notebooks" / "triage.ipynb", folder)
    with lab.jupyterlab(folder, state=state) as address, lab.chromium(executable) as (page, watch):
        lab.open_notebook(page, address, "triage.ipynb")
        lab.run_all(page, timeout=300)
        count = lab.paint_all(page)
        assert count >= 5, "slices, calibration, availability, drift and the card"
        handle = page.locator(".fbkit-explorer .noUi-handle:visible").first
        index = lab.index_of_chart(handle)
        handle.scroll_into_view_if_needed()
        before, picture = lab.painted(page, index=index), lab.picture_hash(page, index=index)
        handle.focus()
        page.keyboard.press("ArrowRight")
        lab.wait_painted(page, at_least=before + 1, index=index)
        assert lab.picture_hash(page, index=index) != picture
        assert watch.errors == []
        assert watch.external == []
