"""The chance that a positive of each row is known by an age: its stratum's share, less what an outage swallowed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.intervals import Array
from fbkit.measure.latency import ARRIVED, DECISION, FEWEST, SCORE_BIN, STRATUM, TOTAL, Arrivals, score_bin, settled
from fbkit.measure.registry import F, S
from fbkit.measure.scope import Scope
from fbkit.schema.protocols import JoinedLike

KNOWN: Final = "\0known"
SHARE: Final = "\0visible"
UNSEEN: Final = "\0unseen"
_MADE: Final = "\0made"
_FINAL: Final = "\0final"
_LABEL: Final = "\0final_label"
_RUN: Final = "\0run"
_DAY: Final = 86_400e6
_LEAST: Final = 0.2
_OWN: Final = ("\0own_arrived", "\0own_total")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A run of days on which a slice's feed lost a share of what was due."""

    rows: pl.Expr
    start: datetime
    end: datetime
    lost: float


def hidden(joined: JoinedLike) -> list[Hidden]:
    """The runs that no backfill made up for."""
    feed = getattr(joined, "feed", None)
    if feed is None:
        return []
    return [
        Hidden(rows=_belongs(name, value), start=start, end=end, lost=max(0.0, 1 - arrived / max(expected, 1.0)))
        for name, value, start, end, arrived, expected in feed.filter(~pl.col("complete"))
        .select("slice", "value", "start", "end", "arrived", "expected")
        .iter_rows()
    ]


def _belongs(name: str | None, value: str | None) -> pl.Expr:
    if name is None:
        return pl.lit(value=True)
    return pl.col(name).cast(pl.String).eq_missing(pl.lit(value, dtype=pl.String))


def working_columns(joined: JoinedLike, runs: list[Hidden], *, age: timedelta) -> dict[str, pl.Expr]:
    """What a scope has to carry for :func:`with_shares`."""
    known = (pl.col("label") == 1) & (pl.col("arrival_lag") <= age)
    return {
        KNOWN: known.fill_null(value=False),
        _MADE: pl.col("ts_pred"),
        _LABEL: pl.col("label"),
        _FINAL: settled(joined) & ~pl.col("blocked"),
        **{f"{_RUN}{number}": run.rows for number, run in enumerate(runs)},
    }


def with_shares(scope: Scope, arrivals: Arrivals | None, runs: list[Hidden]) -> pl.DataFrame:
    """Add to each row the share of positives like it that is known at the stage's age, and its stratum.

    Rows of which an outage hides more than four fifths are marked unseen. A cell's own settled rows are left out of
    its shares while enough others are there.
    """
    if arrivals is None:
        none = [pl.lit(None, dtype=pl.Float64).alias(name) for name in (SHARE, STRATUM, UNSEEN)]
        return scope.frame.with_columns(none)
    frame = scope.frame.with_columns(
        (pl.col(F) == 1).fill_null(value=False).alias(DECISION),
    ).with_columns(score_bin(arrivals.edges, score=S).alias(SCORE_BIN))
    frame = frame.join(arrivals.table, on=list(arrivals.keys), how="left", nulls_equal=True, maintain_order="left")
    frame = _unknown_strata(frame, arrivals)
    frame = _without_own(frame, scope)
    share = pl.col(ARRIVED) / pl.col(TOTAL)
    visible = pl.Series(SHARE, _seen(frame, scope, arrivals, runs))
    frame = frame.with_columns(visible)
    return frame.with_columns((pl.col(SHARE) < _LEAST).cast(pl.Float64).alias(UNSEEN)).with_columns(
        (share * pl.max_horizontal(SHARE, pl.lit(_LEAST))).alias(SHARE)
    )


def _unknown_strata(frame: pl.DataFrame, arrivals: Arrivals) -> pl.DataFrame:
    """A stratum without a single settled positive takes the share of the fullest one of its decision."""
    fullest = arrivals.table.sort(TOTAL, descending=True).group_by(DECISION, maintain_order=True).first()
    fullest = fullest.select(DECISION, *(pl.col(name).alias(f"{name}+") for name in (STRATUM, ARRIVED, TOTAL)))
    any_one = arrivals.table.sort(TOTAL, descending=True).row(0, named=True)
    frame = frame.join(fullest, on=DECISION, how="left", maintain_order="left")
    return frame.with_columns(
        pl.coalesce(name, f"{name}+", pl.lit(any_one[name])).alias(name) for name in (STRATUM, ARRIVED, TOTAL)
    ).drop(f"{name}+" for name in (STRATUM, ARRIVED, TOTAL))


def _without_own(frame: pl.DataFrame, scope: Scope) -> pl.DataFrame:
    mine = [*scope.keys, STRATUM]
    taught = pl.col(_FINAL) & (pl.col(_LABEL) == 1)
    own = (
        frame.filter(taught.fill_null(value=False))
        .group_by(mine)
        .agg(pl.col(KNOWN).sum().cast(pl.Float64).alias(_OWN[0]), pl.len().cast(pl.Float64).alias(_OWN[1]))
    )
    frame = frame.join(own, on=mine, how="left", nulls_equal=True, maintain_order="left")
    rest = pl.col(TOTAL) - pl.col(_OWN[1]).fill_null(0.0)
    left = pl.col(ARRIVED) - pl.col(_OWN[0]).fill_null(0.0)
    enough = (rest >= FEWEST) & (left > 0)
    return frame.with_columns(
        pl.when(enough).then(left).otherwise(ARRIVED).alias(ARRIVED),
        pl.when(enough).then(rest).otherwise(TOTAL).alias(TOTAL),
    )


def _seen(frame: pl.DataFrame, scope: Scope, arrivals: Arrivals, runs: list[Hidden]) -> Array:
    """Share of the arrivals up to the age that no run of short days swallowed."""
    seen = np.ones(frame.height)
    if scope.stage.age is None:
        return seen
    age = scope.stage.age / timedelta(days=1)
    decision = frame[DECISION].to_numpy()
    for number, run in enumerate(runs):
        mine = frame[f"{_RUN}{number}"].to_numpy()
        for flagged, lags in arrivals.lags.items():
            rows = mine & (decision == flagged)
            by_age = int(np.searchsorted(lags, age, side="right"))
            if not rows.any() or not by_age:
                continue
            made = frame.filter(pl.Series(rows))
            begin, end = (
                np.clip(made.select(_days_until(moment)).to_series().to_numpy(), 0, age)
                for moment in (run.start, run.end)
            )
            inside = np.searchsorted(lags, end, side="right") - np.searchsorted(lags, begin, side="right")
            seen[rows] *= 1 - run.lost * inside / by_age
    return seen


def _days_until(moment: datetime) -> pl.Expr:
    return (pl.lit(moment) - pl.col(_MADE)).dt.total_microseconds() / _DAY
