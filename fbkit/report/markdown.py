"""The document as Markdown: plain tables and links to the figures beside it."""

from collections.abc import Sequence

from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import CELL, markdown


def render(document: Document, *, figure_folder: str = "figures") -> str:
    """Markdown text; a figure is ``![alt](figures/key.png)``."""
    lines = [f"# {markdown(document.title)}", "", f"*{markdown(document.subtitle)}*", ""]
    for section in document.sections:
        lines += _section(section, figure_folder=figure_folder)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, *, figure_folder: str) -> list[str]:
    lines = [f"{'#' * section.level} {markdown(section.title)}", ""]
    for block in section.blocks:
        lines += [*_block(block, figure_folder=figure_folder), ""]
    return lines


def _block(block: Block, *, figure_folder: str) -> list[str]:
    match block:
        case Paragraph():
            return [f"**{markdown(block.text)}**" if block.strong else markdown(block.text)]
        case Bullets():
            return [
                f"{f'{number}.' if block.numbered else '-'} {markdown(item)}"
                for number, item in enumerate(block.items, start=1)
            ]
        case Table():
            return _table(block)
        case Figure():
            return [f"![{markdown(block.alt)}]({figure_folder}/{block.key}.png)"]
        case Fields():
            return [f"- {markdown(name)}: {markdown(value) or '____________'}" for name, value in block.items]
        case Details():
            return [f"*Evidence: {markdown(block.file or block.summary)}*"]


def _table(table: Table) -> list[str]:
    lines = [f"*{markdown(table.caption)}*", ""] if table.caption else []
    marks = ["---:" if i in table.numeric else "---" for i in range(len(table.columns))]
    lines += [_row([markdown(name) for name in table.columns]), _row(marks)]
    lines += [_row([markdown(cell, limit=4 * CELL) for cell in row]) for row in table.rows]
    return [*lines, "", f"*{markdown(table.note)}*"] if table.note else lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
