"""How far numbers were off: relative errors, R2, quantiles of the absolute error, and forecasts given as quantiles."""

from functools import partial
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.kinds import Cell, Cellwise, Found, S, Total, W, Y, column
from fbkit.measure.stats.intervals import Array, quantile, ratio_variance
from fbkit.measure.stats.quantiles import quantile_estimate

REGRESSION: Final = ("regression",)
ERROR_QUANTILES: Final = (50, 90, 95, 99)

_y, _s, _w = pl.col(Y), pl.col(S), pl.col(W)
_absolute = (_s - _y).abs()


def r_squared(cell: Cell, level: float) -> Found:
    """1 - (sum of squared errors) / (sum of squares about the mean outcome), as scikit-learn defines it.

    Interval: the ratio of the two sums linearised (the mean's own error drops out to first order) and taken on the log
    scale, so that it stays below 1. A constant outcome has no spread to explain: NaN.
    """
    weight = np.ones_like(cell.label) if cell.weight is None else cell.weight
    if not weight.sum() > 0:
        return Found(np.nan)
    mean = float(np.average(cell.label, weights=weight))
    errors, spread = weight * (cell.label - cell.score) ** 2, weight * (cell.label - mean) ** 2
    if not spread.sum() > 0:
        return Found(np.nan, reason="the outcomes do not vary")
    ratio = float(errors.sum() / spread.sum())
    variance, units = _ratio_variance(errors, spread, cell)
    if np.isnan(variance) or ratio <= 0:
        return Found(1 - ratio)
    half = float(quantile(level, df=units - 1)) * float(np.sqrt(variance)) / ratio
    method = "delta, log of the unexplained share"
    if cell.cluster is not None:
        method = f"cluster-robust (entity), {method}"
    return Found(1 - ratio, 1 - ratio * float(np.exp(half)), 1 - ratio * float(np.exp(-half)), method=method)


def _ratio_variance(top: Array, bottom: Array, cell: Cell) -> tuple[float, int]:
    codes = np.arange(len(top)) if cell.cluster is None else np.unique(cell.cluster, return_inverse=True)[1]
    a, b = np.bincount(codes, weights=top), np.bincount(codes, weights=bottom)
    variance = ratio_variance(a.sum(), b.sum(), a @ a, a @ b, b @ b, units=len(a))
    return float(variance), len(a)


def error_quantile(cell: Cell, level: float, *, p: float) -> Found:
    """Quantile of the absolute error; see :func:`fbkit.measure.stats.quantiles.quantile_estimate`."""
    errors = np.abs(cell.score - cell.label)
    return quantile_estimate(errors, p=p, weights=cell.weight, clusters=cell.cluster, level=level)


def _quantile_column(percent: int) -> str:
    return f"score_p{percent:02d}"


def _percent(name: str, percent: int) -> int:
    if not 1 <= percent <= 99:
        raise ArgumentError(
            f"{name}@k needs a whole percentage",
            got=percent,
            allowed="k from 1 to 99",
            next_step=f'write for example "{name}@90"',
        )
    return percent


def _logged(name: str) -> pl.Expr:
    """A logged quantile; what is no number (in a CSV file every unknown column is text) is null."""
    found = column(name).cast(pl.Float64, strict=False)
    return pl.when(found.is_finite()).then(found)


def pinball(percent: int) -> Total:
    """Mean pinball loss of the logged quantile ``score_pKK``: K % of the miss below it, the rest above."""
    share = _percent("pinball", percent) / 100
    name = _quantile_column(percent)
    miss = _y - _logged(name)
    return Total(
        name=f"pinball@{percent}",
        needs="rows",
        kind="mean",
        numerator=_w * pl.max_horizontal(share * miss, (share - 1) * miss),
        denominator=pl.when(_logged(name).is_not_null()).then(_w),
        floor=0.0,
        tasks=REGRESSION,
        columns=(name,),
        empty=f"no labelled row has a {name}",
    )


def quantile_coverage(percent: int) -> Total:
    """Share of outcomes at or below the logged quantile ``score_pKK``: K % if it is calibrated."""
    name = _quantile_column(_percent("quantile_coverage", percent))
    known = _logged(name).is_not_null()
    return Total(
        name=f"quantile_coverage@{percent}",
        needs="rows",
        numerator=pl.when(known).then(_w * (_y <= _logged(name)).cast(pl.Float64)),
        denominator=pl.when(known).then(_w),
        tasks=REGRESSION,
        columns=(name,),
        empty=f"no labelled row has a {name}",
    )


def interval_coverage(percent: int) -> Total:
    """Share of outcomes inside the logged central K % interval, ends included: K % if it is calibrated.

    Its ends are the quantiles (100 - K) / 2 and (100 + K) / 2, so K is even: 80 reads score_p10 and score_p90.
    """
    if not 2 <= percent <= 98 or percent % 2:
        raise ArgumentError(
            "interval_coverage@k needs an even percentage",
            got=percent,
            allowed="2, 4, ... 98",
            next_step='write "interval_coverage@80" for the columns score_p10 and score_p90',
        )
    low, high = (_quantile_column(50 + sign * percent // 2) for sign in (-1, 1))
    known = _logged(low).is_not_null() & _logged(high).is_not_null()
    inside = (_y >= _logged(low)) & (_y <= _logged(high))
    return Total(
        name=f"interval_coverage@{percent}",
        needs="rows",
        numerator=pl.when(known).then(_w * inside.cast(pl.Float64)),
        denominator=pl.when(known).then(_w),
        tasks=REGRESSION,
        columns=(low, high),
        empty=f"no labelled row has both {low} and {high}",
    )


MEASURES: Final = (
    Total(
        name="mape",
        needs="rows",
        kind="mean",
        # An outcome of zero makes the sum NaN, which is "not estimable".
        numerator=pl.when(_y != 0).then(_w * _absolute / _y.abs()).otherwise(pl.when(_w > 0).then(float("nan"))),
        denominator=_w,
        floor=0.0,
        tasks=REGRESSION,
        empty="an outcome is zero, and no error is a share of it: see wape",
    ),
    Total(
        name="wape",
        needs="rows",
        kind="mean",
        numerator=_w * _absolute,
        denominator=_w * _y.abs(),
        floor=0.0,
        tasks=REGRESSION,
        empty="all outcomes are zero",
    ),
    Cellwise(name="r2", fn=r_squared, tasks=REGRESSION),
    *(
        Cellwise(name=f"error_p{percent}", fn=partial(error_quantile, p=percent / 100), tasks=REGRESSION)
        for percent in ERROR_QUANTILES
    ),
)
FAMILIES: Final = {
    "pinball": pinball,
    "quantile_coverage": quantile_coverage,
    "interval_coverage": interval_coverage,
}
