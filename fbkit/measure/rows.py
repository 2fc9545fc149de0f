"""Read of a joined table just the columns that a question needs: see :mod:`fbkit.join.rows`."""

from fbkit.join.rows import lazy_rows, no_rows

__all__ = ["lazy_rows", "no_rows"]
