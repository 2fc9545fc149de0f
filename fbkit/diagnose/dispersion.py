"""Do outcomes at equal scores differ by day beyond chance (weather, campaigns)? Then rows know less than they seem."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import REFERENCE, Rows
from fbkit.diagnose.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispersion:
    """Spread of the days of the reference against what independent entities would show.

    Attributes
    ----------
    ratio
        Between-day sum of squares over the one expected; 1 if days are only samples of rows.
    p_value
        Chi-square with days - 1 degrees of freedom; None with fewer than five usable days.
    factor
        By what the standard error of the remainder grows; 1 where the test is not significant.
    """

    ratio: float | None
    p_value: float | None
    days: int
    factor: float


def day_of(frame: pl.DataFrame) -> Ints:
    """Day number (UTC) of every prediction."""
    return frame["ts_pred"].dt.date().cast(pl.Int32).to_numpy().astype(np.int64)


def dispersion(rows: Rows, *, bin_of: Ints, entity: Ints, settings: Settings) -> Dispersion:
    """Test the days of the reference period, the one that is taken for healthy, at equal scores.

    Scores are all logged, so a day of other cases is seen and replayed; what only whole days can average
    out is outcomes that differ by day *given* the score. The current period is left out on purpose: a fault
    that begins in its middle makes its days differ, and that is the finding, not noise.
    """
    part = (rows.window == REFERENCE) & rows.labelled
    outcome = rows.loss if rows.loss is not None else rows.positive.astype(np.float64)
    error = _at_equal_scores(np.nan_to_num(outcome[part]), cell=2 * bin_of[part] + rows.decision[part])
    day, cluster = day_of(rows.frame)[part], entity[part]
    sizes = _sums(day, error**2)
    days = int((sizes > 0).sum())
    # Entities that repeat spread more than their rows; days are held against that, not against bare rows.
    entities = float((_sums(cluster, error) ** 2).sum()) / max(float((error**2).sum()), 1e-300)
    if days < settings.fewest_days or entities <= 0:
        return Dispersion(ratio=None, p_value=None, days=days, factor=1.0)
    statistic = float((_sums(day, error)[sizes > 0] ** 2 / (entities * sizes[sizes > 0])).sum())
    p_value = float(chdtrc(days - 1, statistic))
    ratio = statistic / (days - 1)
    return Dispersion(ratio=ratio, p_value=p_value, days=days, factor=ratio**0.5 if p_value < settings.day_p else 1.0)


def _at_equal_scores(outcome: Floats, *, cell: Ints) -> Floats:
    """Outcomes less the mean of their score bin and decision."""
    mean = np.bincount(cell, weights=outcome) / np.maximum(np.bincount(cell), 1)
    return outcome - mean[cell]


def _sums(code: Ints, amount: Floats) -> Floats:
    """Sum by code, the smallest first; codes are dense (days, bootstrap clusters), gaps are zero."""
    first = int(code.min()) if len(code) else 0
    return np.bincount(code - first, weights=amount).astype(np.float64)
