"""The incident page in a real browser: text of users does nothing, nothing is fetched, everything is readable."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from fbkit.report import incident
from fbkit.report.card import card_html
from fbkit.report.style import PAGE
from tests.browser import lab
from tests.unit.report import conftest as made
from tests.unit.report.hostile import HOSTILE

pytestmark = pytest.mark.browser
CLOCK = datetime(2026, 11, 2, tzinfo=UTC)
TEXTS = [text for text in HOSTILE if text and len(text) < 1000 and "\ud800" not in text]


def hostile_diagnosis() -> made.Diagnosis:
    """Every hostile text at once: as cause, place, slice, sentence, change and setting."""
    parts = tuple(made.contribution(text, "labels", -0.01, where=text, evidence=text) for text in TEXTS)
    rungs = pl.DataFrame(
        {
            "step": TEXTS,
            "cause": TEXTS,
            "family": TEXTS,
            "label": TEXTS,
            "value": -0.01,
            "lower": -0.02,
            "upper": 0.0,
            "start": 0.8,
            "end": 0.79,
            "kind": "step",
        }
    )
    check = dataclasses.replace(made.make_diagnosis().checks[0], question=" ".join(TEXTS), answer=" ".join(TEXTS))
    frames = made.evidence(
        ladder=rungs, availability_by_slice=made.by_slice(TEXTS), remainder_by_slice=made.remainder(TEXTS)
    )
    return made.make_diagnosis(
        headline=" ".join(TEXTS),
        contributions=parts,
        checks=(check,),
        do_now=TEXTS,
        do_not=TEXTS,
        would_change_verdict=TEXTS,
        changes=tuple({"ts": text, "kind": text, "what": text, "coincides": True} for text in TEXTS),
        method=dict.fromkeys(TEXTS, "x"),
        evidence=frames,
    )


@pytest.fixture
def browser(require_tool: Callable[[str], str]) -> str:
    require_tool("playwright")
    return require_tool("chromium")


def test_hostile_text_does_nothing(tmp_path: Path, browser: str) -> None:
    diagnosis = hostile_diagnosis()
    folder = incident.write(diagnosis, tmp_path / "incident", contract=made.make_contract(minimum=1), clock=CLOCK)
    card = tmp_path / "card.html"
    # The notebook's card without the page's policy: nothing but the escaping protects it.
    card.write_text(f"<!doctype html><meta charset=utf-8><style>{PAGE}</style>{card_html(diagnosis)}", encoding="utf-8")
    for page_file in (folder / "incident.html", card):
        with lab.chromium(browser) as (page, watch):
            dialogs: list[str] = []
            page.on("dialog", lambda dialog, seen=dialogs: (seen.append(dialog.message), dialog.dismiss()))
            page.goto(page_file.as_uri())
            page.wait_for_timeout(400)
            assert dialogs == []
            assert watch.external == []
            assert watch.errors == []
            assert page.locator("script, iframe, object, [onerror], [onload], [onmouseover], [onfocus]").count() == 0
            assert "<script>alert(1)</script>" in page.inner_text("body")


def test_the_page_is_whole_in_light_dark_and_narrow(tmp_path: Path, browser: str) -> None:
    folder = incident.write(made.make_diagnosis(), tmp_path / "incident", contract=made.make_contract(), clock=CLOCK)
    for scheme, width in (("light", 1200), ("dark", 1200), ("light", 480)):
        with lab.chromium(browser, width=width) as (page, watch):
            page.emulate_media(color_scheme=scheme)
            page.goto((folder / "incident.html").as_uri())
            drawn = page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 100)")
            assert drawn == [True, True, True]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.locator("nav a").count() == page.locator("h2").count()
            shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (shade == "rgb(255, 255, 255)") == (scheme == "light")
            assert watch.errors + watch.external == []


def test_a_click_on_a_number_opens_the_cell_behind_it(tmp_path: Path, browser: str) -> None:
    folder = incident.write(made.make_diagnosis(), tmp_path / "incident", contract=made.make_contract(), clock=CLOCK)
    with lab.chromium(browser) as (page, watch):
        page.goto((folder / "incident.html").as_uri())
        assert page.locator("details[open]").count() == 0
        number = page.locator("#summary a.num").first
        page.locator(str(number.get_attribute("href"))).wait_for(state="hidden")
        number.focus()
        page.keyboard.press("Enter")
        cell = page.locator("tr:target")
        cell.wait_for(state="visible")
        assert cell.inner_text().split()[0] == number.inner_text()
        assert page.locator("details[open]").count() == 1
        seen = cell.evaluate(
            "row => { const r = row.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight }"
        )
        assert seen
        assert watch.errors + watch.external == []


def test_on_paper_nothing_is_cut_and_closed_evidence_is_left_out(tmp_path: Path, browser: str) -> None:
    folder = incident.write(made.make_diagnosis(), tmp_path / "incident", contract=made.make_contract(), clock=CLOCK)
    with lab.chromium(browser, width=794) as (page, _):
        page.goto((folder / "incident.html").as_uri())
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("details").first.is_visible()
        assert page.locator("#timeline table").first.is_visible()
