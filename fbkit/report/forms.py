"""One document in every form that is written: Markdown, one HTML page, Word, and PDF where it is asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec

from fbkit.errors import MissingPartError
from fbkit.report import figures, html, markdown
from fbkit.report.document import Block, Document
from fbkit.report.proofs import Proofs


def forms(
    document: Document,
    *,
    images: Mapping[str, bytes],
    written: datetime,
    head: str = "",
    lead: Sequence[Block] = (),
    proofs: Proofs | None = None,
    pdf: bool = False,
) -> dict[str, bytes]:
    """The files ``incident.md``, ``.html``, ``.docx`` and, if asked for, ``.pdf``.

    Parameters
    ----------
    document
        What to say.
    images
        PNG bytes by figure key.
    written
        The time in the properties of the Word and PDF files.
    head, lead
        The verdict at a glance: as HTML for the page, as blocks for paper.
    proofs
        What stands behind the numbers of the sentences; on the page each number leads to it.
    pdf
        Write the PDF too.

    Raises
    ------
    MissingPartError
        A PDF is asked for and its package is not installed.
    """
    if pdf:
        need_pdf()
    shown = {key: (figures.address(png), figures.width(png)) for key, png in images.items()}
    drawn = {key: (png, figures.width(png)) for key, png in images.items()}
    files = {
        "incident.md": markdown.render(document).encode(),
        "incident.html": html.render(document, pictures=shown, head=head, proofs=proofs).encode(),
        "incident.docx": _docx(document, drawn, written, lead),
    }
    if pdf:
        files["incident.pdf"] = _pdf(document, drawn, written, lead)
    return files


def need_pdf() -> None:
    """Raise MissingPartError if no PDF can be written here."""
    if find_spec("fpdf") is None:
        raise MissingPartError(
            "a PDF needs a package that is not installed",
            got="pdf=True",
            allowed="the bundle without it: the Word file needs nothing more",
            next_step='pip install "fbkit[pdf]"',
        )


def _docx(
    document: Document, pictures: Mapping[str, tuple[bytes, int]], written: datetime, lead: Sequence[Block]
) -> bytes:
    from fbkit.report import docx

    return docx.render(document, pictures=pictures, written=written, lead=lead)


def _pdf(
    document: Document, pictures: Mapping[str, tuple[bytes, int]], written: datetime, lead: Sequence[Block]
) -> bytes:
    from fbkit.report import pdf

    return pdf.render(document, pictures=pictures, written=written, lead=lead)
