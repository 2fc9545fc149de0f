"""What all explorers share: controls above, one live chart, a sentence below, errors told in the widget."""

import html
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
import polars as pl
import traitlets

from fbkit.charts.text import clean
from fbkit.errors import FbkitError
from fbkit.explorers import runtime, static
from fbkit.explorers.sharing import Sharing
from fbkit.explorers.source import Source
from fbkit.explorers.state import Shared, View
from fbkit.explorers.view import LiveChart
from fbkit.explorers.work import Work
from fbkit.schema.mask import export_result
from fbkit.schema.period import Comparison, format_instant


def begin(
    thing: Any,
    comparison: Comparison | None,
    shared: Shared | None,
    *,
    metric: str | None = None,
    by: str | None = None,
) -> tuple[Source, Shared]:
    """The source of a thing to explore, and the state to look at it with: the page's, or one of its own."""
    source = Source.of(thing)
    return source, shared or Shared.of(source.view(comparison, metric=metric, by=by))


class Explorer(ipywidgets.VBox):
    """A question with controls. Subclasses say what to compute (``answer``) and what to draw (``chart``, ``rows``).

    The state is in public traits of the subclass, and in ``shared`` what all explorers of a page have in common;
    setting one from Python does what moving the control does. ``result`` is the result frame that is being shown,
    ``summary`` the sentence that goes with it. While ``active`` is False (a closed tab) moves are answered later.
    """

    FOLLOWS: ClassVar[tuple[str, ...]] = Shared.NAMES
    summary = traitlets.Unicode("", help="what the picture says, in one sentence")
    trouble = traitlets.Unicode("", help="why the last move could not be answered, else empty")
    active = traitlets.Bool(default_value=True, help="whether somebody looks")
    result: Any = None
    source: Source
    shared: Shared

    def __init__(self, source: Source | None = None, *, shared: Shared | None = None, **state: Any) -> None:
        runtime.prepare()
        super().__init__(**state)
        if source is not None:
            self.source = source
            self.shared = shared or Shared.of(source.view())
            self.shared.observe(self._shared_moved, names="changed")
        self.view = LiveChart()
        self.work = Work()
        self._quiet = False
        self._stale = False
        self._answers: dict[str, list[Callable[..., None]]] = {"pick": [], "days": [], "threshold": []}
        self._note = ipywidgets.HTML()
        self._line = ipywidgets.HTML()
        self.view.observe(self._picked, names="picked")
        self.observe(self._woken, names="active")
        self.add_class("fbkit-explorer")

    def assemble(self, *bars: list[ipywidgets.Widget], watched: list[str]) -> None:
        """Put the rows of controls above the chart, follow the watched traits, and answer for the first time."""
        boxes = [ipywidgets.HBox(bar, layout=_wrapping()) for bar in bars if bar]
        self.controls = ipywidgets.VBox(boxes)
        self.controls.add_class("fbkit-controls")
        self.sharing = Sharing(self)
        self.children = (self.controls, self._line, self.work, self.view, self._note, self.sharing)
        self.observe(self._follow, names=watched)
        self.refresh()

    def _follow(self, _: object) -> None:
        if not self._quiet:
            self.refresh()

    def _shared_moved(self, _: object) -> None:
        if not self._quiet and self.shared.last.intersection(self.FOLLOWS):
            self.refresh()

    def _woken(self, _: object) -> None:
        if self.active and self._stale:
            self.refresh()

    # What comes back from the picture ---------------------------------------------------------------------------
    def picked(self, answer: Callable[[int], None]) -> None:
        """Call ``answer`` with the field ``pick`` of the row whose mark was clicked."""
        self._answers["pick"].append(answer)

    def brushed(self, answer: Callable[[datetime | None, datetime | None], None]) -> None:
        """Call ``answer`` with start and end of the brush ``fbkit_days``, or with None twice when it was cleared."""
        self._answers["days"].append(answer)

    def dragged(self, answer: Callable[[float], None]) -> None:
        """Call ``answer`` with the position of the handle ``fbkit_threshold``."""
        self._answers["threshold"].append(answer)

    def _picked(self, change: dict[str, Any]) -> None:
        kind, value = change["new"].get("kind"), change["new"].get("value")
        try:
            given = _what_came_back(kind, value)
        except (TypeError, ValueError, OverflowError):
            return  # a page can send anything; what is no click is none
        for answer in self._answers.get(kind, []):
            try:
                answer(*given)
            except FbkitError as error:
                self._tell(f"{error.what}. {error.next_step or ''}".strip())

    @contextmanager
    def quietly(self) -> Generator[None]:
        """Change the state without an answer for each step; the step after it answers for all."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    # What a subclass provides -----------------------------------------------------------------------------------
    def answer(self) -> Any:
        """Compute the result frame of the present state."""
        raise NotImplementedError

    def drawing(self) -> object:
        """What the drawing (not the rows) depends on; a move that leaves it equal only exchanges rows."""
        raise NotImplementedError

    def chart(self) -> Any:
        """The chart of ``result``; also what is exported and kept as the static picture."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the chart of ``result``."""
        raise NotImplementedError

    def texts(self) -> dict[str, str]:
        """``headline``, ``smallprint`` and ``summary`` of ``result``."""
        raise NotImplementedError

    def signals(self) -> dict[str, Any]:
        """Signals of the drawing to set with the rows: the position of a handle, for example."""
        return {}

    def cleared(self) -> list[str]:
        """Selections of the drawing to let go of."""
        return []

    def calls(self) -> list[str]:
        """Python lines that compute ``result`` from ``joined``, without a widget."""
        raise NotImplementedError

    # What they get ----------------------------------------------------------------------------------------------
    def refresh(self) -> None:
        """Answer for the present state; a failure is one sentence in the widget and the last picture stays."""
        self._stale = not self.active
        if self._stale:
            return
        try:
            self._show()
        except FbkitError as error:
            self._tell(f"{error.what}. {error.next_step or ''}".strip())
        except Exception as error:  # noqa: BLE001, nobody stands behind a widget's callback to read a traceback
            self._tell(f"this view could not be computed ({type(error).__name__}: {error})")
        else:
            self._tell("")

    def code(self) -> str:
        """Python that reproduces what is shown without the widget: the table as known then, and the calls."""
        return "\n".join(["import fbkit as fb", "", *opening(self.shared.view(), self.source), *self.calls(), ""])

    def table(self) -> pl.DataFrame:
        """The result frame that is shown as it may leave the machine: numbers of thin slices are masked."""
        source = getattr(self, "source", None)
        if source is None or not isinstance(self.result, pl.DataFrame):
            return self.result
        columns = [*source.contract.slices.columns, *source.slices, "slice"]
        return export_result(self.result, slices=columns, minimum=source.contract.slices.minimum)

    def save(self, path: str | Path) -> Path:
        """Write the chart as PNG, SVG, PDF, HTML or Vega-Lite JSON, by the ending of the name."""
        from fbkit.charts.export import export_chart, footnote_text

        source = getattr(self, "source", None)
        aside = "" if source is None or source.dropped is None else footnote_text(dropped=source.dropped)
        return export_chart(self.chart(), path, footnote=f"rows of the logs: {aside}" if aside else "")

    def _show(self) -> None:
        self.result = self.answer()
        texts = {name: clean(text, limit=300) for name, text in self.texts().items()}
        told: dict[str, Any] = {"signals": self.signals(), "cleared": self.cleared()}
        self.view.show(self.drawing(), chart=self.chart, rows=self.rows(), texts=texts, **told)
        self.summary = texts["summary"]
        self._line.value = _paragraph(self.summary)

    def _tell(self, text: str) -> None:
        self.trouble = clean(text, limit=400) if text else ""
        said = html.escape(self.trouble)
        self._note.value = f'<div class="fbkit-trouble" role="alert">{said}</div>' if said else ""

    def _ipython_display_(self) -> None:
        static.show_with_twin(self, chart=self.chart, summary=self.summary)


def opening(view: View, source: Source) -> list[str]:
    """Python lines that make ``joined`` (or ``ledger``) for a view; the loop's folder is the reader's to fill in."""
    if source.joined is None:
        return ['ledger = fb.Ledger.open("FOLDER")  # the folder of the saved ledger']
    only = "" if not view.focus and view.version is None else f".only({_filters(view)})"
    at = format_instant(view.as_of)
    return [f'joined = fb.open_loop("FOLDER").join(as_of="{at}"){only}  # the folder of {clean(source.name)!a}']


def _filters(view: View) -> str:
    given = [f"{dict(view.filters)!a}"] if view.focus else []
    return ", ".join([*given, *([] if view.version is None else [f"version={view.version!a}"])])


def _what_came_back(kind: Any, value: Any) -> tuple[Any, ...]:
    """Checked arguments of a message from the page."""
    if kind == "pick":
        return (int(value),)
    if kind == "threshold":
        return (float(value),)
    if kind != "days" or value is None:
        return (None, None)
    start, end = sorted(float(moment) for moment in value)
    return tuple(datetime.fromtimestamp(moment / 1000, tz=UTC) for moment in (start, end))


def _paragraph(text: str) -> str:
    return f'<p style="margin:4px 0 8px;line-height:1.45;max-width:900px">{html.escape(text)}</p>'


def _wrapping() -> ipywidgets.Layout:
    return ipywidgets.Layout(flex_flow="row wrap", align_items="center", margin="2px 0")


def dropdown(label: str, options: list[Any], *, value: Any, tip: str, width: str = "250px") -> ipywidgets.Dropdown:
    """A labelled choice."""
    return ipywidgets.Dropdown(
        options=options,
        value=value,
        description=label,
        tooltip=tip,
        layout=ipywidgets.Layout(width=width, margin="2px 14px 2px 2px"),
        style={"description_width": "initial"},
    )


def slider(
    label: str, *, value: float, limits: tuple[float, float], step: float, tip: str, form: str = ".2f"
) -> ipywidgets.FloatSlider:
    """A labelled slider that follows while it is dragged."""
    return ipywidgets.FloatSlider(
        value=value,
        min=limits[0],
        max=limits[1],
        step=step,
        description=label,
        tooltip=tip,
        readout_format=form,
        layout=ipywidgets.Layout(width="390px"),
        style={"description_width": "initial"},
    )


def toggle(label: str, *, value: bool, tip: str) -> ipywidgets.Checkbox:
    """A labelled yes or no."""
    return ipywidgets.Checkbox(
        value=value,
        description=label,
        tooltip=tip,
        indent=False,
        layout=ipywidgets.Layout(width="auto", margin="2px 12px"),
    )


def number(label: str, *, value: int, tip: str) -> ipywidgets.BoundedIntText:
    """A labelled whole number."""
    return ipywidgets.BoundedIntText(
        value=value,
        min=0,
        max=10**9,
        description=label,
        tooltip=tip,
        layout=ipywidgets.Layout(width="210px"),
        style={"description_width": "initial"},
    )


def tie(owner: traitlets.HasTraits, name: str, control: Any) -> Any:
    """Bind a public trait to a control, both ways; returns the control."""
    traitlets.link((owner, name), (control, "value"))
    return control
