"""Recalibration fitted on one period and judged on another: is it better, by how much, and the map to deploy."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.arguments import checked
from fbkit.measure.calibration import labelled_cells, probabilities
from fbkit.measure.evaluation import evaluation_id, stamped
from fbkit.measure.kinds import Y
from fbkit.measure.metrics import check_level
from fbkit.measure.recalibration_map import METHODS, Method, RecalibrationMap, fit_isotonic, fit_platt
from fbkit.measure.recalibration_table import METRICS, NUMBERS, lines
from fbkit.measure.reliability import bin_curve, corp_curve
from fbkit.measure.scope import IN, Slices, Stage
from fbkit.measure.stats.null_band import Rows
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

WHEN: Final = "when"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """What a recalibration does, made by :func:`recalibrate`.

    ``table`` has one line per metric (and slice) with the numbers before and after on the judge period; ``map`` is the
    map itself; ``curves`` the reliability curves of both (column ``when``).
    """

    table: pl.DataFrame
    map: RecalibrationMap
    curves: pl.DataFrame = field(repr=False)
    fit: Period
    judge: Period

    @property
    def worse(self) -> bool:
        """Whether the Brier score rises, in any slice of the table, by more than chance."""
        brier = self.table.filter(pl.col(results.METRIC) == "brier").get_column("change_lower")
        return bool((brier > 0).any())

    def to_expr(self, column: str = "score") -> pl.Expr:
        """The map as a Polars expression of a score column."""
        return self.map.to_expr(column)

    def to_sql(self, column: str = "score") -> str:
        """The map as one SQL expression of a quoted column."""
        return self.map.to_sql(column)

    def save(self, path: str | Path) -> Path:
        """Write the map as versioned JSON; :meth:`RecalibrationMap.open` reads it."""
        return self.map.save(path)


@checked
def recalibrate(
    joined: JoinedLike,
    *,
    fit: str | Period,
    judge: str | Period,
    method: Method = "isotonic",
    by: Slices = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
) -> Recalibration:
    """Fit a map from score to probability on the labelled rows of one period; judge it on another.

    Parameters
    ----------
    fit, judge
        Half-open ``A..B`` of prediction times that do not overlap.
    method
        "isotonic" (pool adjacent violators, straight lines between blocks, as scikit-learn) or "platt" (a logistic
        line in the log odds of the score).
    by
        Slice columns of the table; the map is one for all rows.
    stage, level, weights
        As for :func:`fbkit.metrics`.

    Returns
    -------
    A :class:`Recalibration`. Its ``table``: the ``by`` columns, metric (brier, mcb, dsc, ece, smooth_ece, log_loss,
    roc_auc), before, after and change (after less before) with ``_lower`` and ``_upper``; before_debiased and
    after_debiased; n, n_labelled, stage, method, reason, evaluation_id.

    Intervals are robust to clusters where entities repeat. Brier and log loss: Student's t, the change from the rows'
    own differences; ROC AUC: DeLong, paired. mcb, dsc, ece and smooth_ece are biased upward in small samples: their
    intervals (labels drawn again, the same for before and after) and their change are without that bias, so that an
    interval may lie below its raw value, and the debiased ones stand beside them.

    Raises
    ------
    ArgumentError
        Periods that overlap, nothing to fit on, labels of one class, scores that are no probabilities or rank the
        wrong way round.

    Examples
    --------
    >>> import fbkit as fb
    >>> from fbkit.measure.recalibrate import recalibrate
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> found = recalibrate(joined, fit="2026-08-31..2026-09-14", judge="2026-09-14..2026-09-28", method="platt")
    >>> found.map.method, found.table["metric"].to_list()[:2], found.worse
    ('platt', ['brier', 'mcb'], False)
    """
    check_joined(joined)
    check_level(level)
    periods = _apart(Period.parse(fit), Period.parse(judge))
    if method not in METHODS:
        raise ArgumentError(
            "an unknown recalibration", got=method, allowed=" or ".join(METHODS), next_step="write one of these"
        )
    scope = probabilities(joined, by, periods[1], stage, weights)
    call = {"fit": str(periods[0]), "judge": str(periods[1]), "method": method, "by": scope.by}
    call |= {"stage": scope.stage.name, "level": level, "weights": weights}
    made = replace(
        _fitted(joined, periods[0], method, stage, weights),
        fit_period=str(periods[0]),
        stage=scope.stage.name,
        contract=joined.contract.hash,
        evaluation_id=evaluation_id(joined, call="recalibrate", **call),
    )
    keys = list(scope.by)
    counts = scope.frame.group_by(keys or pl.lit(0).alias("\0all")).agg(
        pl.col(IN).sum().cast(pl.Int64).alias(results.N),
        (pl.col(IN) & pl.col(Y).is_not_null()).sum().cast(pl.Int64).alias(results.N_LABELLED),
    )
    parts = [
        _part(dict(zip(keys, key, strict=True)), rows, mapped(rows, made), level=level)
        for key, rows in labelled_cells(scope, weighted=weights is not None)
    ]
    table = stamped(_table(counts, parts, keys, scope.stage), joined, call="recalibrate", **call)
    curves = _curves(joined, made, periods[1], stage, level, weights)
    return Recalibration(table=table, map=made, curves=curves, fit=periods[0], judge=periods[1])


def mapped(rows: Rows, made: RecalibrationMap) -> Rows:
    """The same rows with their scores recalibrated."""
    return rows._replace(score=made.apply(rows.score))


def _apart(fit: Period, judge: Period) -> tuple[Period, Period]:
    if fit.start < judge.end and judge.start < fit.end:
        raise ArgumentError(
            "a recalibration is not judged on the rows that it was fitted on",
            got=f"fit {fit}, judge {judge}",
            allowed="two periods that do not overlap",
            next_step="fit on an earlier period, and judge on one that starts at its end or later",
        )
    return fit, judge


def _all_rows(joined: JoinedLike, period: Period, stage: str | Stage, weights: str | None) -> Rows | None:
    """The labelled rows of a period as one cell."""
    scope = probabilities(joined, None, period, stage, weights)
    return next((rows for _, rows in labelled_cells(scope, weighted=weights is not None)), None)


def _fitted(
    joined: JoinedLike, period: Period, method: Method, stage: str | Stage, weights: str | None
) -> RecalibrationMap:
    rows = _all_rows(joined, period, stage, weights)
    if rows is None or not 0 < float(rows.label.mean()) < 1:
        raise ArgumentError(
            "there is nothing to fit a recalibration on",
            got=f"{period}: {'no labelled row' if rows is None else 'labels of one class'}",
            allowed="a period with labelled rows of both classes that count at the stage",
            next_step="choose a longer or earlier fit period (a final label needs its window closed)",
        )
    if method == "isotonic":
        knots = fit_isotonic(rows.score, rows.label, weights=rows.weight)
        return RecalibrationMap(method=method, knots=knots, n_labelled=len(rows.score))
    line = fit_platt(rows.score, rows.label, weights=rows.weight)
    return RecalibrationMap(method=method, slope=line.slope, intercept=line.intercept, n_labelled=len(rows.score))


def _part(key: dict[str, object], before: Rows, after: Rows, *, level: float) -> pl.DataFrame:
    found = lines(before, after, level=level)
    rows = [
        key
        | {results.METRIC: name}
        | found[name].numbers()
        | {results.METHOD: found[name].method, results.REASON: found[name].reason}
        for name in METRICS
    ]
    schema = dict.fromkeys(key, pl.String) | {results.METRIC: pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
    return pl.DataFrame(rows, schema=schema | {results.METHOD: pl.String, results.REASON: pl.String})


def _table(counts: pl.DataFrame, parts: list[pl.DataFrame], keys: list[str], stage: Stage) -> pl.DataFrame:
    """One line per slice and metric; slices without labelled rows are null beside a reason."""
    if not counts.height and not keys:
        counts = pl.DataFrame({results.N: [0], results.N_LABELLED: [0]}, schema_overrides={results.N: pl.Int64})
    order = pl.DataFrame({results.METRIC: METRICS}).with_row_index("\0order")
    frame = counts.select(*keys, results.N, results.N_LABELLED).join(order, how="cross")
    empty = dict.fromkeys(keys, pl.String) | {results.METRIC: pl.String} | dict.fromkeys(NUMBERS, pl.Float64)
    empty |= {results.METHOD: pl.String, results.REASON: pl.String}
    made = pl.concat(parts) if parts else pl.DataFrame(schema=empty)
    frame = frame.join(made, on=[*keys, results.METRIC], how="left", nulls_equal=True)
    reason = pl.when(pl.col(results.REASON).is_not_null()).then(results.REASON)
    reason = reason.when(pl.col("before").is_not_null()).then(None).when(pl.col(results.N) == 0)
    return (
        frame.with_columns(
            pl.col(NUMBERS).fill_nan(None),
            pl.lit(stage.name).alias(results.STAGE),
            reason.then(pl.lit("window open")).otherwise(pl.lit("no labelled rows")).alias(results.REASON),
        )
        .sort(*keys, "\0order", nulls_last=True)
        .select(
            *keys,
            results.METRIC,
            *NUMBERS,
            results.N,
            results.N_LABELLED,
            results.STAGE,
            results.METHOD,
            results.REASON,
        )
    )


def _curves(
    joined: JoinedLike, made: RecalibrationMap, judge: Period, stage: str | Stage, level: float, weights: str | None
) -> pl.DataFrame:
    rows = _all_rows(joined, judge, stage, weights)
    if rows is None:
        return pl.DataFrame(schema={WHEN: pl.String})
    parts = [
        curve.select(pl.lit(when).alias(WHEN), pl.all())
        for when, cell in (("before", rows), ("after", mapped(rows, made)))
        for curve in (corp_curve(cell, level=level), bin_curve(cell, bins=10, level=level))
    ]
    return pl.concat(parts)
