"""What a document says, line by line: numbers that changed are found, words are left to people."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fbkit.report import docx, html, markdown
from fbkit.report.document import Bullets, Details, Document, Fields, Paragraph, Section, Table
from fbkit.report.lines import DOCUMENTS, changed, expected

BLOCKS = [
    Paragraph(text="Recall fell 12.5 points to 0.680."),
    Paragraph(text="Nothing to see here."),
    Bullets(items=["label 300 rows", "wait"]),
    Fields(items=[("observed", "-12.5 points [-15.6, -9.4]"), ("decision", "")]),
    Table(columns=["slice", "n"], rows=[["EU <b>", "1,204"], ["US", "77"]], caption="2 slices", note="of 9"),
    Details(summary="more", blocks=[Paragraph(text="behind it 4.25")], file="data/x.csv"),
]
MADE = Document(title="m: recall 0.80 → 0.68", subtitle="x", sections=[Section(key="s", title="S", blocks=BLOCKS)])
WRITTEN = datetime(2026, 11, 2, tzinfo=UTC)


def _bytes(document: Document, name: str) -> bytes:
    if name.endswith(".docx"):
        return docx.render(document, pictures={}, written=WRITTEN)
    if name.endswith(".html"):
        return html.render(document, pictures={}).encode()
    return markdown.render(document).encode()


def _with(old: str, new: str) -> Document:
    def swap(value):
        if isinstance(value, str):
            return value.replace(old, new)
        return type(value)(swap(item) for item in value) if isinstance(value, list | tuple) else value

    blocks = [
        type(block)(**{name: swap(getattr(block, name)) for name in block.__dataclass_fields__})
        for block in BLOCKS[:-1]
    ]
    section = Section(key="s", title="S", blocks=[*blocks, BLOCKS[-1]])
    return Document(title=MADE.title, subtitle="x", sections=[section])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_was_written_is_unchanged(name: str) -> None:
    assert changed(MADE, name, _bytes(MADE, name)) == []
    assert len(expected(MADE, name)) >= 6


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(
    ("old", "new", "written", "now"),
    [
        ("0.680", "0.780", "0.680", "0.780"),
        ("300", "3", "300", "3"),
        ("[-15.6", "[-1.6", "-15.6", "-1.6"),
        ("1,204", "1,304", "1,204", "1,304"),
        ("Recall fell 12.5 points", "Recall fell by 2.5 points", "12.5", "2.5"),
    ],
)
def test_a_changed_number_is_found(name: str, old: str, new: str, written: str, now: str) -> None:
    found = changed(MADE, name, _bytes(_with(old, new), name))
    assert [(item.written, item.now) for item in found] == [(written, now)]


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Nothing to see here.", "Ticket 4711, 3 people."),
        ("Recall fell 12.5 points to 0.680.", "Recall fell 12.5 points to 0.680; rolled back at 14:00 by 2 of us."),
        ("wait", "do not wait"),
    ],
)
def test_changed_words_and_added_ones_are_not(name: str, old: str, new: str) -> None:
    assert changed(MADE, name, _bytes(_with(old, new), name)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_line_that_is_gone_is_found(name: str) -> None:
    found = changed(MADE, name, _bytes(_with("label 300 rows", "sleep"), name))
    assert [(item.written, item.now) for item in found] == [("300", None)]


def _archive(xml: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("word/document.xml", xml)
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 nothing", _archive(b"<w"), _archive(b" " * (65 * 1024 * 1024))],
    ids=["empty", "no archive", "no XML", "a bomb"],
)
def test_a_word_file_that_is_none_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is no Word file any more|far too long"):
        changed(MADE, "incident.docx", content)


def test_an_entity_of_a_word_file_is_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("label 300 rows")
    name = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{name}"><w:p><w:r><w:t>&secret;</w:t></w:r></w:p></w:document>'
    evil = f'<!DOCTYPE x [<!ENTITY secret SYSTEM "{(tmp_path / "secret").as_uri()}">]>{body}'.encode()
    assert "label 300 rows" in [item.line for item in changed(MADE, "incident.docx", _archive(evil))]
