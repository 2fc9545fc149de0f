"""What the scores alone expect of the metric, calibrated on the reference: blind to a changed concept by nature."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.advice import isotonic_draws
from fbkit.diagnose.bootstrap import Floats, Ints, interval
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import Masses, evaluate, row_loss
from fbkit.diagnose.rows import REFERENCE, WINDOWS, Rows
from fbkit.diagnose.settings import Settings, is_mean_of_values

FRAME: Final = "cbpe"
COLUMNS: Final = ("expected", "corrected", "gap", "lower", "upper")
SCHEMA: Final = {"window": pl.String} | dict.fromkeys(COLUMNS, pl.Float64)


def cbpe(cells: Cells, rows: Rows, bin_of: Ints, *, metric: str, settings: Settings) -> pl.DataFrame:
    """Confidence-based performance estimate of both windows beside the metric that repaired labels give.

    Parameters
    ----------
    cells
        The repaired counts.
    rows, bin_of
        Both windows, and the score bin of every row.
    metric
        A metric of decisions, ranks or probabilities; a mean of values has no such estimate.
    settings
        Level of the intervals, and when a cell is thin.

    Returns
    -------
    window, expected (every row, labelled or not, counts as positive with the reference's rate at its score), corrected,
    gap (corrected - expected) and its interval. Empty where no labels of the reference calibrate the scores.

    Notes
    -----
    The scores are calibrated by isotonic regression over the score bins, slices pooled. So the estimate follows the
    scores and the decisions, and knows nothing of the current labels: a gap says that outcomes at equal scores are
    others, in all rows or through another mix of slices. Only its change against the reference is told as such.
    """
    empty = pl.DataFrame(schema=SCHEMA)
    if is_mean_of_values(metric):
        return empty
    told = corrected(cells, thin=settings.thin_cell)
    rate = _calibrated(cells, told)
    if rate is None:
        return empty
    size = cells.n
    by_bin = rate[:, None, None, :, None]
    loss = _expected_loss(rows, bin_of, cells, metric=metric, rate=by_bin)
    expected = evaluate(metric, Masses(size * by_bin, size * (1 - by_bin), loss))
    gap = evaluate(metric, told) - expected
    table = [_row(number, expected, gap, level=settings.level) for number in range(len(WINDOWS))]
    return pl.DataFrame(table, schema=SCHEMA, orient="row")


def _calibrated(cells: Cells, told: Masses) -> Floats | None:
    """p(positive) by draw and score bin, rising, from the reference; None where it has no labels."""
    positive, negative = (part[:, REFERENCE].sum((1, 3)) for part in (told.positive, told.negative))
    size = positive + negative
    if not np.isfinite(size).all() or not (size.sum(-1) > 0).all():
        return None
    base = positive.sum(-1, keepdims=True) / size.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(size > 0, positive / size, base)
    return isotonic_draws(own, np.maximum(size, 1e-9 * cells.n[:, REFERENCE].sum()))


def _expected_loss(rows: Rows, bin_of: Ints, cells: Cells, *, metric: str, rate: Floats) -> Floats | None:
    """Expected sum of the row loss per cell; None for metrics that need none. A row's loss is linear in its label."""
    ones = np.ones(len(rows))
    either = [row_loss(metric, score=rows.score, label=label * ones) for label in (1.0, 0.0)]
    if either[0] is None or either[1] is None:
        return None
    code = (rows.window * 2 + rows.decision) * cells.bins + bin_of
    width = 4 * cells.bins
    n = np.maximum(np.bincount(code, minlength=width), 1)
    positive, other = (
        (np.bincount(code, weights=loss, minlength=width) / n).reshape(1, 2, 2, cells.bins, 1) for loss in either
    )
    return cells.n * (rate * positive + (1 - rate) * other)


def _row(window: int, expected: Floats, gap: Floats, *, level: float) -> tuple[object, ...]:
    value, lower, upper = interval(gap[:, window], level=level)
    before = float(expected[0, window])
    known = np.isfinite(before) and value is not None
    numbers = (before, before + (value or 0.0), value, lower, upper) if known else (None,) * len(COLUMNS)
    return WINDOWS[window], *numbers


def sentence(frame: pl.DataFrame, *, metric: str) -> str:
    """What the estimate says of the current window, for the third check; empty without one."""
    row = next((row for row in frame.iter_rows(named=True) if row["window"] == "current"), None)
    if row is None or row["gap"] is None:
        return ""
    expected, found = (words.level(metric, row[name]) for name in ("expected", "corrected"))
    text = f"Scores calibrated on the reference expect {expected}, the repaired labels give {found}"
    if row["lower"] is None or row["upper"] is None:
        return f"{text}."
    gap = f"the gap of {words.signed(metric, row['gap'])}{words.between(metric, row['lower'], row['upper'])}"
    if row["lower"] <= 0 <= row["upper"]:
        return f"{text}: {gap} is no sign of other outcomes at equal scores."
    return f"{text}: {gap} is a sign of other outcomes at equal scores."
