"""A table of rows that travels as messages only: no widget state, and so no saved notebook, ever holds a row."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget

_HERE = Path(__file__).parent
_LONGEST = 200


class RowsView(anywidget.AnyWidget):
    """Shows rows with a box to search for an id, and the receipt of the row that was chosen.

    ``choose(place)`` and ``search(text)`` are called when a person does so; ``show`` and ``show_receipt`` send what is
    shown. A page that is opened later asks for it again. Nothing here is a synchronised trait.
    """

    _esm = (_HERE / "rows_view.js").read_text(encoding="utf-8")
    _css = (_HERE / "rows_view.css").read_text(encoding="utf-8")

    def __init__(self, *, choose: Callable[[int], None], search: Callable[[str], None]) -> None:
        self._choose, self._search = choose, search
        self.content: dict[str, Any] = {}
        self.shown_receipt: dict[str, Any] = {}
        super().__init__()
        self.on_msg(self._heard)

    def show(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, searchable: bool = True
    ) -> None:
        """Show a table of texts; the receipt of another table's row goes."""
        self.content = {
            "kind": "rows",
            "columns": list(columns),
            "rows": [list(row) for row in rows],
            "caption": caption,
            "searchable": searchable,
        }
        self.shown_receipt = {}
        self.send(self.content)

    def show_receipt(self, place: int, html: str) -> None:
        """Show the receipt of the row at a place; ``html`` is escaped already."""
        self.shown_receipt = {"kind": "receipt", "place": place, "html": html}
        self.send(self.shown_receipt)

    def _heard(self, _: object, content: Any, __: object = None) -> None:
        """A message from the page; a page can send anything, and what is nothing we know is nothing."""
        if not isinstance(content, dict):
            return
        kind, place, text = content.get("kind"), content.get("place"), content.get("text")
        if kind == "ready":
            for message in (self.content, self.shown_receipt):
                if message:
                    self.send(message)
        if kind == "choose" and isinstance(place, int) and not isinstance(place, bool):
            self._choose(place)
        if kind == "search" and isinstance(text, str):
            self._search(text[:_LONGEST])
