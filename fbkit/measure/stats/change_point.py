"""When a series of counts by category changed: one step, a slow drift, or there and back; or that nobody can tell."""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from fbkit.measure.stats.intervals import Array

FEWEST: Final = 6
SIDE: Final = 2
WIDEST: Final = 7
_MASS: Final = 0.95
_CHANCE: Final = 0.01
# What one more parameter must explain, in units of the noise: the 99.8 % quantile of chi-square, for it was searched.
_MORE: Final = 10.0
_WIDTHS: Final = (3, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 168)


STEP, BACK, SLOW, SOME, NONE = "step", "there and back", "slow", "some day", "none"


class ChangePoint(NamedTuple):
    """Places in the series.

    ``kind`` is "step", "there and back", "slow" (little by little), "some day" (several fit as well as one another) or
    "none". ``at`` is the first place after the change, ``first`` and ``last`` between which it lies with 95 %; ``back``
    is where the old level returns. Without ``at`` the ``reason`` says why.
    """

    kind: str
    at: int | None = None
    first: int | None = None
    last: int | None = None
    back: int | None = None
    reason: str | None = None


def change_point(counts: Array) -> ChangePoint:
    """The place at which the shares of a table (places by categories) changed.

    Weighted least squares over all splits (the single change point of Page 1954, doi:10.1093/biomet/41.1-2.100), the
    distance of two lines of shares being Pearson's chi-square; for two categories that is the split of one share. What
    varies from place to place beyond multinomial noise widens everything by its own size.
    """
    rows = counts.sum(axis=1)
    held = np.flatnonzero(rows > 0)
    table, n = counts[held][:, counts.sum(axis=0) > 0], rows[held]
    if len(held) < FEWEST or table.shape[1] < 2:
        few = len(held) < FEWEST
        return ChangePoint(NONE, reason=f"fewer than {FEWEST} days" if few else "one value only")
    share, whole = table / n[:, None], table.sum(axis=0) / n.sum()
    gain, gaps = _splits(table, n, whole)
    best = int(np.argmax(gain))
    sides = np.where(np.arange(len(n))[:, None] > best, *_levels(table, best))
    freedom = table.shape[1] - 1
    inside = float((n[:, None] * np.square(share - sides) / whole).sum())
    noise = max(1.0, inside / ((len(n) - 2) * freedom))
    if gain[best] / noise <= float(chdtri(freedom, _CHANCE / len(gain))):
        return ChangePoint(NONE, reason="no day stands out")
    along = share @ (gaps[best] / whole)
    return _placed(along, n, held)


def _splits(table: Array, n: Array, whole: Array) -> tuple[Array, Array]:
    """Pearson's chi-square of before against after for each split, and the differences of the shares."""
    before, rows = np.cumsum(table, axis=0)[:-1], np.cumsum(n)[:-1]
    after, left = table.sum(axis=0) - before, n.sum() - rows
    gaps = after / left[:, None] - before / rows[:, None]
    return _inner((np.square(gaps) / whole).sum(axis=1) * rows * left / n.sum()), gaps


def _inner(gain: Array) -> Array:
    """One place alone on a side is no level: such splits explain nothing."""
    gain[: SIDE - 1], gain[len(gain) - SIDE + 1 :] = 0.0, 0.0
    return gain


def _levels(table: Array, split: int) -> tuple[Array, Array]:
    after, before = table[split + 1 :].sum(axis=0), table[: split + 1].sum(axis=0)
    return after / after.sum(), before / before.sum()


def _placed(y: Array, n: Array, held: NDArray[np.intp]) -> ChangePoint:
    """The simplest of step, ramp and excursion that explains the one-dimensional series."""
    left = y - float(n @ y) / n.sum()
    total = float(n @ np.square(left))
    step, ramp, box = _steps(left, n), _ramps(left, n), _boxes(left, n)
    most = max(step.max(), ramp[0], box[0])
    noise = max((total - most) / max(len(n) - 4, 1), total * 1e-12)
    if max(ramp[0], box[0]) - step.max() <= _MORE * noise:
        return _step(step / noise, held)
    if box[0] >= ramp[0]:
        start = int(held[box[1]])
        return ChangePoint(BACK, at=start, first=start, last=start, back=int(held[box[2]]))
    first, last = int(held[ramp[1]]), int(held[ramp[2]])
    return ChangePoint(SLOW, first=first, last=last, reason="it moved little by little")


def _step(gain: Array, held: NDArray[np.intp]) -> ChangePoint:
    weight = np.exp((gain - gain.max()) / 2)
    order = np.argsort(-weight, kind="stable")
    needed = int(np.searchsorted(np.cumsum(weight[order]) / weight.sum(), _MASS)) + 1
    inside = order[:needed]
    first, last = int(held[inside.min() + 1]), int(held[inside.max() + 1])
    if last - first > WIDEST:
        return ChangePoint(SOME, first=first, last=last, reason="several days fit as well")
    return ChangePoint(STEP, at=int(held[int(np.argmax(gain)) + 1]), first=first, last=last)


def _steps(left: Array, n: Array) -> Array:
    """What each split explains of a centred series."""
    rows = np.cumsum(n)[:-1]
    return _inner(np.square(np.cumsum(n * left)[:-1]) / (rows * (1 - rows / n.sum())))


def _boxes(left: Array, n: Array) -> tuple[float, int, int]:
    """The best excursion of at least two places, with at least two on each side of it: explained, start, end."""
    rows, sums = (np.concatenate([[0.0], np.cumsum(part)]) for part in (n, n * left))
    pairs = np.stack(np.triu_indices(len(rows), k=2))
    start, end = pairs[:, (pairs[0] >= SIDE) & (pairs[1] <= len(n) - SIDE)]
    if not len(start):
        return 0.0, 0, 0
    inside = rows[end] - rows[start]
    gain = np.square(sums[end] - sums[start]) / (inside * (1 - inside / rows[-1]))
    best = int(np.argmax(gain))
    return float(gain[best]), int(start[best]), int(end[best])


def _ramps(left: Array, n: Array) -> tuple[float, int, int]:
    """The best straight way from one level to another: explained, its first and its last place."""
    shapes, ends = _shapes(len(n))
    if not len(ends):
        return 0.0, 0, 0
    middle = (shapes @ n) / n.sum()
    spread = np.square(shapes) @ n - np.square(middle) * n.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = np.where(spread > 1e-12, np.square(shapes @ (n * left)) / spread, 0.0)
    best = int(np.argmax(gain))
    return float(gain[best]), int(ends[best][0]), int(ends[best][1])


@lru_cache(maxsize=8)
def _shapes(size: int) -> tuple[Array, Array]:
    places = np.arange(size)
    ends = np.array([(a, a + w) for w in _WIDTHS for a in range(size - w)], dtype=np.float64).reshape(-1, 2)
    return np.clip((places[None, :] - ends[:, :1]) / np.diff(ends, axis=1), 0, 1), ends
