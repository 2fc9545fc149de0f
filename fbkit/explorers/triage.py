"""The verdict as a card: what moved the metric, bar by bar with its evidence, the checks, and what would change it."""

import html
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import triage as charts
from fbkit.charts.text import change_interval_text, change_text, clean, instant_text, metric_name, value_text
from fbkit.explorers.base import Explorer, dropdown, tie
from fbkit.explorers.evidence import EVIDENCE, EvidenceView, offered
from fbkit.explorers.model import span_text
from fbkit.explorers.work import Step, Work
from fbkit.schema.diagnosis import Contribution, Diagnosis
from fbkit.schema.period import format_instant
from fbkit.schema.words import FAMILY_COLOURS, cause, verdict

Exporter = Callable[[Path], Any]
_TEXT = "line-height:1.5;max-width:900px"


class TriageCard(Explorer):
    """A diagnosis: the ladder, and beneath it the evidence of the bar that is opened.

    Attributes
    ----------
    opened
        The place of the opened bar among the contributions; a click on the bar does the same. Opening one shows the
        frame that says most about its cause.
    evidence
        Which evidence frame is shown (a key of :data:`fbkit.explorers.evidence.EVIDENCE`).
    folder
        Where "Export incident" writes; the export itself is the function that was handed in.
    """

    opened = traitlets.Int(None, allow_none=True)
    evidence = traitlets.Unicode("weekly")
    folder = traitlets.Unicode("out/incident")

    def __init__(self, diagnosis: Diagnosis, *, export: Exporter | None = None) -> None:
        self.diagnosis = diagnosis
        self._export = export
        self._frames = offered(diagnosis)
        parts = diagnosis.contributions
        first = next((place for place, part in enumerate(parts) if part.cause == diagnosis.top_cause), None)
        super().__init__(opened=0 if first is None and parts else first)
        self.detail = EvidenceView(diagnosis)
        self._why = ipywidgets.HTML()
        self._trouble = ipywidgets.HTML()
        self.evidence = self._frame_of(self.opened) or next(iter(self._frames), "")
        self.observe(self._turn, names="opened")
        self.observe(lambda _: self._open_evidence(), names="evidence")
        self.picked(self._pick)
        self.assemble(self._bar(), watched=["opened"])
        self._exported = Work()
        self.children = (
            ipywidgets.HTML(card_head(diagnosis)),
            *self.children[:-1],
            *self._below(),
            ipywidgets.HTML(card_foot(diagnosis)),
            self._exporting(),
            self.children[-1],
        )
        self._open_evidence()

    def _bar(self) -> list[ipywidgets.Widget]:
        names = [cause(part.cause) for part in self.diagnosis.contributions]
        rungs = [(f"{place + 1}  {clean(name)}", place) for place, name in enumerate(names)]
        if not rungs:
            return []
        tip = "the bar whose evidence is shown below; a click on a bar does the same"
        return [tie(self, "opened", dropdown("Open bar", rungs, value=self.opened, tip=tip, width="330px"))]

    def _below(self) -> list[ipywidgets.Widget]:
        if not self._frames:
            return [self._why]
        frames = [(EVIDENCE[name], name) for name in self._frames]
        tip = "which figures are shown"
        chosen = dropdown("Evidence", frames, value=self.evidence, tip=tip, width="400px")
        return [self._why, tie(self, "evidence", chosen), self.detail, self._trouble]

    # Opening a bar ----------------------------------------------------------------------------------------------
    def _pick(self, place: int) -> None:
        if 0 <= place < len(self.diagnosis.contributions):
            self.opened = place

    def _part(self) -> Contribution | None:
        parts = self.diagnosis.contributions
        return parts[self.opened] if self.opened is not None and 0 <= self.opened < len(parts) else None

    def _frame_of(self, place: int | None) -> str | None:
        parts = self.diagnosis.contributions
        return None if place is None else charts.evidence_of(parts[place].cause, self._frames)

    def _turn(self, change: dict[str, Any]) -> None:
        found = self._frame_of(change["new"])
        if found is not None and found != self.evidence:
            self.evidence = found

    def _open_evidence(self) -> None:
        if self.evidence not in self._frames:
            return
        spans = f"{span_text(self.diagnosis.reference)} against {span_text(self.diagnosis.current)}"
        said = EVIDENCE[self.evidence]
        texts = {
            "headline": f"{said[:1].upper()}{said[1:]}",
            "smallprint": f"{spans}, as of {instant_text(self.diagnosis.as_of)}",
        }
        try:
            self.detail.show(self.evidence, texts=texts)
            self._trouble.value = ""
        except Exception as error:  # noqa: BLE001, nobody stands behind a widget's callback to read a traceback
            said = html.escape(clean(f"this evidence could not be shown ({type(error).__name__}: {error})", limit=300))
            self._trouble.value = f'<div class="fbkit-trouble" role="alert">{said}</div>'

    # What is shown ----------------------------------------------------------------------------------------------
    def answer(self) -> pl.DataFrame:
        return self.diagnosis.evidence["ladder"]

    def drawing(self) -> object:
        return "ladder"

    def chart(self) -> Any:
        texts = self.texts()
        return charts.ladder_chart(
            self.result, metric=self.diagnosis.metric, title=texts["headline"], subtitle=texts["smallprint"]
        )

    def rows(self) -> list[dict[str, Any]]:
        return charts.ladder_rows(self.result, metric=self.diagnosis.metric, opened=self.opened)

    def texts(self) -> dict[str, str]:
        spans = f"{span_text(self.diagnosis.reference)} against {span_text(self.diagnosis.current)}"
        return {
            "headline": f"What moved {metric_name(self.diagnosis.metric)}",
            "smallprint": f"{spans}, as of {instant_text(self.diagnosis.as_of)}",
            "summary": self.diagnosis.headline,
        }

    def code(self) -> str:
        """Python that diagnoses the same and shows this card."""
        facts = self.diagnosis
        weeks = f"fb.Comparison(reference='{facts.reference}', current='{facts.current}')"
        call = f"fb.triage(loop.join(as_of='{format_instant(facts.as_of)}'), {weeks}, metric={facts.metric!a})"
        made = getattr(facts, "call", "") or call
        lines = ["import fbkit as fb", "", 'loop = fb.open_loop("FOLDER")', f"diagnosis = {made}"]
        return "\n".join([*lines, "fb.explore.triage(diagnosis)", ""])

    def _show(self) -> None:
        super()._show()
        self._why.value = part_html(self._part(), metric=self.diagnosis.metric)

    # Export -----------------------------------------------------------------------------------------------------
    def _exporting(self) -> ipywidgets.Widget:
        button = ipywidgets.Button(
            description="Export incident",
            icon="file-text",
            tooltip="write the incident document to the folder",
            button_style="primary",
        )
        where = ipywidgets.Text(
            description="to folder", tooltip="relative to the notebook", style={"description_width": "initial"}
        )
        button.on_click(lambda _: self.export())
        tie(self, "folder", where)
        self._said = ipywidgets.HTML()
        box = ipywidgets.HBox([button, where, self._exported, self._said])
        box.layout.display = "none" if self._export is None else ""
        return box

    def export(self) -> None:
        """Write the incident document beside everything else; the outcome is told at the button."""
        if self._export is None or self._exported.busy:
            return
        self._said.value = ""
        self._exported.run(self._write, self._written, saying="writing the incident document")

    def _write(self, step: Step) -> str:
        step(0.1, f"writing the incident document to {self.folder}")
        try:
            written = self._export(Path(self.folder)) if self._export is not None else None
        except Exception as error:  # noqa: BLE001, nobody stands behind a button to read a traceback
            return f"not written: {getattr(error, 'what', error)}"
        return f"written: {written or self.folder}"

    def _written(self, said: str) -> None:
        self._said.value = f'<span role="status">{html.escape(clean(said, limit=300))}</span>'


def card_head(diagnosis: Diagnosis) -> str:
    """Verdict and headline as HTML; every text of a user is escaped."""
    colour = FAMILY_COLOURS.get(diagnosis.top_family, FAMILY_COLOURS["total"])
    said = html.escape(clean(verdict(diagnosis.verdict)))
    metric, observed = diagnosis.metric, diagnosis.observed
    then, now = (value_text(value, metric=metric) for value in (observed.reference, observed.current))
    interval = change_interval_text(observed.lower, observed.upper, metric=metric)
    between = f", {interval}" if interval else ""
    numbers = f"{metric_name(metric)} {then} → {now} ({change_text(observed.change, metric=metric)}{between})"
    return (
        f'<div style="border-left:5px solid {colour};padding:4px 0 4px 14px;margin:4px 0 8px">'
        f'<div style="font-size:19px;font-weight:650;line-height:1.35" role="heading" aria-level="3">{said}</div>'
        f'<div style="line-height:1.45">{html.escape(numbers)}</div></div>'
    )


def part_html(part: Contribution | None, *, metric: str) -> str:
    """What one bar says: its size, where, the sentence of its evidence, and what would tell more."""
    if part is None:
        return ""
    size = change_text(part.value, metric=metric)
    between = change_interval_text(part.lower, part.upper, metric=metric)
    told = [f"{size}{f' ({between})' if between else ''}", *([part.where] if part.where else []), part.strength]
    name = cause(part.cause)
    lines = [part.evidence, part.reason and f"Not estimable, because {part.reason}."]
    body = "".join(f"<p style='margin:3px 0'>{_said(line)}</p>" for line in lines if line)
    more = f"<p style='margin:3px 0'><b>What would tell more:</b> {_said(part.next_evidence)}</p>"
    colour = FAMILY_COLOURS.get(part.family, FAMILY_COLOURS["unexplained"])
    return (
        f"<section style='border-left:4px solid {colour};padding-left:12px;margin:4px 0;{_TEXT}' aria-live='polite'>"
        f"<div><b>{_said(name[:1].upper() + name[1:])}</b>: {_said(', '.join(told))}</div>"
        f"{body}{more if part.next_evidence else ''}</section>"
    )


def card_foot(diagnosis: Diagnosis) -> str:
    """Checks, what would change the verdict, what to do now, and people's notes, as HTML."""
    checks = "".join(f"<li><b>{_said(check.question)}</b> {_said(check.answer)}</li>" for check in diagnosis.checks)
    notes = "".join(f"<li>{_note(note)}</li>" for note in getattr(diagnosis, "notes", ()))
    parts = [
        ("The checks", f"<ol>{checks}</ol>" if checks else ""),
        ("What would change the verdict", _list(would_change(diagnosis))),
        ("Do now", _list(diagnosis.do_now)),
        ("Do not", _list(diagnosis.do_not)),
        ("Notes", f"<ul>{notes}</ul>" if notes else ""),
    ]
    blocks = "".join(
        f'<div style="font-weight:600;margin-top:8px">{title}</div>{body}' for title, body in parts if body
    )
    return f'<div style="{_TEXT}">{blocks}</div>'


def would_change(diagnosis: Diagnosis) -> tuple[str, ...]:
    """What would change the verdict: as diagnosed, else what each cause still lacks, else when it can be decided."""
    lacking = tuple(dict.fromkeys(part.next_evidence for part in diagnosis.contributions if part.next_evidence))
    if diagnosis.would_change_verdict or lacking:
        return diagnosis.would_change_verdict or lacking
    if diagnosis.decidable_at is not None:
        return (f"The labels that are still to come: they are in by {instant_text(diagnosis.decidable_at)}.",)
    return ("More labelled predictions of the current period: the intervals above narrow with their number.",)


def _note(note: Any) -> str:
    at: datetime | None = getattr(note, "at", None)
    who = [getattr(note, "author", None) or "somebody", *([instant_text(at)] if at is not None else [])]
    against = getattr(note, "disagrees_with", None)
    said = f", disagrees with {cause(against)}" if against else ""
    return f"{_said(getattr(note, 'text', note))} <i>({_said(', '.join(who) + said)})</i>"


def _said(text: object) -> str:
    return html.escape(clean(text, limit=500))


def _list(lines: tuple[str, ...]) -> str:
    items = "".join(f"<li>{html.escape(clean(line, limit=400))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
