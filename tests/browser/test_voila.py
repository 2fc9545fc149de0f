"""An explorer served by Voila: a page without code, for those who do not open notebooks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser

# Voila's own page asks a public server for the icons that its own files also hold, and says so if there is none.
THEIRS = "@fortawesome/fontawesome-free"
UNLOADED = "Failed to load resource: net::ERR_FAILED"


def test_an_explorer_paints_and_follows_on_a_page_of_voila(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    for tool in ("playwright", "voila"):
        require_tool(tool)
    executable = require_tool("chromium")
    path = str(root / "data_samples" / "recall_drop" / "variant_a")
    lab.write_notebook(
        tmp_path / "n.ipynb", [f"import fbkit as fb\nfb.explore.slices(fb.open_loop({path!r}).join(), by='region')"]
    )
    state = tmp_path / "state"
    state.mkdir()
    with lab.voila(tmp_path / "n.ipynb", state=state) as address, lab.chromium(executable) as (page, watch):
        page.goto(address)
        before = lab.wait_painted(page)
        seen = lab.picture_hash(page)
        assert not page.locator(".fbkit-static").first.is_visible(), "the static twin hides beside a live explorer"
        box = page.locator(".fbkit-explorer .widget-dropdown", has=page.locator("label:text-is('Metric')")).first
        box.locator("select").select_option(label="precision")
        lab.wait_painted(page, at_least=before + 1)
        assert lab.picture_hash(page) != seen
        assert "Precision" in page.locator(".fbkit-explorer [aria-live]").first.inner_text()
        theirs = [url for url in watch.external if THEIRS in url]
        assert [url for url in watch.external if url not in theirs] == []
        assert [text for text in watch.errors if text != UNLOADED] == []
        assert watch.errors.count(UNLOADED) <= len(theirs), "what could not be loaded is Voila's own"
