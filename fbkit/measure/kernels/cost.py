"""How many predictions there were, and what they cost: per thousand, in all, and as a share of what came in."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.kernels.made import AMOUNT, COST
from fbkit.measure.kinds import ANY_TASK, Cell, Cellwise, Found, Total, W, column

_w, _cost = pl.col(W), column(COST)
NO_COST: Final = "no row has a cost"


def spend(cell: Cell, _level: float) -> Found:
    """All costs of a cell: a sum that was paid, not an estimate, hence without an interval."""
    costs = cell.columns[COST].cast(pl.Float64).to_numpy()
    known = np.isfinite(costs)
    if not known.any():
        return Found(np.nan)
    weight = np.ones_like(costs) if cell.weight is None else cell.weight
    total = float(costs[known] @ weight[known])
    return Found(total, bound_lower=total, bound_upper=total)


def volume(cell: Cell, _level: float) -> Found:
    """The number of predictions (or their weight): a count, not an estimate, hence without an interval."""
    total = float(len(cell.score)) if cell.weight is None else float(cell.weight.sum())
    return Found(total, bound_lower=total, bound_upper=total)


MEASURES: Final = (
    Cellwise(name="volume", fn=volume, rows="all", uses_label=False, empty="no predictions", tasks=ANY_TASK),
    Total(
        name="cost_per_1000",
        needs="rows",
        kind="mean",
        uses_label=False,
        numerator=1000 * _w * _cost,
        denominator=pl.when(_cost.is_not_null()).then(_w),
        floor=0.0,
        empty=NO_COST,
        tasks=ANY_TASK,
        columns=(COST,),
    ),
    Cellwise(name="spend", fn=spend, rows="all", uses_label=False, empty=NO_COST, tasks=ANY_TASK, columns=(COST,)),
    Total(
        name="spend_share",
        needs="rows",
        kind="mean",
        uses_label=False,
        numerator=_w * _cost,
        denominator=_w * column(AMOUNT).fill_null(0.0),
        floor=0.0,
        empty="no amount came in",
        tasks=ANY_TASK,
        columns=(COST, AMOUNT),
    ),
)
