"""Every number of every sentence, bound to the cell of an evidence frame that it was written from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from fbkit.report import card, numbers, sentences, words
from fbkit.report.cells import Cell, Cells, Frames
from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section, Table
from fbkit.report.escape import SENTENCE
from fbkit.report.formats import ways
from fbkit.report.tokens import Token, tokens
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis

SCHEMA: Final = {
    "key": pl.String, "sentence": pl.String, "number": pl.String, "position": pl.Int64, "frame": pl.String,
    "row": pl.String, "column": pl.String, "value": pl.Float64, "format": pl.String,
}  # fmt: skip

# People's words, and what identifies the sources: no statement about the logs.
_NOT_CLAIMS: Final = frozenset({"provenance", "notes", "decisions"})
_EVIDENCE: Final = {
    "immature_window": "loss", "label_slice_loss": "loss", "label_loss_nonrandom": "counts",
    "action_censoring": "loss", "join_break": "loss", "noise": "remainder",
}  # fmt: skip

Said = tuple[str, str]


def claims(
    diagnosis: Diagnosis,
    document: Document | None = None,
    *,
    frames: Frames | None = None,
    contract: Contract | None = None,
) -> pl.DataFrame:
    """Which cell stands behind which number.

    Parameters
    ----------
    diagnosis
        What was found; its own sentences are read whether or not a document shows them.
    document
        The document that is made of it: its other sentences (fields, captions of figures, the timeline) are read too.
    frames
        The frames that are exported, if other than the diagnosis' evidence.
    contract
        Names more of a user's things, digits in which are no numbers.

    Returns
    -------
    One row per number: ``key`` (which sentence), ``sentence``, ``number`` (as written), ``position`` (of its first
    sign in the sentence), ``frame``, ``row`` (column and value that pick the row, as JSON), ``column``, ``value`` and
    ``format`` (see :data:`fbkit.report.formats.FORMATS`). A number that no cell explains has a null ``frame``.
    Dates, periods, hashes, names of a user's things, people's notes and the provenance are no claims.
    """
    cells = Cells.of(diagnosis, frames=frames)
    names = names_of(diagnosis, contract)
    rows: list[tuple[object, ...]] = []
    others = cells.everything()
    for key, text in said(diagnosis, document):
        found = tokens(text[:SENTENCE], names=names)
        bound = bind(found, topic(cells, key), metric=diagnosis.metric, others=others)
        rows += [_row(key, text, token, pair) for token, pair in zip(found, bound, strict=True)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def rows_of(texts: Sequence[Said], *, cells: Sequence[Cell], metric: str, names: Sequence[str] = ()) -> pl.DataFrame:
    """The same frame for sentences (key, text) that speak of these cells, in this order."""
    rows: list[tuple[object, ...]] = []
    for key, text in texts:
        found = tokens(text[:SENTENCE], names=names)
        rows += [
            _row(key, text, token, pair) for token, pair in zip(found, bind(found, cells, metric=metric), strict=True)
        ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _row(key: str, text: str, token: Token, pair: tuple[Cell, str] | None) -> tuple[object, ...]:
    number = f"{token.text} %" if token.unit == "%" else token.text
    if pair is None:
        return key, text, number, token.start, None, None, None, None, None
    cell, how = pair
    row = json.dumps(dict(cell.row), ensure_ascii=False)
    return key, text, number, token.start, cell.frame, row, cell.column, cell.value, how


def bind(
    found: Sequence[Token], cells: Sequence[Cell], *, metric: str, others: Sequence[Cell] = ()
) -> list[tuple[Cell, str] | None]:
    """The cell and its format for every number, or None.

    A sentence names its numbers in the order of its ``cells``, some of which it leaves out. So the longest common
    subsequence of numbers and cells is the binding, and where two cells are written alike their order decides.
    Numbers that are left are looked for among the same cells out of turn, then among ``others``.
    """
    texts = [f"{token.text} %" if token.unit == "%" else token.text for token in found]
    options = [ways(cell.value, cell.kind, metric=metric) for cell in cells]
    bound: list[tuple[Cell, str] | None] = [None] * len(texts)
    for token, cell in _aligned(texts, options):
        bound[token] = (cells[cell], options[cell][texts[token]])
    for i, text in enumerate(texts):
        if bound[i] is None:
            bound[i] = _first(text, cells, metric=metric) or _first(text, others, metric=metric)
    return bound


def _first(text: str, cells: Iterable[Cell], *, metric: str) -> tuple[Cell, str] | None:
    for cell in cells:
        how = ways(cell.value, cell.kind, metric=metric).get(text)
        if how is not None:
            return cell, how
    return None


def _aligned(texts: Sequence[str], options: Sequence[Mapping[str, str]]) -> list[tuple[int, int]]:
    """Pairs (number, cell) of a longest common subsequence; of several the one with the earliest cells."""
    rows, columns = len(texts), len(options)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            take = best[i + 1][j + 1] + 1 if texts[i] in options[j] else 0
            best[i][j] = max(take, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < rows and j < columns:
        if texts[i] in options[j] and best[i][j] == best[i + 1][j + 1] + 1:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            i += 1
    return pairs


def topic(cells: Cells, key: str) -> list[Cell]:
    """The cells that the sentence of this key speaks of, in its order."""
    kind, _, rest = key.partition(":")
    smallest = cells.key("minimum_detectable_change")
    known = {
        "headline": lambda: cells.observed() + cells.steps() + cells.true() + smallest + cells.key("tipping_ratio"),
        "title": cells.levels,
        "happened": lambda: cells.levels() + cells.key("observed_change", "observed_lower", "observed_upper"),
        "why": lambda: cells.steps() + smallest,
        "warning": lambda: cells.key("open_share_current") + cells.definitions() + cells.told(),
        "rung": lambda: cells.step(rest),
        "check": lambda: _of_check(cells, rest),
        "evidence": lambda: _of_evidence(cells, rest),
        "overturn": lambda: cells.tipping() + cells.audit(),
        "next": lambda: cells.vanish() + cells.audit(),
        "world": lambda: cells.key("tipping_ratio") + cells.audit(),
        "do": cells.audit,
        "ladder": lambda: cells.key("tipping_ratio") + cells.audit(),
        "impact": cells.impact,
        "known": lambda: _of_known(cells, rest),
        "tile": lambda: cells.observed() + cells.levels() + cells.true() + cells.availability(),
    }
    return known[kind]() if kind in known else []


def _of_check(cells: Cells, key: str) -> list[Cell]:
    if key == "who_lost_labels":
        return cells.availability() + cells.tipping()
    if key == "like_for_like":
        return cells.corrected() + cells.true() + cells.worst(["current"])
    return cells.replayed() + cells.remainder() + cells.cbpe() if key == "is_it_the_model" else []


def _of_evidence(cells: Cells, cause: str) -> list[Cell]:
    about = _EVIDENCE.get(cause)
    found = {"loss": cells.loss, "counts": cells.counts, "remainder": cells.remainder}
    told = cells.told(cause)
    if about is not None:
        return found[about]() + told
    first = ["remainder", "remainder_standard_errors"]
    if cause == "concept_drift":
        return cells.key(*first)
    return told + cells.model() + cells.key(*first)


def _of_known(cells: Cells, name: str) -> list[Cell]:
    """The fields of "what we know": each by the words it starts with."""
    about = {
        "observed change": cells.observed,
        "change once": cells.true,
        "worst case over the missing labels, reference": lambda: cells.worst(["reference"]),
        "worst case over the missing labels, current": lambda: cells.worst(["current"]),
        "tipping ratio": lambda: cells.key("tipping_ratio"),
        "smallest change": lambda: cells.key("minimum_detectable_change"),
        "labels alone": lambda: cells.key("tipping_ratio"),
        "warning": lambda: cells.key("open_share_current") + cells.definitions(),
    }
    return next((made() for start, made in about.items() if name.lower().startswith(start)), [])


def said(diagnosis: Diagnosis, document: Document | None = None) -> list[Said]:
    """Every sentence with its key, each text once: the diagnosis' own, then what only the document says."""
    found = [*_of_diagnosis(diagnosis), *([] if document is None else of_document(document))]
    once: dict[str, str] = {}
    for key, text in found:
        if text:
            once.setdefault(text, key)
    return [(key, text) for text, key in once.items()]


def _of_diagnosis(diagnosis: Diagnosis) -> Iterable[Said]:
    yield "headline", diagnosis.headline
    happened, why, todo = sentences.status_sentences(diagnosis)
    yield from (("happened", happened), ("why", why), ("do:status", todo))
    yield from (("tile", f"{name}: {value}") for name, value in card.tiles_of(diagnosis))
    yield from (("warning", text) for text in diagnosis.warnings)
    for part in diagnosis.contributions:
        amount = numbers.change_interval(part.value, part.lower, part.upper, metric=diagnosis.metric)
        yield f"rung:{part.cause}", f"{words.cause(part.cause)}: {amount}"
        yield f"evidence:{part.cause}", part.evidence
        yield f"next:{part.cause}", part.next_evidence
        yield f"evidence:{part.cause}", part.reason or ""
    yield from ((f"check:{check.key}", check.answer) for check in diagnosis.checks)
    yield from (("overturn", text) for text in diagnosis.would_change_verdict)
    yield from (("do:now", text) for text in diagnosis.do_now)
    yield from (("do:not", text) for text in diagnosis.do_not)
    yield from (("world", str(world.get("decided_by") or "")) for world in diagnosis.worlds)
    yield "reason", diagnosis.reason or ""


def of_document(document: Document) -> Iterable[Said]:
    """Title, paragraphs, bullets, fields and captions of a document; the cells of its tables are cells already."""
    yield "title", document.title
    for section in document.sections:
        if section.key not in _NOT_CLAIMS:
            for block in section.blocks:
                yield from _of_block(section, block)


def _of_block(section: Section, block: Block) -> Iterable[Said]:
    match block:
        case Paragraph():
            yield f"{section.key}:{block.text[:48].rpartition(' ')[0]}", block.text
        case Bullets():
            yield from ((section.key, item) for item in block.items)
        case Fields():
            yield from ((f"{section.key}:{name}", f"{name}: {value}") for name, value in block.items if value)
        case Figure():
            yield f"{section.key}:figure", block.alt
        case Table():
            yield f"{section.key}:caption", block.caption
        case Details():
            for inner in block.blocks:
                yield from _of_block(section, inner)


def names_of(diagnosis: Diagnosis, contract: Contract | None = None) -> list[str]:
    """Names of a user's things that stand in the sentences; digits in them are no numbers."""
    found = [part.where for part in diagnosis.contributions if "=" in part.where]
    found += [piece for where in found for piece in where.split("=", 1)[1].split(", ")]
    frame = diagnosis.evidence.get("features_moved")
    if frame is not None and "column" in frame.columns:
        found += [str(name) for name in frame["column"]]
    found += [str(change.get(name) or "") for change in diagnosis.changes for name in ("kind", "what")]
    found += [diagnosis.metric, diagnosis.owner or "", diagnosis.runbook or ""]
    versions = diagnosis.evidence.get("label_definitions")
    if versions is not None and "about" in versions.columns:
        found += [str(about).removeprefix("version ") for about in versions["about"]]
    if contract is not None:
        model, label = contract.model, contract.label
        found.append(label.version or "")
        found += [model.name, model.business_metric or "", model.runbook or "", *model.owners, label.name]
    return [name for name in found if name]
