"""When labels came, day by day and midnight by midnight, and what the contract promises about them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.rows import lazy_rows
from fbkit.schema.contract import Contract
from fbkit.schema.period import floor_day
from fbkit.schema.protocols import JoinedLike

Whole = NDArray[np.int64]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY: Final = timedelta(days=1)
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What is to be reached: ``minimum`` of the goal at an age, in days; ``due`` is the age in whole days."""

    goal: str
    minimum: float | None
    age: timedelta

    @property
    def due(self) -> int:
        """Days after the cohort's end at which it is judged."""
        return -(-self.age // DAY)

    @property
    def share(self) -> float:
        """The minimum, or everything."""
        return 1.0 if self.minimum is None else self.minimum

    @property
    def of_usual(self) -> bool:
        """Whether it is a share of what mature cohorts had, not of all predictions."""
        return self.goal in ("feed_completeness", "usual")


def promise_of(contract: Contract, *, delay: timedelta) -> Promise:
    """The contract's promise about labels; ``delay`` is the age at which windows are closed."""
    negative = contract.label.silence == "negative"
    goal = "feed_completeness" if negative else "label_availability"
    held = getattr(contract.slo, goal)
    if held is not None:
        return Promise(goal=goal, minimum=held.minimum, age=held.at)
    return Promise(goal="usual" if negative else "all", minimum=None, age=delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Predictions by day, and labels by day and the midnight that knew them first (days after the day).

    ``first`` is the number of the first day, ``now`` the last midnight that is known.
    """

    first: int
    n: Whole
    known: Whole
    now: datetime

    @property
    def today(self) -> int:
        """The last known midnight as a number of days."""
        return (self.now - EPOCH) // DAY

    def rows(self, start: int, length: int) -> int:
        """Predictions of these days."""
        low = start - self.first
        return int(self.n[max(low, 0) : max(low + length, 0)].sum())

    def path(self, start: int, length: int, *, until: int) -> Whole:
        """Labels known at each midnight from ``start`` to ``until`` days after it."""
        made = np.zeros(until + 1, dtype=np.int64)
        for day in range(max(start, self.first), min(start + length, self.first + len(self.n))):
            offset = day - start
            kept = self.known[day - self.first, : max(until + 1 - offset, 0)]
            made[offset : offset + len(kept)] += kept
        return np.cumsum(made)


def arrivals_of(joined: JoinedLike, *, within: timedelta) -> Arrivals:
    """Count joined rows; only labels count that came within this time of their prediction."""
    made = pl.col("ts_pred").dt.timestamp("us")
    lag = pl.col("arrival_lag").dt.total_microseconds()
    came = pl.col("label").is_not_null() & (pl.col("arrival_lag") <= within)
    day = made // _DAY_US
    offset = pl.when(came).then(-(-(made + lag) // _DAY_US) - day)
    counts = lazy_rows(joined).group_by(day.alias("day"), offset.alias("offset")).agg(pl.len().alias("n")).collect()
    now = floor_day(joined.as_of)
    if counts.is_empty():
        return Arrivals(first=0, n=np.zeros(0, dtype=np.int64), known=np.zeros((0, 1), dtype=np.int64), now=now)
    days, rows = counts["day"].to_numpy(), counts["n"].to_numpy().astype(np.int64)
    first = int(days.min())
    n = np.bincount(days - first, weights=rows)
    labelled = counts["offset"].is_not_null().to_numpy()
    place = counts["offset"].fill_null(0).to_numpy()
    known = np.zeros((len(n), int(place.max()) + 1), dtype=np.int64)
    np.add.at(known, (days[labelled] - first, place[labelled]), rows[labelled])
    return Arrivals(first=first, n=np.rint(n).astype(np.int64), known=known, now=now)
