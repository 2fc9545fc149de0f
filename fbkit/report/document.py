"""A document before anybody chose a format: sections of sentences, tables and figures, all raw text."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Sentences; ``strong`` marks the ones a reader at 3 a.m. must not miss."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    """Short items in order."""

    items: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells as text; ``numeric`` names the columns (by position) that are aligned right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture by key, with the sentence that replaces it for who cannot see it."""

    key: str
    title: str
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Names and values; an empty value is a field to fill in by hand."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The evidence behind what stands above it: open on a click on a page, named by its file on paper."""

    summary: str
    blocks: Sequence[Paragraph | Table]
    file: str = ""


Block = Paragraph | Bullets | Table | Figure | Fields | Details


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it; ``level`` 2 is a section, 3 a part of one."""

    key: str
    title: str
    blocks: Sequence[Block]
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole text, in reading order."""

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default_factory=tuple)

    def figures(self) -> list[Figure]:
        """Every figure the text asks for, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Figure)]
