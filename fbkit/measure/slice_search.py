"""Which slices explain the loss, or the drop: every conjunction of up to three conditions, tested together."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.periods import resolve
from fbkit.join.rows import no_rows
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kinds import Total
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import Asked, choose, metric_names
from fbkit.measure.scope import Slices, Stage, slice_columns
from fbkit.measure.slicing.slice_bins import Edges
from fbkit.measure.slicing.slice_examine import Chooser, Examined, examine, unequal, unlike
from fbkit.measure.slicing.slice_frame import NOT_CLEAR, REPEATS, Line, Told, confirmed, framed
from fbkit.measure.slicing.slice_numbers import Scale, slice_numbers
from fbkit.measure.slicing.slice_rows import SliceRows, slice_rows
from fbkit.measure.user import Metric
from fbkit.measure.versioning.guard_rules import LOWER_IS_BETTER
from fbkit.schema import results
from fbkit.schema.incomplete import mark_within
from fbkit.schema.period import Comparison, Period
from fbkit.schema.protocols import JoinedLike, check_joined

_EXAMINED: Final = 100


@checked
def find_slices(
    joined: JoinedLike,
    comparison: Comparison | None = None,
    *,
    metric: Asked | None = None,
    columns: Slices = None,
    depth: int = 3,
    k: int = 10,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    weights: str | None = None,
    bins: Edges | None = None,
    minimum: int | None = None,
    alpha: float | None = None,
    worse: Literal["lower", "higher"] | None = None,
    level: float = 0.95,
    confirm: bool = False,
    keep_unclear: bool = False,
) -> pl.DataFrame:
    """The slices that a metric's loss, or its drop from a reference to a current period, comes from.

    Parameters
    ----------
    comparison
        With it the search is for what explains the change for the worse; without, for where the metric is bad.
    metric
        A ratio of sums over rows (recall, precision, accuracy, brier, mae, ... or an :class:`fbkit.Metric` that is a
        mean over rows); by default the contract's primary one.
    columns
        Slice columns; by default the contract's slices and features that are not personal, and ``model_version``.
        Columns of numbers are cut at the quintiles of the reference (of the rows before ``period``; of all rows). Null
        is a value.
    depth
        Conditions per slice, at most.
    k
        Slices to return, at most.
    period
        Without a comparison: half-open ``A..B`` of prediction times; None is everything.
    bins
        Inner edges for columns of numbers, ``{"amount": [10, 50]}``.
    minimum
        Rows of the metric's own denominator that a slice needs; by default a hundredth of them, at least the
        contract's ``slices.minimum``.
    alpha
        Rank by SliceLine's score with this weight of the error against the size (0.95 in the paper) instead of by
        what a slice adds to the loss at least.
    worse
        Which way is bad; by default lower is, except for errors and losses.
    level
        Coverage of the intervals; a slice stands out if its adjusted p-value is at most 1 - level.
    confirm
        Search on one half of the entities and measure on the other, so that no number is flattered by the search.
    keep_unclear
        Fill up to ``k`` with the next slices in rank, their reason "not told apart from chance" or, where they share
        their rows with others, "told by other slices".

    Returns
    -------
    One line per slice, the most important first: metric, rank, slice, stands_out, conditions (column, value, bin);
    value, lower, upper, bound_lower, bound_upper of the slice as :func:`fbkit.metrics` gives them; rest (all other
    rows); overall; reference, reference_rest, reference_overall (in the reference period); effect (slice less rest, or
    the difference of their changes) with interval; shrunken (the effect that is left when the search is allowed for);
    contribution (the whole, or its change, less what it would be without the slice's rows) with interval; share (of
    the metric's denominator); score (SliceLine's); p_value, p_adjusted, n_tested; period_start, period_end, n,
    n_labelled, stage, method, reason, evaluation_id. Effects and contributions are in units of the metric (of the mean
    square for rmse, of TP / (TP + FP + FN) for f1): below 0 lowers it. If nothing stands out: one line without a
    slice, the whole's numbers, and that as the reason.

    Raises
    ------
    ArgumentError
        A metric that is no ratio of sums over rows, an unknown column, no columns at all, a comparison beside a period.

    Notes
    -----
    All slices with enough rows are counted, exactly, and tested (Benjamini-Hochberg over all of them; Sagadeeva and
    Boehm 2021, doi:10.1145/3448016.3457323, for lattice and score). A slice that only repeats others that are kept is
    left out. Intervals do not allow for the search (``shrunken`` does, and ``confirm=True``).
    """
    check_joined(joined)
    check_level(level)
    asked = joined.contract.metrics.primary if metric is None else metric
    measure = _ratio(joined, asked)
    names = _columns(joined, columns)
    _check_counts(depth=depth, k=k, minimum=minimum, alpha=alpha)
    periods = _periods(joined, comparison, period)
    flip = worse == "lower" if worse is not None else _higher_is_better(asked)
    how: dict[str, Any] = {"periods": periods, "stage": stage, "weights": weights, "bins": bins, "flip": flip}
    rows = slice_rows(joined, measure, names, minimum=minimum, half=0 if confirm else None, **how)
    found = examine(rows, depth=depth, k=k, alpha=alpha)
    picked = _pick(rows, found, k=k, level=level, by_score=alpha is not None, fill=keep_unclear)
    shown = slice_rows(joined, measure, names, minimum=1, half=1, **how) if confirm else rows
    lines = _lines(picked, found, rows, shown, scale=Scale(measure=measure, flip=flip), level=level)
    told = Told(depth=depth, columns=len(names), tested=found.n, confirm=confirm, fill=keep_unclear)
    values = {"period": periods[-1], "stage": stage, "weights": weights, "level": level}
    frame = framed(joined, asked, lines, told, expression=shown.expression, values=values)
    call: dict[str, Any] = {
        "metric": asked.identity if isinstance(asked, Metric) else asked, "columns": names, "depth": depth, "k": k,
        "periods": [str(p) for p in periods], "stage": Stage.parse(stage).name, "weights": weights, "bins": bins,
        "minimum": minimum, "alpha": alpha, "worse": worse, "level": level, "confirm": confirm,
        "keep_unclear": keep_unclear,
    }  # fmt: skip
    within = [p for p in periods if p is not None]
    return stamped(mark_within(frame, joined, within=within), joined, call="find_slices", **call)


def _ratio(joined: JoinedLike, asked: Asked) -> Total:
    task, contract = joined.contract.model.task, joined.contract
    measure = choose(asked, task=task, contract=contract)[0]
    if isinstance(measure, Total):
        return measure
    named = [name for name in metric_names(task=task, contract=contract) if "@" not in name]
    ratios = [name for name in named if isinstance(choose(name, task=task, contract=contract)[0], Total)]
    raise ArgumentError(
        f"{measure.name} is no ratio of sums over rows, so no slice has a part of it",
        got=measure.name,
        allowed=", ".join(ratios),
        next_step="search by one of these, or give an fb.Metric with needs='rows' and a Polars expression",
    )


def _higher_is_better(asked: Asked) -> bool:
    if isinstance(asked, Metric):
        return asked.better == "higher"
    if asked == "bias":
        raise ArgumentError(
            "a bias is bad in either direction",
            got="bias, without worse",
            allowed='worse="higher" (scores too high), worse="lower" (scores too low)',
            next_step="say which of the two to look for",
        )
    return not asked.startswith(LOWER_IS_BETTER)


def _columns(joined: JoinedLike, columns: Slices) -> list[str]:
    """The columns to search; by default those that the contract names, and the model's version if there are several."""
    table = no_rows(joined)
    if columns is not None:
        chosen = list(slice_columns(table, columns))
    else:
        own = [*joined.contract.slices.columns, *joined.contract.features.columns, "model_version"]
        private = joined.contract.privacy.personal
        chosen = [name for name in dict.fromkeys(own) if name in table.columns and name not in private]
    timed = [name for name in chosen if table.schema[name].is_temporal()]
    if timed or not chosen or (columns is None and chosen == ["model_version"]):
        raise ArgumentError(
            "a time is no slice" if timed else "there is no column to search slices in",
            got=timed[0] if timed else "no slice and no feature in the contract",
            allowed="columns of text, numbers or booleans",
            next_step="log what matters of it (the hour, the weekday)" if timed else "name some with columns=[...]",
        )
    return chosen


def _check_counts(*, depth: int, k: int, minimum: int | None, alpha: float | None) -> None:
    wrong = {
        "depth": (depth, 1 <= depth <= 3, "1, 2 or 3"),
        "k": (k, k >= 1, "1 or more"),
        "minimum": (minimum, minimum is None or minimum >= 1, "1 or more"),
        "alpha": (alpha, alpha is None or 0 < alpha <= 1, "above 0, up to 1"),
    }
    for name, (got, fine, allowed) in wrong.items():
        if not fine:
            raise ArgumentError(
                f"{name} is out of range", got=got, allowed=allowed, next_step="leave it out for the usual value"
            )


def _periods(
    joined: JoinedLike, comparison: Comparison | None, period: str | Period | None
) -> tuple[Period | None, ...]:
    if comparison is None:
        return (None if period is None else Period.parse(period),)
    if period is not None:
        raise ArgumentError(
            "a comparison has its own periods",
            got="comparison and period",
            allowed="one of them",
            next_step="leave out period",
        )
    return resolve(joined, comparison).periods()


def _pick(
    rows: SliceRows, found: Examined, *, k: int, level: float, by_score: bool, fill: bool
) -> dict[int, str | None]:
    """The slices to show, and why each does not stand out (None: it does)."""
    ordered = found.order(level, by_score=by_score)
    sure = found.p_adjusted <= 1 - level
    clear = Chooser(rows, level=level, tested=found.n).choose(found, ordered[sure[ordered]].tolist(), k=k)
    picked: dict[int, str | None] = dict.fromkeys(clear)
    if not fill:
        return picked
    masks = [rows.inside(found.pairs(index)) for index in clear]
    # First what is new, then what shares its rows with others: a list of slices to watch may need both.
    for fits in (unlike, unequal):
        for index in ordered[:_EXAMINED].tolist():
            if len(picked) < k and index not in picked and fits(rows, found.pairs(index), masks):
                picked[index] = REPEATS if sure[index] else NOT_CLEAR
                masks.append(rows.inside(found.pairs(index)))
    return picked


def _lines(
    picked: Mapping[int, str | None],
    found: Examined,
    rows: SliceRows,
    shown: SliceRows,
    *,
    scale: Scale,
    level: float,
) -> list[Line]:
    """The numbers of the picked slices, from ``shown``: the rows of the search, or those of the other half."""
    made: list[Line] = []
    for index, reason in picked.items():
        named = rows.named(found.pairs(index))
        pairs = shown.numbered(named)
        inside = np.zeros(len(shown.a), dtype=bool) if pairs is None else shown.inside(pairs)
        numbers = slice_numbers(shown, inside, scale=scale, level=level)
        factor = float(found.shrink[index]) if shown is rows else 1.0
        numbers |= {"shrunken": numbers["effect"] * factor, "score": float(found.score[index])}
        numbers["p_adjusted"] = float(found.p_adjusted[index])
        bins = frozenset(name for name, _ in named if rows.is_bin(name))
        made.append(Line(named, bins, numbers, reason))
    return made if shown is rows else confirmed(made, level=level)
