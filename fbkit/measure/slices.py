"""How far apart the slices of a column are: largest difference and ratio, between them and to the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kinds import Measure, Total
from fbkit.measure.metrics import check_level, metrics
from fbkit.measure.registry import Asked, choose, listed
from fbkit.measure.scope import Stage
from fbkit.measure.slicing.slice_bins import Edges
from fbkit.measure.slicing.slice_frame import silent, slice_text
from fbkit.measure.slicing.slice_gaps import (
    GAPS,
    Groups,
    attained,
    effective_size,
    gaps,
    judge,
    limits,
    simultaneous_level,
)
from fbkit.measure.stats.intervals import Array, holm, quantile
from fbkit.measure.user import Metric
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

GAP_COLUMNS: Final = (
    results.METRIC, "by", "gap", results.VALUE, results.LOWER, results.UPPER, "debiased", "null_limit", "p_value",
    "p_adjusted", "low_slice", "high_slice", "groups", "thin", results.PERIOD_START, results.PERIOD_END, results.N,
    results.N_LABELLED, results.STAGE, results.METHOD, results.REASON,
)  # fmt: skip
WHOLE: Final = "(overall)"
_METHOD: Final = (
    "Tukey-Kramer over all pairs, MOVER; null band simulated under equal groups; debiased by empirical Bayes"
)
_COPIED: Final = (results.PERIOD_START, results.PERIOD_END, results.N, results.N_LABELLED, results.STAGE)

By = str | Sequence[str | Sequence[str]]


@checked
def slice_gaps(
    joined: JoinedLike,
    names: Asked | Sequence[Asked],
    *,
    by: By,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    weights: str | None = None,
    bins: Edges | None = None,
    minimum: int | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> pl.DataFrame:
    """The largest gaps of each metric between the slices of a column, and between a slice and the whole.

    Parameters
    ----------
    names
        Metrics, as in :func:`fbkit.metrics`.
    by
        Slice columns, each looked at alone; a list within the list is an intersection: ``["sex", ["sex", "age"]]``.
        A null value is a slice of its own; columns of numbers are cut as in :func:`fbkit.metrics`.
    minimum
        Slices with fewer (effective) rows in the metric's own denominator are named in ``thin`` and left out; by
        default the contract's ``slices.minimum``.
    level
        Coverage of the intervals, of all pairs of slices together.
    draws, seed
        Size and seed of the simulation behind ``debiased``, ``null_limit`` and ``p_value``.

    Returns
    -------
    Four lines per metric and column: metric, by, gap (difference, ratio, difference_to_overall, ratio_to_overall),
    value, lower, upper, debiased, null_limit (slices that do not differ stay within it, at the level), p_value,
    p_adjusted (Holm over all lines), low_slice, high_slice (where it is attained), groups, thin, period_start,
    period_end, n, n_labelled (of the whole), stage, method, reason, evaluation_id. A ratio is the smaller value over
    the larger one.

    Raises
    ------
    ArgumentError
        An unknown metric or column, no column, a level outside (0, 1), no draws.

    Notes
    -----
    Differences and ratios are those of Fairlearn's ``MetricFrame`` (``between_groups`` and ``to_overall``). The largest
    gap of noisy values is too large on average, the more so with many small slices: read ``value`` beside
    ``null_limit``, and ``debiased`` as the estimate. Intervals take every pair together (Tukey and Kramer, doi:
    10.1214/aos/1176346392, distances to the limits added as squares).
    """
    check_joined(joined)
    check_level(level)
    columns = _columns(by)
    if draws < 1 or (minimum is not None and minimum < 1):
        raise ArgumentError(
            "draws and minimum count from 1",
            got=f"draws={draws}, minimum={minimum}",
            allowed="1 or more",
            next_step="leave them out for the usual values",
        )
    least = joined.contract.slices.minimum if minimum is None else minimum
    measures = choose(names, task=joined.contract.model.task, contract=joined.contract)
    how: dict[str, Any] = {"period": period, "stage": stage, "weights": weights}
    looked = _Looked(joined=silent(joined), names=listed(names), how=how, bins=bins or {}, level=level)
    whole = looked.whole()
    lines: list[dict[str, Any]] = []
    for measure in measures:
        for group in columns:
            found = _seen(looked, measure, group, whole[measure.name], least=least)
            lines += _lines(looked, found, draws=draws, seed=seed)
    frame = pl.DataFrame(lines, schema=_schema()).with_columns(pl.col(pl.Float64).fill_nan(None))
    adjusted = holm(frame.get_column("p_value").cast(pl.Float64).to_numpy())
    frame = frame.with_columns(pl.Series("p_adjusted", adjusted, nan_to_null=True)).select(GAP_COLUMNS)
    asked = [item.identity if isinstance(item, Metric) else item for item in listed(names)]
    call = {"names": asked, "by": columns, "bins": bins, "minimum": least, "level": level, "draws": draws}
    call |= {"period": None if period is None else str(period), "stage": Stage.parse(stage).name, "weights": weights}
    return stamped(frame, joined, call="slice_gaps", seed=seed, **call)


def _columns(by: By) -> list[tuple[str, ...]]:
    found = [(by,)] if isinstance(by, str) else [(item,) if isinstance(item, str) else tuple(item) for item in by]
    if not found or not all(found):
        raise ArgumentError(
            "no slice column was asked for", got=by, allowed="one or several columns", next_step='give by="region"'
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """The question that all parts share."""

    joined: JoinedLike
    names: list[Asked]
    how: dict[str, Any]
    bins: Edges
    level: float

    def whole(self) -> dict[str, dict[str, Any]]:
        frame = metrics(self.joined, self.names, level=self.level, **self.how)
        return {row[results.METRIC]: row for row in frame.iter_rows(named=True)}

    def by(self, measure: Measure, columns: Sequence[str], *, level: float) -> pl.DataFrame:
        bins = {name: edges for name, edges in self.bins.items() if name in columns}
        return metrics(self.joined, self.asked(measure), by=columns, bins=bins, level=level, **self.how)

    def asked(self, measure: Measure) -> Asked:
        return next(item for item in self.names if (item if isinstance(item, str) else item.name) == measure.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The slices of one metric and column: those with enough rows, and the names of the others."""

    measure: Measure
    columns: tuple[str, ...]
    frame: pl.DataFrame
    size: Array
    whole: Mapping[str, Any]
    thin: list[str]

    @property
    def proportion(self) -> bool:
        return isinstance(self.measure, Total) and self.measure.kind == "proportion" and self.measure.transform is None


def _seen(
    looked: _Looked, measure: Measure, columns: tuple[str, ...], whole: Mapping[str, Any], *, least: int
) -> _Seen:
    frame = looked.by(measure, columns, level=looked.level)
    seen = _Seen(measure=measure, columns=columns, frame=frame, size=np.empty(0), whole=whole, thin=[])
    value, lower, upper = (_floats(frame, name) for name in (results.VALUE, results.LOWER, results.UPPER))
    size = effective_size(value, lower, upper, level=looked.level) if seen.proportion else np.full_like(value, np.nan)
    rows = np.where(np.isnan(size), _floats(frame, results.N_LABELLED), size)
    kept = np.isfinite(value) & (np.rint(rows) >= least)
    thin = [
        f"{_name(row, columns)} ({row[results.REASON] or f'{round(count)} rows'})"
        for row, count, fine in zip(frame.iter_rows(named=True), rows, kept, strict=True)
        if not fine
    ]
    chosen = frame.filter(pl.Series(kept))
    return _Seen(measure=measure, columns=columns, frame=chosen, size=size[kept], whole=whole, thin=thin)


def _floats(frame: pl.DataFrame, name: str) -> Array:
    return frame.get_column(name).cast(pl.Float64).to_numpy()


def _name(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return slice_text(((columns[0], row[columns[0]]),)).removeprefix(f"{columns[0]} = ")
    return slice_text(tuple((column, row[column]) for column in columns))


def _lines(looked: _Looked, seen: _Seen, *, draws: int, seed: int) -> list[dict[str, Any]]:
    base = {name: seen.whole[name] for name in _COPIED} | {
        results.METRIC: seen.measure.name,
        "by": ", ".join(seen.columns),
        "groups": seen.frame.height,
        "thin": "; ".join(seen.thin) or None,
    }
    reason = seen.whole[results.REASON] if seen.whole[results.VALUE] is None else None
    if reason is None and seen.frame.height < 2:
        reason = "fewer than two slices with enough rows"
    if reason is not None:
        return [base | {"gap": gap, results.REASON: reason} for gap in GAPS]
    groups = _groups(seen, seen.frame)
    names = [_name(row, seen.columns) for row in seen.frame.iter_rows(named=True)]
    value = gaps(groups.value, np.array(groups.overall))
    made = [
        base
        | {"gap": gap, results.VALUE: found, "low_slice": _named(low, names), "high_slice": _named(high, names)}
        | ({} if np.isfinite(found) else {results.REASON: "a ratio needs values that are positive"})
        for gap, found, (low, high) in zip(GAPS, value.tolist(), attained(groups), strict=True)
    ]
    if not np.isfinite(groups.lower).all() or not np.isfinite(groups.upper).all():
        return [line | {results.REASON: line.get(results.REASON) or "no interval of single slices"} for line in made]
    return _judged(looked, seen, groups, made, draws=draws, seed=seed)


def _named(index: int | None, names: Sequence[str]) -> str:
    return WHOLE if index is None else names[index]


def _groups(seen: _Seen, frame: pl.DataFrame) -> Groups:
    value, lower, upper = (_floats(frame, name) for name in (results.VALUE, results.LOWER, results.UPPER))
    return Groups(value=value, lower=lower, upper=upper, size=seen.size, overall=float(seen.whole[results.VALUE]))


def _judged(
    looked: _Looked, seen: _Seen, groups: Groups, lines: list[dict[str, Any]], *, draws: int, seed: int
) -> list[dict[str, Any]]:
    wide = simultaneous_level(len(groups.value), looked.level)
    again = looked.by(seen.measure, seen.columns, level=wide).join(
        seen.frame.select(seen.columns), on=seen.columns, how="semi", nulls_equal=True, maintain_order="left"
    )
    ends = limits(_groups(seen, again), (seen.whole[results.LOWER], seen.whole[results.UPPER]))
    error = np.maximum((groups.upper - groups.lower) / (2 * float(quantile(looked.level))), 1e-12)
    judged = judge(groups, error, level=looked.level, draws=draws, seed=seed)
    for at, line in enumerate(lines):
        if line.get(results.REASON) is None:
            line |= {results.LOWER: ends[at, 0], results.UPPER: ends[at, 1], results.METHOD: _METHOD}
            line |= {"debiased": judged.debiased[at], "null_limit": judged.null[at], "p_value": judged.p_value[at]}
    return lines


def _schema() -> pl.Schema:
    numbers = (results.VALUE, results.LOWER, results.UPPER, "debiased", "null_limit", "p_value")
    texts = (results.METRIC, "by", "gap", "low_slice", "high_slice", "thin", results.STAGE, results.METHOD)
    texts_of: dict[str, pl.DataType] = dict.fromkeys((*texts, results.REASON), pl.String())
    numbers_of: dict[str, pl.DataType] = dict.fromkeys(numbers, pl.Float64())
    counts: dict[str, pl.DataType] = dict.fromkeys(("groups", results.N, results.N_LABELLED), pl.Int64())
    times: dict[str, pl.DataType] = dict.fromkeys((results.PERIOD_START, results.PERIOD_END), pl.Datetime("us", "UTC"))
    return pl.Schema(texts_of | numbers_of | counts | times)
