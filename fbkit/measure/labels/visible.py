"""The chance that a positive of each row is known by an age: its stratum's share, less what an outage swallowed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.labels.latency import (
    ARRIVED,
    DECISION,
    FEWEST,
    SCORE_BIN,
    STRATUM,
    TOTAL,
    Arrivals,
    score_bin,
    settled,
)
from fbkit.measure.registry import F, S
from fbkit.measure.scope import Scope
from fbkit.measure.stats.intervals import Array
from fbkit.schema.label import longest_delay
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
    """The runs whose labels did not come through the feed: never, or by a backfill, which is not what F is about."""
    feed = getattr(joined, "feed", None)
    if feed is None or feed.is_empty():
        return []
    weights = _weekdays(joined)
    made: list[Hidden] = []
    for name, value, start, end, arrived, expected, recovered, complete in feed.iter_rows():
        days = [(start + timedelta(days=day)).weekday() for day in range((end - start).days)]
        # A run of weekends, on which little is due anyway, loses less than its length says.
        due = float(np.mean([weights[day] for day in days]))
        lost = due * max(0.0, 1 - arrived / max(expected, 1.0))
        run = Hidden(rows=_belongs(name, value), start=start, end=end, lost=lost)
        if not complete or _backfilled(joined, run) >= recovered / 2:
            made.append(run)
    return made


def _weekdays(joined: JoinedLike) -> list[float]:
    """How much of a week's positives each weekday brings, 1 on average; Monday is the first."""
    came = joined.frame.lazy().filter((pl.col("label") == 1) & (pl.col("source") != "backfill"))
    counts = dict(came.group_by(pl.col("ts_arrival").dt.weekday()).len().collect().iter_rows())
    total = max(sum(counts.values()), 1)
    return [7 * counts.get(day, 0) / total for day in range(1, 8)]


def _backfilled(joined: JoinedLike, run: Hidden) -> int:
    late = (pl.col("source") == "backfill") & (pl.col("label") == 1) & (pl.col("ts_event") < run.end)
    late &= (pl.col("ts_arrival") >= run.end) & run.rows
    return int(joined.frame.lazy().select(late.sum()).collect().item())


def _belongs(name: str | None, value: str | None) -> pl.Expr:
    if name is None:
        return pl.lit(value=True)
    return pl.col(name).cast(pl.String).eq_missing(pl.lit(value, dtype=pl.String))


def touched(joined: JoinedLike, runs: list[Hidden]) -> pl.Expr:
    """Whether labels of a row may have been due in one of the runs."""
    longest = longest_delay(joined)
    inside = [run.rows & (pl.col("ts_pred") < run.end) & (pl.col("ts_pred") + longest > run.start) for run in runs]
    return pl.any_horizontal(inside) if inside else pl.lit(value=False)


def working_columns(joined: JoinedLike, runs: list[Hidden], *, age: timedelta) -> dict[str, pl.Expr]:
    """What a scope has to carry for :func:`with_shares`."""
    known = (pl.col("label") == 1) & (pl.col("arrival_lag") <= age)
    for run in runs:
        # What a backfill brought stands for no others: the share that the feed lost is allowed for instead.
        known &= ~((pl.col("source") == "backfill").fill_null(value=False) & run.rows)
    return {
        KNOWN: known.fill_null(value=False),
        _MADE: pl.col("ts_pred"),
        _LABEL: pl.col("label"),
        _FINAL: settled(joined) & ~pl.col("blocked") & ~touched(joined, runs),
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
            seen[rows] *= np.maximum(1 - run.lost * inside / by_age, 0.0)
    return seen


def _days_until(moment: datetime) -> pl.Expr:
    return (pl.lit(moment) - pl.col(_MADE)).dt.total_microseconds() / _DAY
