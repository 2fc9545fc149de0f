"""The PDF as poppler reads it."""

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fbkit.charts.fonts import MissingGlyphWarning
from fbkit.errors import MissingPartError
from fbkit.report import forms, incident
from fbkit.report.document import Document, Fields, Paragraph, Section, Table
from tests.unit.report.hostile import HOSTILE
from tests.unit.report.test_docx import PICTURES, a_document

pdf = pytest.importorskip("fbkit.report.pdf")
CLOCK = datetime(2026, 11, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def read(require_tool: Callable[[str], str], tmp_path: Path) -> Callable[[bytes], list[str]]:
    program = require_tool("pdftotext")

    def pages(content: bytes) -> list[str]:
        file = tmp_path / "some.pdf"
        file.write_bytes(content)
        shown = subprocess.run([program, "-layout", str(file), "-"], check=True, capture_output=True, timeout=60)
        return [re.sub(r"\s+", " ", page).strip() for page in shown.stdout.decode().split("\f")[:-1]]

    return pages


def test_the_same_text_on_the_same_pages_as_in_word(make, read: Callable[[bytes], list[str]]) -> None:
    files = incident.render(make.diagnosis(), contract=make.contract(), clock=CLOCK, pdf=True)
    pages = read(files["incident.pdf"])
    text = " ".join(pages)
    for said in ("payment-fraud: recall 0.80 → 0.68", "-12.0 points [-16.0, -8.0]", "Figure 2: The ladder of causes"):
        assert said in text
    assert [f"page {i} of {len(pages)}" in page for i, page in enumerate(pages, start=1)] == [True] * len(pages)
    again = incident.render(make.diagnosis(), contract=make.contract(), clock=CLOCK, pdf=True)
    assert read(again["incident.pdf"]) == pages


def test_a_bundle_has_no_pdf_unless_it_is_asked_for(make) -> None:
    files = incident.render(make.without_pictures(make.diagnosis()), contract=make.contract(), clock=CLOCK)
    assert "incident.pdf" not in files


def test_without_its_package_the_error_says_what_to_install(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "find_spec", lambda name: None if name == "fpdf" else pytest.fail(name))
    with pytest.raises(MissingPartError, match=r'pip install "fbkit\[pdf\]"'):
        incident.render(make.diagnosis(), contract=make.contract(), clock=CLOCK, pdf=True)


def test_nothing_but_the_asked_for_pdf_loads_its_package() -> None:
    code = "import sys, fbkit.report.incident; print([n for n in ('fpdf', 'docx', 'vl_convert') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_kind_of_block_is_on_the_page(read: Callable[[bytes], list[str]]) -> None:
    text = " ".join(read(pdf.render(a_document("words"), pictures=PICTURES, written=CLOCK)))
    assert text.count("words") >= 12
    assert "Figure 2: second" in text
    assert "1,234" in text
    assert "Evidence: data/some.csv" in text


def test_hostile_text_is_text(read: Callable[[bytes], list[str]]) -> None:
    said = [text for text in HOSTILE if text]
    sections = [Section(key=str(i), title=text, blocks=[Paragraph(text=text)]) for i, text in enumerate(said)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingGlyphWarning)
        content = pdf.render(Document(title=said[0], subtitle=said[1], sections=sections), pictures={}, written=CLOCK)
        for text in said:
            pdf.render(a_document(text), pictures=PICTURES, written=CLOCK)
    text = " ".join(read(content))
    for shown in (
        "<script>alert(1)</script>",
        "[click](javascript:alert(6))",
        "=cmd|' /C calc'!A0",
        "‹U+202E›",
        "{{7*7}}",
    ):
        assert shown in text
    for forbidden in (b"/JavaScript", b"/JS ", b"/URI", b"/Launch", b"/EmbeddedFile", b"/OpenAction <<"):
        assert forbidden not in content


@pytest.mark.parametrize("columns", [1, 2, 5, 9])
def test_a_cell_that_would_not_fit_a_page_is_cut_and_says_so(read: Callable[[bytes], list[str]], columns: int) -> None:
    table = Table(columns=["W" * 5000] * columns, rows=[["W " * 2500] * columns, ["MW" * 2500] * columns])
    part = Section(key="k", title="only", blocks=[table, Fields(items=[("W" * 5000, "W" * 5000)])])
    text = "".join(read(pdf.render(Document(title="t", subtitle="", sections=[part]), pictures={}, written=CLOCK)))
    assert "5,000 characters)" in re.sub(r"\s", "", text).replace("5,000characters", "5,000 characters")


def test_characters_without_a_glyph_are_counted_not_dropped(read: Callable[[bytes], list[str]]) -> None:
    with pytest.warns(MissingGlyphWarning, match=r"U\+65E5"):
        content = pdf.render(a_document("日本 Zürich ≥ 5"), pictures=PICTURES, written=CLOCK)
    assert "?? Zürich ≥ 5" in " ".join(read(content))


def test_a_long_document_goes_on_and_every_page_has_its_foot(read: Callable[[bytes], list[str]]) -> None:
    blocks = [Paragraph(text=f"Sentence {i} of many. " * 8) for i in range(120)]
    long = Document(title="long", subtitle="", sections=[Section(key="k", title="only", blocks=blocks)])
    pages = read(pdf.render(long, pictures={}, written=CLOCK))
    assert len(pages) > 4
    assert all(f"page {i} of {len(pages)}" in page for i, page in enumerate(pages, start=1))
    assert all(f"Sentence {i} of many." in " ".join(pages) for i in range(120))


def test_the_outline_leads_to_every_section(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    require_tool("pdftotext")
    program = shutil.which("pdfinfo")
    content = pdf.render(a_document(), pictures=PICTURES, written=CLOCK)
    assert content.count(b"/Dest") >= 2
    if program is not None:
        (tmp_path / "some.pdf").write_bytes(content)
        told = subprocess.run([program, str(tmp_path / "some.pdf")], check=True, capture_output=True, text=True).stdout
        assert "Title:           words" in told
        assert "Encrypted:       no" in told
