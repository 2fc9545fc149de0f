"""When labels arrive, learned from cohorts whose window has closed, and the share of them that an age lets one see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.history import INSTANT, History
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene

STEPS: Final = 20
"""A law has jumps if so many labels share one lag on average."""
KNOTS: Final = 2_000
"""Points that an arrival law is thinned to."""
FEWEST_OF_WEEKDAY: Final = 200
OWN_WEEKDAY: Final = 100.0
"""Labels that the warped law of a weekday counts as, beside the weekday's own."""
WEEKDAYS_APART: Final = 0.04
WEEKDAYS_SURE: Final = 8.0
"""Weekdays differ in their law of arrival by at least so much, and so clearly (n times the distance squared)."""
MOST_LABELS: Final = 50_000
"""Labels that one law is learned from; more make it no better and take their time."""

Group = tuple[int, int]
"""Outcome and decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Distribution of the time from prediction to arrival, in days, of the labels that ever arrive.

    ``share`` of them has arrived by ``lag``; both ascend. In between it is interpolated, beyond the last lag it stays.
    ``by_weekday`` are the laws of predictions of each weekday (from day 0 of 1970 on), where they differ.
    """

    lag: Floats
    share: Floats
    by_weekday: tuple["Law", ...] = ()

    def at(self, age: Floats) -> Floats:
        """Share that has arrived by an age."""
        return np.interp(age, self.lag, self.share, left=0.0, right=float(self.share[-1]))

    @property
    def reach(self) -> float:
        """The age at which everything that comes has come."""
        return float(self.lag[-1])

    def until(self, closed: float) -> "Law":
        """The law of what arrives by the window's close: later arrivals count as arrived then."""
        whole = float(self.at(np.array([closed]))[0])
        if whole <= 0:
            return self
        lag = np.append(self.lag[self.lag < closed], closed)
        return Law(lag=lag, share=np.minimum(self.at(lag) / whole, 1.0))

    def on_weekdays(self, pooled: "Law", weekdays: Sequence["Law"], own: Sequence[tuple[int, "Law | None"]]) -> "Law":
        """This law for each weekday, between the weekday's own (labels, law) and this one as the weekday warps time.

        Warped: an age counts as the age at which as much has arrived over all outcomes, decisions and weekdays.
        """
        made: list[Law] = []
        for all_, (n, mine) in zip(weekdays, own, strict=True):
            share = self.at(np.interp(all_.share, pooled.share, pooled.lag))
            if mine is not None:
                share = (n * mine.at(all_.lag) + OWN_WEEKDAY * share) / (n + OWN_WEEKDAY)
            made.append(Law(lag=all_.lag, share=np.maximum.accumulate(share)))
        return Law(lag=self.lag, share=self.share, by_weekday=tuple(made))


Laws = Mapping[Group, Law]


def product_limit(lag: Floats, age: Floats, weight: Floats) -> Law:
    """The law from labels that are only known because they arrived by the age of their row.

    Parameters
    ----------
    lag, age
        Days to the arrival and days to the evaluation time of labelled rows; no lag exceeds its age.
    weight
        Positive weights.

    Notes
    -----
    Reverse-time hazard (Lynden-Bell 1971; Kalbfleisch & Lawless 1989): at every lag, the arrivals there over all
    arrivals by then of rows at least that old. With ages beyond every lag it is the plain distribution function.
    """
    order = np.argsort(lag, kind="stable")
    by_age = np.argsort(age, kind="stable")
    gone = np.concatenate([[0.0], np.cumsum(weight[by_age])])
    lag, weight = lag[order], weight[order]
    at_risk = np.cumsum(weight) - gone[np.searchsorted(age[by_age], lag, side="left")]
    stay = np.clip(1 - weight / np.maximum(at_risk, weight), 0.0, 1.0)
    share = np.append(np.cumprod(stay[:0:-1])[::-1], 1.0)
    last = np.append(lag[1:] > lag[:-1], True)
    lag, share = lag[last], share[last]
    if len(lag) * STEPS < len(last):
        return _steps(lag, share)
    if len(lag) > KNOTS:
        kept = np.unique(np.linspace(0, len(lag) - 1, KNOTS).round().astype(np.int64))
        lag, share = lag[kept], share[kept]
    return Law(lag=np.concatenate([[0.0], np.maximum(lag, 1e-9)]), share=np.concatenate([[0.0], share]))


def _steps(lag: Floats, share: Floats) -> Law:
    """A law of few values: it jumps there and is flat in between."""
    before = np.concatenate([[0.0], share[:-1]])
    return Law(
        lag=np.concatenate([[0.0], np.stack([np.maximum(lag - INSTANT, 0.0), lag], axis=1).ravel()]),
        share=np.concatenate([[0.0], np.stack([before, share], axis=1).ravel()]),
    )


def enough(known: History, *, fewest: int) -> bool:
    """Enough labels of closed windows: without them nothing says when the last label comes."""
    return int((known.healthy & known.closed & np.isfinite(known.lag)).sum()) >= fewest


def learn(known: History, *, fewest: int, weekdays: bool = True, weight: Floats | None = None) -> dict[Group, Law]:
    """The law of each outcome and decision; thin ones are pooled over decisions, then over everything.

    Parameters
    ----------
    weekdays
        Look whether predictions of some weekdays wait longer; without young rows that changes nothing.
    weight
        What each label stands for (labels that an outage took along); 1 by default.
    """
    usable = known.healthy & np.isfinite(known.lag) & (known.lag >= 0)
    age = known.as_of - known.made
    usable &= known.lag <= age
    pattern = _weekday_pattern(known, usable) if weekdays else None
    stands = np.ones(len(age)) if weight is None else weight
    found: dict[Group, Law] = {}
    for outcome in (0, 1):
        mine = known.weight(outcome) * stands
        for decision in (0, 1):
            for part in (usable & (mine > 0) & (known.decision == decision), usable & (mine > 0), usable):
                rows = np.flatnonzero(part)
                if len(rows) >= fewest:
                    rows = rows[:: -(-len(rows) // MOST_LABELS)]
                    amount = mine[rows] if (mine[rows] > 0).all() else stands[rows]
                    law = product_limit(known.lag[rows], age[rows], amount).until(known.open)
                    own = [_own(known, rows, amount, day=day) for day in range(7)] if pattern else []
                    found[outcome, decision] = law.on_weekdays(*pattern, own) if pattern else law
                    break
    return found


def _own(known: History, rows: Ints, amount: Floats, *, day: int) -> tuple[int, Law | None]:
    """Labels of one weekday and their law."""
    part = _weekday(known.made[rows]) == day
    mine = rows[part]
    if not len(mine):
        return 0, None
    return len(mine), product_limit(known.lag[mine], known.as_of - known.made[mine], amount[part]).until(known.open)


def _weekday_pattern(known: History, usable: Flags) -> tuple[Law, tuple[Law, ...]] | None:
    """The law of everything and that of each weekday, if the weekdays differ: loads once a week, idle weekends."""
    rows = np.flatnonzero(usable & known.closed)
    rows = rows[:: -(-len(rows) // MOST_LABELS)]
    lag, age, weekday = known.lag[rows], known.as_of - known.made[rows], _weekday(known.made[rows])
    counts = np.bincount(weekday, minlength=7)
    if counts.min() < FEWEST_OF_WEEKDAY:
        return None

    def law(part: Ints) -> Law:
        return product_limit(lag[part], age[part], np.ones(len(part))).until(known.open)

    whole = law(np.arange(len(rows)))
    each = tuple(law(np.flatnonzero(weekday == day)) for day in range(7))
    apart = np.array([np.abs(own.at(own.lag) - whole.at(own.lag)).max() for own in each])
    differs = (apart > WEEKDAYS_APART) & (counts * apart**2 > WEEKDAYS_SURE)
    return (whole, each) if differs.any() else None


def _weekday(made: Floats) -> Ints:
    return np.floor(made).astype(np.int64) % 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Between ``start`` and ``end`` (days since 1970) the share ``lost`` of what arrives is lost.

    ``rows`` limits it to some rows of both windows, ``outcome`` to one outcome; None is all.
    """

    start: float
    end: float
    lost: float
    rows: Flags | None = None
    outcome: int | None = None

    def on(self, places: Ints) -> Floats:
        """The share lost of the rows at these places."""
        touched = np.ones(len(places)) if self.rows is None else self.rows[places].astype(np.float64)
        return self.lost * touched


def seen(law: Law, made: Floats, *, as_of: float, gaps: Sequence[tuple[float, float, Floats]] = ()) -> Floats:
    """Share of a law's labels that is visible at ``as_of``: arrived by then, and not within a gap.

    Parameters
    ----------
    made
        Times of the predictions in days.
    gaps
        Start, end and the lost share of each row.
    """
    if law.by_weekday:
        share, weekday = np.ones(len(made)), _weekday(made)
        for day, own in enumerate(law.by_weekday):
            rows = np.flatnonzero(weekday == day)
            share[rows] = seen(own, made[rows], as_of=as_of, gaps=[(a, b, lost[rows]) for a, b, lost in gaps])
        return share
    share = law.at(as_of - made)
    for start, end, lost in gaps:
        last, first = min(end, as_of), min(start, as_of)
        touched = (made < last) & (made + law.reach > first)
        # What arrives exactly at the start is within, at the end it is not.
        inside = law.at(last - made[touched] - 2 * INSTANT) - law.at(first - made[touched] - 2 * INSTANT)
        share[touched] -= lost[touched] * inside
    return np.clip(share, 0.0, 1.0)


def visible(scene: Scene, known: History, laws: Sequence[Laws], *, gaps: Sequence[Gap] = ()) -> tuple[Floats, Floats]:
    """Visible share of a positive (other) label for every row of both windows.

    Parameters
    ----------
    laws
        Of the reference window and of the current one.
    """
    n = known.rows
    shares = [np.ones(n), np.ones(n)]
    for outcome in (0, 1):
        active = [gap for gap in gaps if gap.outcome in (None, outcome)]
        for window in (REFERENCE, CURRENT):
            for decision in (0, 1):
                mine = np.flatnonzero((scene.rows.window == window) & (known.decision[:n] == decision))
                law = laws[window].get((outcome, decision))
                if law is None or not len(mine):
                    continue
                cut = [(gap.start, gap.end, gap.on(mine)) for gap in active]
                shares[outcome][mine] = seen(law, known.made[mine], as_of=known.as_of, gaps=cut)
    if scene.silent:
        # Nobody reports a negative: it is there once the window has closed.
        shares[0] = np.where(scene.rows.mature, 1.0, 0.0)
    return shares[1], shares[0]
