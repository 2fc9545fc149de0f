"""Old cohorts as a negative control: do their labels say something else once they arrive after a given day?

What changes with the day of the prediction (the model, the mix, the world) leaves rows predicted before that day alone;
what changes with the day of arrival (a definition, a feed) reaches their late labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import Flags
from fbkit.diagnose.scene import Scene
from fbkit.schema.label import longest_delay

DAY: Final = 86_400_000_000
LATENCY_SHARES: Final = (*(step / 30 for step in range(1, 30)), 0.985, 0.995)
"""Fine bins of latency: within a coarse one the late labels of old cohorts would be the later half."""
PRIOR: Final = 20.0
"""Labels that the product of score bin and latency counts for in a cell's rate."""
SPREAD_P: Final = 0.01
"""Below it days (or weeks) of arrival differ more than their labels explain, and everything widens by that."""
_WEEK: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """Labelled rows of one decision predicted before the current window, one entry each; times in microseconds.

    ``cell`` is the score bin and the bin of latency, ``cells`` their numbers. ``new`` marks labels that the old ones
    are to foretell; ``straddling`` rows whose window holds the day of change.
    """

    made: Ints
    arrived: Ints
    label: Floats
    cell: Ints
    cells: tuple[int, int]
    new: Flags
    straddling: Flags

    def __len__(self) -> int:
        return len(self.made)

    @property
    def bin_of(self) -> Ints:
        return self.cell // self.cells[1]


Both = tuple[Cohorts, Cohorts]
"""Rows that were not flagged, and rows that were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Positives among the new labels of one decision against what the old ones foretell.

    Attributes
    ----------
    decision, n
        0 or 1; new labels.
    observed, expected, variance
        Positives; the variance holds that of the rates and the spread of days.
    before
        Standard deviations by which the excess exceeds that of the same cohorts' older labels.
    whole
        Standard deviations of the excess over all labels of these cohorts, whenever they arrived.
    steady
        Standard deviations of the excess without its strongest day.
    """

    decision: int
    n: int
    observed: float
    expected: float
    variance: float
    before: float
    whole: float | None
    steady: float

    @property
    def gap(self) -> float:
        return self.observed - self.expected

    @property
    def z(self) -> float:
        """On the scale of square roots, on which small counts are not skewed."""
        if self.variance <= 0:
            return 0.0
        roots = (self.observed + 0.375) ** 0.5 - (self.expected + 0.375) ** 0.5
        return 2 * roots * (self.expected / self.variance) ** 0.5

    @property
    def error(self) -> float:
        """Standard error of the excess as an estimate: what is there beyond expectation varies as well."""
        return (self.variance + abs(self.gap)) ** 0.5

    @property
    def rate(self) -> float:
        """Wrong labels by each right one of the other kind: positives too many by negative, or the reverse."""
        return self.gap / max(self.negatives if self.gap > 0 else self.observed, 1.0)

    @property
    def negatives(self) -> float:
        return self.n - self.observed


def cohorts(scene: Scene, *, since: int, is_new: Callable[[pl.DataFrame, Ints], Flags]) -> Both:
    """Labelled rows before the current window, from one label window before the reference on.

    Parameters
    ----------
    since
        Day of change: rows predicted less than a label window before it are straddling.
    is_new
        Which labels are of the new kind, by the frame and the times of arrival.

    Rows with several statements, and rows that silence makes negative, are left out.
    """
    delay = longest_delay(scene.joined)
    start = min(scene.reference.start, scene.current.start)
    kept = (
        (pl.col("ts_pred") >= start - delay)
        & (pl.col("ts_pred") < scene.current.start)
        & pl.col("rule").is_not_null()
        & (pl.col("n_outcomes") <= 1)
        & pl.col("label").is_in([0.0, 1.0])
    )
    frame = (
        scene.joined.frame.lazy()
        .filter(kept)
        .select(
            pl.col("ts_pred").dt.epoch("us").alias("made"),
            pl.col("ts_arrival").dt.epoch("us").alias("arrived"),
            "label",
            pl.col("flagged").fill_null(value=False).cast(pl.Int64),
            "score",
            "label_version",
        )
        .collect()
    )
    made, arrived = frame["made"].to_numpy(), frame["arrived"].to_numpy()
    width = int(delay.total_seconds() * 1e6)
    cells = (scene.bins, len(LATENCY_SHARES) + 1)
    bin_of = np.searchsorted(scene.edges, frame["score"].to_numpy(), side="right")
    label, new = frame["label"].cast(pl.Float64).to_numpy(), is_new(frame, arrived)
    decision = frame["flagged"].to_numpy()

    def of(which: int) -> Cohorts:
        at = np.flatnonzero(decision == which)
        late = arrived[at] - made[at]
        edges = np.quantile(late, LATENCY_SHARES) if len(at) else np.zeros(len(LATENCY_SHARES))
        return Cohorts(
            made=made[at],
            arrived=arrived[at],
            label=label[at],
            cell=bin_of[at] * cells[1] + np.searchsorted(edges, late, side="right"),
            cells=cells,
            new=new[at],
            straddling=(made[at] >= since - width) & (made[at] < since),
        )

    return of(0), of(1)


def excesses(both: Both, *, as_of: int, since: int) -> tuple[Excess, Excess]:
    """The excess of each decision; see :class:`Excess`."""
    first, second = (_excess(part, decision=d, as_of=as_of, since=since) for d, part in enumerate(both))
    return first, second


def found_day(both: Both, *, start: int, earlier: int, gain: float, more: float) -> int | None:
    """The day of arrival (in microseconds) from which on these labels differ most; None if ``start`` does as well.

    Parameters
    ----------
    start
        The day that is taken unless another one explains more.
    earlier
        How many days before it are searched; labels from before those days are what the others are held against.
    gain, more
        Chi-square that the day must reach, and by how much more than ``start``.
    """
    first = start // DAY - earlier
    found: tuple[float, int] = (0.0, earlier)
    for part in both:
        day = part.arrived // DAY
        held = day >= first
        if not held.any() or held.all() or day.max() - first < earlier:
            continue
        rate = _rates(part, of=~held)[0][part.cell]
        gap = np.bincount(day[held] - first, weights=(part.label - rate)[held])
        size = np.bincount(day[held] - first, weights=(rate * (1 - rate))[held])
        after, noise = np.cumsum(gap[::-1])[::-1], np.cumsum(size[::-1])[::-1]
        chi = after**2 / np.maximum(noise, 1.0) * (after > 0)
        best = int(np.argmax(chi))
        if chi[best] >= gain and chi[best] - chi[earlier] > more:
            found = max(found, (float(chi[best]), best))
    return None if found[1] == earlier else (first + found[1]) * DAY


def _excess(part: Cohorts, *, decision: int, as_of: int, since: int) -> Excess:
    old = ~part.new
    rate, known = _rates(part, of=old)
    rates = rate[part.cell]
    spread = _spread(part, rates, of=old)
    tested = part.new & (part.made < since)
    observed, expected, variance = _totals(part.label[tested], part.cell[tested], rate, known)
    variance *= spread
    earlier = old & part.straddling
    before = _totals(part.label[earlier], part.cell[earlier], rate, known)
    return Excess(
        decision=decision,
        n=int(tested.sum()),
        observed=observed,
        expected=expected,
        variance=variance,
        before=_beyond((observed, expected, variance), before, spread=spread),
        whole=_whole(part, as_of=as_of, since=since, spread=spread),
        steady=_steady(part, rates, tested=tested, variance=variance),
    )


def _rates(part: Cohorts, *, of: Flags) -> tuple[Floats, Floats]:
    """P(positive) by score bin and latency, leaning on their product where labels are few, and what it rests on."""
    shape, cell = part.cells, part.cell[of]
    n = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    n1 = np.bincount(cell, weights=part.label[of], minlength=shape[0] * shape[1]).reshape(shape)
    base = (n1.sum() + 0.5) / (n.sum() + 1)
    by_bin = (n1.sum(1) + base) / (n.sum(1) + 1)
    by_late = (n1.sum(0) + base) / (n.sum(0) + 1)
    odds = _odds(by_bin)[:, None] * _odds(by_late)[None, :] / _odds(base)
    rate = (n1 + PRIOR * odds / (1 + odds)) / (n + PRIOR)
    return rate.ravel(), (n + PRIOR).ravel()


def _odds(rate: Floats | float) -> Floats:
    kept = np.clip(rate, 1e-6, 1 - 1e-6)
    return np.asarray(kept / (1 - kept))


def _totals(label: Floats, cell: Ints, rate: Floats, known: Floats) -> tuple[float, float, float]:
    """Positives, expected positives, variance (of the labels and of the rates)."""
    m = np.bincount(cell, minlength=len(rate)).astype(np.float64)
    noise = rate * (1 - rate)
    return float(label.sum()), float(m @ rate), float(m @ noise + (m**2 * noise / known).sum())


def _spread(part: Cohorts, rate: Floats, *, of: Flags) -> float:
    """How much more days, or weeks, of arrival differ than their labels explain; 1 if not beyond chance."""
    day = part.arrived[of] // DAY
    if not len(day):
        return 1.0
    day = day - day.min()
    gap, noise = (part.label - rate)[of], (rate * (1 - rate))[of]
    found = 1.0
    for span in (1, _WEEK):
        total, sizes = np.bincount(day // span, weights=gap), np.bincount(day // span, weights=noise)
        held = sizes > 1
        count = int(held.sum())
        if count > 1:
            statistic = float((total[held] ** 2 / sizes[held]).sum())
            if chdtrc(count - 1, statistic) < SPREAD_P:
                found = max(found, statistic / (count - 1))
    return found


def _beyond(after: tuple[float, float, float], before: tuple[float, float, float], *, spread: float) -> float:
    """The excess less what the same cohorts' older labels would make of it, in standard deviations."""
    if before[1] <= 0:
        return float("inf") if after[0] >= after[1] else float("-inf")
    scale = after[1] / before[1]
    variance = after[2] + scale**2 * before[2] * spread
    return (after[0] - after[1] - scale * (before[0] - before[1])) / max(variance, 1e-12) ** 0.5


def _whole(part: Cohorts, *, as_of: int, since: int, spread: float) -> float | None:
    """All labels of the straddling cohorts up to one age against older cohorts: what is merely late cancels out."""
    age = part.arrived - part.made <= as_of - since
    closed = age & (part.made < since) & ~part.straddling & ~part.new
    told = age & part.straddling
    if closed.sum() < PRIOR or not told.any():
        return None
    bin_of, bins = part.bin_of, part.cells[0]
    n = np.bincount(bin_of[closed], minlength=bins).astype(np.float64)
    n1 = np.bincount(bin_of[closed], weights=part.label[closed], minlength=bins)
    base = (n1.sum() + 0.5) / (n.sum() + 1)
    observed, expected, variance = _totals(part.label[told], bin_of[told], (n1 + base) / (n + 1), n + 1)
    return (observed - expected) / max(variance * spread, 1e-12) ** 0.5


def _steady(part: Cohorts, rate: Floats, *, tested: Flags, variance: float) -> float:
    """The excess without the day of arrival that adds most to it."""
    if not tested.any():
        return 0.0
    day = part.arrived[tested] // DAY
    by_day = np.bincount(day - day.min(), weights=(part.label - rate)[tested])
    gap = float(by_day.sum())
    strongest = by_day.max() if gap > 0 else by_day.min()
    return (gap - float(strongest)) / max(variance, 1e-12) ** 0.5
