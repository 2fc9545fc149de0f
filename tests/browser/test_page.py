"""The linked page as a person meets it: one pick, and every picture follows; keyboard, clipboard, theme, no network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser

CELLS = ["import fbkit as fb\nloop = fb.open_loop({path!r})", "page = fb.explore(loop)\npage"]


def painted(page: Any) -> list[int]:
    return page.evaluate("[...document.querySelectorAll('.fbkit-canvas')].map(c => Number(c.dataset.painted ?? 0))")


def follow(page: Any, before: list[int], *, but: int | None = None) -> None:
    """Every picture but one has painted something newer."""
    script = """([before, but]) => [...document.querySelectorAll('.fbkit-canvas')]
        .every((c, i) => i === but || Number(c.dataset.painted) > before[i])"""
    page.wait_for_function(script, arg=[before, but], timeout=30_000)


def crumbs(page: Any) -> list[str]:
    return [text.removesuffix(" ×") for text in page.locator(".fbkit-crumb").all_inner_texts()]


def test_one_pick_moves_every_picture(tmp_path: Path, require_tool: Callable[[str], str], root: Path) -> None:
    require_tool("playwright")
    require_tool("jupyterlab")
    executable = require_tool("chromium")
    folder, state = tmp_path / "work", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    path = str(root / "data_samples" / "recall_drop" / "variant_b")
    lab.write_notebook(folder / "n.ipynb", [cell.format(path=path) for cell in CELLS])
    with (
        lab.jupyterlab(folder, state=state, theme="JupyterLab Dark") as address,
        lab.chromium(executable, width=1500, height=2600) as (page, watch),
    ):
        lab.open_notebook(page, address, "n.ipynb")
        lab.run_all(page)
        page.wait_for_function("() => document.querySelectorAll('.fbkit-canvas').length === 4", timeout=60_000)
        follow(page, [0, 0, 0, 0])
        _brush_and_let_go(page)
        _pick_a_slice(page)
        _go_back_in_time_by_keyboard(page)
        _copy(page)
        page.locator(".fbkit-strip button", has_text="Label").wait_for()
        page.locator(".fbkit-strip button", has_text="Label: broken").click()
        page.locator(".fbkit-strip .fbkit-table", has_text="at least 92 % wanted").wait_for()
        assert page.locator(".fbkit-trouble:not(:empty)").count() == 0
        assert _background(page) != "255,255,255", "charts follow the dark theme"
        assert watch.errors == []
        assert watch.external == []


def _brush_and_let_go(page: Any) -> None:
    before = painted(page)
    box = page.locator(".fbkit-canvas canvas").first.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 180)
    page.mouse.down()
    page.mouse.move(box["x"] + 390, box["y"] + 180, steps=4)
    page.mouse.up()
    follow(page, before, but=0)
    assert [text.split(" to ")[0][-3:] for text in crumbs(page)] == ["Sep"]
    before = painted(page)
    page.locator(".fbkit-crumb").first.click()
    follow(page, before)
    assert crumbs(page) == []


def _pick_a_slice(page: Any) -> None:
    """The mark of a slice is where its row is; rows of marks are asked until one answers."""
    before = painted(page)
    box = page.locator(".fbkit-canvas canvas").nth(1).bounding_box()
    places = [(across, height) for height in range(90, int(box["height"]) - 60, 7) for across in (0.34, 0.42, 0.62)]
    # On a busy machine the answer takes longer than the next click.
    for pause, (across, height) in [(pause, place) for pause in (60, 500) for place in places]:
        page.mouse.click(box["x"] + across * box["width"], box["y"] + height)
        page.wait_for_timeout(pause)
        if crumbs(page):
            break
    page.wait_for_timeout(400)
    assert crumbs(page)
    assert crumbs(page)[0].startswith("region = ")
    follow(page, before, but=1)
    page.evaluate("() => document.querySelector('.fbkit-crumb').click()")
    page.wait_for_function("() => !document.querySelector('.fbkit-crumb')")


def _go_back_in_time_by_keyboard(page: Any) -> None:
    before = painted(page)
    handle = page.locator(".fbkit-filters .noUi-handle").first
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    follow(page, before)
    page.wait_for_function("() => document.querySelector('.fbkit-crumb')?.innerText.startsWith('as known at')")
    page.locator(".fbkit-crumb").first.click()
    page.wait_for_function("() => !document.querySelector('.fbkit-crumb')")


def _copy(page: Any) -> None:
    """What is copied can be pasted; the browser lets a page write to its clipboard when a person pressed a button."""
    origin = page.url.split("/lab")[0]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    page.locator(".fbkit-sharing button", has_text="Copy or save").first.click()
    page.locator(".fbkit-copy", has_text="Copy as code").first.click()
    said = page.locator(".fbkit-copying [role=status]", has_text="copied").first
    said.wait_for(timeout=20_000)
    assert "fb.metrics(joined" in page.evaluate("navigator.clipboard.readText()")
    page.locator(".fbkit-copy", has_text="Copy picture and table").first.click()
    share = page.locator(".fbkit-copying", has_text="Copy picture and table").first
    share.locator("[role=status]", has_text="copied").wait_for(timeout=30_000)
    kinds = page.evaluate("async () => (await navigator.clipboard.read()).flatMap(item => item.types)")
    assert {"image/png", "text/html", "text/plain"} <= set(kinds)
    assert "| " in page.evaluate("navigator.clipboard.readText()")


def _background(page: Any) -> str:
    script = """() => {
      const canvas = document.querySelector('.fbkit-canvas canvas');
      return [...canvas.getContext('2d').getImageData(3, 3, 1, 1).data].slice(0, 3).join(',');
    }"""
    return page.evaluate(script)
