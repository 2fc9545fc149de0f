"""Are the predictions themselves all there: counts by minute, hour or day against the same weekday of weeks before."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import check_level
from fbkit.measure.scope import INSTANT, Slices, slice_columns
from fbkit.measure.stats.intervals import Array, benjamini_hochberg
from fbkit.measure.stats.seasonal import FEWEST_WEEKS, expectation, limits
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

EVERY: Final = {"1min": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
EXPECTED, RATIO, P_VALUE, P_ADJUSTED, FLAG, WEEKS = "expected", "ratio", "p_value", "p_adjusted", "flag", "weeks"
LOW, HIGH = "low", "high"
METHOD: Final = "same weekday and time of day, negative binomial, Benjamini-Hochberg"
_CELL, _KEY = "\0cell", "\0slice"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)
_WEEK: Final = timedelta(days=7)
_LAST: Final = (
    results.PERIOD_START, results.PERIOD_END, results.N, EXPECTED, results.LOWER, results.UPPER, RATIO, P_VALUE,
    P_ADJUSTED, FLAG, WEEKS, results.METHOD, results.REASON,
)  # fmt: skip


@checked
def volume(
    joined: JoinedLike,
    *,
    every: str = "1d",
    by: Slices = None,
    period: str | Period | None = None,
    weeks: int = 8,
    level: float = 0.95,
) -> pl.DataFrame:
    """Count predictions, and flag counts that are not what the same weekday and time of day of weeks before announced.

    A missing hour is a row with ``n`` = 0, not a missing row.

    Parameters
    ----------
    joined
        Predictions with label states as of one time; labels do not matter here.
    every
        "1min", "1h" or "1d", in UTC.
    by
        Slice columns; each slice is held against its own past, from its first prediction on. Null is one of them.
    period
        Half-open ``A..B``: the cells that lie in it are judged, by history before it too. None is the whole log.
    weeks
        How many weeks back at most.
    level
        Coverage of the interval; cells are flagged at a false discovery rate of 1 - level.

    Returns
    -------
    The ``by`` columns as text, then period_start, period_end, n, expected (median of the weeks before; their mean where
    that is below 10), lower, upper (where a count would lie that differs by chance only), ratio (n / expected), p_value
    (two-sided), p_adjusted (Benjamini-Hochberg over all cells of the call), flag ("low", "high" or null), weeks (of
    history), method, reason, evaluation_id; by slice, then time. With fewer than three weeks of history, and where the
    cell is not over, there is no expectation but a reason.

    Raises
    ------
    ArgumentError
        An unknown time cell or column, less than three weeks, a period that cannot be read, a level outside (0, 1).

    Notes
    -----
    Counts are taken as negative binomial: variance = mean + (spread x mean)^2, the spread estimated from how far all
    cells of the slice lie from their own expectations, without the farthest tenth, so that an outage does not hide
    itself. Growth from week to week widens the interval; it is not modelled. Times are UTC: where traffic follows a
    clock that is set forward, two weeks a year look shifted by an hour.
    """
    check_joined(joined)
    step = _step(every)
    _check(weeks, level)
    slices = slice_columns(no_rows(joined), by)
    wanted = None if period is None else Period.parse(period)
    cell = (pl.col("ts_pred").dt.epoch("us") // (step // _MICRO)).alias(_CELL)
    rows = lazy_rows(joined).select(*(pl.col(name).cast(pl.String) for name in slices), cell)
    counts = rows.group_by(*slices, _CELL).agg(pl.len().cast(pl.Int64).alias(results.N)).collect()
    span = _Span.of(counts, step=step, wanted=wanted, as_of=joined.as_of)
    parts = [] if span is None else list(_series(counts, slices, span, weeks=weeks, level=level))
    frame = _assemble(parts, slices, step=step, level=level)
    call = {"every": every, "by": slices, "period": str(wanted), "weeks": weeks, "level": level}
    return stamped(frame, joined, call="volume", **call)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Cell numbers: of the log (``first`` to ``end``, exclusive), and of the cells that are asked about."""

    first: int
    end: int
    shown: int
    shown_end: int
    over: int
    step: timedelta
    closed: bool

    @classmethod
    def of(cls, counts: pl.DataFrame, *, step: timedelta, wanted: Period | None, as_of: datetime) -> "_Span | None":
        if counts.is_empty():
            return None
        cells = counts.get_column(_CELL)
        first, newest = _whole(cells.min()), _whole(cells.max())
        over = (as_of - _EPOCH) // step
        if wanted is None:
            return cls(
                first=first, end=newest + 1, shown=first, shown_end=newest + 1, over=over, step=step, closed=False
            )
        shown, shown_end = -((_EPOCH - wanted.start) // step), (wanted.end - _EPOCH) // step
        # Nothing can be said of cells before the log begins, nor of those that have not begun.
        shown, shown_end = max(shown, first), min(shown_end, over + 1)
        return cls(
            first=first,
            end=max(newest + 1, shown_end),
            shown=shown,
            shown_end=max(shown_end, shown),
            over=over,
            step=step,
            closed=True,
        )


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _series(
    counts: pl.DataFrame, slices: tuple[str, ...], span: _Span, *, weeks: int, level: float
) -> Iterator[pl.DataFrame]:
    """One frame per slice: every cell asked about, empty ones too."""
    parts = counts.sort(_CELL).partition_by(slices, maintain_order=True) if slices else [counts.sort(_CELL)]
    for part in parts:
        cells = part.get_column(_CELL).to_numpy()
        begin = int(cells[0])
        series = np.zeros(span.end - begin)
        series[cells - begin] = part.get_column(results.N).to_numpy()
        # The cell in which a series begins is a part of one: it is no history either.
        frame = _judged(series, begin, span, weeks=weeks, level=level)
        if frame.height:
            yield frame.with_columns(
                *(pl.lit(part.get_column(name)[0], dtype=pl.String).alias(name) for name in slices)
            )


def _judged(series: Array, begin: int, span: _Span, *, weeks: int, level: float) -> pl.DataFrame:
    shown = slice(max(span.shown - begin, 0), max(span.shown_end - begin, 0))
    cell = np.arange(begin, begin + len(series))
    whole = series.copy()
    whole[0] = np.nan
    unfinished = (cell >= span.over) | ((cell == span.end - 1) & (not span.closed))
    whole[unfinished] = np.nan
    found = expectation(whole, cells_per_week=_WEEK // span.step, weeks=weeks, judged=shown)
    lower, upper = limits(found.centre[shown], found.variance[shown], level=level)
    reason = np.where(
        cell == begin,
        "the log begins in this cell",
        np.where(
            unfinished,
            "this cell may not be over",
            np.where(found.weeks < FEWEST_WEEKS, f"less than {FEWEST_WEEKS} weeks of history", ""),
        ),
    )[shown]
    judged = (reason == "") & ~np.isnan(found.expected[shown])
    expected = np.where(judged, found.expected[shown], np.nan)
    columns = {
        EXPECTED: expected,
        results.LOWER: np.where(judged, lower, np.nan),
        results.UPPER: np.where(judged, upper, np.nan),
        P_VALUE: np.where(judged, found.p_value[shown], np.nan),
    }
    return pl.DataFrame(
        {
            _CELL: cell[shown],
            results.N: series[shown].astype(np.int64),
            **{name: pl.Series(values, dtype=pl.Float64, nan_to_null=True) for name, values in columns.items()},
            WEEKS: found.weeks[shown].astype(np.int64),
            results.REASON: pl.Series(reason, dtype=pl.String).replace({"": None}),
        }
    )


def _assemble(parts: list[pl.DataFrame], slices: tuple[str, ...], *, step: timedelta, level: float) -> pl.DataFrame:
    frame = pl.concat(parts) if parts else _NOTHING.with_columns(pl.lit("").alias(name) for name in slices)
    adjusted = benjamini_hochberg(frame.get_column(P_VALUE).fill_null(float("nan")).to_numpy())
    start = (pl.col(_CELL) * (step // _MICRO)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(INSTANT)
    low, expected = pl.col(results.N) < pl.col(EXPECTED), pl.col(EXPECTED)
    flagged = pl.col(P_ADJUSTED) <= 1 - level
    frame = frame.with_columns(
        pl.Series(P_ADJUSTED, adjusted, dtype=pl.Float64, nan_to_null=True), start.alias(results.PERIOD_START)
    ).with_columns(
        (pl.col(results.PERIOD_START) + step).alias(results.PERIOD_END),
        pl.when(expected > 0).then(pl.col(results.N) / expected).alias(RATIO),
        pl.when(flagged).then(pl.when(low).then(pl.lit(LOW)).otherwise(pl.lit(HIGH))).alias(FLAG),
        pl.when(pl.col(P_VALUE).is_not_null()).then(pl.lit(METHOD)).alias(results.METHOD),
    )
    return frame.sort(*slices, results.PERIOD_START, nulls_last=True).select(*slices, *_LAST)


def _step(every: str) -> timedelta:
    if every not in EVERY:
        raise ArgumentError(
            "an unknown time grain", got=every, allowed=", ".join(EVERY), next_step="write one of these"
        )
    return EVERY[every]


def _check(weeks: int, level: float) -> None:
    if weeks < FEWEST_WEEKS:
        raise ArgumentError(
            "an expectation needs some weeks of history",
            got=weeks,
            allowed=f"{FEWEST_WEEKS} or more",
            next_step="give weeks=8, or leave it out",
        )
    check_level(level)


_NOTHING: Final = pl.DataFrame(
    schema={
        _CELL: pl.Int64,
        results.N: pl.Int64,
        EXPECTED: pl.Float64,
        results.LOWER: pl.Float64,
        results.UPPER: pl.Float64,
        P_VALUE: pl.Float64,
        WEEKS: pl.Int64,
        results.REASON: pl.String,
    }
)
