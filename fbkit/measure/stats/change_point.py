"""When a series of counts by category changed: one step, a slow drift, or there and back; or that nobody can tell."""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from fbkit.measure.stats.intervals import Array

FEWEST: Final = 6
SIDE: Final = 2
LONGEST: Final = 90
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
    varies from place to place beyond multinomial noise, and what lasts for some places, widens everything by its size.
    """
    rows = counts.sum(axis=1)
    held = np.flatnonzero(rows > 0)
    table, n = counts[held][:, counts.sum(axis=0) > 0], rows[held]
    if len(held) < FEWEST or table.shape[1] < 2:
        few = len(held) < FEWEST
        return ChangePoint(NONE, reason=f"fewer than {FEWEST} days" if few else "one value only")
    share, whole = table / n[:, None], table.sum(axis=0) / n.sum()
    spans = _spans(len(n))
    gain, gaps = _gains(table, n, whole, spans)
    step = spans[1] == len(n)
    found = [_fitted(share, n, whole, spans[:, at], gain[at]) for at in _best(gain, step)]
    # There and back has one place more to choose than a step, and must explain that much more.
    back = len(found) > 1 and found[1].gain - found[0].gain > _MORE * found[1].noise
    model, at = found[int(back)], _best(gain, step)[int(back)]
    chance = _CHANCE / len(n) ** (2 if back else 1)
    if model.gain / (model.noise * model.longer) <= float(chdtri(table.shape[1] - 1, chance)):
        return ChangePoint(NONE, reason="no day stands out")
    return _placed(share @ (gaps[at] / whole), n, held, longer=model.longer)


class _Model(NamedTuple):
    """What a span explains, the noise around its two levels, and how much longer than a place that noise lasts."""

    gain: float
    noise: float
    longer: float


def _spans(size: int) -> NDArray[np.int64]:
    """First places and ends of the spans that may differ from the rest: to the end of the series, or and back again."""
    start, end = np.stack(np.triu_indices(size + 1, k=SIDE)).astype(np.int64)
    back = (end <= size - SIDE) & (end - start <= LONGEST)
    return np.stack([start, end])[:, (start >= SIDE) & ((end == size) | back)]


def _gains(table: Array, n: Array, whole: Array, spans: NDArray[np.int64]) -> tuple[Array, Array]:
    """Pearson's chi-square of each span against the rest, and the differences of their shares."""
    rows = np.concatenate([[0.0], np.cumsum(n)])
    sums = np.concatenate([np.zeros((1, len(whole))), np.cumsum(table - n[:, None] * whole, axis=0)])
    inside = rows[spans[1]] - rows[spans[0]]
    excess = sums[spans[1]] - sums[spans[0]]
    spread = inside * (1 - inside / rows[-1])
    return (np.square(excess) / whole).sum(axis=1) / spread, excess / spread[:, None]


def _best(gain: Array, step: NDArray[np.bool_]) -> list[int]:
    """The best step, and the best span that ends before the series does."""
    kinds = [step, ~step] if not step.all() else [step]
    return [int(np.argmax(np.where(kind, gain, -1.0))) for kind in kinds]


def _fitted(share: Array, n: Array, whole: Array, span: NDArray[np.int64], gain: float) -> _Model:
    within = (np.arange(len(n)) >= span[0]) & (np.arange(len(n)) < span[1])
    levels = [np.average(share[kind], axis=0, weights=n[kind]) for kind in (within, ~within)]
    left = share - np.where(within[:, None], *levels)
    scatter = float((n[:, None] * np.square(left) / whole).sum())
    noise = max(1.0, scatter / ((len(n) - 2) * (share.shape[1] - 1)))
    return _Model(float(gain), noise, _persistence(left @ ((levels[0] - levels[1]) / whole)))


def _persistence(left: Array) -> float:
    """How much more a mean varies where neighbours are alike: (1 + r) / (1 - r) for their correlation r above 0."""
    squares = float(left @ left)
    r = float(left[1:] @ left[:-1]) / squares if squares > 0 else 0.0
    r = min(max(r, 0.0), 0.9)
    return (1 + r) / (1 - r)


def _inner(gain: Array) -> Array:
    """One place alone on a side is no level: such splits explain nothing."""
    gain[: SIDE - 1], gain[len(gain) - SIDE + 1 :] = 0.0, 0.0
    return gain


def _placed(y: Array, n: Array, held: NDArray[np.intp], *, longer: float) -> ChangePoint:
    """The simplest of step, ramp and excursion that explains the one-dimensional series."""
    left = y - float(n @ y) / n.sum()
    total = float(n @ np.square(left))
    step, ramp, box = _steps(left, n), _ramps(left, n), _boxes(left, n)
    most = max(step.max(), ramp[0], box[0])
    noise = longer * max((total - most) / max(len(n) - 4, 1), total * 1e-12)
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
