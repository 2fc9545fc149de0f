"""The verdict as a card: what moved the metric, the three checks, what would change the mind, and the evidence."""

import html
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import availability as availability_charts
from fbkit.charts import series as series_charts
from fbkit.charts import triage as charts
from fbkit.charts.text import change_interval_text, change_text, clean, instant_text, metric_name, value_text
from fbkit.explorers.base import Explorer, dropdown, tie
from fbkit.explorers.model import span_text
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import parse_instant
from fbkit.schema.words import FAMILY_COLOURS, verdict

EVIDENCE = {
    "ladder": "the ladder: what moved it",
    "weekly": "by week, with label availability",
    "daily": "by day, with label availability",
    "availability_by_decision": "labels available, by decision",
    "availability_by_slice": "labels available, by slice",
    "arrivals": "how fast labels arrive",
}
_SHOWN = 12

Exporter = Callable[[Path], Any]


class TriageCard(Explorer):
    """A diagnosis with its evidence.

    Attributes
    ----------
    evidence
        Which evidence frame is drawn (a key of ``EVIDENCE``).
    folder
        Where "Export incident" writes; the export itself is the function that was handed in.
    """

    evidence = traitlets.Unicode("ladder")
    folder = traitlets.Unicode("out/incident")

    def __init__(self, diagnosis: Diagnosis, *, export: Exporter | None = None) -> None:
        self.diagnosis = diagnosis
        self._export = export
        super().__init__()
        offered = [(text, key) for key, text in EVIDENCE.items() if _drawable(diagnosis.evidence.get(key))]
        self._said = ipywidgets.HTML()
        bar = [
            tie(
                self,
                "evidence",
                dropdown("Evidence", offered, value=self.evidence, tip="what the picture shows", width="360px"),
            )
        ]
        self._top = ipywidgets.HTML(card_head(diagnosis))
        self.assemble(bar, watched=["evidence"])
        self.children = (self._top, *self.children, ipywidgets.HTML(card_foot(diagnosis)), self._exporting())

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
        box = ipywidgets.HBox([button, where, self._said])
        box.layout.display = "none" if self._export is None else ""
        return box

    def export(self) -> None:
        """Write the incident document with the function that was handed in; the outcome is told beside the button."""
        if self._export is None:
            return
        try:
            written = self._export(Path(self.folder))
        except Exception as error:  # noqa: BLE001, nobody stands behind a button to read a traceback
            said = f"not written: {getattr(error, 'what', error)}"
        else:
            said = f"written: {written or self.folder}"
        self._said.value = f'<span role="status">{html.escape(clean(said, limit=300))}</span>'

    def answer(self) -> pl.DataFrame:
        frame = self.diagnosis.evidence[self.evidence]
        return _worst_slices(frame) if self.evidence == "availability_by_slice" else frame

    def drawing(self) -> object:
        return self.evidence

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        frame, metric = self.result, self.diagnosis.metric
        drawn: Mapping[str, Callable[[], Any]] = {
            "ladder": lambda: charts.ladder_chart(frame, metric=metric, **titles),
            "weekly": lambda: series_charts.series_chart(
                frame, metric=metric, stage="any", changes=self._changes(), **titles
            ),
            "daily": lambda: series_charts.series_chart(
                frame, metric=metric, stage="any", changes=self._changes(), **titles
            ),
            "availability_by_decision": lambda: availability_charts.availability_by_chart(
                frame, group="decision", **titles
            ),
            "availability_by_slice": lambda: availability_charts.availability_by_chart(frame, group="slice", **titles),
            "arrivals": lambda: availability_charts.arrivals_chart(frame, **titles),
        }
        return drawn[self.evidence]()

    def rows(self) -> list[dict[str, Any]]:
        frame, metric = self.result, self.diagnosis.metric
        if self.evidence == "ladder":
            return charts.ladder_rows(frame, metric=metric)
        if self.evidence in ("weekly", "daily"):
            return series_charts.series_rows(frame, metric=metric, changes=self._changes())
        if self.evidence == "arrivals":
            return availability_charts.lag_rows(availability_charts.arrivals_long(frame))
        group = "decision" if self.evidence == "availability_by_decision" else "slice"
        return availability_charts.by_slice_rows(frame, group=group)

    def _changes(self) -> list[tuple[datetime, str]]:
        told = self.diagnosis.changes
        return [(parse_instant(str(change["ts"])), str(change.get("what") or change.get("kind"))) for change in told]

    def texts(self) -> dict[str, str]:
        spans = f"{span_text(self.diagnosis.reference)} against {span_text(self.diagnosis.current)}"
        name = metric_name(self.diagnosis.metric)
        headline = f"What moved {name}" if self.evidence == "ladder" else EVIDENCE[self.evidence].capitalize()
        return {
            "headline": headline,
            "smallprint": f"{spans}, as of {instant_text(self.diagnosis.as_of)}",
            "summary": self.diagnosis.headline,
        }


def _drawable(frame: pl.DataFrame | None) -> bool:
    return frame is not None and frame.height > 0


def _worst_slices(frame: pl.DataFrame) -> pl.DataFrame:
    """The slices that lost the largest share of their labels, named column = value."""
    every = frame.filter(pl.col("flagged") == "all") if "flagged" in frame.columns else frame
    named = every.with_columns(
        pl.concat_str([pl.col("column"), pl.col("value").fill_null("(no value)")], separator=" = ").alias("slice")
    )
    wide = named.group_by("slice").agg(
        (
            pl.col("availability").filter(pl.col("window") == "current").first()
            - pl.col("availability").filter(pl.col("window") == "reference").first()
        ).alias("change")
    )
    order = wide.sort("change", "slice", nulls_last=True).head(_SHOWN).select("slice").with_row_index("order")
    return named.drop("value").join(order, on="slice").sort("order", "window", descending=[False, True]).drop("order")


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


def card_foot(diagnosis: Diagnosis) -> str:
    """Checks, what would change the verdict, and what to do now, as HTML."""
    checks = "".join(
        f"<li><b>{html.escape(clean(check.question, limit=200))}</b> {html.escape(clean(check.answer, limit=400))}</li>"
        for check in diagnosis.checks
    )
    parts = [
        ("The checks", f"<ol>{checks}</ol>" if checks else ""),
        ("What would change the verdict", _list(diagnosis.would_change_verdict)),
        ("Do now", _list(diagnosis.do_now)),
        ("Do not", _list(diagnosis.do_not)),
    ]
    blocks = "".join(
        f'<div style="font-weight:600;margin-top:8px">{title}</div>{body}' for title, body in parts if body
    )
    return f'<div style="line-height:1.5;max-width:900px">{blocks}</div>'


def _list(lines: tuple[str, ...]) -> str:
    items = "".join(f"<li>{html.escape(clean(line, limit=400))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
