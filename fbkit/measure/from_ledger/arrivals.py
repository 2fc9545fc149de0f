"""When the labels of cohorts arrived, from a ledger's delays: by age, and by midnight."""

from typing import Any

import numpy as np
import polars as pl

from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.view import NEVER, Lines, Marks, Whole, timed_lines
from fbkit.measure.from_ledger.cells import Question, ask, key_frame, places, slice_numbers
from fbkit.measure.lag import cohort_frame
from fbkit.measure.scope import Scope
from fbkit.schema import results


def cohorts(question: Question, ages: Whole, *, level: float) -> pl.DataFrame:
    """The arrival curves of cohorts, in the columns that :func:`fbkit.label_lag` has with ``every``; exact."""
    lines = _lines(question)
    starts, place = places(question, lines.day)
    number, held = slice_numbers(question, lines)
    number = number * len(starts) + place
    full = (held[:, None] * len(starts) + np.arange(len(starts))).reshape(-1)
    timing: Any = lines.timing
    most = int(ages[-1])
    known = _arrived(lines) & (timing.lag <= most)
    rows = lines.sums[c.ROWS]
    n = np.bincount(number, weights=rows, minlength=len(full))
    key = number[known] * (most + 1) + timing.lag[known]
    by_lag = np.bincount(key, weights=rows[known], minlength=len(full) * (most + 1)).reshape(len(full), most + 1)
    there = np.flatnonzero(n > 0)
    scope = Scope(
        frame=pl.DataFrame(), by=question.by, every=question.every, limits=question.limits, stage=question.stage
    )
    frame = cohort_frame(
        scope, key_frame(question, full[there], starts), n=n[there], arrived=np.cumsum(by_lag, axis=1)[there][:, ages],
        ages=ages.astype(np.float64), as_of=question.as_of, level=level,
    )  # fmt: skip
    return frame.sort(*question.by, results.PERIOD_START, "age_days", nulls_last=True)


def day_arrivals(ledger: Ledger, *, as_of: Any, within: int) -> tuple[int, Whole, Whole, Question]:
    """The first day, predictions by day, and labels by day and by the midnight (days after it) that knew them.

    Only labels count that came within so many days of their prediction; silence is no arrival.
    """
    question = ask(ledger, stage=results.STAGE_ANY, as_of=as_of)
    lines = _lines(question)
    timing: Any = lines.timing
    if not len(lines.day):
        return 0, np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.int64), question
    first, days = int(lines.day.min()), int(lines.day.max() - lines.day.min()) + 1
    known = _arrived(lines) & (timing.lag <= within)
    rows = lines.sums[c.ROWS]
    n = np.bincount(lines.day - first, weights=rows, minlength=days)
    width = int(timing.known[known].max(initial=0)) + 1
    key = (lines.day[known] - first) * width + timing.known[known]
    made = np.bincount(key, weights=rows[known], minlength=days * width).reshape(days, width)
    return first, np.rint(n).astype(np.int64), np.rint(made).astype(np.int64), question


def _lines(question: Question) -> Lines:
    """The lines of the period as known at the as-of time, with their delays."""
    return timed_lines(question.ledger, question.cut, binned=False, day=question.at, within=question.days)


def _arrived(lines: Lines) -> Marks:
    """Lines whose label came in; one that silence made has no arrival."""
    timing: Any = lines.timing
    return (lines.state <= c.LABELLED_CODES[-1]) & (timing.lag < NEVER)
