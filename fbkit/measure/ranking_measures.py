"""ROC AUC and average precision as measures of a cell."""

from typing import Final

import numpy as np

from fbkit.measure import ranking
from fbkit.measure.kinds import Cell, Cellwise, Found


def roc_auc(cell: Cell, level: float) -> Found:
    """ROC AUC with DeLong's interval and exact worst-case bounds (not with weights or fractional labels)."""
    result = ranking.roc_auc(cell.score, cell.label, weights=cell.weight, clusters=cell.cluster, level=level)
    least, greatest = np.nan, np.nan
    if cell.weight is None and np.isin(cell.label, (0.0, 1.0)).all():
        least, greatest = ranking.auc_bounds(cell.score, cell.label, missing=cell.open)
    return Found(result.value, result.lower, result.upper, least, greatest, result.method)


def average_precision(cell: Cell, level: float) -> Found:
    """Average precision with the infinitesimal jackknife's interval; no bounds."""
    result = ranking.average_precision(cell.score, cell.label, weights=cell.weight, clusters=cell.cluster, level=level)
    return Found(result.value, result.lower, result.upper, method=result.method)


MEASURES: Final = (
    Cellwise(name="roc_auc", fn=roc_auc, bounded=True, empty="one class"),
    Cellwise(name="average_precision", fn=average_precision, empty="no positives"),
)
