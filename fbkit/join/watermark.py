"""Up to when each slice of the outcome feed is complete: silence before that moment may be believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.join.outage import Array, Bools, Feed, Run, arrival_rates, lower_tail, predict, short_runs
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES
from fbkit.schema.period import floor_day

FEED_SCHEMA: Final = {
    "slice": pl.String,
    "value": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "arrived": pl.Int64,
    "expected": pl.Float64,
    "recovered": pl.Float64,
    "complete": pl.Boolean,
}
SEEN: Final = ("used", "superseded", "duplicate_statement", "conflicting_label")
"""Fates of statements that reached their prediction inside the window."""
MOST_VALUES: Final = 200
"""A column with more values has too few labels in each to tell an outage from chance."""
MOST_CELLS: Final = 4_000_000
"""Combinations of slice values times days that are held at once; the column with most values is given up first."""
_HEALED: Final = 0.01
_SLACK: Final = 0.01
_DAY: Final = timedelta(days=1)

Frame = pl.DataFrame | pl.LazyFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedCounts:
    """All that the watermark needs to know of the rows: counts by slice values and day.

    Attributes
    ----------
    columns
        The slice columns, as text; each frame below has them.
    made
        __day, __n, __n_mature: predictions whose outcome no action hides.
    arrived
        __day (of the prediction), __at (day of arrival), __n, __n_mature: first arrivals that are no backfill.
    backfilled
        __event (day), __n: predictions whose label came as a backfill only.
    delays
        __days (from event to arrival), __n: of ``arrived``.
    """

    columns: tuple[str, ...]
    made: pl.DataFrame
    arrived: pl.DataFrame
    backfilled: pl.DataFrame
    delays: pl.DataFrame


def count_feed(predictions: Frame, pairs: Frame, *, contract: Contract, base: datetime) -> FeedCounts:
    """Count predictions and the arrivals of their labels; nothing but group-bys, lazy or not.

    Parameters
    ----------
    predictions
        prediction_id, ts_pred, blocked, ``__closes`` and the slice columns.
    pairs
        prediction_id, fate, source, ts_event, ts_arrival of every statement that had arrived.
    """
    rows = predictions.lazy().filter(~pl.col("blocked"))
    columns = _told_apart(rows, contract=contract)
    keys = [pl.col(name).cast(pl.String) for name in columns]
    mature = (pl.col(CLOSES) + contract.label.grace <= pl.lit(base)).alias("__mature")
    rows = rows.select("prediction_id", *keys, _day("ts_pred").alias("__day"), mature)
    regular = pl.col("source") != "backfill"
    firsts = pairs.lazy().filter(pl.col("fate").is_in(SEEN)).group_by("prediction_id")
    firsts = firsts.agg(
        pl.col("ts_arrival").filter(regular).min().alias("__arrival"),
        pl.col("ts_event").filter(regular).min().alias("__regular_event"),
        pl.col("ts_event").min().alias("__event"),
    )
    labelled = rows.join(firsts, on="prediction_id", how="inner")
    came = labelled.filter(pl.col("__arrival").is_not_null()).with_columns(_day("__arrival").alias("__at"))
    sums = (pl.len().alias("__n"), pl.col("__mature").sum().alias("__n_mature"))
    made, arrived, backfilled, delays = pl.collect_all(
        [
            rows.group_by([*columns, "__day"]).agg(*sums),
            came.group_by([*columns, "__day", "__at"]).agg(*sums),
            labelled.filter(pl.col("__arrival").is_null())
            .group_by([*columns, _day("__event").alias("__event")])
            .agg(pl.len().alias("__n")),
            came.group_by((pl.col("__at") - _day("__regular_event")).dt.total_days().alias("__days")).agg(
                pl.len().alias("__n")
            ),
        ]
    )
    return FeedCounts(columns=columns, made=made, arrived=arrived, backfilled=backfilled, delays=delays)


def merge_counts(parts: Sequence[FeedCounts]) -> FeedCounts:
    """The counts of all rows from the counts of disjoint parts of them; columns that one part lacks are given up."""
    shared = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    made = pl.concat([part.made.select(*shared, "__day", "__n", "__n_mature") for part in parts])
    columns = tuple(name for name in shared if made[name].n_unique() <= MOST_VALUES)

    def added(name: str, *keys: str) -> pl.DataFrame:
        frames: list[pl.DataFrame] = [getattr(part, name) for part in parts]
        numbers = [column for column in ("__n", "__n_mature") if column in frames[0].columns]
        return pl.concat([part.select(*keys, *numbers) for part in frames]).group_by(keys).agg(pl.col(numbers).sum())

    return FeedCounts(
        columns=columns,
        made=added("made", *columns, "__day"),
        arrived=added("arrived", *columns, "__day", "__at"),
        backfilled=added("backfilled", *columns, "__event"),
        delays=added("delays", "__days"),
    )


def _told_apart(rows: pl.LazyFrame, *, contract: Contract) -> tuple[str, ...]:
    names = rows.collect_schema().names()
    listed = [name for name in contract.slices.columns if name in names]
    if not listed:
        return ()
    counts = rows.select(pl.col(listed).n_unique()).collect().row(0)
    return tuple(name for name, values in zip(listed, counts, strict=True) if values <= MOST_VALUES)


def _day(column: str) -> pl.Expr:
    return pl.col(column).dt.date()


def no_runs() -> pl.DataFrame:
    """The frame of a feed that never fell short."""
    return pl.DataFrame(schema=FEED_SCHEMA)


def feed_runs(
    predictions: Frame, pairs: Frame, *, contract: Contract, base: datetime | None, as_of: datetime
) -> pl.DataFrame:
    """The runs of :func:`incomplete_feed` for rows and pairings; none where silence does not mean negative."""
    if contract.label.silence != "negative" or base is None:
        return no_runs()
    return incomplete_feed(count_feed(predictions, pairs, contract=contract, base=base), as_of=as_of)


def incomplete_feed(counts: FeedCounts, *, as_of: datetime) -> pl.DataFrame:
    """The runs of days on which the feed fell short, by slice.

    Returns
    -------
    slice (column; null: the whole feed), value, start, end (half-open, whole days UTC), arrived, expected, recovered
    (by a backfill, or by a flood right after), complete (whether that made up for it). Sorted by start, slice, value.
    """
    made = counts.made
    mature = int(made["__n_mature"].sum()) if made.height else 0
    first = made["__day"].min()
    if not isinstance(first, date) or not mature:
        return no_runs()
    # The last day is not over: what is missing of it may still come.
    days = (floor_day(as_of).date() - first).days
    if days < 1:
        return no_runs()
    table = _Table.of(counts, first=first, days=days)
    feed = table.feed(mature=mature)
    runs = sorted(short_runs(feed), key=lambda run: (run.first, run.series))
    used = np.zeros(table.backfilled.shape)
    lines = [_line(run, table, used=used) for run in runs]
    return pl.DataFrame(lines, schema=FEED_SCHEMA, orient="row").sort("start", "slice", "value", nulls_last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The counts as arrays: cells (combinations of slice values) by day."""

    counts: FeedCounts
    cells: pl.DataFrame
    first: date
    made: Array
    arrived: Array
    backfilled: Array
    delay: int
    series: list[tuple[str | None, str | None]]
    members: Bools

    @classmethod
    def of(cls, counts: FeedCounts, *, first: date, days: int) -> "_Table":
        columns = _affordable(counts, days=days)
        cells = counts.made.select(columns).unique().sort(columns) if columns else pl.DataFrame({"": [0]})
        series: list[tuple[str | None, str | None]] = [(None, None)]
        members = [np.ones(cells.height, dtype=bool)]
        for name in columns:
            for value in cells[name].unique().sort().to_list():
                series.append((name, value))
                same = pl.col(name).eq_missing(pl.lit(value, dtype=pl.String))
                members.append(cells.select(same).to_series().to_numpy())
        longest = counts.delays.sort("__days").filter(pl.col("__n").cum_sum() >= 0.99 * pl.col("__n").sum())["__days"]

        def spread(frame: pl.DataFrame, day: str) -> Array:
            return _spread(frame, day, columns=columns, cells=cells, first=first, days=days)

        return cls(
            counts=counts,
            cells=cells,
            first=first,
            made=spread(counts.made, "__day"),
            arrived=spread(counts.arrived, "__at"),
            backfilled=spread(counts.backfilled, "__event"),
            delay=int(longest[0]) if len(longest) else 0,
            series=series,
            members=np.array(members),
        )

    def feed(self, *, mature: int) -> Feed:
        lags = self.counts.arrived.group_by((pl.col("__at") - pl.col("__day")).dt.total_days().alias("__lag"))
        by_lag = lags.agg(pl.col("__n_mature").sum()).filter(pl.col("__lag") >= 0)
        curve = np.zeros(self.made.shape[1])
        by_lag = by_lag.filter(pl.col("__lag") < len(curve))
        curve[by_lag["__lag"].to_numpy()] = by_lag["__n_mature"].to_numpy()
        rates = arrival_rates(np.array([mature]), curve)
        weekday = (np.arange(self.made.shape[1]) + self.first.weekday()) % 7
        return Feed(arrived=self.arrived, predicted=predict(self.made, rates), members=self.members, weekday=weekday)


def _affordable(counts: FeedCounts, *, days: int) -> list[str]:
    columns = list(counts.columns)
    while columns and counts.made.select(columns).n_unique() * days > MOST_CELLS:
        columns.remove(max(columns, key=lambda name: counts.made[name].n_unique()))
    return columns


def _spread(
    counts: pl.DataFrame, day: str, *, columns: Sequence[str], cells: pl.DataFrame, first: date, days: int
) -> Array:
    """Counts as an array of cells by day; days outside the log's are left out."""
    numbered = cells.with_row_index("__cell")
    if columns:
        counts = counts.join(numbered, on=columns, how="left", nulls_equal=True)
    else:
        counts = counts.with_columns(pl.lit(0).alias("__cell"))
    counts = counts.with_columns((pl.col(day) - pl.lit(first)).dt.total_days().alias("__t"))
    counts = counts.filter(pl.col("__t").is_between(0, days - 1))
    values = np.zeros((cells.height, days))
    np.add.at(values, (counts["__cell"].to_numpy(), counts["__t"].to_numpy()), counts["__n"].to_numpy())
    return values


def _line(run: Run, table: _Table, *, used: Array) -> tuple[object, ...]:
    """One run as a row; each backfilled label makes up for one run only."""
    name, value = table.series[run.series]
    mine = table.members[run.series]
    due = slice(max(run.first - table.delay, 0), run.last + 1)
    free = (table.backfilled - used)[mine, due]
    used[mine, due] = table.backfilled[mine, due]
    recovered = float(free.sum()) + run.caught_up
    total = np.array([run.arrived + recovered])
    complete = float(lower_tail(total, np.array([run.expected]), np.array([_SLACK]))[0]) >= _HEALED
    start = table.first + run.first * _DAY
    return (
        name,
        value,
        _midnight(start),
        _midnight(start + (run.last - run.first + 1) * _DAY),
        round(run.arrived),
        run.expected,
        recovered,
        complete,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def stops(feed: pl.DataFrame) -> Mapping[tuple[str | None, str | None], datetime]:
    """Where each slice value's watermark stands still: the first day that fell short and was not made up for."""
    short = feed.filter(~pl.col("complete")).group_by("slice", "value").agg(pl.col("start").min())
    return {(name, value): start for name, value, start in short.sort("start").iter_rows()}


def row_watermark(feed: pl.DataFrame, *, base: datetime) -> pl.Expr:
    """The watermark of each row: the least of the whole feed's and of its slices' own."""
    dtype = FEED_SCHEMA["start"]
    stopped = stops(feed)
    parts = [pl.lit(min(base, stopped.get((None, None), base)), dtype=dtype)]
    for name in sorted({name for name, _ in stopped if name is not None}):
        values = {value: start for (column, value), start in stopped.items() if column == name}
        text = pl.col(name).cast(pl.String)
        told = {value: start for value, start in values.items() if value is not None}
        part = text.replace_strict(list(told), list(told.values()), default=None, return_dtype=dtype)
        if None in values:
            part = pl.when(text.is_null()).then(pl.lit(values[None], dtype=dtype)).otherwise(part)
        parts.append(part)
    return pl.min_horizontal(parts)
