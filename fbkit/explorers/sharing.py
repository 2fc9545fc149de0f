"""Taking a view along: as code, as a picture with its table for a chat or a wiki, or as a file."""

import html
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import ipywidgets
import polars as pl

from fbkit.charts.text import clean
from fbkit.errors import FbkitError
from fbkit.explorers.copying import Copied, CopyButton

FORMATS: Final = ("png", "svg", "pdf", "html", "json")
_MOST: Final = 40


class Shareable(Protocol):
    """What can be taken along: an explorer."""

    @property
    def summary(self) -> Any: ...
    def code(self) -> str: ...
    def save(self, path: str | Path) -> Path: ...
    def chart(self) -> Any: ...
    def table(self) -> pl.DataFrame: ...


def copied(explorer: Shareable) -> Copied:
    """Picture and table of what an explorer shows: PNG for a chat, a Markdown table, and the same as HTML."""
    from fbkit.charts.export import markdown_table
    from fbkit.charts.render import to_png

    frame = _telling(explorer.table().head(_MOST))
    text = f"{clean(explorer.summary, limit=600)}\n\n{markdown_table(frame)}"
    return Copied(text=text, html=_html(explorer.summary, frame), png=to_png(explorer.chart()))


def _telling(frame: pl.DataFrame) -> pl.DataFrame:
    """Without ids, and without columns that say nothing, or the same in every line."""
    same = [name for name in frame.columns if frame.height > 1 and frame[name].n_unique() == 1]
    empty = [name for name in frame.columns if frame[name].null_count() == frame.height]
    kept = [name for name in frame.columns if name not in {"evaluation_id", *same, *empty}]
    return frame.select(kept or frame.columns)


def _html(summary: str, frame: pl.DataFrame) -> str:
    head = "".join(f"<th>{html.escape(clean(name))}</th>" for name in frame.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(clean(value))}</td>' for value in row)}</tr>" for row in frame.iter_rows()
    )
    return f"<p>{html.escape(clean(summary, limit=600))}</p><table><tr>{head}</tr>{rows}</table>"


class Sharing(ipywidgets.VBox):
    """A closed line "Copy or save"; what is in it is made when it is first opened. ``bar`` takes more buttons."""

    def __init__(self, explorer: Shareable) -> None:
        self._explorer = explorer
        self._open = ipywidgets.ToggleButton(
            description="Copy or save",
            icon="share-square-o",
            tooltip="the view as code, the picture and its table, or a file",
            layout=ipywidgets.Layout(width="auto"),
        )
        self._open.observe(self._opened, names="value")
        self._panel: ipywidgets.Widget | None = None
        self.bar = ipywidgets.HBox([self._open])
        super().__init__(children=[self.bar])
        self.add_class("fbkit-sharing")

    def _opened(self, change: dict[str, Any]) -> None:
        if self._panel is None:
            self._panel = self._make()
        self.children = (self.bar, self._panel) if change["new"] else (self.bar,)

    def _make(self) -> ipywidgets.Widget:
        code = CopyButton("Copy as code", self._code, tip="Python that computes what is shown, without the widget")
        share = CopyButton(
            "Copy picture and table",
            lambda: copied(self._explorer),
            tip="for Slack, Confluence or Google Docs: a PNG picture and a Markdown table",
        )
        self.format = ipywidgets.Dropdown(
            options=FORMATS, description="Save as", tooltip="the kind of file", layout=ipywidgets.Layout(width="150px")
        )
        self.name = ipywidgets.Text(
            value="chart", description="named", tooltip="without ending", layout=ipywidgets.Layout(width="220px")
        )
        button = ipywidgets.Button(description="Save", icon="download", tooltip="write the file beside the notebook")
        button.on_click(lambda _: self.save())
        self.said = ipywidgets.HTML()
        return ipywidgets.HBox(
            [code, share, self.format, self.name, button, self.said],
            layout=ipywidgets.Layout(flex_flow="row wrap", align_items="center"),
        )

    def _code(self) -> Copied:
        return Copied(text=self._explorer.code())

    def save(self) -> None:
        """Write the chart under the name and in the format that are set; the outcome is told beside the button."""
        told = tell(lambda: self._explorer.save(f"{self.name.value}.{self.format.value}"))
        self.said.value = f'<span role="status">{html.escape(told)}</span>'


def tell(write: Callable[[], Path]) -> str:
    """What came of writing a file, in one line; what was warned of stands beside it."""
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            written = write()
        warned = "".join(f" ({clean(item.message, limit=200)})" for item in heard[:1])
        return f"written: {clean(written, limit=200)}{warned}"
    except FbkitError as error:
        return clean(f"not written: {error.what}. {error.next_step or ''}", limit=300)
    except Exception as error:  # noqa: BLE001, nobody stands behind a button to read a traceback
        return clean(f"not written: {type(error).__name__}: {error}", limit=300)
