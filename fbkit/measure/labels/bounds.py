"""What a metric could be whatever the missing labels are, and the confidence set that goes with such a range."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fbkit.measure.labels.extremes import Extreme, extreme
from fbkit.measure.labels.masses import Metric, Rows, variance_of
from fbkit.measure.stats.intervals import Array


class Range(NamedTuple):
    """Both ends of what is possible, the standard error of each end, and whether both ends are attained."""

    low: float
    high: float
    se_low: float
    se_high: float
    exact: bool = True


NO_RANGE = Range(np.nan, np.nan, np.nan, np.nan)


def worst_case(metric: Metric, rows: Rows) -> Range:
    """The range of a metric over every labelling of the unlabelled rows (Manski 2003, doi:10.1007/b97478).

    NaN where no labelling defines the metric. ``exact`` False: the range may be wider than what labels can do, see
    :func:`fbkit.measure.labels.extremes.extreme`. Standard errors are those of the metric at both extreme labellings.
    """
    least, greatest = _extremes(metric, rows)
    errors = [_error_at(metric, rows, end.label) if np.isfinite(end.value) else np.nan for end in (least, greatest)]
    return Range(least.value, greatest.value, errors[0], errors[1], least.exact and greatest.exact)


def ends(metric: Metric, rows: Rows) -> tuple[float, float]:
    """Both ends of the range without their errors."""
    least, greatest = _extremes(metric, rows)
    return least.value, greatest.value


def _extremes(metric: Metric, rows: Rows) -> tuple[Extreme, Extreme]:
    free, known = free_rows(metric, rows), rows.labelled()
    return extreme(metric, rows, *known, free=free, sign=-1), extreme(metric, rows, *known, free=free, sign=1)


def free_rows(metric: Metric, rows: Rows) -> NDArray[np.bool_]:
    """Unlabelled rows that a label would bring into the metric."""
    free = ~rows.known & (rows.weight > 0)
    return free & (rows.decided > 0) if metric.uses_flag else free


def _error_at(metric: Metric, rows: Rows, label: Array) -> float:
    """Standard error of the metric if the unlabelled rows had these labels, NaN where it is not defined."""
    (positive, negative), weight = rows.labelled(), np.where(free_rows(metric, rows), rows.weight, 0.0)
    positive, negative = positive + weight * label, negative + weight * (1 - label)
    at = metric.slope(rows, positive, negative)
    if at is None:
        return np.nan
    return float(np.sqrt(variance_of(positive * at.positive + negative * at.negative, rows)))


def imbens_manski(
    low: ArrayLike, high: ArrayLike, se_low: ArrayLike, se_high: ArrayLike, *, level: float = 0.95
) -> tuple[Array, Array]:
    """Confidence set for a parameter of which only a range is identified (doi:10.1111/j.1468-0262.2004.00555.x).

    It covers the parameter, wherever in the range it lies, with probability ``level``: [low - c se_low, high + c
    se_high] with Phi(c + width / larger se) - Phi(-c) = level. So c is 1.96 for a point and 1.64 for a wide range
    (level 0.95). NaN where an end or its error is not known.

    >>> lower, upper = imbens_manski([0.5, 0.2], [0.5, 0.8], [0.01, 0.01], [0.01, 0.01])
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.4804, 0.1836], [0.5196, 0.8164])
    """
    from scipy.special import ndtr

    ends = (np.atleast_1d(np.asarray(part, dtype=np.float64)) for part in (low, high, se_low, se_high))
    least, greatest, e_low, e_high = np.broadcast_arrays(*ends)
    largest = np.maximum(e_low, e_high)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = np.where(largest > 0, (greatest - least) / largest, np.inf)
    c_low, c_high = np.zeros_like(width), np.full_like(width, 12.0)
    for _ in range(60):
        middle = (c_low + c_high) / 2
        short = ndtr(middle + width) - ndtr(-middle) < level
        c_low, c_high = np.where(short, middle, c_low), np.where(short, c_high, middle)
    return least - c_high * e_low, greatest + c_high * e_high
