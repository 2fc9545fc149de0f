"""What all explorers of a page share, as controls, and the filters in force as a line of buttons that clear them."""

from datetime import datetime
from typing import Any, Final

import ipywidgets

from fbkit.charts.text import clean, instant_text, metric_name
from fbkit.explorers import model
from fbkit.explorers.base import dropdown, tie
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared, View
from fbkit.measure.registry import FAMILIES, REGISTRY

ALL: Final = "\0all"
_METRICS: Final = {
    "binary": ("recall", "precision", "f1", "specificity", "accuracy", "flag_rate", "base_rate", "brier", "roc_auc"),
    "regression": ("mae", "rmse", "bias", "wape"),
    "ranking": ("ctr", "ndcg@10", "mrr", "hit_rate@10"),
}
_NAMES: Final = frozenset(name.split("@")[0] for name in (*REGISTRY, *FAMILIES))
_AS_OF_TIP = "drag back: every number becomes what was known then"


def metric_choices(source: Source, started: str) -> list[tuple[str, str]]:
    """Metrics to choose from: the contract's own, then the usual ones of its task."""
    contract = source.contract
    named = [started, contract.metrics.primary, *contract.metrics.report, *_METRICS.get(contract.model.task, ())]
    if contract.value is not None:
        named.append("value_per_prediction")
    known = [name for name in dict.fromkeys(named) if name == started or name.split("@")[0] in _NAMES]
    return [(metric_name(name), name) for name in known]


def crumbs(view: View, *, as_of: datetime) -> list[tuple[str, str]]:
    """The filters of a view as (what clears it, what the reader sees), in reading order."""
    found: list[tuple[str, str]] = []
    if view.as_of != as_of:
        found.append(("as_of", f"as known at {instant_text(view.as_of)}"))
    if view.days is not None:
        found.append(("days", model.span_text(view.days)))
    if view.version is not None:
        found.append(("version", f"version {clean(view.version)}"))
    found += [(column, f"{clean(column)} = {clean(value)}") for column, value in view.filters]
    if view.threshold is not None:
        found.append(("threshold", f"if flagged at score ≥ {view.threshold:.3g}"))
    return found


class Filters(ipywidgets.VBox):
    """Controls of the shared state, and a breadcrumb: a click on a filter lets go of it."""

    def __init__(self, source: Source, shared: Shared) -> None:
        self.source, self.shared = source, shared
        self._crumbs = ipywidgets.HBox(layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))
        self._shown: list[tuple[str, str]] | None = None
        bar = ipywidgets.HBox(self._controls(), layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"))
        super().__init__(children=[bar, self._crumbs])
        self.add_class("fbkit-filters")
        shared.observe(self._follow, names="changed")
        self._follow(None)

    def _controls(self) -> list[Any]:
        shared, source = self.shared, self.source
        metrics = metric_choices(source, shared.metric)
        found = [
            tie(shared, "metric", dropdown("Metric", metrics, value=shared.metric, tip="what is measured")),
            tie(shared, "stage", dropdown("Labels", model.STAGES, value=shared.stage, tip=model.STAGE_TIP)),
        ]
        if source.slices:
            columns = model.choices(source.slices)
            start = shared.by if shared.by in source.slices else source.slices[0]
            shared.by = start
            found.append(tie(shared, "by", dropdown("by", columns, value=start, tip="the column to slice by")))
        if len(source.versions) > 1:
            found.append(self._versions())
        found.append(self._as_of())
        return found

    def _versions(self) -> Any:
        options = [("all", ALL), *model.choices(self.source.versions)]
        control = dropdown("Version", options, value=self.shared.version or ALL, tip="the model version")
        control.observe(self._version_chosen, names="value")
        self.shared.observe(lambda change: setattr(control, "value", change["new"] or ALL), names="version")
        return control

    def _version_chosen(self, change: dict[str, Any]) -> None:
        self.shared.version = None if change["new"] == ALL else change["new"]

    def _as_of(self) -> Any:
        moments = self.source.moments()
        if self.shared.as_of not in moments:
            moments = sorted([*moments, self.shared.as_of])
        control = ipywidgets.SelectionSlider(
            options=[(instant_text(moment).removesuffix(" UTC"), moment) for moment in moments],
            value=self.shared.as_of,
            description="as known at (UTC)",
            tooltip=_AS_OF_TIP,
            continuous_update=True,
            disabled=len(moments) == 1,
            layout=ipywidgets.Layout(width="430px"),
            style={"description_width": "initial"},
        )
        return tie(self.shared, "as_of", control)

    def _follow(self, _: object) -> None:
        found = crumbs(self.shared.view(), as_of=self.source.as_of)
        if found == self._shown:
            return
        self._shown = found
        chips = [self._chip(key, said) for key, said in found]
        if len(found) > 1:
            chips.append(self._button("clear all", "let go of every filter", lambda: self.clear(None)))
        self._crumbs.children = [ipywidgets.HTML("<b>Filters</b>&nbsp;"), *chips] if chips else []

    def _chip(self, key: str, said: str) -> ipywidgets.Button:
        return self._button(f"{said} ×", f"let go of: {said}", lambda: self.clear(key))

    def _button(self, said: str, tip: str, act: Any) -> ipywidgets.Button:
        button = ipywidgets.Button(description=said, tooltip=tip, layout=ipywidgets.Layout(width="auto"))
        button.on_click(lambda _: act())
        button.add_class("fbkit-crumb")
        return button

    def clear(self, key: str | None) -> None:
        """Let go of one filter, or of all of them and of the earlier time."""
        with self.shared.together():
            if key in (None, "as_of"):
                self.shared.as_of = self.source.as_of
            if key != "as_of":
                self.shared.clear(key)
