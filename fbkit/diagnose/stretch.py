"""By how much a law of arrivals is stretched, from labels that are only seen if they arrived in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.visibility import Law

ATOMS: Final = 1_000
"""Labels of the reference that stand for its law."""
MOST_BINS: Final = 800
STRAY: Final = 0.01
"""Share of labels that may arrive at any time: a few strays must not decide."""
TIMES, WAIT, LATER = "times", "wait", "later"
FAMILIES: Final = (TIMES, WAIT, LATER)
"""The whole time from prediction to arrival times k; the time from event to arrival times k; every arrival later."""
_GRID: Final = {
    TIMES: np.exp(np.arange(-40, 61) * 0.04),
    WAIT: np.exp(np.arange(-20, 51) * 0.08),
    LATER: np.arange(81) / 80,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """A sample that stands for a law: days to the event, days to the arrival, and weights that sum to 1."""

    event: Floats
    lag: Floats
    weight: Floats

    @classmethod
    def of(cls, event: Floats, lag: Floats, weight: Floats, *, closed: float) -> "Atoms":
        """Every m-th label in order of the lag; arrivals after the window's close count as arrived then."""
        lag = np.minimum(lag, closed)
        event = np.clip(event, 0.0, lag)
        order = np.argsort(lag, kind="stable")
        reached = np.cumsum(weight[order])
        if len(lag) > ATOMS:
            wanted = (np.arange(ATOMS) + 0.5) / ATOMS * reached[-1]
            order = order[np.searchsorted(reached, wanted).clip(0, len(order) - 1)]
            return cls(event=event[order], lag=lag[order], weight=np.full(ATOMS, 1 / ATOMS))
        return cls(event=event[order], lag=lag[order], weight=weight[order] / reached[-1])

    def moved(self, family: str, size: Floats) -> Floats:
        """Lags under every size of a change: shape (sizes, atoms)."""
        if family == TIMES:
            return size[:, None] * self.lag
        if family == WAIT:
            return self.event + size[:, None] * (self.lag - self.event)
        return self.lag + size[:, None]

    def median(self, family: str, size: float) -> float:
        """Median lag after the change."""
        lag = self.moved(family, np.array([size]))[0]
        order = np.argsort(lag, kind="stable")
        return float(lag[order][np.searchsorted(np.cumsum(self.weight[order]), 0.5).clip(0, len(lag) - 1)])

    def law(self, family: str, size: float, *, window: float) -> Law:
        """The law after the change; if the events move too, those beyond ``window`` days are never labels."""
        lag = self.moved(family, np.array([size]))[0]
        kept = np.where(self.event * size <= window, self.weight, 0.0) if family == TIMES else self.weight
        order = np.argsort(lag, kind="stable")
        share = np.cumsum(kept[order])
        return Law(lag=np.concatenate([[0.0], np.maximum(lag[order], 1e-9)]), share=np.concatenate([[0.0], share]))


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
    when, at = np.unique(np.floor(made / step).astype(np.int64), return_inverse=True)
    return Sample(
        step=step,
        arrived=np.bincount(place, weights=weight).astype(np.float64),
        labels=np.bincount(at, weights=weight).astype(np.float64),
        made=((when + 0.5) * step).astype(np.float64),
        as_of=as_of,
        gaps=gaps,
    )


def likelihood(atoms: Atoms, seen: Sample, family: str, *, closed: float) -> Floats:
    """Log likelihood of every size, given that the labels are seen (truncated at each row's age and at the gaps)."""
    oldest = float(seen.as_of - seen.made.min()) if len(seen.made) else 0.0
    bins = int(min(MOST_BINS, max(len(seen.arrived), np.ceil(oldest / seen.step) + 1)))
    size = sizes(family, closed=closed)
    place = np.floor(atoms.moved(family, size) / seen.step).astype(np.int64).clip(0, bins)
    code = place + np.arange(len(size))[:, None] * (bins + 1)
    weight = np.broadcast_to(atoms.weight, place.shape)
    mass = np.bincount(code.ravel(), weights=weight.ravel(), minlength=len(size) * (bins + 1)).astype(np.float64)
    density = _smooth(mass.reshape(len(size), bins + 1)[:, :bins])
    density = (1 - STRAY) * density + STRAY / bins
    share = np.concatenate([np.zeros((len(size), 1)), density.cumsum(1)], axis=1)
    arrived = np.zeros(bins)
    arrived[: len(seen.arrived)] = seen.arrived
    chance = _within(share, seen.as_of - seen.made, seen.step)
    for start, end, lost in seen.gaps:
        last, first = min(end, seen.as_of), min(start, seen.as_of)
        chance -= lost * (_within(share, last - seen.made, seen.step) - _within(share, first - seen.made, seen.step))
    return np.log(density) @ arrived - np.log(np.maximum(chance, 1e-12)) @ seen.labels


def _smooth(mass: Floats) -> Floats:
    """Each bin shares with its neighbours; at the near end it keeps what has no neighbour to go to."""
    smooth = mass / 2
    smooth[:, 1:] += mass[:, :-1] / 4
    smooth[:, :-1] += mass[:, 1:] / 4
    smooth[:, 0] += mass[:, 0] / 4
    return smooth


def _within(share: Floats, age: Floats, step: float) -> Floats:
    """Share by age, between the bins' edges by interpolation: shape (sizes, ages)."""
    place = np.clip(age / step, 0.0, share.shape[1] - 1)
    low = np.minimum(place.astype(np.int64), share.shape[1] - 2)
    part = place - low
    return share[:, low] * (1 - part) + share[:, low + 1] * part
