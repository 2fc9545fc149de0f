"""Read of a joined table just the columns that a question needs: a long one lies on disk."""

import polars as pl

from fbkit.join.watermark import row_watermark
from fbkit.schema.label import LabelWindow
from fbkit.schema.period import parse_instant
from fbkit.schema.protocols import JoinedLike


def lazy_rows(joined: JoinedLike) -> pl.LazyFrame:
    """The joined rows as a lazy frame, wherever they are."""
    table = getattr(joined, "rows", None)
    return joined.frame.lazy() if table is None else table.lazy()


def no_rows(joined: JoinedLike) -> pl.DataFrame:
    """The joined table's columns without a row."""
    return lazy_rows(joined).collect_schema().to_frame()


def settled(joined: JoinedLike) -> pl.Expr:
    """Whether a row is final: its window is closed and, where silence means negative, the feed is complete past it."""
    mature = pl.col("mature")
    if joined.contract.label.silence != "negative":
        return mature
    feed = getattr(joined, "feed", None)
    through = getattr(joined, "data_through", {}).get("feed_complete")
    if feed is None or through is None:
        return mature
    return mature & (closes(joined) <= row_watermark(feed, base=parse_instant(through)))


def closes(joined: JoinedLike) -> pl.Expr:
    """When each row is mature: the end of its window, and the grace after it."""
    window = LabelWindow.of(joined.contract)
    return (pl.col("closes") if window.session else pl.col("ts_pred") + window.window) + window.grace
