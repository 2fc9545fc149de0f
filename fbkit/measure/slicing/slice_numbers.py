"""The numbers of one slice: its effect against the rest, what it adds to the whole, each with an interval."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.measure.kinds import Total
from fbkit.measure.slicing.lattice import Flags
from fbkit.measure.slicing.slice_examine import added
from fbkit.measure.slicing.slice_rows import SliceRows
from fbkit.measure.stats.intervals import (
    Array,
    mean_by_variance,
    proportion_by_variance,
    quantile,
    ratio_variance,
    wilson,
)

Limits = tuple[float, float, float]
_NOTHING: Final = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """From loss per size back to the metric: ``flip`` made a loss of a gain."""

    measure: Total
    flip: bool

    def value(self, loss: float) -> float:
        """The metric of a loss."""
        plain = loss if not self.flip else 1 - loss if self.measure.kind == "proportion" else -loss
        turn = self.measure.transform
        return plain if turn is None else float(turn(np.array([plain]))[0])

    def change(self, limits: Limits) -> Limits:
        """A difference of losses with its interval, as a difference of the metric (before any transformation)."""
        value, lower, upper = limits
        return (-value, -upper, -lower) if self.flip else limits


def slice_numbers(rows: SliceRows, inside: Flags, *, scale: Scale, level: float) -> dict[str, float]:
    """Numbers of one slice: NaN is not estimable.

    effect, contribution with limits, rest, overall, their reference values, share, p_value.
    """
    part, whole = rows.chosen(inside), rows.chosen(np.ones_like(inside))
    rest = whole.less(part)
    found = added(rows, inside, np.ones_like(inside))
    half = float(quantile(level)) * np.sqrt(found.variance)
    limits = {
        "effect": _effect(rows, inside, level=level),
        "contribution": (found.value, found.value - half, found.value + half),
    }
    made = {"rest": scale.value(float(rest.ratio[-1, 0])), "overall": scale.value(float(whole.ratio[-1, 0]))}
    if rows.periods == 2:
        then = {"reference": part, "reference_rest": rest, "reference_overall": whole}
        made |= {name: scale.value(float(moments.ratio[0, 0])) for name, moments in then.items()}
    for name, loss in limits.items():
        value, lower, upper = scale.change(loss)
        made |= {name: value, f"{name}_lower": lower, f"{name}_upper": upper}
    with np.errstate(invalid="ignore", divide="ignore"):
        share = float((part.b / whole.b)[-1, 0])
    return made | {"share": share, "p_value": found.p_value}


def _effect(rows: SliceRows, inside: Flags, *, level: float) -> Limits:
    """Loss of the slice less that of the rest, now, less the same then: distances to the limits add as squares.

    Zou and Donner 2008 (doi:10.1002/sim.3095).
    """
    value, below, above = 0.0, 0.0, 0.0
    for period in range(rows.periods):
        latest = 1 if period == rows.periods - 1 else -1
        for sign, some in ((latest, inside), (-latest, ~inside)):
            middle, lower, upper = _limits(rows, some, period, level=level)
            value += sign * middle
            low, high = (lower, upper) if sign > 0 else (upper, lower)
            below += (middle - low) ** 2
            above += (high - middle) ** 2
    return value, value - float(np.sqrt(below)), value + float(np.sqrt(above))


def _limits(rows: SliceRows, some: Flags, period: int, *, level: float) -> Limits:
    """Loss per size of some rows in one period, with interval."""
    start, end = rows.starts[period], rows.starts[period + 1]
    chosen = some[start:end]
    a, b = rows.a[start:end][chosen], rows.b[start:end][chosen]
    size = float(b.sum())
    if size <= 0:
        return _NOTHING
    value = float(a.sum()) / size
    if rows.entity is None and rows.binary:
        found = wilson(a.sum(), size, level=level)
        return value, float(found[0]), float(found[1])
    if rows.entity is not None:
        unit = np.unique(rows.entity[start:end][chosen], return_inverse=True)[1]
        a, b = (np.bincount(unit, x).astype(np.float64) for x in (a, b))
    lower, upper = _by_units(a, b, value, rows=int(np.count_nonzero(chosen)), proportion=rows.binary, level=level)
    return value, lower, upper


def _by_units(a: Array, b: Array, value: float, *, rows: int, proportion: bool, level: float) -> tuple[float, float]:
    units = len(a)
    variance = ratio_variance(a.sum(), b.sum(), a @ a, a @ b, b @ b, units=units)
    if proportion:
        lower, upper = proportion_by_variance(value, variance, rows, units=units, level=level)
    else:
        lower, upper = mean_by_variance(value, variance, units=units, level=level)
    return float(lower), float(upper)
