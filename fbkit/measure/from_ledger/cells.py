"""What is asked of a ledger, checked, and its lines added up to the cells of the answer."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.view import NEVER, Lines, Marks, Sums, Whole, lines_at, timed_lines
from fbkit.measure.scope import INSTANT, Slices, Stage
from fbkit.schema import results
from fbkit.schema.period import Period, floor_day, format_instant, parse_instant

GRAINS: Final = ("1d", "1w", "1mo")
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which cells are asked for.

    ``cut`` are the table's slice columns, ``at`` is the day of an earlier as-of, ``flag_from`` the lowest score bin
    that a given threshold flags.
    """

    ledger: Ledger
    by: tuple[str, ...]
    cut: c.Cut
    every: str | None
    period: Period | None
    stage: Stage
    at: int | None
    flag_from: int | None = None

    @property
    def limits(self) -> Period | None:
        """The period asked for, else all days of the ledger."""
        return self.period or span(self.ledger, at=self.at)

    @property
    def days(self) -> tuple[int, int] | None:
        """The first day of the period and the day after its last; None is all."""
        return None if self.period is None else (day_of(self.period.start), day_of(self.period.end))

    @property
    def as_of(self) -> datetime:
        """The as-of time of the answer."""
        return self.ledger.as_of if self.at is None else _EPOCH + self.at * _DAY

    @property
    def keys(self) -> list[str]:
        """The key columns of the answer."""
        return [*self.by, results.PERIOD_START]

    def lines(self, kind: str = c.CELLS, *, binned: bool = False) -> tuple[Lines, Marks]:
        """Lines of the period as known at the as-of time, with the labels that the stage knows, and which count."""
        asked: dict[str, Any] = {"binned": binned, "within": self.days}
        daily = self.period is not None or self.every is not None
        if self.stage.age is not None and kind == c.CELLS:
            lines = _aged(timed_lines(self.ledger, self.cut, day=self.at, **asked), self)
        else:
            at = self.at if kind == c.CELLS else None
            lines = lines_at(self.ledger, kind, self.cut, day=at, daily=daily, **asked)
        if self.flag_from is not None and lines.extra is not None:
            lines = replace(lines, flagged=(lines.extra >= self.flag_from).astype(np.int64))
        return lines, self._counting(lines)

    def _counting(self, lines: Lines) -> Marks:
        if self.stage.age is not None:
            return _old_enough(lines, self.as_of - self.stage.age)
        return lines.settled if self.stage.name == results.STAGE_FINAL else np.ones(len(lines.day), dtype=bool)

    def grain_of(self, kind: str) -> bool:
        """Whether the table of a kind can tell the cells apart: those of slices count whole weeks."""
        if not c.by_week(kind, self.cut):
            return True
        edges = () if self.period is None else (self.period.start, self.period.end)
        return self.every in (None, "1w") and all(edge.weekday() == 0 for edge in edges)


def ask(
    ledger: Ledger,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    as_of: str | datetime | None = None,
) -> Question:
    """Check a question.

    Raises
    ------
    ArgumentError
        What the ledger did not count: a slice column, a crossing, an hour, a part of a day, an as-of inside a day.
    """
    names = () if by is None else (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    if every is not None and every not in GRAINS:
        raise ArgumentError(
            "a ledger has no such time grain",
            got=every,
            allowed=", ".join(GRAINS),
            next_step="use one of these, or measure the joined rows",
        )
    chosen = Stage.parse(stage)
    if chosen.age is not None and chosen.age % _DAY:
        raise ArgumentError(
            "a ledger knows ages in whole days",
            got=chosen.name,
            allowed="provisional@3d, for example",
            next_step="round the age to days, or measure the joined rows",
        )
    limits = None if period is None else _whole_days(Period.parse(period))
    return Question(
        ledger=ledger,
        by=names,
        cut=_cut(ledger, names),
        every=every,
        period=limits,
        stage=chosen,
        at=_at(ledger, as_of),
    )


def _cut(ledger: Ledger, names: tuple[str, ...]) -> c.Cut:
    wanted = tuple(name for name in names if name != c.VERSION)
    for cut in (wanted, wanted[::-1]):
        if (c.CELLS, cut) in ledger.tables:
            return cut
    unknown = next((name for name in wanted if name not in ledger.slices), None)
    if unknown is not None:
        raise ArgumentError(
            "the ledger has no such slice column",
            got=unknown,
            allowed=", ".join([*ledger.slices, c.VERSION]),
            next_step="build the ledger with this slice, or measure the joined rows",
        )
    raise ArgumentError(
        "the ledger did not count these slices together",
        got=" and ".join(wanted),
        allowed="; ".join(" and ".join(pair) for pair in ledger.manifest.pairs) or "one slice column at a time",
        next_step=f"build the ledger with pairs=[{wanted[:2]}], or measure the joined rows",
    )


def _whole_days(limits: Period) -> Period:
    if floor_day(limits.start) != limits.start or floor_day(limits.end) != limits.end:
        raise ArgumentError(
            "a ledger counts whole days",
            got=str(limits),
            allowed="a period from midnight to midnight UTC",
            next_step="round the period to days, or measure the joined rows",
        )
    return limits


def _at(ledger: Ledger, as_of: str | datetime | None) -> int | None:
    if as_of is None:
        return None
    instant = parse_instant(as_of)
    if instant == ledger.as_of:
        return None
    if instant > ledger.as_of or floor_day(instant) != instant:
        raise ArgumentError(
            "a ledger knows earlier midnights and its own as-of",
            got=format_instant(instant),
            allowed=f"a midnight UTC up to {format_instant(ledger.as_of)}, or that time",
            next_step="round the time to a day, or join as of it",
        )
    return day_of(instant)


def day_of(instant: datetime) -> int:
    """Days from 1970-01-01 UTC."""
    return (instant - _EPOCH) // _DAY


def span(ledger: Ledger, *, at: int | None = None) -> Period | None:
    """From the first day with a prediction to the last."""
    if at is None:
        days = lines_at(ledger, c.CELLS, (), binned=False, day=None).day
    else:
        held = timed_lines(ledger, (), binned=False, day=None)
        timing: Any = held.timing
        days = held.day[held.day + timing.seen <= at]
    if not len(days):
        return None
    return Period(start=_EPOCH + int(days.min()) * _DAY, end=_EPOCH + (int(days.max()) + 1) * _DAY)


def _old_enough(lines: Lines, limit: datetime) -> Marks:
    """Rows made at or before a time; of the day that is old enough only in part, none but those made at midnight."""
    last = day_of(limit)
    seen = None if lines.timing is None else lines.timing.seen
    return lines.day + (1 if seen is None else np.minimum(seen, 1)) <= last


def _aged(lines: Lines, question: Question) -> Lines:
    """The labels that were known at the stage's age; the others count as pending."""
    age, label = question.stage.age, question.ledger.contract.label
    if age is None or lines.timing is None:
        return lines
    closed = isinstance(label.window, timedelta) and age >= label.window + label.grace
    lag = lines.timing.lag
    known = (lag <= age // _DAY) | (closed & (lag == NEVER))
    labelled = lines.state <= c.LABELLED_CODES[-1]
    return replace(lines, state=np.where(labelled & ~known, c.CODE["pending"], lines.state))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Sums by cell (first axis), kind of row (second axis) and, where asked, score bin or group (third axis).

    ``state``, ``flagged`` (-1: no decision), ``mature`` and ``counts`` (at the stage) say what each kind is.
    ``number`` is the cell's place in the order of slices and time, of ``places`` times in all.
    """

    question: Question
    number: Whole
    starts: list[datetime | None]
    state: Whole
    flagged: Whole
    mature: Marks
    counts: Marks
    sums: Sums

    @property
    def labelled(self) -> Marks:
        """Which kinds have a label."""
        return self.state <= c.LABELLED_CODES[-1]

    @property
    def slice_number(self) -> Whole:
        """The place of each cell's slice in the order of slices."""
        return self.number // len(self.starts)

    def keys(self) -> pl.DataFrame:
        """The key columns: slices as text, the start of the time cell."""
        return key_frame(self.question, self.number, self.starts)


def key_frame(question: Question, number: Whole, starts: list[datetime | None]) -> pl.DataFrame:
    """What the numbers of cells stand for: slices as text, the start of the time cell."""
    rest = number // len(starts)
    made: list[pl.Series] = []
    for name in reversed(question.by):
        texts = question.ledger.values[name]
        made.append(pl.Series(name, [*texts, None], dtype=pl.String).gather(rest % (len(texts) + 1)))
        rest = rest // (len(texts) + 1)
    begun = pl.Series(results.PERIOD_START, starts, dtype=INSTANT).gather(number % len(starts))
    return pl.DataFrame([*made[::-1], begun])


def slice_numbers(question: Question, lines: Lines) -> tuple[Whole, Whole]:
    """The place of each line's slice, without gaps, and the number of the slice at each place."""
    number, size = _slices(question, lines)
    number, held = _dense(number, size)
    if not len(held) and not question.by:
        held = np.zeros(1, dtype=np.int64)
    return number, held


def _slices(question: Question, lines: Lines) -> tuple[Whole, int]:
    number = np.zeros(len(lines.day), dtype=np.int64)
    total = 1
    for name in question.by:
        size = len(question.ledger.values[name]) + 1
        code = lines.version if name == c.VERSION else lines.slices[question.cut.index(name)]
        number = number * size + np.where(code < 0, size - 1, code)
        total *= size
    return number, total


def gather(
    question: Question, names: tuple[str, ...], *, kind: str = c.CELLS, binned: bool = False, extra: int | None = None
) -> Cells:
    """Add the lines up to cells; ``extra`` keeps that many score bins or groups apart on a third axis."""
    lines, counting = question.lines(kind, binned=binned)
    starts, place = places(question, lines.day)
    number, total = _slices(question, lines)
    number = number * len(starts) + place
    number, held = _dense(number, total * len(starts))
    if not len(held) and not question.by and question.every is None:
        held = np.zeros(1, dtype=np.int64)  # a question without slices and grain has one cell even without a row
    sub = ((lines.state * 3 + lines.flagged + 1) * 2 + lines.mature) * 2 + counting
    sub, kinds = _dense(sub, len(c.STATES) * 12)
    key = number * len(kinds) + sub
    shape: tuple[int, ...] = (len(held), len(kinds))
    if extra is not None and lines.extra is not None:
        key, shape = key * extra + lines.extra, (*shape, extra)
    size = int(np.prod(shape))
    sums = {
        name: np.bincount(key, weights=lines.sums[name], minlength=size).reshape(shape).astype(np.float64)
        for name in names
    }
    return Cells(
        question=question,
        number=held,
        starts=starts,
        state=kinds // 12,
        flagged=kinds // 4 % 3 - 1,
        mature=kinds // 2 % 2 > 0,
        counts=kinds % 2 > 0,
        sums=sums,
    )


def _dense(codes: Whole, size: int) -> tuple[Whole, Whole]:
    """Codes numbered without gaps, and the code of each number, in order."""
    if size > 4 * len(codes) + 1000:
        held, dense = np.unique(codes, return_inverse=True)
        return dense.astype(np.int64), held
    held = np.flatnonzero(np.bincount(codes, minlength=size))
    lookup = np.zeros(size, dtype=np.int64)
    lookup[held] = np.arange(len(held))
    return lookup[codes], held.astype(np.int64)


def places(question: Question, day: Whole) -> tuple[list[datetime | None], Whole]:
    """The starts of the time cells, and the place of each day among them."""
    limits = question.limits
    if question.every is None or not len(day):
        return [limits.start if limits else None], np.zeros(len(day), dtype=np.int64)
    first = int(day.min())
    days = np.arange(first, int(day.max()) + 1)
    distinct, lookup = np.unique(_starts(days, question.every), return_inverse=True)
    return [_EPOCH + start * _DAY for start in distinct.tolist()], lookup[day - first].astype(np.int64)


def _starts(days: Whole, every: str) -> Whole:
    """The first day of each day's time cell."""
    if every == "1d":
        return days
    if every == "1w":
        return days - (days - c.FIRST_MONDAY) % c.DAYS_OF_WEEK
    dates = pl.Series(days, dtype=pl.Int64).cast(pl.Int32).cast(pl.Date)
    return dates.dt.truncate(every).to_physical().cast(pl.Int64).to_numpy()
