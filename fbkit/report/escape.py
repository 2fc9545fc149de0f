"""The way by which text of a user reaches a document (:mod:`fbkit.schema.escape`); there is no other."""

from fbkit.schema.escape import CELL, SENTENCE, clean, csv_cell, html, markdown, terminal

__all__ = ["CELL", "SENTENCE", "clean", "csv_cell", "html", "markdown", "terminal"]
