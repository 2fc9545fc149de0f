"""Brier score and log loss of rows of weight one with labels of zero or one: their sums by cell, from plain arrays."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.cells import Units, keys_of
from fbkit.measure.kernels.confusion import MEASURES
from fbkit.measure.kinds import S, Total, Y
from fbkit.measure.scope import IN, Scope
from fbkit.measure.stats.intervals import Array
from fbkit.measure.tally import Tally, sums_by

_NAMES: Final = ("brier", "log_loss")
_SERVED: Final = tuple(measure for measure in MEASURES if measure.name in _NAMES)


def served(measure: Total) -> bool:
    """Whether this is fbkit's own Brier score or log loss."""
    return any(measure is one for one in _SERVED)


def loss_sums(scope: Scope, counted: Tally, units: Units | None, measure: Total, *, bounded: bool) -> pl.DataFrame:
    """What :func:`fbkit.measure.totals.sum_cells` has for these two; ``units`` are the rows of repeated entities."""
    inside = counted.kinds.get_column(IN)
    label = counted.kinds.get_column(Y)
    known = (inside & label.is_not_null()).to_numpy()
    used = known[counted.kind]
    score = scope.frame.get_column(S).to_numpy()
    positive = (label == 1).fill_null(value=False).to_numpy()[counted.kind]
    a = _loss(measure, score, positive) * used
    size = len(counted.cells.row)
    made = {"a": counted.cells.sums(a), "b": counted.rows[:, known].sum(axis=1).astype(np.float64)}
    if bounded:
        free = np.flatnonzero((inside & label.is_null()).to_numpy()[counted.kind])
        open_rows = counted.rows[:, (inside & label.is_null()).to_numpy()].sum(axis=1)
        cell = counted.cells.cell[free]
        two = [_loss(measure, score[free], np.full(len(free), side)) for side in (False, True)]
        made |= {"la": sums_by(cell, np.minimum(*two), size), "ha": sums_by(cell, np.maximum(*two), size)}
        made["lb"] = made["hb"] = open_rows.astype(np.float64)
    made |= {"aa": counted.cells.sums(a * a), "ab": made["a"], "bb": made["b"], "units": made["b"], "rows": made["b"]}
    if units is not None:
        top, bottom = (np.add.reduceat(each[units.order], units.starts) for each in (a, used.astype(np.float64)))
        of = counted.cells.cell[units.order[units.starts]]
        squares = {"aa": top * top, "ab": top * bottom, "bb": bottom * bottom, "units": (bottom != 0) * 1.0}
        made |= {name: sums_by(of, each, size) for name, each in squares.items()}
    keys = keys_of(scope.frame, scope.keys, counted.cells.row)
    found = keys.with_columns(pl.Series(name, each) for name, each in made.items())
    # A cell of which no row counts is not there.
    there = np.asarray(counted.rows[:, inside.to_numpy()].sum(axis=1) > 0)
    return found.filter(pl.Series(there)).cast({"units": pl.UInt32, "rows": pl.Int64})


def _loss(measure: Total, score: Array, positive: np.ndarray) -> Array:
    if measure.loss == "square":
        return np.square(score - positive)
    # Clipped as scikit-learn does, so that a score of exactly 0 or 1 costs about 36, not infinity.
    edge = np.finfo(np.float64).eps
    clipped = np.clip(score, edge, 1 - edge)
    return -np.log(np.where(positive, clipped, 1 - clipped))
