"""Confusion rates, losses and errors as ratios of sums, each with its worst case."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.kinds import ANY_TASK, E0, E1, F, S, Total, W, Y
from fbkit.measure.stats.intervals import Array

_y, _f, _s, _w = pl.col(Y), pl.col(F), pl.col(S), pl.col(W)
_zero = pl.lit(0.0)


def _dice(jaccard: Array) -> Array:
    return 2 * jaccard / (1 + jaccard)


_unflagged = 1 - _f
_least, _most = pl.min_horizontal(E0, E1), pl.max_horizontal(E0, E1)
_error = _s - _y

MEASURES: Final = (
    Total(
        name="recall",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * _y,
        low=(_zero, _w * _unflagged),
        high=(_w * _f, _w * _f),
        empty="no positives",
    ),
    Total(
        name="precision",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * _f,
        low=(_zero, _w * _f),
        high=(_w * _f, _w * _f),
        empty="no labelled row is flagged",
    ),
    Total(
        name="specificity",
        uses_flag=True,
        numerator=_w * (1 - _y) * _unflagged,
        denominator=_w * (1 - _y),
        low=(_zero, _w * _f),
        high=(_w * _unflagged, _w * _unflagged),
        empty="no negatives",
    ),
    Total(
        name="accuracy",
        uses_flag=True,
        numerator=_w * (_y * _f + (1 - _y) * _unflagged),
        denominator=_w,
        low=(_zero, _w),
        high=(_w, _w),
    ),
    # F1 = 2J / (1 + J) with J = TP / (TP + FP + FN): a proportion, so Wilson's interval carries over exactly.
    Total(
        name="f1",
        uses_flag=True,
        numerator=_w * _y * _f,
        denominator=_w * (_y + _f - _y * _f),
        low=(_zero, _w),
        high=(_w * _f, _w * _f),
        empty="no labelled row is positive or flagged",
        transform=_dice,
        transform_name="of TP / (TP + FP + FN)",
    ),
    Total(name="base_rate", numerator=_w * _y, denominator=_w, low=(_zero, _w), high=(_w, _w)),
    Total(
        name="flag_rate",
        tasks=ANY_TASK,
        uses_flag=True,
        uses_label=False,
        numerator=_w * _f,
        denominator=_w,
        empty="no predictions",
    ),
    Total(
        name="availability",
        tasks=ANY_TASK,
        uses_label=False,
        numerator=_w * _y.is_not_null().cast(pl.Float64),
        denominator=_w,
        empty="no predictions",
    ),
    Total(
        name="brier",
        kind="mean",
        loss="square",
        numerator=_y * pl.col(E1) + (1 - _y) * pl.col(E0),
        denominator=_w,
        low=(_least, _w),
        high=(_most, _w),
        floor=0.0,
        ceiling=1.0,
    ),
    Total(
        name="log_loss",
        needs="rows",
        kind="mean",
        loss="log",
        numerator=_y * pl.col(E1) + (1 - _y) * pl.col(E0),
        denominator=_w,
        low=(_least, _w),
        high=(_most, _w),
        floor=0.0,
    ),
    Total(
        name="mae", tasks=ANY_TASK, needs="rows", kind="mean", numerator=_w * _error.abs(), denominator=_w, floor=0.0
    ),
    Total(name="bias", tasks=ANY_TASK, needs="rows", kind="mean", numerator=_w * _error, denominator=_w),
    Total(
        name="rmse",
        tasks=ANY_TASK,
        needs="rows",
        kind="mean",
        numerator=_w * _error.pow(2),
        denominator=_w,
        floor=0.0,
        transform=np.sqrt,
        transform_name="of the mean squared error",
    ),
)
