"""The explorers without a mouse and without sight: names, focus, order, announcements, contrast, in both themes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import lab

pytestmark = pytest.mark.browser

LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
OPEN = "import fbkit as fb\nloop = fb.open_loop({path!r})\njoined = loop.join()"
SHOWN = ["fb.explore.slices(joined, by='region')", "fb.explore(loop)"]

# Controls that a person can reach, with the name that assistive technology reads.
CONTROLS = """root => {
  const named = (e) => {
    const by = e.getAttribute('aria-labelledby');
    const said = [
      e.getAttribute('aria-label'),
      by && by.split(' ').map(id => document.getElementById(id)?.textContent ?? '').join(' '),
      e.labels && [...e.labels].map(l => l.textContent).join(' '),
      e.closest('label')?.textContent,
      e.tagName === 'BUTTON' ? e.textContent : '',
      e.title,
    ];
    return (said.find(s => s && s.trim()) ?? '').trim();
  };
  const reached = (e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({ visibilityProperty: true });
  return [...root.querySelectorAll('button, select, textarea, input, a[href], [tabindex]')]
    .filter(reached)
    .map(e => ({ tag: e.tagName, role: e.getAttribute('role') ?? '', kind: e.className, name: named(e) }));
}"""

# The element that has the focus: whether it is inside, its place among the controls, and whether it is marked.
FOCUSED = """root => {
  const e = document.activeElement;
  if (!root.contains(e)) return null;
  const style = getComputedStyle(e);
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  const shadowed = style.boxShadow !== 'none';
  return { tag: e.tagName, kind: e.className, marked: outlined || shadowed, visible: e.matches(':focus-visible') };
}"""

# Texts of our own HTML with their colour and what lies behind them.
TEXTS = """root => {
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      layers.push(colour);
      if (!/rgba\\(.*, ?0(\\.\\d+)?\\)/.test(colour) && colour !== 'transparent') break;
    }
    return layers;
  };
  const found = [];
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    const said = walk.currentNode.textContent.trim();
    const skipped = e.closest('style, script, option, select, button:disabled');
    if (!said || skipped || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    found.push({ said: said.slice(0, 60), colour: getComputedStyle(e).color, behind: behind(e) });
  }
  return found;
}"""


def colour(text: str) -> tuple[float, float, float, float]:
    """Red, green, blue (0 to 255) and opacity of a computed colour."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", text)]
    red, green, blue, *opacity = numbers
    return red, green, blue, opacity[0] if opacity else 1.0


def over(upper: tuple[float, ...], lower: tuple[float, ...]) -> tuple[float, ...]:
    """A colour laid over an opaque one."""
    share = upper[3]
    return (*(share * a + (1 - share) * b for a, b in zip(upper[:3], lower[:3], strict=True)), 1.0)


def luminance(shade: tuple[float, ...]) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [part / 255 for part in shade[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(text: dict[str, Any]) -> float:
    """The ratio of a text to what lies behind it."""
    ground: tuple[float, ...] = (255.0, 255.0, 255.0, 1.0)
    for layer in reversed(text["behind"]):
        ground = over(colour(layer), ground)
    light, dark = sorted((luminance(over(colour(text["colour"]), ground)), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_is_computed_as_wcag_says() -> None:
    assert contrast({"colour": "rgb(0, 0, 0)", "behind": ["rgb(255, 255, 255)"]}) == pytest.approx(21)
    assert contrast({"colour": "rgb(119, 119, 119)", "behind": ["rgb(255, 255, 255)"]}) == pytest.approx(
        4.478, abs=1e-3
    )
    half = {"colour": "rgba(0, 0, 0, 0.5)", "behind": ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]}
    assert contrast(half) == pytest.approx(contrast({**half, "colour": "rgb(127.5, 127.5, 127.5)"}))


FIRST = """root => {
  const all = [...root.querySelectorAll('button, select, textarea, input, a[href], [tabindex]')];
  all.find(e => e.tabIndex >= 0 && e.checkVisibility({ visibilityProperty: true }))?.focus({ focusVisible: true });
}"""


def walk(page: Any, root: Any, count: int) -> list[dict[str, Any]]:
    """Press Tab from the first control on; what had the focus, until it leaves."""
    root.evaluate(FIRST)
    seen = []
    for _ in range(count + 5):
        found = root.evaluate(FOCUSED)
        if found is None:
            break
        seen.append(found)
        page.keyboard.press("Tab")
    return seen


def check(page: Any, root: Any, where: str) -> None:
    """Names, focus and contrast of one explorer or page."""
    for canvas in root.locator(".fbkit-canvas").all():
        assert canvas.get_attribute("role") == "img"
        assert len(canvas.get_attribute("aria-label") or "") > 20, f"a picture of {where} is told in a sentence"
    controls = root.evaluate(CONTROLS)
    assert controls, f"{where} has no controls"
    assert [item for item in controls if not item["name"]] == [], f"controls of {where} without a name"
    seen = walk(page, root, len(controls))
    assert len(seen) >= len(controls), f"Tab reaches every control of {where}"
    assert [item for item in seen if not item["marked"]] == [], f"focus of {where} that cannot be seen"
    pale = [f"{text['said']}: {contrast(text):.2f}" for text in root.evaluate(TEXTS) if contrast(text) < LEAST_CONTRAST]
    assert pale == [], f"pale texts of {where}"


def test_explorers_can_be_used_without_a_mouse_and_without_sight(
    tmp_path: Path, require_tool: Callable[[str], str], root: Path
) -> None:
    for tool in ("playwright", "jupyterlab"):
        require_tool(tool)
    executable = require_tool("chromium")
    folder, state = tmp_path / "work", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    path = str(root / "data_samples" / "recall_drop" / "variant_a")
    lab.write_notebook(folder / "n.ipynb", [OPEN.format(path=path), *SHOWN])
    with lab.jupyterlab(folder, state=state) as address, lab.chromium(executable, height=2400) as (page, watch):
        lab.open_notebook(page, address, "n.ipynb")
        lab.run_all(page)
        lab.wait_painted(page, index=4)
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            page.evaluate("async theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
            page.wait_for_function(
                "light => document.body.dataset.jpThemeLight === light", arg=str(theme.endswith("Light")).lower()
            )
            lab.paint_all(page)
            check(page, page.locator(".jp-OutputArea .fbkit-explorer").first, f"the slices explorer, {theme}")
            check(page, page.locator(".fbkit-page").first, f"the linked page, {theme}")
        announces(page, page.locator(".jp-OutputArea .fbkit-explorer").first)
        assert watch.errors == []
        assert watch.external == []


def announces(page: Any, explorer: Any) -> None:
    """A move by keyboard is read out by an element that stays, and the picture's own description follows."""
    told = explorer.locator(".fbkit-said[aria-live='polite']").first.element_handle()
    picture = explorer.locator(".fbkit-canvas").first.element_handle()
    before, described = told.text_content(), picture.get_attribute("aria-label")
    explorer.locator("select").first.focus()
    page.keyboard.press("ArrowDown")
    changed = "([e, said]) => e.textContent !== said && e.textContent.length > 20"
    page.wait_for_function(changed, arg=[told, before], timeout=20_000)
    assert picture.get_attribute("aria-label") == told.text_content() != described
