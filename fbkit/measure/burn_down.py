"""How many labels are still missing to the promise, day by day, and when mature cohorts would have them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.labels.arrival_days import DAY, EPOCH, Arrivals, Promise, arrivals_of, promise_of
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import INSTANT
from fbkit.measure.stats.intervals import Array, quantile
from fbkit.schema import results
from fbkit.schema.label import longest_delay
from fbkit.schema.period import Period, floor_day, format_instant
from fbkit.schema.protocols import JoinedLike, check_joined

FEWEST: Final = 3
"""Earlier cohorts of the same length that an expected path needs."""
MOST: Final = 26
THIN: Final = 20
N_NEEDED: Final = "n_needed"
GOAL: Final = "goal"
EXPECTED, FORECAST = "expected", "forecast"
PATH: Final = (results.N_MISSING, EXPECTED, "expected_lower", "expected_upper", FORECAST, "forecast_lower",
               "forecast_upper")  # fmt: skip
COLUMNS: Final = (
    results.PERIOD_START, results.PERIOD_END, results.AS_OF, results.N_LABELLED, *PATH, N_NEEDED, results.N, GOAL,
    "minimum", "at_days", "n_cohorts", results.METHOD, results.REASON,
)  # fmt: skip
_GRAINS: Final = {"1d": 1, "1w": 7}


@checked
def burn_down(
    joined: JoinedLike | Ledger,
    *,
    period: str | Period | None = None,
    every: str | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Labels that a cohort still lacks to its promise at each midnight, and those that mature cohorts would lack.

    The promise is the contract's ``slo.label_availability`` (a share of all predictions); where silence is a negative,
    ``slo.feed_completeness`` (a share of the labels that mature cohorts of the same size had at that age). Without one
    it is every prediction, or all that mature cohorts had, at the age when the window closes. Labels that came later
    than that age do not count, and neither does silence.

    Parameters
    ----------
    period
        The cohort, from midnight to midnight UTC; what lies after the newest midnight is left out. By default the
        last seven full days.
    every
        "1d" or "1w": one cohort for each full day or week of ``period``; without a period those whose promise is not
        due yet.
    as_of
        Of a ledger also an earlier midnight. Everything is counted as known at the last midnight.

    Returns
    -------
    For each cohort a line per midnight from its start until its promise is due: period_start, period_end, as_of,
    n_labelled, n_missing (0 once reached; both null in the future), expected with expected_lower and expected_upper
    (labels that mature cohorts would lack then), forecast with forecast_lower and forecast_upper (from the last known
    midnight on), n_needed, n (predictions), goal ("label_availability", "feed_completeness", "all", "usual"), minimum,
    at_days, n_cohorts, method, reason, evaluation_id. With fewer than three earlier cohorts of the same length and of
    at least 20 predictions that are old enough: null beside the reason.

    Raises
    ------
    ArgumentError
        A grain that is neither day nor week, a period that is not of whole days or not over.

    Notes
    -----
    The forecast adds to the labels that are there those that mature cohorts got in the same days of their life
    (Bornhuetter and Ferguson 1972): what is late is not expected to be made up. Intervals are prediction intervals
    (Student's t) of the spread between cohorts. By a ledger an age of hours is rounded up to days.
    """
    check_level(level)
    promise, found = _opened(joined, as_of)
    cohorts = _cohorts(found, promise, period=period, every=every)
    parts = [_path(found, promise, cohort, level=level) for cohort in cohorts]
    frame = pl.DataFrame([line for part in parts for line in part], schema=_schema(), orient="row")
    known: Any = joined
    call = {"period": None if period is None else str(period), "every": every, "as_of": format_instant(found.now)}
    return stamped(frame, known, call="burn_down", level=level, **call)


def _schema() -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    kinds |= dict.fromkeys((GOAL, results.METHOD, results.REASON), pl.String)
    kinds |= dict.fromkeys((results.PERIOD_START, results.PERIOD_END, results.AS_OF), INSTANT)
    kinds |= dict.fromkeys((results.N_LABELLED, results.N_MISSING, N_NEEDED, results.N, "n_cohorts"), pl.Int64)
    return {name: kinds.get(name, pl.Float64) for name in COLUMNS}


def _opened(joined: JoinedLike | Ledger, as_of: str | datetime | None) -> tuple[Promise, Arrivals]:
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.arrivals import day_arrivals

        promise = promise_of(joined.contract, delay=timedelta(days=joined.manifest.delay_days or 0.0))
        first, n, known, asked = day_arrivals(joined, as_of=as_of, within=promise.due)
        return promise, Arrivals(first=first, n=n, known=known, now=floor_day(asked.as_of))
    not_of_rows(as_of=as_of)
    check_joined(joined)
    promise = promise_of(joined.contract, delay=longest_delay(joined))
    return promise, arrivals_of(joined, within=promise.age)


def _cohorts(
    found: Arrivals, promise: Promise, *, period: str | Period | None, every: str | None
) -> Sequence[tuple[int, int]]:
    """First day and length of each cohort."""
    if every is not None and every not in _GRAINS:
        raise ArgumentError(
            "cohorts are of days or weeks", got=every, allowed=", ".join(_GRAINS), next_step="use one of these"
        )
    limits = None if period is None else _days(Period.parse(period))
    last = min(found.today, found.first + len(found.n))
    low, high = limits or (found.first if every else max(last - 7, found.first), last)
    high = min(high, found.today)
    if every is None:
        if limits and low >= high:
            raise ArgumentError(
                "the cohort is not over yet",
                got=str(period),
                allowed=f"days before {found.now.date()}",
                next_step="choose earlier days, or wait for midnight UTC",
            )
        return [(low, high - low)] if found.rows(low, high - low) else []
    length = _GRAINS[every]
    start = low if length == 1 else low + (4 - low) % 7  # 1970-01-05 was a Monday
    due = found.today - promise.due
    cells = [(day, length) for day in range(start, high - length + 1, length)]
    return [(day, size) for day, size in cells if found.rows(day, size) and (limits or day + size > due)]


def _days(limits: Period) -> tuple[int, int]:
    if floor_day(limits.start) != limits.start or floor_day(limits.end) != limits.end:
        raise ArgumentError(
            "cohorts are of whole days",
            got=str(limits),
            allowed="a period from midnight to midnight UTC",
            next_step="round the period to days",
        )
    return (limits.start - EPOCH) // DAY, (limits.end - EPOCH) // DAY


def _mature(found: Arrivals, promise: Promise, start: int, length: int) -> Array:
    """Shares labelled at each midnight of the earlier cohorts of the same length, the newest first."""
    until = length + promise.due
    shares: list[Array] = []
    begin = start - length
    while begin >= found.first and len(shares) < MOST:
        rows = found.rows(begin, length)
        if rows >= THIN and begin + until <= found.today:
            shares.append(found.path(begin, length, until=until) / rows)
        begin -= length
    return np.array(shares, dtype=np.float64).reshape(len(shares), until + 1)


def _path(found: Arrivals, promise: Promise, cohort: tuple[int, int], *, level: float) -> list[tuple[Any, ...]]:
    """The lines of one cohort."""
    start, length = cohort
    n, until = found.rows(start, length), length + promise.due
    usual = _mature(found, promise, start, length)
    enough = len(usual) >= FEWEST
    now = min(found.today - start, until)
    labelled = found.path(start, length, until=until)
    needed = None
    if enough or not promise.of_usual:
        needed = int(np.ceil(promise.share * n * (usual[:, -1].mean() if promise.of_usual else 1.0) - 1e-9))
    blank = [None] * (until + 1)
    numbers: dict[str, list[Any]] = dict.fromkeys(PATH, blank)
    if needed is not None:
        numbers[results.N_MISSING] = [max(needed - int(labelled[s]), 0) if s <= now else None for s in range(until + 1)]
    if enough and needed is not None:
        numbers |= _named(EXPECTED, needed - _spread(n * usual, base=0.0, most=n, level=level))
        ahead = _spread(n * (usual[:, now:] - usual[:, now : now + 1]), base=float(labelled[now]), most=n, level=level)
        gone = np.full((3, now), np.nan)
        numbers |= _named(FORECAST, np.hstack([gone, needed - ahead]))
    told = None if enough else f"fewer than {FEWEST} earlier cohorts of this length are old enough"
    method = f"t interval between {len(usual)} cohorts" if enough else None
    rest = (needed, n, promise.goal, promise.minimum, promise.age / DAY, len(usual), method, told)
    ends = EPOCH + start * DAY, EPOCH + (start + length) * DAY
    return [
        (*ends, ends[0] + s * DAY, int(labelled[s]) if s <= now else None, *(numbers[name][s] for name in PATH), *rest)
        for s in range(until + 1)
    ]


def _spread(paths: Array, *, base: float, most: int, level: float) -> Array:
    """Mean, upper and lower end of the labels of one more such cohort, between what is there and all of them."""
    k = len(paths)
    mean = paths.mean(axis=0)
    half = float(quantile(level, df=float(k - 1))) * paths.std(axis=0, ddof=1) * np.sqrt(1 + 1 / k)
    return np.clip(np.stack([mean, mean + half, mean - half]) + base, base, most)


def _named(name: str, missing: Array) -> dict[str, list[Any]]:
    """Labels missing under the names of the columns: never fewer than none, null where not a number."""
    columns = zip((name, f"{name}_lower", f"{name}_upper"), np.maximum(missing, 0.0), strict=True)
    return {column: [None if np.isnan(value) else float(value) for value in values] for column, values in columns}


DATES: Final = (
    results.PERIOD_START, results.PERIOD_END, "state", "due_at", "reached_at", "reached_earliest", "reached_latest",
    results.N_MISSING, "short", "short_lower", "short_upper", N_NEEDED, results.N, GOAL, "minimum", "at_days",
    "n_cohorts", results.METHOD, results.REASON, results.EVALUATION_ID,
)  # fmt: skip
_KEPT: Final = (N_NEEDED, results.N, GOAL, "minimum", "at_days", "n_cohorts", results.METHOD, results.REASON,
                results.EVALUATION_ID)  # fmt: skip


def promise_dates(path: pl.DataFrame) -> pl.DataFrame:
    """When each cohort of a :func:`burn_down` reaches its promise, or by how many labels it will fall short.

    Returns
    -------
    One line per cohort: period_start, period_end, state, due_at, reached_at with reached_earliest and reached_latest
    (midnights; the latest is null where it may not be reached in time), n_missing (now), short with short_lower and
    short_upper (labels missing when it is due; null if reached), n_needed, n, goal, minimum, at_days, n_cohorts,
    method, reason, evaluation_id. ``state``: "reached" and "missed" are facts, "expected" and "short" forecasts;
    "open" says that the reason stands in the way of one.
    """
    parts = path.partition_by(results.PERIOD_START, maintain_order=True)
    schema = {name: path.schema.get(name, pl.Float64) for name in DATES}
    times = ("due_at", "reached_at", "reached_earliest", "reached_latest")
    schema |= dict.fromkeys(times, INSTANT) | {"state": pl.String}
    return pl.DataFrame([_dates(part) for part in parts], schema=schema, orient="row")


def _dates(part: pl.DataFrame) -> dict[str, Any]:
    last = part.row(-1, named=True)
    seen = part.filter(pl.col(results.N_MISSING).is_not_null())
    made: dict[str, Any] = {name: last[name] for name in _KEPT}
    made |= {name: last[name] for name in (results.PERIOD_START, results.PERIOD_END)}
    made |= {"due_at": last[results.AS_OF], "state": "open"}
    if seen.is_empty():
        return made
    made[results.N_MISSING] = seen[results.N_MISSING][-1]
    reached = _first(seen, results.N_MISSING)
    if reached is not None:
        return made | {"state": "reached", "reached_at": reached}
    if last[results.N_MISSING] is not None:
        return made | {"state": "missed", "short": float(last[results.N_MISSING])}
    if last[FORECAST] is None:
        return made
    dates = {"reached_at": _first(part, FORECAST), "reached_latest": _first(part, "forecast_upper")}
    dates["reached_earliest"] = _first(part, "forecast_lower")
    short = {"short": last[FORECAST], "short_lower": last["forecast_lower"], "short_upper": last["forecast_upper"]}
    return made | dates | short | {"state": "short" if dates["reached_at"] is None else "expected"}


def _first(part: pl.DataFrame, column: str) -> datetime | None:
    """The first midnight at which nothing is missing; half a label is none."""
    there = part.filter(pl.col(column) < 0.5)
    return None if there.is_empty() else there[results.AS_OF][0]
