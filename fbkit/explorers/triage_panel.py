"""Triage beside the other explorers: run for the periods that are looked at, then its card."""

from collections.abc import Callable
from typing import Any

import ipywidgets

from fbkit.charts.text import metric_name
from fbkit.explorers import model
from fbkit.explorers.state import Shared, View
from fbkit.explorers.triage import TriageCard
from fbkit.explorers.work import Step, Work
from fbkit.schema.diagnosis import Diagnosis

Diagnose = Callable[[View], Diagnosis]


class TriagePanel(ipywidgets.VBox):
    """Diagnoses what is looked at when it is opened; a later move offers to do so again, and never does by itself."""

    def __init__(self, diagnose: Diagnose, shared: Shared) -> None:
        self.shared = shared
        self._diagnose = diagnose
        self.card: TriageCard | None = None
        self.work = Work()
        self._again = ipywidgets.Button(
            description="Diagnose again",
            icon="refresh",
            tooltip="for the metric, periods and filters that are set now",
            layout=ipywidgets.Layout(width="auto"),
        )
        self._again.on_click(lambda _: self.start())
        self._again.layout.display = "none"
        self._asked: View | None = None
        super().__init__(children=[self._again, self.work])
        shared.observe(self._moved, names="changed")
        self.start()

    def start(self) -> None:
        """Run the diagnosis for the present view, beside everything else."""
        view = self.shared.view()
        self._asked = view
        spans = f"{model.span_text(view.reference)} against {model.span_text(view.now)}"
        self.work.run(lambda step: self._run(step, view), self._shown, saying=f"{metric_name(view.metric)}, {spans}")

    def _run(self, step: Step, view: View) -> Diagnosis:
        step(0.1, f"diagnosing {metric_name(view.metric)}")
        return self._diagnose(view)

    def _shown(self, diagnosis: Any) -> None:
        self.card = TriageCard(diagnosis, export=getattr(diagnosis, "incident", None))
        self.children = (self._again, self.work, self.card)
        self._moved(None)

    def _moved(self, _: object) -> None:
        stale = self._asked is not None and self.card is not None and self._asked != self.shared.view()
        self._again.layout.display = "" if stale or self.work.trouble else "none"
