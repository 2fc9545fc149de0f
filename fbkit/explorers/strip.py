"""The loop on one line as buttons: green, amber, red; each opens what says so."""

import html
from typing import Any, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts.text import clean

STEPS: Final = ("Log", "Label", "Join", "Measure", "Act")
# The word stands beside the colour, for readers who do not tell these colours apart.
_SAID: Final = {"green": "in order", "amber": "look", "red": "broken", "": "not checked yet"}
_MARKS: Final = {"passed": "✓", "failed": "✗", "not applicable": "–"}


class LoopStrip(ipywidgets.VBox):
    """Log > Label > Join > Measure > Act; a click on a step shows its checks, a second one hides them.

    ``frame`` has a line per check: step, state, question, status, evidence, fix.
    """

    step = traitlets.Unicode("", help="the step whose checks are shown; empty: none")

    def __init__(self, frame: pl.DataFrame | None = None, *, saying: str = "") -> None:
        self.frame: pl.DataFrame | None = None
        self._buttons: dict[str, ipywidgets.Button] = {}
        parts: list[ipywidgets.Widget] = []
        for name in STEPS:
            button = ipywidgets.Button(description=name, layout=ipywidgets.Layout(width="auto"))
            button.on_click(lambda _, wanted=name: self.toggle(wanted))
            self._buttons[name] = button
            parts += [*([ipywidgets.Label("›")] if parts else []), button]
        self._evidence = ipywidgets.HTML()
        self._saying = ipywidgets.HTML()
        bar = ipywidgets.HBox([*parts, self._saying], layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__(children=[bar, self._evidence])
        self.add_class("fbkit-strip")
        self.observe(self._shown, names="step")
        self.tell(frame, saying=saying)

    def tell(self, frame: pl.DataFrame | None, *, saying: str = "") -> None:
        """Show these checks; None: none are there (yet), and ``saying`` tells why."""
        self.frame = frame
        states: dict[str, str] = {} if frame is None else dict(frame.select("step", "state").iter_rows())
        for name, button in self._buttons.items():
            state = states.get(name, "")
            for known in _SAID:
                button.remove_class(f"fbkit-{known or 'idle'}")
            button.add_class(f"fbkit-{state or 'idle'}")
            button.description = f"{name}: {_SAID[state]}" if state else name
            button.tooltip = f"{name}: {_SAID[state]}; a click shows the checks"
            button.disabled = name not in states
        self._saying.value = f'<span role="status">{html.escape(clean(saying, limit=200))}</span>' if saying else ""
        self._shown(None)

    def toggle(self, step: str) -> None:
        """Show the checks of a step, or hide them if they are shown."""
        self.step = "" if self.step == step else step

    def _shown(self, _: object) -> None:
        if self.frame is None or not self.step:
            self._evidence.value = ""
            return
        lines = self.frame.filter(pl.col("step") == self.step).to_dicts()
        self._evidence.value = f'<table class="fbkit-table">{"".join(map(_line, lines))}</table>'


def _line(row: dict[str, Any]) -> str:
    status = str(row["status"])
    fix = f"<br><em>{html.escape(clean(row['fix'], limit=400))}</em>" if row["fix"] and status == "failed" else ""
    cells = [
        f"{_MARKS.get(status, '')} {html.escape(clean(status))}",
        html.escape(clean(row["question"], limit=200)),
        f"{html.escape(clean(row['evidence'], limit=600))}{fix}",
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
