"""Availability, label lag and threshold curves from a ledger, in the columns that the rows' functions return."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.view import Whole, timed_lines
from fbkit.measure.evaluation import stamped
from fbkit.measure.from_ledger.arrivals import cohorts
from fbkit.measure.from_ledger.cells import Question, ask, day_of, gather, key_frame, slice_numbers
from fbkit.measure.from_ledger.metrics import measures_of, scope_of
from fbkit.measure.from_ledger.tails import tails
from fbkit.measure.from_ledger.totals import Weighing, count_frame, total_parts
from fbkit.measure.kinds import Total
from fbkit.measure.metrics import check_level
from fbkit.measure.scope import Slices, Stage
from fbkit.measure.stats.intervals import Array, mean_by_variance, wilson
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period, format_instant

AGE_DAYS: Final = "age_days"
THRESHOLD: Final = "threshold"
CURVES: Final = ("recall", "precision", "specificity", "f1", "flag_rate", "value_per_prediction")
_STATES: Final = {
    results.N_PENDING: results.PENDING,
    results.N_MISSING: results.MISSING,
    results.N_CENSORED: results.CENSORED,
}
_AVAILABILITY: Final = (
    results.PERIOD_START, results.PERIOD_END, results.VALUE, results.LOWER, results.UPPER, results.N,
    results.N_LABELLED, *_STATES, results.N_MATURE, results.STAGE, results.METHOD, results.REASON,
)  # fmt: skip


def ledger_availability(
    ledger: Ledger,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Share of all predictions of a cohort whose label is known, as :func:`fbkit.availability` has it; exact."""
    check_level(level)
    question = ask(ledger, by=by, every=every, period=period, stage=results.STAGE_ANY, as_of=as_of)
    weighing = _rows_of(ledger)
    cells = gather(question, weighing.names)
    counts = count_frame(cells)
    n = cells.sums[c.ROWS]
    counted = {
        name: pl.Series((n * (cells.state == c.CODE[state])).sum(axis=1)).cast(pl.Int64)
        for name, state in _STATES.items()
    }
    counted[results.N_MATURE] = pl.Series((n * cells.mature).sum(axis=1)).cast(pl.Int64)
    measures = [measure for measure in measures_of("availability", ledger.contract) if isinstance(measure, Total)]
    part = total_parts(cells, counts.with_columns(**counted), measures, weighing=weighing, level=level)["availability"]
    scope = scope_of(question)
    frame = scope.with_period_end(part.sort(scope.keys, nulls_last=True)).select(*question.by, *_AVAILABILITY)
    known: Any = ledger
    frame = mark_incomplete(frame, known, everything=period is None and every is None)
    return _stamped(frame, question, call="availability", every=every, level=level)


def _rows_of(ledger: Ledger) -> Weighing:
    """Rows count once each, whatever they weigh; with fractional labels the products of weight 1 say so."""
    return Weighing(products=ledger.manifest.fractional and ledger.manifest.weights is None)


def _stamped(frame: pl.DataFrame, question: Question, *, call: str, **arguments: object) -> pl.DataFrame:
    known: Any = question.ledger
    asked: dict[str, object] = {"by": question.by, "period": str(question.limits), "stage": question.stage.name}
    return stamped(frame, known, call=call, **asked, as_of=format_instant(question.as_of), **arguments)


def ledger_lag(
    ledger: Ledger,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    points: Sequence[float] | None = None,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The label arrival curve of :func:`fbkit.label_lag` at whole days of age.

    Predictions made on the day that has reached an age only in part are left out at that age, so that numbers differ
    from the rows' where as-of is no midnight.

    Raises
    ------
    ArgumentError
        Ages that are no whole days.
    """
    check_level(level)
    question = ask(ledger, by=by, every=every, period=period, stage=results.STAGE_ANY, as_of=as_of)
    ages = _ages(ledger, points)
    if every is not None:
        frame = cohorts(question, ages, level=level)
        return _stamped(frame, question, call="label_lag", every=every, points=ages.tolist(), level=level)
    old, arrived, keys = _by_age(question, ages)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = arrived / old
    lower, upper = wilson(arrived, old, level=level)
    numbers = {results.VALUE: share, results.LOWER: lower, results.UPPER: upper}
    repeated = keys.select(pl.all().repeat_by(len(ages)).explode(empty_as_null=False)) if keys.width else keys
    made = [pl.Series(AGE_DAYS, np.tile(ages.astype(np.float64), len(old)))]
    made += [pl.Series(name, values.reshape(-1), nan_to_null=True) for name, values in numbers.items()]
    made.append(pl.Series(results.N, old.reshape(-1)).cast(pl.Int64))
    frame = pl.DataFrame([*repeated.get_columns(), *made]).with_columns(
        pl.when(pl.col(results.VALUE).is_not_null()).then(pl.lit("Wilson")).alias(results.METHOD)
    )
    return _stamped(frame, question, call="label_lag", points=ages.tolist(), level=level)


def _ages(ledger: Ledger, points: Sequence[float] | None) -> Whole:
    if points is None:
        return np.arange(int(np.ceil(ledger.manifest.delay_days or 0.0)) + 1, dtype=np.int64)
    asked = np.asarray(points, dtype=np.float64)
    if not len(asked) or not np.isfinite(asked).all() or (asked < 0).any() or (asked % 1).any():
        raise ArgumentError(
            "a ledger knows ages in whole days",
            got=points,
            next_step="give days such as [1, 2, 7], or ask the joined rows",
            allowed="whole numbers of days from 0 on",
        )
    return np.unique(asked).astype(np.int64)


def _by_age(question: Question, ages: Whole) -> tuple[Array, Array, pl.DataFrame]:
    """Predictions as old as each age and those of them whose label had arrived by then, by slice."""
    lines = timed_lines(question.ledger, question.cut, binned=False, day=question.at, within=question.days)
    number, held = slice_numbers(question, lines)
    timing: Any = lines.timing
    most = int(ages[-1])
    age = day_of(question.as_of) - lines.day - np.minimum(timing.seen, 1)
    known = (lines.state <= c.LABELLED_CODES[-1]) & (timing.lag <= most)
    lag = np.where(known, timing.lag, most + 1)
    inside = np.flatnonzero(age >= 0)
    key = (number * (most + 2) + lag) * (most + 1) + np.minimum(age, most)
    shape = (len(held), most + 2, most + 1)
    n = np.bincount(key[inside], weights=lines.sums[c.ROWS][inside], minlength=int(np.prod(shape))).reshape(shape)
    # Rows at least as old as each age, by the lag of their label.
    reached = np.cumsum(n[:, :, ::-1], axis=2)[:, :, ::-1]
    old = reached.sum(axis=1)
    arrived = np.stack([reached[:, : day + 1, day].sum(axis=1) for day in range(most + 1)], axis=1)
    keys = key_frame(question, held, [None]).drop(results.PERIOD_START)
    return old[:, ages], arrived[:, ages], keys


def ledger_threshold_curve(
    ledger: Ledger,
    *,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The curves of :func:`fbkit.threshold_curve` at 0 and at every edge of the ledger's bins; exact.

    Intervals are those of independent rows.
    """
    check_level(level)
    made = tails(ledger, period=period, stage=stage, weights=weights, as_of=as_of)
    question, thresholds = made.question, made.thresholds
    y, n, everything = made.positive, made.labelled, made.everything
    tp, fp = y, n - y
    fn, tn = y[0] - tp, (n[0] - y[0]) - fp
    shares = {
        "recall": (tp, np.full_like(tp, y[0])),
        "precision": (tp, n),
        "specificity": (tn, np.full_like(tn, n[0] - y[0])),
        "f1": (tp, tp + fp + fn),
        "flag_rate": (everything, np.full_like(everything, everything[0])),
    }
    columns: dict[str, Array] = {THRESHOLD: thresholds}
    for name in CURVES:
        if name in shares:
            value, lower, upper = share_of(*shares[name], level=level, plain=made.plain)
            if name == "f1":
                value, lower, upper = (2 * part / (1 + part) for part in (value, lower, upper))
        else:
            value, lower, upper = worth_of(ledger.contract, (tp, fp, fn, tn), level=level, plain=made.plain)
        columns |= {name: value, f"{name}_lower": lower, f"{name}_upper": upper}
    frame = pl.DataFrame([pl.Series(name, values, nan_to_null=True) for name, values in columns.items()])
    frame = frame.with_columns(
        pl.lit(made.rows, dtype=pl.Int64).alias(results.N),
        pl.lit(made.labelled_rows, dtype=pl.Int64).alias(results.N_LABELLED),
        pl.lit(question.stage.name).alias(results.STAGE),
        pl.when(pl.col("recall_lower").is_not_null()).then(pl.lit("Wilson")).alias(results.METHOD),
        pl.lit(None if made.labelled_rows else "no labelled rows", dtype=pl.String).alias(results.REASON),
    )
    return _stamped(frame, question, call="threshold_curve", level=level, weights=weights)


def share_of(k: Array, n: Array, *, level: float, plain: bool) -> tuple[Array, Array, Array]:
    """A share with Wilson's interval; rows that weigh more than others have no interval here."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(n > 0, k / n, np.nan)
    if not plain:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    return value, *wilson(k, n, level=level)


def worth_of(
    contract: Contract, table: tuple[Array, Array, Array, Array], *, level: float, plain: bool
) -> tuple[Array, Array, Array]:
    """Mean worth of a labelled row, with Student's interval."""
    prices = contract.value
    n = sum(table, start=np.zeros_like(table[0]))
    none = np.full_like(n, np.nan)
    if prices is None:
        return none, none, none
    each = (prices.true_positive, prices.false_positive, prices.false_negative, prices.true_negative)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = sum((price * rows for price, rows in zip(each, table, strict=True)), start=np.zeros_like(n)) / n
        squares = sum((price**2 * rows for price, rows in zip(each, table, strict=True)), start=np.zeros_like(n)) / n
        variance = np.where(n > 1, np.maximum(squares - value**2, 0.0) / (n - 1), np.nan)
    if not plain:
        return value, none, none
    return value, *mean_by_variance(value, variance, units=n, level=level)
