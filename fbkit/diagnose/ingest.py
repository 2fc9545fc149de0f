"""How many labels of old predictions should have arrived on each day, and on which days too few or too many did."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from fbkit.diagnose.bootstrap import Floats, Ints

Bools = NDArray[np.bool_]

DAY_P: Final = 1e-5
"""A day (or a run of days) with so small a chance is not chance."""
LEAST_MOVE: Final = 0.1
"""By which share arrivals must miss, or exceed, what is expected."""
FEWEST_COHORTS: Final = 2.5
"""Days whose labels come from fewer days of predictions (effectively) tell a cohort from a day of arrival too badly."""
FEWEST_EXPECTED: Final = 8.0
RUNS: Final = (1, 2, 3, 5, 7)
"""Days that are looked at together: a thin feed needs several to tell."""
ROUNDS: Final = 10
CALM_DAY: Final = 0.03
"""Days differ by at least so much beyond counting, relative to their size."""
CALM_COHORT: Final = 0.02
"""So do the shares of predictions of a day that are ever labelled."""
ENOUGH: Final = 30.0
"""Expected arrivals from which a day or cohort says something about how days or cohorts differ."""
_RATE_PRIOR: Final = 50.0
_WEEKDAY_PRIOR: Final = 1.0
_PATTERN_PRIOR: Final = 50.0
_PASSES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Labels of old predictions by series, day of the prediction and days until the arrival.

    Attributes
    ----------
    arrived
        Shape (series, days of predictions, lags).
    made
        Predictions: (series, days of predictions).
    first
        The first day, in days since 1970.
    days
        Whole days of arrival that are over at the evaluation time, counted from ``first``.
    calm
        Days of arrival before this one tell how much healthy days differ.
    """

    arrived: Floats
    made: Floats
    first: int
    days: int
    calm: int

    @property
    def arrival_day(self) -> Ints:
        """Day of arrival by day of prediction and lag."""
        _, cohorts, lags = self.arrived.shape
        return np.arange(cohorts)[:, None] + np.arange(lags)[None, :]

    def by_day(self, cells: Floats) -> Floats:
        """Sums of cells by day of arrival: (series, days)."""
        day = self.arrival_day.ravel()
        inside = day < self.days
        flat = cells.reshape(len(cells), -1)
        return np.array(
            [np.bincount(day[inside], weights=row[inside], minlength=self.days) for row in flat], dtype=np.float64
        )


def expected(counts: Counts, masked: Bools) -> Floats:
    """Arrivals by series, day of prediction and lag, from all the days that are not masked.

    The rate of a lag, times how the day of arrival's weekday differs, times how that weekday and lag differ together
    (weekly loads), times how many labels the cohort brings altogether: each shrunk to what the others say.
    """
    day = counts.arrival_day
    open_ = day < counts.days
    used = (open_[None] & ~masked[:, np.minimum(day, counts.days - 1)]).astype(np.float64)
    n = counts.arrived * used
    weekday = (counts.first + np.arange(counts.arrived.shape[1])) % 7
    arrives = (counts.first + day) % 7
    level = np.ones_like(counts.made)
    prior = 1 / CALM_COHORT**2
    cells = np.zeros_like(n)
    for turn in range(_PASSES):
        base = counts.made * level
        top, bottom = n.sum(1), (base[:, :, None] * used).sum(1)
        pooled = top.sum(0) / np.maximum(bottom.sum(0), 1.0)
        cells = base[:, :, None] * ((top + _RATE_PRIOR * pooled) / (bottom + _RATE_PRIOR))[:, None, :]
        cells *= _of_weekday(n, cells * used, arrives)
        cells *= _of_pattern(n, cells * used, weekday)
        seen, due = n.sum(2), (cells * used).sum(2) / level
        if turn == 0:
            prior = 1 / max(CALM_COHORT, spread(seen, due)) ** 2
        level = (seen + prior) / (due + prior)
    return cells


def _of_weekday(n: Floats, cells: Floats, arrives: Ints) -> Floats:
    factor = np.ones((len(n), 7))
    for day in range(7):
        mine = arrives == day
        factor[:, day] = (n[:, mine].sum(1) + _WEEKDAY_PRIOR) / (cells[:, mine].sum(1) + _WEEKDAY_PRIOR)
    return factor[:, arrives]


def _of_pattern(n: Floats, cells: Floats, weekday: Ints) -> Floats:
    factor = np.ones((len(n), 7, n.shape[2]))
    for day in range(7):
        mine = weekday == day
        factor[:, day] = (n[:, mine].sum(1) + _PATTERN_PRIOR) / (cells[:, mine].sum(1) + _PATTERN_PRIOR)
    return factor[:, weekday]


def spread(seen: Floats, due: Floats) -> float:
    """How much counts differ from what is expected of them beyond counting, relative and robust; 0 with too few."""
    sure = due >= ENOUGH
    if int(sure.sum()) < 5:
        return 0.0
    error = seen[sure] / due[sure] - 1
    wide = (1.4826 * float(np.median(np.abs(error - np.median(error))))) ** 2
    return float(np.sqrt(max(0.0, wide - float(np.mean(1 / due[sure])))))


def at_most(count: Floats, due: Floats, *, noise: Floats) -> Floats:
    """Chance of at most so many, by a negative binomial law of mean ``due`` and relative spread ``noise``."""
    size = 1 / np.maximum(noise, 1e-3) ** 2
    return betainc(size, np.floor(count) + 1, size / (size + np.maximum(due, 1e-9)))


def at_least(count: Floats, due: Floats, *, noise: Floats) -> Floats:
    """Chance of at least so many under the same law."""
    size = 1 / np.maximum(noise, 1e-3) ** 2
    mean = np.maximum(due, 1e-9)
    few = np.ceil(count) <= 0
    return np.where(few, 1.0, betainc(np.maximum(np.ceil(count), 1.0), size, mean / (size + mean)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What arrived and what was expected by series and day, and the days that stand out.

    Attributes
    ----------
    observed, due
        Shape (series, days).
    down, flood
        Days on which too few, or too many, arrived.
    noise
        Relative spread of healthy days beyond counting.
    clear
        By series, how much better the counts fit with those days set apart (a Poisson deviance, which
        adds up over slices).
    cells
        The expectation by series, day of prediction and lag.
    """

    observed: Floats
    due: Floats
    down: Bools
    flood: Bools
    noise: float
    clear: Floats
    cells: Floats


def scan(counts: Counts, *, start: int) -> Scan:
    """Set days apart, the clearest first, until the rest is within chance.

    Parameters
    ----------
    start
        The first day (from ``counts.first``) that is looked at.
    """
    series = len(counts.made)
    down = np.zeros((series, counts.days), dtype=bool)
    flood = np.zeros_like(down)
    observed = counts.by_day(counts.arrived)
    while True:
        cells = expected(counts, down | flood)
        due = counts.by_day(cells)
        told = due**2 >= FEWEST_COHORTS * counts.by_day(cells**2)
        calm = ~(down | flood)[:, : counts.calm]
        noise = max(CALM_DAY, spread(observed[:, : counts.calm][calm], due[:, : counts.calm][calm]))
        found = _clearest(observed, due, down | flood | ~told, start=start, noise=noise)
        if not found or int((down | flood).any(0).sum()) > counts.days // 3:
            break
        for line, days, low in found:
            (down if low else flood)[line, days] = True
    down = _with_neighbours(observed, due, down, flood | ~told, start=start, noise=noise)
    clear = np.array(
        [_deviance(observed[i][down[i]], due[i][down[i]], noise=0.0).sum() for i in range(series)], dtype=np.float64
    )
    return Scan(observed=observed, due=due, down=down, flood=flood, noise=noise, clear=clear, cells=cells)


def _deviance(count: Floats, due: Floats, *, noise: Floats | float) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(count > 0, count * np.log(count / due), 0.0) - (count - due)
    return np.where(due > 0, 2 * moved / (1 + np.square(noise) * due), 0.0)


def _clearest(
    observed: Floats, due: Floats, masked: Bools, *, start: int, noise: float
) -> list[tuple[int, slice, bool]]:
    """Of each series the run of days that stands out most: series, days, whether too few arrived."""
    best: dict[int, tuple[float, slice, bool]] = {}
    count, mean = np.where(masked, 0.0, observed), np.where(masked, 0.0, due)
    chance = DAY_P / len(observed)
    for length in RUNS:
        if start + length > observed.shape[1]:
            break
        sums = [_running(part, length)[:, start:] for part in (count, mean, mean**2)]
        n, mu = sums[0], sums[1]
        wide = noise * np.sqrt(sums[2]) / np.maximum(mu, 1e-9)
        low = (n <= (1 - LEAST_MOVE) * mu) & (at_most(n, mu, noise=wide) < chance)
        high = (n >= (1 + LEAST_MOVE) * mu) & (at_least(n, mu, noise=wide) < chance)
        score = np.where((low | high) & (mu >= FEWEST_EXPECTED), _deviance(n, mu, noise=wide), 0.0)
        for line in range(len(observed)):
            at = int(score[line].argmax())
            if score[line, at] > best.get(line, (0.0,))[0]:
                days = slice(start + at, start + at + length)
                best[line] = (float(score[line, at]), days, bool(low[line, at]))
    return [(line, days, low) for line, (_, days, low) in best.items()]


def _running(values: Floats, length: int) -> Floats:
    total = np.concatenate([np.zeros((len(values), 1)), values.cumsum(1)], axis=1)
    return total[:, length:] - total[:, :-length]


def _with_neighbours(observed: Floats, due: Floats, down: Bools, out: Bools, *, start: int, noise: float) -> Bools:
    """Days beside a down day that fall short as well: it began or ended in their middle."""
    beside = np.zeros_like(down)
    beside[:, 1:] |= down[:, :-1]
    beside[:, :-1] |= down[:, 1:]
    beside[:, :start] = False
    short = (observed <= (1 - LEAST_MOVE) * due) & (at_most(observed, due, noise=np.array(noise)) < 1e-3)
    return down | (beside & short & ~out)
