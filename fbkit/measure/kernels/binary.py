"""More rates of a decision: F-beta, balanced accuracy, false positives, what an unflagged row is worth, correlation."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.kinds import Cell, Cellwise, F, Found, Total, W, Y
from fbkit.measure.stats.intervals import Array, effective_df, proportion_by_variance, quantile

_y, _f, _w = pl.col(Y), pl.col(F), pl.col(W)
_zero = pl.lit(0.0)
_unflagged = 1 - _f


class Table(NamedTuple):
    """A two-by-two table, or what each of its cells adds to a number."""

    tp: float
    fp: float
    fn: float
    tn: float


# The value of a table and its derivatives by the four counts; NaN where it is not defined.
Rate = Callable[[Table], tuple[float, Table]]
_NOTHING: Final = (np.nan, Table(np.nan, np.nan, np.nan, np.nan))


def balanced_accuracy(table: Table) -> tuple[float, Table]:
    """Mean of recall and specificity; one class only: not defined."""
    tp, fp, fn, tn = table
    positives, negatives = tp + fn, fp + tn
    if not (positives > 0 and negatives > 0):
        return _NOTHING
    hit, right = tp / positives, tn / negatives
    slopes = ((1 - hit) / positives, -right / negatives, -hit / positives, (1 - right) / negatives)
    return (hit + right) / 2, Table(*(slope / 2 for slope in slopes))


def correlation(table: Table) -> tuple[float, Table]:
    """Matthews' correlation of label and decision; a class or a decision that does not occur: not defined.

    Matthews 1975, doi:10.1016/0005-2795(75)90109-9.
    """
    tp, fp, fn, tn = table
    p, n, flagged, left = tp + fn, fp + tn, tp + fp, fn + tn
    if not min(p, n, flagged, left) > 0:
        return _NOTHING
    root = float(np.sqrt(p) * np.sqrt(n) * np.sqrt(flagged) * np.sqrt(left))
    value = (tp * tn - fp * fn) / root
    half = value / 2
    return value, Table(
        tn / root - half * (1 / p + 1 / flagged),
        -fn / root - half * (1 / n + 1 / flagged),
        -fp / root - half * (1 / p + 1 / left),
        tp / root - half * (1 / n + 1 / left),
    )


def f_score(table: Table, *, beta: float) -> tuple[float, Table]:
    """(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP); nothing positive or flagged: not defined."""
    more = beta * beta
    top, bottom = (1 + more) * table.tp, more * (table.tp + table.fn) + table.tp + table.fp
    if not bottom > 0:
        return _NOTHING
    value = top / bottom
    return value, Table((1 + more) * (1 - value) / bottom, -value / bottom, -more * value / bottom, 0.0)


def measure_table(cell: Cell, level: float, *, rate: Rate, signed: bool) -> Found:
    """A rate of the labelled, decided rows, with the delta method's interval and the worst case over all labellings.

    Making a flagged row positive or an unflagged one negative never lowers any of these rates, so the extremes do not
    compete between rows; where such an extreme has one class only, the nearest labellings with two are tried.
    """
    decided = ~np.isnan(cell.flag)
    known = decided & ~np.isnan(cell.label)
    weight = np.ones_like(cell.flag) if cell.weight is None else cell.weight
    parts = _parts(cell.flag[known], cell.label[known]) * weight[known, None]
    table = _table(parts.sum(0))
    least, greatest = _worst(table, cell.flag, weight, decided & np.isnan(cell.label), rate=rate)
    value, slopes = rate(table)
    if np.isnan(value):
        return Found(value, bound_lower=least, bound_upper=greatest)
    cluster = None if cell.cluster is None else cell.cluster[known]
    lower, upper, method = _interval(value, parts @ np.array(slopes), cluster, level, signed=signed)
    return Found(value, lower, upper, least, greatest, method)


def _parts(flag: Array, label: Array) -> Array:
    return np.stack([flag * label, flag * (1 - label), (1 - flag) * label, (1 - flag) * (1 - label)], axis=1)


def _table(sums: Array) -> Table:
    return Table(*(float(number) for number in sums))


def _interval(
    value: float, influence: Array, cluster: NDArray[np.int64] | None, level: float, *, signed: bool
) -> tuple[float, float, str | None]:
    rows, name = len(influence), ""
    if cluster is not None:
        influence = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence).astype(np.float64)
        name = "cluster-robust (entity), " if len(influence) < rows else ""
    units = len(influence)
    if units < 2:
        return np.nan, np.nan, None
    second = np.square(influence)
    variance = float(second.sum()) * units / (units - 1)
    # Few positives may make up most of the variance: it is known no better than they tell.
    df = effective_df(second.sum(), np.square(second).sum(), parts=units, units=units)
    if not signed:
        lower, upper = proportion_by_variance(value, variance, rows, units=df + 1, level=level)
        return float(lower), float(upper), f"{name}delta, Wilson (effective n)"
    if abs(value) >= 1 or variance <= 0:
        return np.nan, np.nan, None
    # On Fisher's scale, where the limits cannot leave -1..1.
    centre, half = np.arctanh(value), float(quantile(level, df=df)) * np.sqrt(variance) / (1 - value * value)
    return float(np.tanh(centre - half)), float(np.tanh(centre + half)), f"{name}delta, Fisher's z"


def _worst(table: Table, flag: Array, weight: Array, unknown: NDArray[np.bool_], *, rate: Rate) -> tuple[float, float]:
    """Least and greatest value over the labellings of the unknown rows; NaN if none of them defines it."""
    flagged, left = weight[unknown & (flag == 1)], weight[unknown & (flag == 0)]
    flagged, left = np.sort(flagged[flagged > 0]), np.sort(left[left > 0])
    a, b = float(flagged.sum()), float(left.sum())
    # (weight of flagged rows made positive, of unflagged ones): the corners, and one row away from them.
    one, other = flagged[:1].tolist(), left[:1].tolist()
    tried = [(0.0, 0.0), (a, 0.0), (0.0, b), (a, b)]
    tried += [(x, y) for w in one for x in (w, a - w) for y in (0.0, b)]
    tried += [(x, y) for w in other for y in (w, b - w) for x in (0.0, a)]
    values = [
        rate(Table(table.tp + x, table.fp + max(a - x, 0.0), table.fn + y, table.tn + max(b - y, 0.0)))[0]
        for x, y in tried
    ]
    defined = [value for value in values if not np.isnan(value)]
    return (min(defined), max(defined)) if defined else (np.nan, np.nan)


def _rate(name: str, rate: Rate, *, empty: str, signed: bool = False) -> Cellwise:
    return Cellwise(
        name=name,
        fn=partial(measure_table, rate=rate, signed=signed),
        needs="counts",
        rows="all",
        bounded=True,
        uses_flag=True,
        empty=empty,
    )


MEASURES: Final = (
    Total(
        name="false_positive_rate",
        uses_flag=True,
        numerator=_w * (1 - _y) * _f,
        denominator=_w * (1 - _y),
        low=(_zero, _w * _unflagged),
        high=(_w * _f, _w * _f),
        empty="no negatives",
    ),
    Total(
        name="npv",
        uses_flag=True,
        numerator=_w * (1 - _y) * _unflagged,
        denominator=_w * _unflagged,
        low=(_zero, _w * _unflagged),
        high=(_w * _unflagged, _w * _unflagged),
        empty="every labelled row is flagged",
    ),
    _rate("balanced_accuracy", balanced_accuracy, empty="one class"),
    _rate("mcc", correlation, empty="one class or one decision", signed=True),
    *(
        _rate(name, partial(f_score, beta=beta), empty="no labelled row is positive or flagged")
        for name, beta in (("f0_5", 0.5), ("f2", 2.0))
    ),
)
