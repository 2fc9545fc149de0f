"""What moved with the scores: served features by standardised shift, and the day on which the metric changed."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from fbkit.diagnose.corruption import Finding
from fbkit.diagnose.features import Move, feature_columns
from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.schema.contract import Contract

SCHEMA = {
    "column": pl.String,
    "mean_reference": pl.Float64,
    "mean_current": pl.Float64,
    "shift": pl.Float64,
    "null_rate_reference": pl.Float64,
    "null_rate_current": pl.Float64,
    "slope": pl.Float64,
    "intercept": pl.Float64,
    "kind": pl.String,
}


def features_moved(
    rows: Rows,
    contract: Contract,
    *,
    moves: Mapping[str, Move] | None = None,
    findings: Mapping[str, Finding] | None = None,
) -> pl.DataFrame:
    """Numeric features of the contract (and text ones whose null rate jumped), the most moved first.

    Columns column, mean_reference, mean_current, shift (difference of the means in standard deviations of
    the reference; null if it has none), null_rate_reference, null_rate_current (NaN counts as null), slope and
    intercept of the current quantiles over the reference's, and ``kind``: nulls, default, impossible values, rescale,
    shift, other, covariate; null for a feature that did not move beyond what windows of the reference do.
    """
    told = findings or {}
    names = [n for n in feature_columns(rows.frame, contract) if rows.frame[n].dtype.is_numeric()]
    found: list[dict[str, object]] = []
    for name in names:
        column = rows.frame[name].cast(pl.Float64).fill_nan(None)
        parts = [column.filter(pl.Series(rows.of(window))) for window in (REFERENCE, CURRENT)]
        means = [_number(part.mean()) for part in parts]
        spread = _number(parts[0].std())
        known = None not in means and bool(spread)
        found.append(
            {
                "column": name,
                "mean_reference": means[0],
                "mean_current": means[1],
                "shift": ((means[1] or 0.0) - (means[0] or 0.0)) / (spread or 1.0) if known else None,
                "null_rate_reference": parts[0].null_count() / len(parts[0]),
                "null_rate_current": parts[1].null_count() / len(parts[1]),
                **_kind(told.get(name)),
            }
        )
    for name, move in (moves or {}).items():
        if name in told and name not in names:
            rates = {"null_rate_reference": move.null[0], "null_rate_current": move.null[1]}
            found.append({"column": name, **rates, **_kind(told[name])})
    lines = [{column: line.get(column) for column in SCHEMA} for line in found]
    frame = pl.DataFrame(lines, schema=SCHEMA)
    return frame.sort(pl.col("shift").abs(), "column", descending=[True, False], nulls_last=True)


def _kind(finding: Finding | None) -> dict[str, object]:
    line = None if finding is None else finding.line
    return {
        "slope": None if line is None else line.slope,
        "intercept": None if line is None else line.intercept,
        "kind": None if finding is None else finding.kind,
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def day_of_change(daily: pl.DataFrame, *, not_before: datetime) -> tuple[datetime, float] | None:
    """The day that splits the series best into before and after, and the difference of the two levels.

    Weighted least squares over all splits (the single change point of Page 1954); days weigh by their
    labelled rows. Only days up to the current period's end; None with fewer than six days on which the metric
    is defined, or when the best split is not in the searched range.
    """
    known = daily.filter((pl.col("role") != "other") & pl.col("value").is_not_null() & (pl.col("n_labelled") > 0))
    value, weight = known["value"].to_numpy(), known["n_labelled"].cast(pl.Float64).to_numpy()
    if len(value) < 6:
        return None
    before_w, before = np.cumsum(weight)[:-1], np.cumsum(weight * value)[:-1]
    after_w, after = weight.sum() - before_w, (weight * value).sum() - before
    gap = after / after_w - before / before_w
    gain = gap**2 * before_w * after_w / weight.sum()
    days = known["day"].to_list()[1:]
    open_days = np.array([day >= not_before for day in days])
    if not open_days.any():
        return None
    best = int(np.argmax(np.where(open_days, gain, -1.0)))
    return days[best], float(gap[best])
