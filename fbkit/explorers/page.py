"""All explorers on one page: what one of them picks, the others follow."""

import asyncio
import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts.text import clean
from fbkit.errors import FbkitError
from fbkit.explorers import static
from fbkit.explorers.availability import AvailabilityExplorer
from fbkit.explorers.base import Explorer, opening
from fbkit.explorers.calibration import CalibrationExplorer
from fbkit.explorers.copying import Copied, CopyButton
from fbkit.explorers.drift import DriftExplorer
from fbkit.explorers.filters import Filters, crumbs
from fbkit.explorers.predictions import PredictionsExplorer
from fbkit.explorers.sharing import tell
from fbkit.explorers.slices import SlicesExplorer
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared, View
from fbkit.explorers.strip import LoopStrip
from fbkit.explorers.thresholds import ThresholdsExplorer
from fbkit.explorers.timeline import TimelineExplorer
from fbkit.explorers.work import Work

Make = Callable[[], ipywidgets.Widget]
SEEN: Final = ("timeline", "slices", "availability", "calibration")
LATER: Final = ("drift", "thresholds", "predictions", "triage")
_TITLES: Final = {
    "timeline": "Over time",
    "slices": "By slice",
    "availability": "Labels",
    "calibration": "Calibration",
    "drift": "Drift of scores and features",
    "thresholds": "Thresholds",
    "predictions": "Predictions: the rows behind a number",
    "triage": "Triage: why did it move?",
}


class Page(ipywidgets.VBox):
    """The linked page: the loop on one line, shared filters, four pictures, and further explorers to open.

    ``shared`` is what all of them look at, ``explorers`` holds those that were made, by name. Explorers that are
    opened later (drift, thresholds, predictions, triage) are made when they are opened.

    Parameters
    ----------
    source, view
        Where numbers come from, and what to look at first.
    strip
        Makes the frame of the loop on one line; it runs beside the pictures. None: ``said`` tells why there is none.
    further
        What makes the explorers that are opened later, by name.
    snapshot
        Writes the page into one file; None leaves the button out.
    notes
        What must be said of the data, a sentence each.
    """

    opened = traitlets.Unicode("", help="the later explorer that is open")

    def __init__(
        self,
        source: Source,
        view: View,
        *,
        strip: Callable[[], pl.DataFrame] | None = None,
        said: str = "",
        further: dict[str, Callable[[Source, Shared], ipywidgets.Widget]] | None = None,
        snapshot: Callable[["Page", Path], Path] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.notes = tuple(notes)
        self.source = source
        self.shared = Shared.of(view)
        self.explorers: dict[str, Any] = {}
        self._further = dict(_OWN) | (further or {})
        self._snapshot = snapshot
        self.work = Work()
        self.strip = LoopStrip(saying="checking the loop …" if strip else said)
        self.filters = Filters(source, self.shared)
        self._grid = ipywidgets.GridBox()
        self._grid.add_class("fbkit-grid")
        self._more = self._accordion()
        self.children = (self._head(), self.strip, self.filters, self._grid, self._more, self._foot())
        self.add_class("fbkit-page")
        self._fill(strip)

    # The parts --------------------------------------------------------------------------------------------------
    def _head(self) -> ipywidgets.Widget:
        name = html.escape(clean(self.source.name, limit=80))
        said = "".join(f"<li>{html.escape(clean(note, limit=300))}</li>" for note in self.notes)
        notes = f"<ul>{said}</ul>" if said else ""
        return ipywidgets.HTML(f'<div role="heading" aria-level="2" class="fbkit-title">{name}</div>{notes}')

    def _fill(self, strip: Callable[[], pl.DataFrame] | None) -> None:
        """The first picture at once; the others when the kernel has a moment, so that nobody waits for four."""
        makers: dict[str, Callable[[], Any]] = {
            "timeline": lambda: TimelineExplorer(self.source, shared=self.shared),
            "slices": lambda: SlicesExplorer(self.source, shared=self.shared),
            "availability": lambda: AvailabilityExplorer(self.source, shared=self.shared),
            "calibration": lambda: CalibrationExplorer(self.source, shared=self.shared),
        }
        steps: list[Callable[[], None]] = [lambda n=name, m=make: self._add(n, m) for name, make in makers.items()]
        if strip is not None:
            steps.append(lambda: self.work.run(lambda _: strip(), self._checked, saying="checking the loop"))
        steps[0]()
        _one_by_one(steps[1:])

    def _add(self, name: str, make: Make) -> None:
        self._grid.children = (*self._grid.children, self._panel(name, make))

    def _panel(self, name: str, make: Make) -> ipywidgets.Widget:
        """An explorer under its name, its own controls closed; one that cannot be made says why."""
        try:
            made: Any = make()
        except FbkitError as error:
            return _sentence(name, f"{error.what}. {error.next_step or ''}")
        except Exception as error:  # noqa: BLE001, one picture that cannot be made must not keep the others away
            return _sentence(name, f"could not be made ({type(error).__name__}: {error})")
        self.explorers[name] = made
        if name in SEEN:
            _fold(made, name)
        return made

    def _checked(self, frame: pl.DataFrame) -> None:
        self.strip.tell(frame)

    def _accordion(self) -> ipywidgets.Accordion:
        names = [name for name in LATER if name in self._further]
        places = [ipywidgets.VBox() for _ in names]
        made = ipywidgets.Accordion(children=places, titles=[_TITLES[name] for name in names], selected_index=None)
        made.observe(lambda change: self._turned(names, places, change["new"]), names="selected_index")
        return made

    def unfold(self, name: str) -> None:
        """Open one of the later explorers by name; an empty name closes them."""
        names = [known for known in LATER if known in self._further]
        self._more.selected_index = names.index(name) if name in names else None

    def _turned(self, names: list[str], places: list[ipywidgets.VBox], index: int | None) -> None:
        self.opened = "" if index is None else names[index]
        if index is not None and not places[index].children:
            make = self._further[self.opened]
            places[index].children = (self._panel(self.opened, lambda: make(self.source, self.shared)),)
        for name in names:
            explorer = self.explorers.get(name)
            if isinstance(explorer, Explorer):
                explorer.active = name == self.opened

    def _foot(self) -> ipywidgets.Widget:
        parts: list[Any] = [
            CopyButton("Copy page as code", lambda: Copied(text=self.code()), tip="Python that computes what is shown")
        ]
        if self._snapshot is not None:
            name = ipywidgets.Text(
                value="page.fbkit", description="Snapshot", tooltip="one file that opens this page again, without rows"
            )
            said = ipywidgets.HTML()
            button = ipywidgets.Button(description="Save snapshot", icon="save", tooltip="write the file")
            button.on_click(lambda _: setattr(said, "value", _status(tell(lambda: self.snapshot(name.value)))))
            parts += [name, button, said]
        return ipywidgets.HBox([*parts, self.work], layout=ipywidgets.Layout(flex_flow="row wrap"))

    # What it gives ----------------------------------------------------------------------------------------------
    def code(self) -> str:
        """Python that computes what the open explorers show, and that opens the page again."""
        view = self.shared.view()
        calls = [call for explorer in self.explorers.values() if _coded(explorer) for call in explorer.calls()]
        again = f"fb.explore({'joined' if self.source.joined is not None else 'ledger'}, view=view)"
        return "\n".join(
            ["import fbkit as fb", "", *opening(view, self.source), *calls, "", f"view = {view.code()}", again, ""]
        )

    def snapshot(self, path: str | Path) -> Path:
        """Write one file that opens this page again, offline and without rows.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        if self._snapshot is None:
            raise TypeError("this page was opened from a snapshot")
        return self._snapshot(self, Path(path))

    @property
    def summary(self) -> str:
        """What the pictures say, a sentence each."""
        told = [said for said in (getattr(explorer, "summary", "") for explorer in self.explorers.values()) if said]
        filters = ", ".join(said for _, said in crumbs(self.shared.view(), as_of=self.source.as_of))
        return " ".join([*([f"Filters: {filters}."] if filters else []), *told])

    def _ipython_display_(self) -> None:
        first = self.explorers.get("timeline")
        static.show_with_twin(self, chart=None if first is None else first.chart, summary=self.summary)


def _fold(explorer: Explorer, name: str) -> None:
    """Put an explorer's own controls behind a button: on a page the shared ones come first."""
    controls = explorer.controls
    controls.layout.display = "none"
    toggle = ipywidgets.ToggleButton(
        description="Controls",
        icon="sliders",
        tooltip=f"controls of this picture: {_TITLES[name]}",
        layout=ipywidgets.Layout(width="auto"),
    )
    toggle.observe(lambda change: setattr(controls.layout, "display", "" if change["new"] else "none"), names="value")
    explorer.sharing.bar.children = (toggle, *explorer.sharing.bar.children)


def _coded(explorer: Any) -> bool:
    return type(explorer).calls is not Explorer.calls if isinstance(explorer, Explorer) else False


_OWN: Final[Mapping[str, Callable[[Source, Shared], ipywidgets.Widget]]] = {
    "drift": lambda source, shared: DriftExplorer(source, shared=shared),
    "thresholds": lambda source, shared: ThresholdsExplorer(source, shared=shared),
    "predictions": lambda source, shared: PredictionsExplorer(source, shared=shared),
}


def _sentence(name: str, text: str) -> ipywidgets.Widget:
    said = html.escape(clean(f"{_TITLES[name]}: {text}", limit=400))
    return ipywidgets.HTML(f'<p class="fbkit-trouble" role="status">{said}</p>')


def _status(text: str) -> str:
    return f'<span role="status">{html.escape(text)}</span>'


def _one_by_one(steps: list[Callable[[], None]]) -> None:
    """Take the steps in turn, the kernel free between them; at once where no loop runs (scripts, tests)."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        for step in steps:
            step()
        return

    def following() -> None:
        steps.pop(0)()
        if steps:
            loop.call_later(0.005, following)

    if steps:
        loop.call_later(0.005, following)
