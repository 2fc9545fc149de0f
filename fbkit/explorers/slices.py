"""Which slices moved: a metric by slice, what each adds to the change, over time, and a search for wide slices."""

import html
from typing import Any, ClassVar, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import slice_panels, slice_search
from fbkit.charts import slices as charts
from fbkit.charts.text import clean, is_share, metric_name, number_format, stage_name
from fbkit.errors import FbkitError
from fbkit.explorers import model
from fbkit.explorers import slice_texts as words
from fbkit.explorers.base import Explorer, begin, dropdown, number, tie, toggle
from fbkit.explorers.filters import metric_choices
from fbkit.explorers.slice_controls import FocusControl, choose, threshold_control, when_idle
from fbkit.explorers.slice_data import SliceData, others
from fbkit.explorers.state import Shared
from fbkit.measure.slice_changes import SliceTable
from fbkit.schema.period import Comparison

SORTS: Final = {
    "adds most to the change": "contribution",
    "fell furthest": "drop",
    "lowest now": "low",
    "most predictions": "n",
    "name": "name",
}
VIEWS: Final = [("now and before", "slices"), ("over time", "time"), ("search wide slices", "search")]
_SHOWN: Final = 30
_WIDTH: Final = "192px"
_WHAT_IF: Final = "make the decisions anew at this threshold, instead of those that were logged"
_DEEPEST: Final = 3


class SlicesExplorer(Explorer):
    """Metric by slice with interval and worst case, reference against current, and what each adds to the change.

    Attributes
    ----------
    show
        "slices", "time" (small multiples by week) or "search" (conjunctions of slices, looked for by a button).
    metric, by, stage
        What is shown; ``by`` is a slice column. Shared with the other explorers of a page.
    sort, minimum
        Which slice comes first, and the fewest predictions of a slice.
    what_if, threshold
        With ``what_if`` the decisions are made anew as ``score >= threshold``; moving the threshold sets it.
    """

    FOLLOWS: ClassVar = Shared.NAMES
    READY_AFTER: ClassVar = 1.5
    show = traitlets.Unicode("slices")
    metric = traitlets.Unicode("recall")
    by = traitlets.Unicode(allow_none=True)
    stage = traitlets.Unicode("final")
    sort = traitlets.Unicode("contribution")
    minimum = traitlets.Int(20)
    what_if = traitlets.Bool(default_value=False)
    threshold = traitlets.Float(0.5)

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        metric: str | None = None,
        by: str | None = None,
        show: str = "slices",
    ) -> None:
        source, state = begin(thing, comparison, shared, metric=metric, by=by)
        self.data = SliceData(source)
        self._found: tuple[object, pl.DataFrame] | None = None
        super().__init__(
            source,
            shared=state,
            show=show,
            metric=state.metric,
            by=state.by,
            stage=state.stage,
            minimum=source.contract.slices.minimum,
            what_if=state.threshold is not None,
            threshold=self.data.shown(self.data.own if state.threshold is None else state.threshold),
        )
        for name in ("metric", "by", "stage"):
            traitlets.link((self, name), (state, name))
        self.observe(self._try_threshold, names="threshold")
        self.observe(self._toggled, names="what_if")
        state.observe(self._threshold_came, names="threshold")
        self.picked(self._clicked)
        bars = self._bars()
        self.observe(self._offer, names="show")
        self.assemble(*bars, watched=["show", "sort", "minimum"])
        self._offer(None)
        when_idle(self._get_ready, after=self.READY_AFTER)

    def _get_ready(self) -> None:
        """Make what the first move of the threshold needs before somebody moves it."""
        if self.show == "slices" and self.active and not self.trouble:
            self.data.get_ready(self.shared.view())

    # Controls ---------------------------------------------------------------------------------------------------
    def _bars(self) -> list[list[ipywidgets.Widget]]:
        columns = model.choices(self.data.columns(self.by)) or [("(no slice column)", None)]
        shown = dropdown("Slices", VIEWS, value=self.show, tip="what the picture shows", width=_WIDTH)
        known = dict.fromkeys(
            [*metric_choices(self.source, self.metric), (metric_name("availability"), "availability")]
        )
        metric = dropdown("Metric", list(known), value=self.metric, tip="what is measured", width=_WIDTH)
        by = dropdown("by", columns, value=self.by, tip="the column whose values are compared", width=_WIDTH)
        stage = dropdown("Labels", self._stages(), value=self.stage, tip=model.STAGE_TIP, width=_WIDTH)
        sort = dropdown("Order", list(SORTS.items()), value=self.sort, tip="which slice comes first")
        least = number("At least n", value=self.minimum, tip="hide slices with fewer predictions")
        self._switch = toggle("What if the threshold were", value=self.what_if, tip=_WHAT_IF)
        self._slider = threshold_control(self.data, value=self.threshold, tip=_WHAT_IF)
        self._search = ipywidgets.Button(
            description="Search", icon="search", tooltip="look for conjunctions of up to three conditions"
        )
        self._search.on_click(lambda _: self.search())
        for name, control in {"show": shown, "sort": sort, "minimum": least}.items():
            tie(self, name, control)
        for name, control, said in (("metric", metric, metric_name), ("by", by, clean), ("stage", stage, stage_name)):
            choose(self, name, control, said=said)
        tie(self, "what_if", self._switch)
        tie(self, "threshold", self._slider)
        wide = ipywidgets.Layout(flex_flow="row wrap", align_items="center")
        self._focus = FocusControl(self.shared)
        self._ordering = ipywidgets.HBox([sort, least, self._focus], layout=wide)
        self._why = ipywidgets.HTML()
        self._trying = ipywidgets.HBox([self._switch, self._slider, self._why], layout=wide)
        return [[shown, metric, by, stage], [self._ordering, self._search], [self._trying]]

    def _stages(self) -> list[tuple[str, str]]:
        known = [name for _, name in model.STAGES]
        return [*model.STAGES, *([] if self.stage in known else [(stage_name(self.stage), self.stage)])]

    def _offer(self, _: object) -> None:
        # A control that would change nothing is not shown.
        trying = [self._trying] if self.source.contract.model.task == "binary" else []
        here = {"slices": [self._ordering, *trying], "time": [self._ordering], "search": [self._search]}
        for control in (self._ordering, self._trying, self._search):
            control.layout.display = "" if control in here[self.show] else "none"

    def _try_threshold(self, change: dict[str, Any]) -> None:
        # A browser may hand a value back rounded to its step; that is nobody's move.
        if abs(change["new"] - change["old"]) > self.data.step / 2 and not self._quiet:
            self.shared.threshold = change["new"]

    def _toggled(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            self.shared.threshold = self.threshold if change["new"] else None

    def _threshold_came(self, change: dict[str, Any]) -> None:
        """The page's threshold is shown in the controls here."""
        wanted = change["new"]
        with self.quietly():
            self.what_if = wanted is not None
            if wanted is not None and wanted != self.threshold:
                self.threshold = self.data.shown(wanted)

    def _clicked(self, slot: int) -> None:
        if self.show != "search" and self.by is not None and 0 <= slot < len(self._slots):
            self.shared.focus_on(self.by, self._slots[slot])

    # Answers ----------------------------------------------------------------------------------------------------
    @property
    def result(self) -> pl.DataFrame:
        """The frame that is shown: made when it is asked for, a moved threshold needs none."""
        held = self._answer
        return held.frame(self._order) if isinstance(held, SliceTable) else held

    @result.setter
    def result(self, answer: Any) -> None:
        self._answer = answer

    def answer(self) -> Any:
        view = self.shared.view()
        wanted = view.threshold if self.show == "slices" else None
        self._fixed = self.data.unmoved(view) if wanted is not None else None
        self._table, self._lacking = self.data.table(view.but(threshold=None if self._fixed else wanted))
        self._offered(view)
        limit = _SHOWN if self.show == "slices" else slice_panels.MOST
        order = self._table.order(sort=self.sort, minimum=self.minimum)
        self._order = order[:limit].tolist()
        self._hidden = int(self._table.there[:, 1:].any(axis=0).sum()) - len(self._order)
        self._slots = list(self._table.slices)
        if self.show == "time":
            self._slots = [self._table.slices[slot] for slot in self._order]
            return self.data.over_time(view)
        if self.show == "search":
            return self._searched(view)
        return self._table

    def _offered(self, view: Any) -> None:
        why = self.data.unmoved(view)
        for control in (self._switch, self._slider):
            control.disabled = why is not None
        slices = self._table.slices
        self._focus.offer(self.by, slices, self.data.labels(slices))
        self._why.value = "" if why is None else f"<em>{html.escape(clean(why, limit=200))}</em>"

    def search(self) -> None:
        """Look for the slices that a change comes from; the picture follows when the search has ended."""
        view = self.shared.view()

        def job(step: Any) -> pl.DataFrame | FbkitError:
            frame = pl.DataFrame()
            try:
                rows = self.data.searched(view)
                for depth in range(1, _DEEPEST + 1):
                    step((depth - 1) / _DEEPEST, "conditions alone" if depth == 1 else f"{depth} conditions together")
                    frame = self.data.find(rows, view, depth=depth)
            except FbkitError as error:
                return error
            return frame

        def done(found: pl.DataFrame | FbkitError) -> None:
            if isinstance(found, FbkitError):
                self._tell(f"{found.what}. {found.next_step or ''}".strip())
                return
            self._found = (self.data.question(view), found)
            self.refresh()

        self.work.run(job, done, saying="searching")

    def _searched(self, view: Any) -> pl.DataFrame:
        if self._found is None or self._found[0] != self.data.question(view):
            return pl.DataFrame()
        return self._found[1]

    # Pictures ---------------------------------------------------------------------------------------------------
    def drawing(self) -> object:
        form = number_format(self.metric)
        if self.show == "search":
            frame = self._answer
            drop = not frame.is_empty() and frame["reference"].null_count() < frame.height
            return (self.show, self.metric, self.stage, frame.is_empty(), drop)
        return (self.show, form, self.show == "slices" and self._table.splits, is_share(self.metric))

    def _focused(self) -> tuple[str | None, ...]:
        return () if self.by is None or self.by not in self.shared.focus else (self.shared.focus[self.by],)

    def rows(self) -> list[dict[str, Any]]:
        if self.show == "search":
            if self._answer.is_empty():
                return slice_search.waiting_rows(self.texts()["summary"])
            return slice_search.found_slices_rows(self._answer)
        labels = self.data.labels(self._table.slices)
        if self.show == "time":
            view = self.shared.view()
            windows = [
                (view.reference.start, view.reference.end, "reference"),
                (view.now.start, view.now.end, "current"),
            ]
            return slice_panels.panel_rows(
                self._answer,
                by=self.by or "",
                metric=self.metric,
                slices=self._slots,
                windows=windows,
                changes=self.source.changes,
                focused=self._focused(),
                labels=labels,
            )
        lines = self._table.records(self._order)
        return charts.slices_rows(lines, by="slice", metric=self.metric, focused=self._focused(), labels=labels)

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        if self.show == "search":
            if self._answer.is_empty():
                return slice_search.waiting_chart(texts["summary"], **titles)
            return slice_search.found_slices_chart(self._answer, narrow=True, **titles)
        if self.show == "time":
            return slice_panels.panels_chart(self.rows(), metric=self.metric, stage=self.stage, **titles)
        lines = self._table.records(self._order)
        return charts.slices_chart(
            lines, by="slice", metric=self.metric, stage=self.stage, focused=self._focused(), **titles
        )

    def texts(self) -> dict[str, str]:
        view, stage = self.shared.view(), self.stage
        view = view.but(threshold=None if self._fixed else view.threshold)
        shown = _SHOWN if self.show == "slices" else slice_panels.MOST
        hidden = words.unshown(self._hidden, minimum=self.minimum, shown=shown)
        unsplit = self._table.split if isinstance(self._table.split, str) and self.by is not None else None
        told = "".join(f" {text}." for text in (self._fixed, self._lacking, unsplit) if text)
        if self.show == "slices":
            texts = words.table_texts(
                self._table, self._order, view, stage=stage, sort=self.sort, hidden=hidden, said=told
            )
            how = [texts.pop("counts"), charts.HOW]
        elif self.show == "time":
            texts = words.week_texts(len(self._slots), view, stage=stage, hidden=hidden)
            how = [slice_panels.HOW]
        else:
            texts = words.search_texts(self._answer, view)
            found = self._answer
            how = [] if found.is_empty() else [slice_search.found_note(found, slice_search.found_slices_rows(found))]
        small = self.source.smallprint(
            view if self.show == "search" else others(view), words.spans(view), stage_name(stage), *how
        )
        return texts | {"axis": charts.value_title(self.metric, stage), "smallprint": small}

    def calls(self) -> list[str]:
        view = self.shared.view()
        data = "joined" if self.source.joined is not None else "ledger"
        weeks = f"fb.Comparison(reference={str(view.reference)!a}, current={str(view.now)!a})"
        if self.show == "search":
            return [f"fb.find_slices({data}, {weeks}, metric={self.metric!a}, stage={self.stage!a}, keep_unclear=True)"]
        if self.show == "time":
            return [f"fb.metrics({data}, {self.metric!a}, by={self.by!a}, every='1w', stage={self.stage!a})"]
        tried = "" if view.threshold is None else f", threshold={view.threshold!r}"
        return [
            "from fbkit.measure.slice_changes import slice_changes",
            f"slice_changes({data}, {weeks}, metric={self.metric!a}, by={self.by!a}, stage={self.stage!a}{tried})",
        ]
