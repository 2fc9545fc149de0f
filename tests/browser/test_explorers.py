"""The explorers as a person meets them: a real JupyterLab, a real browser, no network."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser

KINDS = ["slices", "calibration", "availability", "drift", "thresholds"]
SET_UP = """\
import fbkit as fb
joined = fb.open_loop({path!r}).join()
diagnosis = fb.triage(joined, draws=20)
"""
CELLS = [
    *(f"{kind} = fb.explore.{kind}(joined)\n{kind}" for kind in KINDS),
    "card = fb.explore.triage(diagnosis)\ncard",
]


@contextmanager
def notebook(
    tmp_path: Path, require_tool: Callable[[str], str], cells: list[str], *, theme: str | None = None
) -> Generator[tuple[Any, lab.Watch, str]]:
    """An opened, run notebook: the page, what it said, the server's address."""
    require_tool("playwright")
    require_tool("jupyterlab")
    executable = require_tool("chromium")
    folder, state = tmp_path / "work", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    lab.write_notebook(folder / "n.ipynb", cells)
    with lab.jupyterlab(folder, state=state, theme=theme) as address, lab.chromium(executable) as (page, watch):
        lab.open_notebook(page, address, "n.ipynb")
        lab.run_all(page)
        yield page, watch, address


def moved(page: Any, index: int, act: Callable[[], object]) -> bool:
    """Whether a person's act leads to another painted answer with other pixels."""
    before, seen = lab.painted(page, index=index), lab.picture_hash(page, index=index)
    act()
    lab.wait_painted(page, at_least=before + 1, index=index)
    page.wait_for_timeout(150)  # what else was asked for meanwhile
    return lab.picture_hash(page, index=index) != seen


def choose(page: Any, explorer: int, label: str, option: str) -> None:
    root = page.locator(".fbkit-explorer").nth(explorer)
    box = root.locator(".widget-dropdown", has=page.locator(f"label:text-is('{label}')")).first
    box.locator("select").select_option(label=option)


def test_every_explorer_renders_and_follows_its_controls(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    path = str(root / "data_samples" / "recall_drop" / "variant_a")
    with notebook(tmp_path, require_tool, [SET_UP.format(path=path), *CELLS]) as (page, watch, _):
        for index in range(len(CELLS)):
            assert lab.wait_painted(page, index=index) >= 1
        assert page.locator(".fbkit-explorer").count() == len(CELLS)
        assert not page.locator(".fbkit-static").first.is_visible(), "the static twin hides beside a live explorer"

        handle = page.locator(".fbkit-explorer .noUi-handle").first
        handle.scroll_into_view_if_needed()
        said = page.locator(".fbkit-explorer p").first.inner_text()
        assert moved(page, 0, lambda: (handle.focus(), page.keyboard.press("ArrowRight"))), "the slider, by keyboard"
        assert page.locator(".fbkit-explorer p").first.inner_text() != said
        assert moved(page, 0, lambda: choose(page, 0, "Metric", "precision")), "another metric"
        assert moved(page, 0, lambda: choose(page, 0, "Metric", "Brier score")), "a metric with another unit"
        assert moved(page, 1, lambda: choose(page, 1, "Reliability", "by slice"))
        assert moved(page, 2, lambda: choose(page, 2, "each", "week"))
        assert moved(page, 2, lambda: choose(page, 2, "Labels", "how fast they arrive"))
        assert moved(page, 3, lambda: choose(page, 3, "Show", "region"))
        place = page.locator(".fbkit-explorer").nth(4).locator(".noUi-handle").first
        assert moved(page, 4, lambda: (place.focus(), page.keyboard.press("ArrowLeft"))), "a threshold, by keyboard"
        assert moved(page, 5, lambda: choose(page, 5, "Open bar", "1  labels lost in slices"))
        assert page.locator(".fbkit-trouble:not(:empty)").count() == 0
        assert watch.errors == []
        assert watch.external == []


def test_a_burst_of_moves_ends_on_the_last_one(tmp_path: Path, require_tool: Callable[[str], str], root: Path) -> None:
    path = str(root / "data_samples" / "recall_drop" / "variant_b")
    cells = [f"import fbkit as fb\nexplorer = fb.explore.slices(fb.open_loop({path!r}).join())\nexplorer"]
    with notebook(tmp_path, require_tool, cells) as (page, watch, _):
        lab.wait_painted(page)
        page.locator(".fbkit-explorer .noUi-handle").first.focus()
        for _ in range(30):
            page.keyboard.press("ArrowRight")
        readout = page.locator(".fbkit-explorer .widget-readout").first
        page.wait_for_function(
            "([e]) => document.querySelector('.fbkit-explorer p').innerText.includes(e)",
            arg=[f"score ≥ {float(readout.inner_text()):.3g}"],
            timeout=20_000,
        )
        painted = lab.wait_painted(page)
        page.wait_for_timeout(500)
        assert lab.painted(page) - painted <= 1, "nothing stale follows the last answer"
        assert watch.errors == []


HOSTILE = r"""
import polars as pl, fbkit as fb
from fbkit.testing.frames import FakeJoined, random_joined
made = random_joined(2000, seed=3, groups=4, days=28)
evil = ["<img src=x onerror='pwned=1'>", "'];pwned=1//", "${pwned=1}", "</script><script>pwned=1</script>"]
named = pl.col("group").replace_strict(dict(zip(["g0", "g1", "g2", "g3"], evil)))
joined = FakeJoined(frame=made.frame.with_columns(named), contract=made.contract, as_of=made.as_of)
weeks = fb.Comparison(reference="2026-04-05..2026-04-12", current="2026-04-12..2026-04-19")
explorer = fb.explore.slices(joined, weeks, by="group")
explorer
"""


def test_hostile_slice_names_stay_text_in_the_page_and_in_tooltips(
    tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    with notebook(tmp_path, require_tool, [HOSTILE]) as (page, watch, _):
        lab.wait_painted(page)
        canvas = page.locator(".fbkit-canvas canvas").first
        box = canvas.bounding_box()
        seen = set()
        for number in range(4 * int(box["height"] // 5)):
            row, column = divmod(number, 4)
            page.mouse.move(box["x"] + (0.3, 0.45, 0.6, 0.85)[column] * box["width"], box["y"] + 5 * row)
            page.wait_for_timeout(15)
            tip = page.locator(".vg-tooltip.visible, #vg-tooltip-element.visible")
            if tip.count():
                seen.add(tip.first.inner_text())
        assert any("onerror" in text for text in seen), "the tooltip shows the name as text"
        assert page.evaluate("typeof window.pwned") == "undefined"
        assert watch.errors == []
        assert watch.external == []


def test_the_saved_notebook_keeps_a_picture_and_a_sentence_without_a_kernel(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    path = str(root / "data_samples" / "recall_drop" / "variant_a")
    cells = [f"import fbkit as fb\nexplorer = fb.explore.slices(fb.open_loop({path!r}).join())\nexplorer"]
    with notebook(tmp_path, require_tool, cells) as (page, watch, address):
        lab.wait_painted(page)
        page.evaluate("async () => { await jupyterapp.commands.execute('docmanager:save'); }")
        page.evaluate("async () => { await jupyterapp.commands.execute('kernelmenu:shutdown'); }")
        page.goto(f"{address}/lab/workspaces/again/tree/n.ipynb?reset")
        page.wait_for_selector(".fbkit-static img", state="visible", timeout=60_000)
        assert page.evaluate("document.querySelector('.fbkit-static img').naturalWidth") > 500
        assert "Recall" in (page.locator(".fbkit-static figcaption").inner_text())
        assert (
            page.get_by_text("Error displaying widget").count() == 0
            or not page.get_by_text("Error displaying widget").first.is_visible()
        )
        assert watch.external == []
    saved = json.loads((tmp_path / "work" / "n.ipynb").read_text())
    assert "widgets" not in saved["metadata"], "no widget state, so no rows, in the saved file"
    outputs = saved["cells"][0]["outputs"]
    assert all("Recall" in "".join(output["data"]["text/plain"]) for output in outputs)
    assert_exported_page_shows_the_picture(tmp_path, require_tool("chromium"))


def assert_exported_page_shows_the_picture(tmp_path: Path, executable: str) -> None:
    source = tmp_path / "work" / "n.ipynb"
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--log-level=ERROR", str(source)]
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path)
    with lab.chromium(executable) as (page, _):
        page.goto(source.with_suffix(".html").as_uri())
        picture = page.locator(".fbkit-static img")
        assert picture.is_visible()
        assert picture.evaluate("i => i.naturalWidth") > 500
