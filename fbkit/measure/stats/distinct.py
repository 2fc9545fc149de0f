"""ROC AUC and average precision where no two scores are equal: only the places of the positives count.

With rows of weight one and labels of zero or one, the k-th positive in rising order, in place i (from 0), has i - k
negatives below it; everything else follows from these places, and rows between two positives share their influence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.stats.intervals import Array, dot, effective_df
from fbkit.measure.stats.ranking import Spread

Places = NDArray[np.int64]


class Order(NamedTuple):
    """Places of the positives among ``rows`` labelled rows; ``mixed`` and ``free`` are places among all rows.

    ``mixed`` are those of positives and unlabelled rows together, ``free`` says which of them are unlabelled.
    """

    positives: Places
    rows: int
    mixed: Places
    free: NDArray[np.bool_]
    everything: int

    @property
    def negatives(self) -> int:
        return self.rows - len(self.positives)


def order_of(score: Array, label: Array) -> Order | None:
    """Places in rows sorted by rising score, label NaN where unknown; None if two scores are equal or a label is not 0
    or 1.
    """
    known = ~np.isnan(label)
    positive = label == 1
    if np.any(score[1:] == score[:-1]) or np.any(known & ~positive & (label != 0)):
        return None
    mixed = np.flatnonzero(positive | ~known)
    free = ~known.take(mixed)
    # A labelled row's place among the labelled ones: its place among all, less the unlabelled rows before it.
    positives = (mixed - np.cumsum(free)).compress(~free)
    return Order(positives, int(np.count_nonzero(known)), mixed, free, len(score))


def auc(order: Order) -> tuple[float, Spread] | None:
    """ROC AUC with DeLong's variance; None with one class."""
    p, n = len(order.positives), order.negatives
    if not p or not n:
        return None
    below = (order.positives - np.arange(p)).astype(np.float64)
    value = float(below.sum()) / p / n
    if min(p, n) <= 1:
        return value, Spread(np.nan, 1.0, p, n)
    # Negatives between two positives, and how far the share of positives above them is from the value.
    between = np.diff(below, prepend=0.0, append=float(n))
    one = np.square((below / n - value) / p)
    two = np.square((1 - np.arange(p + 1) / p - value) / n)
    squares = float(one.sum()), dot(between, two)
    fourths = float(np.square(one).sum()) + dot(between, np.square(two))
    df = effective_df(sum(squares), fourths, parts=p + n, units=min(p, n))
    return value, Spread(squares[0] * p / (p - 1) + squares[1] * n / (n - 1), float(df), p, n)


def precision(order: Order) -> tuple[float, Spread] | None:
    """Average precision with the variance of its influence function; None without positives."""
    p, n = len(order.positives), order.negatives
    if not p:
        return None
    rank = (order.rows - order.positives).astype(np.float64)
    at = np.arange(p, 0, -1) / rank
    value = float(at.sum()) / p
    if p <= 1:
        return value, Spread(np.nan, 1.0, p, n)
    # Sums over the thresholds from each positive down, and for the rows below all of them nothing.
    here = np.cumsum(1 / rank)
    lost = np.concatenate([[0.0], np.cumsum(at / rank)])
    second = np.square((at - value + here - lost[1:]) / p)
    third = np.square(lost / p)
    between = np.diff((order.positives - np.arange(p)).astype(np.float64), prepend=0.0, append=float(n))
    squares = float(second.sum()) + dot(between, third)
    fourths = float(np.square(second).sum()) + dot(between, np.square(third))
    df = effective_df(squares, fourths, parts=p + n, units=p)
    return value, Spread(squares * p / (p - 1), float(df), p, n)


def auc_bounds(order: Order) -> tuple[float, float]:
    """Least and greatest ROC AUC over every labelling of the unlabelled rows; NaN if none has two classes."""
    p, n, m = len(order.positives), order.negatives, int(np.count_nonzero(order.free))
    # Of each unlabelled row in rising order: known positives and known negatives below it.
    pos = np.cumsum(~order.free).compress(order.free).astype(np.float64)
    neg = order.mixed.compress(order.free) - np.arange(m) - pos
    known = float((order.positives - np.arange(p)).sum())
    k = np.arange(m + 1, dtype=np.float64)
    pairs = (p + k) * (n + m - k)
    some = pairs > 0
    if not some.any():
        return np.nan, np.nan
    # The k lowest are positive, or the k highest; in the second world they also beat all unlabelled ones below.
    lowest = _sums(neg) + _sums((p - pos)[::-1])[::-1]
    highest = _sums(neg[::-1]) + _sums(p - pos)[::-1] + k * (m - k)
    least, greatest = ((known + won)[some] / pairs[some] for won in (lowest, highest))
    return float(least.min()), float(greatest.max())


def precision_bounds(order: Order) -> tuple[float, float]:
    """Least and greatest average precision over every labelling of the unlabelled rows; NaN if there can be none."""
    free = order.free[::-1]
    p, m = len(order.positives), int(np.count_nonzero(free))
    if not p + m:
        return np.nan, np.nan
    # From the top: places of the known positives and of the unlabelled rows, and how many of the others stand above.
    rank = (order.everything - order.mixed[::-1]).astype(np.float64)
    above = np.cumsum(~free).compress(free)
    own, open_place = rank.compress(~free), rank.compress(free)
    weight = 1 / own
    known, flat = np.arange(1, p + 1) * weight, _sums(weight)
    both = _sums(known + np.repeat(np.arange(m + 1.0), np.diff(above, prepend=0, append=p)) * weight)
    alone, moved = _sums(known), _sums((above + np.arange(1.0, m + 1)) / open_place)
    open_flat = _sums(1 / open_place)
    k, cut = np.arange(m + 1.0), np.concatenate([[0], above])
    # The k highest are positive, and count as hits for every positive below them; or they are not, and all others are.
    best = both[cut] + moved + (alone[-1] - alone[cut]) + k * (flat[-1] - flat[cut])
    worst = alone[cut] + (both[-1] - both[cut]) + (moved[-1] - moved)
    worst -= k * (flat[-1] - flat[cut] + open_flat[-1] - open_flat)
    # Without a positive there is nothing to average.
    none = 0 if p else 1
    greatest = np.max(best[none:] / (p + k[none:]))
    least = np.min(worst[: m + 1 - none] / (p + m - k[: m + 1 - none]))
    return float(least), float(greatest)


def _sums(values: Array) -> Array:
    made = np.zeros(len(values) + 1)
    np.cumsum(values, out=made[1:])
    return made
