"""The periods of a comparison that was left open, fixed against the logs."""

from datetime import datetime, timedelta

import polars as pl

from fbkit.errors import ArgumentError, InputError
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Comparison, floor_day
from fbkit.schema.protocols import JoinedLike, check_joined


def resolve(joined: JoinedLike, comparison: Comparison | None = None) -> Comparison:
    """Fix a comparison's periods: see :meth:`fbkit.join.joined.Joined.compare`."""
    check_joined(joined)
    wanted = Comparison() if comparison is None else comparison
    if not isinstance(wanted, Comparison):
        raise ArgumentError(
            "the comparison is not a Comparison",
            got=f"{type(wanted).__name__}: {wanted}",
            allowed='fb.Comparison(reference="A..B", current="C..D") or fb.Comparison.last("7d", versus="30d")',
            next_step="make one of the two, or leave it out for the last seven mature days",
        )
    if wanted.reference is not None and wanted.current is not None:
        return wanted
    # A long table lies on disk: only its times are read.
    table = getattr(joined, "rows", None)
    rows = joined.frame.lazy() if table is None else table.lazy()
    time = pl.col("ts_pred")
    first, newest = rows.select(time.min().alias("first"), time.max().alias("newest")).collect().row(0)
    if not isinstance(first, datetime) or not isinstance(newest, datetime):
        raise InputError(
            "there are no predictions to compare",
            got="a joined table without rows",
            allowed="at least one prediction",
            next_step="look at joined.audit: it says where they went",
        )
    end_of_log = end_of_last_full_day(newest)
    last_mature = min(end_of_log, floor_day(joined.as_of - longest_delay(joined)))
    return wanted.resolve(last_mature=last_mature, first=first, latest=end_of_log)


def end_of_last_full_day(newest: datetime) -> datetime:
    """The end of the newest day that is (nearly) full: a log that stops after 22:00 has seen its day."""
    midnight = floor_day(newest)
    return midnight + timedelta(days=1) if newest - midnight >= timedelta(hours=22) else midnight
