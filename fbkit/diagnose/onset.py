"""When it began, by time of prediction and by arrival of labels, and when a dashboard could have shown it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.diagnose.applies import is_of_requests
from fbkit.diagnose.series import PARTS, series
from fbkit.diagnose.settings import OwnName
from fbkit.join.joined import Joined
from fbkit.measure.stats.change_point import NONE, ChangePoint, change_point
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Period, floor_day

BY_PREDICTION: Final = "began_by_prediction"
BY_ARRIVAL: Final = "began_by_arrival"
VISIBLE: Final = "visible"
DECIDABLE: Final = "decidable"

_TIME: Final = pl.Datetime("us", "UTC")
SCHEMA: Final = {"event": pl.String, "at": _TIME, "first": _TIME, "last": _TIME, "reason": pl.String}

_DAY: Final = timedelta(days=1)
_MOST_LOOKS: Final = 60
_LEVELS: Final = ("value", "lower", "upper", "n_labelled")
_NOTHING_CLAIMED: Final = "nothing beyond noise is claimed, so no beginning is looked for"
_NO_COUNTS: Final = "only rates have daily counts that tell a change from noise"
_SEEN_NEVER: Final = "at no midnight up to the as-of time did the value known by then stay outside the reference level"

Found = dict[str, pl.DataFrame]


def onset(joined: Joined, diagnosis: Diagnosis) -> Found:
    """The evidence of a timeline, as small frames; no row of a user.

    Parameters
    ----------
    joined
        The rows that the diagnosis was made of, as known at its as-of time.
    diagnosis
        The verdict, its daily frame and when it is decidable.

    Returns
    -------
    ``onset``: event (began_by_prediction, began_by_arrival, visible, decidable), at, first and last (between which a
    beginning lies with 95 %), reason (why there is no single time). The beginning of a rate is placed by
    :func:`~fbkit.measure.stats.change_point.change_point`; of other metrics it is not looked for.
    ``metric_by_arrival``: day, value, lower, upper, n_labelled, role: the metric of the labels that arrived on a day.
    ``as_seen``: as_of, value, lower, upper, n, n_labelled: the current period as it was known at each midnight. Both
    are empty where the arrival of a label says nothing about the metric, with the reason in ``onset``.
    A label counts by the arrival of the statement that counts at the as-of time, so a later correction moves it.
    """
    reason = _why_not(joined, diagnosis)
    rows = None if reason else _labelled(joined, diagnosis)
    by_arrival = _by_arrival(rows, diagnosis)
    as_seen = _as_seen(rows, joined, diagnosis)
    events = [
        _event(BY_PREDICTION, _began(rows, "ts_pred", diagnosis, reason=reason)),
        _event(BY_ARRIVAL, _began(rows, "ts_arrival", diagnosis, reason=reason)),
        _event(VISIBLE, _visible(as_seen, diagnosis, reason=reason)),
        _event(DECIDABLE, _decidable(diagnosis)),
    ]
    return {
        "onset": pl.DataFrame(events, schema=SCHEMA, orient="row"),
        "metric_by_arrival": by_arrival,
        "as_seen": as_seen,
    }


def _event(name: str, moment: "Moment") -> tuple[object, ...]:
    return (name, *moment)


def _why_not(joined: Joined, diagnosis: Diagnosis) -> str | None:
    """Why the arrival of labels cannot be followed."""
    if isinstance(diagnosis.metric, OwnName):
        return f"not followed for a metric of {'lists' if is_of_requests(diagnosis.metric) else 'your own'}"
    if joined.contract.label.silence == "negative" and diagnosis.metric != "recall":
        return "only positives are ever reported, so negatives have no time of arrival"
    if diagnosis.reference.start >= diagnosis.current.start:
        return "the reference does not come before the current period"
    return None


def _labelled(joined: Joined, diagnosis: Diagnosis) -> pl.DataFrame:
    """Labelled rows of both periods with the instant from which on their label was known."""
    reference, current = diagnosis.reference, diagnosis.current
    inside = [(pl.col("ts_pred") >= part.start) & (pl.col("ts_pred") < part.end) for part in (reference, current)]
    chosen = joined.rows.lazy().filter(
        pl.col("label").is_not_null() & pl.col("ts_arrival").is_not_null() & (inside[0] | inside[1])
    )
    known = pl.max_horizontal("ts_pred", "ts_arrival").alias("known")
    return chosen.select("ts_pred", "ts_arrival", "flagged", "label", "score", known).collect()


def _by_arrival(rows: pl.DataFrame | None, diagnosis: Diagnosis) -> pl.DataFrame:
    schema = {"day": _TIME, **_numbers(*_LEVELS), "role": pl.String}
    if rows is None or rows.is_empty():
        return pl.DataFrame(schema=schema)
    start = diagnosis.current.start
    found = series(
        rows.with_columns(ts_pred=pl.col("ts_arrival")),
        metric=diagnosis.metric,
        step=_DAY,
        reference=Period(start=diagnosis.reference.start, end=start),
        current=Period(start=start, end=floor_day(diagnosis.as_of) + 2 * _DAY),
        level=diagnosis.metric_level,
    )
    return found.select(pl.col("period_start").alias("day"), *_LEVELS, "role")


def _as_seen(rows: pl.DataFrame | None, joined: Joined, diagnosis: Diagnosis) -> pl.DataFrame:
    schema = {"as_of": _TIME, **_numbers("value", "lower", "upper", "n", "n_labelled")}
    if rows is None:
        return pl.DataFrame(schema=schema)
    current = diagnosis.current
    inside = (pl.col("ts_pred") >= current.start) & (pl.col("ts_pred") < current.end)
    known = rows.filter(inside).sort("known", "ts_pred", "score")
    made = joined.rows.lazy().filter(inside).select("ts_pred").collect()["ts_pred"].sort()
    looks = _looks(diagnosis)
    counts = [(known["known"].search_sorted(look), made.search_sorted(look)) for look in looks]
    found = [
        {"as_of": look, **_level(known.head(labels), diagnosis), "n": n, "n_labelled": labels}
        for look, (labels, n) in zip(looks, counts, strict=True)
    ]
    return pl.DataFrame(found, schema=schema, infer_schema_length=None)


def _looks(diagnosis: Diagnosis) -> list[datetime]:
    """Midnights from the first day of the current period on; at equal steps where they are more than 60."""
    first = floor_day(diagnosis.current.start) + _DAY
    days = (diagnosis.as_of - first) // _DAY
    step = max(1, -(-(days + 1) // _MOST_LOOKS))
    return [first + day * _DAY for day in range(0, days + 1, step)]


def _level(rows: pl.DataFrame, diagnosis: Diagnosis) -> dict[str, float | None]:
    names = ("value", "lower", "upper")
    if rows.is_empty():
        return dict.fromkeys(names)
    current = diagnosis.current
    whole = series(
        rows,
        metric=diagnosis.metric,
        step=current.end - current.start,
        reference=diagnosis.reference,
        current=current,
        level=diagnosis.metric_level,
    )
    return whole.select(names).row(0, named=True)


class Moment(NamedTuple):
    """When, between which days with 95 %, and why not known."""

    at: datetime | None = None
    first: datetime | None = None
    last: datetime | None = None
    reason: str | None = None


def _began(rows: pl.DataFrame | None, time: str, diagnosis: Diagnosis, *, reason: str | None) -> Moment:
    if not _claimed(diagnosis):
        return Moment(reason=_NOTHING_CLAIMED)
    if rows is None:
        return Moment(reason=reason)
    return _placed(rows, time, diagnosis) if diagnosis.metric in PARTS else Moment(reason=_NO_COUNTS)


def _placed(rows: pl.DataFrame, time: str, diagnosis: Diagnosis) -> Moment:
    """The day on which a rate changed, from its counts by day; no other metric has them."""
    above, below = PARTS[diagnosis.metric]
    positive, flagged = pl.col("label") == 1, pl.col("flagged").fill_null(value=False)
    cells = {
        "tp": positive & flagged, "fn": positive & ~flagged, "fp": ~positive & flagged, "tn": ~positive & ~flagged,
    }  # fmt: skip
    day = pl.col(time).dt.truncate("1d").alias("day")
    counts = rows.group_by(day).agg(rule.sum().cast(pl.Float64).alias(name) for name, rule in cells.items()).sort("day")
    hits, all_ = (np.sum([counts[name].to_numpy() for name in part], axis=0) for part in (above, below))
    found = change_point(np.stack([hits, all_ - hits], axis=1))
    return _moment(found, counts["day"].to_list())


def _moment(found: ChangePoint, days: Sequence[datetime]) -> Moment:
    if found.kind == NONE or found.first is None or found.last is None:
        return Moment(reason=found.reason)
    at = None if found.at is None else days[found.at]
    return Moment(at=at, first=days[found.first], last=days[found.last], reason=found.reason)


def _visible(frame: pl.DataFrame, diagnosis: Diagnosis, *, reason: str | None) -> Moment:
    """The first midnight from which on the known value's interval leaves out the reference, on the side it moved to."""
    level, change = diagnosis.observed.reference, diagnosis.observed.change
    if reason or level is None or not change:
        return Moment(reason=reason or "there is no change to see")
    outside = pl.col("upper") < level if change < 0 else pl.col("lower") > level
    first: datetime | None = None
    for look, out in frame.select("as_of", outside.fill_null(value=False)).iter_rows():
        first = (first or look) if out else None
    return Moment(at=first) if first else Moment(reason=_SEEN_NEVER)


def _decidable(diagnosis: Diagnosis) -> Moment:
    if diagnosis.decidable_at is not None:
        return Moment(at=diagnosis.decidable_at)
    return Moment(reason=diagnosis.reason or "waiting for labels does not decide it")


def _claimed(diagnosis: Diagnosis) -> bool:
    return any(part.material for part in diagnosis.contributions)


def _numbers(*names: str) -> dict[str, pl.DataType]:
    return {name: pl.Int64() if name in ("n", "n_labelled") else pl.Float64() for name in names}
