"""On which days did fewer labels arrive than the feed's own past predicts: counts in, runs of short days out."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

LENGTHS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28)
"""Days that are looked at together: a thin feed needs several to tell."""
FALSE_ALARMS: Final = 0.02
"""Nominal chance of a false stop, shared by all windows; they overlap, so the true one is far smaller."""
SHORTFALL: Final = {1: 0.6, 10: 0.5, 21: 0.4}
"""Only windows that bring less than this share of what was expected count, by least length in days: a feed that fails,
not a world that changes, which over weeks it may do by more."""
FEWEST_EXPECTED: Final = 8.0
TRAILING: Final = 56
_PRIOR: Final = 10.0
_WEEKDAY_PRIOR: Final = 20.0
_DRIFT: Final = 0.01
_MOST_RUNS: Final = 200
_CATCH_UP: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Days ``first`` to ``last`` (both included) on which a series fell short.

    ``caught_up`` is how many more than expected arrived on the next days, where that is more than chance: a feed
    that was only late delivers twice.
    """

    series: int
    first: int
    last: int
    arrived: float
    expected: float
    caught_up: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What arrived and what the arrival curve predicts; cells are combinations of slice values.

    Attributes
    ----------
    arrived, predicted
        Shape (cells, days): arrivals that are no backfill; predictions of earlier days times the arrival curve.
    members
        Shape (series, cells): which cells a series (a slice value, or everything) is made of.
    weekday
        Day of the week of each day, 0 to 6.
    """

    arrived: Array
    predicted: Array
    members: Bools
    weekday: Ints


def arrival_rates(made: Array, arrived_by_lag: Array) -> Array:
    """Labels per prediction that arrive k days after its day, from mature cohorts: (days of lag,)."""
    return arrived_by_lag / max(float(made.sum()), 1.0)


def predict(made: Array, rates: Array) -> Array:
    """Arrivals that the curve predicts, by cell and day: earlier days' predictions times the rate at that lag."""
    days = made.shape[1]
    expected = np.zeros_like(made, dtype=np.float64)
    for lag, rate in enumerate(np.trim_zeros(rates[:days], "b")):
        expected[:, lag:] += rate * made[:, : days - lag]
    return expected


def short_runs(feed: Feed) -> list[Run]:
    """Runs of days on which a series fell short, the clearest first.

    A shortfall of one slice value shows in every series that shares rows with it. So the series that explains most
    is named, its rows are left out of these days, and the rest is looked at again.
    """
    masked = np.zeros(feed.arrived.shape, dtype=bool)
    runs: list[Run] = []
    while len(runs) < _MOST_RUNS:
        found = _clearest(feed, masked)
        if found is None:
            break
        runs.append(found)
        masked[feed.members[found.series], found.first : found.last + 1] = True
    return runs


def _clearest(feed: Feed, masked: Bools) -> Run | None:
    """The series and run with the largest log likelihood ratio among those that fall short beyond chance."""
    arrived, expected = _series(feed, masked)
    short = np.zeros(arrived.shape, dtype=bool)
    windows = _Windows.of(arrived, expected, short, weekday=feed.weekday)
    for _ in range(3):
        marked = windows.short_days()
        if (marked == short).all():
            break
        short = marked
        windows = _Windows.of(arrived, expected, short, weekday=feed.weekday)
    return windows.clearest(short)


def _series(feed: Feed, masked: Bools) -> tuple[Array, Array]:
    """Arrivals and predictions by series, each cell at its own long-run level, masked cells left out."""
    kept = ~masked
    arrived, predicted = feed.arrived * kept, feed.predicted * kept
    level = (arrived.sum(1) + _PRIOR) / (predicted.sum(1) + _PRIOR)
    members = feed.members.astype(np.float64)
    return members @ arrived, members @ (predicted * level[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """Arrivals in windows of several lengths, held against the recent level of the same series."""

    arrived: Array
    expected: Array
    daily: Array
    significant: dict[int, Bools]
    ratio: dict[int, Array]
    total: dict[int, tuple[Array, Array]]

    @classmethod
    def of(cls, arrived: Array, expected: Array, short: Bools, *, weekday: Ints) -> "_Windows":
        expected = expected * _weekday_factor(arrived, expected, short, weekday)
        level, known = _recent_level(arrived, expected, short)
        spread = _dispersion(arrived, expected * level, short)
        total = {length: _sums(arrived, expected, level, length) for length in LENGTHS if length <= arrived.shape[1]}
        told = {length: mean >= FEWEST_EXPECTED for length, (_, mean) in total.items()}
        bar = FALSE_ALARMS / max(sum(int(some.sum()) for some in told.values()), 1)
        significant: dict[int, Bools] = {}
        ratio: dict[int, Array] = {}
        for length, (count, mean) in total.items():
            starts = count.shape[1]
            extra = spread[:, None] / length + _DRIFT + 1 / known[:, :starts]
            share = SHORTFALL[max(least for least in SHORTFALL if least <= length)]
            low = told[length] & (count <= share * mean)
            chance = np.ones_like(mean)
            chance[low] = lower_tail(count[low], mean[low], extra[low])
            significant[length] = low & (chance < bar)
            gain = count * np.log(np.where(count > 0, count / np.maximum(mean, 1e-9), 1.0))
            ratio[length] = np.where(significant[length], gain - count + mean, 0)
        return cls(
            arrived=arrived,
            expected=expected,
            daily=expected * level,
            significant=significant,
            ratio=ratio,
            total=total,
        )

    def short_days(self) -> Bools:
        """Days inside some significant window."""
        marked = np.zeros(self.arrived.shape, dtype=bool)
        for length, hit in self.significant.items():
            for offset in range(length):
                marked[:, offset : offset + hit.shape[1]] |= hit
        return marked

    def clearest(self, short: Bools) -> Run | None:
        best = max(((float(gain.max()), length) for length, gain in self.ratio.items() if gain.size), default=(0.0, 0))
        if best[0] <= 0:
            return None
        length = best[1]
        series, first = np.unravel_index(int(self.ratio[length].argmax()), self.ratio[length].shape)
        return self._run(int(series), int(first), int(first) + length - 1, short[int(series)])

    def _run(self, series: int, first: int, last: int, short: Bools) -> Run:
        """Grow the window over neighbouring short days, then keep the stretch that explains most."""
        window = slice(first, last + 1)
        share = self.arrived[series, window].sum() / max(float(self.daily[series, window].sum()), 1e-9)
        while first > 0 and short[first - 1]:
            first -= 1
        while last + 1 < len(short) and short[last + 1]:
            last += 1
        window = slice(first, last + 1)
        begin, end = _likeliest(self.arrived[series, window], self.daily[series, window], share=share)
        first, last = first + begin, first + end
        here = slice(first, last + 1)
        after = slice(last + 1, last + 1 + _CATCH_UP)
        excess = self.arrived[series, after] - self.daily[series, after]
        flood = excess > 4 * np.sqrt(self.daily[series, after] + 1)
        return Run(
            series=series,
            first=first,
            last=last,
            arrived=float(self.arrived[series, here].sum()),
            expected=float(self.daily[series, here].sum()),
            caught_up=float(excess[flood].sum()),
        )


def _likeliest(arrived: Array, expected: Array, *, share: float) -> tuple[int, int]:
    """First and last day of the stretch in which "this share still came" beats "all came" most clearly."""
    share = min(max(share, 0.05), 0.9)
    gain = np.concatenate([[0.0], np.cumsum(arrived * np.log(share) + expected * (1 - share))])
    lowest = np.minimum.accumulate(gain[:-1])
    end = int(np.argmax(gain[1:] - lowest))
    return int(np.argmin(gain[: end + 1])), end


def _weekday_factor(arrived: Array, expected: Array, short: Bools, weekday: Ints) -> Array:
    """How much of a week's labels each weekday brings, by series, shrunk towards all series together."""
    kept = ~short
    days = np.eye(7)[weekday]
    seen, due = (arrived * kept) @ days, (expected * kept) @ days
    overall = (seen[:1] + _PRIOR) / (due[:1] + _PRIOR)
    factor = (seen + _WEEKDAY_PRIOR * overall) / (due + _WEEKDAY_PRIOR)
    return factor[:, weekday]


def _recent_level(arrived: Array, expected: Array, short: Bools) -> tuple[Array, Array]:
    """Level of each series over the weeks before each day, and on how many labels it rests; short days are left out.

    A base rate that moves slowly moves the level with it, so that it never stops the feed.
    """
    kept = ~short
    whole = ((arrived * kept).sum(1) + _PRIOR) / ((expected * kept).sum(1) + _PRIOR)
    seen, due = (_trailing(values * kept) for values in (arrived, expected))
    level = (seen + _PRIOR * whole[:, None]) / (due + _PRIOR)
    return level, np.maximum(level * (due + _PRIOR), 1.0)


def _trailing(values: Array) -> Array:
    """Sum over the days before each day, at most ``TRAILING`` of them."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    days = np.arange(values.shape[1])
    return total[:, days] - total[:, np.maximum(days - TRAILING, 0)]


def _dispersion(arrived: Array, mean: Array, short: Bools) -> Array:
    """How much more than Poisson a series varies from day to day: variance = mean + spread x mean squared.

    Short days and the most extreme days above the mean are left out: neither an outage nor the flood that follows
    it may hide the next outage.
    """
    due = np.maximum(mean, 1e-9)
    excess = np.square(arrived - mean) - mean
    kept = ~short & (mean > 0)
    extreme = np.quantile(np.where(kept, arrived / due, 0.0), 0.99, axis=1, keepdims=True)
    kept &= arrived / due <= np.maximum(extreme, 2.0)
    base = np.where(kept, np.square(mean), 0.0).sum(1)
    return np.maximum(np.where(kept, excess, 0.0).sum(1) / np.maximum(base, 1e-9), 0.0)


def _sums(arrived: Array, expected: Array, level: Array, length: int) -> tuple[Array, Array]:
    """Arrivals and expectation of every window of this length, at the level known when it begins."""
    starts = arrived.shape[1] - length + 1
    count, due = (
        np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)[:, length:]
        - np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)[:, :starts]
        for values in (arrived, expected)
    )
    return count, due * level[:, :starts]


def lower_tail(count: Array, mean: Array, extra: Array) -> Array:
    """Chance of at most ``count`` when the mean is expected and the variance is mean + extra x mean squared.

    A negative binomial law: Poisson counts whose mean itself is uncertain.

    >>> lower_tail(np.array([0.0]), np.array([20.0]), np.array([1e-6])).round(11).tolist()
    [2.06e-09]
    """
    size = 1 / np.maximum(extra, 1e-6)
    from scipy.special import betainc  # loaded where silence is judged, not by every join

    return np.asarray(betainc(size, np.floor(count) + 1, size / (size + mean)), dtype=np.float64)
