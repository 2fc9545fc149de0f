"""How good is the model, by slice and by week: every metric with interval, worst-case bounds, counts and reason."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import no_rows
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.cellwise import cellwise_frames
from fbkit.measure.evaluation import evaluation_id, note
from fbkit.measure.kernels.made import made_column
from fbkit.measure.kinds import Cellwise, Measure, Total, working_name
from fbkit.measure.only_ledger import not_of_ledgers, not_of_rows
from fbkit.measure.ratios import counted_cells, total_frames
from fbkit.measure.registry import Asked, choose, listed
from fbkit.measure.scope import INSTANT, Scope, Slices, Stage, open_scope
from fbkit.measure.slicing.slice_bins import Edges
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.resample import DAY, day_of, parse_interval, resampled
from fbkit.measure.totals import COUNTS, finish
from fbkit.measure.user import Metric
from fbkit.schema import results
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

_ORDER = "\0order"
POSITIVES_ONLY: Final = "at this age only positives are known: provisional() corrects for those to come"


@checked
def metrics(
    joined: JoinedLike | Ledger,
    names: Asked | Sequence[Asked],
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
    where: pl.Expr | None = None,
    bins: Edges | None = None,
    interval: str | None = None,
    threshold: float | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Metrics of the labelled rows, one line per metric, slice and time cell.

    Parameters
    ----------
    joined
        Predictions with label states as of one time, or a :class:`fbkit.Ledger` of them: then what it counted can be
        asked for, in milliseconds, and ``docs/ledger.md`` says how exact the numbers are.
    names
        One or several names (``docs/metrics.md`` lists them: recall, precision, roc_auc, brier, ndcg@10, ...), or
        :class:`fbkit.Metric` of your own.
    by
        Slice columns; a null value is a slice of its own. A column of fractions, or of more than 20 different whole
        numbers that the contract does not name as slices, is cut at the quintiles of the rows before ``period`` (of
        all rows, without one).
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
    where
        A condition on the joined table's columns; only these rows are counted at all.
    bins
        Inner edges for slice columns of numbers instead: ``{"amount": [10, 50]}`` is below 10, 10 to 50, 50 or more.
    interval
        None takes each measure's own. "block_bootstrap" draws blocks of neighbouring days again, where days are alike
        and not only rows or entities; "block_bootstrap@7d" sets their length. Fewer than three blocks: no interval.
    threshold, as_of
        Of a ledger only: flag every row at this score; an earlier midnight.

    Returns
    -------
    The ``by`` columns as text, then metric, period_start, period_end, value, lower, upper, bound_lower, bound_upper, n,
    n_labelled, stage, method, reason, evaluation_id; in the order asked, then slice, then time.
    ``n`` counts the predictions at the stage (for metrics of decisions: those with a decision).
    What cannot be estimated is null beside a reason, never 0 or NaN. Beside a value a reason says that a part of the
    logs is missing (``open_loop(..., skip_unreadable=True)``).

    Raises
    ------
    ArgumentError
        An unknown metric, column, stage or time cell, weights that are null or negative, a level outside (0, 1).

    Notes
    -----
    ``lower``/``upper`` is sampling uncertainty of the labelled rows: Wilson for proportions, Student t for means,
    DeLong for roc_auc, infinitesimal jackknife for average_precision; cluster-robust where entities repeat within
    the cell (``docs/intervals.md``). ``bound_lower``/``bound_upper`` is the range of values over every labelling of the
    unlabelled rows (pending, missing, censored; Manski 2003), stretched to hold the value itself; null for the
    calibration parts (which have no interval either) and for numeric labels.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.metrics import ledger_metrics

        not_of_ledgers(where=where, bins=bins, interval=interval)
        how: dict[str, Any] = {"every": every, "period": period, "stage": stage, "level": level, "weights": weights}
        return ledger_metrics(joined, names, by=by, threshold=threshold, as_of=as_of, **how)
    not_of_rows(threshold=threshold, as_of=as_of)
    check_joined(joined)
    measures = choose(names, task=joined.contract.model.task, contract=joined.contract)
    check_level(level)
    block = parse_interval(interval)
    columns = no_rows(joined)
    asked = {name for measure in measures for name in measure.columns}
    made = {name: made_column(joined, name, columns=columns.columns) for name in sorted(asked)}
    absent = {measure.name: _absent(measure, made, columns) for measure in measures}
    there = [measure for measure in measures if absent[measure.name] is None]
    extra = {working_name(name): found for name, found in made.items() if isinstance(found, pl.Expr)}
    extra |= {name: expression for measure in there for name, expression in measure.expressions.items()}
    if block is not None:
        extra[DAY] = day_of()
    scope = open_scope(
        joined, by=by, every=every, period=period, stage=stage, weights=weights, at_stage=extra, where=where, bins=bins
    )
    call: dict[str, Any] = {
        "names": [m.name for m in measures],
        "by": scope.by,
        "every": every,
        "period": str(scope.limits),
        "stage": scope.stage.name,
        "level": level,
        "weights": weights,
    }
    if where is not None:
        call["where"] = str(where)
    if bins:
        call["bins"] = {name: list(edges) for name, edges in bins.items()}
    if interval is not None:
        call["interval"] = interval
    own = [item.identity for item in listed(names) if isinstance(item, Metric)]
    if own:
        call["own"] = own
    identity = evaluation_id(joined, call="metrics", **call)
    cells = all_cells(scope, counted_cells(scope))
    parts = _estimates(joined, scope, cells, there, level=level, weighted=weights is not None)
    if block is not None:
        parts = resampled(scope, cells, there, parts, block=block, level=level, weighted=weights is not None)
    parts |= {name: nothing(cells, scope, reason) for name, reason in absent.items() if reason is not None}
    frame = assemble(scope, measures, parts, identity)
    frame = mark_incomplete(frame, joined, everything=period is None and every is None)
    note(joined, frame, identity=identity, call="metrics", arguments=call)
    return frame


def _estimates(
    joined: JoinedLike, scope: Scope, cells: pl.DataFrame, measures: Sequence[Measure], *, level: float, weighted: bool
) -> dict[str, pl.DataFrame]:
    """The measures' estimates, without those that the scores or the stage do not allow."""
    totals = [measure for measure in measures if isinstance(measure, Total)]
    bounded = joined.contract.model.task == "binary"
    parts = total_frames(scope, cells, totals, level=level, bounded=bounded, weighted=weighted)
    cellwise = [measure for measure in measures if isinstance(measure, Cellwise)]
    parts |= cellwise_frames(scope, cells, cellwise, level=level, weighted=weighted)
    if joined.contract.predictions.score_kind != "probability":
        parts |= {m.name: not_probabilities(parts[m.name]) for m in measures if m.probability}
    if scope.stage.positives_only(joined):
        parts |= {m.name: without_numbers(parts[m.name], POSITIVES_ONLY) for m in measures if m.uses_label}
    return parts


def _absent(measure: Measure, made: Mapping[str, pl.Expr | str], columns: pl.DataFrame) -> str | None:
    """Why the joined table cannot serve a measure."""
    if measure.unavailable is not None:
        return measure.unavailable
    reason = next((found for found in map(made.get, measure.columns) if isinstance(found, str)), None)
    read = (name for item in measure.expressions.values() for name in item.meta.root_names())
    missing = next((name for name in read if name not in columns.columns), None)
    return reason if missing is None else f"no column {missing}"


def nothing(cells: pl.DataFrame, scope: Scope, reason: str) -> pl.DataFrame:
    """Cells of a measure that cannot be computed at all."""
    none = pl.Series([None] * cells.height, dtype=pl.Float64).to_numpy()
    numbers: dict[str, Array] = {}
    for name in (results.VALUE, results.LOWER, results.UPPER, results.BOUND_LOWER, results.BOUND_UPPER):
        numbers[name] = none
    made = finish(
        cells, numbers, method=[None] * cells.height, empty=reason, uses_flag=False, uses_label=False, stage=scope.stage
    )
    return without_numbers(made, reason)


def not_probabilities(part: pl.DataFrame) -> pl.DataFrame:
    """The same cells without numbers: a margin has no Brier score and no calibration."""
    return without_numbers(part, "scores are not probabilities")


def without_numbers(part: pl.DataFrame, reason: str) -> pl.DataFrame:
    """The same cells without numbers, and why."""
    numbers = (results.VALUE, results.LOWER, results.UPPER, results.BOUND_LOWER, results.BOUND_UPPER)
    return part.with_columns(
        *(pl.lit(None, dtype=pl.Float64).alias(name) for name in numbers),
        pl.lit(None, dtype=pl.String).alias(results.METHOD),
        pl.lit(reason).alias(results.REASON),
    )


def check_level(level: float) -> None:
    """Refuse a coverage that is not strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ArgumentError(
            "the level of an interval must lie between 0 and 1",
            got=level,
            next_step="write 0.95 for 95 %",
            allowed="a number between 0 and 1",
        )


def all_cells(scope: Scope, cells: pl.DataFrame) -> pl.DataFrame:
    """The cells; a question without slices and grain has one even when there is no row."""
    if cells.height or scope.by or scope.every:
        return cells
    start = scope.limits.start if scope.limits else None
    empty = {results.PERIOD_START: pl.Series([start], dtype=INSTANT)}
    return pl.DataFrame(empty | {name: pl.Series([0], dtype=pl.Int64) for name in COUNTS})


def assemble(scope: Scope, measures: Sequence[Measure], parts: dict[str, pl.DataFrame], identity: str) -> pl.DataFrame:
    """Stack the estimates in the order asked, with constant columns."""
    stacked = [
        parts[measure.name].with_columns(pl.lit(measure.name).alias(results.METRIC), pl.lit(position).alias(_ORDER))
        for position, measure in enumerate(measures)
    ]
    frame = pl.concat(stacked, how="diagonal").sort(_ORDER, *scope.keys, nulls_last=True)
    frame = scope.with_period_end(frame).with_columns(pl.lit(identity).alias(results.EVALUATION_ID))
    return frame.select(*scope.by, *results.ESTIMATE_COLUMNS)
