"""When it began, by time of prediction and by arrival of labels, and when a dashboard could have shown it."""

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from fbkit.diagnose.moved import day_of_change
from fbkit.diagnose.series import series
from fbkit.diagnose.settings import OwnName
from fbkit.join.joined import Joined
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Period, floor_day, parse_instant

BY_PREDICTION: Final = "began_by_prediction"
BY_ARRIVAL: Final = "began_by_arrival"
VISIBLE: Final = "visible"
DECIDABLE: Final = "decidable"

_DAY: Final = timedelta(days=1)
_MOST_LOOKS: Final = 60
_LEVELS: Final = ("value", "lower", "upper", "n_labelled")
_NOTHING_CLAIMED: Final = "nothing beyond noise is claimed, so no beginning is looked for"
_NO_DAY: Final = "no single day within two weeks before the current period or in it splits the series best"
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
    ``onset``: event (began_by_prediction, began_by_arrival, visible, decidable), at, reason (why there is no time).
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
        _began_by_prediction(diagnosis),
        _began_by_arrival(by_arrival, diagnosis, reason=reason),
        _visible(as_seen, diagnosis, reason=reason),
        _decidable(diagnosis),
    ]
    schema = {"event": pl.String, "at": pl.Datetime("us", "UTC"), "reason": pl.String}
    return {
        "onset": pl.DataFrame(events, schema=schema, orient="row"),
        "metric_by_arrival": by_arrival,
        "as_seen": as_seen,
    }


def _why_not(joined: Joined, diagnosis: Diagnosis) -> str | None:
    if isinstance(diagnosis.metric, OwnName):
        return "not followed for a metric of your own"
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
    schema = {"day": pl.Datetime("us", "UTC"), **_numbers(*_LEVELS), "role": pl.String}
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
    schema = {"as_of": pl.Datetime("us", "UTC"), **_numbers("value", "lower", "upper", "n", "n_labelled")}
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


Event = tuple[str, datetime | None, str | None]


def _began_by_prediction(diagnosis: Diagnosis) -> Event:
    day = diagnosis.method.get("day_of_change")
    if isinstance(day, str):
        return BY_PREDICTION, parse_instant(day), None
    return BY_PREDICTION, None, _NO_DAY if _claimed(diagnosis) else _NOTHING_CLAIMED


def _began_by_arrival(frame: pl.DataFrame, diagnosis: Diagnosis, *, reason: str | None) -> Event:
    if reason or not _claimed(diagnosis):
        return BY_ARRIVAL, None, reason or _NOTHING_CLAIMED
    found = day_of_change(frame, not_before=diagnosis.current.start - timedelta(days=14))
    return (BY_ARRIVAL, None, _NO_DAY) if found is None else (BY_ARRIVAL, found[0], None)


def _visible(frame: pl.DataFrame, diagnosis: Diagnosis, *, reason: str | None) -> Event:
    """The first midnight from which on the known value's interval leaves out the reference, on the side it moved to."""
    level, change = diagnosis.observed.reference, diagnosis.observed.change
    if reason or level is None or not change:
        return VISIBLE, None, reason or "there is no change to see"
    outside = pl.col("upper") < level if change < 0 else pl.col("lower") > level
    first: datetime | None = None
    for look, out in frame.select("as_of", outside.fill_null(value=False)).iter_rows():
        first = (first or look) if out else None
    return VISIBLE, first, None if first else _SEEN_NEVER


def _decidable(diagnosis: Diagnosis) -> Event:
    if diagnosis.decidable_at is not None:
        return DECIDABLE, diagnosis.decidable_at, None
    return DECIDABLE, None, diagnosis.reason or "waiting for labels does not decide it"


def _claimed(diagnosis: Diagnosis) -> bool:
    return any(part.material for part in diagnosis.contributions)


def _numbers(*names: str) -> dict[str, pl.DataType]:
    return {name: pl.Int64() if name in ("n", "n_labelled") else pl.Float64() for name in names}
