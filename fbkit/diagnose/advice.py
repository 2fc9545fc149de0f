"""Recalibrate or retrain: how the calibration curve moved, and which of its two parts."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints, interval, standard_error
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import Masses
from fbkit.diagnose.remedies import EITHER, RECALIBRATE, RETRAIN
from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.settings import Settings

FRAME: Final = "calibration_moved"
PARTS: Final = ("mcb", "dsc", "unc", "auc")
SCHEMA: Final = {"part": pl.String} | dict.fromkeys(("before", "after", "change", "lower", "upper"), pl.Float64)
# Shares of what the ranking is better than chance: so much less is worth a retraining; so much could be lost unseen.
LOST_RANKING: Final = 0.02
UNSEEN_LOSS: Final = 0.1


def calibration_moved(cells: Cells, rows: Rows, bin_of: Ints, *, settings: Settings) -> pl.DataFrame:
    """Miscalibration and discrimination of the current scores, by the outcomes of the reference and of today.

    Parameters
    ----------
    cells
        The repaired counts.
    rows, bin_of
        Both windows, and the score bin of every row.
    settings
        Level of the intervals, and when a cell is thin.

    Returns
    -------
    part (``mcb``, ``dsc``, ``unc``: Brier's parts by isotonic regression over score bins; ``auc`` over the same bins,
    which a mere change of the level of risk hardly moves while dsc falls with unc), before, after, change, lower,
    upper. Both sides stand on the current scores and slices, so a change of cases alone moves nothing. Values and
    changes are freed of the bootstrap's bias, for few labels look like miscalibration. Empty where a side has no rate
    in a bin, and for scores that are no probabilities.

    Notes
    -----
    CORP: Dimitriadis, Gneiting and Jordan 2021, doi:10.1073/pnas.2016191118. The minimum-maximum formula of isotonic
    regression (Barlow et al. 1972) fits all draws at once.
    """
    empty = pl.DataFrame(schema=SCHEMA)
    found = _curves(cells, settings=settings)
    if found is None:
        return empty
    size, before, after, kept = found
    score = _mean_scores(rows, bin_of, bins=cells.bins)[kept]
    # A score that is no probability has no calibration.
    if not np.isfinite(score).all() or score.min() < 0 or score.max() > 1:
        return empty
    parts = [_decomposed(size, positives, score) for positives in (before, after)]
    table = [_row(name, parts[0][name], parts[1][name], level=settings.level) for name in PARTS]
    return pl.DataFrame(table, schema=SCHEMA, orient="row")


def _curves(cells: Cells, *, settings: Settings) -> tuple[Floats, Floats, Floats, np.ndarray] | None:
    """Current rows by bin, and their positives by the reference's rates and by their own: (draws + 1, bins)."""
    masses = corrected(cells, thin=settings.thin_cell)
    rate = _rate(masses, REFERENCE)
    if rate is None or _rate(masses, CURRENT) is None:
        return None
    size = cells.n[:, CURRENT].sum(1)
    expected = np.where(size > 0, size * rate, 0.0).sum(-1)
    kept = (size[0].sum(-1) > 0) & np.isfinite(expected[0])
    if kept.sum() < 2:
        return None
    return size.sum(-1)[:, kept], expected[:, kept], masses.positive[:, CURRENT].sum((1, 3))[:, kept], kept


def _rate(masses: Masses, window: int) -> Floats | None:
    """p(positive) by (draw, bin, stratum); a stratum that nobody stood in takes its bin's rate."""
    positive, both = (m.sum(1) for m in (masses.positive[:, window], (masses.positive + masses.negative)[:, window]))
    with np.errstate(divide="ignore", invalid="ignore"):
        own = positive / both
        by_bin = positive.sum(-1, keepdims=True) / both.sum(-1, keepdims=True)
        whole = positive.sum((1, 2), keepdims=True) / both.sum((1, 2), keepdims=True)
    rate = np.where(np.isfinite(own), own, np.where(np.isfinite(by_bin), by_bin, whole))
    return rate if np.isfinite(rate[0]).all() else None


def _mean_scores(rows: Rows, bin_of: Ints, *, bins: int) -> Floats:
    now = rows.of(CURRENT)
    n = np.bincount(bin_of[now], minlength=bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.bincount(bin_of[now], weights=rows.score[now], minlength=bins) / n


def _decomposed(size: Floats, positives: Floats, score: Floats) -> dict[str, Floats]:
    """Brier's parts per draw."""
    weight = np.maximum(size, 1e-9)
    total = weight.sum(-1, keepdims=True)
    base = positives.sum(-1, keepdims=True) / total
    rate = np.where(size > 0, positives / weight, base)
    fitted = isotonic_draws(rate, weight)
    inside = (weight * (rate - fitted) ** 2).sum(-1) / total[:, 0]
    off = (weight * (rate - score) ** 2).sum(-1) / total[:, 0]
    spread = (weight * (rate - base) ** 2).sum(-1) / total[:, 0]
    unc = (base * (1 - base))[:, 0]
    positive, negative = (weight * part for part in (rate, 1 - rate))
    below = np.cumsum(negative, axis=-1) - negative / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auc = (positive * below).sum(-1) / (positive.sum(-1) * negative.sum(-1))
    return {"mcb": off - inside, "dsc": spread - inside, "unc": unc, "auc": auc}


def isotonic_draws(values: Floats, weights: Floats) -> Floats:
    """Weighted rising fit of every line: at i the largest over a <= i of the smallest mean of a..b over b >= i.

    >>> isotonic_draws(np.array([[1.0, 3.0, 2.0]]), np.ones((1, 3))).tolist()
    [[1.0, 2.5, 2.5]]
    """
    zero = np.zeros((len(values), 1))
    sums, sizes = (np.hstack([zero, np.cumsum(part, axis=1)]) for part in (values * weights, weights))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (sums[:, None, 1:] - sums[:, :-1, None]) / (sizes[:, None, 1:] - sizes[:, :-1, None])
    places = np.arange(values.shape[1])
    mean = np.where(places[:, None] <= places, mean, np.inf)
    smallest = np.minimum.accumulate(mean[:, :, ::-1], axis=2)[:, :, ::-1]
    return np.where(places[:, None] <= places, smallest, -np.inf).max(axis=1)


def _row(name: str, before: Floats, after: Floats, *, level: float) -> tuple[object, ...]:
    moved = after - before
    value, lower, upper = interval(_unbiased(moved), level=level)
    return name, _level(before), _level(after), value, lower, upper


def _unbiased(draws: Floats) -> Floats:
    """The same draws moved by their own bias (twice the value minus the mean of the draws)."""
    if standard_error(draws) is None:
        return draws
    return draws + (draws[0] - float(np.nanmean(draws[1:])))


def _level(draws: Floats) -> float | None:
    value = float(_unbiased(draws)[0])
    return value if np.isfinite(value) else None


def recommended(frame: pl.DataFrame) -> str:
    """What the calibration curve asks for: a word of :mod:`fbkit.diagnose.remedies`.

    "recalibrate": miscalibration rose and the ranking held; "retrain": the ranking got worse; "either": neither shows.
    """
    found = {row["part"]: row for row in frame.iter_rows(named=True)}
    if not found or any(found[name]["lower"] is None for name in ("mcb", "auc")):
        return EITHER
    ranking = found["auc"]
    better = abs((ranking["before"] or 0.5) - 0.5)
    if ranking["upper"] < 0 and ranking["change"] < -LOST_RANKING * better:
        return RETRAIN
    return RECALIBRATE if found["mcb"]["lower"] > 0 and ranking["lower"] > -UNSEEN_LOSS * better else EITHER
