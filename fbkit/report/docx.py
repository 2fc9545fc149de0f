"""The document as a Word file: native headings, tables and pictures, the same bytes for the same content."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import docx
from docx.enum.style import WD_STYLE_TYPE
from docx.shared import Cm, Pt, RGBColor

from fbkit.report import docx_xml
from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import CELL, clean
from fbkit.report.layout import widths

_INK: Final = "1F2328"
_SOFT: Final = "59636E"
_FONT: Final = "Arial"
_WIDTH_CM: Final = 17.0
_PIXELS_PER_CM: Final = 96 / 2.54 / 0.85  # a little smaller than on a screen
_TOGETHER: Final = 3  # rows of a table that stay with the next one
_LONGEST_PROPERTY: Final = 200
# A zip file cannot carry an earlier date, and no later one would be the same tomorrow.
_STAMP: Final = (1980, 1, 1, 0, 0, 0)

Pictures = Mapping[str, tuple[bytes, int]]


def render(document: Document, *, pictures: Pictures, written: datetime, lead: Sequence[Block] = ()) -> bytes:
    """A Word file.

    Parameters
    ----------
    document
        What to say.
    pictures
        PNG bytes and width in pixels (of 1/96 inch) by figure key.
    written
        The time in the file's properties.
    lead
        What stands between the subtitle and the table of figures: the verdict at a glance.
    """
    writer = _Writer(document, pictures)
    writer.front(lead)
    for section in document.sections:
        writer.section(section)
    return pinned(writer.save(written))


class _Writer:
    """One Word document in the making."""

    def __init__(self, document: Document, pictures: Pictures) -> None:
        self.document, self.pictures = document, pictures
        self.word: Any = docx.Document()
        self.drawn = 0
        _page(self.word)
        self.styles = _styles(self.word)
        _footer(self.word, document)

    def front(self, lead: Sequence[Block]) -> None:
        self._text(self.document.title, style="Title")
        self._text(self.document.subtitle, style="Subtitle")
        for block in lead:
            self.block(block)
        figures = self.document.figures()
        if figures:
            self._text("Figures", style="Table heading")
            names = [f"Figure {i}: {clean(figure.title)}" for i, figure in enumerate(figures, start=1)]
            docx_xml.figure_list(self.word, names)

    def section(self, section: Section) -> None:
        self.word.add_heading(clean(section.title), level=section.level - 1)
        for block in section.blocks:
            self.block(block)

    def block(self, block: Block) -> None:
        match block:
            case Paragraph():
                run = self.word.add_paragraph().add_run(clean(block.text))
                run.bold = block.strong or None
            case Bullets():
                for item in block.items:
                    self._text(item, style="List Number" if block.numbered else "List Bullet")
            case Table():
                self._table(block)
            case Figure():
                self._figure(block)
            case Fields():
                self._fields(block)
            case Details():
                self._text(f"Evidence: {block.file or block.summary}", style="Note")

    def _text(self, text: str, *, style: str) -> None:
        self.word.add_paragraph(clean(text), style=style)

    def _table(self, table: Table) -> None:
        if table.caption:
            self._text(table.caption, style="Table heading")
        made = docx_xml.table(
            self.word, rows=len(table.rows) + 1, columns=len(table.columns), caption=clean(table.caption)
        )
        cells = [list(table.columns), *([clean(cell, limit=4 * CELL) for cell in row] for row in table.rows)]
        docx_xml.set_widths(made, widths(cells, total=_WIDTH_CM))
        for number, (row, texts) in enumerate(zip(made.rows, cells, strict=True)):
            for column, (cell, text) in enumerate(zip(row.cells, texts, strict=True)):
                style = self.styles["Table head" if number == 0 else "Table cell"]
                docx_xml.fill(cell, clean(text), style=style, right=column in table.numeric, keep=number < _TOGETHER)
        docx_xml.head_row(made.rows[0])
        self._text(table.note, style="Note")

    def _fields(self, fields: Fields) -> None:
        made = docx_xml.table(self.word, rows=len(fields.items), columns=2, caption="Names and values")
        docx_xml.set_widths(made, [5.5, _WIDTH_CM - 5.5])
        for row, (name, value) in zip(made.rows, fields.items, strict=True):
            docx_xml.fill(row.cells[0], clean(name), style=self.styles["Table head"])
            docx_xml.fill(row.cells[1], clean(value), style=self.styles["Table cell"])
            if not value:
                docx_xml.roomy(row)
        self._text("", style="Note")

    def _figure(self, figure: Figure) -> None:
        png, pixels = self.pictures[figure.key]
        self.drawn += 1
        place = self.word.add_paragraph(style="Picture")
        picture = place.add_run().add_picture(io.BytesIO(png), width=Cm(min(_WIDTH_CM, pixels / _PIXELS_PER_CM)))
        docx_xml.describe(picture, name=f"Figure {self.drawn}", title=clean(figure.title), alt=clean(figure.alt))
        docx_xml.caption(self.word, number=self.drawn, text=clean(figure.title))

    def save(self, written: datetime) -> bytes:
        known = self.word.core_properties
        known.title = clean(self.document.title, limit=_LONGEST_PROPERTY)
        known.subject = clean(self.document.subtitle, limit=_LONGEST_PROPERTY)
        known.author = known.last_modified_by = "fbkit"
        known.comments = known.keywords = ""
        known.language = "en"
        known.revision = 1
        known.created = known.modified = written.replace(tzinfo=None, microsecond=0)
        out = io.BytesIO()
        self.word.save(out)
        return out.getvalue()


def _page(word: Any) -> None:
    page = word.sections[0]
    page.page_width, page.page_height = Cm(21.0), Cm(29.7)
    page.left_margin = page.right_margin = Cm((21.0 - _WIDTH_CM) / 2)
    page.top_margin = page.bottom_margin = Cm(2.0)


def _styles(word: Any) -> dict[str, str]:
    """Name and identifier of the styles that are added."""
    _style(word.styles["Normal"], size=10.5, after=5)
    _style(word.styles["Title"], size=20, bold=True, after=2)
    docx_xml.plain_border(word.styles["Title"])
    _style(word.styles["Subtitle"], size=10.5, colour=_SOFT, after=8)
    for level, size in ((1, 15), (2, 12)):
        _style(word.styles[f"Heading {level}"], size=size, bold=True, before=16 if level == 1 else 11, after=4)
    for name in ("List Bullet", "List Number"):
        _style(word.styles[name], size=10.5, after=2)
    _style(word.styles["Caption"], size=9, colour=_SOFT, after=8)
    made: dict[str, dict[str, Any]] = {
        "Table heading": {"size": 9.5, "bold": True, "before": 8, "after": 3, "keep": True},
        "Table head": {"size": 8.5, "bold": True, "colour": _SOFT, "after": 0},
        "Table cell": {"size": 8.5, "after": 0},
        "Note": {"size": 8.5, "colour": _SOFT, "before": 2, "after": 8},
        "Picture": {"size": 10.5, "before": 4, "after": 2, "keep": True},
        "Small": {"size": 8, "colour": _SOFT, "after": 0},
    }
    for name, look in made.items():
        style = word.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = word.styles["Normal"]
        _style(style, **look)
    return {name: word.styles[name].style_id for name in made}


def _style(
    style: Any,
    *,
    size: float,
    bold: bool = False,
    colour: str = _INK,
    before: float = 0,
    after: float = 0,
    keep: bool | None = None,
) -> None:
    docx_xml.font(style, _FONT)
    style.font.size, style.font.bold, style.font.italic = Pt(size), bold, False
    style.font.color.rgb = RGBColor.from_string(colour)
    form = style.paragraph_format
    form.space_before, form.space_after = Pt(before), Pt(after)
    if keep is not None:
        form.keep_with_next = keep


def _footer(word: Any, document: Document) -> None:
    place = word.sections[0].footer.paragraphs[0]
    place.style = word.styles["Small"]
    place.add_run(f"{clean(document.title, limit=CELL)} · page ")
    docx_xml.field(place, "PAGE", "1")
    place.add_run(" of ")
    docx_xml.field(place, "NUMPAGES", "1")


def pinned(content: bytes) -> bytes:
    """The same archive with every time in it set to one and the same day."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, date_time=_STAMP)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 0, 0
            new.writestr(entry, old.read(name))
    return out.getvalue()
