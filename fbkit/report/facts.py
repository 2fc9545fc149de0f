"""A diagnosis as an ordered document: what to say, in which order; no format, no colour."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from fbkit.report import card, notes, numbers, sentences, tables, timeline, words
from fbkit.report.document import Block, Bullets, Details, Document, Fields, Figure, Paragraph, Section
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Check, Diagnosis

Frames = Mapping[str, pl.DataFrame]

_SEEN: Final = {
    "as_seen": "What was known of the current period at each midnight",
    "metric_by_arrival": "The metric of the labels that arrived on each day",
}
_LADDER: Final = {
    "replay": "What each mechanism does when it is replayed on the reference's own outcomes",
    "tipping": "How far label rates would have to move apart to explain it, and how far they did",
    "conservation": "Flagged rows of the current period, by label: found and expected",
}


def document(
    diagnosis: Diagnosis,
    contract: Contract,
    *,
    frames: Frames,
    figures: Sequence[Figure] = (),
    provenance: Sequence[Block] = (),
) -> Document:
    """The incident document.

    Parameters
    ----------
    diagnosis, contract
        What was found, and the contract it was found under.
    frames
        The evidence frames as they may be exported (personal columns dropped, thin slices masked).
    figures
        The pictures that could be drawn, by key.
    provenance
        The blocks of the last section.
    """
    drawn = {figure.key: figure for figure in figures}
    sections = [
        _section("summary", "Summary", [Paragraph(text=text) for text in sentences.status_sentences(diagnosis)]),
        _section("impact", "Impact", _impact(diagnosis, contract)),
        _section("timeline", "Timeline", _timeline(diagnosis, frames, drawn)),
        _section("moved", "What moved", _moved(diagnosis, drawn)),
        _section("ladder", "Why: the ladder of causes", _ladder(diagnosis, frames, drawn)),
        *_checks(diagnosis, frames, drawn),
        _section("slices", "Slices hit", _slices(diagnosis, frames)),
        _section("known", "What we know and do not know", _known(diagnosis)),
        _section("overturn", "What would change this verdict", _bullets(diagnosis.would_change_verdict)),
        _section("actions", "Do now, and do not", _actions(diagnosis)),
        _section("decisions", "Decisions and owner", _decisions(diagnosis, contract)),
        _section("notes", "Notes of the engineers", _notes(diagnosis)),
        _section("provenance", "Provenance", list(provenance)),
    ]
    return Document(
        title=title(diagnosis, contract),
        subtitle=subtitle(diagnosis),
        sections=[part for part in sections if part.blocks],
    )


def title(diagnosis: Diagnosis, contract: Contract) -> str:
    """One line that names the model, the metric and its two values; the verdict stands beneath."""
    return f"{contract.model.name}: {diagnosis.metric} {_arrow(diagnosis)}"


def subtitle(diagnosis: Diagnosis) -> str:
    """Both periods and the as-of time."""
    asked = f"{diagnosis.current} against {diagnosis.reference}, as of {numbers.instant(diagnosis.as_of)}"
    return f"{asked}{sentences.only(diagnosis)}"


def lead(diagnosis: Diagnosis) -> list[Block]:
    """The verdict at a glance, for the head of a document on paper; a page has the card in its place."""
    said = [Paragraph(text=sentences.verdict(diagnosis), strong=True), Paragraph(text=diagnosis.headline)]
    said += [Paragraph(text=f"Warning: {item}") for item in diagnosis.warnings]
    return [*said, Fields(items=[_tile(name, value) for name, value in card.tiles_of(diagnosis)])]


def _tile(name: str, value: str) -> tuple[str, str]:
    """What a tile says beneath its number stands beside it on paper."""
    name, _, more = name.partition(": ")
    return name, f"{value}, {more}" if more else value


def _arrow(diagnosis: Diagnosis) -> str:
    return f"{numbers.plain(diagnosis.observed.reference)} → {numbers.plain(diagnosis.observed.current)}"


def _section(key: str, heading: str, blocks: Sequence[Block | None], *, level: int = 2) -> Section:
    return Section(key=key, title=heading, blocks=[block for block in blocks if block is not None], level=level)


def _bullets(items: Sequence[str]) -> list[Block]:
    return [Bullets(items=list(items))] if items else []


def _impact(diagnosis: Diagnosis, contract: Contract) -> list[Block]:
    known = dict(diagnosis.impact)
    fields = [(str(known.pop("unit", None) or "predictions affected"), _impact_value(known.pop("rows", None)))]
    if "business_metric" in known:
        currency = contract.value.currency if contract.value and contract.value.currency else ""
        value = _impact_value(known.pop("business_metric"))
        fields.append(("value, by the contract's unit economics", f"{value} {currency}".strip()))
    if contract.model.business_metric:
        fields.append(("the model is there for", contract.model.business_metric))
    fields += [(words.column(str(name)), _impact_value(value)) for name, value in known.items()]
    fields.append(("people affected, tickets (to fill in)", ""))
    return [Fields(items=fields)]


def _impact_value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "not estimable" if value is None else str(value)
    if isinstance(value, int):
        return numbers.count(value)
    return numbers.plain(value) if isinstance(value, float) else str(value)


def _moved(diagnosis: Diagnosis, drawn: Mapping[str, Figure]) -> list[Block]:
    blocks: list[Block | None] = [drawn.get("weekly"), tables.weekly_table(diagnosis)]
    return [block for block in blocks if block is not None]


def _timeline(diagnosis: Diagnosis, frames: Frames, drawn: Mapping[str, Figure]) -> list[Block | None]:
    fields, listed = timeline.blocks(diagnosis, frames)
    return [fields, drawn.get("daily"), listed, *_behind(diagnosis, frames, _SEEN)]


def _notes(diagnosis: Diagnosis) -> list[Block]:
    return [*notes.blocks(diagnosis), Fields(items=[("notes (to fill in)", "")])]


def _ladder(diagnosis: Diagnosis, frames: Frames, drawn: Mapping[str, Figure]) -> list[Block]:
    blocks: list[Block | None] = [drawn.get("ladder"), tables.ladder_table(diagnosis)]
    blocks += _behind(diagnosis, frames, _LADDER)
    if diagnosis.worlds:
        blocks.append(Paragraph(text="More than one explanation fits these logs equally well:", strong=True))
        blocks.append(Bullets(items=[_world(world) for world in diagnosis.worlds]))
    return [block for block in blocks if block is not None]


def _behind(diagnosis: Diagnosis, frames: Frames, names: Mapping[str, str]) -> list[Block]:
    """Evidence frames (name -> what it says) that open on a click; on paper only their files are named."""
    found = [(name, frames[name]) for name in names if name in frames and frames[name].height]
    metric, limit = diagnosis.metric, tables.MOST_BEHIND
    parts = [tables.evidence_table(frame, metric=metric, caption=names[name], limit=limit) for name, frame in found]
    if not parts:
        return []
    files = ", ".join(f"data/{name}.csv" for name, _ in found)
    return [Details(summary=f"The evidence in detail ({files})", blocks=parts, file=files)]


def _world(world: Mapping[str, object]) -> str:
    causes = world.get("causes")
    named = (
        " with ".join(words.cause(str(name)) for name in causes)
        if isinstance(causes, tuple | list)
        else words.cause(str(causes))
    )
    decided = world.get("decided_by")
    return f"{named}; decided by: {decided}" if decided else named


def _checks(diagnosis: Diagnosis, frames: Frames, drawn: Mapping[str, Figure]) -> list[Section]:
    if not diagnosis.checks:
        return []
    lead = Paragraph(text="What every metric drop is asked, in this order; each answer comes from the logs.")
    parts = [_section("checks", "The checks", [lead])]
    for number, check in enumerate(diagnosis.checks, start=1):
        heading = f"Check {number}: {check.question}"
        parts.append(_section(f"check-{number}", heading, _check(check, diagnosis, frames, drawn), level=3))
    return parts


def _check(check: Check, diagnosis: Diagnosis, frames: Frames, drawn: Mapping[str, Figure]) -> list[Block | None]:
    frame = frames.get(check.table)
    table = None
    if frame is not None and not frame.is_empty() and check.table != "checks":
        table = tables.evidence_table(frame, metric=diagnosis.metric, caption=f"Evidence: {words.column(check.table)}")
    return [Paragraph(text=check.answer), drawn.get(check.table), table]


def _slices(diagnosis: Diagnosis, frames: Frames) -> list[Block | None]:
    blocks: list[Block | None] = [tables.slice_table(diagnosis, frames.get("availability_by_slice"))]
    remainder = frames.get("remainder_by_slice")
    if remainder is not None and not remainder.is_empty():
        caption = "What is left per slice once labels are repaired and known changes replayed"
        if "p_value" in remainder.columns:
            remainder = remainder.sort("p_value", nulls_last=True, maintain_order=True)
        blocks.append(tables.evidence_table(remainder, metric=diagnosis.metric, caption=caption))
    return blocks


def _known(diagnosis: Diagnosis) -> list[Block]:
    observed, true, metric = diagnosis.observed, diagnosis.true_change, diagnosis.metric
    fields = [
        ("observed change", numbers.change_interval(observed.change, observed.lower, observed.upper, metric=metric)),
        (
            "change once the labels are repaired",
            numbers.change_interval(true.value, true.lower, true.upper, metric=metric),
        ),
    ]
    for window, (lower, upper) in diagnosis.worst_case.items():
        bounds = (
            numbers.NONE
            if lower is None or upper is None
            else f"{numbers.plain(lower, places=2)} to {numbers.plain(upper, places=2)}"
        )
        fields.append((f"worst case over the missing labels, {window}", bounds))
    if numbers.finite(diagnosis.tipping_ratio) is not None:
        fields.append(("tipping ratio", numbers.plain(diagnosis.tipping_ratio)))
    if numbers.finite(diagnosis.minimum_detectable_change) is not None:
        smallest = numbers.change(diagnosis.minimum_detectable_change, metric=metric).lstrip("+")
        fields.append(("smallest change this many rows can show", smallest))
    fields.append(("decidable", numbers.instant(diagnosis.decidable_at)))
    fields += [
        (f"{words.column(name)} known through", str(value) if value else "not known")
        for name, value in diagnosis.data_through.items()
    ]
    blocks: list[Block] = [Fields(items=fields)]
    if numbers.finite(diagnosis.tipping_ratio) is not None:
        blocks.append(Paragraph(text=_tipping(diagnosis)))
    if diagnosis.reason:
        blocks.append(Paragraph(text=diagnosis.reason))
    blocks += [Paragraph(text=f"Warning: {item}") for item in diagnosis.warnings]
    return blocks


def _tipping(diagnosis: Diagnosis) -> str:
    ratio = numbers.plain(diagnosis.tipping_ratio)
    if diagnosis.metric == "recall":
        return (
            "Labels alone would explain the whole change if the label rate of positives that the model flagged, "
            f"relative to that of positives it missed, had moved by the factor {ratio} since the reference. "
            "Availability as such does not move recall; only this ratio does."
        )
    return (
        "Labels alone would explain the whole change if the label rates of the two sides of "
        f"{diagnosis.metric} had moved apart by the factor {ratio} since the reference."
    )


def _actions(diagnosis: Diagnosis) -> list[Block]:
    blocks: list[Block] = []
    for heading, items in (("Do now", diagnosis.do_now), ("Do not", diagnosis.do_not)):
        if items:
            blocks += [Paragraph(text=f"{heading}:", strong=True), Bullets(items=list(items))]
    return blocks


def _decisions(diagnosis: Diagnosis, contract: Contract) -> list[Block]:
    owner = diagnosis.owner or ", ".join(contract.model.owners)
    fields = [
        ("owner by contract", owner or "none named"),
        ("runbook", diagnosis.runbook or contract.model.runbook or "none named"),
        ("incident commander", ""),
        ("decision", ""),
        ("decided by, when", ""),
        ("follow-up, by when", ""),
    ]
    return [Fields(items=fields)]
