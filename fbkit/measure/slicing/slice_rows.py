"""The rows of a slice search as numbers: a loss and a size per row, a code per slice column, sorted for counting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from fbkit.join.rows import no_rows
from fbkit.measure.kernels.made import made_column
from fbkit.measure.kinds import F, Total, Y, working_name
from fbkit.measure.scope import ENTITY, IN, Stage, open_scope
from fbkit.measure.slicing.lattice import Block, Flags, Ints, Table
from fbkit.measure.slicing.slice_bins import Edges, slice_expressions
from fbkit.measure.slicing.slice_evidence import Moments
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import add_losses
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

GROUPS: Final = 64
_CODE, _NOW, _UNIT, _A, _B = "\0code:", "\0now", "\0unit", "\0a", "\0b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One slice column and what it was asked to be: its expression as text, and which values occur."""

    column: str
    expression: pl.Expr
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRows:
    """Rows that have a size, sorted by period and loss; ``starts`` are the first rows of the periods, and the end.

    ``binary``: every loss is 0 or 1 and every size 1; ``plain``: every size is 1. ``least`` is the number of rows that
    a slice must have, in the current period. ``entity`` numbers what repeats (None: nothing does), ``group`` is its
    one of 64 groups.
    """

    conditions: tuple[Condition, ...]
    table: Table
    a: Array
    b: Array
    starts: tuple[int, ...]
    least: float
    binary: bool
    plain: bool
    entity: Ints | None
    group: Ints | None

    @property
    def periods(self) -> int:
        return len(self.starts) - 1

    def moments(self, sums: Array) -> Moments:
        """The table's sums, (block, slice), as moments of shape (period, slice)."""
        parts = np.swapaxes(sums.reshape(self.periods, len(sums) // self.periods, sums.shape[1]), 0, 1)
        if self.binary:
            n, a = parts
            return Moments(n, a, n, a, a, n)
        if self.plain:
            n, a, aa = parts
            return Moments(n, a, n, aa, a, n)
        return Moments(*parts)

    def enough(self, sums: Array) -> Flags:
        """Whether slices of these sums have the least number of rows, in the current period."""
        latest = sums[len(sums) - len(sums) // self.periods]
        return np.asarray(latest >= self.least, dtype=np.bool_)

    def chosen(self, rows: Flags) -> Moments:
        """Moments of any set of rows, shape (period, 1)."""
        a, b = self.a * rows, self.b * rows
        columns = (rows.astype(np.float64), a, b, a * self.a, a * self.b, b * self.b)
        spans = list(pairwise(self.starts))
        return Moments(*(np.array([[x[start:end].sum()] for start, end in spans]) for x in columns))

    def named(self, pairs: Sequence[tuple[int, int]]) -> tuple[tuple[str, str | None], ...]:
        """These (column, value) pairs of numbers as names."""
        return tuple((self.conditions[c].column, self.conditions[c].values[v]) for c, v in pairs)

    def numbered(self, named: Sequence[tuple[str, str | None]]) -> tuple[tuple[int, int], ...] | None:
        """The reverse of :meth:`named`; None if a value is too rare here."""
        columns = {condition.column: i for i, condition in enumerate(self.conditions)}
        found = [(columns[name], value) for name, value in named]
        if any(value not in self.conditions[c].values for c, value in found):
            return None
        return tuple((c, self.conditions[c].values.index(value)) for c, value in found)

    def is_bin(self, column: str) -> bool:
        """Whether a column's slices are bins of numbers, not its values."""
        text = next(condition.expression for condition in self.conditions if condition.column == column)
        return not text.meta.eq(pl.col(column).cast(pl.String))

    def expression(self, named: Sequence[tuple[str, str | None]]) -> pl.Expr:
        """The same conditions as an expression of the joined table's columns."""
        texts = {condition.column: condition.expression for condition in self.conditions}
        return pl.all_horizontal(texts[name].eq_missing(pl.lit(value, dtype=pl.String)) for name, value in named)

    def inside(self, pairs: Sequence[tuple[int, int]]) -> Flags:
        """Which rows satisfy these (column, value) pairs."""
        found = np.ones(len(self.a), dtype=bool)
        for column, value in pairs:
            found &= self.table.codes[column] == value
        return found


def slice_rows(
    joined: JoinedLike,
    measure: Total,
    columns: Sequence[str],
    *,
    periods: Sequence[Period | None],
    stage: str | Stage,
    weights: str | None,
    bins: Edges | None,
    flip: bool,
    minimum: int | None,
    half: int | None = None,
) -> SliceRows:
    """The rows of one period (None: all) or of a reference and a current one; ``flip`` makes a loss of a gain.

    ``minimum`` None is a hundredth of the rows, at least the contract's. ``half`` keeps the first (0) or the second
    (1) half of the entities; a row without one is its own.
    """
    first, last = periods[0], periods[-1]
    reference = first if len(periods) == 2 else None
    texts = slice_expressions(joined, columns, reference=reference, period=last, bins=bins)
    extra = {f"{_CODE}{i}": text for i, text in enumerate(texts.values())}
    if half is not None:
        extra[_UNIT] = pl.coalesce("entity", "prediction_id").hash(1)
    time, span = pl.col("ts_pred"), None
    if first is not None and last is not None:
        span = Period(start=first.start, end=last.end)
        extra[_NOW] = pl.when(time >= last.start).then(1).when(time < first.end).then(0)
    asked = _working(joined, measure)
    scope = open_scope(joined, period=span, stage=stage, weights=weights, extra=extra, at_stage=asked)
    rows = scope.frame.filter(IN)
    if half is not None:
        rows = rows.filter((pl.col(_UNIT) // 2) % 2 == half)
    if span is not None:
        rows = rows.filter(pl.col(_NOW).is_not_null())
    floor = joined.contract.slices.minimum if minimum is None else minimum
    share = 0.01 if minimum is None else 0.0
    made = _losses(rows, measure, flip=flip)
    return _sorted(made, texts, periods=len(periods), least=(floor, share))


def _working(joined: JoinedLike, measure: Total) -> dict[str, pl.Expr]:
    """The working columns of a measure; those that the table cannot give are missing."""
    columns = no_rows(joined).columns
    made = {name: made_column(joined, name, columns=columns) for name in measure.columns}
    return {working_name(name): found for name, found in made.items() if isinstance(found, pl.Expr)} | dict(
        measure.expressions
    )


def _losses(rows: pl.DataFrame, measure: Total, *, flip: bool) -> pl.DataFrame:
    """Loss and size of each row that has a size, beside the codes."""
    used = pl.lit(value=True)
    if measure.uses_label:
        used &= pl.col(Y).is_not_null()
    if measure.uses_flag:
        used &= pl.col(F).is_not_null()
    a, b = measure.numerator, measure.denominator
    loss = a if not flip else b - a if measure.kind == "proportion" else -a
    frame = add_losses(rows.filter(used), [measure])[measure.loss]
    return frame.with_columns(loss.cast(pl.Float64).alias(_A), b.cast(pl.Float64).alias(_B)).filter(pl.col(_B) > 0)


def _sorted(rows: pl.DataFrame, texts: Mapping[str, pl.Expr], *, periods: int, least: tuple[int, float]) -> SliceRows:
    a, b = rows.get_column(_A).to_numpy(), rows.get_column(_B).to_numpy()
    now = rows.get_column(_NOW).to_numpy() if periods == 2 else np.zeros(len(a), dtype=np.int64)
    plain = bool((b == 1).all())
    binary = plain and bool(((a == 0) | (a == 1)).all())
    order = np.argsort((2 * now + (a if binary else 0)).astype(np.int8), kind="stable")
    a, b, now = a[order], b[order], now[order]
    starts = (0, *np.searchsorted(now, np.arange(1, periods)).tolist(), len(a))
    enough = max(float(least[0]), float(np.ceil(least[1] * (starts[-1] - starts[-2]))))
    conditions, codes = [], []
    for i, (name, text) in enumerate(texts.items()):
        values, code = _coded(rows.get_column(f"{_CODE}{i}"))
        kept, code = _frequent(code[order], len(values), starts[-2], enough)
        conditions.append(Condition(column=name, expression=text, values=tuple(values[at] for at in kept)))
        codes.append(code)
    cards = tuple(len(condition.values) for condition in conditions)
    table = Table(codes=tuple(codes), cards=cards, blocks=_blocks(a, b, starts, binary=binary, plain=plain))
    entity, group = _entities(rows.get_column(ENTITY), order)
    return SliceRows(
        conditions=tuple(conditions), table=table, a=a, b=b, starts=starts, least=enough, binary=binary, plain=plain,
        entity=entity, group=group,
    )  # fmt: skip


def _coded(values: pl.Series) -> tuple[list[str | None], Ints]:
    """The values that occur, in order, null last, and each row's number among them."""
    known = values.drop_nulls().unique().sort()
    code = values.cast(pl.Enum(known)).to_physical().cast(pl.Int64).fill_null(len(known)).to_numpy()
    return [*known.to_list(), *([None] if values.null_count() else [])], code


def _frequent(code: Ints, values: int, start: int, least: float) -> tuple[Ints, Ints]:
    """Which values have enough rows from ``start`` on, and each row's code among these (their number: none of them).

    A value that leaves too few rows to compare with is no slice either, such as the only version that is live.
    """
    counts = np.bincount(code[start:], minlength=values)
    kept = np.flatnonzero((counts >= least) & (counts <= counts.sum() - least))
    lookup = np.full(values + 1, len(kept), dtype=np.int64)
    lookup[kept] = np.arange(len(kept))
    return kept, lookup[code]


def _blocks(a: Array, b: Array, starts: tuple[int, ...], *, binary: bool, plain: bool) -> tuple[Block, ...]:
    """What is summed of every slice, period by period: see :meth:`SliceRows.moments`."""
    made: list[Block] = []
    for start, end in pairwise(starts):
        x, y = a[start:end], b[start:end]
        if binary:
            made += [Block(start, end), Block(start + int(np.searchsorted(x, 1.0)), end)]
            continue
        weights = (None, x, x * x) if plain else (None, x, y, x * x, x * y, y * y)
        made += [Block(start, end, weight) for weight in weights]
    return tuple(made)


def _entities(known: pl.Series, order: Ints) -> tuple[Ints | None, Ints | None]:
    """A number and a group per row, if entities repeat; a row without an entity is its own."""
    if known.null_count() == len(known):
        return None, None
    codes = known.cast(pl.Categorical).to_physical().cast(pl.Int64)
    if codes.drop_nulls().n_unique() == len(codes) - codes.null_count():
        return None, None
    own = pl.Series(np.arange(len(known), dtype=np.int64))
    numbers = codes.fill_null(-1 - own).to_numpy()
    groups = (known.hash(0) % GROUPS).cast(pl.Int64).zip_with(known.is_not_null(), own % GROUPS).to_numpy()
    return np.unique(numbers, return_inverse=True)[1][order], groups[order]
