"""One reliability curve: blocks of the isotonic fit, or equal-width bins, with intervals and consistency bands."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.measure.stats.corp import Distinct, bin_of, isotonic, isotonic_lines, sums_by
from fbkit.measure.stats.intervals import Array, effective_units, proportion_by_variance, ratio_variance, wilson
from fbkit.measure.stats.null_band import Rows, grouped, label_noise

CURVE: Final = "curve"
CURVE_COLUMNS: Final = (
    CURVE, "score_lower", "score_upper", "score_mean", "observed", "lower", "upper", "band_lower", "band_upper",
    "n", "method",
)  # fmt: skip
_DRAWS: Final = 200
_LARGEST_BAND_GRID: Final = 400


def corp_curve(rows: Rows, *, level: float) -> pl.DataFrame:
    """One line per block of the isotonic fit (CORP); the band refits labels drawn from the scores themselves."""
    score, code = np.unique(rows.score, return_inverse=True)
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    n = sums_by(code, weight)
    fitted = isotonic(sums_by(code, weight * rows.label) / n, n)
    change = np.diff(fitted) > 0
    starts = np.flatnonzero(np.concatenate([[True], change]))
    block = np.concatenate([[0], np.cumsum(change)])
    mean = np.add.reduceat(n * score, starts) / np.add.reduceat(n, starts)
    groups, member = grouped(rows, largest=_LARGEST_BAND_GRID)
    smooth = isotonic(groups.positives / groups.n, groups.n)
    noise, _ = label_noise(rows, groups, member, smooth, draws=_DRAWS)
    position = np.clip(np.searchsorted(groups.score, mean, side="right") - 1, 0, len(groups.score) - 1)
    fits = isotonic_lines(noise(np.clip(groups.score, 0, 1)) / groups.n, groups.n)[:, position]
    return _frame(
        "corp",
        rows,
        block[code],
        first=score[starts],
        last=score[np.append(starts[1:], len(fitted)) - 1],
        mean=mean,
        drawn=np.clip(fits, 0, 1),
        level=level,
    )


def bin_curve(rows: Rows, *, bins: int, level: float) -> pl.DataFrame:
    """One line per equal-width bin of 0..1 that holds a row."""
    used, code = np.unique(bin_of(rows.score, bins), return_inverse=True)
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    n = sums_by(code, weight)
    mean = sums_by(code, weight * rows.score) / n
    positives = sums_by(code, weight * rows.label)
    noise, _ = label_noise(rows, Distinct(mean, n, positives), code, positives / n, draws=_DRAWS * 10)
    return _frame(
        "bins",
        rows,
        code,
        first=used / bins,
        last=(used + 1) / bins,
        mean=mean,
        drawn=np.clip(noise(np.clip(mean, 0, 1)) / n, 0, 1),
        level=level,
    )


def _frame(
    name: str,
    rows: Rows,
    code: NDArray[np.int64],
    *,
    first: Array,
    last: Array,
    mean: Array,
    drawn: Array,
    level: float,
) -> pl.DataFrame:
    observed, lower, upper, method = _observed(rows, code, len(mean), level=level)
    band_lower, band_upper = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pl.DataFrame(
        {
            CURVE: [name] * len(mean),
            "score_lower": first,
            "score_upper": last,
            "score_mean": mean,
            "observed": observed,
            "lower": lower,
            "upper": upper,
            "band_lower": band_lower,
            "band_upper": band_upper,
            "n": np.bincount(code, minlength=len(mean)).astype(np.int64),
            "method": method,
        }
    )


def _observed(
    rows: Rows, code: NDArray[np.int64], blocks: int, *, level: float
) -> tuple[Array, Array, Array, list[str]]:
    """Share of positives by block with its interval: Wilson, at the effective size where rows are not alike."""
    if rows.independent:
        n = np.bincount(code, minlength=blocks).astype(np.float64)
        k = sums_by(code, rows.label, blocks)
        return (k / n, *wilson(k, n, level=level), ["Wilson"] * blocks)
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    top, bottom, block = weight * rows.label, weight, code
    if rows.cluster is not None:
        pair, unit = np.unique(rows.cluster * blocks + code, return_inverse=True)
        top, bottom, block = sums_by(unit, top), sums_by(unit, bottom), (pair % blocks).astype(np.int64)
    a, b, units = (sums_by(block, part, blocks) for part in (top, bottom, np.ones_like(top)))
    size = np.bincount(code, minlength=blocks).astype(np.float64)
    aa, ab, bb = (sums_by(block, part, blocks) for part in (top * top, top * bottom, bottom * bottom))
    value = a / b
    variance = ratio_variance(a, b, aa, ab, bb, units=units)
    lower, upper = proportion_by_variance(value, variance, size, units=effective_units(b, bb), level=level)
    # As for every proportion: a block whose rows are alike and independent has Wilson's own interval.
    clustered = units < size
    simple = ~clustered & (aa == a) & (bb == b)
    plain = wilson(a, b, level=level)
    method = np.where(clustered, "cluster-robust (entity)", np.where(simple, "Wilson", "Wilson (effective n)"))
    return value, np.where(simple, plain[0], lower), np.where(simple, plain[1], upper), method.tolist()
