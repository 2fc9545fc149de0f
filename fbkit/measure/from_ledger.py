"""The same metrics from a ledger: milliseconds, whatever the number of rows behind it."""

from collections.abc import Sequence

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import ledger as columns
from fbkit.ledger.ledger import Ledger
from fbkit.measure.evaluation import identify
from fbkit.measure.metrics import all_cells, assemble, check_level
from fbkit.measure.registry import E0, E1, REGISTRY, F, S, Total, W, Y, choose
from fbkit.measure.scope import IN, INSTANT, MATURE, Scope, Stage
from fbkit.measure.totals import count_cells, estimate, sum_cells
from fbkit.schema import results
from fbkit.schema.period import Period, floor_day

FROM_COUNTS = {
    name: measure for name, measure in REGISTRY.items() if isinstance(measure, Total) and measure.needs == "counts"
}
GRAINS = ("1d", "1w", "1mo")


def ledger_metrics(
    ledger: Ledger,
    names: str | Sequence[str],
    *,
    by: str | None = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str = results.STAGE_FINAL,
    threshold: float | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Metrics that need only counts (confusion rates, base rate, flag rate, availability, Brier), from a ledger.

    Parameters are those of :func:`fbkit.measure.metrics.metrics` with these limits: one slice column of the ledger,
    whole days, stage "final" or "any". ``threshold`` flags every row at that score instead of by its own decision; it
    must be one of the ledger's edges.

    Returns
    -------
    The same columns as ``metrics``. Counts are exact, Brier to 1e-9. Intervals are those of independent rows (Wilson,
    Student t): a ledger does not know which rows share an entity.
    """
    measures = [measure for measure in choose(names, allowed=FROM_COUNTS) if isinstance(measure, Total)]
    check_level(level)
    if every is not None and every not in GRAINS:
        raise ArgumentError(
            "a ledger has no such time grain",
            got=every,
            allowed=", ".join(GRAINS),
            next_step="use one of these, or measure the joined rows",
        )
    chosen = Stage.parse(stage)
    if chosen.age is not None:
        raise ArgumentError(
            "a ledger holds one as-of time, no ages",
            got=stage,
            allowed='"final" or "any"',
            next_step="measure the joined rows for provisional stages",
        )
    scope = _scope(ledger, by, every, period, chosen, threshold)
    keys = scope.keys
    cells = all_cells(scope, count_cells(scope.frame, keys, rows=pl.col(columns.ROWS)))
    parts: dict[str, pl.DataFrame] = {}
    for measure in measures:
        sums = sum_cells(scope.frame, keys, measure, units=None, bounded=True)
        if measure.kind == "mean":
            sums = sums.join(_moments(scope.frame, keys), on=keys, how="left", nulls_equal=True)
        joined = cells.join(sums, on=keys, how="left", nulls_equal=True)
        parts[measure.name] = estimate(joined, measure, level=level, stage=chosen)
    call = {"names": [measure.name for measure in measures], "by": by, "every": every, "period": str(scope.limits)}
    key = [ledger.manifest[name] for name in ("contract", "as_of", "sources")]
    identity = identify(key, call="ledger_metrics", stage=stage, threshold=threshold, level=level, **call)
    return assemble(scope, measures, parts, identity)


def _scope(
    ledger: Ledger,
    by: str | None,
    every: str | None,
    period: str | Period | None,
    stage: Stage,
    threshold: float | None,
) -> Scope:
    if by is not None and by not in ledger.slices:
        raise ArgumentError(
            "the ledger has no such slice column",
            got=by,
            allowed=", ".join(ledger.slices) or "none",
            next_step="build the ledger with this slice, or measure the joined rows",
        )
    table = ledger.frame.filter(pl.col(columns.SLICE_COLUMN) == (columns.OVERALL if by is None else by))
    days = table.get_column(columns.DAY)
    limits = _span(days)
    if period is not None:
        limits = Period.parse(period)
        if floor_day(limits.start) != limits.start or floor_day(limits.end) != limits.end:
            raise ArgumentError(
                "a ledger counts whole days",
                got=str(limits),
                allowed="a period from midnight to midnight UTC",
                next_step="round the period to days, or measure the joined rows",
            )
        table = table.filter((pl.col(columns.DAY) >= limits.start) & (pl.col(columns.DAY) < limits.end))
    start = pl.col(columns.DAY).dt.truncate(every) if every else pl.lit(limits.start if limits else None, dtype=INSTANT)
    value = [] if by is None else [pl.col(columns.SLICE_VALUE).alias(by)]
    frame = table.select(*value, start.alias(results.PERIOD_START), *_working(ledger, stage, threshold))
    return Scope(frame=frame, by=() if by is None else (by,), every=every, limits=limits, stage=stage)


def _working(ledger: Ledger, stage: Stage, threshold: float | None) -> list[pl.Expr]:
    state, n = pl.col(columns.STATE), pl.col(columns.ROWS).cast(pl.Float64)
    s1, s2, s3, s4 = (pl.col(name).cast(pl.Float64) / columns.SCALE for name in columns.MOMENTS)
    own = pl.col(columns.FLAGGED).cast(pl.Float64)
    flag = (
        own
        if threshold is None
        else (pl.col(columns.SCORE_BIN) >= ledger.edges.first_flagged(threshold)).cast(pl.Float64)
    )
    label = pl.when(state == results.POSITIVE).then(1.0).when(state == results.NEGATIVE).then(0.0)
    return [
        (pl.col(columns.MATURE) if stage.name == results.STAGE_FINAL else pl.lit(value=True)).alias(IN),
        pl.col(columns.MATURE).alias(MATURE),
        label.alias(Y),
        flag.alias(F),
        pl.lit(None, dtype=pl.Float64).alias(S),
        n.alias(W),
        pl.col(columns.ROWS),
        (n - 2 * s1 + s2).alias(E1),
        s2.alias(E0),
        (n - 4 * s1 + 6 * s2 - 4 * s3 + s4).alias("q1"),
        s4.alias("q0"),
    ]


def _moments(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Second moments of the squared error, row by row, out of the powers of the score."""
    label, n = pl.col(Y), pl.when(pl.col(Y).is_not_null()).then(pl.col(W)).sum()
    loss = (label * pl.col(E1) + (1 - label) * pl.col(E0)).sum()
    squares = (label * pl.col("q1") + (1 - label) * pl.col("q0")).sum()
    inside = frame.filter(IN).group_by(keys)
    return inside.agg(squares.alias("aa"), loss.alias("ab"), n.alias("bb"), n.alias("units"), n.alias("rows"))


def _span(days: pl.Series) -> Period | None:
    if not len(days):
        return None
    first, last = days.min(), days.dt.offset_by("1d").max()
    return Period(start=first, end=last)  # pyright: ignore[reportArgumentType]  # instants in UTC
