"""The document as one HTML file: no network, no script, figures inside."""

from collections.abc import Mapping, Sequence
from typing import Final

from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import html
from fbkit.report.proofs import Proofs
from fbkit.report.style import CARD, COMPACT, PAGE

POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


Pictures = Mapping[str, tuple[str, int]]


def render(
    document: Document, *, pictures: Pictures, head: str = "", compact: bool = False, proofs: Proofs | None = None
) -> str:
    """A whole page.

    Parameters
    ----------
    document
        What to say.
    pictures
        ``data:`` address and width in pixels by figure key.
    head
        HTML to stand above the sections: a card made by :mod:`fbkit.report.card`.
    compact
        Small type in two columns, for a page that is hung on a wall.
    proofs
        The cells behind the numbers: each number leads to its cell, at the end of its section.
    """
    known = proofs or Proofs(None)
    parts = [_section(section, pictures=pictures, proofs=known) for section in document.sections]
    links = "".join(
        f'<a href="#{section.key}">{html(section.title)}</a>' for section in document.sections if section.level == 2
    )
    sheet, body = (COMPACT, '<body class="compact">') if compact else (CARD, "<body>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html(document.title)}</title>\n<style>{PAGE}{sheet}</style>\n</head>\n{body}\n"
        f'<h1>{html(document.title)}</h1>\n<p class="sub">{html(document.subtitle)}</p>\n{head}\n'
        f'<nav aria-label="Sections">{links}</nav>\n<main>\n{"".join(parts)}</main>\n</body>\n</html>\n'
    )


def _section(section: Section, *, pictures: Pictures, proofs: Proofs) -> str:
    tag = f"h{section.level}"
    blocks = "".join(_block(block, pictures=pictures, proofs=proofs) for block in section.blocks)
    head = f'<section id="{html(section.key)}">\n<{tag}>{html(section.title)}</{tag}>\n'
    return f"{head}{blocks}{proofs.table()}</section>\n"


def _block(block: Block, *, pictures: Pictures, proofs: Proofs) -> str:
    match block:
        case Paragraph():
            mark = ' class="strong"' if block.strong else ""
            return f"<p{mark}>{_text(block.text, proofs)}</p>\n"
        case Bullets():
            tag = "ol" if block.numbered else "ul"
            return f"<{tag}>{''.join(f'<li>{_text(item, proofs)}</li>' for item in block.items)}</{tag}>\n"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block, pictures)
        case Fields():
            return f"<dl>{''.join(_field(name, value, proofs) for name, value in block.items)}</dl>\n"
        case Details():
            inner = "".join(_block(part, pictures=pictures, proofs=proofs) for part in block.blocks)
            return f"<details><summary>{html(block.summary)}</summary>\n{inner}</details>\n"


def _text(text: str, proofs: Proofs) -> str:
    return proofs.link(text) or html(text)


def _figure(figure: Figure, pictures: Pictures) -> str:
    address, width = pictures[figure.key]
    return f'<figure><img src="{address}" width="{width}" alt="{html(figure.alt)}"></figure>\n'


def _field(name: str, value: str, proofs: Proofs) -> str:
    mark = "" if value else ' class="empty"'
    said = proofs.link(value, lead=f"{name}: ") or html(value)
    return f"<dt>{html(name)}</dt><dd{mark}>{said}</dd>"


def _table(table: Table) -> str:
    caption = f"<caption>{html(table.caption)}</caption>" if table.caption else ""
    head = _cells(table.columns, table.numeric, tag="th")
    rows = "".join(f"<tr>{_cells(row, table.numeric, tag='td')}</tr>\n" for row in table.rows)
    note = f'<p class="note">{html(table.note)}</p>' if table.note else ""
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
    return f'<div class="scroll"><table>{caption}{body}</table>{note}</div>\n'


def _cells(cells: Sequence[str], numeric: frozenset[int], *, tag: str) -> str:
    marks = [' class="n"' if i in numeric else "" for i in range(len(cells))]
    scope = ' scope="col"' if tag == "th" else ""
    return "".join(
        f"<{tag}{scope}{mark}>{html(cell, limit=640)}</{tag}>" for mark, cell in zip(marks, cells, strict=True)
    )
