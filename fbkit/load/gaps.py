"""Which time a part that cannot be read would have covered: its name says so, or its own times, or its neighbours."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl

from fbkit.errors import FbkitError
from fbkit.load.columns import TIMES
from fbkit.load.files import UNREADABLE, File
from fbkit.load.pages import time_range
from fbkit.load.quiet import quiet
from fbkit.load.times import to_utc
from fbkit.schema.contract_parts import Source
from fbkit.schema.logs import UnreadablePart
from fbkit.schema.period import Period

Parts = Sequence[tuple[File, pl.LazyFrame]]
_FIELDS = re.compile(r"year=(\d{4})(?:/month=(\d{1,2}))?(?:/day=(\d{1,2}))?(?:/hour=(\d{1,2}))?")
_DATE = re.compile(r"(?<!\d)(\d{4})([-_]?)(\d{2})(?:\2(\d{2}))?(?:[T_-]?(?:hour=|h)?(\d{2}))?(?!\d)")


def find_gap(file: File, *, reason: str, read: Parts, source: Source, table: str) -> UnreadablePart:
    """The part as it is left out, with its period where anything tells it.

    The dates in the path and the part's own time column, if that alone can still be read; else the room between the
    neighbours in name order. Parts whose times overlap tell only that it lies within the whole log.
    """
    told = [named_period(file.name), _own(file, source=source, table=table)]
    period = _around([period for period in told if period is not None])
    if period is None:
        period = _between(file, read=read, source=source, table=table)
    return UnreadablePart(table=table, file=file.name, period=period, reason=reason)


def named_period(name: str) -> Period | None:
    """The year, month, day or hour that a path speaks of, in UTC; None where it holds no date.

    >>> str(named_period("predictions/day=2026-05-01/part-0.parquet"))
    '2026-05-01..2026-05-02'
    >>> str(named_period("predictions/year=2026/month=5/part-0.parquet")), named_period("predictions/part-0001.csv")
    ('2026-05-01..2026-06-01', None)
    """
    fields = _FIELDS.search(name)
    if fields:
        return _period(*fields.groups())
    dates = [found.groups() for found in _DATE.finditer(name)]
    # 202605 alone may be anything.
    periods = [
        _period(year, month, day, hour if day else None) for year, mark, month, day, hour in dates if mark or day
    ]
    return _around([period for period in periods if period is not None])


def _around(periods: Sequence[Period]) -> Period | None:
    """From the first start to the last end."""
    if not periods:
        return None
    return Period(start=min(period.start for period in periods), end=max(period.end for period in periods))


def _period(year: str, month: str | None, day: str | None, hour: str | None) -> Period | None:
    try:
        start = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), tzinfo=UTC)
    except ValueError:
        return None
    if not 1990 <= start.year < 2100:
        return None
    if hour is not None:
        return Period(start=start, end=start + timedelta(hours=1))
    if day is not None:
        return Period(start=start, end=start + timedelta(days=1))
    end = start.replace(year=start.year + 1) if month is None else (start + timedelta(days=31)).replace(day=1)
    return Period(start=start, end=end)


def _own(file: File, *, source: Source, table: str) -> Period | None:
    """A damaged Parquet file may still tell its own times, in its footer or in a column that is whole."""
    if source.format not in (None, "parquet") or file.path.suffix.lower() not in (".parquet", ".pq"):
        return None
    told = time_range(file.path, column=_column(source, table=table))
    if told is not None:
        return Period(start=told[0], end=told[1] + timedelta(microseconds=1))
    try:
        with quiet():
            return _range(pl.scan_parquet(file.path, hive_partitioning=False, glob=False), source=source, table=table)
    except UNREADABLE:
        return None


def _between(file: File, *, read: Parts, source: Source, table: str) -> Period | None:
    known: list[tuple[Path, Period]] = []
    for other, frame in read:
        try:
            period = _range(frame, source=source, table=table)
        except UNREADABLE:
            period = None
        if period is not None:
            known.append((other.path, period))
    if not known:
        return None
    periods = [period for _, period in known]
    whole = _around(periods)
    if any(later.start < earlier.end for earlier, later in pairwise(periods)):
        return whole
    usual = sorted(period.duration for period in periods)[len(periods) // 2]
    before = [period for path, period in known if path < file.path]
    after = [period for path, period in known if path > file.path]
    start = before[-1].end if before else after[0].start - usual
    end = after[0].start if after else before[-1].end + usual
    return Period(start=start, end=end) if start < end else whole


def _column(source: Source, *, table: str) -> str:
    given = source.columns.get(TIMES[table][0], TIMES[table][0])
    return given if isinstance(given, str) else given[0]


def _range(frame: pl.LazyFrame, *, source: Source, table: str) -> Period | None:
    """From the first to just after the last time of a part, by the first time column of its log."""
    column = _column(source, table=table)
    if column not in frame.collect_schema().names():
        return None
    times = frame.select(column).collect()
    try:
        times = to_utc(times, column=column, table=table, zone=source.timezone or "UTC")
    except FbkitError:
        return None
    first, last = times[column].min(), times[column].max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return None
    return Period(start=first, end=last + timedelta(microseconds=1))
