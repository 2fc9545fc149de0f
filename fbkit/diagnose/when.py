"""On which days a cause acted: daily counts of what it moves, by time of prediction and by time of arrival."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Rows, encode
from fbkit.diagnose.series import PARTS
from fbkit.measure.stats.change_point import BACK, STEP, change_point
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.period import Period, floor_day, format_instant

FRAME: Final = "changed_days"
BY_PREDICTION, BY_ARRIVAL = "prediction", "arrival"
AXES: Final = {BY_PREDICTION: "ts_pred", BY_ARRIVAL: "ts_arrival"}
_TIME: Final = pl.Datetime("us", "UTC")
SCHEMA: Final = {"cause": pl.String, "axis": pl.String, "first": _TIME, "last": _TIME}

_DAY: Final = timedelta(days=1)
# What another day than the period's first must explain beyond it, in units of the noise: it was searched for.
_MORE: Final = 10.0
# Changes further before the current period than this are the reference's own affair.
_EARLIEST: Final = timedelta(days=14)
_AVAILABILITY: Final = ("label_slice_loss", "join_break", "label_loss_nonrandom")
_SCORES: Final = ("covariate_shift", "feature_corruption", "serving_fallback")
# Shares among all rows: their place names the value that grew, not the rows to count.
_SHARES: Final = ("mix_shift", "version_regression")
_SAID: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """First day, and the last one if it was over before the period was (midnights, UTC)."""

    first: datetime
    last: datetime | None = None

    def said(self, current: Period) -> str:
        """How a place ends: empty when it began with the current period and lasted."""
        if self.last is not None:
            first, last = (f"{day:%Y-%m-%d}" for day in (self.first, self.last))
            return f", {first}" if first == last else f", {first} to {last}"
        return "" if self.first == floor_day(current.start) else f", from {self.first:%Y-%m-%d}"


def days_of(counts: Floats, days: Sequence[datetime], *, current: Period, until: datetime | None = None) -> Days | None:
    """The days on which the shares of a table (days by categories) were others; None unless that is clear.

    See :func:`~fbkit.measure.stats.change_point.change_point`: a step, or there and back, each beyond the noise of
    days. What began earlier than two weeks before the current period, or came little by little, has no day here.
    """
    found = change_point(counts)
    if found.kind not in (STEP, BACK) or found.at is None or found.first is None or found.last is None:
        return None
    first = days[found.at]
    if not current.start - _EARLIEST <= first < (until or current.end):
        return None
    if found.kind == STEP:
        start = floor_day(current.start)
        return Days(first=first if _later(counts, days, found.at, start=start) else start)
    if found.back is None or found.back >= len(days):
        return None
    return Days(first=first, last=days[found.back] - _DAY)


def _later(counts: Floats, days: Sequence[datetime], at: int, *, start: datetime) -> bool:
    """Whether the step explains far more than one with the current period: else it is said to have come with it."""
    if start not in days[1:]:
        return True
    fits = [_split(counts, place) for place in (at, days.index(start))]
    return fits[0][0] - fits[1][0] > _MORE * fits[0][1]


def _split(counts: Floats, at: int) -> tuple[float, float]:
    """Pearson's chi-square of the days before and from a place on, and the spread of days around their two levels."""
    rows, whole = counts.sum(axis=1), counts.sum(axis=0) / counts.sum()
    used = whole > 0
    level = np.zeros_like(counts)
    gain = 0.0
    for side in (slice(None, at), slice(at, None)):
        size = rows[side].sum()
        if size == 0:
            return 0.0, 1.0
        level[side] = counts[side].sum(axis=0) / size
        gain += float(size * ((level[side][0] - whole)[used] ** 2 / whole[used]).sum())
    left = counts - rows[:, None] * level
    scatter = float((left[rows > 0][:, used] ** 2 / (rows[rows > 0, None] * whole[used])).sum())
    freedom = max(int((rows > 0).sum()) - 2, 1) * max(int(used.sum()) - 1, 1)
    return gain, max(1.0, scatter / freedom)


def dated(
    parts: Sequence[Contribution], rows: Rows, *, bin_of: Ints, current: Period
) -> tuple[tuple[Contribution, ...], pl.DataFrame]:
    """Material causes with their days in ``where``, and a frame of what was found.

    Parameters
    ----------
    parts
        Contributions with the place that their rung found. One that names a day already stays as it is.
    rows, bin_of
        Both windows, and the score bin of each row.
    current
        The current period.

    Returns
    -------
    The same contributions, the place of some ending in ", 2026-09-30 to 2026-10-01" or ", from 2026-09-30"; and cause,
    axis ("prediction" or "arrival"), first, last (null: it lasted). A cause without a clear day has no row. With a
    material cause, a rate's own days of change on both axes have a row each, without a cause: labels that arrive from
    one day on are the cohort axis' negative control.
    """
    told: list[Contribution] = []
    found: list[tuple[object, ...]] = []
    for part in parts:
        on = _days_of_cause(part, rows, bin_of, current=current) if part.material else None
        if on is not None:
            found.append((part.cause, BY_PREDICTION, on.first, on.last))
        silent = on is None or _SAID.search(part.where) is not None
        told.append(part if silent or on is None else replace(part, where=f"{part.where}{on.said(current)}"))
    if any(part.material for part in parts):
        for axis, time in AXES.items():
            on = _days_of_metric(rows, time, current=current)
            found += [] if on is None else [(None, axis, on.first, on.last)]
    return tuple(told), pl.DataFrame(found, schema=SCHEMA, orient="row")


def _days_of_cause(part: Contribution, rows: Rows, bin_of: Ints, *, current: Period) -> Days | None:
    category = _category(part, rows, bin_of)
    if category is None:
        return None
    kept = category >= 0
    if part.cause not in _SHARES:
        kept &= rows_at(part.where, rows)
    counts, days = by_day(rows.frame["ts_pred"], category, kept=kept)
    return days_of(counts, days, current=current) if days else None


def _days_of_metric(rows: Rows, time: str, *, current: Period) -> Days | None:
    category = _metric(rows)
    if category is None or time not in rows.frame.columns:
        return None
    counts, days = by_day(rows.frame[time], category, kept=category >= 0)
    return days_of(counts, days, current=current, until=days[-1] + _DAY) if days else None


def by_day(times: pl.Series, category: Ints, *, kept: Flags) -> tuple[Floats, list[datetime]]:
    """Rows by day (first to last, in UTC) and category; rows without a time are left out."""
    kept = kept & times.is_not_null().to_numpy()
    if not kept.any():
        return np.zeros((0, 0)), []
    day = times.filter(pl.Series(kept)).dt.epoch("d").cast(pl.Int64).to_numpy()
    chosen, first = category[kept], int(day.min())
    size, width = int(day.max()) - first + 1, int(chosen.max()) + 1
    table = np.bincount((day - first) * width + chosen, minlength=size * width).reshape(size, width)
    start = datetime.fromtimestamp(0, tz=UTC) + first * _DAY
    return table.astype(np.float64), [start + number * _DAY for number in range(size)]


def rows_at(where: str, rows: Rows) -> Flags:
    """Rows of the slice values that a place names, and of its decision; all rows where it names none."""
    inside = np.ones(len(rows), dtype=bool)
    for name, kind in rows.frame.schema.items():
        if f"{name}=" in where and (kind in (pl.String, pl.Categorical, pl.Boolean) or kind.is_integer()):
            values, code = encode(rows.frame[name])
            hit = [number for number, value in enumerate(values) if f"{name}={value}" in where]
            inside &= np.isin(code, hit) if hit else True
    if "not flagged rows" in where:
        return inside & (rows.decision == 0)
    return inside & (rows.decision == 1) if "flagged rows" in where else inside


def _category(part: Contribution, rows: Rows, bin_of: Ints) -> Ints | None:
    """What the cause moves, one small number per row; -1 leaves the row out."""
    cause = part.cause
    if cause in _AVAILABILITY:
        return _labelled(part, rows)
    if cause == "action_censoring":
        return rows.frame["blocked"].cast(pl.Int64).to_numpy() if "blocked" in rows.frame.columns else None
    if cause == "threshold_change":
        return rows.decision
    if cause == "mix_shift":
        return _values(part.where, rows)
    if cause == "version_regression" and "model_version" in rows.frame.columns:
        return encode(rows.frame["model_version"])[1]
    if cause in _SCORES:
        return bin_of
    return _metric(rows) if cause == "concept_drift" else None


def _labelled(part: Contribution, rows: Rows) -> Ints:
    """Labelled or not, of the decision that lost more where the place names none."""
    labelled = rows.labelled.astype(np.int64)
    if "flagged rows" in part.where:
        return labelled
    lost = [_availability(rows, REFERENCE, side) - _availability(rows, CURRENT, side) for side in (0, 1)]
    if abs(lost[0] - lost[1]) < 0.05:
        return labelled
    return np.where(rows.decision == int(np.argmax(lost)), labelled, -1)


def _availability(rows: Rows, window: int, decision: int) -> float:
    mine = rows.of(window) & (rows.decision == decision)
    return float(rows.labelled[mine].mean()) if mine.any() else 0.0


def _values(where: str, rows: Rows) -> Ints | None:
    """The value of the slice column that a place begins with."""
    column = where.partition("=")[0]
    return encode(rows.frame[column])[1] if column in rows.frame.columns else None


def _metric(rows: Rows) -> Ints | None:
    """Hit or miss of a rate among the labelled rows that count in it; None for other metrics."""
    if rows.metric not in PARTS:
        return None
    above, below = PARTS[rows.metric]
    kind = rows.decision * 2 + rows.positive
    names = np.array(["tn", "fn", "fp", "tp"])[kind]
    counts = rows.labelled & np.isin(names, below)
    return np.where(counts, np.isin(names, above).astype(np.int64), -1)


def coincidences(
    changes: pl.DataFrame | None, current: Period, *, day: datetime | None = None
) -> tuple[dict[str, object], ...]:
    """The logged changes of the two weeks before the current period, or before the day of change, and within it.

    Parameters
    ----------
    changes
        The log of changes: ts, kind, what, owner, ref; None or empty: nothing was logged.
    current
        The current period.
    day
        The day on which the metric changed, by time of prediction (midnight, UTC); the period's start where no day
        stands out.

    Returns
    -------
    ts, kind, what, coincides: within one day of that day. A coincidence is a date, never a proof.
    """
    if changes is None or changes.is_empty() or "ts" not in changes.columns:
        return ()
    on = current.start if day is None else day
    since, until = min(on, current.start) - _EARLIEST, current.end
    near = changes.filter((pl.col("ts") >= since) & (pl.col("ts") < until)).sort("ts", maintain_order=True)
    return tuple(
        {
            "ts": format_instant(row["ts"]),
            "kind": row.get("kind"),
            "what": row.get("what"),
            "coincides": bool(on - _DAY <= row["ts"] <= on + _DAY),
        }
        for row in near.iter_rows(named=True)
    )
