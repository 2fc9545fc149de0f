"""A ledger brought up to a newer joined table: the weeks that changed are counted again, the others are kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import closes, lazy_rows, settled
from fbkit.join.table import MemoryTable
from fbkit.ledger import columns as c
from fbkit.ledger.build import count
from fbkit.ledger.checks import check_rows
from fbkit.ledger.ledger import Ledger, Manifest, tidy
from fbkit.ledger.merge import merge
from fbkit.ledger.rows import state_code
from fbkit.schema.contract import Contract
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Period, floor_day, format_instant
from fbkit.schema.protocols import JoinedLike, check_joined

_DAY: Final = timedelta(days=1)
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC)
_WEEK: Final = "\0week"
_NEWER: Final = "\0newer"
_KEYS: Final = (_WEEK, c.STATE, c.FLAGGED, c.MATURE, c.SETTLED)


def update(ledger: Ledger, joined: JoinedLike, *, period: str | Period | None = None) -> Ledger:
    """The ledger of ``joined``, which is the same loop as known later; what did not change is kept as it is.

    A week changed if one of its predictions, labels or closing windows is newer than the ledger, or
    if it holds other numbers of rows by label state, decision and maturity than before. A correction that leaves
    those numbers alone and brings nothing newer (two labels that were both withdrawn and swapped) is not seen: then
    name the ``period``, or build the ledger again.

    Raises
    ------
    ArgumentError
        Another contract, an earlier as-of, or a joined table that a ledger cannot count.
    """
    check_joined(joined)
    _check(ledger, joined)
    weeks = _changed(ledger, joined) if period is None else _weeks(Period.parse(period))
    facts = check_rows(lazy_rows(joined), weights=ledger.manifest.weights)
    manifest = replace(
        ledger.manifest,
        as_of=joined.as_of,
        keys=(joined.evaluation_key,),
        sources=tuple(getattr(joined, "sources", ())),
        incomplete=tuple(getattr(joined, "incomplete", ())),
        delay_days=longest_delay(joined) / _DAY,
        hashing=f"polars {pl.__version__}",
    )
    if manifest.grouped and manifest.hashing != ledger.manifest.hashing:
        # Groups of another version cannot be continued: everything is counted again.
        return count(joined, replace(manifest, rows=facts.rows, fractional=facts.fractional), edges=ledger.edges)
    kept = _without(ledger, weeks, manifest)
    rows = lazy_rows(joined).filter(_week_of(pl.col("ts_pred")).is_in(weeks)).collect()
    new = replace(manifest, rows=rows.height, fractional=check_rows(rows.lazy(), weights=manifest.weights).fractional)
    merged = merge(kept, count(_Part(rows, joined), new, edges=ledger.edges))
    # Both halves count the same loop, so that what repeats was seen in one of them, or in both.
    whole = replace(merged.manifest, rows=facts.rows)
    if merged.rows != facts.rows:
        raise ArgumentError(
            "more weeks changed than were named",
            got=f"{merged.rows} rows after the update, {facts.rows} in the joined table",
            allowed="a period that holds every change",
            next_step="leave the period out, or build the ledger again",
        )
    return Ledger(tables=merged.tables, values=merged.values, edges=merged.edges, manifest=whole)


class _Part:
    """Some rows of a joined table, with everything else that it has."""

    def __init__(self, rows: pl.DataFrame, joined: JoinedLike) -> None:
        self.rows = MemoryTable(rows)
        self._joined = joined

    @property
    def frame(self) -> pl.DataFrame:
        return self.rows.frame

    @property
    def contract(self) -> Contract:
        return self._joined.contract

    @property
    def as_of(self) -> datetime:
        return self._joined.as_of

    @property
    def evaluation_key(self) -> str:
        return self._joined.evaluation_key

    def __getattr__(self, name: str) -> object:
        return getattr(self._joined, name)


def _check(ledger: Ledger, joined: JoinedLike) -> None:
    if joined.contract.hash != ledger.contract.hash:
        raise ArgumentError(
            "the joined table follows another contract than the ledger",
            got=joined.contract.hash[:12],
            allowed=ledger.contract.hash[:12],
            next_step="build a new ledger: joined.ledger()",
        )
    if joined.as_of < ledger.as_of:
        raise ArgumentError(
            "a ledger is updated forwards in time",
            got=format_instant(joined.as_of),
            allowed=f"{format_instant(ledger.as_of)} or later",
            next_step="ask the ledger for the earlier time: as_of=...",
        )


def _week_of(moment: pl.Expr) -> pl.Expr:
    """The number of the Monday-based week that an instant lies in."""
    return (moment - pl.lit(_MONDAY)).dt.total_microseconds() // (7 * _DAY // timedelta(microseconds=1))


def _weeks(period: Period) -> list[int]:
    first, last = (
        (floor_day(period.start) - _MONDAY) // _DAY,
        (period.end - _MONDAY - timedelta(microseconds=1)) // _DAY,
    )
    return list(range(first // c.DAYS_OF_WEEK, last // c.DAYS_OF_WEEK + 1))


def _changed(ledger: Ledger, joined: JoinedLike) -> list[int]:
    """The weeks with something newer than the ledger, or with other numbers of rows."""
    rows, then = lazy_rows(joined), pl.lit(ledger.as_of)
    there = rows.collect_schema().names()
    newer = (pl.col("ts_pred") > then) | (closes(joined) > then)
    newer |= (pl.col("ts_pred") + pl.col("arrival_lag") > then).fill_null(value=False)
    if "ts_logged" in there:
        newer |= (pl.col("ts_logged") > then).fill_null(value=False)
    counted = rows.select(
        _week_of(pl.col("ts_pred")).alias(_WEEK),
        state_code().alias(c.STATE),
        pl.col("flagged").cast(pl.Int64).alias(c.FLAGGED),
        pl.col("mature").cast(pl.Int64).alias(c.MATURE),
        settled(joined).cast(pl.Int64).alias(c.SETTLED),
        newer.alias(_NEWER),
    )
    found = counted.group_by(_KEYS).agg(pl.len().cast(pl.Int64).alias(c.ROWS), pl.col(_NEWER).any()).collect()
    cells = ledger.tables[c.CELLS, ()].select(
        ((pl.col(c.DAY).cast(pl.Int64) - c.FIRST_MONDAY) // c.DAYS_OF_WEEK).alias(_WEEK),
        pl.col(c.STATE, c.FLAGGED, c.SETTLED).cast(pl.Int64),
        pl.col(c.MATURES).is_not_null().cast(pl.Int64).alias(c.MATURE),
        c.ROWS,
    )
    before = cells.group_by(_KEYS).agg(pl.col(c.ROWS).sum())
    both = found.join(before, on=_KEYS, how="full", coalesce=True, nulls_equal=True, suffix=" before")
    other = pl.col(c.ROWS).ne_missing(pl.col(f"{c.ROWS} before")) | pl.col(_NEWER)
    return both.filter(other).get_column(_WEEK).unique().sort().to_list()


def _without(ledger: Ledger, weeks: list[int], manifest: Manifest) -> Ledger:
    """The lines of all other weeks."""
    week = (pl.col(c.DAY).cast(pl.Int64) - c.FIRST_MONDAY) // c.DAYS_OF_WEEK
    lines = {name: table.filter(~week.is_in(weeks)) for name, table in ledger.tables.items()}
    rows = int(lines[c.CELLS, ()].get_column(c.ROWS).sum())
    known = replace(manifest, rows=rows, fractional=ledger.manifest.fractional)
    return tidy(lines, ledger.values, edges=ledger.edges, manifest=known)
