"""Measures of sorted rows, cell by cell: ROC AUC, average precision, calibration error and Brier's parts."""

from typing import Any

import numpy as np
import polars as pl

from fbkit.measure import ranking
from fbkit.measure.corp import PARTS, decompose, expected_error
from fbkit.measure.registry import Ordered, S, W, Y
from fbkit.measure.scope import ENTITY, IN, Scope, Stage, with_entities
from fbkit.measure.totals import finish, widen
from fbkit.schema import results

Numbers = tuple[float, float, float, float, float]


def ordered_frames(
    scope: Scope, cells: pl.DataFrame, measures: list[Ordered], *, level: float, weighted: bool
) -> dict[str, pl.DataFrame]:
    """Estimates of these measures for every cell, keyed by name."""
    if not measures:
        return {}
    frame, clustered = with_entities(scope.frame, scope.keys)
    columns = [S, Y, W, *([ENTITY] if clustered else [])]
    # Sorted once here, so that every cell's own sort finds its rows in order.
    grouped = frame.filter(IN).sort(S).group_by(scope.keys, maintain_order=True).agg(pl.col(columns))
    listed = _split(cells.join(grouped, on=scope.keys, how="left", nulls_equal=True, maintain_order="left"), columns)
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        found = [_measure(measure.name, cell, level=level, weighted=weighted) for cell in listed]
        numbers = np.array([numbers for numbers, _ in found], dtype=np.float64).reshape(-1, 5)
        made[measure.name] = _frame(cells, measure, numbers, [method for _, method in found], scope.stage)
    return made


def _split(joined: pl.DataFrame, columns: list[str]) -> list[dict[str, Any]]:
    lengths = joined.get_column(S).list.len().fill_null(0).to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    flat = {name: joined.get_column(name).drop_nulls().explode(empty_as_null=False).to_numpy() for name in columns}
    cells = [
        {name: values[end - size : end] for name, values in flat.items()}
        for size, end in zip(lengths, ends, strict=True)
    ]
    for cell in cells:
        cell["open"] = cell[S][np.isnan(cell[Y])]
        known = ~np.isnan(cell[Y])
        cell |= {name: cell[name][known] for name in columns}
        if ENTITY in cell and len(np.unique(cell[ENTITY])) == len(cell[ENTITY]):
            del cell[ENTITY]
    return cells


def _measure(name: str, cell: dict[str, Any], *, level: float, weighted: bool) -> tuple[Numbers, str | None]:
    scores, labels, weights = cell[S], cell[Y], cell[W] if weighted else None
    if name in ("roc_auc", "average_precision"):
        rank = ranking.roc_auc if name == "roc_auc" else ranking.average_precision
        result = rank(scores, labels, weights=weights, clusters=cell.get(ENTITY), level=level)
        least, greatest = np.nan, np.nan
        if name == "roc_auc" and not weighted and np.isin(labels, (0.0, 1.0)).all():
            least, greatest = ranking.auc_bounds(scores, labels, missing=cell["open"])
        return (result.value, result.lower, result.upper, least, greatest), result.method
    value = np.nan
    if len(scores) and (weights is None or weights.any()):
        parts = name in PARTS
        value = (
            decompose(scores, labels, weights=weights)[name]
            if parts
            else expected_error(scores, labels, weights=weights)
        )
    return (value, np.nan, np.nan, np.nan, np.nan), None


def _frame(
    cells: pl.DataFrame, measure: Ordered, numbers: np.ndarray, methods: list[str | None], stage: Stage
) -> pl.DataFrame:
    value, lower, upper, least, greatest = numbers.T
    least, greatest = np.where(np.isnan(least), np.nan, widen(least, greatest, value))
    columns = {results.VALUE: value, results.LOWER: lower, results.UPPER: upper}
    columns |= {results.BOUND_LOWER: least, results.BOUND_UPPER: greatest}
    return finish(cells, columns, method=methods, empty=measure.empty, uses_flag=False, uses_label=True, stage=stage)
