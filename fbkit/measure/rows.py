"""Read of a joined table just the columns that a question needs: a long one lies on disk."""

import polars as pl

from fbkit.schema.protocols import JoinedLike


def lazy_rows(joined: JoinedLike) -> pl.LazyFrame:
    """The joined rows as a lazy frame, wherever they are."""
    table = getattr(joined, "rows", None)
    return joined.frame.lazy() if table is None else table.lazy()


def no_rows(joined: JoinedLike) -> pl.DataFrame:
    """The joined table's columns without a row."""
    return lazy_rows(joined).collect_schema().to_frame()
