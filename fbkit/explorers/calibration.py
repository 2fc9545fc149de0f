"""Do scores still mean what they say: reliability of both periods, by slice or version, and once recalibrated."""

from typing import Any, ClassVar, Final

import polars as pl
import traitlets

from fbkit.charts import calibration as charts
from fbkit.charts.recalibration import change_rows, recalibration_chart, recalibration_rows
from fbkit.charts.text import clean, count_text, stage_name
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, begin, dropdown, tie
from fbkit.explorers.calibration_model import VERSION, CalibrationModel, Shown
from fbkit.explorers.state import Shared, View
from fbkit.schema.period import Comparison, format_instant

PERIODS: Final = ("both periods", "periods")
SLICES: Final = ("by slice", "slices")
VERSIONS: Final = ("by model version", "versions")
RECALIBRATED: Final = ("before and after recalibration", "recalibration")
METHODS: Final = [("isotonic", "isotonic"), ("Platt (logistic line)", "platt")]
EVERYTHING: Final = "\0everything"


class CalibrationExplorer(Explorer):
    """Reliability diagrams with consistency bands and the scores' histogram; Brier's parts and ECE with intervals.

    Attributes
    ----------
    show
        "periods", "slices", "versions" or "recalibration".
    by, value
        Slice column and the value that is looked at; ``calibration.EVERYTHING`` as value is no slice.
    stage
        "final" or "any".
    method
        "isotonic" or "platt": the map that is fitted on the reference and judged on the current period.
    """

    FOLLOWS: ClassVar = tuple(name for name in Shared.NAMES if name not in ("metric", "threshold"))
    show = traitlets.Unicode("periods")
    by = traitlets.Unicode(None, allow_none=True)
    value = traitlets.Unicode(EVERYTHING, allow_none=True)
    stage = traitlets.Unicode("final")
    method = traitlets.Unicode("isotonic")
    result: pl.DataFrame

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        by: str | None = None,
        show: str = "periods",
    ) -> None:
        source, state = begin(thing, comparison, shared, by=by)
        self.model = CalibrationModel(source)
        self.shown = Shown(curves=pl.DataFrame(), numbers=pl.DataFrame())
        super().__init__(source, shared=state, by=state.by, stage=state.stage, show=show)
        self._value_of = state.by
        traitlets.link((self, "stage"), (self.shared, "stage"))
        traitlets.link((self, "by"), (self.shared, "by"))
        self._controls = self._make_controls()
        self.observe(self._other_column, names="by")
        self.observe(self._valued, names="value")
        self.observe(self._offer, names="show")
        self.picked(self._clicked)
        made = self._controls
        self.assemble(
            [made["show"], made["stage"], made["method"]],
            [made["by"], made["value"]],
            watched=["show", "value", "method"],
        )
        self._offer(None)

    # Controls ---------------------------------------------------------------------------------------------------
    def _make_controls(self) -> dict[str, Any]:
        slices = self.source.slices
        views = [PERIODS, *([SLICES] if slices else []), *([VERSIONS] if self.source.versions else []), RECALIBRATED]
        columns = model.choices(dict.fromkeys([*slices, *([self.by] if self.by else [])])) or [("(no slice)", None)]
        made = {
            "show": dropdown("Reliability", views, value=self.show, tip="what the picture shows", width="330px"),
            "stage": dropdown("Labels", model.STAGES, value=self.stage, tip=model.STAGE_TIP),
            "method": dropdown("Map", METHODS, value=self.method, tip="how the score is mapped to a probability"),
            "by": dropdown("Where", columns, value=self.by, tip="the column to slice by"),
            "value": dropdown("is", self._options(), value=self.value, tip="the slice to look at"),
        }
        return {name: tie(self, name, control) for name, control in made.items()}

    def _options(self) -> list[tuple[str, str | None]]:
        return [("all", EVERYTHING), *model.choices(self._values())]

    def _values(self) -> list[str | None]:
        if self.by is None:
            return []
        if self.source.joined is not None:
            return model.slice_values(self.source.joined, self.by)
        return list(self.source.ledger().values.get(self.by, ()))

    def _other_column(self, _: object) -> None:
        with self.quietly():
            self.value = EVERYTHING
            self._controls["value"].options = self._options()

    def _valued(self, _: object) -> None:
        self._value_of = self.by

    def _offer(self, _: object) -> None:
        # A control that would change nothing is not shown.
        shown = {"method": self.show == "recalibration", "value": self.show != "slices"}
        for name, needed in shown.items():
            self._controls[name].layout.display = "" if needed else "none"

    def _clicked(self, place: int) -> None:
        """A click on a panel looks at that slice, or version, everywhere."""
        if not 0 <= place < len(self.shown.values):
            return
        value = self.shown.values[place]
        if self.show == "versions":
            self.shared.version = None if self.shared.version == value else value
        elif self.shared.by is not None:
            self.shared.focus_on(self.shared.by, value)

    def _view(self) -> View:
        view = self.shared.view()
        # The page may hear of another column before the control does: a value belongs to its own column.
        if self.show == "slices" or self.value == EVERYTHING or view.by is None or view.by != self._value_of:
            return view
        return view.but(focus={**view.focus, view.by: self.value})

    # What is shown ----------------------------------------------------------------------------------------------
    def answer(self) -> pl.DataFrame:
        view = self._view()
        if self.show == "recalibration":
            self.shown = self.model.recalibrated(view, self.method)
        elif self.show == "periods" or (self.show == "slices" and view.by is None):
            self.shown = self.model.periods(view)
        else:
            self.shown = self.model.slices(view, VERSION if self.show == "versions" else str(view.by))
        return self.shown.curves

    def table(self) -> pl.DataFrame:
        """The numbers beside the curves."""
        return self.shown.numbers

    @property
    def _panels(self) -> bool:
        return "panel" in self.shown.curves.columns

    def drawing(self) -> object:
        return "panels" if self._panels else self.show

    def rows(self) -> list[dict[str, Any]]:
        shown, minimum = self.shown, self.source.contract.slices.minimum
        if self.show == "recalibration":
            return recalibration_rows(shown.curves, minimum=minimum) + change_rows(shown.numbers)
        if self._panels:
            return charts.panel_rows(shown.curves, shown.numbers, minimum=minimum)
        return charts.calibration_rows(shown.curves, minimum=minimum) + charts.number_rows(shown.numbers)

    def chart(self) -> Any:
        texts = self.texts()
        how: dict[str, Any] = {"stage": self.stage, "minimum": self.source.contract.slices.minimum}
        how |= {"title": texts["headline"], "subtitle": texts["smallprint"]}
        drawn: Any = charts.panels_chart if self._panels else charts.calibration_chart
        if self.show == "recalibration":
            drawn = recalibration_chart
        return drawn(self.shown.curves, self.shown.numbers, **how)

    def calls(self) -> list[str]:
        view = self._view()
        how = f"stage={view.stage!a}"
        if self.show == "recalibration":
            fit = self.shown.facts.get("fit", view.reference)
            return [f'fb.recalibrate(joined, fit="{fit}", judge="{view.now}", method={self.method!a}, {how}).table']
        by = {"slices": view.by, "versions": VERSION}.get(self.show)
        sliced = "" if by is None else f", by={by!a}"
        if self.source.joined is None and view.as_of != self.source.as_of:
            sliced += f', as_of="{format_instant(view.as_of)}"'
        # Of rows the picture shows their score bins; by slice only the rows know every period.
        binned = self.show != "slices" and self.source.counts
        data = "ledger" if self.source.joined is None or binned else "joined"
        lines = ["ledger = joined.ledger()"] if binned and self.source.joined is not None else []
        for period in (view.reference, view.now):
            lines += [f'fb.{name}({data}, period="{period}", {how}{sliced})' for name in _FUNCTIONS]
        return lines

    # What is said -----------------------------------------------------------------------------------------------
    def texts(self) -> dict[str, str]:
        view = self._view()
        spans = f"{model.span_text(view.reference)} against {model.span_text(view.now)}"
        headline = {
            "recalibration": f"Before and after recalibration ({self.method})",
            "slices": f"Reliability by {clean(view.by)}",
            "versions": "Reliability by model version",
        }.get(self.show, "Reliability of the score")
        more = f"{self.shown.hidden} smaller ones not shown" if self.shown.hidden else ""
        notes = [*self.shown.notes, more, _READING if self._panels else ""]
        if self.show == "recalibration":
            fit = self.shown.facts.get("fit", view.reference)
            spans = f"fitted on {model.span_text(fit)}, judged on {model.span_text(view.now)}"
        return {
            "headline": headline,
            "axis": charts.observed_title(view.stage),
            "smallprint": self.source.smallprint(view, spans, stage_name(view.stage), *notes),
            "summary": self._said(view),
        }

    def _said(self, view: View) -> str:
        if self.show == "recalibration":
            return _said_map(self.shown.numbers)
        if self._panels:
            return _said_panels(self.shown)
        where = ", ".join(f"{clean(column)} = {clean(value)}" for column, value in view.filters)
        return _said_periods(self.shown.numbers, where=where)


_FUNCTIONS: Final = ("calibration", "calibration_summary")
_READING: Final = "* beyond chance; a click looks at one alone"


def _said_periods(numbers: pl.DataFrame, *, where: str) -> str:
    found = {row["role"]: row for row in numbers.iter_rows(named=True)}
    now, then = found.get("current"), found.get("reference")
    place = f" ({where})" if where else ""
    if now is None or now["brier"] is None:
        return f"Reliability{place}: not estimable now, because {(now or {}).get('reason') or 'no row is labelled'}."
    parts = (
        f"Brier score {now['brier']:.4f} = miscalibration {now['mcb']:.4f} − discrimination {now['dsc']:.4f} "
        f"+ uncertainty {now['unc']:.4f}"
    )
    before = "" if then is None or then["ece"] is None else f" ({then['ece']:.4f} in the reference)"
    ece = "" if now["ece"] is None else f"; ECE {now['ece']:.4f}{before}"
    p = now.get("ece_p_value")
    chance = "" if p is None else f", {'beyond' if p < 0.05 else 'within'} what chance alone gives"
    return (
        f"Reliability{place}: {parts}{ece}{chance}. {count_text(now['n_labelled'])} labelled of {count_text(now['n'])}."
    )


def _said_panels(shown: Shown) -> str:
    now = shown.numbers.filter(pl.col("role") == "current")
    known = now.filter(pl.col("ece").is_not_null())
    beyond = known.filter(pl.col("ece_p_value") < 0.05).sort("ece", descending=True)
    if not known.height:
        return "No slice has a final label in the current period."
    if not beyond.height:
        return f"In none of {known.height} slices does the score miss by more than chance now."
    named = ", ".join(f"{clean(row['panel'])} ({row['ece']:.3f})" for row in beyond.head(3).iter_rows(named=True))
    return (
        f"In {beyond.height} of {known.height} slices the score misses by more than chance now, most in {named}; "
        "chance alone would name one in twenty."
    )


def _said_map(table: pl.DataFrame) -> str:
    line = table.filter(pl.col("metric") == "brier").row(0, named=True)
    start = "Fitted on the reference and judged on the current period, on rows that the map has not seen"
    if line["change"] is None:
        return f"{start}: not estimable, because {line['reason']}."
    change = f"the Brier score goes from {line['before']:.4f} to {line['after']:.4f}"
    if line["change_lower"] is None:
        return f"{start}: {change}; too few rows for an interval."
    between = f"{line['change']:+.4f} [{line['change_lower']:+.4f}, {line['change_upper']:+.4f}]".replace("-", "−")
    better, worse = line["change_upper"] < 0, line["change_lower"] > 0
    verdict = "better" if better else "worse, do not deploy it" if worse else "no difference beyond chance"
    return f"{start}: {change}, {between}: {verdict}. {count_text(line['n_labelled'])} labelled rows."
