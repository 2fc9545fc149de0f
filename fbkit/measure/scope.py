"""Which rows a question is about: period, time cells, slices and label stage, decided in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.measure.cells import entity_units, number_cells
from fbkit.measure.kinds import F, S, W, Y
from fbkit.measure.labels.latency import settled
from fbkit.measure.slicing.slice_bins import Edges, slice_expressions
from fbkit.schema import results as names
from fbkit.schema.durations import parse_duration
from fbkit.schema.period import Period, floor_day
from fbkit.schema.protocols import JoinedLike, check_joined

IN: Final = "\0in"
ENTITY: Final = "\0entity"
MATURE: Final = "\0mature"
EVERY: Final = ("1h", "1d", "1w", "1mo")
INSTANT: Final = pl.Datetime("us", "UTC")

Slices = str | Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``final`` (mature rows), ``any`` (all rows), or ``provisional@AGE`` (rows that old, as known at that age)."""

    name: str
    age: timedelta | None = None

    @classmethod
    def parse(cls, text: "str | Stage") -> "Stage":
        """Read a stage.

        >>> Stage.parse("provisional@30d").age.days
        30
        """
        if isinstance(text, Stage):
            return text
        kind, at, age = str(text).partition("@")
        if kind == "provisional" and at:
            return cls(name=str(text), age=parse_duration(age))
        if text in (names.STAGE_FINAL, names.STAGE_ANY):
            return cls(name=str(text))
        raise ArgumentError(
            "an unknown stage", got=text, allowed='"final", "any" or "provisional@30d"', next_step="write one of these"
        )

    def positives_only(self, joined: JoinedLike) -> bool:
        """Whether at this age silence cannot be a negative yet, though later it will be."""
        label = joined.contract.label
        if self.age is None or label.silence != "negative":
            return False
        return not isinstance(label.window, timedelta) or self.age < label.window + label.grace

    def expressions(self, joined: JoinedLike) -> tuple[pl.Expr, pl.Expr]:
        """Whether a row counts, and its label as this stage knows it (null = unlabelled)."""
        label = pl.col("label")
        if self.age is None:
            return (settled(joined) if self.name == names.STAGE_FINAL else pl.lit(value=True)), label
        counts = pl.col("ts_pred") <= joined.as_of - self.age
        window = joined.contract.label.window
        closed = isinstance(window, timedelta) and self.age >= window + joined.contract.label.grace
        # A label without an arrival is a silence that became a negative when the window closed.
        known = (pl.col("arrival_lag") <= self.age).fill_null(value=closed)
        return counts, pl.when(known).then(label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The rows of a question. ``frame`` holds the key columns and the working columns of :mod:`registry`.

    ``memo`` keeps what was counted once for several measures.
    """

    frame: pl.DataFrame
    by: tuple[str, ...]
    every: str | None
    limits: Period | None
    stage: Stage
    memo: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def keys(self) -> list[str]:
        return [*self.by, names.PERIOD_START]

    def with_period_end(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Add the end of each cell, and cut cells that reach over the asked period."""
        if self.every is None:
            end = pl.lit(self.limits.end if self.limits else None, dtype=INSTANT)
            return cells.with_columns(end.alias(names.PERIOD_END))
        cells = cells.with_columns(pl.col(names.PERIOD_START).dt.offset_by(self.every).alias(names.PERIOD_END))
        if self.limits is None:
            return cells
        return cells.with_columns(
            pl.max_horizontal(names.PERIOD_START, pl.lit(self.limits.start, dtype=INSTANT)).alias(names.PERIOD_START),
            pl.min_horizontal(names.PERIOD_END, pl.lit(self.limits.end, dtype=INSTANT)).alias(names.PERIOD_END),
        )


def open_scope(
    joined: JoinedLike,
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = names.STAGE_FINAL,
    weights: str | None = None,
    extra: Mapping[str, pl.Expr] | None = None,
    at_stage: Mapping[str, pl.Expr] | None = None,
    where: pl.Expr | None = None,
    bins: Edges | None = None,
) -> Scope:
    """Select the rows and name the cells; ``where`` keeps rows of the period, ``bins`` cuts slices of numbers.

    ``extra`` are further working columns, made of the joined table; for those ``at_stage``, its ``label`` is the one
    that was known at the stage.

    All rows of the period stay (column ``IN`` says which count at the stage), so that a cell whose
    window is still open appears as "window open" instead of vanishing. Slice values become text, numbers the labels of
    bins (:mod:`fbkit.measure.slicing.slice_bins`); null stays null.
    """
    check_joined(joined)
    columns = no_rows(joined)
    slices = slice_columns(columns, by)
    check_every(every)
    wanted = None if period is None else Period.parse(period)
    texts = slice_expressions(joined, slices, period=wanted, bins=bins)
    chosen = Stage.parse(stage)
    rows = lazy_rows(joined)
    limits = wanted or _span(rows)
    if wanted is not None:
        rows = rows.filter((pl.col("ts_pred") >= wanted.start) & (pl.col("ts_pred") < wanted.end))
    counts, label = chosen.expressions(joined)
    if where is not None:
        rows = rows.filter(_condition(where, columns))
    if at_stage:
        rows = rows.with_columns(label.alias("label"))
    made = rows.select(
        *(text.alias(name) for name, text in texts.items()),
        _cell_start(every, limits).alias(names.PERIOD_START),
        counts.alias(IN),
        pl.col("mature").alias(MATURE),
        label.cast(pl.Float64).alias(Y),
        pl.col("flagged").cast(pl.Float64).alias(F),
        pl.col("score").cast(pl.Float64).alias(S),
        _weight(rows, columns, weights).alias(W),
        pl.col("entity").alias(ENTITY),
        *(expression.alias(name) for name, expression in (dict(extra or {}) | dict(at_stage or {})).items()),
    )
    return Scope(frame=made.collect(), by=slices, every=every, limits=limits, stage=chosen)


def slice_columns(frame: pl.DataFrame, by: Slices) -> tuple[str, ...]:
    """The slice columns as a tuple; an unknown one, or one named like a result column, is an ArgumentError."""
    asked = () if by is None else (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    for name in asked:
        if name not in frame.columns:
            close = nearest(str(name), frame.columns)
            raise ArgumentError(
                "a slice column does not exist",
                got=name,
                allowed=", ".join(frame.columns),
                next_step=f"did you mean {close!r}?" if close else None,
            )
        if name in names.ESTIMATE_COLUMNS:
            raise ArgumentError(
                "a slice column is named like a result column",
                got=name,
                next_step="rename it in the contract's columns",
                allowed="any name that no result column has",
            )
    return asked


def _condition(where: pl.Expr, columns: pl.DataFrame) -> pl.Expr:
    """The condition, if it is one: yes or no for every row of the joined table."""
    try:
        dtype = columns.select(where).to_series().dtype if isinstance(where, pl.Expr) else None
    except pl.exceptions.PolarsError as error:
        raise ArgumentError(
            "the condition cannot be asked of the joined table",
            got=str(error).splitlines()[0],
            allowed=f"an expression of {', '.join(columns.columns)}",
            next_step='write for example where=pl.col("region") == "EU"',
        ) from error
    if dtype != pl.Boolean:
        raise ArgumentError(
            "where needs a condition",
            got=type(where).__name__ if dtype is None else f"an expression of type {dtype}",
            allowed="a Polars expression that is true or false",
            next_step='write for example where=pl.col("region") == "EU"',
        )
    return where


def check_every(every: str | None) -> None:
    """Refuse an unknown time grain."""
    if every is not None and every not in EVERY:
        raise ArgumentError(
            "an unknown time grain", got=every, allowed=", ".join(EVERY), next_step="write one of these"
        )


def _span(rows: pl.LazyFrame) -> Period | None:
    times = rows.select(pl.col("ts_pred").min().alias("first"), pl.col("ts_pred").max().alias("last")).collect()
    first, last = times.row(0)
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return None
    return Period(start=floor_day(first), end=floor_day(last) + timedelta(days=1))


def _cell_start(every: str | None, limits: Period | None) -> pl.Expr:
    if every is not None:
        return pl.col("ts_pred").dt.truncate(every)
    return pl.lit(limits.start if limits else None, dtype=INSTANT)


def _weight(rows: pl.LazyFrame, columns: pl.DataFrame, weights: str | None) -> pl.Expr:
    if weights is None:
        return pl.lit(1.0)
    if weights not in columns.columns:
        raise ArgumentError(
            "the weight column does not exist",
            got=weights,
            allowed=", ".join(columns.columns),
            next_step="name one of these columns, or log the weights with the predictions",
        )
    values = rows.select(weights).collect().to_series()
    if not values.dtype.is_numeric() or values.null_count() or not _usable(values.cast(pl.Float64)):
        raise ArgumentError(
            "weights must be finite, not negative and never null",
            got=weights,
            allowed="in every row 0, or a number between 1e-100 and 1e100",
            next_step="fill or mend the weights where they are logged",
        )
    return pl.col(weights).cast(pl.Float64)


def _usable(weights: pl.Series) -> bool:
    """Whether all are 0 or of a size whose squares and sums are still numbers."""
    return bool(((weights == 0) | weights.is_between(1e-100, 1e100)).all())


def with_entities(frame: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, bool]:
    """Whether entities repeat in a cell; if so, the frame with a number per cell and entity (null: one per row)."""
    entity = frame.get_column(ENTITY)
    if entity.null_count() == len(entity):
        return frame, False
    units = entity_units(entity, number_cells(frame, keys).cell)
    if units is None:
        return frame, False
    return frame.with_columns(pl.Series(ENTITY, units.numbers(), dtype=pl.Int64)), True
