"""The rows of a comparison: some columns of the reference, and of the current period cell by cell in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.periods import resolve
from fbkit.join.rows import lazy_rows
from fbkit.measure.scope import INSTANT, check_every
from fbkit.measure.stats.intervals import Array
from fbkit.schema import results
from fbkit.schema.period import Comparison, Period
from fbkit.schema.protocols import JoinedLike

_CELL: Final = "\0cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """``current`` is in the order of its cells; ``ends`` are their first rows, with the number of rows last."""

    reference: pl.DataFrame
    current: pl.DataFrame
    ends: NDArray[np.int64]
    cells: pl.DataFrame
    periods: tuple[Period, Period]

    def counts(self) -> NDArray[np.int64]:
        """Rows of each cell."""
        return np.diff(self.ends)


def read_halves(
    joined: JoinedLike, comparison: Comparison, *, columns: Sequence[str], every: str | None = None
) -> Halves:
    """Read these columns of both periods; without ``every``, or without rows, the current period is one cell."""
    check_every(every)
    periods = reference, current = resolve(joined, comparison).periods()
    rows = lazy_rows(joined)
    before = rows.filter(_inside(reference)).select(columns).collect()
    start = [] if every is None else [pl.col("ts_pred").dt.truncate(every).alias(_CELL)]
    after = rows.filter(_inside(current)).select(*columns, *start).collect()
    if every is None or after.is_empty():
        ends = np.array([0, after.height], dtype=np.int64)
        one = pl.DataFrame({results.PERIOD_START: [current.start], results.PERIOD_END: [current.end]})
        cells = one.cast({results.PERIOD_START: INSTANT, results.PERIOD_END: INSTANT})
        return Halves(reference=before, current=after, ends=ends, cells=cells, periods=periods)
    if not after.get_column(_CELL).is_sorted():
        after = after.sort(_CELL)
    runs = after.get_column(_CELL).rle().struct.unnest()
    ends = np.concatenate([[0], np.cumsum(runs.get_column("len").to_numpy().astype(np.int64))])
    first, last = pl.lit(current.start, dtype=INSTANT), pl.lit(current.end, dtype=INSTANT)
    cells = runs.select(
        pl.max_horizontal("value", first).alias(results.PERIOD_START),
        pl.min_horizontal(pl.col("value").dt.offset_by(every), last).alias(results.PERIOD_END),
    )
    return Halves(reference=before, current=after, ends=ends, cells=cells, periods=periods)


def known_values(series: pl.Series, ends: NDArray[np.int64]) -> list[Array]:
    """The numbers of each run of rows, without null and NaN."""
    values = series.cast(pl.Float64).to_numpy()
    known = ~np.isnan(values)
    if not known.all():
        ends = np.concatenate([[0], np.cumsum(known)])[ends]
        values = values.compress(known)
    return [values[start:end] for start, end in pairwise(ends)]


def _inside(period: Period) -> pl.Expr:
    return (pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end)
