"""How much of the labels is visible at a row's age: arrival curves of mature rows by outcome and decision."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Rows
from fbkit.diagnose.settings import Settings

MICROSECONDS_PER_DAY = 86_400_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How visible labels are, and what that rests on.

    Attributes
    ----------
    seen1, seen0
        Share of positive (other) labels of the row's decision that is visible at the row's age; 1 for mature rows.
    young
        Rows whose window is still open.
    reason
        Why the age of the rows could not be allowed for, else None.
    """

    seen1: Floats
    seen0: Floats
    young: Flags
    reason: str | None


def visibility(rows: Rows, whole: pl.DataFrame, *, as_of: datetime, settings: Settings) -> Arrival:
    """The visible share of labels at every row's age.

    Parameters
    ----------
    rows
        The two windows.
    whole
        The joined table: mature rows outside the windows inform the curves as well.

    Notes
    -----
    The curve of outcome y and decision d is the distribution of the arrival lag of mature labelled
    rows, so what it conditions on is "will ever be labelled". Curves of one decision with too few rows
    are pooled over decisions. Without any mature label the rows count as fully visible and ``reason``
    says so.
    """
    young = ~rows.mature
    seen = np.ones((2, len(rows)))
    curves = arrival_curves(whole, settings=settings)
    reason = None
    if young.any() and not curves:
        reason = "the age of the labels is not allowed for: no closed label window to learn the arrival curve from"
    if young.any() and curves:
        age = ages(rows.frame, as_of=as_of)
        for (outcome, decision), lags in curves.items():
            mine = young & (rows.decision == decision)
            seen[outcome, mine] = np.searchsorted(lags, age[mine], side="right") / len(lags)
    return Arrival(seen1=seen[1], seen0=seen[0], young=young, reason=reason)


def ages(frame: pl.DataFrame, *, as_of: datetime) -> Floats:
    """Age of every prediction at the as-of time in days."""
    micro = (pl.lit(as_of) - pl.col("ts_pred")).dt.total_microseconds()
    return frame.select(micro.alias("age"))["age"].to_numpy() / MICROSECONDS_PER_DAY


def arrival_curves(whole: pl.DataFrame, *, settings: Settings) -> dict[tuple[int, int], Floats]:
    """Sorted arrival lags (days) of mature labelled rows by (outcome, decision); thin ones pooled, none: empty."""
    known = whole.filter(pl.col("mature") & pl.col("label").is_not_null() & pl.col("arrival_lag").is_not_null())
    lag = known["arrival_lag"].dt.total_microseconds().to_numpy() / MICROSECONDS_PER_DAY
    outcome = (known["label"] == 1).cast(pl.Int64).to_numpy()
    decision = known["flagged"].fill_null(value=False).cast(pl.Int64).to_numpy()
    if len(lag) < settings.fewest_arrivals:
        return {}
    curves: dict[tuple[int, int], Floats] = {}
    for y in (0, 1):
        for d in (0, 1):
            curves[y, d] = _curve(lag, outcome == y, decision == d, fewest=settings.fewest_arrivals)
    return curves


def _curve(lag: Floats, same_outcome: Flags, same_decision: Flags, *, fewest: int) -> Floats:
    for rows in (same_outcome & same_decision, same_outcome):
        if int(rows.sum()) >= fewest:
            return np.sort(lag[rows])
    return np.sort(lag)


def arrivals_frame(rows: Rows, *, as_of: datetime, window_days: float, points: int = 30) -> pl.DataFrame:
    """Share of all predictions whose label had arrived by an age: age_days, reference, current.

    Only predictions at least that old count; null where none is.
    """
    age = ages(rows.frame, as_of=as_of)
    lag_column = rows.frame["arrival_lag"].dt.total_microseconds().cast(pl.Float64).fill_null(float("inf")).to_numpy()
    lag = np.where(rows.labelled, lag_column / MICROSECONDS_PER_DAY, np.inf)
    grid = np.linspace(0, window_days, points + 1)
    shares = [_shares(age, lag, rows.of(window), grid) for window in (REFERENCE, CURRENT)]
    frame = pl.DataFrame({"age_days": grid, "reference": shares[0], "current": shares[1]})
    return frame.with_columns(pl.col("reference", "current").fill_nan(None))


def _shares(age: Floats, lag: Floats, mine: Flags, grid: Floats) -> Floats:
    ages_, lags = age[mine], lag[mine]
    result: list[float] = []
    for point in grid:
        old = ages_ >= point
        result.append(float((lags[old] <= point).mean()) if old.any() else float("nan"))
    return np.array(result)
