"""What chance alone adds to calibration errors: they are never negative, and larger the fewer the labels."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import CALIBRATION
from fbkit.measure.stats.null_band import Rows as Labelled
from fbkit.measure.stats.null_band import judge, worlds
from fbkit.measure.stats.per_unit import numbers_of

_SEED: Final = 20_110_711


def by_chance(rows: Rows, *, silent: bool = False) -> Floats:
    """Bias of the metric in each window: the mean excess over what was seen in worlds like it; 0 for other metrics.

    A week has fewer labels than its reference, so that a calibrated model's ECE and MCB seem to rise. See
    :func:`fbkit.measure.stats.null_band.judge`. Where labels are still to come those at hand are no fair sample: then
    it is the bias of a calibrated model with these scores (``silent``: rows without a label have one nonetheless).
    """
    if rows.metric not in CALIBRATION:
        return np.zeros(2)
    return np.array([_of_window(rows, window, silent=silent) for window in (REFERENCE, CURRENT)])


def _of_window(rows: Rows, window: int, *, silent: bool) -> float:
    from fbkit.measure.kernels.calibration_error import STATISTICS, dsc_draws

    mine = rows.of(window)
    young = not rows.mature[mine].all()
    if not (silent and young):
        mine = mine & rows.labelled
    label = rows.label[mine]
    if young:
        label = (np.random.default_rng(_SEED).random(len(label)) < rows.score[mine]).astype(np.float64)
    if not 0 < label.sum() < len(label):
        return 0.0
    entity = numbers_of(rows.frame["entity"].filter(pl.Series(mine)))
    repeats = len(np.unique(entity)) < len(entity)
    labelled = Labelled(rows.score[mine], label, None, entity if repeats else None)
    if rows.metric == "dsc":
        found = judge(0.0, dsc_draws, worlds(labelled, against="base"), level=0.95)
    else:
        _, statistic, against = STATISTICS[rows.metric]
        found = judge(0.0, statistic, worlds(labelled, against=against), level=0.95)
    return -found.debiased
