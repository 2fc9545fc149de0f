"""Controls of the slices explorer: a threshold to try, choices that the page may add to, work for idle moments."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import ipywidgets
import traitlets

from fbkit.explorers.base import slider
from fbkit.explorers.slice_data import SliceData
from fbkit.explorers.state import Shared

NOTHING: Final = "\0nothing"
_NOBODY: Final = "no slice"


def when_idle(act: Callable[[], None], *, after: float) -> None:
    """Do something some seconds later, when the kernel has a moment; nothing where no loop runs (scripts, tests)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    loop.call_later(after, act)


def threshold_control(data: SliceData, *, value: float, tip: str) -> Any:
    """A slider over the scores; along the edges of a ledger, where there is nothing between them."""
    if not data.places:
        form = ".3f" if data.step < 0.1 else ".4g"
        return slider("score ≥", value=value, limits=data.limits, step=data.step, tip=tip, form=form)
    return ipywidgets.SelectionSlider(
        options=[(f"{place:.4g}", place) for place in data.places],
        value=value,
        description="score ≥",
        tooltip=tip,
        layout=ipywidgets.Layout(width="390px"),
        style={"description_width": "initial"},
    )


def choose(owner: traitlets.HasTraits, name: str, control: ipywidgets.Dropdown, *, said: Callable[[Any], str]) -> None:
    """Bind a trait to a dropdown, both ways; what another explorer of the page chose becomes a choice here too."""
    offering = False

    def came(change: dict[str, Any]) -> None:
        nonlocal offering
        wanted = change["new"]
        if wanted not in [value for _, value in control.options]:
            offering = True
            control.options = [*control.options, (said(wanted), wanted)]
            offering = False
        control.value = wanted

    def chosen(change: dict[str, Any]) -> None:
        if not offering:
            setattr(owner, name, change["new"])

    owner.observe(came, names=name)
    control.observe(chosen, names="value")


class FocusControl(ipywidgets.Dropdown):
    """The slice in focus as a list to choose from: what a click in the picture does, by keyboard."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._column, self._held = shared, None, ()
        super().__init__(
            options=[(_NOBODY, NOTHING)],
            description="Focus",
            tooltip="mark a slice, and look only at it in the other pictures; as a click in the picture does",
            layout=ipywidgets.Layout(width="192px", margin="2px 14px 2px 2px"),
            style={"description_width": "initial"},
        )
        self.observe(self._chosen, names="value")

    def offer(self, column: str | None, slices: Sequence[str | None], labels: Mapping[Any, str]) -> None:
        """Show the slices of a column, and which of them is in focus."""
        wanted = self._shared.focus.get(column, NOTHING) if column is not None else NOTHING
        held = (column, tuple(slices))
        if held != self._held:
            # Until the new slices stand, nobody has chosen one.
            self._column, self._held = None, held
            self.options = [(_NOBODY, NOTHING), *((labels[value], value) for value in slices)]
        self._column = None
        self.value = wanted if wanted == NOTHING or wanted in slices else NOTHING
        self._column = column

    def _chosen(self, change: dict[str, Any]) -> None:
        if self._column is None:
            return
        others = {name: value for name, value in self._shared.focus.items() if name != self._column}
        self._shared.focus = others if change["new"] == NOTHING else {**others, self._column: change["new"]}
