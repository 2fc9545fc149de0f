"""The pieces of a Word file that its library has no words for; every text that comes in is clean already."""

from collections.abc import Sequence
from typing import Any, Final

from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt

_LINE: Final = "D0D7DE"
_SHADE: Final = "F6F8FA"


def _element(tag: str, **attributes: str) -> Any:
    made = OxmlElement(tag)
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), value)
    return made


def font(style: Any, name: str) -> None:
    """One family for every script that it has; theme fonts would win otherwise."""
    style.font.name = name
    look = style.element.get_or_add_rPr()
    for spacing in look.findall(qn("w:spacing")):
        look.remove(spacing)
    fonts = look.get_or_add_rFonts()
    for key in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{key}"), None)
    for key in ("ascii", "hAnsi", "cs", "eastAsia"):
        fonts.set(qn(f"w:{key}"), name)


def plain_border(style: Any) -> None:
    """Take the line beneath a title away."""
    for border in style.element.findall(f".//{qn('w:pBdr')}"):
        border.getparent().remove(border)


def field(place: Any, instruction: str, cached: str) -> None:
    """A field with the value that is shown until a reader updates it."""
    made = _element("w:fldSimple", instr=f" {instruction} ")
    run = _element("w:r")
    text = _element("w:t")
    text.text = cached
    run.append(text)
    made.append(run)
    place._p.append(made)  # noqa: SLF001  # python-docx's own way to its XML


def _mark(number: int) -> str:
    return f"_Toc_figure_{number}"


def caption(word: Any, *, number: int, text: str) -> None:
    """``Figure 1: ...`` beneath a picture: a number that Word can count, and a place that the list links to."""
    place = word.add_paragraph(style="Caption")
    start = _element("w:bookmarkStart", id=str(number), name=_mark(number))
    place._p.append(start)  # noqa: SLF001
    place.add_run("Figure ")
    field(place, r"SEQ Figure \* ARABIC", str(number))
    place.add_run(f": {text}")
    place._p.append(_element("w:bookmarkEnd", id=str(number)))  # noqa: SLF001


def figure_list(word: Any, names: Sequence[str]) -> None:
    """A table of figures: a field that Word can bring up to date, filled already, each line a link."""
    for number, name in enumerate(names, start=1):
        place = word.add_paragraph(style="Small")
        if number == 1:
            _field_part(place, "begin")
            run = place.add_run()
            text = _element("w:instrText")
            text.set(qn("xml:space"), "preserve")
            text.text = r' TOC \h \z \n \c "Figure" '
            run._r.append(text)  # noqa: SLF001
            _field_part(place, "separate")
        link = _element("w:hyperlink", anchor=_mark(number), history="1")
        shown = place.add_run(name)
        link.append(shown._r)  # noqa: SLF001
        place._p.append(link)  # noqa: SLF001
        if number == len(names):
            _field_part(place, "end")


def _field_part(place: Any, kind: str) -> None:
    place.add_run()._r.append(_element("w:fldChar", fldCharType=kind))  # noqa: SLF001


def describe(picture: Any, *, name: str, title: str, alt: str) -> None:
    """Name, title and alternative text of an inline picture."""
    known = picture._inline.docPr  # noqa: SLF001
    known.set("name", name)
    known.set("title", title)
    known.set("descr", alt)


def table(word: Any, *, rows: int, columns: int, caption: str) -> Any:
    """A table of fine horizontal lines and fixed widths, with its name for screen readers."""
    made = word.add_table(rows=rows, cols=columns)
    made.autofit = False
    for row in made.rows:
        row._tr.get_or_add_trPr().append(_element("w:cantSplit"))  # noqa: SLF001
    known = made._tbl.tblPr  # noqa: SLF001
    borders = _element("w:tblBorders")
    for side in ("top", "bottom", "insideH"):
        borders.append(_element(f"w:{side}", val="single", sz="4", space="0", color=_LINE))
    known.find(qn("w:tblLayout")).addprevious(borders)
    if caption:
        known.append(_element("w:tblCaption", val=caption[:250]))
    return made


def set_widths(made: Any, sizes: Sequence[float]) -> None:
    """Widths in centimetres, for the grid and for every cell; readers differ in which of them they heed."""
    for column, size in zip(made.columns, sizes, strict=True):
        column.width = Cm(size)
    for row in made.rows:
        for cell, size in zip(row.cells, sizes, strict=True):
            cell.width = Cm(size)


def fill(cell: Any, text: str, *, style: str, right: bool = False, keep: bool = False) -> None:
    """One paragraph of text in a cell; ``keep`` holds its row on the page of the next one."""
    place = cell.paragraphs[0]
    place._p.style = style  # noqa: SLF001  # by identifier: by name every cell would search the list of styles
    place.add_run(text)
    if keep:
        place.paragraph_format.keep_with_next = True
    if right:
        place.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def head_row(row: Any) -> None:
    """Shaded, and repeated where a table goes on to the next page."""
    known = row._tr.get_or_add_trPr()  # noqa: SLF001
    known.append(_element("w:tblHeader"))
    for cell in row.cells:
        cell._tc.get_or_add_tcPr().append(_element("w:shd", val="clear", color="auto", fill=_SHADE))  # noqa: SLF001


def roomy(row: Any) -> None:
    """Room for handwriting where a value is to be filled in."""
    row.height = Pt(24)
