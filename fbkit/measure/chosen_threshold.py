"""A threshold chosen on one period for a precision, a recall or the most value, and judged on another."""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kernels.business import NO_VALUES
from fbkit.measure.kinds import F, S, W, Y
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import IN, Scope, Stage
from fbkit.measure.stats.intervals import Array
from fbkit.measure.sweep import ready
from fbkit.measure.thresholds import VALUE, binary_scope, curve_of, why_nothing
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

Target = Literal["precision", "recall", "value"]
TARGETS: Final = ("precision", "recall", "value")
COLUMNS: Final = (
    "target", "at_least", "threshold", "threshold_before", "fit_value", "value", "lower", "upper", "value_before",
    "flags_per_day_before", "flags_per_day", "n", "n_labelled", "stage", "method", "reason",
)  # fmt: skip


class Found(NamedTuple):
    """A threshold and what it gives on the rows that it was chosen on; NaN beside a reason where there is none."""

    threshold: float
    value: float
    reason: str | None = None


NOTHING: Final = Found(np.nan, np.nan)
Marks = NDArray[np.bool_]


@checked
def choose_threshold(
    joined: JoinedLike | Ledger,
    *,
    fit: str | Period,
    judge: str | Period,
    target: Target = "precision",
    at_least: float = 0.9,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Choose a threshold on the labelled rows of one period and say what it gives on another.

    Parameters
    ----------
    fit, judge
        Half-open ``A..B`` of prediction times that do not overlap: what a threshold gives on the rows it was chosen
        on is too good.
    target
        "precision": the lowest threshold (the most recall) that reaches ``at_least``, flagging no fewer labelled rows
        than the contract's slices.minimum. "recall": the highest threshold (the fewest flags) that reaches it.
        "value": the largest mean value by the contract's [value]; ``at_least`` is not used.
    stage, level, weights, as_of
        As for :func:`fbkit.metrics`; a :class:`fbkit.Ledger` chooses among 0 and its edges.

    Returns
    -------
    One line: target, at_least, threshold, threshold_before (the contract's), fit_value (on the fit period, too good),
    value with lower and upper (on the judge period, flagged at the threshold; interval as for the metric),
    value_before (there, with the decisions as logged), flags_per_day_before and flags_per_day (there), n, n_labelled,
    stage, method, reason, evaluation_id. Where no threshold reaches the target, threshold and value are null and
    ``reason`` says how far it gets.

    Raises
    ------
    ArgumentError
        Overlapping periods, an unknown target, a share outside (0, 1], no [value] in the contract for "value".

    Examples
    --------
    >>> import fbkit as fb
    >>> from fbkit.measure.chosen_threshold import choose_threshold
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> periods = {"fit": "2026-08-31..2026-09-14", "judge": "2026-09-14..2026-09-28"}
    >>> line = choose_threshold(joined, target="recall", at_least=0.9, **periods)
    >>> bool(line["lower"][0] < line["value"][0] < line["upper"][0])
    True
    """
    periods = _checked(Period.parse(fit), Period.parse(judge), target, at_least, joined, level)
    chosen, own = Stage.parse(stage), joined.contract.decision.threshold
    line: dict[str, object] = {"target": target, "at_least": None if target == "value" else at_least}
    how: dict[str, Any] = {"target": target, "at_least": at_least, "stage": chosen, "level": level, "weights": weights}
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.chosen_threshold import ledger_chosen

        said, found = ledger_chosen(joined, *periods, **how, as_of=as_of)
    else:
        not_of_rows(as_of=as_of)
        said, found = _of_rows(joined, *periods, **how)
    line |= said | {"threshold_before": own, "threshold": found.threshold, "fit_value": found.value}
    line |= {"stage": chosen.name, "reason": found.reason}
    floats = dict.fromkeys(COLUMNS[1:11], pl.Float64) | {"n": pl.Int64, "n_labelled": pl.Int64}
    frame = pl.DataFrame([line], schema={name: floats.get(name, pl.String) for name in COLUMNS})
    frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
    call = {"fit": str(periods[0]), "judge": str(periods[1]), "target": target, "at_least": at_least}
    call |= {"stage": chosen.name, "level": level, "weights": weights}
    if isinstance(joined, Ledger):
        call["as_of"] = None if as_of is None else str(as_of)
    known: Any = joined  # what is asked of a joined table here, a ledger has too
    return stamped(frame, known, call="choose_threshold", **call)


def _of_rows(
    joined: JoinedLike,
    fit: Period,
    judge: Period,
    *,
    target: str,
    at_least: float,
    stage: Stage,
    level: float,
    weights: str | None,
) -> tuple[dict[str, object], Found]:
    first, second = (binary_scope(joined, period=period, stage=stage, weights=weights) for period in (fit, judge))
    found = _chosen(first, joined, target, at_least)
    said = _judged(second, joined, target, found.threshold, level=level, weighted=weights is not None)
    reason = found.reason or why_nothing(second, joined)
    return said | _flags(second, judge, found.threshold), found._replace(reason=reason)


def _checked(
    fit: Period, judge: Period, target: str, at_least: float, joined: JoinedLike | Ledger, level: float
) -> tuple[Period, Period]:
    check_level(level)
    if target not in TARGETS:
        raise ArgumentError("an unknown target", got=target, allowed=", ".join(TARGETS), next_step="name one of these")
    if target != "value" and not 0 < at_least <= 1:
        raise ArgumentError(
            f"no {target} can be that",
            got=at_least,
            allowed="a share above 0, at most 1",
            next_step="write 0.9 for 90 %",
        )
    if target == "value" and joined.contract.value is None:
        raise ArgumentError(
            NO_VALUES,
            got="no [value]",
            allowed="true_positive, false_positive, false_negative, true_negative",
            next_step="state in the contract what each outcome is worth",
        )
    if fit.start < judge.end and judge.start < fit.end:
        raise ArgumentError(
            "a threshold is not judged on the rows that it was chosen on",
            got=f"fit {fit}, judge {judge}",
            allowed="two periods that do not overlap",
            next_step="choose on an earlier period, and judge on one that starts at its end or later",
        )
    return fit, judge


def _chosen(scope: Scope, joined: JoinedLike, target: str, at_least: float) -> Found:
    reason = why_nothing(scope, joined)
    if reason is not None:
        return NOTHING._replace(reason=f"fit period: {reason}")
    rows = scope.frame.filter(pl.col(IN) & pl.col(Y).is_not_null() & (pl.col(W) > 0)).sort(S, descending=True)
    if not rows.height:
        return NOTHING._replace(reason="fit period: no labelled rows")
    score, label, weight = (rows.get_column(name).to_numpy() for name in (S, Y, W))
    last = np.append(np.diff(score) != 0, True)
    hits, flagged = np.cumsum(weight * label)[last], np.cumsum(weight)[last]
    enough = np.flatnonzero(last) + 1 >= joined.contract.slices.minimum
    return highest_share(joined.contract, target, at_least, score[last], hits, flagged, enough)


def highest_share(
    contract: Contract, target: str, at_least: float, score: Array, hits: Array, flagged: Array, enough: Marks
) -> Found:
    """The threshold for a target, from the positives and all labelled rows at or above each falling score."""
    if target == "value":
        return _most_value(contract, score, hits, flagged)
    if target == "recall":
        if not hits[-1] > 0:
            return NOTHING._replace(reason="fit period: no positives")
        return _reached(score, hits / hits[-1], at_least, lowest=False, target=target)
    return _reached(score, np.where(enough, hits / flagged, 0.0), at_least, lowest=True, target=target)


def _reached(score: Array, share: Array, at_least: float, *, lowest: bool, target: str) -> Found:
    good = np.flatnonzero(share >= at_least)
    if not len(good):
        best = int(np.argmax(share))
        return Found(
            np.nan,
            np.nan,
            f"no threshold reaches a {target} of {at_least:g} on the fit period; at most {share[best]:.4g}",
        )
    at = int(good[-1] if lowest else good[0])
    return Found(float(score[at]), float(share[at]))


def _most_value(contract: Contract, score: Array, hits: Array, flagged: Array) -> Found:
    worth = contract.value
    assert worth is not None
    gain = hits * (worth.true_positive - worth.false_negative)
    gain = gain + (flagged - hits) * (worth.false_positive - worth.true_negative)
    unflagged = hits[-1] * worth.false_negative + (flagged[-1] - hits[-1]) * worth.true_negative
    at = int(np.argmax(gain))
    if not gain[at] > 0:
        # Flagging nothing is a threshold too: just above the highest score that there can be.
        highest = 1.0 if contract.predictions.score_kind == "probability" else score[0]
        return Found(float(np.nextafter(highest, np.inf)), float(unflagged / flagged[-1]))
    return Found(float(score[at]), float((gain[at] + unflagged) / flagged[-1]))


def _judged(
    scope: Scope, joined: JoinedLike, target: str, threshold: float, *, level: float, weighted: bool
) -> dict[str, object]:
    name = VALUE if target == "value" else target
    inside = scope.frame.filter(IN)
    said: dict[str, object] = {"n": inside.height, "n_labelled": inside.get_column(Y).is_not_null().sum()}
    if not np.isnan(threshold):
        at = np.array([threshold])
        made = curve_of(ready(scope, at), name, at, joined=joined, level=level, weighted=weighted)
        said |= made.row(0, named=True)
    # Flagging at 1/2 of the logged flags themselves is what was decided.
    logged = scope.frame.filter(pl.col(F).is_not_null()).with_columns(pl.col(F).alias(S))
    as_logged = Scope(frame=logged, by=scope.by, every=scope.every, limits=scope.limits, stage=scope.stage)
    half = np.array([0.5])
    before = curve_of(ready(as_logged, half), name, half, joined=joined, level=level, weighted=weighted)
    return said | {"value_before": before[results.VALUE][0]}


def _flags(scope: Scope, judge: Period, threshold: float) -> dict[str, object]:
    """Flags a day of the judge period, labelled or not, as decided and at the threshold."""
    days = judge.duration / timedelta(days=1)
    before, after = scope.frame.select(pl.col(F).sum(), (pl.col(S) >= threshold).sum()).row(0)
    decided = scope.frame.get_column(F).null_count() < scope.frame.height
    return {
        "flags_per_day_before": before / days if decided else None,
        "flags_per_day": None if np.isnan(threshold) else after / days,
    }
