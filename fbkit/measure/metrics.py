"""How good is the model, by slice and by week: every metric with interval, worst-case bounds, counts and reason."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure import ranking
from fbkit.measure.registry import Measure, Ranked, S, Total, W, Y, choose
from fbkit.measure.scope import ENTITY, IN, INSTANT, Scope, Slices, Stage, evaluation_id, open_scope
from fbkit.measure.totals import (
    CLUSTERED,
    COUNTS,
    INDEPENDENT,
    add_losses,
    count_cells,
    estimate,
    finish,
    sum_cells,
    widen,
)
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

_ORDER = "\0order"


def metrics(
    joined: JoinedLike,
    names: str | Sequence[str],
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
) -> pl.DataFrame:
    """Metrics of the labelled rows, one line per metric, slice and time cell.

    Parameters
    ----------
    joined
        Predictions with label states as of one time.
    names
        One or several of recall, precision, specificity, f1, accuracy, roc_auc, average_precision, brier,
        log_loss, base_rate, flag_rate, availability, mae, rmse, bias.
    by
        Slice columns; a null value is a slice of its own.
    every
        Time cells: "1h", "1d", "1w" (from Monday), "1mo"; None is one cell.
    period
        Half-open ``A..B`` of prediction times; None is everything.
    stage
        "final" (mature rows), "any" (every labelled row, young ones too), "provisional@30d" (rows that old, with
        what was known then).
    level
        Coverage of the intervals.
    weights
        Column of row weights (finite, not negative); intervals then rest on the effective number of rows.

    Returns
    -------
    The ``by`` columns as text, then metric, period_start, period_end, value, lower, upper, bound_lower, bound_upper, n,
    n_labelled, stage, method, reason, evaluation_id; in the order asked, then slice, then time.
    ``n`` counts the predictions at the stage (for metrics of decisions: those with a decision).
    What cannot be estimated is null beside a reason, never 0 or NaN.

    Notes
    -----
    ``lower``/``upper`` is sampling uncertainty of the labelled rows: Wilson for proportions, Student t for means,
    DeLong for roc_auc, infinitesimal jackknife for average_precision; cluster-robust where entities repeat within
    the cell. ``bound_lower``/``bound_upper`` is the range of values over every labelling of the unlabelled rows
    (pending, missing, censored; Manski 2003), stretched to hold the value itself; null for average_precision, for
    roc_auc with weights and for numeric labels.
    """
    measures = choose(names, task=joined.contract.model.task)
    check_level(level)
    scope = open_scope(joined, by=by, every=every, period=period, stage=stage, weights=weights)
    call = {
        "names": [m.name for m in measures],
        "by": scope.by,
        "every": every,
        "period": str(scope.limits),
        "stage": scope.stage.name,
    }
    identity = evaluation_id(joined, call="metrics", level=level, weights=weights, **call)
    cells = all_cells(scope, count_cells(scope.frame, scope.keys))
    totals = [measure for measure in measures if isinstance(measure, Total)]
    parts = total_frames(
        scope, cells, totals, level=level, bounded=joined.contract.model.task == "binary", weighted=weights is not None
    )
    parts |= _ranked_frames(
        scope, cells, [m for m in measures if isinstance(m, Ranked)], level=level, weighted=weights is not None
    )
    return assemble(scope, measures, parts, identity)


def check_level(level: float) -> None:
    """Refuse a coverage that is not strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ArgumentError(
            "the level of an interval must lie between 0 and 1", got=level, next_step="write 0.95 for 95 %"
        )


def all_cells(scope: Scope, cells: pl.DataFrame) -> pl.DataFrame:
    """The cells; a question without slices and grain has one even when there is no row."""
    if cells.height or scope.by or scope.every:
        return cells
    start = scope.limits.start if scope.limits else None
    empty = {results.PERIOD_START: pl.Series([start], dtype=INSTANT)}
    return pl.DataFrame(empty | {name: pl.Series([0], dtype=pl.Int64) for name in COUNTS})


def total_frames(
    scope: Scope, cells: pl.DataFrame, measures: Sequence[Total], *, level: float, bounded: bool, weighted: bool
) -> dict[str, pl.DataFrame]:
    """Estimates of all ratio measures, keyed by name."""
    frame, clustered = _with_entities(scope.frame)
    fractional = not frame.select(pl.col(Y).is_in([0.0, 1.0]).all()).item()
    losses = add_losses(frame, measures)
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        plain = measure.kind == "proportion" and not weighted and not (fractional and measure.uses_label)
        units = CLUSTERED if clustered else None if plain else INDEPENDENT
        sums = sum_cells(losses[measure.loss], scope.keys, measure, units=units, bounded=bounded)
        made[measure.name] = estimate(
            cells.join(sums, on=scope.keys, how="left", nulls_equal=True), measure, level=level, stage=scope.stage
        )
    return made


def assemble(scope: Scope, measures: Sequence[Measure], parts: dict[str, pl.DataFrame], identity: str) -> pl.DataFrame:
    """Stack the estimates in the order asked, with constant columns."""
    stacked = [
        parts[measure.name].with_columns(pl.lit(measure.name).alias(results.METRIC), pl.lit(position).alias(_ORDER))
        for position, measure in enumerate(measures)
    ]
    frame = pl.concat(stacked, how="diagonal").sort(_ORDER, *scope.keys, nulls_last=True)
    frame = scope.with_period_end(frame).with_columns(pl.lit(identity).alias(results.EVALUATION_ID))
    return frame.select(*scope.by, *results.ESTIMATE_COLUMNS)


def _with_entities(frame: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Whether entities repeat; if so, their codes, a row without entity being its own."""
    known = frame.get_column(ENTITY)
    filled = len(known) - known.null_count()
    if not filled or known.drop_nulls().n_unique() == filled:
        return frame, False
    codes = known.cast(pl.Categorical).to_physical().cast(pl.Int64)
    own = pl.Series(np.arange(-len(known), 0, dtype=np.int64))
    return frame.with_columns(codes.zip_with(codes.is_not_null(), own).alias(ENTITY)), True


def _ranked_frames(
    scope: Scope, cells: pl.DataFrame, measures: list[Ranked], *, level: float, weighted: bool
) -> dict[str, pl.DataFrame]:
    if not measures:
        return {}
    frame, clustered = _with_entities(scope.frame)
    columns = [S, Y, W, *([ENTITY] if clustered else [])]
    # Sorted once here, so that every cell's own sort finds its rows in order.
    grouped = frame.filter(IN).sort(S).group_by(scope.keys, maintain_order=True).agg(pl.col(columns))
    joined = cells.join(grouped, on=scope.keys, how="left", nulls_equal=True, maintain_order="left")
    made: dict[str, list[tuple[float, ...]]] = {measure.name: [] for measure in measures}
    methods: dict[str, list[str | None]] = {measure.name: [] for measure in measures}
    for cell in _split(joined, columns):
        for measure in measures:
            numbers, method = _rank_cell(measure.name, cell, level=level, weighted=weighted)
            made[measure.name].append(numbers)
            methods[measure.name].append(method)
    return {
        measure.name: _rank_frame(
            cells, measure, np.array(made[measure.name], dtype=np.float64), methods[measure.name], scope.stage
        )
        for measure in measures
    }


def _split(joined: pl.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    lengths = joined.get_column(S).list.len().fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    flat = {name: joined.get_column(name).drop_nulls().explode(empty_as_null=False).to_numpy() for name in columns}
    return [
        {name: values[end - size : end] for name, values in flat.items()}
        for size, end in zip(lengths, ends, strict=True)
    ]


def _rank_cell(
    name: str, cell: dict[str, Any], *, level: float, weighted: bool
) -> tuple[tuple[float, ...], str | None]:
    known = ~np.isnan(cell[Y])
    clusters = cell[ENTITY][known] if ENTITY in cell else None
    if clusters is not None and len(np.unique(clusters)) == len(clusters):
        clusters = None
    measure = ranking.roc_auc if name == "roc_auc" else ranking.average_precision
    scores, labels = cell[S][known], cell[Y][known]
    result = measure(scores, labels, weights=cell[W][known] if weighted else None, clusters=clusters, level=level)
    least, greatest = np.nan, np.nan
    if name == "roc_auc" and not weighted and np.isin(labels, (0.0, 1.0)).all():
        least, greatest = ranking.auc_bounds(scores, labels, missing=cell[S][~known])
    return (result.value, result.lower, result.upper, least, greatest), result.method


def _rank_frame(
    cells: pl.DataFrame, measure: Ranked, numbers: np.ndarray, methods: list[str | None], stage: Stage
) -> pl.DataFrame:
    value, lower, upper, least, greatest = numbers.reshape(-1, 5).T
    least, greatest = np.where(np.isnan(least), np.nan, widen(least, greatest, value))
    columns = {results.VALUE: value, results.LOWER: lower, results.UPPER: upper}
    columns |= {results.BOUND_LOWER: least, results.BOUND_UPPER: greatest}
    return finish(cells, columns, method=methods, empty=measure.empty, uses_flag=False, uses_label=True, stage=stage)
