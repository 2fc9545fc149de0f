"""Text of users reaches every document as text: nothing runs, nothing links, nothing breaks the structure."""

import csv
import html.parser
import io
import json
from datetime import UTC, datetime

import polars as pl
import pytest
from markdown_it import MarkdownIt

from fbkit.report import card, incident, sentences
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Note
from tests.unit.report.hostile import HOSTILE

_RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render
CLOCK = datetime(2026, 11, 2, tzinfo=UTC)
ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "nav",
    "a",
    "main",
    "section",
    "ul",
    "ol",
    "li",
    "div",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "dl",
    "dt",
    "dd",
    "figure",
    "img",
    "b",
    "span",
    "small",
    "i",
    "u",
    "s",
    "details",
    "summary",
}


class Structure(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.bad: list[object] = []
        self.proving = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.proving = self.proving or known.get("class") == "proof"
        # A number of a hostile text may be a number of the evidence as well; then it is a link like any other.
        if not self.proving and known.get("class") != "num":
            self.tags.append(tag)
        for name, value in attrs:
            address = name in ("href", "src") and not str(value).startswith(("#", "data:image/"))
            if name.startswith("on") or address or tag not in ALLOWED:
                self.bad.append((tag, name, value))

    def handle_endtag(self, tag: str) -> None:
        self.proving = self.proving and tag != "details"


def _utf8(text: str) -> str:
    """Contracts and frames hold UTF-8; only a text made in Python can carry half a character."""
    return text.encode("utf-8", "replace").decode()


def everywhere(make, text: str):
    """A diagnosis with the text in every place that a user's text can reach."""
    inside = _utf8(text)
    check = make.diagnosis().checks[0]
    slices = make.by_slice(("EU", inside or "empty", "US"))
    import dataclasses

    return make.diagnosis(
        headline=text,
        contributions=(
            make.contribution("label_slice_loss", "labels", -0.12, where=text, evidence=text, strength=text),
        ),
        checks=(dataclasses.replace(check, question=text, answer=text),),
        would_change_verdict=(text,),
        do_now=(text,),
        do_not=(text,),
        owner=text,
        runbook=text,
        impact={text or "x": text},
        changes=({"ts": text, "kind": text, "what": text, "coincides": True},),
        data_through={"predictions": text},
        worlds=({"causes": [text], "decided_by": text},),
        method={text or "x": text},
        notes=(Note(text=text, author=text, disagrees_with="verdict"),),
        evidence=make.evidence(availability_by_slice=slices, remainder_by_slice=make.remainder(("EU", inside, "US"))),
    )


@pytest.fixture(scope="module")
def plain_tags(make) -> list[str]:
    files = _render(make, "ordinary words")
    return Structure(files["incident.html"].decode()).tags


_RENDERED: dict[str, dict[str, bytes]] = {}


def _render(make, text: str) -> dict[str, bytes]:
    if text not in _RENDERED:
        _RENDERED[text] = _rendered(make, text)
    return _RENDERED[text]


def _rendered(make, text: str) -> dict[str, bytes]:
    known = _utf8(text) or "x"
    contract = Contract.model_validate(
        {
            "model": {"name": known, "owners": [known], "business_metric": known, "runbook": known},
            "predictions": {},
            "outcomes": {},
            "label": {"window": "7d"},
        }
    )
    facts = everywhere(make, text)
    facts = make.without_pictures(facts)
    audit = pl.DataFrame({"table": [known], "rule": [known], "rows": [1]})
    return incident.render(
        facts, contract=contract, sources=[(text, text, 5)], call=text, frames={"audit": audit}, clock=CLOCK
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_runs_and_the_structure_stays(make, plain_tags: list[str], text: str) -> None:
    files = _render(make, text)
    page = Structure(files["incident.html"].decode())
    assert page.bad == []
    if text:
        assert page.tags == plain_tags
    whole = b"".join(data for name, data in files.items() if name.endswith((".md", ".html", ".csv", ".svg"))).decode()
    assert not [sign for sign in "\x1b\x07\x00\x9b\u202e\u200f\u2066\u200b\u2028" if sign in whole]
    assert len(files["incident.html"]) < 2_000_000
    json.loads(files["diagnosis.json"])
    for name, data in files.items():
        if name.endswith(".csv"):
            for row in csv.reader(io.StringIO(data.decode())):
                assert not [cell for cell in row if cell.lstrip().startswith(("=", "@", "＝", "＋"))], name


def _heading_levels(text: str) -> list[int]:
    return [len(line) - len(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_markdown_keeps_its_lines(make, text: str) -> None:
    plain = _render(make, "ordinary words")["incident.md"].decode()
    hostile = _render(make, text)["incident.md"].decode()
    if text:
        assert hostile.count("\n") == plain.count("\n")
    assert _heading_levels(hostile) == _heading_levels(plain)
    assert "<" not in hostile
    tags = Structure(_RENDER(hostile)).tags
    assert tags == Structure(_RENDER(plain)).tags or not text
    assert not {"a", "img", "script"} & set(tags)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_cards_and_status_line_are_inert(make, text: str) -> None:
    facts = everywhere(make, text)
    assert Structure(card.card_html(facts)).bad == []
    for said in (card.card_text(facts), sentences.status_line(facts)):
        assert not [sign for sign in "\x1b\x07\x00\x9b\u202e\u200f\u2066\u200b" if sign in said]
