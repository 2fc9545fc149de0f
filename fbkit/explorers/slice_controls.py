"""Controls of the slices explorer: a threshold to try, choices that the page may add to, work for idle moments."""

import asyncio
from collections.abc import Callable
from typing import Any

import ipywidgets
import traitlets

from fbkit.explorers.base import slider
from fbkit.explorers.slice_data import SliceData


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
