"""What chance alone adds to calibration errors: they are never negative, and larger the fewer the labels."""

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import CALIBRATION
from fbkit.measure.stats.null_band import Rows as Labelled
from fbkit.measure.stats.null_band import judge, worlds
from fbkit.measure.stats.per_unit import numbers_of


def by_chance(rows: Rows) -> Floats:
    """Bias of the metric in each window: the mean excess over what was seen in worlds like it; 0 for other metrics.

    A week has fewer labels than its reference, so that a calibrated model's ECE and MCB seem to rise. See
    :func:`fbkit.measure.stats.null_band.judge`.
    """
    if rows.metric not in CALIBRATION:
        return np.zeros(2)
    return np.array([_of_window(rows, window) for window in (REFERENCE, CURRENT)])


def _of_window(rows: Rows, window: int) -> float:
    from fbkit.measure.kernels.calibration_error import STATISTICS, dsc_draws

    mine = rows.labelled & rows.of(window)
    if not 0 < rows.label[mine].sum() < mine.sum():
        return 0.0
    entity = numbers_of(rows.frame["entity"].filter(pl.Series(mine)))
    repeats = len(np.unique(entity)) < len(entity)
    labelled = Labelled(rows.score[mine], rows.label[mine], None, entity if repeats else None)
    if rows.metric == "dsc":
        found = judge(0.0, dsc_draws, worlds(labelled, against="base"), level=0.95)
    else:
        _, statistic, against = STATISTICS[rows.metric]
        found = judge(0.0, statistic, worlds(labelled, against=against), level=0.95)
    return -found.debiased
