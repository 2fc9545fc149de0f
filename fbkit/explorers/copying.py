"""Buttons that copy: the view as code, or picture and table for a chat, a wiki page or a document."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from fbkit.charts.text import clean
from fbkit.errors import FbkitError

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What goes on the clipboard: a plain text, and for targets that take more, HTML and a PNG picture."""

    text: str
    html: str = ""
    png: bytes = b""


class CopyButton(anywidget.AnyWidget):
    """Asks ``make`` when it is pressed, and puts the answer on the clipboard of the page.

    Without access to the clipboard (a page over plain http) the text is shown, selected, instead.
    """

    _esm = (_HERE / "copying.js").read_text(encoding="utf-8")
    label = traitlets.Unicode().tag(sync=True)
    tip = traitlets.Unicode().tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    answer = traitlets.Dict().tag(sync=True)

    def __init__(self, label: str, make: Callable[[], Copied], *, tip: str) -> None:
        self._make = make
        super().__init__(label=label, tip=tip)
        self.observe(self._asked, names="asked")

    def _asked(self, change: dict[str, Any]) -> None:
        try:
            made = self._make()
        except FbkitError as error:
            told = {"text": error.what, "trouble": clean(f"not copied: {error.what}", limit=300)}
        except Exception as error:  # noqa: BLE001, nobody stands behind a button to read a traceback
            told = {"text": str(error), "trouble": clean(f"not copied: {type(error).__name__}: {error}", limit=300)}
        else:
            told = {"text": made.text, "html": made.html, "png": base64.b64encode(made.png).decode("ascii")}
        self.answer = {"seq": change["new"], **told}
