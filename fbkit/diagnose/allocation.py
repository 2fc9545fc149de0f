"""Which unlabelled rows tell most about a metric: strata by decision and score, allocated as by Neyman 1934."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.metric import Masses, evaluate, row_loss
from fbkit.diagnose.settings import PROBABILITY_LOSSES, is_mean_of_values

FEWEST: Final = 5
"""Rows drawn from every stratum, so that each can contradict what was expected of it."""
_BANDS: Final = (6, 4)
"""Score bands of the rows that are not flagged, and of those that are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Rows of one decision and score band.

    ``spread`` is the standard deviation of what one row of it adds to the metric: sqrt(p (1 - p)) times how much the
    metric moves if a row turns out positive. ``bins`` are first and last score bin.
    """

    decision: int
    bins: tuple[int, int]
    size: int
    rate: float
    spread: float


def pull(metric: str, masses: Masses, *, score: Floats) -> Floats:
    """How far the metric moves when one negative of a cell becomes a positive: shape (decision, bin).

    ``masses`` have the shape (decision, bin, 1), ``score`` is the mean score by bin. Metrics of values: 1 everywhere,
    which makes an allocation proportional to the rows.
    """
    shape = masses.positive.shape[:2]
    if is_mean_of_values(metric) or (masses.loss is not None and metric not in PROBABILITY_LOSSES):
        return np.ones(shape)
    if metric in PROBABILITY_LOSSES:
        ones, zeros = (
            row_loss(metric, score=score, label=np.full(len(score), value, dtype=np.float64)) for value in (1, 0)
        )
        total = float((masses.positive + masses.negative).sum())
        gap = np.abs((ones if ones is not None else 0) - (zeros if zeros is not None else 0))
        return np.broadcast_to(gap / max(total, 1.0), shape).astype(np.float64)
    step = np.eye(shape[0] * shape[1]).reshape(-1, *shape, 1)
    moved = evaluate(metric, Masses(masses.positive + step, np.maximum(masses.negative - step, 0.0)))
    return np.nan_to_num(np.abs(moved - evaluate(metric, masses))).reshape(shape)


def stratify(size: Ints, rate: Floats, weight: Floats) -> tuple[Stratum, ...]:
    """Join neighbouring score bins into bands that matter about equally (Dalenius and Hodges 1959).

    Parameters
    ----------
    size, rate, weight
        Rows to draw from, their expected rate of positives, and the pull of one of them: shape (decision, bin).
    """
    made: list[Stratum] = []
    spread = np.sqrt(rate * (1 - rate)) * weight
    for decision in (1, 0):
        held = size[decision] * spread[decision]
        held = held if held.sum() > 0 else size[decision].astype(np.float64)
        if not size[decision].any():
            continue
        at = (np.cumsum(held) - held / 2) / held.sum()
        band = np.minimum((at * _BANDS[decision]).astype(np.int64), _BANDS[decision] - 1)
        for value in np.unique(band[size[decision] > 0]):
            bins = np.flatnonzero((band == value) & (size[decision] > 0))
            n = size[decision, bins]
            mean = float((n * rate[decision, bins]).sum() / n.sum())
            pulled = float(np.sqrt((n * weight[decision, bins] ** 2).sum() / n.sum()))
            made.append(
                Stratum(
                    decision=decision,
                    bins=(int(bins[0]), int(bins[-1])),
                    size=int(n.sum()),
                    rate=mean,
                    spread=float(np.sqrt(mean * (1 - mean))) * pulled,
                )
            )
    return tuple(made)


def allocate(strata: tuple[Stratum, ...], *, budget: int) -> Ints:
    """Rows to draw from each stratum: in proportion to size times spread, at least ``FEWEST``, at most all."""
    size = np.array([each.size for each in strata], dtype=np.int64)
    want = np.array([each.size * each.spread for each in strata])
    want = want if want.sum() > 0 else size.astype(np.float64)
    if budget >= size.sum():
        return size
    least = np.minimum(size, min(FEWEST, budget // max(1, len(strata))))
    drawn = least.astype(np.float64)
    free = np.ones(len(size), dtype=bool)
    # Where a stratum is exhausted or above its share already, the rest goes to the others.
    for _ in range(len(size) + 1):
        left = budget - drawn[~free].sum()
        share = np.where(free, want / want[free].sum() * left if want[free].sum() > 0 else 0.0, drawn)
        bounded = np.clip(share, least, size)
        stuck = free & (bounded != share)
        if not stuck.any() or not want[free & ~stuck].sum() > 0:
            drawn = np.where(free, bounded, drawn)
            break
        # First those that hit the ceiling: what they leave may lift others above their floor.
        over = free & (share > size)
        stuck = over if over.any() else stuck
        drawn = np.where(stuck, bounded, drawn)
        free &= ~stuck
    return _whole(drawn, budget=budget, size=size)


def _whole(drawn: Floats, *, budget: int, size: Ints) -> Ints:
    """Whole numbers with the same total, the largest remainders rounded up."""
    down = np.minimum(np.floor(drawn + 1e-9).astype(np.int64), size)
    order = np.argsort(-(drawn - down), kind="stable")
    rest = budget - int(down.sum())
    for index in [*order, *order]:
        if rest <= 0:
            break
        if down[index] < size[index]:
            down[index] += 1
            rest -= 1
    return down


def audit_error(strata: tuple[Stratum, ...], drawn: Ints) -> float | None:
    """Standard error that the audit adds: sqrt(sum of m^2 spread^2 / n (1 - n / m)); None if a stratum stays unseen."""
    total = 0.0
    for each, n in zip(strata, drawn, strict=True):
        if n == 0 and each.size * each.spread > 0:
            return None
        total += 0.0 if n == 0 else each.size**2 * each.spread**2 / n * (1 - n / each.size)
    return float(np.sqrt(total))


def rows_for(strata: tuple[Stratum, ...], *, error: float) -> int:
    """Rows of an audit, allocated by ``allocate``, that adds at most this standard error."""
    whole = sum(each.size for each in strata)
    low, high = 1, whole
    while low < high:
        middle = (low + high) // 2
        reached = audit_error(strata, allocate(strata, budget=middle))
        low, high = (low, middle) if reached is not None and reached <= error else (middle + 1, high)
    return low
