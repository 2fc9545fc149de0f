"""ROC AUC and average precision as measures of a cell."""

from typing import Final

import numpy as np

from fbkit.measure.kinds import Cell, Cellwise, Found
from fbkit.measure.labels.bounds import ends
from fbkit.measure.labels.masses import METRICS, Rows
from fbkit.measure.stats import distinct, ranking
from fbkit.measure.stats.ranking import AUC, PRECISION

_ORDER: Final = "order"


def roc_auc(cell: Cell, level: float) -> Found:
    """ROC AUC with DeLong's interval and worst-case bounds: exact, with unequal weights over labels from 0 to 1."""
    order = _order(cell)
    if order is not None:
        found, (least, greatest) = distinct.auc(order), distinct.auc_bounds(order)
        if found is None:
            return Found(np.nan, bound_lower=least, bound_upper=greatest)
        value, spread = found
        result = ranking.result(value, spread, min(spread.positives, spread.negatives), None, name=AUC, level=level)
        return Found(value, result.lower, result.upper, least, greatest, result.method)
    known = ~np.isnan(cell.label)
    labelled = cell if known.all() else _only(cell, known)
    result = ranking.roc_auc(
        labelled.score, labelled.label, weights=labelled.weight, clusters=labelled.cluster, level=level
    )
    if cell.weight is None and np.isin(labelled.label, (0.0, 1.0)).all():
        least, greatest = ranking.auc_bounds(labelled.score, labelled.label, missing=cell.open)
    else:
        least, greatest = ends(METRICS["roc_auc"], _rows(cell))
    return Found(result.value, result.lower, result.upper, least, greatest, result.method)


def average_precision(cell: Cell, level: float) -> Found:
    """Average precision with the infinitesimal jackknife's interval and worst-case bounds.

    The bounds are exact where no unlabelled row shares its score with another row, and outer ones otherwise; null with
    unequal weights.
    """
    order = _order(cell)
    if order is not None:
        found, (least, greatest) = distinct.precision(order), distinct.precision_bounds(order)
        if found is None:
            return Found(np.nan, bound_lower=least, bound_upper=greatest)
        value, spread = found
        result = ranking.result(value, spread, spread.positives, None, name=PRECISION, level=level)
        return Found(value, result.lower, result.upper, least, greatest, result.method)
    known = ~np.isnan(cell.label)
    labelled = cell if known.all() else _only(cell, known)
    result = ranking.average_precision(
        labelled.score, labelled.label, weights=labelled.weight, clusters=labelled.cluster, level=level
    )
    least, greatest = ends(METRICS["average_precision"], _rows(cell))
    return Found(result.value, result.lower, result.upper, least, greatest, result.method)


def _order(cell: Cell) -> distinct.Order | None:
    """Places of the positives, where that is all there is to know."""
    if cell.weight is not None or cell.cluster is not None:
        return None
    memo = {} if cell.memo is None else cell.memo
    if _ORDER not in memo:
        memo[_ORDER] = distinct.order_of(cell.score, cell.label)
    return memo[_ORDER]


def _only(cell: Cell, known: np.ndarray) -> Cell:
    return cell._replace(
        score=cell.score[known],
        label=cell.label[known],
        weight=None if cell.weight is None else cell.weight[known],
        cluster=None if cell.cluster is None else cell.cluster[known],
    )


def _rows(cell: Cell) -> Rows:
    return Rows.of(cell.score, cell.label, cell.flag, weight=cell.weight, cluster=cell.cluster)


MEASURES: Final = (
    Cellwise(name="roc_auc", fn=roc_auc, rows="all", bounded=True, empty="one class"),
    Cellwise(name="average_precision", fn=average_precision, rows="all", bounded=True, empty="no positives"),
)
