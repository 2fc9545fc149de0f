"""The least and the greatest value of a metric over all labels that some rows could have.

Ratios of sums: each row's label goes to the side of its slope until none changes sides (Dinkelbach 1967,
doi:10.1287/mnsc.13.7.492), which ends at the optimum. ROC AUC and average precision: an optimal labelling divides the
free rows at one place in the order of scores, so that all places are tried at once.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.labels.masses import Metric, Rows
from fbkit.measure.stats.corp import sums_by
from fbkit.measure.stats.intervals import Array, dot

_ROUNDS: Final = 30
_NEAR: Final = 1e-9


class Extreme(NamedTuple):
    """An end of the range: its value, the free rows' labels that give it, and whether it is attained."""

    value: float
    label: Array
    exact: bool = True


NOTHING: Final = Extreme(np.nan, np.zeros(0))


def extreme(
    metric: Metric, rows: Rows, positive: Array, negative: Array, *, free: NDArray[np.bool_], sign: int
) -> Extreme:
    """The greatest (``sign`` 1) or least (-1) value if the ``free`` rows' labels could be anything.

    ``positive`` and ``negative`` are the masses of the other rows (0 for the free ones). For ROC AUC with unequal
    weights among the free rows labels between 0 and 1 are allowed too, and where free rows share a score with other
    rows the bounds of average precision are outer ones (``exact`` False). Average precision has none with unequal
    weights.
    """
    if metric.name == "roc_auc":
        return _auc(rows, positive, negative, free, sign)
    if metric.name == "average_precision":
        return _average_precision(rows, positive, negative, free, sign)
    if metric.rate is not None:
        return _corner(metric, rows, positive, negative, free, sign)
    return climb(metric, rows, positive, negative, free=free, sign=sign)


def _corner(
    metric: Metric, rows: Rows, positive: Array, negative: Array, free: NDArray[np.bool_], sign: int
) -> Extreme:
    """Rates of the two-by-two table: all free flagged rows alike and all other free rows alike, or one row away."""
    free = free & (rows.weight > 0)
    open_weight, flagged = np.where(free, rows.weight, 0.0), rows.flagged > 0
    corners = [np.where(flagged, hit, miss) for hit in (0.0, 1.0) for miss in (0.0, 1.0)]
    lightest = [
        mine[np.argmin(rows.weight[mine])]
        for mine in (np.flatnonzero(free & flagged), np.flatnonzero(free & ~flagged))
        if len(mine)
    ]
    tried = corners + [np.where(np.arange(len(free)) == row, 1 - each, each) for row in lightest for each in corners]
    best = NOTHING
    for label in tried:
        at = metric.slope(rows, positive + open_weight * label, negative + open_weight * (1 - label))
        if at is not None and not sign * at.value <= sign * best.value:
            best = Extreme(at.value, label)
    return best


def climb(
    metric: Metric, rows: Rows, positive: Array, negative: Array, *, free: NDArray[np.bool_], sign: int
) -> Extreme:
    """Follow the slopes of a ratio of sums to its optimum."""
    open_weight = np.where(free, rows.weight, 0.0)
    label, value = np.full(len(free), 0.5), np.nan
    for _ in range(_ROUNDS):
        at = metric.slope(rows, positive + open_weight * label, negative + open_weight * (1 - label))
        if at is None:
            break
        value = at.value
        if not free.any():
            break
        gain = sign * (at.positive - at.negative)
        moved = np.where(gain > 0, 1.0, np.where(gain < 0, 0.0, label))
        if np.array_equal(moved[free], label[free]):
            break
        label = moved
    return Extreme(value, label)


class _Runs(NamedTuple):
    """Masses by run of equal scores: known positives, known negatives, free."""

    pos: Array
    neg: Array
    free: Array
    unit: float | None  # weight of every free row, if it is the same for all


def _runs(rows: Rows, positive: Array, negative: Array, free: NDArray[np.bool_]) -> _Runs:
    open_weight = np.where(free, rows.weight, 0.0)
    weights = rows.weight[free]
    unit = float(weights[0]) if len(weights) and np.all(weights == weights[0]) and weights[0] > 0 else None
    pos, neg, free_mass = (sums_by(rows.run, mass) for mass in (positive, negative, open_weight))
    return _Runs(pos, neg, free_mass, unit)


def _auc(rows: Rows, positive: Array, negative: Array, free: NDArray[np.bool_], sign: int) -> Extreme:
    """All free rows above a cut are positive, all below negative (or the reverse), in the cut's run some of each."""
    if not len(rows.starts):
        return NOTHING
    runs = _runs(rows, positive, negative, free)
    if sign < 0:  # with all scores reversed the greatest AUC is one minus the least
        runs = runs._replace(pos=runs.pos[::-1], neg=runs.neg[::-1], free=runs.free[::-1])
    value, cut, share = _greatest_auc(runs)
    if np.isnan(value):
        return NOTHING
    number = rows.run if sign > 0 else len(rows.starts) - 1 - rows.run
    label = np.where(number > cut, 1.0, np.where(number == cut, share, 0.0))
    return Extreme(value if sign > 0 else 1 - value, label, runs.unit is not None or not free.any())


def _greatest_auc(runs: _Runs) -> tuple[float, int, float]:
    """Greatest AUC over every cut (run) and every part of the cut's run that is positive: value, run, part."""
    pos, neg, free = runs.pos, runs.neg, runs.free
    below = np.cumsum(neg) - neg / 2
    above = np.cumsum(pos[::-1])[::-1] - pos / 2
    as_positive = free * below
    high = free.sum() - np.cumsum(free)  # free mass above each run
    low = np.cumsum(free) - free
    a0 = dot(pos, below) + as_positive.sum() - np.cumsum(as_positive) + np.cumsum(free * above) + high * (low + free)
    a1 = below - above - high + low + free / 2
    p0, n0 = pos.sum() + high, neg.sum() + low + free

    def at(moved: Array) -> Array:
        # t of the run's free mass positive: a0 + a1 t - t^2 / 2 pairs won of (p0 + t)(n0 - t).
        pairs = (p0 + moved) * (n0 - moved)
        won = a0 + a1 * moved - moved * moved / 2
        return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), -np.inf)

    # Next to an end as well: at the end itself one class may be empty.
    inside = free * _NEAR if runs.unit is None else np.minimum(free, runs.unit)
    tried = [np.zeros_like(free), free, inside, free - inside]
    for root in _stationary(a0, a1, p0, n0):
        if runs.unit is None:
            tried.append(np.clip(np.nan_to_num(root), 0.0, free))
        else:
            steps = np.floor(np.nan_to_num(root, posinf=0.0, neginf=0.0) / runs.unit)
            tried += [np.clip((steps + more) * runs.unit, 0.0, free) for more in (0, 1)]
    values = np.stack([at(moved) for moved in tried])
    which, run = np.unravel_index(int(np.argmax(values)), values.shape)
    value = float(values[which, run])
    if not np.isfinite(value):
        return np.nan, 0, 0.0
    mass = float(free[run])
    return value, int(run), float(tried[which][run]) / mass if mass > 0 else 0.0


def _stationary(a0: Array, a1: Array, p0: Array, n0: Array) -> tuple[Array, Array]:
    """Where the derivative of (a0 + a1 t - t^2 / 2) / ((p0 + t)(n0 - t)) is zero: a quadratic in t."""
    gap = n0 - p0
    c0, c1, c2 = a1 * p0 * n0 - a0 * gap, 2 * a0 - p0 * n0, a1 - gap / 2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        root = np.sqrt(c1 * c1 - 4 * c0 * c2)
        linear = -c0 / c1
        first = np.where(c2 == 0, linear, (-c1 + root) / (2 * c2))
        second = np.where(c2 == 0, linear, (-c1 - root) / (2 * c2))
    return np.where(np.isfinite(first), first, 0.0), np.where(np.isfinite(second), second, 0.0)


def _average_precision(rows: Rows, positive: Array, negative: Array, free: NDArray[np.bool_], sign: int) -> Extreme:
    """AP is the mean over positives, the k-th from the top in place r(k), of k / r(k).

    Moving a positive up (where rows do not share scores) lowers no k / r(k), so the best labelling has the positives
    on top. Rows that share a score are put in the order that flatters (or not) the positives; what the shared score
    could add beyond that is added to the greatest value.
    """
    if not len(rows.starts):
        return NOTHING
    runs = _runs(rows, positive, negative, free)
    if runs.unit is None and free.any():
        return NOTHING
    pos, neg, open_mass = (part[::-1] for part in (runs.pos, runs.neg, runs.free))
    unit = runs.unit or 1.0
    count = np.rint(open_mass / unit).astype(np.int64)
    steps = np.where(count > 0, count + 2, 1)
    last = np.cumsum(steps) - 1
    first = last - steps + 1
    p, total, movable = np.zeros(int(steps.sum())), np.zeros(int(steps.sum())), np.zeros(int(steps.sum()))
    movable[:] = np.repeat(np.where(count > 0, unit, 0.0), steps)
    movable[first] = 0.0
    movable[last] = 0.0
    np.add.at(p, first if sign > 0 else last, pos)
    total += movable + p
    np.add.at(total, last if sign > 0 else first, neg)
    value, moved = _best_cut(p, total, movable, unit, sign)
    if np.isnan(value):
        return NOTHING
    shared = (count > 0) & ((count > 1) | (pos + neg > 0))
    if sign > 0 and shared.any():
        value = min(1.0, value + _slack(pos, neg, open_mass, shared) / max(float(pos.sum()), unit))
    ranked = np.cumsum(free[::-1])[::-1]  # 1 for the highest free row
    label = ranked <= moved if sign > 0 else ranked > int(free.sum()) - moved
    return Extreme(value, label.astype(np.float64), not bool(shared.any()))


def _best_cut(p: Array, total: Array, movable: Array, unit: float, sign: int) -> tuple[float, int]:
    """Best AP over every number of free rows from one end that are positive: value and that number."""
    size = np.cumsum(total)
    size = np.where(size > 0, size, 1.0)
    known, moved = np.cumsum(p), np.cumsum(movable)
    all_moved, everything = float(movable.sum()), float(p.sum())

    def prefix(values: Array) -> Array:
        return np.concatenate([[0.0], np.cumsum(values)])

    plain, flat = prefix(p * known / size), prefix(p / size)
    with_free, own = prefix((p + movable) * (known + moved) / size), prefix((p + movable) / size)
    at = np.concatenate([[0.0], moved])
    if sign > 0:  # free rows before the cut are positive
        sums, count = with_free + (plain[-1] - plain) + at * (flat[-1] - flat), at
    else:
        sums, count = plain + (with_free[-1] - with_free) - at * (own[-1] - own), all_moved - at
    positives = everything + count
    values = np.where(positives > 0, sums / np.where(positives > 0, positives, 1.0), -sign * np.inf)
    best = int(np.argmax(sign * values))
    if not np.isfinite(values[best]):
        return np.nan, 0
    return float(values[best]), round(float(count[best]) / unit)


def _slack(pos: Array, neg: Array, free: Array, shared: NDArray[np.bool_]) -> float:
    """What sharing a score can add to the sum over positives: each counts the hits of all that share it."""
    before = np.cumsum(pos + neg + free) - (pos + neg + free)
    missed = np.cumsum(neg + free) - (neg + free)
    most = pos + free
    with np.errstate(invalid="ignore", divide="ignore"):
        part = most * most / 2 / (before + most) * (missed / before)
    return float(np.where(shared & (before > 0), part, 0.0).sum())
