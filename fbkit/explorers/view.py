"""The live chart: a drawing that is specified once, and rows that are exchanged in place."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from altair.utils.schemapi import debug_mode

from fbkit.charts.render import to_spec
from fbkit.charts.text import lines
from fbkit.charts.theme import DATA_NAME, Row, dark_spec, plain
from fbkit.explorers.runtime import SLOT, shared_runtime

LIVE_AXIS = "@axis"
_HERE = Path(__file__).parent


class LiveChart(anywidget.AnyWidget):
    """Shows one chart on a canvas.

    Attributes
    ----------
    drawing
        ``{"key", "json", "dark"}``: the specification without rows, for light and for dark pages; the view draws anew
        only when the key changes, or the page's theme does.
    frame
        ``{"seq", "rows", "texts"}``: what is shown. ``seq`` counts up, so that a test (and a reader of
        the page) can tell which answer was painted; ``signals`` sets what a person sets in the picture, and
        ``cleared`` names selections to let go of.
    picked
        ``{"seq", "kind", "value"}``, from the page: a click on a mark whose row has a field ``pick`` (kind "pick"), a
        brush of days ("days", two times in milliseconds or null), a dragged threshold ("threshold").
    """

    _esm = (_HERE / "view.js").read_text(encoding="utf-8").replace("@SLOT@", SLOT)
    _css = (_HERE / "view.css").read_text(encoding="utf-8")
    drawing = traitlets.Dict().tag(sync=True)
    frame = traitlets.Dict().tag(sync=True)
    picked = traitlets.Dict().tag(sync=True)

    def __init__(self, **kwargs: Any) -> None:
        self._runtime = shared_runtime()
        self._seq = 0
        self._drawings: dict[object, dict[str, str]] = {}
        super().__init__(**kwargs)

    def show(
        self,
        key: object,
        *,
        chart: Callable[[], Any],
        rows: Sequence[Row],
        texts: Mapping[str, str],
        signals: Mapping[str, Any] | None = None,
        cleared: Sequence[str] = (),
    ) -> None:
        """Show rows in the drawing of this key; ``chart`` is asked only for a key that was never shown."""
        if key not in self._drawings:
            # What the schema says of our own charts is for tests to ask: each picture would wait for it.
            with debug_mode(arg=False):
                self._drawings[key] = _drawing(chart(), texts.get("axis"))
        drawing = self._drawings[key]
        with self.hold_sync():
            if drawing != self.drawing:
                self.drawing = drawing
            self._send_rows(plain(rows), texts, {"signals": dict(signals or {}), "cleared": list(cleared)})

    def _send_rows(self, rows: list[Row], texts: Mapping[str, str], more: Mapping[str, Any]) -> None:
        self._seq += 1
        self.frame = {
            "seq": self._seq,
            "rows": rows,
            **more,
            "texts": {**texts, "smallprint": "\n".join(lines(texts.get("smallprint", " ")))},
        }


def _drawing(chart: Any, axis: str | None) -> dict[str, str]:
    """A chart's specification without rows and title texts, which travel with every move."""
    spec = to_spec(chart, validate=False)
    spec["data"] = {"name": DATA_NAME}
    spec["title"] = {**spec["title"], "text": "@headline", "subtitle": "@smallprint"}
    spec.pop("description", None)
    if axis:
        spec = _with_live_axis(spec, axis)
    text = _text(spec)
    return {"key": hashlib.sha256(text.encode()).hexdigest()[:16], "json": text, "dark": _text(dark_spec(spec))}


def _text(spec: Any) -> str:
    return json.dumps(spec, ensure_ascii=False, allow_nan=False, sort_keys=True)


def _with_live_axis(node: Any, title: str) -> Any:
    """Put a mark where an axis has this title; the view fills it with the text that travels with the rows."""
    if isinstance(node, dict):
        return {
            key: LIVE_AXIS if key == "title" and value == title else _with_live_axis(value, title)
            for key, value in node.items()
        }
    return [_with_live_axis(value, title) for value in node] if isinstance(node, list) else node
