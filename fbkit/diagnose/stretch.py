"""By how much a law of arrivals is stretched, from labels that are only seen if they arrived in time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.visibility import Law

ATOMS: Final = 1_000
"""Labels of the reference that stand for its law."""
WHOLE: Final = 20_000
"""The same where events and arrivals are looked at together."""
MOST_BINS: Final = 800
THIN: Final = 125.0
"""A bin gives each neighbour this over the number of labels, at most a quarter."""
ROUNDING: Final = 1e-9
SHORTEST_WAIT: Final = 0.01
"""Days: shorter waits are as good as none."""
WAIT_STEP: Final = 0.25
"""Width of the bins of the logarithm of a wait."""
EIGHTHS: Final = 8
MARGINS: Final = 0.1
"""Share of the product of the margins in the joint law of event and arrival."""
STRAY: Final = 0.01
"""Share of labels that may arrive at any time: a few strays must not decide."""
TIMES, EVENTS, WAIT, LATER = "times", "events", "wait", "later"
FAMILIES: Final = (TIMES, EVENTS, WAIT, LATER)
"""The time from prediction to arrival times k, with the events where they were or times k as well; the time from event
to arrival times k; every arrival so many days later."""
_GRID: Final = {
    TIMES: np.exp(np.arange(-40, 61) * 0.04),
    EVENTS: np.exp(np.arange(-40, 61) * 0.04),
    WAIT: np.exp(np.arange(-20, 51) * 0.08),
    LATER: np.arange(81) / 80,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """A sample that stands for a law: days to the event, days to the arrival, and weights that sum to 1.

    It stands for ``n`` labels. If they are loaded ``daily``, those that are later wait for a later load: lags are
    whole days.
    """

    event: Floats
    lag: Floats
    weight: Floats
    n: int
    daily: bool = False

    @classmethod
    def of(cls, event: Floats, lag: Floats, weight: Floats, *, most: int = ATOMS, daily: bool = False) -> "Atoms":
        """Labels in order of the lag, denser in the far tail."""
        event = np.clip(event, 0.0, lag)
        order = np.argsort(lag, kind="stable")
        reached = np.cumsum(weight[order])
        if len(lag) > most:
            edges = _edges(most, finest=1 / len(lag))
            wanted = (edges[1:] + edges[:-1]) / 2 * reached[-1]
            order = order[np.searchsorted(reached, wanted).clip(0, len(order) - 1)]
            return cls(event=event[order], lag=lag[order], weight=np.diff(edges), n=len(lag), daily=daily)
        return cls(event=event[order], lag=lag[order], weight=weight[order] / reached[-1], n=len(lag), daily=daily)

    def moved(self, family: str, size: Floats) -> Floats:
        """Lags under every size of a change: shape (sizes, atoms)."""
        lag = self._later(family, size)
        return np.ceil(lag - 1e-6) if self.daily else lag

    def _later(self, family: str, size: Floats) -> Floats:
        if family in (TIMES, EVENTS):
            return size[:, None] * self.lag
        if family == WAIT:
            return self.event + size[:, None] * (self.lag - self.event)
        return self.lag + size[:, None]

    def median(self, family: str, size: float) -> float:
        """Median lag after the change."""
        lag = self.moved(family, np.array([size]))[0]
        order = np.argsort(lag, kind="stable")
        return float(lag[order][np.searchsorted(np.cumsum(self.weight[order]), 0.5).clip(0, len(lag) - 1)])

    def kept(self, family: str, size: Floats, *, window: float) -> Floats:
        """Weights under every size: an event that moves out of the window is never a label."""
        if family != EVENTS:
            return np.broadcast_to(self.weight, (len(size), len(self.weight)))
        return np.where(size[:, None] * self.event <= window, self.weight, 0.0)

    def law(self, family: str, size: float, *, closed: float, window: float) -> Law:
        """The law after the change of what would have arrived by ``closed`` (later arrivals count as arrived then)."""
        lag = np.minimum(self.lag, closed)
        intime = replace(self, lag=lag, event=np.minimum(self.event, lag))
        lag = intime.moved(family, np.array([size]))[0]
        kept = intime.kept(family, np.array([size]), window=window)[0]
        order = np.argsort(lag, kind="stable")
        # What is complete at the close is so in spite of rounding.
        lag, share = np.maximum(lag[order] - ROUNDING, ROUNDING), np.cumsum(kept[order])
        last = np.append(lag[1:] > lag[:-1], True)
        return Law(lag=np.concatenate([[0.0], lag[last]]), share=np.concatenate([[0.0], share[last]]))


def _edges(most: int, *, finest: float) -> Floats:
    """Shares that cut a law into pieces: equal ones, and a fifth of them ever smaller towards the longest lags."""
    even = most * 4 // 5
    tail = 1 - np.geomspace(1 / even, min(finest, 0.5 / even), most - even)
    return np.concatenate([np.arange(even) / even, tail, [1.0]])


def sizes(family: str, *, closed: float) -> Floats:
    """The sizes that are tried; ``later`` in days, up to the window."""
    return _GRID[family] * (closed if family == LATER else 1.0)


def unchanged(family: str) -> int:
    """Place of "no change" among the sizes."""
    return int(np.argmin(np.abs(_GRID[family] - (0.0 if family == LATER else 1.0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Labels of one group of rows, counted on a grid of ``step`` days.

    Attributes
    ----------
    arrived
        Labels by lag, ``step`` days each.
    labels
        Labels by prediction time.
    made
        Those times.
    lost
        Start, end and lost share of the gaps.
    """

    step: float
    arrived: Floats
    labels: Floats
    made: Floats
    as_of: float
    gaps: Sequence[tuple[float, float, float]] = ()

    @property
    def n(self) -> float:
        return float(self.arrived.sum())


def sample(
    made: Floats,
    lag: Floats,
    weight: Floats,
    *,
    step: float,
    as_of: float,
    gaps: Sequence[tuple[float, float, float]] = (),
) -> Sample:
    """Count labels by lag and by time of prediction."""
    place = np.floor(lag / step).astype(np.int64).clip(0, MOST_BINS - 1)
    _, at = np.unique(np.floor(made / step).astype(np.int64), return_inverse=True)
    return Sample(
        step=step,
        arrived=np.bincount(place, weights=weight).astype(np.float64),
        labels=np.bincount(at, weights=weight).astype(np.float64),
        made=np.bincount(at, weights=made) / np.bincount(at),
        as_of=as_of,
        gaps=gaps,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Log likelihood of every size; ``chance`` is the part of it that stands for being seen at all."""

    total: Floats
    chance: Floats


def likelihood(atoms: Atoms, seen: Sample, family: str, *, closed: float, window: float) -> Curve:
    """Log likelihood of every size, given that the labels are seen (truncated at each row's age and at the gaps)."""
    oldest = float(seen.as_of - seen.made.min()) if len(seen.made) else 0.0
    bins = int(min(MOST_BINS, max(len(seen.arrived), np.ceil(oldest / seen.step) + 1)))
    size = sizes(family, closed=closed)
    place = np.floor(atoms.moved(family, size) / seen.step).astype(np.int64).clip(0, bins)
    code = place + np.arange(len(size))[:, None] * (bins + 1)
    weight = atoms.kept(family, size, window=window)
    mass = np.bincount(code.ravel(), weights=weight.ravel(), minlength=len(size) * (bins + 1)).astype(np.float64)
    density = _smooth(mass.reshape(len(size), bins + 1)[:, :bins], n=atoms.n)
    density = (1 - STRAY) * density + STRAY / bins
    share = np.concatenate([np.zeros((len(size), 1)), density.cumsum(1)], axis=1)
    arrived = np.zeros(bins)
    arrived[: len(seen.arrived)] = seen.arrived
    chance = _within(share, seen.as_of - seen.made, seen.step)
    for start, end, lost in seen.gaps:
        last, first = min(end, seen.as_of), min(start, seen.as_of)
        chance -= lost * (_within(share, last - seen.made, seen.step) - _within(share, first - seen.made, seen.step))
    unseen = np.log(np.maximum(chance, 1e-12)) @ seen.labels
    return Curve(total=np.log(density) @ arrived - unseen, chance=unseen)


def with_events(then: Atoms, now: Atoms, family: str, size: float, *, step: float, window: float) -> float:
    """Mean log density of the events and arrivals of ``now`` together, if ``then`` is changed so.

    The mean over labels of the log share of their cell: an eighth of the events by a step of lag. Cells mix with the
    product of their margins, because a thin reference leaves many of them empty.
    """
    edges = np.quantile(now.event, np.arange(1, EIGHTHS) / EIGHTHS)
    one = np.array([size])
    event = size * then.event if family == EVENTS else then.event
    lag, weight = then.moved(family, one)[0], then.kept(family, one, window=window)[0]
    bins = int(min(MOST_BINS, np.floor(now.lag.max() / step) + 1))

    def cells(events: Floats, lags: Floats, amount: Floats) -> Floats:
        place = np.searchsorted(edges, events) * bins + np.floor(lags / step).astype(np.int64).clip(0, bins - 1)
        inside = lags < bins * step
        counted = np.bincount(place[inside], weights=amount[inside], minlength=EIGHTHS * bins)
        return counted.reshape(EIGHTHS, bins).astype(np.float64)

    mass = _smooth(cells(event, lag, weight), n=then.n)
    apart = mass.sum(1, keepdims=True) * mass.sum(0, keepdims=True) / max(float(mass.sum()), 1e-12)
    density = (1 - MARGINS - STRAY) * mass + MARGINS * apart + STRAY / mass.size
    return float((np.log(density) * cells(now.event, now.lag, now.weight)).sum())


def wait_likelihood(then: Atoms, event: Floats, lag: Floats, age: Floats, weight: Floats) -> Floats:
    """Log likelihood of every size of ``wait`` from the waits since the events alone: sharper where the events stayed.

    A wait is seen if it fits between the event and the evaluation time. On a logarithmic scale a stretch is a shift.

    Parameters
    ----------
    event, lag, age, weight
        Of the labels now.
    """
    known = np.log(np.maximum(then.lag - then.event, SHORTEST_WAIT))
    wait, room = (np.log(np.maximum(part - event, SHORTEST_WAIT)) for part in (lag, age))
    shift = np.log(_GRID[WAIT])[:, None]
    low, bins = known.min() - WAIT_STEP, int((known.max() - known.min()) / WAIT_STEP) + 3
    place = ((known - low) / WAIT_STEP).astype(np.int64)
    mass = _smooth(np.bincount(place, weights=then.weight, minlength=bins)[None, :].astype(np.float64), n=then.n)[0]
    centres = low + (np.arange(bins) + 0.5) * WAIT_STEP
    density = np.interp(wait - shift, centres, mass, left=0.0, right=0.0)
    order = np.argsort(known, kind="stable")
    chance = np.interp(room - shift, known[order], np.cumsum(then.weight[order]), left=0.0)
    stray = np.clip((room - shift - low) / (bins * WAIT_STEP), 1e-3, 1.0)
    part = np.log((1 - STRAY) * density + STRAY / bins) - np.log((1 - STRAY) * chance + STRAY * stray)
    return (part * weight).sum(1)


def _smooth(mass: Floats, *, n: int) -> Floats:
    """Each bin shares with its neighbours, the less the more labels a law rests on: to share is a bias as well."""
    part = min(0.25, THIN / max(n, 1))
    smooth = mass * (1 - 2 * part)
    smooth[:, 1:] += mass[:, :-1] * part
    smooth[:, :-1] += mass[:, 1:] * part
    smooth[:, 0] += mass[:, 0] * part
    return smooth


def _within(share: Floats, age: Floats, step: float) -> Floats:
    """Share by age, between the bins' edges by interpolation: shape (sizes, ages)."""
    place = np.clip(age / step, 0.0, share.shape[1] - 1)
    low = np.minimum(place.astype(np.int64), share.shape[1] - 2)
    part = place - low
    return share[:, low] * (1 - part) + share[:, low + 1] * part
