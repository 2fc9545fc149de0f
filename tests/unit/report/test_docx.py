"""The Word file as another reader sees it: its XML, python-docx, and LibreOffice."""

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import docx as word
import pytest

from fbkit.report import docx, docx_xml
from fbkit.report.document import Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import clean
from tests.unit.report.hostile import HOSTILE

CLOCK = datetime(2026, 11, 2, 3, 4, 5, 678, tzinfo=UTC)
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def pixel() -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 400, 200, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + b"\xcc" * 400) * 200)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURES = {"one": (pixel(), 200), "two": (pixel(), 2000)}


def a_document(text: str = "words") -> Document:
    """Every kind of block, with a text in every place that holds one."""
    table = Table(
        columns=[text, "n"], rows=[[text, "1,234"], [text, "5"]], caption=text, note=text, numeric=frozenset({1})
    )
    blocks = [
        Paragraph(text=text, strong=True),
        Bullets(items=[text, text]),
        Bullets(items=[text], numbered=True),
        table,
        Figure(key="one", title=text, alt=text),
        Fields(items=[(text, text), (text, "")]),
        Details(summary=text, blocks=[table], file="data/some.csv"),
    ]
    part = Section(key="part", title=text, level=3, blocks=[Figure(key="two", title="second", alt="wide")])
    return Document(title=text, subtitle=text, sections=[Section(key="all", title=text, blocks=blocks), part])


def render(document: Document) -> bytes:
    return docx.render(document, pictures=PICTURES, written=CLOCK, lead=[Paragraph(text="At a glance.")])


@pytest.fixture(scope="module")
def content() -> bytes:
    return render(a_document())


def part(content: bytes, name: str = "word/document.xml") -> ElementTree.Element:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return ElementTree.fromstring(archive.read(name))


def texts(content: bytes) -> list[str]:
    paragraphs = part(content).iter(f"{W}p")
    return ["".join(node.text or "" for node in paragraph.iter(f"{W}t")) for paragraph in paragraphs]


def test_headings_tables_and_pictures_are_native(content: bytes) -> None:
    made = word.Document(io.BytesIO(content))
    styles = [(paragraph.style.name, paragraph.text) for paragraph in made.paragraphs]
    assert ("Title", "words") in styles
    assert ("Heading 1", "words") in styles
    assert ("Heading 2", "words") in styles
    assert styles.count(("List Bullet", "words")) == 2
    first = made.tables[0]
    assert [[cell.text for cell in row.cells] for row in first.rows] == [
        ["words", "n"],
        ["words", "1,234"],
        ["words", "5"],
    ]
    assert len(made.inline_shapes) == 2


def test_every_picture_has_words_and_fits_the_page(content: bytes) -> None:
    made = word.Document(io.BytesIO(content))
    known = [shape._inline.docPr for shape in made.inline_shapes]
    assert [(item.get("name"), item.get("descr")) for item in known] == [("Figure 1", "words"), ("Figure 2", "wide")]
    assert len({item.get("id") for item in known}) == 2
    small, wide = made.inline_shapes
    assert wide.width.cm == pytest.approx(17.0, abs=0.01)
    assert small.width < wide.width
    assert small.width / small.height == pytest.approx(2.0, abs=0.01)


def test_the_figures_are_listed_first_and_each_line_leads_to_its_caption(content: bytes) -> None:
    root = part(content)
    links = [link.get(f"{W}anchor") for link in root.iter(f"{W}hyperlink")]
    marks = [mark.get(f"{W}name") for mark in root.iter(f"{W}bookmarkStart")]
    assert links == marks
    assert len(links) == 2
    said = texts(content)
    assert said.index("Figure 1: words") < said.index("At a glance.") + 5
    assert said.count("Figure 2: second") == 2  # in the list, and beneath the picture
    kinds = [node.get(f"{W}fldCharType") for node in root.iter(f"{W}fldChar")]
    assert kinds == ["begin", "separate", "end"]


def test_a_table_repeats_its_head_and_says_its_name(content: bytes) -> None:
    first = next(part(content).iter(f"{W}tbl"))
    rows = first.findall(f"{W}tr")
    assert [row.find(f"{W}trPr/{W}tblHeader") is not None for row in rows] == [True, False, False]
    caption = first.find(f"{W}tblPr/{W}tblCaption")
    assert caption is not None
    assert caption.get(f"{W}val") == "words"
    aligned = [cell.find(f"{W}p/{W}pPr/{W}jc") for cell in rows[1].findall(f"{W}tc")]
    assert [item is not None for item in aligned] == [False, True]
    widths = [int(column.get(f"{W}w", "0")) for column in first.findall(f"{W}tblGrid/{W}gridCol")]
    assert sum(widths) == pytest.approx(17.0 / 2.54 * 1440, abs=5)


def test_nothing_in_the_file_tells_when_it_was_made_but_the_pinned_time(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.testzip() is None
    known = word.Document(io.BytesIO(content)).core_properties
    assert (known.created, known.modified) == (CLOCK.replace(microsecond=0),) * 2
    assert (known.author, known.last_modified_by, known.title) == ("fbkit", "fbkit", "words")
    assert render(a_document()) == content


def test_another_time_is_the_only_difference(content: bytes) -> None:
    later = docx.render(
        a_document(), pictures=PICTURES, written=datetime(2027, 1, 1, tzinfo=UTC), lead=[Paragraph(text="At a glance.")]
    )
    with zipfile.ZipFile(io.BytesIO(content)) as one, zipfile.ZipFile(io.BytesIO(later)) as other:
        changed = [name for name in one.namelist() if one.read(name) != other.read(name)]
    assert changed == ["docProps/core.xml"]


@pytest.mark.parametrize("text", [text for text in HOSTILE if text], ids=range(len(HOSTILE) - 1))
def test_hostile_text_is_text_in_every_place(content: bytes, text: str) -> None:
    made = render(a_document(text))
    root, plain = part(made), part(content)
    assert [node.tag for node in root.iter()] == [node.tag for node in plain.iter()]
    said = texts(made)
    shown = clean(text)
    assert said[0] == shown
    assert said.count(shown[:100]) + sum(line.startswith(shown[:100]) for line in said) > 5
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        relations = archive.read("word/_rels/document.xml.rels").decode()
        names = archive.namelist()
        for name in names:
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(archive.read(name))
    assert 'TargetMode="External"' not in relations
    assert not [name for name in names if "vba" in name.lower() or "embed" in name.lower()]
    fields = [node.get(f"{W}instr") for node in root.iter(f"{W}fldSimple")]
    assert set(fields) == {r" SEQ Figure \* ARABIC "}


def test_a_document_without_pictures_has_no_list_of_them() -> None:
    bare = Document(title="t", subtitle="s", sections=[Section(key="k", title="only", blocks=[Paragraph(text="x")])])
    made = docx.render(bare, pictures={}, written=CLOCK)
    assert "Figures" not in texts(made)


def test_an_empty_field_leaves_room_to_write(content: bytes) -> None:
    table = word.Document(io.BytesIO(content)).tables[1]
    assert [row.height for row in table.rows] == [None, docx_xml.Pt(24)]


@pytest.fixture
def office(require_tool: Callable[[str], str]) -> str:
    require_tool("pdftotext")
    return require_tool("soffice")


def test_libreoffice_opens_it_and_shows_what_it_says(make, office: str, tmp_path: Path) -> None:
    from fbkit.report import incident

    files = incident.render(make.diagnosis(), contract=make.contract(), call="fb.triage(joined)", clock=CLOCK)
    (tmp_path / "incident.docx").write_bytes(files["incident.docx"])
    command = [
        office,
        f"-env:UserInstallation=file://{tmp_path}/profile",
        "--headless",
        "--convert-to",
        "pdf",
        "--outdir",
        str(tmp_path),
        str(tmp_path / "incident.docx"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    reader = shutil.which("pdftotext")
    assert reader is not None
    shown = subprocess.run(
        [reader, "-layout", str(tmp_path / "incident.pdf"), "-"], check=True, capture_output=True, timeout=60
    ).stdout.decode()
    pages = shown.split("\f")
    assert 4 <= len(pages) <= 12
    flat = re.sub(r"\s+", " ", shown)
    for said in ("payment-fraud: recall 0.80 → 0.68", "Figure 2: The ladder of causes", "page 1 of"):
        assert said in flat
    for heading in ("Summary", "Impact", "Timeline", "Why: the ladder of causes", "Decisions and owner", "Provenance"):
        assert heading in flat
    images = shutil.which("pdfimages")
    if images is not None:
        listed = subprocess.run([images, "-list", str(tmp_path / "incident.pdf")], check=True, capture_output=True)
        assert len(re.findall(r"^ *\d+ +\d+ +image ", listed.stdout.decode(), flags=re.MULTILINE)) == 3
