"""The metric over time, with what it rests on: the chart on which days are brushed."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import traitlets

from fbkit.charts import series as charts
from fbkit.charts.text import change_text, metric_name, number_format, stage_name, value_text
from fbkit.explorers.base import Explorer, begin, dropdown, tie
from fbkit.explorers.state import Shared, View
from fbkit.measure.availability import availability
from fbkit.measure.metrics import metrics
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period, floor_day

GRAINS = [("day", "1d"), ("week", "1w")]
_MOST_DAYS = 70
_COUNTS = ["availability", "n_mature"]


class TimelineExplorer(Explorer):
    """A metric by day or week with interval, worst case, label availability, rows and the change log.

    Attributes
    ----------
    grain
        "1d" or "1w".
    """

    FOLLOWS = ("metric", "stage", "as_of", "version", "focus", "days", "reference", "current")
    grain = traitlets.Unicode("1d")

    def __init__(self, thing: Any, comparison: Comparison | None = None, *, shared: Shared | None = None) -> None:
        source, shared = begin(thing, comparison, shared)
        super().__init__(source, shared=shared, grain=_grain(shared.view()))
        self.brushed(self._brush)
        control = dropdown("each", GRAINS, value=self.grain, tip="the length of a point", width="150px")
        self.assemble([tie(self, "grain", control)], watched=["grain"])

    def _shared_moved(self, _: object) -> None:
        # The brush is drawn already by whoever drew it; only one that was let go of elsewhere has to vanish.
        if self.shared.last != {"days"} or self.shared.days is None:
            super()._shared_moved(_)

    def _brush(self, start: datetime | None, end: datetime | None) -> None:
        """Brushed days are whole days."""
        if start is None or end is None:
            self.shared.days = None
            return
        first, last = floor_day(start), floor_day(end - timedelta(microseconds=1)) + timedelta(days=1)
        self.shared.days = Period(start=first, end=last)

    def answer(self) -> pl.DataFrame:
        view = self.shared.view()
        bins = view.metric not in results.RATE_METRICS
        one = None if bins else self.source.sliced(view)
        if one is not None:
            subject, column, value = one
            self._said = subject.note
            both = timeline(subject, view, every=self.grain, by=column)
            return both.filter(pl.col(column).eq_missing(pl.lit(value))).drop(column)
        # The ledger by slice, which the explorers beside it need too, answers this as well.
        by = view.by if view.by in self.source.slices else ()
        subject = self.source.subject(view, by=() if self.source.joined is None else by, bins=bins)
        self._said = subject.note
        return timeline(subject, view, every=self.grain)

    def drawing(self) -> object:
        view = self.shared.view()
        return (number_format(view.metric), self.grain, self.result["bound_lower"].null_count() < self.result.height)

    def _drawn(self) -> dict[str, Any]:
        view = self.shared.view()
        return {
            "metric": view.metric,
            "changes": self.source.changes,
            "periods": [("reference", view.reference), ("current", view.current)],
            "as_of": view.as_of,
        }

    def rows(self) -> list[dict[str, Any]]:
        return charts.timeline_rows(self.result, **self._drawn())

    def cleared(self) -> list[str]:
        return [charts.BRUSH] if self.shared.days is None else []

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        return charts.timeline_chart(self.result, **self._drawn(), stage=self.shared.stage, **titles)

    def texts(self) -> dict[str, str]:
        view = self.shared.view()
        name = metric_name(view.metric)
        title = f"{name[:1].upper()}{name[1:]} by {'day' if self.grain == '1d' else 'week'}"
        n = f"n {int(self.result['n'].sum()):,}" if self.result.height else "no predictions"
        return {
            "headline": title,
            "smallprint": self.source.smallprint(view, stage_name(view.stage), n, self._said),
            "summary": f"{title}: {self._extremes(view)}{f' {self._said}.' if self._said else ''}",
        }

    def _extremes(self, view: View) -> str:
        known = self.result.filter(pl.col("value").is_not_null())
        if known.is_empty():
            reasons = self.result["reason"].drop_nulls()
            return f"not estimable ({reasons[0]})." if len(reasons) else "not estimable."
        last = known.row(-1, named=True)
        middle = known["value"].median()
        if not isinstance(middle, float):
            return ""
        moved = change_text(last["value"] - middle, metric=view.metric)
        value = value_text(last["value"], metric=view.metric)
        return f"{value} at the newest point that can be measured, {moved} from the median."

    def calls(self) -> list[str]:
        view = self.shared.view()
        data = "joined" if self.source.joined is not None else "ledger"
        return [f'fb.metrics({data}, "{view.metric}", every="{self.grain}", stage="{view.stage}")']


def _grain(view: View) -> str:
    return "1d" if view.current.end - view.reference.start <= timedelta(days=_MOST_DAYS) else "1w"


def timeline(subject: Any, view: View, *, every: str, by: str | None = None) -> pl.DataFrame:
    """Metric by time with the share of labels that are known beside it."""
    values = metrics(subject.data, view.metric, by=by, every=every, stage=view.stage, **subject.options)
    known = availability(subject.data, by=by, every=every, **subject.options)
    keys = [*([] if by is None else [by]), results.PERIOD_START]
    beside = known.rename({results.VALUE: "availability"}).select(*keys, *_COUNTS)
    return values.join(beside, on=keys, how="left", maintain_order="left", nulls_equal=True)
