"""Find rows: the worst errors, a slice, an id, a state; and the receipt of the one that is chosen."""

import html
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import predictions as charts
from fbkit.charts.text import clean, count_text, instant_text
from fbkit.errors import FbkitError
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, begin, dropdown, tie
from fbkit.explorers.rows_view import RowsView
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared, View
from fbkit.join.receipt import personal_names
from fbkit.join.rows import no_rows
from fbkit.measure import find_rows as measure
from fbkit.schema.period import Comparison, Period

QUESTIONS: Final[Mapping[str, str]] = {
    measure.MISSED: "missed positives, the lowest scores first",
    measure.FALSE_ALARMS: "false alarms, the highest scores first",
    measure.ERRORS: "the largest errors",
    "pending": "window open, nothing seen yet",
    "missing": "window closed, no label came",
    "censored": "outcome hidden by the action",
    measure.LATE: "labels that came late",
    measure.NEWEST: "the newest predictions",
}
PERIODS: Final = [("now", "current"), ("the reference", "reference"), ("all times", "all")]
NO_ROWS: Final = "A ledger holds counts and no rows: explore the joined table to find single predictions"
NO_SLICE: Final = "\0none"
_VERSION: Final = "model_version"

Receipt = Callable[[str], Any]


class PredictionsExplorer(Explorer):
    """Rows behind a number, and the receipt of one of them: what the model saw, what was done, what came back.

    At most 50 rows go to the page, as messages: no notebook that is saved holds one. The picture (also the static one)
    has counts only.

    Attributes
    ----------
    question
        What is looked for (a key of ``QUESTIONS``).
    period
        "current" (or the brushed days), "reference" or "all".
    identifier
        A part of the id of the predictions to show.
    where, value
        A slice column (``NO_SLICE``: none) and its value; they set the filter of the page.
    chosen
        The id whose receipt is open, or None. Neither it nor ``identifier`` is sent to the page as a state.
    """

    FOLLOWS: ClassVar = tuple(name for name in Shared.NAMES if name not in ("metric", "by"))
    question = traitlets.Unicode(measure.NEWEST)
    period = traitlets.Unicode("current")
    identifier = traitlets.Unicode("")
    where = traitlets.Unicode(NO_SLICE)
    value = traitlets.Unicode(None, allow_none=True)
    chosen = traitlets.Unicode(None, allow_none=True)

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        question: str | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        source, state = begin(thing, comparison, shared)
        self._asked = questions_of(source)
        self._columns = [name for name in source.slices if name not in personal_names(source.contract)]
        self._receipt = receipt or getattr(source.joined, "receipt", None)
        super().__init__(source, shared=state, question=question or next(iter(self._asked)))
        self.list = RowsView(choose=self._choose, search=lambda text: self.set_trait("identifier", text))
        self.assemble(self._bar(), self._slices(), watched=["question", "period", "identifier"])
        *above, last = self.children
        self.children = (*above, self.list, last)
        self.observe(self._focus, names="value")

    def _bar(self) -> list[ipywidgets.Widget]:
        offered = [(said, name) for name, said in self._asked.items()]
        tip = "which predictions come first"
        return [
            tie(self, "question", dropdown("Find", offered, value=self.question, tip=tip, width="330px")),
            tie(self, "period", dropdown("of", PERIODS, value=self.period, tip="whose predictions", width="170px")),
        ]

    def _slices(self) -> list[ipywidgets.Widget]:
        columns = [("no slice", NO_SLICE), *model.choices(self._columns)]
        self._values = dropdown("is", [("all", None)], value=None, tip="the slice to look at")
        chosen = dropdown("Where", columns, value=NO_SLICE, tip="the column to slice by")
        bar = [tie(self, "where", chosen), tie(self, "value", self._values)]
        self.observe(self._other_column, names="where")
        return bar if self._columns and self.source.joined is not None else []

    def _offered(self, where: str, value: str | None = None) -> list[tuple[str, str | None]]:
        if where == NO_SLICE or self.source.joined is None:
            return [("all", None)]
        return model.choices([*model.slice_values(self.source.joined, where), *([] if value is None else [value])])

    def _other_column(self, change: dict[str, Any]) -> None:
        if self._quiet:
            return
        others = {name: value for name, value in self.shared.focus.items() if name != change["old"]}
        first = self._offered(self.where)[0][1]
        self.shared.focus = others if self.where == NO_SLICE else {**others, self.where: first}

    def _follow_focus(self) -> None:
        """The controls show the filter of the page, whoever set it."""
        focus = self.shared.focus
        held = (self.where, *self._columns)
        where = next((name for name in held if name in focus and name in self._columns), NO_SLICE)
        with self.quietly():
            self.where = where
            self._values.options = self._offered(where, focus.get(where))
            self._values.layout.display = "none" if where == NO_SLICE else ""
            self.value = focus.get(where)

    def _focus(self, _: object) -> None:
        if not self._quiet and self.where != NO_SLICE:
            self.shared.focus = {**self.shared.focus, self.where: self.value}

    # What is found ----------------------------------------------------------------------------------------------
    def answer(self) -> pl.DataFrame:
        self._follow_focus()
        view = self.shared.view()
        joined = self.source.joined
        if joined is None:
            self._found = None
            held = self.source.ledger().rows
            counted = [("predictions in the ledger", held, 0), ("rows at hand", 0, held)]
            return pl.DataFrame(counted, schema=[measure.RULE, measure.LEFT, measure.DROPPED], orient="row")
        filters = dict(view.filters) | ({} if view.version is None else {_VERSION: view.version})
        self._found = measure.find_rows(
            joined,
            self.question,
            period=self._limits(view),
            where=filters,
            identifier=self.identifier,
            stage=view.stage,
            threshold=view.threshold,
        )
        return self._found.steps

    def _limits(self, view: View) -> Period | None:
        return {"current": view.now, "reference": view.reference}.get(self.period)

    def _show(self) -> None:
        super()._show()
        self.chosen = None
        if self._found is None:
            self.list.show([], [], caption=f"{NO_ROWS}.", searchable=False)
            return
        rows = self._found.rows
        names = [name for name in rows.columns if name not in self._same()]
        cells = [[charts.cell_text(row[name]) for name in names] for row in rows.iter_rows(named=True)]
        self.list.show([charts.column_name(name) for name in names], cells, caption=self._caption())

    def _caption(self) -> str:
        if self._found is None or self._found.rows.is_empty():
            return "No prediction is left; the bars above say which rule dropped how many."
        kept = [f"{count_text(self._found.rows.height)} shown; press one for its receipt"]
        row = self._found.rows.row(0, named=True)
        same = [f"{charts.column_name(name)} {charts.cell_text(row[name])}" for name in self._same()]
        if same:
            kept.append(f"The same for all: {', '.join(same)}")
        if self._found.hidden:
            kept.append(f"Left out as personal: {', '.join(clean(name) for name in self._found.hidden)}")
        return ". ".join(kept) + "."

    def _same(self) -> list[str]:
        """Columns that say the same of every row: told once, not fifty times."""
        rows = self._found.rows if self._found is not None else pl.DataFrame()
        shown = [name for name in rows.columns if name not in ("prediction_id", "ts_pred", "score")]
        return [name for name in shown if rows.height > 1 and rows[name].n_unique() == 1]

    # The receipt ------------------------------------------------------------------------------------------------
    def _choose(self, place: int) -> None:
        if self._found is None or not 0 <= place < self._found.rows.height:
            return
        self.chosen = self._found.rows["prediction_id"][place]
        self.list.show_receipt(place, self._receipt_html(place))

    def _receipt_html(self, place: int) -> str:
        """The receipt as escaped HTML: the card if the receipt has one, else its lines."""
        row = self._found.rows.row(place, named=True) if self._found is not None else {}
        if self._receipt is None:
            return _lines([f"{charts.column_name(name)}: {charts.cell_text(value)}" for name, value in row.items()])
        try:
            made = self._receipt(str(self.chosen))
        except FbkitError as error:
            return _lines([error.what, error.next_step or ""])
        card = getattr(made, "_repr_html_", None)
        return str(card()) if callable(card) else _lines(str(made).splitlines())

    # What is drawn ----------------------------------------------------------------------------------------------
    def drawing(self) -> object:
        return "funnel"

    def rows(self) -> list[dict[str, Any]]:
        return charts.funnel_rows(self.result)

    def chart(self) -> Any:
        texts = self.texts()
        return charts.funnel_chart(self.result, title=texts["headline"], subtitle=texts["smallprint"])

    def calls(self) -> list[str]:
        view, limits = self.shared.view(), self._limits(self.shared.view())
        if self.source.joined is None:
            return ["ledger"]
        # The id that was typed is left out: code that is copied goes where no id may go.
        given = [f"period='{limits}'"] if limits is not None else []
        given += [f"stage={view.stage!a}", *([] if view.threshold is None else [f"threshold={view.threshold!r}"])]
        call = f"find_rows(joined, {self.question!a}, {', '.join(given)})"
        return ["from fbkit.measure.find_rows import find_rows", call]

    def texts(self) -> dict[str, str]:
        view = self.shared.view()
        limits = self._limits(view)
        when = "all times" if limits is None else model.span_text(limits)
        moved = "" if view.as_of == self.source.as_of else "rows are as known at the newest time"
        decided = "" if view.threshold is None else f"flagged at score ≥ {view.threshold:.4g}"
        parts = [clean(self.source.name), f"as of {instant_text(self.source.as_of)}", when, moved, decided]
        return {
            "headline": f"Find {QUESTIONS[self.question]}",
            "smallprint": ", ".join(part for part in parts if part),
            "summary": self._said(),
        }

    def _said(self) -> str:
        if self._found is None:
            return f"{NO_ROWS}."
        left = self.result[measure.LEFT]
        whole, shown = left[0], left[-1]
        matching = left[-2]
        return (
            f"{count_text(matching)} of {count_text(whole)} predictions match ({QUESTIONS[self.question]}); "
            f"{count_text(shown)} shown."
        )


def questions_of(source: Source) -> dict[str, str]:
    """What can be looked for, with the words for it; a question that needs a column that is not there is left out."""
    asked = measure.questions(source.contract)
    held = no_rows(source.joined).columns if source.joined is not None else [measure.LATE]
    return {name: QUESTIONS[name] for name in asked if name != measure.LATE or measure.LATE in held}


def _lines(lines: list[str]) -> str:
    return f"<pre>{html.escape(chr(10).join(line for line in lines if line))}</pre>"
