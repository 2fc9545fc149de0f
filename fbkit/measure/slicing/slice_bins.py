"""Numeric columns as slices: quantile bins whose edges come from a reference and stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.measure.stats.intervals import Array
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

QUANTILES: Final = 5
FEW_VALUES: Final = 20
_LEAST_ROWS: Final = 100

Edges = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceBins:
    """Bins of one numeric column: a value x is in the bin of the last edge with ``edge <= x``.

    ``edges`` are the inner ones, rising; there is one bin more than edges. Null and not-a-number are in no bin.

    Examples
    --------
    >>> SliceBins(column="amount", edges=(12.5, 40.0)).labels
    ('below 12.5', '12.5 to 40', '40 or more')
    """

    column: str
    edges: tuple[float, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the bins are called, in rising order."""
        if not self.edges:
            return ("all",)
        text = _edge_texts(self.edges)
        between = [f"{low} to {high}" for low, high in pairwise(text)]
        return (f"below {text[0]}", *between, f"{text[-1]} or more")

    def expression(self) -> pl.Expr:
        """The bin's label of each row; null stays null."""
        value = pl.col(self.column).cast(pl.Float64)
        chosen = pl.when(value.is_null() | value.is_nan()).then(pl.lit(None, dtype=pl.String))
        for edge, label in zip(self.edges, self.labels, strict=False):
            chosen = chosen.when(value < edge).then(pl.lit(label))
        return chosen.otherwise(pl.lit(self.labels[-1]))


def slice_expressions(
    joined: JoinedLike,
    columns: Sequence[str],
    *,
    reference: Period | None = None,
    period: Period | None = None,
    bins: Edges | None = None,
) -> dict[str, pl.Expr]:
    """What each slice column is as text: its values, or the bins of a column of numbers.

    A column of fractions, or of more than 20 different whole numbers, is cut at quintiles (see :func:`numeric_bins`
    for whose); whole numbers that the contract names as slices stay as they are. ``bins`` gives edges instead.
    """
    given = dict(bins or {})
    _check_named(given, columns)
    numbers = _many_valued(joined, [name for name in columns if name not in given])
    made: dict[str, pl.Expr] = {}
    for name in columns:
        if name in given:
            made[name] = SliceBins(column=name, edges=_checked(name, given[name], no_rows(joined))).expression()
        elif name in numbers:
            made[name] = numeric_bins(joined, name, reference=reference, period=period).expression()
        else:
            made[name] = pl.col(name).cast(pl.String)
    return made


def numeric_bins(
    joined: JoinedLike,
    column: str,
    *,
    bins: int = QUANTILES,
    reference: Period | None = None,
    period: Period | None = None,
) -> SliceBins:
    """Quantile bins of a column of numbers, from the rows of ``reference``.

    Without one: from the rows before ``period``, so that the rows that are looked at never move an edge, or from all
    rows if fewer than 100 values lie there. A value that holds several quantiles gets one edge, and the least value its
    own bin if it holds all of them; a column of one value has one bin.
    """
    values = pl.col(column).cast(pl.Float64).fill_nan(None)
    rows = lazy_rows(joined)
    time = pl.col("ts_pred")
    found: pl.Series | None = None
    if reference is not None:
        found = _values(rows.filter((time >= reference.start) & (time < reference.end)), values)
    elif period is not None:
        found = _values(rows.filter(time < period.start), values)
        found = found if len(found) >= _LEAST_ROWS else None
    if found is None:
        found = _values(rows, values)
    return SliceBins(column=column, edges=_quantile_edges(found.to_numpy(), bins))


def _values(rows: pl.LazyFrame, values: pl.Expr) -> pl.Series:
    return rows.select(values).collect().to_series().drop_nulls()


def _quantile_edges(values: Array, bins: int) -> tuple[float, ...]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ()
    # Ordinary quantiles lie between values; an edge that is a value keeps equal values together and is easy to read.
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    least = finite.min()
    if edges[-1] == least < finite.max():
        # Nearly all rows have the least value, such as no rain: that value, and everything above it.
        edges = finite[finite > least].min(keepdims=True)
    return tuple(float(edge) for edge in edges if edge > least)


def _many_valued(joined: JoinedLike, names: Sequence[str]) -> set[str]:
    schema = no_rows(joined).schema
    fractions = {name for name in names if schema[name].is_float() or schema[name].is_decimal()}
    whole = [name for name in names if schema[name].is_integer() and name not in joined.contract.slices.columns]
    if not whole:
        return fractions
    counts = lazy_rows(joined).select(pl.col(whole).n_unique()).collect().row(0)
    return fractions | {name for name, count in zip(whole, counts, strict=True) if count > FEW_VALUES}


def _check_named(bins: Edges, columns: Sequence[str]) -> None:
    unknown = [name for name in bins if name not in columns]
    if unknown:
        raise ArgumentError(
            "bins are given for a column that is no slice here",
            got=unknown[0],
            allowed=", ".join(columns) or "no column: nothing is sliced",
            next_step="name the column among the slices too",
        )


def _checked(name: str, edges: Sequence[float], columns: pl.DataFrame) -> tuple[float, ...]:
    """The given edges, if they are rising numbers and the column is one of numbers."""
    if not columns.schema[name].is_numeric():
        raise ArgumentError(
            "only a column of numbers can be cut into bins",
            got=f"{name} ({columns.schema[name]})",
            allowed="columns of numbers",
            next_step="leave it out of bins; its values are slices as they are",
        )
    wanted = [float(edge) for edge in edges]
    rising = all(low < high for low, high in pairwise(wanted))
    if not wanted or not rising or not np.isfinite(wanted).all():
        raise ArgumentError(
            f"the bin edges of {name} must rise",
            got=list(edges),
            allowed="one or more finite numbers, each larger than the one before",
            next_step="write for example bins={" + f'"{name}": [10, 50]' + "}",
        )
    return tuple(wanted)


def _edge_texts(edges: tuple[float, ...]) -> list[str]:
    """Edges with as few digits (four or more) as keep them apart."""
    for digits in range(4, 18):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(edge) for edge in edges]
