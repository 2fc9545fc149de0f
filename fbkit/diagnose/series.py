"""The metric by week and by day, with availability."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Triple
from fbkit.diagnose.bounds import rate_bounds
from fbkit.diagnose.settings import OWN, PROBABILITY_LOSSES, OwnName, is_mean_of_values, lower_is_better
from fbkit.measure.stats.intervals import quantile, wilson
from fbkit.measure.stats.ranking import roc_auc
from fbkit.schema.period import Period

COUNTS = ("tp", "fp", "fn", "tn", "m1", "m0")
PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "recall": (("tp",), ("tp", "fn")),
    "precision": (("tp",), ("tp", "fp")),
    "specificity": (("tn",), ("tn", "fp")),
    "f1": (("tp", "tp"), ("tp", "tp", "fp", "fn")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "fn", "tn")),
    "base_rate": (("tp", "fn"), ("tp", "fp", "fn", "tn")),
}


def series(
    frame: pl.DataFrame, *, metric: str, step: timedelta, reference: Period, current: Period, level: float
) -> pl.DataFrame:
    """The metric on every labelled row by time of prediction, in steps of whole days.

    Columns: period_start, period_end, value, lower, upper, bound_lower, bound_upper, n, n_labelled,
    availability, role ("reference", "current", "other": a step belongs to the window that holds its middle).
    Steps are counted from the start of the current period, so that the two windows are cut at the same edge.
    """
    slot = (pl.col("ts_pred") - pl.lit(current.start)).dt.total_microseconds().floordiv(int(step.total_seconds() * 1e6))
    table = frame.with_columns(slot.alias("_slot"))
    counts = table.group_by("_slot").agg(*_aggregates(metric)).sort("_slot")
    auc = _auc_by_slot(table, level=level) if metric == "roc_auc" else {}
    rows = [_point(row, metric=metric, level=level, auc=auc) for row in counts.iter_rows(named=True)]
    starts = [current.start + int(row["_slot"]) * step for row in counts.iter_rows(named=True)]
    times = [
        {"period_start": start, "period_end": start + step, "role": _role(start + step / 2, reference, current)}
        for start in starts
    ]
    merged = [time | row for time, row in zip(times, rows, strict=True)]
    return pl.DataFrame(merged, schema=SCHEMA, infer_schema_length=None)


SCHEMA = {
    "period_start": pl.Datetime("us", "UTC"),
    "period_end": pl.Datetime("us", "UTC"),
    "value": pl.Float64,
    "lower": pl.Float64,
    "upper": pl.Float64,
    "bound_lower": pl.Float64,
    "bound_upper": pl.Float64,
    "n": pl.Int64,
    "n_labelled": pl.Int64,
    "availability": pl.Float64,
    "role": pl.String,
}


def _aggregates(metric: str) -> list[pl.Expr]:
    flagged, labelled = pl.col("flagged"), pl.col("label").is_not_null()
    positive = labelled & (pl.col("label") == 1)
    count = {
        "tp": positive & flagged,
        "fn": positive & ~flagged,
        "fp": labelled & ~positive & flagged,
        "tn": labelled & ~positive & ~flagged,
        "m1": ~labelled & flagged,
        "m0": ~labelled & ~flagged,
    }
    parts = [rule.cast(pl.Int64).sum().alias(name) for name, rule in count.items()]
    parts += [pl.len().cast(pl.Int64).alias("n"), labelled.cast(pl.Int64).sum().alias("n_labelled")]
    loss = _loss(metric)
    if loss is not None:
        parts += [loss.mean().alias("mean"), loss.std().alias("spread")]
    return parts


def _loss(metric: str) -> pl.Expr | None:
    if isinstance(metric, OwnName):
        return pl.col(OWN)
    error = pl.col("score") - pl.col("label")
    if metric in ("brier", "rmse"):
        return error**2
    if metric == "log_loss":
        inner = pl.col("score").clip(1e-15, 1 - 1e-15)
        return -(pl.col("label") * inner.log() + (1 - pl.col("label")) * (1 - inner).log())
    return {"mae": error.abs(), "bias": error}.get(metric)


def _point(row: dict[str, Any], *, metric: str, level: float, auc: Mapping[int, Triple]) -> dict[str, Any]:
    n, labelled = int(row["n"]), int(row["n_labelled"])
    value, lower, upper = _value(row, metric=metric, level=level, auc=auc)
    low, high = rate_bounds(metric, **{name: row[name] for name in COUNTS})
    return {
        "value": value,
        "lower": lower,
        "upper": upper,
        "bound_lower": low,
        "bound_upper": high,
        "n": n,
        "n_labelled": labelled,
        "availability": labelled / n if n else None,
    }


def _value(row: dict[str, Any], *, metric: str, level: float, auc: Mapping[int, Triple]) -> Triple:
    if metric == "roc_auc":
        return auc.get(row["_slot"], (None, None, None))
    if metric in PROBABILITY_LOSSES or is_mean_of_values(metric):
        return _mean(row, metric=metric, level=level)
    above, below = (sum(row[name] for name in part) for part in PARTS[metric])
    if below == 0:
        return None, None, None
    low, high = wilson(above, below, level=level)
    return above / below, float(low), float(high)


def _mean(row: dict[str, Any], *, metric: str, level: float) -> Triple:
    mean, spread, n = row["mean"], row["spread"], row["n_labelled"]
    if mean is None:
        return None, None, None
    half = float(quantile(level)) * spread / n**0.5 if spread is not None else None
    if metric == "rmse":
        root = mean**0.5
        half = None if half is None or root == 0 else half / (2 * root)
        mean = root
    return mean, None if half is None else mean - half, None if half is None else mean + half


def _auc_by_slot(table: pl.DataFrame, *, level: float) -> dict[int, Triple]:
    known = table.filter(pl.col("label").is_not_null()).group_by("_slot").agg("score", "label")
    found = {slot: roc_auc(score, label, level=level) for slot, score, label in known.iter_rows()}
    return {slot: (_finite(auc.value), _finite(auc.lower), _finite(auc.upper)) for slot, auc in found.items()}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _role(middle: datetime, reference: Period, current: Period) -> str:
    if current.start <= middle < current.end:
        return "current"
    return "reference" if reference.start <= middle < reference.end else "other"


def worse_by(metric: str) -> int:
    """+1 if a rise is worse, -1 if a fall is."""
    return 1 if lower_is_better(metric) else -1
