"""Who is shown, and who earns: shares of exposure and of revenue by class of item or seller."""

from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.errors import ArgumentError
from fbkit.join.rows import no_rows
from fbkit.measure.evaluation import stamped
from fbkit.measure.kernels.made import AMOUNT, POSITION, REQUEST, made_column
from fbkit.measure.metrics import check_level
from fbkit.measure.scope import ENTITY, IN, Slices, Stage, open_scope
from fbkit.measure.stats.intervals import Array, proportion_by_variance, ratio_variance
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

Of = Literal["exposure", "revenue"]
_MASS, _UNIT, _CLASS, _CELL = "\0mass", "\0unit", "\0class", "\0cell"
_READS: Final = {"exposure": POSITION, "revenue": AMOUNT}


def share_by_class(
    joined: JoinedLike,
    *,
    by: Slices,
    of: Of = "exposure",
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
) -> pl.DataFrame:
    """Share of all exposure (or revenue) that each class of items or sellers gets; shares of a period add up to 1.

    Exposure of a shown row is 1 / log2(1 + position), position 1 first (the discount of NDCG; Singh and Joachims 2018,
    doi:10.1145/3219819.3220088); rows without a position were not shown. Revenue is the logged ``amount`` (null = 0).

    Parameters
    ----------
    joined, every, period, stage, level
        As for :func:`fbkit.metrics`.
    by
        The columns that make a class; null is a class of its own.
    of
        "exposure" or "revenue".

    Returns
    -------
    The ``by`` columns, then metric ("exposure_share" or "revenue_share"), period_start, period_end, value, lower,
    upper, n (rows of the class), method, reason, evaluation_id. Intervals: Wilson at the effective size that the
    linearised ratio implies; what varies independently are the requests (else sessions), or the entities where those
    repeat.

    Raises
    ------
    ArgumentError
        No class column, a column that is not there, an unknown ``of``, stage or period.
    """
    check_level(level)
    columns = no_rows(joined).columns
    mass = _mass(joined, of, columns)
    request = made_column(joined, REQUEST, columns=columns)
    unit = request if isinstance(request, pl.Expr) else pl.lit(None, dtype=pl.String)
    scope = open_scope(joined, by=by, every=every, period=period, stage=stage, extra={_MASS: mass, _UNIT: unit})
    if not scope.by:
        raise ArgumentError(
            "shares need a class to be shared among",
            got=by,
            allowed=", ".join(columns),
            next_step='write for example by="seller_class"',
        )
    rows = scope.frame.filter(pl.col(IN) & pl.col(_MASS).is_not_null())
    parts = [_shares(part, scope.by, level=level) for part in rows.partition_by(results.PERIOD_START)]
    frame = pl.concat(parts) if parts else _nothing(scope.by)
    frame = scope.with_period_end(frame).with_columns(pl.lit(f"{of}_share").alias(results.METRIC))
    frame = frame.sort(*scope.by, results.PERIOD_START, nulls_last=True).select(*scope.by, *_LAST)
    call = {"by": scope.by, "of": of, "every": every, "period": str(scope.limits), "stage": scope.stage.name}
    return stamped(frame, joined, call="share_by_class", level=level, **call)


_LAST: Final = (
    results.METRIC, results.PERIOD_START, results.PERIOD_END, results.VALUE, results.LOWER, results.UPPER, results.N,
    results.METHOD, results.REASON,
)  # fmt: skip


def _mass(joined: JoinedLike, of: str, columns: list[str]) -> pl.Expr:
    if of not in _READS:
        raise ArgumentError(
            "an unknown share", got=of, allowed=", ".join(_READS), next_step='write of="exposure" or of="revenue"'
        )
    needed = "position" if of == "exposure" else "amount"
    found = made_column(joined, _READS[of], columns=columns)
    if isinstance(found, str) or (of == "exposure" and needed not in columns):
        raise ArgumentError(
            f"shares of {of} need the column {needed}",
            got=", ".join(columns),
            allowed=f"a joined table with {needed}",
            next_step=f'log it, or map it: [predictions.columns] {needed} = "..."',
        )
    if of == "revenue":
        return found.fill_null(0.0)
    return pl.when(found >= 1).then(1 / (1 + found).log(2))


def _shares(rows: pl.DataFrame, by: tuple[str, ...], *, level: float) -> pl.DataFrame:
    """Shares of one period."""
    unit, clustered = _units(rows)
    mass = rows.get_column(_MASS).to_numpy()
    whole = np.bincount(unit, weights=mass).astype(np.float64)
    classes = rows.select(by).unique(maintain_order=True).with_row_index(_CLASS)
    code = rows.select(by).join(classes, on=by, how="left", nulls_equal=True, maintain_order="left")
    number = code.get_column(_CLASS).to_numpy()
    counts = np.bincount(number, minlength=classes.height)
    numbers = np.array([_share(mass * (number == place), unit, whole, level) for place in range(classes.height)])
    value, lower, upper = numbers.reshape(-1, 3).T
    known = bool(whole.sum() > 0)
    method = ("cluster-robust (entity), " if clustered else "") + "Wilson (effective n) over requests"
    reason = None if known else "nothing to share"
    return classes.select(
        *by,
        rows.get_column(results.PERIOD_START)[0:1].alias(results.PERIOD_START).new_from_index(0, classes.height),
        pl.Series(results.VALUE, value, dtype=pl.Float64, nan_to_null=True),
        pl.Series(results.LOWER, lower, dtype=pl.Float64, nan_to_null=True),
        pl.Series(results.UPPER, upper, dtype=pl.Float64, nan_to_null=True),
        pl.Series(results.N, counts, dtype=pl.Int64),
        pl.lit(method if known else None, dtype=pl.String).alias(results.METHOD),
        pl.lit(reason, dtype=pl.String).alias(results.REASON),
    )


def _share(part: Array, unit: NDArray[np.int64], whole: Array, level: float) -> tuple[float, float, float]:
    top = np.bincount(unit, weights=part, minlength=len(whole))
    total = float(whole.sum())
    if not total > 0:
        return np.nan, np.nan, np.nan
    value, units = float(top.sum()) / total, len(whole)
    variance = ratio_variance(top.sum(), total, top @ top, top @ whole, whole @ whole, units=units)
    lower, upper = proportion_by_variance(value, variance, len(unit), units=units, level=level)
    return value, float(lower), float(upper)


def _units(rows: pl.DataFrame) -> tuple[NDArray[np.int64], bool]:
    """A number per independent unit: the entity where entities own several requests, else the request, else the row."""
    own = pl.int_range(pl.len()).cast(pl.String)
    named = rows.select(
        request=pl.coalesce("r" + pl.col(_UNIT), "x" + own), entity=pl.coalesce("e" + pl.col(ENTITY), "x" + own)
    )
    requests, entities = named["request"].n_unique(), named["entity"].n_unique()
    chosen = "entity" if entities < requests else "request"
    return named[chosen].rank("dense").cast(pl.Int64).to_numpy() - 1, chosen == "entity"


def _nothing(by: tuple[str, ...]) -> pl.DataFrame:
    kinds = {results.PERIOD_START: pl.Datetime("us", "UTC"), results.N: pl.Int64}
    kinds |= dict.fromkeys((results.VALUE, results.LOWER, results.UPPER), pl.Float64)
    kinds |= dict.fromkeys((results.METHOD, results.REASON), pl.String)
    return pl.DataFrame(schema=dict.fromkeys(by, pl.String) | kinds)
