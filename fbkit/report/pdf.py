"""The document as a PDF with the shipped font inside; import it only where its package is installed."""

import io
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from fbkit.charts.fonts import FACES, FOLDER, MissingGlyphWarning
from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import CELL, SENTENCE, clean
from fbkit.report.layout import widths

_INK: Final = (31, 35, 40)
_SOFT: Final = (89, 99, 110)
_LINE: Final = (208, 215, 222)
_SHADE: Final = (246, 248, 250)
_FAMILY: Final = "fbkit"
_MARGIN: Final = 18.0
_WIDTH: Final = 210.0 - 2 * _MARGIN
_MM_PER_PIXEL: Final = 25.4 / 96 * 0.85  # a little smaller than on a screen
_LINES: Final = 55  # lines of a table on a page
_WIDEST: Final = 3.0  # millimetres of a broad sign
_UNKNOWN: Final = "?"
_TO_FILL: Final = "\n\n"  # room for handwriting

Pictures = Mapping[str, tuple[bytes, int]]


def render(document: Document, *, pictures: Pictures, written: datetime, lead: Sequence[Block] = ()) -> bytes:
    """A PDF file; parameters as in :func:`fbkit.report.docx.render`.

    Warns
    -----
    MissingGlyphWarning
        The shipped font lacks characters of the text; they are shown as a question mark.
    """
    writer = _Writer(document, pictures, written)
    writer.front(lead)
    for section in document.sections:
        writer.section(section)
    return writer.save()


def _fits(width: float) -> int:
    """How many of the widest signs a cell of this width holds on one page; a row is never broken."""
    return max(8, int(_LINES * (width - 1.6) / _WIDEST))


def _page() -> Any:
    """A4 with a line at the foot of every page."""
    from fpdf import FPDF

    class Page(FPDF):
        foot = ""

        def footer(self) -> None:
            self.set_y(-13)
            self.set_font(_FAMILY, size=8)
            self.set_text_color(*_SOFT)
            self.cell(w=0, h=5, text=f"{self.foot} · page {self.page_no()} of {{nb}}")

    return Page(format="A4")


class _Writer:
    """One PDF in the making."""

    def __init__(self, document: Document, pictures: Pictures, written: datetime) -> None:
        self.document, self.pictures = document, pictures
        self.unknown: dict[str, None] = {}
        self.drawn = 0
        self.page = _page()
        for style, name in (("", "regular"), ("B", "bold")):
            self.page.add_font(_FAMILY, style=style, fname=str(FOLDER / FACES[name]))
        self.known = frozenset(self.page.fonts[_FAMILY].cmap)
        self.page.foot = self._plain(document.title, limit=CELL)
        self.page.set_title(self._plain(document.title, limit=CELL))
        self.page.set_author("fbkit")
        self.page.set_lang("en")
        self.page.set_creation_date(written)
        self.page.set_margins(_MARGIN, _MARGIN)
        self.page.set_auto_page_break(auto=True, margin=_MARGIN)
        self.page.set_draw_color(*_LINE)
        self.page.add_page()

    def _plain(self, text: str, *, limit: int = SENTENCE) -> str:
        """Clean text of characters that the font has; the others are remembered, and shown as a question mark."""
        shown = []
        for sign in clean(text, limit=limit):
            has = ord(sign) in self.known
            if not has:
                self.unknown.setdefault(sign)
            shown.append(sign if has else _UNKNOWN)
        return "".join(shown)

    def front(self, lead: Sequence[Block]) -> None:
        self._text(self.document.title, size=19, bold=True, after=1)
        self._text(self.document.subtitle, size=10, colour=_SOFT, after=3)
        for block in lead:
            self.block(block)
        figures = self.document.figures()
        if figures:
            self._text("Figures", size=10, bold=True, before=2, after=1)
            for number, figure in enumerate(figures, start=1):
                self._text(f"Figure {number}: {figure.title}", size=8.5, colour=_SOFT)

    def section(self, section: Section) -> None:
        size = 14.5 if section.level == 2 else 11.5
        first = section.blocks[0]
        self._room(20 + self._height(first) if isinstance(first, Figure) else 45)  # no heading alone at the foot
        self.page.start_section(self._plain(section.title, limit=CELL), level=section.level - 2, strict=False)
        self._text(section.title, size=size, bold=True, before=5 if section.level == 2 else 3, after=1.5)
        for block in section.blocks:
            self.block(block)

    def block(self, block: Block) -> None:
        match block:
            case Paragraph():
                self._text(block.text, bold=block.strong, after=1.8)
            case Bullets():
                self._bullets(block)
            case Table():
                self._table(block)
            case Figure():
                self._figure(block)
            case Fields():
                self._fields(block)
            case Details():
                self._text(f"Evidence: {block.file or block.summary}", size=8.5, colour=_SOFT, after=2)

    def _text(
        self,
        text: str,
        *,
        size: float = 10,
        bold: bool = False,
        colour: tuple[int, int, int] = _INK,
        before: float = 0,
        after: float = 0,
        indent: float = 0,
    ) -> None:
        if before:
            self.page.ln(before)
        self.page.set_font(_FAMILY, style="B" if bold else "", size=size)
        self.page.set_text_color(*colour)
        self.page.set_x(_MARGIN + indent)
        self.page.multi_cell(
            w=_WIDTH - indent, h=size * 0.47, text=self._plain(text), align="L", new_x="LMARGIN", new_y="NEXT"
        )
        if after:
            self.page.ln(after)

    def _bullets(self, block: Bullets) -> None:
        for number, item in enumerate(block.items, start=1):
            top, page = self.page.get_y(), self.page.page_no()
            self._text(item, indent=5, after=0.6)
            end = (self.page.get_y(), self.page.page_no())
            if end[1] == page:
                self.page.set_xy(_MARGIN + 1, top)
                self.page.cell(w=4, h=4.7, text=f"{number}." if block.numbered else "•")
                self.page.set_xy(_MARGIN, end[0])
        self.page.ln(1.5)

    def _table(self, table: Table) -> None:
        self._room(34)
        if table.caption:
            self._text(table.caption, size=9, bold=True, before=1.5, after=1)
        cells = [list(table.columns), *table.rows]
        right = [column in table.numeric for column in range(len(table.columns))]
        sizes = [10 * size for size in widths(cells, total=_WIDTH / 10)]
        self._grid(cells, sizes=sizes, right=right, heads=1, limit=4 * CELL)
        if table.note:
            self._text(table.note, size=8.5, colour=_SOFT, before=0.8)
        self.page.ln(2.5)

    def _fields(self, fields: Fields) -> None:
        cells = [[name, value or _TO_FILL] for name, value in fields.items]
        self._grid(cells, sizes=[55, _WIDTH - 55], right=[False, False], heads=0, limit=SENTENCE)
        self.page.ln(2.5)

    def _grid(
        self, cells: Sequence[Sequence[str]], *, sizes: Sequence[float], right: Sequence[bool], heads: int, limit: int
    ) -> None:
        from fpdf import FontFace

        self.page.set_font(_FAMILY, size=8)
        self.page.set_text_color(*_INK)
        with self.page.table(
            width=_WIDTH,
            col_widths=tuple(sizes),
            text_align=tuple("RIGHT" if side else "LEFT" for side in right),
            borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="BOLD", color=_SOFT, fill_color=_SHADE),
            num_heading_rows=heads,
            first_row_as_headings=bool(heads),
            line_height=4,
            padding=0.8,
        ) as grid:
            for row in cells:
                line = grid.row()
                for place, cell in enumerate(row):
                    shown = cell if cell == _TO_FILL else self._plain(cell, limit=min(limit, _fits(sizes[place])))
                    line.cell(shown, style=None if heads or place else FontFace(emphasis="BOLD", color=_SOFT))

    def _figure(self, figure: Figure) -> None:
        self.drawn += 1
        self._room(self._height(figure))
        png = self.pictures[figure.key][0]
        self.page.image(io.BytesIO(png), x=_MARGIN, w=self._across(figure), alt_text=self._plain(figure.alt))
        self._text(f"Figure {self.drawn}: {figure.title}", size=8.5, colour=_SOFT, before=1, after=3)

    def _across(self, figure: Figure) -> float:
        return min(_WIDTH, self.pictures[figure.key][1] * _MM_PER_PIXEL)

    def _height(self, figure: Figure) -> float:
        """Picture and caption."""
        png = self.pictures[figure.key][0]
        across, down = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
        return self._across(figure) * down / across + 10

    def _room(self, height: float) -> None:
        """A new page unless this much is left on this one."""
        if self.page.get_y() + height > self.page.h - _MARGIN:
            self.page.add_page()

    def save(self) -> bytes:
        if self.unknown:
            shown = " ".join(f"{sign} (U+{ord(sign):04X})" for sign in list(self.unknown)[:5])
            more = f" and {len(self.unknown) - 5} more" if len(self.unknown) > 5 else ""
            warnings.warn(
                f"the font of the PDF has no glyph for {shown}{more}: shown as {_UNKNOWN}; the page and the Word file "
                "use the fonts of the reader's machine",
                MissingGlyphWarning,
                stacklevel=2,
            )
        return bytes(self.page.output())
