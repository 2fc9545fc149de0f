"""Lift and gain: how many of the positives stand among the highest scores."""

from typing import Final

import numpy as np

from fbkit.errors import ArgumentError
from fbkit.measure.kinds import Cell, Cellwise, Found
from fbkit.measure.stats.corp import isotonic
from fbkit.measure.stats.intervals import cluster_totals, proportion_by_variance

_METHOD: Final = "influence function"


def share_of_positives(cell: Cell, top: float, *, level: float) -> Found:
    """The share of positives among the highest ``top`` share of rows, with its interval.

    Equal scores at the cut count in part, as if ties were broken at random. The variance takes into account that the
    cut itself is estimated: a row's influence is (y (f - gain) - r (f - top)) / base rate, with f whether it is above
    the cut and r the rate of positives at the cut (isotonic fit), as in Bahadur's representation of a quantile
    (doi:10.1214/aoms/1177699450). No positives: NaN.
    """
    weight = np.ones_like(cell.score) if cell.weight is None else cell.weight
    total, positives = float(weight.sum()), float((weight * cell.label).sum())
    if not positives > 0:
        return Found(np.nan)
    score, run = np.unique(-cell.score, return_inverse=True)
    n, hits = (np.bincount(run, weights=part, minlength=len(score)) for part in (weight, weight * cell.label))
    above = np.cumsum(n)
    within = np.clip((top * total - (above - n)) / np.where(n > 0, n, 1), 0, 1)
    gain = min(1.0, float((within * hits).sum()) / positives)
    cut = int(np.searchsorted(above, top * total * (1 - 1e-12)))
    rate = 1 - float(isotonic(1 - (hits / np.where(n > 0, n, 1)), np.where(n > 0, n, 1e-300))[cut])
    flagged = within[run]
    influence = weight * (cell.label * (flagged - gain) - rate * (flagged - top)) / positives
    units = influence if cell.cluster is None else cluster_totals(influence, cell.cluster)
    m = len(units)
    variance = float(units @ units) * m / (m - 1) if m > 1 else np.nan
    size = positives if cell.weight is None else positives**2 / float((np.square(weight) * cell.label).sum())
    if np.isnan(variance) or top >= 1:
        return Found(gain)
    # The cut moves with the rows, so the effective number of positives may pass their number.
    size = max(size, gain * (1 - gain) / variance) if variance > 0 else size
    lower, upper = proportion_by_variance(gain, variance, size, units=m, level=level)
    name = _METHOD if cell.cluster is None else f"cluster-robust (entity), {_METHOD}"
    return Found(gain, float(lower), float(upper), method=name)


def gain_at(k: int) -> Cellwise:
    """gain@k: the share of positives among the k percent of rows with the highest scores."""
    top = _percent("gain", k)
    return Cellwise(
        name=f"gain@{k}", fn=lambda cell, level: share_of_positives(cell, top, level=level), empty="no positives"
    )


def lift_at(k: int) -> Cellwise:
    """lift@k: how many times as many positives the top k percent hold as as many rows drawn at random would."""
    top = _percent("lift", k)

    def measure(cell: Cell, level: float) -> Found:
        found = share_of_positives(cell, top, level=level)
        return Found(found.value / top, found.lower / top, found.upper / top, method=found.method)

    return Cellwise(name=f"lift@{k}", fn=measure, empty="no positives")


def _percent(name: str, k: int) -> float:
    if k > 100:
        raise ArgumentError(
            f"{name}@k needs a percentage",
            got=f"{name}@{k}",
            allowed=f"{name}@1 to {name}@100",
            next_step=f"write {name}@10 for the top 10 %",
        )
    return k / 100


MEASURES: Final[tuple[Cellwise, ...]] = ()
FAMILIES: Final = {"gain": gain_at, "lift": lift_at}
