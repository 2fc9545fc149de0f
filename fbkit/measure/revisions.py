"""How did a number move: one period looked at again and again, each time with what was known by then."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.opened import not_kept
from fbkit.join.periods import resolve
from fbkit.measure.labels.fractional import ESTIMATORS
from fbkit.measure.metrics import metrics
from fbkit.measure.provisional import provisional
from fbkit.measure.registry import choose
from fbkit.measure.scope import Slices, slice_columns
from fbkit.schema import results
from fbkit.schema.durations import parse_duration
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Period, parse_instant
from fbkit.schema.protocols import JoinedLike, LoopLike, check_loop

NAIVE: Final = "naive"
COLUMNS: Final = (
    results.METRIC, results.PERIOD_START, results.PERIOD_END, results.VALUE, results.LOWER, results.UPPER,
    results.BOUND_LOWER, results.BOUND_UPPER, results.AVAILABILITY, results.N, results.N_LABELLED, results.STAGE,
    *results.REVISION_COUNTS, NAIVE, results.METHOD, results.REASON, results.EVALUATION_ID,
)  # fmt: skip
MOST_TIMES: Final = 200
_DEFAULT_TIMES: Final = 28
_STEPS: Final = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 7 * 24, 28 * 24, 364 * 24))
_BEFORE: Final = "_before"


def revisions(
    loop: LoopLike,
    *,
    metric: str | None = None,
    period: str | Period | None = None,
    by: Slices = None,
    at: Sequence[str | datetime] | None = None,
    every: str | timedelta | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """A metric of one period as it stood at each of several times: from its first provisional value to its final one.

    Parameters
    ----------
    loop
        From :func:`fbkit.open_loop`; it is joined once per time.
    metric
        A metric name; the contract's primary by default.
    period
        Half-open ``A..B`` of prediction times; by default the last seven full days that are mature.
    by
        Slice columns; a null value is a slice of its own.
    at
        The times to look at (at most 200). By default the end of the period, then every ``every`` until its last
        prediction is mature, then the newest arrival in the logs.
    every
        Step between the default times, such as "1d"; by default 1h, 6h, 1d, 1w or 4w, for about 28 times.
    level
        Coverage of the intervals.

    Returns
    -------
    as_of (UTC), the ``by`` columns as text, metric, period_start, period_end, value, lower, upper, bound_lower,
    bound_upper, availability, n, n_labelled, stage ("young", "mixed", "final": how old the rows were then), new_labels
    (labels that were not known at the time before), corrections (labels that changed), withdrawn (labels that count no
    more), backfilled (new or changed labels that a backfill brought), naive, method, reason, evaluation_id; in order of
    time, then slice. Every label known by then counts, young ones too. What cannot be estimated is null, with reason.
    Where only positives are ever reported (``silence = "negative"``), young rows hold the estimate corrected for delay
    (:func:`fbkit.measure.provisional.provisional`) under its stage, and ``naive`` what the labelled rows alone say.

    Raises
    ------
    ArgumentError
        An unknown metric or column, a time or step that cannot be read, or more than 200 times.
    InputError
        A time at which no prediction was known.

    Examples
    --------
    >>> import fbkit as fb
    >>> loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
    >>> frame = revisions(loop, metric="recall", period="2026-09-07..2026-09-14", every="7d")
    >>> frame["stage"].to_list()
    ['young', 'young', 'final', 'final']
    """
    check_loop(loop)
    latest = loop.join()
    slices = slice_columns(latest.frame, by)
    name = choose(metric or loop.contract.metrics.primary, task=loop.contract.model.task)[0].name
    wanted = _period(latest, period)
    rows: list[pl.DataFrame] = []
    before: pl.DataFrame | None = None
    for moment in _times(latest, wanted, at=at, every=every):
        with not_kept():
            joined = latest if moment == latest.as_of else loop.join(as_of=moment)
        now = _labels(joined, wanted, slices)
        rows.append(_row(joined, name, wanted, slices, level, _moved(before, now, slices)))
        before = now
    return pl.concat(rows)


def _period(latest: JoinedLike, period: str | Period | None) -> Period:
    if period is not None:
        return Period.parse(period)
    _, current = resolve(latest).periods()
    return current


def _times(
    latest: JoinedLike,
    period: Period,
    *,
    at: Sequence[str | datetime] | None,
    every: str | timedelta | None,
) -> list[datetime]:
    if at is not None:
        asked = sorted({parse_instant(moment) for moment in ([at] if isinstance(at, str) else at)})
        if not 0 < len(asked) <= MOST_TIMES:
            raise ArgumentError(
                "a revision view needs some times to look at",
                got=len(asked),
                allowed=f"1 to {MOST_TIMES} times",
                next_step="name fewer times, or at least one",
            )
        return asked
    delay = longest_delay(latest)
    step = _step(delay) if every is None else parse_duration(every)
    if step <= timedelta(0) or delay / step > MOST_TIMES:
        raise ArgumentError(
            "the step between two looks does not fit the label delay",
            got=every,
            allowed="such as 1d",
            next_step='say every="1d", or name the times with at',
        )
    looks = {*_looks(period.end, delay, step), latest.as_of}
    return sorted(moment for moment in looks if moment <= latest.as_of)


def _step(delay: timedelta) -> timedelta:
    return next((step for step in _STEPS if delay / step <= _DEFAULT_TIMES), _STEPS[-1])


def _looks(start: datetime, delay: timedelta, step: timedelta) -> Iterator[datetime]:
    moment = start
    while moment < start + delay:
        yield moment
        moment += step
    yield start + delay


def _labels(joined: JoinedLike, period: Period, slices: tuple[str, ...]) -> pl.DataFrame:
    inside = (pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end)
    source = pl.col("source") if "source" in joined.frame.columns else pl.lit(None, dtype=pl.String)
    keys = [pl.col(name).cast(pl.String) for name in slices]
    return joined.frame.filter(inside).select("prediction_id", "label", source.alias("source"), *keys)


def _moved(before: pl.DataFrame | None, now: pl.DataFrame, slices: tuple[str, ...]) -> pl.DataFrame:
    """What arrived since the time before, by slice."""
    known = (now.clear() if before is None else before).select("prediction_id", pl.col("label").alias(_BEFORE))
    rows = now.join(known, on="prediction_id", how="left")
    new = pl.col("label").is_not_null() & pl.col(_BEFORE).is_null()
    changed = (pl.col("label") != pl.col(_BEFORE)).fill_null(value=False)
    counts = {
        results.NEW_LABELS: new,
        results.CORRECTIONS: changed,
        results.WITHDRAWN: pl.col("label").is_null() & pl.col(_BEFORE).is_not_null(),
        results.BACKFILLED: (new | changed) & (pl.col("source") == "backfill").fill_null(value=False),
    }
    sums = [counted.sum().cast(pl.Int64).alias(name) for name, counted in counts.items()]
    return rows.group_by(slices).agg(sums) if slices else rows.select(sums)


def _row(
    joined: JoinedLike, metric: str, period: Period, slices: tuple[str, ...], level: float, moved: pl.DataFrame
) -> pl.DataFrame:
    names = list(dict.fromkeys((metric, results.AVAILABILITY)))
    frame = metrics(joined, names, by=slices, period=period, stage=results.STAGE_ANY, level=level)
    shares = frame.filter(pl.col(results.METRIC) == results.AVAILABILITY)
    shares = shares.select(*slices, pl.col(results.VALUE).alias(results.AVAILABILITY))
    frame = frame.filter(pl.col(results.METRIC) == metric).with_columns(pl.lit(None, dtype=pl.Float64).alias(NAIVE))
    if joined.contract.label.silence == "negative" and metric not in (results.AVAILABILITY, "flag_rate"):
        frame = _corrected(frame, joined, metric, period, slices, level)
    for part in (shares, moved):
        frame = frame.join(part, on=slices, how="left", nulls_equal=True) if slices else frame.hstack(part)
    frame = frame.with_columns(pl.col(results.REVISION_COUNTS).fill_null(0))
    as_of = pl.lit(joined.as_of, dtype=pl.Datetime("us", "UTC")).alias(results.AS_OF)
    return (
        frame.select(as_of, *slices, *COLUMNS).sort(*slices, nulls_last=True)
        if slices
        else frame.select(as_of, *COLUMNS)
    )


def _corrected(
    frame: pl.DataFrame, joined: JoinedLike, metric: str, period: Period, slices: tuple[str, ...], level: float
) -> pl.DataFrame:
    """Young rows of a loop that reports only positives: corrected for delay, else nothing with the reason."""
    numbers = [results.VALUE, results.LOWER, results.UPPER]
    texts = [results.STAGE, results.METHOD, results.REASON]
    young = pl.col(results.STAGE) != results.STAGE_FINAL
    frame = frame.with_columns(pl.when(young).then(results.VALUE).alias(NAIVE))
    age = joined.as_of - period.end
    if metric not in ESTIMATORS or age <= timedelta(0):
        why = pl.lit("only positives have been reported so far")
        nothing = [pl.when(~young).then(name).alias(name) for name in (*numbers, results.METHOD)]
        return frame.with_columns(*nothing, pl.when(young).then(why).otherwise(results.REASON).alias(results.REASON))
    made = provisional(joined, metric, stage=age, by=slices, period=period, level=level)
    made = made.select(*slices, *(pl.col(name).alias(f"{name}{_BEFORE}") for name in (*numbers, *texts)))
    both = frame.join(made, on=slices, how="left", nulls_equal=True) if slices else frame.hstack(made)
    taken = [pl.when(young).then(f"{name}{_BEFORE}").otherwise(name).alias(name) for name in (*numbers, *texts)]
    return both.with_columns(taken).select(frame.columns)
