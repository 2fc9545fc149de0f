"""Acts on the picture itself, in a real JupyterLab: a handle is dragged, a bar clicked, a row opened by keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import lab
from tests.browser.test_explorers import SET_UP, notebook

pytestmark = pytest.mark.browser

CELLS = [
    "thresholds = fb.explore.thresholds(joined)\nthresholds",
    "predictions = fb.explore.predictions(joined)\npredictions",
    "card = fb.explore.triage(diagnosis)\ncard",
    r"""
import polars as pl
from fbkit.schema.contract import Contract
from fbkit.testing.frames import FakeJoined, random_joined
made = random_joined(500, seed=3, groups=4, days=28)
evil = ["<img src=x onerror='pwned=1'>", "'];pwned=1//", "${pwned=1}", "</script><script>pwned=1</script>"]
named = pl.col("group").replace_strict(dict(zip(["g0", "g1", "g2", "g3"], evil)))
ids = pl.concat_str([pl.lit("<svg onload=pwned=1>"), pl.col("prediction_id")]).alias("prediction_id")
facts = made.contract.model_dump(exclude_defaults=True) | {"slices": {"columns": ["group"]}}
hostile = FakeJoined(frame=made.frame.with_columns(named, ids), contract=Contract.from_dict(facts), as_of=made.as_of)
weeks = fb.Comparison(reference="2026-04-05..2026-04-12", current="2026-04-12..2026-04-19")
rows = fb.explore.predictions(hostile, weeks)
rows""",
]


def box_of(page: Any, explorer: int) -> dict[str, float]:
    """Where the first canvas of an explorer is on the screen."""
    canvas = page.locator(".fbkit-explorer").nth(explorer).locator("canvas").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    found: dict[str, float] = canvas.bounding_box()
    return found


def drag(page: Any, box: dict[str, float], start: float, end: float, *, height: float) -> None:
    """Press, move and let go within a canvas; places are shares of its width and height."""
    y = box["y"] + height * box["height"]
    page.mouse.move(box["x"] + start * box["width"], y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(box["x"] + (start + (end - start) * step / 8) * box["width"], y)
        page.wait_for_timeout(60)
    page.mouse.up()


def drag_the_handle(page: Any, explorers: Any) -> None:
    said = explorers.nth(0).locator("p").first
    before, start = said.inner_text(), lab.painted(page, index=0)
    drag(page, box_of(page, 0), 0.35, 0.6, height=0.9)
    lab.wait_painted(page, at_least=start + 2, index=0)
    page.wait_for_timeout(400)
    after, still = said.inner_text(), lab.painted(page, index=0)
    assert after != before
    assert "true positives" in after, "what changes against the threshold in use"
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    assert lab.painted(page, index=0) == still, "a pointer that is let go drags nothing"
    slider = explorers.nth(0).locator(".noUi-handle")
    slider.focus()
    page.keyboard.press("ArrowRight")
    lab.wait_painted(page, at_least=still + 1, index=0)
    assert said.inner_text() != after, "the next threshold, by keyboard"


def open_a_row(page: Any, explorers: Any) -> str:
    buttons = explorers.nth(1).locator(".fbkit-rows tbody button")
    assert buttons.count() == 50
    buttons.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    receipt = explorers.nth(1).locator(".fbkit-rows-receipt")
    name = buttons.nth(1).inner_text()
    receipt.get_by_text(name).first.wait_for(timeout=20_000)
    assert buttons.nth(1).get_attribute("aria-expanded") == "true"
    explorers.nth(1).locator("input[type=search]").fill(name)
    only = "[...document.querySelectorAll('.fbkit-rows')].some(table => table.querySelectorAll('button').length === 1)"
    page.wait_for_function(only, timeout=20_000)
    return name


def open_a_bar(page: Any, explorers: Any) -> None:
    seen = lab.painted(page, index=2)
    box = box_of(page, 2)
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.49 * box["height"])
    lab.wait_painted(page, at_least=seen + 1, index=2)
    explorers.nth(2).locator("section", has_text="Labels lost in slices").wait_for(timeout=20_000)
    assert page.locator(".fbkit-trouble:not(:empty)").count() == 0


def open_foreign_rows(page: Any, explorers: Any) -> None:
    foreign = explorers.nth(3)
    foreign.scroll_into_view_if_needed()
    buttons = foreign.locator(".fbkit-rows tbody button")
    for place in range(4):
        buttons.nth(place).click()
    foreign.locator(".fbkit-rows-receipt pre").wait_for(timeout=20_000)
    assert "<svg onload" in foreign.locator(".fbkit-rows-receipt").inner_text(), "shown as the text that it is"
    assert "onerror" in foreign.locator(".fbkit-rows").inner_text()
    assert foreign.locator(".fbkit-rows-view img, .fbkit-rows-view svg, .fbkit-rows-view script").count() == 0
    assert page.evaluate("typeof window.pwned") == "undefined"


def test_a_handle_is_dragged_a_bar_opens_and_a_row_is_opened_by_keyboard(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    path = str(root / "data_samples" / "recall_drop" / "variant_a")
    with notebook(tmp_path, require_tool, [SET_UP.format(path=path), *CELLS]) as (page, watch, _):
        for index in range(3):
            lab.wait_painted(page, index=index)
        explorers = page.locator(".fbkit-explorer")

        drag_the_handle(page, explorers)
        name = open_a_row(page, explorers)
        open_a_bar(page, explorers)
        open_foreign_rows(page, explorers)
        page.evaluate("async () => { await jupyterapp.commands.execute('docmanager:save'); }")
        page.wait_for_timeout(1000)
        (saved,) = tmp_path.glob("work/*.ipynb")
        assert name not in saved.read_text(encoding="utf-8"), "no row is in the saved notebook"
        assert watch.errors == []
        assert watch.external == []
