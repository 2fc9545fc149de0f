"""What a metric of young rows will come to: estimates corrected for positives that are still to arrive."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.measure.arguments import checked
from fbkit.measure.calibration import BINS
from fbkit.measure.evaluation import stamped
from fbkit.measure.labels.fractional import ESTIMATORS, Fractional, Rows
from fbkit.measure.labels.latency import STRATUM, Arrivals, feed_reach, learn
from fbkit.measure.labels.visible import KNOWN, SHARE, UNSEEN, Hidden, hidden, touched, with_shares, working_columns
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import F, S, Y
from fbkit.measure.scope import ENTITY, IN, Scope, Slices, Stage, open_scope, with_entities
from fbkit.measure.stats.corp import bin_of
from fbkit.measure.stats.intervals import Array, logit_interval, mean_by_variance, proportion_by_variance, wilson
from fbkit.schema import results
from fbkit.schema.durations import format_duration, parse_duration
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

NAIVE: Final = "naive_negative"
LABELLED_ONLY: Final = "naive_labelled"
ARRIVED: Final = "arrived"
COLUMNS: Final = (
    results.METRIC, results.PERIOD_START, results.PERIOD_END, results.VALUE, results.LOWER, results.UPPER, NAIVE,
    LABELLED_ONLY, ARRIVED, results.N, results.N_LABELLED, results.STAGE, results.METHOD, results.REASON,
    results.EVALUATION_ID,
)  # fmt: skip
DEFAULT: Final = ("precision", "recall", "average_precision", "brier", "ece")
_PROBABILITY: Final = ("brier", "log_loss", "mcb", "ece")
_MOST_UNSEEN: Final = 0.05
_BIN: Final = "\0bin"
_NUMBERS: Final = (results.VALUE, results.LOWER, results.UPPER, NAIVE, LABELLED_ONLY, ARRIVED)


@checked
def provisional(
    joined: JoinedLike,
    metrics: str | Sequence[str] = DEFAULT,
    *,
    stage: str | timedelta | None = None,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Metrics of rows that are not final yet, where only positives are ever reported and some are still to come.

    Parameters
    ----------
    metrics
        Some of precision, recall, base_rate, average_precision, roc_auc, brier, log_loss, mcb, ece.
    stage
        Age of the look, such as "30d" or "provisional@30d"; None: every stage of the contract. Rows count that are at
        least that old, with what was known at that age.
    by, every, period, level
        As in :func:`fbkit.measure.metrics.metrics`.

    Returns
    -------
    The ``by`` columns as text, then metric, period_start, period_end, value, lower, upper (corrected for delay),
    naive_negative (silence taken for a negative at that age), naive_labelled (only rows with a label), arrived (share
    of the positives that is known at that age), n, n_labelled (positives known at that age), stage, method, reason,
    evaluation_id. Null beside a reason where nothing can be said.

    Raises
    ------
    ArgumentError
        Silence means missing here; an unknown metric, stage, column or grain.

    Notes
    -----
    A positive known at age a stands for 1 / F(a) positives. F is learnt from settled rows, by decision, and by score
    and slice where arrival differs along them (Lawless 1994, Canadian Journal of Statistics 22; the inverse weights are
    those of Begg and Greenes 1983, doi:10.2307/2530820). Days on which the feed fell short are taken out of F. Rows of
    the cell itself never teach their own F while others are enough. The interval holds the uncertainty of F and its
    movement from week to week. Mcb and ece have none and are biased upward in small cells. It is right if the pace of
    arrival has not changed.
    """
    check_joined(joined)
    check_level(level)
    names = _names(metrics)
    _check_applies(joined)
    parts: list[pl.DataFrame] = []
    runs = hidden(joined)
    for age in _ages(joined, stage):
        chosen = Stage(name=f"provisional@{format_duration(age)}", age=age)
        scope = _scope(joined, chosen, runs, by=by, every=every, period=period)
        arrivals = learn(joined, age=age, by=scope.by, apart=touched(joined, runs))
        call = {"names": names, "by": scope.by, "every": every, "period": str(scope.limits), "stage": chosen.name}
        made = _one_stage(joined, with_shares(scope, arrivals, runs), scope, arrivals, names, level=level)
        made = stamped(made, joined, call="provisional", level=level, **call)
        parts.append(made.select(*scope.by, *COLUMNS))
    return pl.concat(parts)


@checked
def provisional_calibration(
    joined: JoinedLike,
    *,
    stage: str | timedelta | None = None,
    by: Slices = None,
    period: str | Period | None = None,
    bins: int = BINS,
    level: float = 0.95,
) -> pl.DataFrame:
    """Observed frequency by score before the labels are final, corrected as :func:`provisional` corrects.

    Parameters
    ----------
    stage, by, period, level
        As in :func:`provisional`.
    bins
        Equal-width bins of 0..1.

    Returns
    -------
    The ``by`` columns as text, then score_lower, score_upper, score_mean, observed, lower, upper, naive_negative, n,
    n_labelled (positives known at that age), stage, method, reason, evaluation_id; bins without rows have no line.

    Raises
    ------
    ArgumentError
        As :func:`provisional`; scores that are no probabilities, or no bin.
    """
    check_joined(joined)
    check_level(level)
    _check_applies(joined)
    if joined.contract.predictions.score_kind != "probability" or bins < 1:
        raise ArgumentError(
            "a reliability curve needs scores that are probabilities, and at least one bin",
            got=f"score_kind {joined.contract.predictions.score_kind}, bins {bins}",
            allowed="score_kind probability, 1 bin or more",
            next_step='give bins=10, and set score_kind = "probability" if the scores are probabilities',
        )
    parts: list[pl.DataFrame] = []
    runs = hidden(joined)
    for age in _ages(joined, stage):
        chosen = Stage(name=f"provisional@{format_duration(age)}", age=age)
        scope = _scope(joined, chosen, runs, by=by, every=None, period=period)
        binned = pl.Series(_BIN, bin_of(scope.frame[S].to_numpy(), bins))
        arrivals = learn(joined, age=age, by=scope.by, apart=touched(joined, runs))
        frame = with_shares(scope, arrivals, runs).with_columns(binned).filter(IN)
        frame, _ = with_entities(frame, [*scope.by, _BIN])
        curve = _curve(joined, frame, scope, arrivals, bins=bins, level=level)
        call = {"by": scope.by, "period": str(scope.limits), "stage": chosen.name, "bins": bins, "level": level}
        parts.append(stamped(curve, joined, call="provisional_calibration", **call))
    return pl.concat(parts)


def _curve(
    joined: JoinedLike, frame: pl.DataFrame, scope: Scope, arrivals: Arrivals | None, *, bins: int, level: float
) -> pl.DataFrame:
    keys = [*scope.by, _BIN]
    lines: list[dict[str, Any]] = []
    for arrays, key in _cells(frame, keys):
        line = _cell(arrays, arrivals, ["base_rate"], joined, level=level)[0]
        line["score_mean"] = float(arrays[S].mean())
        lines.append(line | key)
    schema = {name: frame.schema[name] for name in keys} | dict.fromkeys((*_NUMBERS, "score_mean"), pl.Float64)
    schema |= dict.fromkeys((results.N, results.N_LABELLED), pl.Int64)
    schema |= dict.fromkeys((results.METHOD, results.REASON), pl.String)
    made = pl.DataFrame([{name: line[name] for name in schema} for line in lines], schema=schema)
    return made.select(
        *scope.by,
        (pl.col(_BIN) / bins).alias("score_lower"),
        ((pl.col(_BIN) + 1) / bins).alias("score_upper"),
        "score_mean",
        pl.col(results.VALUE).alias("observed"),
        *(results.LOWER, results.UPPER, NAIVE, results.N, results.N_LABELLED),
        pl.lit(scope.stage.name).alias(results.STAGE),
        *(results.METHOD, results.REASON),
    )


def _check_applies(joined: JoinedLike) -> None:
    contract = joined.contract
    if contract.model.task != "binary" or contract.label.silence != "negative":
        raise ArgumentError(
            "the correction for delay is for binary loops in which only positives are ever reported",
            got=f"task {contract.model.task}, label.silence = {contract.label.silence!r}",
            allowed='task = "binary" and label.silence = "negative"',
            next_step='metrics(joined, ..., stage="provisional@30d") gives the labelled rows\' own value',
        )


def _names(metrics: str | Sequence[str]) -> list[str]:
    asked = [metrics] if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    for name in asked:
        if name not in ESTIMATORS:
            close = nearest(str(name), list(ESTIMATORS))
            raise ArgumentError(
                "this metric has no provisional estimate",
                got=name,
                allowed=", ".join(ESTIMATORS),
                next_step=f"did you mean {close!r}?" if close else None,
            )
    return asked


def _ages(joined: JoinedLike, stage: str | timedelta | None) -> list[timedelta]:
    label = joined.contract.label
    if stage is None:
        if label.stages:
            return list(label.stages)
        raise ArgumentError(
            "no stage was asked for and the contract names none",
            got="label.stages = []",
            allowed='stage="30d", or stages in the contract',
            next_step='say stage="30d", or name stages under [label] in the contract',
        )
    age = stage if isinstance(stage, timedelta) else parse_duration(str(stage).removeprefix("provisional@"))
    if age <= timedelta(0):
        raise ArgumentError(
            "a provisional stage must be longer than zero",
            got=stage,
            next_step='write "30d"',
            allowed="a duration longer than zero",
        )
    return [age]


def _scope(
    joined: JoinedLike, stage: Stage, runs: list[Hidden], *, by: Slices, every: str | None, period: str | Period | None
) -> Scope:
    """Rows that were not blocked and whose first days, up to the stage's age, the feed has reached."""
    age = stage.age or timedelta(0)
    reached = pl.col("ts_pred") <= feed_reach(joined) - age
    extra = working_columns(joined, runs, age=age) | {"\0blocked": pl.col("blocked"), "\0reached": reached}
    scope = open_scope(joined, by=by, every=every, period=period, stage=stage, extra=extra)
    counts = pl.col(IN) & pl.col("\0reached") & ~pl.col("\0blocked")
    return Scope(
        frame=scope.frame.with_columns(counts.alias(IN)), by=scope.by, every=every, limits=scope.limits, stage=stage
    )


def _one_stage(
    joined: JoinedLike,
    frame: pl.DataFrame,
    scope: Scope,
    arrivals: Arrivals | None,
    names: list[str],
    *,
    level: float,
) -> pl.DataFrame:
    frame, _ = with_entities(frame, scope.keys)
    lines: list[dict[str, Any]] = []
    for arrays, key in _cells(frame, scope.keys):
        lines += [key | line for line in _cell(arrays, arrivals, names, joined, level=level)]
    schema = {name: frame.schema[name] for name in scope.keys}
    schema |= {results.METRIC: pl.String} | dict.fromkeys(_NUMBERS, pl.Float64)
    schema |= dict.fromkeys((results.N, results.N_LABELLED), pl.Int64)
    schema |= dict.fromkeys((results.METHOD, results.REASON), pl.String)
    made = scope.with_period_end(pl.DataFrame(lines, schema=schema))
    order = pl.col(results.METRIC).replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
    return made.with_columns(pl.lit(scope.stage.name).alias(results.STAGE)).sort(
        order, *scope.keys, nulls_last=True, maintain_order=True
    )


def _cells(frame: pl.DataFrame, keys: list[str]) -> Iterator[tuple[dict[str, Array], dict[str, Any]]]:
    """The counting rows of each cell as arrays, with the cell's key; a cell without such rows comes too, empty."""
    columns = [S, F, Y, KNOWN, SHARE, STRATUM, UNSEEN]
    # An entity without an id is none; where none repeats there is nothing to gather.
    columns += [ENTITY] if frame.schema[ENTITY].is_integer() else []
    cells = frame.group_by(keys).agg(pl.col(columns).filter(IN)).sort(keys, nulls_last=True)
    for cell in cells.iter_rows(named=True):
        arrays = {name: np.asarray(cell[name], dtype=np.float64) for name in columns}
        yield arrays, {name: cell[name] for name in keys}


def _cell(
    arrays: dict[str, Array], arrivals: Arrivals | None, names: list[str], joined: JoinedLike, *, level: float
) -> list[dict[str, Any]]:
    """All metrics of one cell."""
    known = arrays[KNOWN] > 0
    counts = {results.N: len(known), results.N_LABELLED: int(known.sum())}
    reason = _reason(arrays, arrivals)
    label = np.where(known, 1.0, 0.0) / np.where(reason is None, arrays[SHARE], 1.0) if len(known) else arrays[SHARE]
    arrived = float(known.sum() / label.sum()) if reason is None and known.any() else None
    lines: list[dict[str, Any]] = []
    for name in names:
        numbers: dict[str, Any] = dict.fromkeys(_NUMBERS)
        why = reason
        if why is None and name in _PROBABILITY and joined.contract.predictions.score_kind != "probability":
            why = "scores are not probabilities"
        if why is None:
            found = ESTIMATORS[name](Rows(arrays[S], arrays[F], label))
            why = None if found is not None else _EMPTY.get(name, "no positives")
            numbers |= {} if found is None else _numbers(name, found, arrays, label, arrivals, level=level)
            numbers[ARRIVED] = arrived
        numbers |= {} if why is not None else _naive(name, arrays, known)
        method = numbers.pop("method", None)
        lines.append({results.METRIC: name} | numbers | counts | {results.METHOD: method, results.REASON: why})
    return lines


_EMPTY: Final = {"precision": "no labelled row is flagged", "base_rate": "no predictions", "brier": "no predictions"}


def _reason(arrays: dict[str, Array], arrivals: Arrivals | None) -> str | None:
    if not len(arrays[S]):
        return "too young for this stage"
    if arrivals is None:
        return "too few positives in closed windows to learn their pace from"
    if float(np.mean(arrays[UNSEEN])) > _MOST_UNSEEN:
        return "the outcome feed is incomplete for these rows"
    return None


def _naive(name: str, arrays: dict[str, Array], known: np.ndarray) -> dict[str, float | None]:
    """The two numbers that a dashboard would show: silence as negative, and rows with a label only."""
    estimate = ESTIMATORS[name]
    early = estimate(Rows(arrays[S], arrays[F], known.astype(np.float64)))
    told = ~np.isnan(arrays[Y])
    only = estimate(Rows(arrays[S][told], arrays[F][told], arrays[Y][told])) if told.any() else None
    return {NAIVE: None if early is None else early.value, LABELLED_ONLY: None if only is None else only.value}


def _numbers(
    name: str, found: Fractional, arrays: dict[str, Array], label: Array, arrivals: Arrivals | None, *, level: float
) -> dict[str, Any]:
    value = found.value
    if name not in ("brier", "log_loss", "mcb"):
        value = min(max(value, 0.0), 1.0)
    if not len(found.influence) or arrivals is None:
        return {results.VALUE: value, "method": None}
    units = found.influence
    if ENTITY in arrays:
        units = np.bincount(np.unique(arrays[ENTITY], return_inverse=True)[1], weights=found.influence)
    variance = float(np.sum(units * units)) + _pace_variance(found, arrays, label, arrivals)
    lower, upper, shape = _interval(name, value, variance, known=float((label > 0).sum()), arrays=arrays, level=level)
    method = f"corrected for delay by {arrivals.words}; {shape}"
    if not np.isfinite(lower):
        return {results.VALUE: value, "method": None}
    return {results.VALUE: value, results.LOWER: lower, results.UPPER: upper, "method": method}


def _pace_variance(found: Fractional, arrays: dict[str, Array], label: Array, arrivals: Arrivals) -> float:
    """What is not known of F: counting error in each stratum, and movement of the pace that all strata share."""
    table = arrivals.table
    moved = np.bincount(arrays[STRATUM].astype(np.int64), weights=label * found.slope, minlength=table.height)
    share = (table["\0arrived"] / table["\0total"]).to_numpy()
    counted = (1 - share) / np.maximum(share * table["\0total"].to_numpy(), 0.5)
    return float(np.sum(moved**2 * counted)) + float(moved.sum()) ** 2 * arrivals.extra


def _interval(
    name: str, value: float, variance: float, *, known: float, arrays: dict[str, Array], level: float
) -> tuple[float, float, str]:
    if name in ("precision", "recall", "base_rate"):
        flagged = np.nansum(arrays[F])
        size = {"precision": flagged, "recall": known, "base_rate": float(len(arrays[S]))}[name]
        if value <= 0 or value >= 1 or variance <= 0:
            low, high = wilson(value * size, size, level=level)
            return float(low), float(high), "Wilson"
        low, high = proportion_by_variance(value, variance, np.inf, units=max(size, 2.0), level=level)
        return float(low), float(high), "Wilson (effective n)"
    if name in ("average_precision", "roc_auc"):
        low, high = logit_interval(value, variance, level=level)
        return float(low), float(high), "influence, logit"
    low, high = mean_by_variance(value, variance, units=max(known, 2.0), level=level, low=0.0)
    return float(low), float(high), "Student t"
