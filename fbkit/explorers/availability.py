"""Are the labels there: over time by slice, by cohort and age, down to the promise, and how fast they arrive."""

from datetime import datetime
from typing import Any, ClassVar, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import availability as charts
from fbkit.charts.burn_down import burn_down_chart, burn_down_rows
from fbkit.charts.heat import cohort_chart, cohort_rows
from fbkit.charts.text import clean, instant_text
from fbkit.errors import ArgumentError
from fbkit.explorers import availability_said as said
from fbkit.explorers import model
from fbkit.explorers.availability_model import AvailabilityModel
from fbkit.explorers.base import Explorer, begin, dropdown, tie
from fbkit.explorers.state import Shared, View
from fbkit.schema.period import Comparison, Period, format_instant

VIEWS: Final = [
    ("over time", "time"),
    ("by cohort and age", "cohorts"),
    ("still missing to the promise", "burn_down"),
    ("how fast they arrive", "age"),
]
GRAINS: Final = [("day", "1d"), ("week", "1w")]
COHORTS: Final = [("the week due next", "week"), ("the day due next", "day"), ("the current period", "current")]
NO_SLICE: Final = "\0none"


class AvailabilityExplorer(Explorer):
    """Label availability over time and slice, by cohort and age, down to the promise, and by age.

    Attributes
    ----------
    show
        "time", "cohorts", "burn_down" or "age".
    by
        Slice column, or ``availability.NO_SLICE``.
    grain
        "1d" or "1w": the length of a cell or cohort.
    value
        The slice that the other three views are narrowed to; ``availability.NO_SLICE`` is all predictions.
    cohort
        Whose labels are counted down: the "week" or "day" whose promise is due next, or the "current" period (the
        brushed days, if there are some).
    """

    FOLLOWS: ClassVar = ("reference", "current", "as_of", "version", "focus", "days", "by")
    show = traitlets.Unicode("time")
    by = traitlets.Unicode(NO_SLICE)
    grain = traitlets.Unicode("1d")
    value = traitlets.Unicode(NO_SLICE, allow_none=True)
    cohort = traitlets.Unicode("week")

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        by: str | None = None,
        show: str = "time",
    ) -> None:
        if show not in [name for _, name in VIEWS]:
            raise ArgumentError(
                "there is no such view of the labels",
                got=str(show),
                allowed=", ".join(name for _, name in VIEWS),
                next_step="name one of these",
            )
        source, state = begin(thing, comparison, shared, by=by)
        self.model = AvailabilityModel(source)
        super().__init__(source, shared=state, by=_shown(state.by), show=show, grain=self.model.grain)
        self.parts = self._make_controls()
        self.shared.observe(self._followed, names=["by", "as_of"])
        self.observe(self._other_column, names="by")
        self.observe(self._offer, names=["show", "value"])
        self.picked(self._clicked)
        self.assemble(
            [self.parts[name] for name in ("show", "by", "value", "grain", "cohort")],
            [self.parts["as_of"]],
            watched=["show", "grain", "value", "cohort"],
        )
        self._offer(None)

    # Controls ---------------------------------------------------------------------------------------------------
    def _make_controls(self) -> dict[str, Any]:
        columns = [*self.source.slices, *(["model_version"] if len(self.source.versions) > 1 else [])]
        if self.by != NO_SLICE and self.by not in columns:
            columns.insert(0, self.by)
        offered = [*model.choices(columns), ("no slice", NO_SLICE)]
        made = {
            "show": dropdown("Labels", VIEWS, value=self.show, tip="what the picture shows", width="300px"),
            "by": dropdown("by", offered, value=self.by, tip="the column to slice by"),
            "value": dropdown("only", self._values(), value=self.value, tip="the slice that is looked at"),
            "grain": dropdown("each", GRAINS, value=self.grain, tip="the length of a cell or cohort", width="150px"),
            "cohort": dropdown("Cohort", COHORTS, value=self.cohort, tip="whose labels are counted down"),
        }
        for name, control in made.items():
            tie(self, name, control)
        return made | {"as_of": self._time_machine()}

    def _time_machine(self) -> ipywidgets.SelectionSlider:
        """The slider that moves everything to what was known at a time."""
        moments = self.source.moments()
        slider = ipywidgets.SelectionSlider(
            options=[(instant_text(moment), moment) for moment in moments],
            value=self.shared.as_of if self.shared.as_of in moments else moments[-1],
            description="As known at",
            tooltip="every number becomes what was known at this time; arrow keys go by day",
            layout=ipywidgets.Layout(width="560px"),
            style={"description_width": "initial"},
        )
        slider.disabled = len(moments) < 2
        slider.observe(self._moved_in_time, names="value")
        return slider

    def _moved_in_time(self, change: dict[str, Any]) -> None:
        self.shared.as_of = change["new"]

    def _followed(self, change: dict[str, Any]) -> None:
        """What another explorer of the page set is shown in the controls here."""
        control = self.parts[change["name"]]
        value = _shown(change["new"]) if change["name"] == "by" else change["new"]
        if value in [held for _, held in control.options]:
            control.value = value

    def _values(self) -> list[tuple[str, str | None]]:
        column = self._column
        found = self.model.values(self.shared.view(), column) if column is not None else []
        return [("all", NO_SLICE), *model.choices(found)]

    def _other_column(self, _: object) -> None:
        with self.quietly():
            self.value = NO_SLICE
        self.shared.by = None if self.by == NO_SLICE else self.by
        with self.quietly():
            self.parts["value"].options = self._values()

    def _offer(self, _: object) -> None:
        # A control that would change nothing is not shown.
        shown = {
            "grain": self.show in ("time", "cohorts"),
            "value": self.show != "time",
            "cohort": self.show == "burn_down",
        }
        for name, wanted in shown.items():
            self.parts[name].layout.display = "" if wanted else "none"

    def _clicked(self, place: int) -> None:
        """A click on a slice looks at it everywhere; one on a cohort looks at its days."""
        if self.show == "time" and self._column is not None:
            values = self.result[self._column].unique(maintain_order=True).to_list()
            if 0 <= place < len(values):
                self.shared.focus_on(self._column, values[place])
        elif self.show == "cohorts":
            cohorts = self.result.select("period_start", "period_end").unique(maintain_order=True).rows()
            if 0 <= place < len(cohorts):
                self.shared.days = Period(start=cohorts[place][0], end=cohorts[place][1])

    # What is shown ----------------------------------------------------------------------------------------------
    @property
    def _column(self) -> str | None:
        """The column to slice by; the page's state is ahead of the control while a move is on its way."""
        return self.shared.by

    def _view(self) -> View:
        """The page's view, narrowed to the slice that was chosen here."""
        view = self.shared.view()
        if self.show == "time" or self._column is None or self._column != self.by or self.value == NO_SLICE:
            return view
        return view.but(focus={**view.focus, self._column: self.value})

    def answer(self) -> pl.DataFrame:
        view = self._view()
        if self.show == "time":
            return self.model.over_time(view, self._column, self.grain)
        if self.show == "cohorts":
            return self.model.cohorts(view, self.grain)
        if self.show == "burn_down":
            return self.model.burn_down(view, self.cohort)
        return self.model.by_age(view)

    def drawing(self) -> object:
        return self.show

    def _windows(self) -> list[tuple[datetime, datetime, str]]:
        view = self.shared.view()
        return [(period.start, period.end, role) for role, period in said.periods(view)]

    def _changes(self) -> pl.DataFrame | None:
        """The changes that had been made by the as-of time."""
        changes = self.source.changes
        return None if changes is None else changes.filter(pl.col("ts") <= self.shared.as_of)

    def _drawn(self) -> dict[str, Any]:
        drawn: dict[str, Any] = {} if self.show == "age" else {"changes": self._changes()}
        if self.show == "time":
            drawn |= {"by": self._column, "windows": self._windows()}
        if self.show == "cohorts":
            drawn |= {"promise": self.model.judged}
        return drawn

    def rows(self) -> list[dict[str, Any]]:
        make: dict[str, Any] = {
            "time": charts.availability_rows,
            "cohorts": cohort_rows,
            "burn_down": burn_down_rows,
            "age": charts.lag_rows,
        }
        return make[self.show](self.result, **self._drawn())

    def chart(self) -> Any:
        texts = self.texts()
        titles: dict[str, Any] = {"title": texts["headline"], "subtitle": texts["smallprint"]}
        if self.show == "cohorts":
            titles["whole"] = not self.model.promise.of_usual
        make: dict[str, Any] = {
            "time": charts.availability_chart,
            "cohorts": cohort_chart,
            "burn_down": burn_down_chart,
            "age": charts.lag_chart,
        }
        return make[self.show](self.result, **self._drawn(), **titles)

    def texts(self) -> dict[str, str]:
        view = self._view()
        narrowed = "" if view.focus == self.shared.focus else f" ({clean(self._column)} = {clean(self.value)})"
        headline, small, summary = said.TEXTS[self.show](self.model, view, self.result, self._column)
        note = self.model.note
        return {
            "headline": headline + narrowed,
            "smallprint": self.source.smallprint(view, small, note),
            "summary": f"{summary} {note}".strip() + ("." if note else ""),
        }

    def calls(self) -> list[str]:
        view, source = self._view(), self.source
        extra = {name: value for name, value in view.focus.items() if view.focus != self.shared.focus}
        data = "ledger" if source.joined is None else f"joined.only({extra!a})" if extra else "joined"
        moved = source.joined is None and view.as_of != source.as_of
        at = f", as_of='{format_instant(view.as_of)}'" if moved else ""
        return said.calls(self.show, view, data, by=self._column, grain=self.grain, result=self.result, at=at)


def _shown(by: str | None) -> str:
    return NO_SLICE if by is None else by
