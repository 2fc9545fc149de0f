"""Block bootstrap by time: intervals for days that are alike, whatever makes them so: a campaign, a season."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from fbkit.errors import ArgumentError
from fbkit.measure.cellwise import cut_cells
from fbkit.measure.kernels.made import REQUEST
from fbkit.measure.kinds import Cell, Cellwise, Measure, Total, working_name
from fbkit.measure.scope import Scope
from fbkit.measure.stats.intervals import Array, logit_interval, mean_by_variance, proportion_by_variance, quantile
from fbkit.measure.totals import add_losses, sum_cells
from fbkit.schema import results
from fbkit.schema.durations import parse_duration

DAY: Final = "\0day"
NAME: Final = "block_bootstrap"
DRAWS_OF_SUMS: Final = 1000
DRAWS_OF_ROWS: Final = 200
_SEED: Final = 20_240_229
_FEWEST_BLOCKS: Final = 3
Interval = tuple[float, float, str | None]
_NONE: Final[Interval] = (np.nan, np.nan, None)
_EMPTY: Final = np.zeros(0)


class Days(NamedTuple):
    """How often each day of a period is drawn, one line per draw, and what the interval rests on."""

    drawn: NDArray[np.int64]
    blocks: float
    block: int

    @property
    def method(self) -> str:
        """What the interval says of itself."""
        return f"block bootstrap ({self.block} day{'s' if self.block > 1 else ''})"


def day_of() -> pl.Expr:
    """The day of a row, as a number: the working column that :func:`resampled` needs."""
    return pl.col("ts_pred").dt.epoch("d").cast(pl.Int64)


def parse_interval(interval: str | None) -> int | None:
    """Days in a block (0: chosen by the number of days), or None for the measures' own intervals.

    >>> parse_interval("block_bootstrap@7d")
    7
    """
    if interval is None:
        return None
    kind, at, length = str(interval).partition("@")
    if kind != NAME:
        raise ArgumentError(
            "an unknown kind of interval",
            got=interval,
            allowed='None (each measure\'s own), "block_bootstrap" or "block_bootstrap@7d"',
            next_step="write one of these",
        )
    if not at:
        return 0
    days = parse_duration(length) / timedelta(days=1)
    if days < 1 or days % 1:
        raise ArgumentError(
            "a block is a number of whole days",
            got=interval,
            allowed='"block_bootstrap@1d" and longer',
            next_step='write "block_bootstrap@7d" for weeks',
        )
    return int(days)


@lru_cache(maxsize=8)
def draw_days(days: int, *, block: int = 0, draws: int = DRAWS_OF_SUMS, seed: int = _SEED) -> Days:
    """Draw blocks of neighbouring days, from a circle of all of them, until there are as many days as before.

    Circular moving blocks (Politis and Romano 1992); ``block`` 0 takes the cube root of the number of days, rounded up
    (Hall, Horowitz and Jing 1995, doi:10.1093/biomet/82.3.561). The last block is cut, so that every draw has the
    same length. The same seed gives the same draws.
    """
    size = min(block or int(np.ceil(days ** (1 / 3) - 1e-9)), max(days, 1))
    many = int(np.ceil(days / size)) if days else 0
    starts = np.random.default_rng(seed).integers(0, max(days, 1), size=(draws, many))
    place = (starts[:, :, None] + np.arange(size)).reshape(draws, -1)[:, :days] % max(days, 1)
    flat = place + days * np.arange(draws)[:, None]
    drawn = np.bincount(flat.ravel(), minlength=draws * days).reshape(draws, days)
    return Days(drawn, days / size, size)


def block_bootstrap(
    a_by_day: ArrayLike,
    b_by_day: ArrayLike,
    *,
    block: int = 0,
    draws: int = DRAWS_OF_SUMS,
    seed: int = _SEED,
    level: float = 0.95,
    rows: float | None = None,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[float, float, float, str | None]:
    """Ratio of totals from sums by day, in order and without gaps: (value, lower, upper, method).

    The draws give the variance, so that days next to each other may be alike; the interval is Wilson's at the
    effective number of ``rows`` for a proportion, else value +- t * error cut at ``low`` and ``high``, with Student's t
    over the number of blocks. Fewer than three blocks: no interval; no denominator: NaN.

    >>> value, lower, upper, method = block_bootstrap([8, 9, 7, 8, 9, 7, 8, 9], [10] * 8, rows=80)
    >>> value, method
    (0.8125, 'block bootstrap (2 days)')
    """
    a, b = np.asarray(a_by_day, dtype=np.float64), np.asarray(b_by_day, dtype=np.float64)
    if not b.sum() > 0:
        return np.nan, np.nan, np.nan, None
    value, days = float(a.sum() / b.sum()), draw_days(len(a), block=block, draws=draws, seed=seed)
    if days.blocks < _FEWEST_BLOCKS:
        return value, np.nan, np.nan, None
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (days.drawn @ a) / (days.drawn @ b)
    variance = _variance(found, days)
    if rows is not None:
        lower, upper = proportion_by_variance(value, variance, rows, units=days.blocks, level=level)
    else:
        lower, upper = mean_by_variance(value, variance, units=days.blocks, level=level, low=low, high=high)
    if np.isnan(variance):
        return value, np.nan, np.nan, None
    return value, float(lower), float(upper), days.method


def _variance(found: Array, days: Days) -> float:
    """Variance of the draws; a little more than they show, because few blocks vary too little around their mean."""
    known = found[np.isfinite(found)]
    if len(known) < 0.9 * len(found):
        return np.nan
    return float(np.var(known)) * days.blocks / (days.blocks - 1)


def resampled(
    scope: Scope,
    cells: pl.DataFrame,
    measures: Sequence[Measure],
    parts: dict[str, pl.DataFrame],
    *,
    block: int,
    level: float,
    weighted: bool,
) -> dict[str, pl.DataFrame]:
    """The estimates with their intervals replaced, where a measure has one; the scope's frame has :data:`DAY`."""
    totals = [measure for measure in measures if isinstance(measure, Total)]
    losses = add_losses(scope.frame, totals)
    made = dict(parts)
    for measure in totals:
        found = _of_total(losses[measure.loss], scope, cells, measure, block=block, level=level, weighted=weighted)
        made[measure.name] = _replaced(parts[measure.name], found)
    cellwise = [measure for measure in measures if isinstance(measure, Cellwise)]
    further = {DAY} | {working_name(name) for measure in cellwise for name in measure.columns}
    further |= {name for measure in cellwise for name in measure.expressions}
    listed = cut_cells(scope, cells, weighted=weighted, further=further) if cellwise else []
    for measure in cellwise:
        with_day = replace(measure, expressions={**measure.expressions, DAY: pl.col(DAY)})
        known = parts[measure.name].get_column(results.LOWER).is_not_null().to_list()
        found = [
            _of_rows(rows.cell(with_day), measure, block=block, level=level) if asked else _NONE
            for rows, asked in zip(listed, known, strict=True)
        ]
        made[measure.name] = _replaced(parts[measure.name], found)
    return made


def _replaced(part: pl.DataFrame, found: list[Interval]) -> pl.DataFrame:
    """The estimates with other intervals; where there was none before there is none now."""
    had = pl.col(results.LOWER).is_not_null()
    schema = {results.LOWER: pl.Float64, results.UPPER: pl.Float64, results.METHOD: pl.String}
    new = pl.DataFrame(found, schema=schema, orient="row").with_columns(pl.col(pl.Float64).fill_nan(None))
    return part.with_columns(pl.when(had).then(new.get_column(name)).alias(name) for name in schema)


def _of_total(
    frame: pl.DataFrame, scope: Scope, cells: pl.DataFrame, measure: Total, *, block: int, level: float, weighted: bool
) -> list[Interval]:
    sums = sum_cells(frame, [*scope.keys, DAY], measure, units=None, bounded=False)
    listed = sums.sort(DAY).group_by(scope.keys, maintain_order=True).agg(DAY, "a", "b")
    lines = cells.select(scope.keys).join(listed, on=scope.keys, how="left", nulls_equal=True, maintain_order="left")
    made: list[Interval] = []
    for day, a, b in lines.select(DAY, "a", "b").iter_rows():
        if day is None:
            made.append(_NONE)
            continue
        place = np.array(day) - day[0]
        sides = np.zeros((2, int(place[-1]) + 1))
        sides[:, place] = np.array([a, b], dtype=np.float64)
        whole = np.inf if weighted else float(sides[1].sum())
        kind = {"rows": whole} if measure.kind == "proportion" else {"low": measure.floor, "high": measure.ceiling}
        _, lower, upper, method = block_bootstrap(*sides, block=block, level=level, **kind)
        if measure.transform is not None and method:
            lower, upper = measure.transform(np.array([lower, upper])).tolist()
            method = f"{method} {measure.transform_name}"
        made.append((lower, upper, method))
    return made


def _of_rows(cell: Cell, measure: Cellwise, *, block: int, level: float) -> Interval:
    """Draws of a measure of rows: every row counts as often as its day was drawn."""
    if measure.uses_label and REQUEST not in measure.columns:
        cell = _only(cell, ~np.isnan(cell.label))
    day = cell.columns[DAY].to_numpy()
    if not len(day):
        return _NONE
    value, day = measure.fn(cell._replace(cluster=None, open=_EMPTY), level).value, day - day.min()
    days = draw_days(int(day.max()) + 1, block=block, draws=DRAWS_OF_ROWS)
    if days.blocks < _FEWEST_BLOCKS:
        return _NONE
    own = np.ones_like(cell.score) if cell.weight is None else cell.weight
    found = np.full(len(days.drawn), np.nan)
    for number, drawn in enumerate(days.drawn):
        weight = own * drawn[day]
        part = _only(cell._replace(weight=weight, cluster=None, open=_EMPTY), weight > 0)
        if len(part.score):
            found[number] = measure.fn(part, level).value
    known = found[~np.isnan(found)]
    if len(known) < 0.9 * len(found):
        return _NONE
    if min(known.min(), value) > 0 and max(known.max(), value) < 1:
        grown = _variance(np.log(known / (1 - known)), days) * (value * (1 - value)) ** 2
        lower, upper = logit_interval(value, grown, level=level, df=days.blocks - 1)
        return float(lower), float(upper), f"{days.method}, logit"
    # What is not a share keeps the shape that the draws have, somewhat wider, because blocks are few.
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) - value
    wider = float(quantile(level, df=days.blocks - 1) / quantile(level)) * np.sqrt(days.blocks / (days.blocks - 1))
    return value + min(float(low), 0.0) * wider, value + max(float(high), 0.0) * wider, f"{days.method}, percentiles"


def _only(cell: Cell, kept: NDArray[np.bool_]) -> Cell:
    return Cell(
        score=cell.score[kept],
        label=cell.label[kept],
        flag=cell.flag[kept],
        weight=None if cell.weight is None else cell.weight[kept],
        cluster=None if cell.cluster is None else cell.cluster[kept],
        open=cell.open,
        columns={name: values.filter(kept) for name, values in cell.columns.items()},
    )
