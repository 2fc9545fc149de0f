"""From sums over rows (or over a ledger) to estimates: value, interval, worst-case bounds, reason."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.measure.kinds import E0, E1, F, S, Total, W, Y
from fbkit.measure.scope import ENTITY, IN, MATURE, Stage
from fbkit.measure.stats.intervals import (
    Array,
    effective_units,
    mean_by_variance,
    proportion_by_variance,
    ratio_variance,
    wilson,
)
from fbkit.schema import results as names

N_ALL: Final = "\0n_all"
N_IN: Final = "\0n_in"
N_IN_MATURE: Final = "\0n_in_mature"
N_FLAG: Final = "\0n_flag"
N_LABEL: Final = "\0n_label"
N_BOTH: Final = "\0n_both"
COUNTS: Final = (N_ALL, N_IN, N_IN_MATURE, N_FLAG, N_LABEL, N_BOTH)
INDEPENDENT: Final = "rows"
CLUSTERED: Final = "entity"
SUMS: Final = ("a", "b", "la", "lb", "ha", "hb", "aa", "ab", "bb", "units", "rows")


def count_cells(frame: pl.DataFrame, keys: list[str], *, rows: pl.Expr | None = None) -> pl.DataFrame:
    """Rows per cell: all, at the stage, mature, with a decision, with a label, with both; ``rows`` per frame line."""
    inside, flag, label = pl.col(IN), pl.col(F).is_not_null(), pl.col(Y).is_not_null()
    marks = {
        N_ALL: pl.lit(value=True),
        N_IN: inside,
        N_IN_MATURE: inside & pl.col(MATURE),
        N_FLAG: inside & flag,
        N_LABEL: inside & label,
        N_BOTH: inside & flag & label,
    }
    if rows is None:
        sums = {name: pl.len() if name == N_ALL else mark.sum() for name, mark in marks.items()}
        return aggregated(frame, keys, [each.cast(pl.Int64).alias(name) for name, each in sums.items()])
    columns = [(mark.cast(pl.Int64) * rows).alias(name) for name, mark in marks.items()]
    return frame.select(*keys, *columns).group_by(keys).agg(pl.col(COUNTS).sum())


def aggregated(frame: pl.DataFrame, keys: list[str], sums: Sequence[pl.Expr]) -> pl.DataFrame:
    """Sums by key; where all rows share one key, as in a question without slices and grain, they are not grouped."""
    if one_key(frame, keys):
        return frame.lazy().select(pl.col(keys).first(), *sums).collect()
    return frame.lazy().group_by(keys).agg(*sums).collect()


def one_key(frame: pl.DataFrame, keys: list[str]) -> bool:
    """Whether the only key is a time and the same for every row; a look at text would cost as much as grouping."""
    if len(keys) != 1 or frame.is_empty() or not frame.schema[keys[0]].is_temporal():
        return False
    times = frame.get_column(keys[0])
    return times.null_count() == 0 and times.min() == times.max()


def add_losses(frame: pl.DataFrame, measures: Sequence[Total]) -> dict[str, pl.DataFrame]:
    """The frame with loss columns E1 and E0, once per kind of loss that the measures need."""
    made = {"": frame}
    score = pl.col(S)
    if any(measure.loss == "square" for measure in measures):
        made["square"] = frame.with_columns(
            (pl.col(W) * (1 - score).pow(2)).alias(E1), (pl.col(W) * score.pow(2)).alias(E0)
        )
    if any(measure.loss == "log" for measure in measures):
        # Clipped as scikit-learn does, so that a score of exactly 0 or 1 costs about 36, not infinity.
        clipped = score.clip(np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        made["log"] = frame.with_columns(
            (-pl.col(W) * clipped.log()).alias(E1), (-pl.col(W) * (1 - clipped).log()).alias(E0)
        )
    return made


def sum_cells(
    frame: pl.DataFrame, keys: list[str], measure: Total, *, units: str | None, bounded: bool
) -> pl.DataFrame:
    """Sums of one measure per cell: a, b, worst-case additions, second moments over rows or entities."""
    labelled = pl.col(Y).is_not_null()
    decided = pl.col(F).is_not_null() if measure.uses_flag else pl.lit(value=True)
    used = (labelled if measure.uses_label else pl.lit(value=True)) & decided
    columns = {"a": pl.when(used).then(measure.numerator), "b": pl.when(used).then(measure.denominator)}
    if bounded and measure.low is not None and measure.high is not None:
        free = ~labelled & decided
        pairs = {"la": measure.low[0], "lb": measure.low[1], "ha": measure.high[0], "hb": measure.high[1]}
        columns |= {name: pl.when(free).then(expression) for name, expression in pairs.items()}
    extra = [ENTITY] if units == CLUSTERED else []
    rows = frame.lazy().filter(IN).select(*keys, *extra, *(value.alias(name) for name, value in columns.items()))
    a, b, present = pl.col("a"), pl.col("b"), pl.col("b").fill_null(0) != 0
    if units == CLUSTERED:
        rows = rows.with_columns(present.cast(pl.Int64).alias("rows"))
        # An entity's number is its own in every cell, so one integer is the whole key.
        rows = rows.group_by(ENTITY).agg(pl.col(keys).first(), pl.col(*columns, "rows").sum())
    elif units == INDEPENDENT:
        rows = rows.with_columns(present.cast(pl.Int64).alias("rows"))
    totals = [pl.col(*columns).sum()]
    if units is not None:
        moments = [(a * a).sum().alias("aa"), (a * b).sum().alias("ab"), (b * b).sum().alias("bb")]
        totals += [*moments, (b != 0).sum().alias("units"), pl.col("rows").sum()]
    if one_key(frame, keys):
        # Without a row that counts there is no cell, as in a group-by.
        whole = rows.select(pl.col(keys).first(), *totals, pl.len().alias(N_ALL))
        return whole.filter(pl.col(N_ALL) > 0).drop(N_ALL).collect()
    return rows.group_by(keys).agg(*totals).collect()


class Numbers(NamedTuple):
    """Value, interval, worst-case bounds and the interval's method of each cell; NaN is not estimable."""

    value: Array
    lower: Array
    upper: Array
    least: Array
    greatest: Array
    method: list[str | None]


def estimate(cells: pl.DataFrame, measure: Total, *, level: float, stage: Stage) -> pl.DataFrame:
    """Cells (counts and sums of one measure) with the estimate columns added."""
    sums = {name: _array(cells, name) for name in SUMS if name in cells.columns}
    found = ratio_numbers(sums, measure, level=level)
    return finish(
        cells,
        {
            names.VALUE: found.value,
            names.LOWER: found.lower,
            names.UPPER: found.upper,
            names.BOUND_LOWER: found.least,
            names.BOUND_UPPER: found.greatest,
        },
        method=found.method,
        empty=measure.empty,
        uses_flag=measure.uses_flag,
        uses_label=measure.uses_label,
        stage=stage,
    )


def ratio_numbers(sums: Mapping[str, Array], measure: Total, *, level: float) -> Numbers:
    """The numbers of cells from the sums of :func:`sum_cells`; those that were not asked for are not there."""
    a, b = sums["a"], sums["b"]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(b > 0, a / b, np.nan)
    lower, upper, method = _interval(sums, measure, value, a, b, level)
    least, greatest = _bounds(sums, measure, value, a, b)
    if measure.transform is not None:
        value, lower, upper, least, greatest = (
            measure.transform(part) for part in (value, lower, upper, least, greatest)
        )
        method = [f"{name} {measure.transform_name}" if name else None for name in method]
    return Numbers(value, lower, upper, least, greatest, method)


def finish(
    cells: pl.DataFrame,
    numbers: dict[str, Array],
    *,
    method: list[str | None],
    empty: str,
    uses_flag: bool,
    uses_label: bool,
    stage: Stage,
) -> pl.DataFrame:
    """Add n, n_labelled, stage, method and reason; NaN becomes null."""
    n, labelled = (N_FLAG, N_BOTH) if uses_flag else (N_IN, N_LABEL)
    reason = pl.when(pl.col(names.VALUE).is_not_null()).then(None)
    reason = reason.when(pl.col(N_ALL) == 0).then(pl.lit("no predictions"))
    reason = reason.when(pl.col(N_IN) == 0).then(
        pl.lit("window open" if stage.age is None else "too young for this stage")
    )
    if uses_flag:
        reason = reason.when(pl.col(N_FLAG) == 0).then(pl.lit("no decision and no threshold"))
    if uses_label:
        reason = reason.when(pl.col(labelled) == 0).then(pl.lit("no labelled rows"))
    series = [pl.Series(name, values, dtype=pl.Float64, nan_to_null=True) for name, values in numbers.items()]
    return cells.with_columns(*series, pl.Series(names.METHOD, method, dtype=pl.String)).with_columns(
        pl.col(n).alias(names.N),
        pl.col(labelled).alias(names.N_LABELLED),
        stage_name(stage).alias(names.STAGE),
        pl.when(pl.col(names.LOWER).is_not_null()).then(pl.col(names.METHOD)).alias(names.METHOD),
        reason.otherwise(pl.lit(empty)).alias(names.REASON),
    )


def stage_name(stage: Stage) -> pl.Expr:
    """The stage's name; for "any", what the rows of the cell are: final, young or mixed."""
    if stage.name != names.STAGE_ANY:
        return pl.lit(stage.name)
    mature = pl.col(N_IN_MATURE)
    return (
        pl.when(mature == pl.col(N_IN))
        .then(pl.lit(names.STAGE_FINAL))
        .when(mature == 0)
        .then(pl.lit(names.STAGE_YOUNG))
        .otherwise(pl.lit(names.STAGE_MIXED))
    )


def _interval(
    sums: Mapping[str, Array], measure: Total, value: Array, a: Array, b: Array, level: float
) -> tuple[Array, Array, list[str | None]]:
    proportion = measure.kind == "proportion"
    if "units" not in sums:
        lower, upper = wilson(a, b, level=level)
        return lower, upper, ["Wilson"] * len(value)
    units, rows = sums["units"], sums["rows"]
    variance = ratio_variance(a, b, sums["aa"], sums["ab"], sums["bb"], units=units)
    clustered = units < rows
    sizes = effective_units(b, sums["bb"])
    if proportion:
        lower, upper = proportion_by_variance(value, variance, rows, units=sizes, level=level)
        plain = wilson(a, b, level=level)
        simple = ~clustered & (sums["aa"] == a) & (sums["bb"] == b)
        lower, upper = np.where(simple, plain[0], lower), np.where(simple, plain[1], upper)
        other = np.where(simple, "Wilson", "Wilson (effective n)")
    else:
        lower, upper = mean_by_variance(
            value, variance, units=sizes, level=level, low=measure.floor, high=measure.ceiling
        )
        other = np.full(len(value), "Student t")
    return lower, upper, [str(name) for name in np.where(clustered, "cluster-robust (entity)", other)]


def _bounds(sums: Mapping[str, Array], measure: Total, value: Array, a: Array, b: Array) -> tuple[Array, Array]:
    if not measure.uses_label:
        return value, value
    if "la" not in sums:
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        least = (a + sums["la"]) / (b + sums["lb"])
        greatest = (a + sums["ha"]) / (b + sums["hb"])
    return widen(np.where(np.isnan(least), greatest, least), np.where(np.isnan(greatest), least, greatest), value)


def widen(least: Array, greatest: Array, value: Array) -> tuple[Array, Array]:
    """Let the bounds hold the labelled rows' own value too (it is what they say if the rest never had an outcome)."""
    return np.fmin(least, value), np.fmax(greatest, value)


def _array(cells: pl.DataFrame, column: str) -> Array:
    values = cells.get_column(column).cast(pl.Float64)
    return (values.fill_null(0.0) if values.null_count() else values).to_numpy()
