import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest

from fbkit.report import html
from fbkit.report.document import Bullets, Details, Document, Fields, Paragraph, Section, Table
from fbkit.report.proofs import Proofs


def claims(*rows: tuple[str, str, int, float | None]) -> pl.DataFrame:
    """(sentence, number, position, value); a None value is a number that no cell explains."""
    made = [
        {
            "key": "k",
            "sentence": sentence,
            "number": number,
            "position": position,
            "frame": None if value is None else "ladder",
            "row": None if value is None else json.dumps({"cause": "<b>drift</b>"}),
            "column": None if value is None else "value",
            "value": value,
            "format": None,
        }
        for sentence, number, position, value in rows
    ]
    return pl.DataFrame(made, infer_schema_length=None)


def page(blocks: list, proofs: Proofs | None) -> str:
    sections = [Section(key="one", title="One", blocks=blocks), Section(key="two", title="Two", blocks=blocks)]
    return html.render(Document(title="t", subtitle="s", sections=sections), pictures={}, proofs=proofs)


SENTENCE = "It fell 12.5 points to 68.0 % of <all>."
CLAIMS = claims((SENTENCE, "12.5", 8, -0.125), (SENTENCE, "68.0 %", 23, 0.68), ("cost: 5 <USD>", "5", 6, 5.0))


def test_a_number_leads_to_its_cell_and_the_rest_is_text() -> None:
    text = page([Paragraph(text=SENTENCE)], Proofs(CLAIMS))
    first = (
        '<p>It fell <a class="num" href="#number-1">12.5</a> points to '
        '<a class="num" href="#number-2">68.0</a> % of &lt;all&gt;.</p>'
    )
    assert text.count(first) == 2
    assert text.count('id="number-1"') == text.count('id="number-2"') == 1
    assert "-0.125" in text
    assert "data/ladder.csv" in text
    assert "cause = &lt;b&gt;drift&lt;/b&gt;" in text
    assert text.count("Where the 2 numbers above come from") == 1


def test_every_link_has_a_target_and_no_target_is_double() -> None:
    blocks = [Paragraph(text=SENTENCE), Bullets(items=[SENTENCE]), Fields(items=[("cost", "5 <USD>"), ("x", "")])]
    text = page(blocks, Proofs(CLAIMS))
    anchors = re.findall(r'id="(number-\d+)"', text)
    assert sorted(set(re.findall(r'href="#(number-\d+)"', text))) == sorted(anchors)
    assert len(anchors) == len(set(anchors)) == 3
    assert '<dd><a class="num" href="#number-3">5</a> &lt;USD&gt;</dd>' in text


def test_without_proofs_nothing_changes() -> None:
    blocks = [Paragraph(text=SENTENCE), Fields(items=[("cost", "5 <USD>")])]
    plain = page(blocks, None)
    for nothing in (Proofs(None), Proofs(CLAIMS.clear()), Proofs(pl.DataFrame({"other": [1]}))):
        assert page(blocks, nothing) == plain
    assert "number-" not in plain


@pytest.mark.parametrize(
    "rows",
    [
        claims((SENTENCE, "12.5", 7, -0.125)),
        claims((SENTENCE, "99", 8, 99.0)),
        claims((SENTENCE, "12.5", 4000, -0.125)),
        claims((SENTENCE, "12.5", -3, -0.125)),
        claims((SENTENCE, "12.5", 8, None)),
    ],
    ids=["shifted", "other number", "beyond the end", "before the start", "no cell"],
)
def test_a_claim_that_does_not_fit_its_sentence_links_nothing(rows: pl.DataFrame) -> None:
    assert 'class="num"' not in page([Paragraph(text=SENTENCE)], Proofs(rows))


def test_claims_that_overlap_leave_the_text_whole() -> None:
    twice = claims((SENTENCE, "12.5", 8, 1.0), (SENTENCE, "2.5", 9, 2.0))
    text = page([Paragraph(text=SENTENCE)], Proofs(twice))
    assert re.sub(r"<[^>]+>", "", re.findall(r"<p>(.*)</p>", text)[0]) == SENTENCE.replace("<", "&lt;").replace(
        ">", "&gt;"
    )


def test_evidence_opens_on_a_click_and_holds_its_table() -> None:
    table = Table(columns=["a"], rows=[["1"]], caption="c")
    text = page([Details(summary="The <evidence>", blocks=[table, Paragraph(text="p")], file="data/a.csv")], None)
    assert "<details><summary>The &lt;evidence&gt;</summary>" in text
    assert text.count("<details>") == text.count("</details>") == 2
    inner = text[text.index("<details>") : text.index("</details>")]
    assert "<caption>c</caption>" in inner
    assert "<p>p</p>" in inner


def test_the_page_is_well_formed() -> None:
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "img"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    balance = Balance()
    balance.feed(page([Paragraph(text=SENTENCE), Details(summary="s", blocks=[])], Proofs(CLAIMS)))
    assert balance.open == []
