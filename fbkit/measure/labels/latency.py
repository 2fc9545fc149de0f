"""How much of the positives is known by an age: shares of mature cohorts, by decision, score and slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.join.rows import settled
from fbkit.measure.stats.intervals import Array, homogeneity
from fbkit.schema.period import parse_instant
from fbkit.schema.protocols import JoinedLike

FEWEST: Final = 30
"""Positives that a stratum needs for a curve of its own."""
THIRDS: Final = 3
_DIFFERENT: Final = 0.01
DECISION, SCORE_BIN, REFERENCE, LAG = "\0decision", "\0scorebin", "\0reference", "\0lag"
ARRIVED, TOTAL, STRATUM, WEEK = "\0arrived", "\0total", "\0stratum", "\0week"


def feed_reach(joined: JoinedLike) -> datetime:
    """Up to when the whole feed is known to reach: the watermark without the runs that stop it, at most as-of."""
    stated = getattr(joined, "data_through", {}).get("outcomes")
    through = joined.contract.outcomes.complete_through
    return min(joined.as_of, through or (parse_instant(stated) if stated else joined.as_of))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Positives of settled rows: which strata they fall into, and how many of each are known at the age.

    Attributes
    ----------
    table
        One line per stratum: the keys, number, arrived, total.
    keys
        What strata differ by: decision, and score third or slice where arrival differs along them.
    edges
        Score thirds by decision, from the positives.
    lags
        Sorted arrival lags (days) by decision.
    extra
        Variance of the log share from cohort to cohort beyond the binomial.
    """

    table: pl.DataFrame
    keys: tuple[str, ...]
    edges: dict[bool, tuple[float, ...]]
    lags: dict[bool, Array]
    extra: float
    words: str
    positives: int


def learn(joined: JoinedLike, *, age: timedelta, by: Sequence[str], apart: pl.Expr | None = None) -> Arrivals | None:
    """Learn the share of positives known at ``age``; None with too few positives in settled rows.

    Rows ``apart`` (an outage fell into their window) teach only where too few others do.
    """
    positives = joined.frame.lazy().filter(settled(joined) & (pl.col("label") == 1) & ~pl.col("blocked"))
    if apart is not None and positives.filter(~apart).select(pl.len()).collect().item() >= FEWEST:
        positives = positives.filter(~apart)
    lag = pl.col("arrival_lag").dt.total_microseconds() / 86_400e6
    known = positives.select(
        *(pl.col(name).cast(pl.String) for name in by),
        _decision().alias(DECISION),
        "score",
        lag.alias(LAG),
        (pl.col("arrival_lag") <= age).fill_null(value=False).alias(ARRIVED),
        pl.col("ts_pred").dt.truncate("1w").alias(WEEK),
    ).collect()
    if known.height < FEWEST:
        return None
    edges = {decision: _thirds(known, decision) for decision in (False, True)}
    known = known.with_columns(score_bin(edges).alias(SCORE_BIN))
    keys = [DECISION]
    words = ["decision"]
    for name, told in ((SCORE_BIN, "score"), *((name, name) for name in by)):
        if _differs(known, keys=keys, along=name):
            keys.append(name)
            words.append(told)
    table = (
        known.group_by(keys)
        .agg(pl.col(ARRIVED).sum().cast(pl.Float64), pl.len().cast(pl.Float64).alias(TOTAL))
        .sort(keys, nulls_last=True)
    )
    table = _pooled(table, keys=keys).with_row_index(STRATUM)
    return Arrivals(
        table=table,
        keys=tuple(keys),
        edges=edges,
        lags={
            decision: np.sort(known.filter(pl.col(DECISION) == decision)[LAG].to_numpy()) for decision in (False, True)
        },
        extra=_extra(known.join(table.drop(ARRIVED), on=keys, nulls_equal=True), table),
        words=", ".join(words),
        positives=known.height,
    )


def _decision() -> pl.Expr:
    return pl.col("flagged").fill_null(value=False)


def _thirds(known: pl.DataFrame, decision: bool) -> tuple[float, ...]:  # noqa: FBT001 - a key of the table
    scores = known.filter(pl.col(DECISION) == decision)["score"].to_numpy()
    if len(scores) < THIRDS * FEWEST:
        return ()
    return tuple(float(edge) for edge in np.quantile(scores, np.arange(1, THIRDS) / THIRDS))


def score_bin(edges: dict[bool, tuple[float, ...]], *, score: str = "score") -> pl.Expr:
    """The third of the positives' scores that holds a row, by its decision."""
    counts = {
        decision: pl.sum_horizontal([(pl.col(score) > edge).cast(pl.Int8) for edge in cut] or [pl.lit(0, pl.Int8)])
        for decision, cut in edges.items()
    }
    return pl.when(DECISION).then(counts[True]).otherwise(counts[False]).cast(pl.Int8)


def _differs(known: pl.DataFrame, *, keys: list[str], along: str) -> bool:
    """Whether arrival by the age differs along a column within the strata so far (chi-square)."""
    from scipy.special import chdtrc

    square, freedom = 0.0, 0
    for _, part in known.group_by(keys, maintain_order=True):
        counts = part.group_by(along).agg(pl.col(ARRIVED).sum(), (~pl.col(ARRIVED)).sum().alias(TOTAL))
        counts = counts.filter(pl.col(ARRIVED) + pl.col(TOTAL) >= FEWEST)
        one, df = homogeneity(counts.select(ARRIVED, TOTAL).to_numpy())
        square, freedom = square + one, freedom + df
    return freedom > 0 and float(chdtrc(freedom, square)) < _DIFFERENT


def _pooled(table: pl.DataFrame, *, keys: list[str]) -> pl.DataFrame:
    """Thin strata take the share of their decision, and that of everything if this is thin too."""
    for over in ([DECISION], []):
        whole = [pl.col(name).sum().over(over) if over else pl.col(name).sum() for name in (ARRIVED, TOTAL)]
        thin = pl.col(TOTAL) < FEWEST
        table = (
            table.with_columns(
                pl.when(thin).then(sums).otherwise(name).alias(f"{name}+")
                for name, sums in zip((ARRIVED, TOTAL), whole, strict=True)
            )
            .with_columns(pl.col(f"{name}+").alias(name) for name in (ARRIVED, TOTAL))
            .drop(f"{ARRIVED}+", f"{TOTAL}+")
        )
    return table.select(*keys, ARRIVED, TOTAL)


def _extra(known: pl.DataFrame, table: pl.DataFrame) -> float:
    """Between-week variance of the log share, beyond what counting explains (moments)."""
    shares = table.select(STRATUM, (pl.col(ARRIVED) / pl.col(TOTAL)).alias("\0share"))
    weeks = (
        known.join(shares, on=STRATUM)
        .group_by(WEEK)
        .agg(
            pl.col(ARRIVED).sum().cast(pl.Float64).alias("seen"),
            pl.col("\0share").sum().alias("due"),
            (pl.col("\0share") * (1 - pl.col("\0share"))).sum().alias("variance"),
        )
    )
    weeks = weeks.filter(pl.col("variance") > 0)
    if weeks.height < 3:
        return 0.0
    seen, due, variance = (weeks[name].to_numpy() for name in ("seen", "due", "variance"))
    beyond = float(np.sum((seen - due) ** 2 - variance))
    return max(beyond / float(np.sum(due**2)), 0.0)
