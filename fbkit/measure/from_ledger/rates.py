"""Functions of confusion counts from a ledger's cells: the number itself, and the delta method by numerical slopes."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from fbkit.measure.from_ledger.cells import Cells
from fbkit.measure.from_ledger.totals import Weighing, working
from fbkit.measure.kinds import Cell, Cellwise, F, Found, W, Y
from fbkit.measure.stats.intervals import Array, effective_df, mean_by_variance, proportion_by_variance, quantile
from fbkit.measure.totals import finish, widen
from fbkit.schema import results

_STEP = 1e-4


def rate_parts(
    cells: Cells, counts: pl.DataFrame, measures: Sequence[Cellwise], *, weighing: Weighing, level: float
) -> dict[str, pl.DataFrame]:
    """Estimates of the functions of confusion counts, keyed by name; intervals only where rows count once each."""
    if not measures:
        return {}
    tables = _tables(cells, weighing)
    clustered = cells.question.ledger.manifest.repeats
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        found = [_found(measure, table, level, spread=not weighing.products and not clustered) for table in tables]
        found = found or [Found(np.nan)] * counts.height
        numbers = np.array([item[:5] for item in found], dtype=np.float64).reshape(-1, 5)
        value, lower, upper, least, greatest = numbers.T
        least, greatest = np.where(np.isnan(least), np.nan, widen(least, greatest, value))
        columns = {results.VALUE: value, results.LOWER: lower, results.UPPER: upper}
        columns |= {results.BOUND_LOWER: least, results.BOUND_UPPER: greatest}
        made[measure.name] = finish(
            counts,
            columns,
            method=[item.method for item in found],
            empty=measure.empty,
            uses_flag=measure.uses_flag,
            uses_label=measure.uses_label,
            stage=cells.question.stage,
        )
    return made


def _tables(cells: Cells, weighing: Weighing) -> list[tuple[Array, Array, Array]]:
    """Label (NaN: unknown), decision and weight of the kinds of rows of each cell."""
    inside = np.flatnonzero(cells.counts)
    lines = working(cells, weighing=weighing, kinds=inside)
    height = len(cells.number)
    label, flag, weight = (
        lines.get_column(name).to_numpy().reshape(lines.height // max(height, 1), height) for name in (Y, F, W)
    )
    made: list[tuple[Array, Array, Array]] = []
    for cell in range(height):
        there = np.flatnonzero(weight[:, cell] > 0)
        # One unlabelled row of each kind stands apart: worst cases may turn on it.
        several = there[np.isnan(label[there, cell]) & (weight[there, cell] > 1)]
        places = np.concatenate([there, several])
        held = weight[places, cell]
        held[len(there) :] = 1.0
        held[np.isin(there, several).nonzero()] -= 1.0
        made.append((label[places, cell], flag[places, cell], held))
    return made


def _found(measure: Cellwise, table: tuple[Array, Array, Array], level: float, *, spread: bool) -> Found:
    label, flag, weight = table
    if not len(weight):
        return Found(np.nan)
    own = measure.fn(_cell(label, flag, weight), level)
    if np.isnan(own.value) or not spread:
        return own._replace(lower=np.nan, upper=np.nan, method=None)
    used = np.flatnonzero(~np.isnan(label) & ~np.isnan(flag))
    rows = float(weight[used].sum())
    if rows < 2:
        return own._replace(lower=np.nan, upper=np.nan, method=None)
    slopes = np.array([_slope(measure, table, kind, level) for kind in used.tolist()])
    variance = float((weight[used] * np.square(slopes)).sum()) * rows / (rows - 1)
    signed = getattr(measure.fn, "keywords", {}).get("signed")
    if signed is None:
        lower, upper = mean_by_variance(own.value, variance, units=rows, level=level)
        return own._replace(lower=float(lower), upper=float(upper), method="delta method")
    second = weight[used] * np.square(slopes)
    df = float(effective_df(second.sum(), (second * np.square(slopes)).sum(), parts=rows, units=rows))
    if not signed:
        lower, upper = proportion_by_variance(own.value, variance, rows, units=df + 1, level=level)
        return own._replace(lower=float(lower), upper=float(upper), method="delta, Wilson (effective n)")
    if abs(own.value) > 1 - 1e-12 or not variance > 0:
        return own._replace(lower=np.nan, upper=np.nan, method=None)
    half = float(quantile(level, df=df)) * float(np.sqrt(variance)) / (1 - own.value**2)
    centre = float(np.arctanh(own.value))
    return own._replace(
        lower=float(np.tanh(centre - half)), upper=float(np.tanh(centre + half)), method="delta, Fisher's z"
    )


def _cell(label: Array, flag: Array, weight: Array) -> Cell:
    none = np.full_like(weight, np.nan)
    return Cell(score=none, label=label, flag=flag, weight=weight, cluster=None, open=none[np.isnan(label)], columns={})


def _slope(measure: Cellwise, table: tuple[Array, Array, Array], kind: int, level: float) -> float:
    """How the number moves with one row more of a kind, by central differences."""
    label, flag, weight = table
    step = max(float(weight[kind]) * _STEP, 1e-6)
    ends: list[float] = []
    for moved in (step, -step):
        other = weight.copy()
        other[kind] += moved
        ends.append(measure.fn(_cell(label, flag, other), level).value)
    return (ends[0] - ends[1]) / (2 * step)
