"""What another threshold would give: recall, precision, flags and value, with a handle to drag and its numbers."""

import html
from typing import Any, ClassVar, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts import threshold_panels as charts
from fbkit.charts.text import clean, count_text, instant_text, stage_name
from fbkit.errors import ArgumentError
from fbkit.explorers import model
from fbkit.explorers.base import Explorer, begin, dropdown, tie
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared
from fbkit.explorers.threshold_curves import Curves, ThresholdsModel
from fbkit.schema.period import Comparison

TARGETS: Final = {"value": "most value", "precision": "a precision of at least", "recall": "a recall of at least"}
_LEFT: Final = "text-align:left;font-weight:normal;padding:1px 18px 1px 0"
_RIGHT: Final = "text-align:right;padding:1px 0 1px 22px;font-variant-numeric:tabular-nums"
_TIP: Final = "flag where the score is at least this; drag the line in the picture, or use the arrow keys here"


class ThresholdsExplorer(Explorer):
    """Recall, precision, flag rate and value against the threshold, reference and current, with a handle.

    Attributes
    ----------
    threshold
        Where the handle stands; always a threshold of the curve. Moving it sets ``shared.threshold``.
    target, at_least
        What the marked threshold was chosen for, on the reference: "value", "precision" or "recall".
    stage
        "final" or "any".
    """

    FOLLOWS: ClassVar = tuple(name for name in Shared.NAMES if name not in ("metric", "by"))
    threshold = traitlets.Float(0.5)
    target = traitlets.Unicode("precision")
    at_least = traitlets.Float(0.9)
    stage = traitlets.Unicode("final")

    def __init__(
        self,
        thing: Any,
        comparison: Comparison | None = None,
        *,
        shared: Shared | None = None,
        threshold: float | None = None,
        target: str | None = None,
    ) -> None:
        _check(Source.of(thing), target)
        source, state = begin(thing, comparison, shared)
        self.model = ThresholdsModel(source)
        self.priced = source.contract.value is not None
        first = target or ("value" if self.priced else "precision")
        super().__init__(source, shared=state, target=first, stage=state.stage)
        traitlets.link((self, "stage"), (self.shared, "stage"))
        self._numbers = ipywidgets.HTML()
        self._places = ipywidgets.SelectionSlider(
            options=[("0.5", 0.5)],
            description="score ≥",
            tooltip=_TIP,
            layout=ipywidgets.Layout(width="420px"),
            style={"description_width": "initial"},
        )
        self._typed = ipywidgets.FloatText(
            value=0.5,
            description="or exactly",
            step=0.01,
            tooltip="the nearest threshold of the curve is taken",
            layout=ipywidgets.Layout(width="170px"),
            style={"description_width": "initial"},
        )
        self.assemble([self._places, self._typed, *self._jumps()], self._aim(), watched=["target", "at_least"])
        *above, sharing = self.children
        self.children = (*above, self._numbers, sharing)
        self._places.observe(self._moved, names="value")
        self._typed.observe(self._moved, names="value")
        self.observe(self._set, names="threshold")
        self.dragged(self.go)
        if threshold is not None:
            self.go(threshold)

    def _aim(self) -> list[ipywidgets.Widget]:
        offered = [(said, name) for name, said in TARGETS.items() if name != "value" or self.priced]
        share = ipywidgets.BoundedFloatText(
            value=self.at_least,
            min=0.01,
            max=1.0,
            step=0.01,
            tooltip="the share that has to be reached, as a fraction of one",
            description="share",
            layout=ipywidgets.Layout(width="120px"),
            style={"description_width": "initial"},
        )
        tip = "what the amber threshold was chosen for, on the reference"
        stages = dropdown("Labels", model.STAGES, value=self.stage, tip=model.STAGE_TIP)
        chosen = dropdown("Best for", offered, value=self.target, tip=tip)
        bar = [tie(self, "target", chosen), tie(self, "at_least", share), tie(self, "stage", stages)]
        share.layout.display = "none" if self.target == "value" else ""
        self.observe(lambda change: _visible(share, on=change["new"] != "value"), names="target")
        return bar

    def _jumps(self) -> list[ipywidgets.Widget]:
        best = _button("Best", "go to the amber threshold")
        own = _button("In use", "go back to the contract's threshold")
        best.on_click(lambda _: self._jump("best"))
        own.on_click(lambda _: self._jump("own"))
        return [best, own] if self.source.contract.decision.threshold is not None else [best]

    def _jump(self, mark: str) -> None:
        found = getattr(self, "_found", None)
        place = None if found is None else found.own if mark == "own" else found.best.get("threshold")
        if place is not None:
            self.go(place)

    # Moving -----------------------------------------------------------------------------------------------------
    def go(self, threshold: float) -> None:
        """Move the handle to the nearest threshold of the curve; the explorers that share the state follow."""
        if hasattr(self, "_found"):  # without curves there is nowhere to go
            self.shared.threshold = self._found.nearest(threshold)

    def _moved(self, change: dict[str, Any]) -> None:
        if not self._quiet and change["new"] is not None:
            self.go(change["new"])

    def _set(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            self.go(change["new"])

    def _place(self, found: Curves) -> float:
        wanted = self.shared.threshold
        if wanted is None:
            wanted = next((place for place in (found.own, found.best.get("threshold")) if place is not None), 0.5)
        return found.nearest(wanted)

    # What is shown ----------------------------------------------------------------------------------------------
    def answer(self) -> pl.DataFrame:
        self._found = self.model.curves(self.shared.view(), target=self.target, at_least=self.at_least)
        with self.quietly():
            self.threshold = self._place(self._found)
            self._offer()
        held = [frame.with_columns(pl.lit(role).alias("role")) for role, frame in self._found.by_role.items()]
        self._held = self._found.at(self.threshold)
        return pl.concat(held)

    def _offer(self) -> None:
        """The controls stand where the handle stands."""
        places = tuple((f"{place:.4g}", place) for place in self._found.thresholds)
        if self._places.options != places:
            self._places.options = places
        self._places.value = self.threshold
        self._typed.value = float(f"{self.threshold:.6g}")

    def drawing(self) -> object:
        return self.shared.stage, self.priced, self._currency()

    def rows(self) -> list[dict[str, Any]]:
        best = self._found.best.get("threshold")
        marked = None if best is None else (best, *self._found.between)
        return charts.panel_rows(self._found.rows, at=self.threshold, own=self._found.own, best=marked)

    def chart(self) -> Any:
        texts = self.texts()
        return charts.panels_chart(
            self.rows(),
            priced=self.priced,
            currency=self._currency(),
            stage=self.shared.stage,
            title=texts["headline"],
            subtitle=texts["smallprint"],
        )

    def _currency(self) -> str | None:
        return self.source.contract.value.currency if self.source.contract.value else None

    def _show(self) -> None:
        super()._show()
        self._numbers.value = numbers_html(
            self._held,
            found=self._found,
            target=self.target,
            currency=self._currency(),
        )

    def calls(self) -> list[str]:
        view = self.shared.view()
        data = "ledger" if self._found.counted else "joined"
        made = ["ledger = joined.ledger()"] if self._found.counted and self.source.joined is not None else []
        how = f"stage={view.stage!a}"
        aim = f"target={self.target!a}, at_least={self.at_least!r}, {how}"
        moves = f"threshold_moves({data}, before={self._found.own!r}, period='{view.now}', {how})"
        return [
            *made,
            *(f"fb.threshold_curve({data}, period='{period}', {how})" for period in (view.reference, view.now)),
            f"fb.choose_threshold({data}, fit='{view.reference}', judge='{view.now}', {aim})",
            *(
                []
                if self._found.moves is None
                else ["from fbkit.measure.threshold_moves import threshold_moves", moves]
            ),
        ]

    def texts(self) -> dict[str, str]:
        view = self.shared.view()
        spans = f"{model.span_text(view.reference)} against {model.span_text(view.now)}"
        marks = (
            "solid: handle, dashed: in use, amber: best"
            if self._found.own is not None
            else "solid: handle, amber: best"
        )
        now = self._held.get("current", {})
        counted = f"{count_text(now.get('n_labelled'))} labelled of {count_text(now.get('n'))} now"
        alone = ["intervals as if rows were independent, though entities repeat"] if self._found.repeats else []
        known = f"as of {instant_text(view.as_of)}"
        stage = stage_name(self.shared.stage)
        small = ", ".join([clean(self.source.name), known, spans, stage, counted, marks, *alone])
        return {
            "headline": "What another threshold would give",
            "smallprint": small,
            "summary": f"At score ≥ {self.threshold:.4g}: {self._numbers_said(now)}.{self._more_said()}",
        }

    def _numbers_said(self, now: dict[str, Any]) -> str:
        names = ["recall", "precision", "flag_rate"] + (["value_per_prediction"] if self.priced else [])
        said = [f"{charts.NAMES[name]} {charts.value_said(now.get(name), metric=name)}" for name in names]
        return ", ".join(said) + f" now, of {count_text(now.get('n_labelled'))} {stage_name(self.shared.stage)}"

    def _more_said(self) -> str:
        change = charts.move_said(self._found.move(self.threshold), currency=self._currency())
        said = [change, *(clean(note, limit=200) for note in self._found.notes)]
        return "".join(f" {sentence}." for sentence in said if sentence)


def _check(source: Source, target: str | None) -> None:
    if source.contract.model.task != "binary":
        raise ArgumentError(
            "thresholds belong to a binary model",
            got=f"task {source.contract.model.task}",
            allowed="task binary",
            next_step="look at the model's errors instead: fb.explore.predictions(joined)",
        )
    if target is not None and target not in TARGETS:
        raise ArgumentError(
            "an unknown target", got=str(target), allowed=", ".join(TARGETS), next_step="name one of these"
        )


def _button(text: str, tip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=text, tooltip=tip, layout=ipywidgets.Layout(width="90px"))


def _visible(control: Any, *, on: bool) -> None:
    control.layout.display = "" if on else "none"


def numbers_html(held: dict[str, dict[str, Any]], *, found: Curves, target: str, currency: str | None) -> str:
    """The numbers at the handle as a table that a screen reader can walk, and what the chosen threshold gives."""
    priced = any(numbers.get(charts.VALUE) is not None for numbers in held.values())
    names = charts.PANELS if priced else charts.PANELS[:-1]
    body = "".join(
        f"<tr><th scope='row' style='{_LEFT}'>{html.escape(charts.title_of(name, currency))}</th>"
        + "".join(f"<td style='{_RIGHT}'>{_cell(numbers, name)}</td>" for numbers in held.values())
        + "</tr>"
        for name in names
    )
    counted = "".join(
        f"<td style='{_RIGHT}'>{count_text(numbers['n_labelled'])} of {count_text(numbers['n'])}</td>"
        for numbers in held.values()
    )
    head = "".join(f"<th scope='col' style='{_RIGHT}'>{html.escape(role)}</th>" for role in held)
    at = next(iter(held.values()))["threshold"] if held else found.thresholds[0]
    said = html.escape(charts.best_said(found.best, found.between, target=target, currency=currency))
    return (
        f"<table style='border-collapse:collapse;margin:4px 0'><caption style='{_LEFT};font-weight:600'>"
        f"At score ≥ {at:.4g}</caption><thead><tr><td></td>{head}</tr></thead><tbody>{body}"
        f"<tr><th scope='row' style='{_LEFT}'>labelled predictions</th>{counted}</tr></tbody></table>"
        f"<p style='margin:4px 0 8px;line-height:1.5;max-width:900px'>{said}.</p>"
    )


def _cell(numbers: dict[str, Any], name: str) -> str:
    value = charts.value_said(numbers.get(name), metric=name)
    lower, upper = numbers.get(f"{name}_lower"), numbers.get(f"{name}_upper")
    between = charts.between_said(lower, upper, metric=name)
    return html.escape(f"{value} ({between})" if between else value)
