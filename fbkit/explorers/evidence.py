"""One evidence frame of a diagnosis: as a picture where there is one for it, else as a table."""

import html
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import ipywidgets
import polars as pl

from fbkit.charts import availability as availability_charts
from fbkit.charts import series as series_charts
from fbkit.charts.predictions import cell_text
from fbkit.charts.text import change_text, clean, value_text
from fbkit.explorers.view import LiveChart
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import parse_instant
from fbkit.schema.words import cause

EVIDENCE: Final[Mapping[str, str]] = {
    "weekly": "by week, with label availability",
    "daily": "by day, with label availability",
    "availability_by_decision": "labels available, by decision",
    "availability_by_slice": "labels available, by slice",
    "availability_by_score": "labels available, by score",
    "arrivals": "how fast labels arrive",
    "orphans": "outcomes that found no prediction",
    "remainder_by_slice": "what is left after all repairs, by slice",
    "replay": "each mechanism, replayed on the reference",
    "features_moved": "inputs that moved",
    "windows": "the two periods: scores, thresholds, open windows",
    "corrected": "observed, like for like, and corrected",
    "conservation": "labels found against those to be expected",
    "tipping": "how unequal a loss of labels would explain it all",
    "bounds": "worst case over the missing labels",
}
_SHOWN: Final = 12
_LINES: Final = 60
_SHARES: Final = ("availability", "null_rate")
_VALUES: Final = frozenset(("observed", "like_for_like", "corrected", "bound_lower", "bound_upper"))
_CHANGES: Final = frozenset(("remainder",))
_CELL: Final = "padding:2px 14px 2px 0;text-align:left;border-bottom:1px solid rgba(128,128,128,.25)"


def offered(diagnosis: Diagnosis) -> list[str]:
    """The evidence frames that hold something."""
    return [name for name in EVIDENCE if (frame := diagnosis.evidence.get(name)) is not None and frame.height]


class EvidenceView(ipywidgets.VBox):
    """Shows one frame of a diagnosis. ``result`` is the frame that is drawn, ``drawn`` whether it is a picture."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self.view = LiveChart()
        self.table = ipywidgets.HTML()
        self.result = pl.DataFrame()
        self.drawn = False
        super().__init__(children=[self.view, self.table])

    def show(self, name: str, *, texts: Mapping[str, str]) -> None:
        """Show the frame of this name under a headline."""
        frame = self.diagnosis.evidence[name]
        self.result = worst_slices(frame) if name == "availability_by_slice" else frame
        picture = self._picture(name, titles={"title": texts["headline"], "subtitle": texts["smallprint"]})
        self.drawn = picture is not None
        self.view.layout.display = "" if self.drawn else "none"
        if picture is None:
            self.table.value = table_html(self.result, caption=texts["headline"], metric=self.diagnosis.metric)
            return
        self.table.value = ""
        chart, rows = picture
        self.view.show(name, chart=chart, rows=rows, texts={**texts, "summary": texts["headline"]})

    def _picture(self, name: str, *, titles: dict[str, Any]) -> tuple[Callable[[], Any], list[dict[str, Any]]] | None:
        """What draws the frame, and its rows; None where a table says it better."""
        frame, metric = self.result, self.diagnosis.metric
        if name in ("weekly", "daily"):
            known: dict[str, Any] = {"metric": metric, "changes": self._changes()}
            return (
                lambda: series_charts.series_chart(frame, stage="any", **known, **titles),
                series_charts.series_rows(frame, **known),
            )
        if name == "arrivals":
            rows = availability_charts.lag_rows(availability_charts.arrivals_long(frame))
            return lambda: availability_charts.arrivals_chart(frame, **titles), rows
        if name in ("availability_by_decision", "availability_by_slice"):
            group = name.removeprefix("availability_by_")
            rows = availability_charts.by_slice_rows(frame, group=group)
            return lambda: availability_charts.availability_by_chart(frame, group=group, **titles), rows
        return None

    def _changes(self) -> list[tuple[datetime, str]]:
        told = self.diagnosis.changes
        return [(parse_instant(str(change["ts"])), str(change.get("what") or change.get("kind"))) for change in told]


def worst_slices(frame: pl.DataFrame) -> pl.DataFrame:
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


def table_html(frame: pl.DataFrame, *, caption: str, metric: str) -> str:
    """A small frame as an HTML table: numbers for people, an interval beside its value, every text escaped."""
    folded = {"lower", "upper"} if {"lower", "upper"} <= set(frame.columns) else set[str]()
    held = next((name for name in ("value", "remainder", "corrected", "availability") if name in frame.columns), None)
    names = [name for name in frame.columns if name not in folded or held is None]
    head = "".join(f'<th scope="col" style="{_CELL}">{html.escape(_column(name))}</th>' for name in names)
    lines = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL}">{_cell(row, name, held, metric=metric)}</td>' for name in names)
        + "</tr>"
        for row in frame.head(_LINES).iter_rows(named=True)
    )
    rest = frame.height - _LINES
    more = f"<p>{rest:,} more lines in diagnosis.evidence.</p>" if rest > 0 else ""
    return (
        f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums;line-height:1.5">'
        f'<caption style="text-align:left;font-weight:600">{html.escape(clean(caption, limit=160))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>{more}"
    )


def _cell(row: Mapping[str, Any], name: str, held: str | None, *, metric: str) -> str:
    value = row[name]
    if isinstance(value, str):
        return html.escape(clean(cause(value) if name in ("player", "cause") else value, limit=160))
    if not isinstance(value, float):
        counted = isinstance(value, int) and not isinstance(value, bool)
        return html.escape(f"{value:,}" if counted else cell_text(value))
    # What a mechanism does, replayed, is a change of the metric and not a value of it.
    kind = "remainder" if name == "value" and "player" in row else name
    text = _number(kind, value, metric=metric)
    if name == held and row.get("lower") is not None and row.get("upper") is not None:
        ends = [_number(kind, row[end], metric=metric).removesuffix(" points") for end in ("lower", "upper")]
        text += f" ({' to '.join(ends)})"
    return html.escape(text)


def _number(name: str, value: float, *, metric: str) -> str:
    """A number by what its column holds: probabilities of chance, changes of the metric, its values, shares, others."""
    if name in ("p_value", "p_adjusted"):
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if name in _CHANGES:
        return change_text(value, metric=metric)
    if name in _VALUES:
        return value_text(value, metric=metric)
    return value_text(value) if name.startswith(_SHARES) else cell_text(value).replace("-", "−")


def _column(name: str) -> str:
    return "mechanism" if name == "player" else clean(name).replace("_", " ")
