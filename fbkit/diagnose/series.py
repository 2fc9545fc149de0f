"""The metric by week and by day, with availability: the rows are read once and counted by day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints, Triple
from fbkit.diagnose.bounds import rate_bounds
from fbkit.diagnose.metric import row_loss
from fbkit.diagnose.settings import NEEDS_DECISION, OWN, OwnName, ValueName, lower_is_better
from fbkit.measure.stats.corp import decompose, expected_error
from fbkit.measure.stats.intervals import quantile, wilson
from fbkit.measure.stats.ranking import average_precision, roc_auc
from fbkit.schema.period import Period

COUNTS = ("tp", "fp", "fn", "tn", "m1", "m0")
PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "recall": (("tp",), ("tp", "fn")),
    "precision": (("tp",), ("tp", "fp")),
    "specificity": (("tn",), ("tn", "fp")),
    "f1": (("tp", "tp"), ("tp", "tp", "fp", "fn")),
    "accuracy": (("tp", "tn"), ("tp", "fp", "fn", "tn")),
    "base_rate": (("tp", "fn"), ("tp", "fp", "fn", "tn")),
    "ctr": (("tp", "fn"), ("tp", "fp", "fn", "tn")),
}
WIDTHS: Final = {"weekly": 7, "daily": 1}
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
_NONE: Final[Triple] = (None, None, None)


def series(
    frame: pl.DataFrame, *, metric: str, step: timedelta, reference: Period, current: Period, level: float
) -> pl.DataFrame:
    """The metric on every labelled row by time of prediction, in steps counted from the start of the current period.

    Columns: period_start, period_end, value, lower, upper, bound_lower, bound_upper, n, n_labelled,
    availability, role ("reference", "current", "other": a step belongs to the window that holds its middle).
    So the two windows are cut at the same edge. A step without predictions has no line. Values are those of
    :func:`fbkit.measure.metrics.metrics`; calibration errors and the parts of Brier's score have no interval.
    """
    table = _Table.of(frame, metric=metric, start=current.start, unit=step)
    return _lines(table, 1, metric=metric, reference=reference, current=current, level=level)


def by_week_and_day(
    frame: pl.DataFrame, *, metric: str, reference: Period, current: Period, level: float
) -> dict[str, pl.DataFrame]:
    """The same in steps of seven days ("weekly") and of one ("daily", with a column day first); counted once."""
    table = _Table.of(frame, metric=metric, start=current.start, unit=timedelta(days=1))
    made = {
        name: _lines(table, width, metric=metric, reference=reference, current=current, level=level)
        for name, width in WIDTHS.items()
    }
    return {**made, "daily": made["daily"].select(pl.col("period_start").alias("day"), pl.all())}


def _lines(
    table: "_Table", width: int, *, metric: str, reference: Period, current: Period, level: float
) -> pl.DataFrame:
    lines: list[dict[str, Any]] = []
    for slot, part in table.steps(width):
        start = current.start + slot * width * table.unit
        end = start + width * table.unit
        role = _role(start + (end - start) / 2, reference, current)
        lines.append({"period_start": start, "period_end": end, "role": role} | _point(part, metric, level))
    return pl.DataFrame(lines, schema=SCHEMA, infer_schema_length=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """The rows of one step: counts by kind, and arrays of the labelled ones."""

    counts: Mapping[str, int]
    score: Floats
    label: Floats
    loss: Floats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Counts by unit of time and kind (COUNTS), and the labelled rows in the order of their units."""

    unit: timedelta
    first: int
    counts: Ints
    at: Ints
    score: Floats
    label: Floats
    loss: Floats | None

    @classmethod
    def of(cls, frame: pl.DataFrame, *, metric: str, start: datetime, unit: timedelta) -> "_Table":
        if metric in NEEDS_DECISION:
            frame = frame.filter(pl.col("flagged").is_not_null())
        since = (frame["ts_pred"] - start).dt.total_microseconds().to_numpy()
        at = since // (unit // timedelta(microseconds=1))
        label = frame["label"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        score = frame["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        flagged = frame["flagged"].fill_null(value=False).to_numpy()
        if metric == "ctr":
            label = np.clip(label, 0.0, 1.0)
        loss = frame[OWN].fill_null(float("nan")).to_numpy() if isinstance(metric, OwnName) else None
        known = np.isfinite(label if loss is None else label + loss)
        if loss is None:
            loss = _loss(metric, score=score, label=label, flagged=flagged)
        kind = np.where(known, np.where(label == 1, 0, 1) + np.where(flagged, 0, 2), np.where(flagged, 4, 5))
        first = int(at.min()) if len(at) else 0
        size = int(at.max()) - first + 1 if len(at) else 0
        counts = np.bincount((at - first) * len(COUNTS) + kind, minlength=size * len(COUNTS)).reshape(size, -1)
        kept = np.flatnonzero(known)
        if (np.diff(at[kept]) < 0).any():
            kept = kept[np.argsort(at[kept], kind="stable")]
        return cls(
            unit=unit,
            first=first,
            counts=counts,
            at=at[kept],
            score=score[kept],
            label=label[kept],
            loss=None if loss is None else loss[kept],
        )

    def steps(self, width: int) -> list[tuple[int, _Step]]:
        """Slot number, counted from the start of the current period, and its rows; only slots with predictions."""
        slot = (self.first + np.arange(len(self.counts))) // width
        found: list[tuple[int, _Step]] = []
        for number in np.unique(slot):
            counts = self.counts[slot == number].sum(0)
            if counts.sum():
                low, high = np.searchsorted(self.at, [number * width, (number + 1) * width])
                step = _Step(
                    counts=dict(zip(COUNTS, counts.tolist(), strict=True)),
                    score=self.score[low:high],
                    label=self.label[low:high],
                    loss=None if self.loss is None else self.loss[low:high],
                )
                found.append((int(number), step))
        return found


def _loss(metric: str, *, score: Floats, label: Floats, flagged: np.ndarray) -> Floats | None:
    if isinstance(metric, ValueName):
        found, missed, alarmed, passed = metric.worth
        return label * np.where(flagged, found, missed) + (1 - label) * np.where(flagged, alarmed, passed)
    return None if metric in _OF_ROWS else row_loss(metric, score=score, label=label)


def _point(step: _Step, metric: str, level: float) -> dict[str, Any]:
    n, labelled = sum(step.counts.values()), len(step.label)
    value, lower, upper = _value(step, metric, level)
    low, high = rate_bounds(metric, **{name: float(count) for name, count in step.counts.items()})
    return {
        "value": value,
        "lower": lower,
        "upper": upper,
        "bound_lower": low,
        "bound_upper": high,
        "n": n,
        "n_labelled": labelled,
        "availability": labelled / n,
    }


def _value(step: _Step, metric: str, level: float) -> Triple:
    if metric in _OF_ROWS:
        return _OF_ROWS[metric](step, level) if len(step.label) else _NONE
    if step.loss is not None:
        return _mean(step.loss, metric=metric, level=level)
    above, below = (sum(step.counts[name] for name in part) for part in PARTS[metric])
    if below == 0:
        return _NONE
    low, high = wilson(above, below, level=level)
    return above / below, float(low), float(high)


def _mean(loss: Floats, *, metric: str, level: float) -> Triple:
    if not len(loss):
        return _NONE
    mean = float(loss.mean())
    half = float(quantile(level) * loss.std(ddof=1)) / len(loss) ** 0.5 if len(loss) > 1 else None
    if metric == "rmse":
        root = mean**0.5
        half = None if half is None or root == 0 else half / (2 * root)
        mean = root
    return mean, None if half is None else mean - half, None if half is None else mean + half


def _auc(step: _Step, level: float) -> Triple:
    found = roc_auc(step.score, step.label, level=level)
    return _finite(found.value), _finite(found.lower), _finite(found.upper)


def _precision(step: _Step, level: float) -> Triple:
    found = average_precision(step.score, step.label, level=level)
    return _finite(found.value), _finite(found.lower), _finite(found.upper)


def _part_of_brier(name: str) -> Callable[[_Step, float], Triple]:
    def value(step: _Step, level: float) -> Triple:  # noqa: ARG001 - biased upward: no interval
        return decompose(step.score, step.label)[name], None, None

    return value


def _calibration_error(step: _Step, level: float) -> Triple:  # noqa: ARG001 - biased upward: no interval
    return expected_error(step.score, step.label), None, None


_OF_ROWS: Final[Mapping[str, Callable[[_Step, float], Triple]]] = {
    "roc_auc": _auc,
    "average_precision": _precision,
    "ece": _calibration_error,
    "mcb": _part_of_brier("mcb"),
    "dsc": _part_of_brier("dsc"),
}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _role(middle: datetime, reference: Period, current: Period) -> str:
    if current.start <= middle < current.end:
        return "current"
    return "reference" if reference.start <= middle < reference.end else "other"


def worse_by(metric: str) -> int:
    """+1 if a rise is worse, -1 if a fall is."""
    return 1 if lower_is_better(metric) else -1
