"""The metric by week and by day, with availability, and the day on which it changed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from fbkit.diagnose.metric import exact_auc
from fbkit.diagnose.settings import LOWER_IS_BETTER, PROBABILITY_LOSSES, VALUE_LOSSES
from fbkit.measure.intervals import wilson
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
WORST: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "recall": (("tp",), ("tp", "fn", "m0"), ("tp", "m1"), ("tp", "m1", "fn")),
    "precision": (("tp",), ("tp", "fp", "m1"), ("tp", "m1"), ("tp", "m1", "fp")),
    "specificity": (("tn",), ("tn", "fp", "m1"), ("tn", "m0"), ("tn", "m0", "fp")),
    "accuracy": (("tp", "tn"), COUNTS, ("tp", "tn", "m1", "m0"), COUNTS),
    "base_rate": (("tp", "fn"), COUNTS, ("tp", "fn", "m1", "m0"), COUNTS),
    "f1": (
        ("tp", "tp"),
        ("tp", "tp", "fp", "m1", "fn", "m0"),
        ("tp", "tp", "m1", "m1"),
        ("tp", "tp", "m1", "m1", "fp", "fn"),
    ),
}


def series(
    frame: pl.DataFrame, *, metric: str, every: str, reference: Period, current: Period, level: float
) -> pl.DataFrame:
    """The metric on every labelled row by day or by week of prediction.

    Columns: period_start, period_end, value, lower, upper, bound_lower, bound_upper, n, n_labelled,
    availability, role ("reference", "current", "other": a week belongs to a window if most of it does).
    A week starts where the current period starts, so that the two windows are cut at the same edge.
    """
    step = timedelta(days=1) if every == "1d" else timedelta(days=7)
    slot = (pl.col("ts_pred") - pl.lit(current.start)).dt.total_microseconds().floordiv(int(step.total_seconds() * 1e6))
    table = frame.with_columns(slot.alias("_slot"))
    counts = table.group_by("_slot").agg(*_aggregates(metric)).sort("_slot")
    auc = _auc_by_slot(table) if metric == "roc_auc" else {}
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
    error = pl.col("score") - pl.col("label")
    if metric in ("brier", "rmse"):
        return error**2
    if metric == "log_loss":
        inner = pl.col("score").clip(1e-15, 1 - 1e-15)
        return -(pl.col("label") * inner.log() + (1 - pl.col("label")) * (1 - inner).log())
    return {"mae": error.abs(), "bias": error}.get(metric)


def _point(row: dict[str, Any], *, metric: str, level: float, auc: Mapping[int, float]) -> dict[str, Any]:
    n, labelled = int(row["n"]), int(row["n_labelled"])
    value, lower, upper = _value(row, metric=metric, level=level, auc=auc)
    low, high = _bounds(row, metric)
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


def _value(
    row: dict[str, Any], *, metric: str, level: float, auc: Mapping[int, float]
) -> tuple[float | None, float | None, float | None]:
    if metric == "roc_auc":
        return auc.get(int(row["_slot"])), None, None
    if metric in PROBABILITY_LOSSES + VALUE_LOSSES:
        return _mean(row, metric=metric)
    above, below = (sum(row[name] for name in part) for part in PARTS[metric])
    if below == 0:
        return None, None, None
    low, high = wilson(above, below, level=level)
    return above / below, float(low), float(high)


def _mean(row: dict[str, Any], *, metric: str) -> tuple[float | None, float | None, float | None]:
    mean, spread, n = row["mean"], row["spread"], row["n_labelled"]
    if mean is None:
        return None, None, None
    half = 1.96 * spread / n**0.5 if spread is not None else None
    if metric == "rmse":
        root = mean**0.5
        half = None if half is None or root == 0 else half / (2 * root)
        mean = root
    return mean, None if half is None else mean - half, None if half is None else mean + half


def _bounds(row: dict[str, Any], metric: str) -> tuple[float | None, float | None]:
    if metric not in WORST:
        return None, None
    sums = [sum(row[name] for name in part) for part in WORST[metric]]
    low = sums[0] / sums[1] if sums[1] else None
    high = sums[2] / sums[3] if sums[3] else None
    return low, high


def _auc_by_slot(table: pl.DataFrame) -> dict[int, float]:
    result: dict[int, float] = {}
    for (slot,), part in table.filter(pl.col("label").is_not_null()).group_by("_slot"):
        value = exact_auc(part["score"].to_numpy(), part["label"].to_numpy())
        if np.isfinite(value):
            result[int(slot)] = value  # type: ignore[call-overload]  # the key is the integer slot
    return result


def _role(middle: Any, reference: Period, current: Period) -> str:
    if current.start <= middle < current.end:
        return "current"
    return "reference" if reference.start <= middle < reference.end else "other"


def worse_by(metric: str) -> int:
    """+1 if a rise is worse, -1 if a fall is."""
    return 1 if metric in LOWER_IS_BETTER else -1
