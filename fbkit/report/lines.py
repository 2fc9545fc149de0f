"""What a document says, line by line, whatever its format: to find the numbers that somebody changed by hand."""

import html.parser
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from fbkit.report import markdown
from fbkit.report.document import Block, Bullets, Details, Document, Fields, Paragraph, Table
from fbkit.report.escape import CELL, clean
from fbkit.report.tokens import tokens

DOCUMENTS: Final = ("incident.md", "incident.html", "incident.docx")
_LARGEST: Final = 64 * 1024 * 1024
_CLOSE: Final = 0.6
_SILENT: Final = frozenset({"style", "script"})
_INLINE: Final = frozenset({"a", "b", "i", "em", "strong", "code", "small", "br", "span", "sup", "mark"})
_WORD: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TEXT: Final = "word/document.xml"
_DIGITS: Final = re.compile(r"[+-]?\d[\d.,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A line that is no longer as it was written: its numbers then and now; ``now`` is None where it is gone."""

    line: str
    written: str
    now: str | None


def changed(document: Document, name: str, content: bytes, *, lead: Sequence[Block] = ()) -> list[Changed]:
    """The lines of a document whose numbers somebody changed, or that are gone; words may change, and lines come.

    Parameters
    ----------
    document
        The text as it was written.
    name, content
        Which of :data:`DOCUMENTS` is looked at, and its bytes.
    lead
        What stands above the sections of the page and the Word file.

    Raises
    ------
    ValueError
        The file is no longer a document of its kind.
    """
    told = expected(document, name, lead=lead)
    there = dict.fromkeys(_one(line) for line in _lines(name, content))
    # A line that stands there as it was written cannot be another one that was changed.
    as_told = set(told)
    left = [line for line in there if line not in as_told]
    by_words: dict[str, list[str]] = {}
    for line in left:
        by_words.setdefault(_words(line), []).append(line)
    found: list[Changed] = []
    for line in told:
        if line not in there:
            other = _nearest(line, by_words.get(_words(line), [])) or _closest(line, left)
            before, now = _numbers(line), [] if other is None else _numbers(other)
            if other is None or not _inside(before, now):
                missing = [number for number in before if number not in now]
                new = None if other is None else [number for number in now if number not in before]
                found.append(
                    Changed(
                        line=line,
                        written=", ".join(missing or before),
                        now=None if new is None else ", ".join(new) or "left out",
                    )
                )
    return found


def expected(document: Document, name: str, *, lead: Sequence[Block] = ()) -> list[str]:
    """The lines with a number that a document of this name holds, each once."""
    if name.endswith(".md"):
        texts: Iterable[str] = markdown.render(document).splitlines()
    else:
        texts = [*_of_lead(lead, card=name.endswith(".html")), *_texts(document, page=name)]
    return [line for line in dict.fromkeys(_one(text) for text in texts) if tokens(line)]


def _texts(document: Document, *, page: str) -> Iterator[str]:
    yield clean(document.title)
    for section in document.sections:
        yield clean(section.title)
        for block in section.blocks:
            yield from _of_block(block, details=page.endswith(".html"))


def _of_lead(lead: Sequence[Block], *, card: bool) -> Iterator[str]:
    """The verdict at a glance: as blocks on paper; on a page as a card, where the value stands above its name."""
    for block in lead:
        if card and isinstance(block, Fields):
            for name, value in block.items:
                shown, _, more = value.partition(", ") if "[" not in value.split(", ")[0] else (value, "", "")
                yield clean(f"{shown}{name}: {more}" if more else f"{shown}{name}")
        else:
            yield from _of_block(block, details=False)


def _of_block(block: Block, *, details: bool) -> Iterator[str]:
    match block:
        case Paragraph():
            yield clean(block.text)
        case Bullets():
            yield from map(clean, block.items)
        case Fields():
            yield from (clean(value) for _, value in block.items)
        case Table():
            yield from (clean(cell, limit=4 * CELL) for row in block.rows for cell in row)
            yield from (clean(block.caption), clean(block.note))
        case Details():
            for inner in block.blocks if details else ():
                yield from _of_block(inner, details=details)
        case _:
            return


def _lines(name: str, content: bytes) -> Iterable[str]:
    if name.endswith(".docx"):
        return _of_word(content)
    text = content.decode("utf-8", errors="replace")
    return _of_page(text) if name.endswith(".html") else text.splitlines()


class _Page(html.parser.HTMLParser):
    """The text of a page, one line per element."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.silent += tag in _SILENT
        if tag not in _INLINE:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in _SILENT
        if tag not in _INLINE:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if self.silent <= 0:
            self.lines[-1] += data


def _of_page(text: str) -> list[str]:
    page = _Page()
    page.feed(text)
    page.close()
    return page.lines


def _of_word(content: bytes) -> list[str]:
    from docx.oxml import parse_xml
    from lxml.etree import XMLSyntaxError

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            if parts.getinfo(_TEXT).file_size > _LARGEST:
                raise ValueError("its text is far too long")
            xml = parts.read(_TEXT)
        tree = parse_xml(xml)
    except (zipfile.BadZipFile, KeyError, XMLSyntaxError, EOFError, NotImplementedError) as error:
        raise ValueError("it is no Word file any more") from error
    return ["".join(_of_run(node) for node in place.iter()) for place in tree.iter(f"{_WORD}p")]


def _of_run(node: Any) -> str:
    if node.tag == f"{_WORD}t":
        return node.text or ""
    return " " if node.tag in (f"{_WORD}tab", f"{_WORD}br") else ""


def _one(text: str) -> str:
    return " ".join(text.split())


def _numbers(line: str) -> list[str]:
    return [token.text for token in tokens(line)]


def _words(line: str) -> str:
    return _DIGITS.sub("#", line)


def _inside(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether the numbers still stand there in their order, whatever was written between them."""
    left = iter(whole)
    return all(number in left for number in part)


def _nearest(line: str, others: Sequence[str]) -> str | None:
    """Of the lines with the same words the one that shares most numbers."""
    numbers = _numbers(line)

    def shared(other: str) -> int:
        return sum(one == two for one, two in zip(numbers, _numbers(other), strict=False))

    return max(others, key=shared) if others else None


def _closest(line: str, lines: Sequence[str]) -> str | None:
    """The line that is most like this one, if any is."""
    best, found = _CLOSE, None
    matcher = SequenceMatcher(autojunk=False, b=line[:2000])
    for other in lines:
        if abs(len(other) - len(line)) <= max(len(line), 80):
            matcher.set_seq1(other[:2000])
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
                best, found = matcher.ratio(), other
    return found
