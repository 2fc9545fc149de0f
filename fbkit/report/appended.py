"""A section put behind a document that exists, in each of its formats; what stands there already is not touched."""

import io
import zipfile
from copy import deepcopy
from datetime import datetime
from typing import Any, Final

from fbkit.errors import InputError
from fbkit.report import html, markdown
from fbkit.report.document import Document, Section
from fbkit.report.escape import html as escaped

_LARGEST: Final = 256 * 1024 * 1024
_HEADING: Final = "Heading"


def appended(name: str, content: bytes, section: Section, *, written: datetime) -> bytes:
    """The document with one more section at its end.

    Parameters
    ----------
    name
        ``incident.md``, ``incident.html`` or ``incident.docx``.
    content
        The document as it is, words that somebody added included.
    section
        What is added; it holds no figure.
    written
        When.

    Raises
    ------
    InputError
        The file is no longer a document of its kind.
    """
    alone = Document(title="", subtitle="", sections=[section])
    if name.endswith(".docx"):
        from fbkit.report import docx

        return _to_word(content, docx.render(alone, pictures={}, written=written))
    text = content.decode("utf-8", errors="surrogateescape")
    made = _to_page(text, alone) if name.endswith(".html") else _to_markdown(text, alone)
    return made.encode("utf-8", errors="surrogateescape")


def _to_markdown(text: str, alone: Document) -> str:
    added = markdown.render(alone)
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}\n{added[added.index('## ') :]}"


def _to_page(text: str, alone: Document) -> str:
    page, section = html.render(alone, pictures={}), alone.sections[0]
    added = page[page.index("<main>\n") + len("<main>\n") : page.rindex("</main>")]
    link = f'<a href="#{escaped(section.key)}">{escaped(section.title)}</a>'
    text = _before(text, "</nav>", link)
    return _before(text, "</main>", added) if "</main>" in text else _before(text, "</body>", added, or_end=True)


def _before(text: str, mark: str, added: str, *, or_end: bool = False) -> str:
    place = text.rfind(mark)
    if place < 0:
        return f"{text}\n{added}" if or_end else text
    return f"{text[:place]}{added}{text[place:]}"


def _to_word(content: bytes, addition: bytes) -> bytes:
    """The body of one file behind the body of the other; both have the same styles."""
    from fbkit.report.docx import pinned

    old, new = _word(content), _word(addition)
    end = old.element.body.sectPr
    started = False
    for element in new.element.body:
        started = started or _is_heading(element)
        if started and element is not new.element.body.sectPr:
            place = deepcopy(element)
            old.element.body.append(place) if end is None else end.addprevious(place)
    out = io.BytesIO()
    old.save(out)
    return pinned(out.getvalue())


def _is_heading(element: Any) -> bool:
    style = element.style if element.tag.endswith("}p") else None
    return style is not None and str(style).startswith(_HEADING)


def _word(content: bytes) -> Any:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import XMLSyntaxError

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size <= _LARGEST:
            return docx.Document(io.BytesIO(content))
    except (zipfile.BadZipFile, OpcError, XMLSyntaxError, KeyError, ValueError, EOFError) as error:
        raise _no_word(f"{type(error).__name__}: {str(error)[:120]}") from error
    raise _no_word(f"{size:,} bytes once it is unpacked")


def _no_word(got: str) -> InputError:
    return InputError(
        "incident.docx is no Word file any more",
        got=got,
        allowed="the file as it was written, with words added",
        next_step="put the file back, or delete it and write the bundle anew",
    )
