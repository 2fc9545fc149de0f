"""Instants of many rows at once: as the numbers that a time axis takes, and as days that people read."""

from datetime import UTC, datetime
from functools import lru_cache

import polars as pl

from fbkit.charts.text import day_text


def in_milliseconds(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its instants as milliseconds since 1970 (UTC)."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    return frame.with_columns(pl.col(times).dt.epoch("ms")) if times else frame


@lru_cache(maxsize=4096)
def day_of_ms(milliseconds: int) -> str:
    """The day in UTC that holds an instant; hundreds of cells share a few of them.

    >>> day_of_ms(1_369_612_800_000)
    'Mon 27 May 2013'
    """
    return day_text(datetime.fromtimestamp(milliseconds / 1000, tz=UTC))
