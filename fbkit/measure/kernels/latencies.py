"""How long predictions took, part by part, and how many of them the service answered as it should."""

from functools import partial
from typing import Final

import numpy as np
import polars as pl

from fbkit.measure.kinds import ANY_TASK, Cell, Cellwise, Found, Total, W, column
from fbkit.measure.stats.quantiles import quantile_estimate

PARTS: Final = {"": "latency_ms"} | {f"{part}_": f"latency_{part}_ms" for part in ("feature", "inference", "post")}
PERCENTS: Final = (50, 90, 95, 99)
_w = pl.col(W)
STATUSES: Final = ("ok", "timeout", "fallback", "error")


def logged_quantile(cell: Cell, level: float, *, name: str, p: float) -> Found:
    """Exact quantile of a logged number over all rows; rows without one are left out."""
    values = cell.columns[name].cast(pl.Float64).to_numpy()
    known = np.isfinite(values)
    found = quantile_estimate(
        values[known],
        p=p,
        weights=None if cell.weight is None else cell.weight[known],
        clusters=None if cell.cluster is None else cell.cluster[known],
        level=level,
    )
    return found._replace(bound_lower=found.value, bound_upper=found.value)


def _quantile(part: str, name: str, percent: int) -> Cellwise:
    return Cellwise(
        name=f"latency_{part}p{percent}",
        fn=partial(logged_quantile, name=name, p=percent / 100),
        rows="all",
        uses_label=False,
        empty=f"no row has a {name}",
        tasks=ANY_TASK,
        columns=(name,),
    )


def _share(status: str) -> Total:
    said = column("status").cast(pl.String).str.strip_chars().str.to_lowercase()
    return Total(
        name=f"{status}_share",
        needs="rows",
        uses_label=False,
        numerator=_w * (said == status).cast(pl.Float64),
        denominator=pl.when(said.is_not_null()).then(_w),
        empty="no row has a status",
        tasks=ANY_TASK,
        columns=("status",),
    )


MEASURES: Final = (
    *(_quantile(part, name, percent) for part, name in PARTS.items() for percent in PERCENTS),
    *(_share(status) for status in STATUSES),
)
