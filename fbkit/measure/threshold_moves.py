"""What another threshold changes against the one in use: true and false positives, flags, and the value."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kernels.business import NO_VALUES
from fbkit.measure.kinds import F, S, Total, W, Y
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.scope import IN, Stage
from fbkit.measure.stats.intervals import Array, mean_by_variance
from fbkit.measure.sweep import at_thresholds, flagged_sums, ready
from fbkit.measure.thresholds import THRESHOLD, binary_scope, grid, threshold_curve, why_nothing
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period, format_instant
from fbkit.schema.protocols import JoinedLike

BEFORE: Final = "threshold_before"
COUNTS: Final = ("true_positives", "false_positives", "flagged")
MORE: Final = ("more_true_positives", "more_false_positives", "more_flagged")
_NUMBERS: Final = (results.VALUE, results.LOWER, results.UPPER)


@checked
def threshold_moves(
    joined: JoinedLike | Ledger,
    *,
    before: float,
    thresholds: Sequence[float] | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """What flagging at each threshold changes against flagging at ``before``, on the same rows.

    Parameters
    ----------
    before
        The threshold in use; of a ledger one of its edges.
    thresholds
        Of rows only: where to look, by default where :func:`fbkit.threshold_curve` does. A ledger knows its edges.
    period, stage, level
        As for :func:`fbkit.metrics`.
    as_of
        Of a ledger only: an earlier midnight.

    Returns
    -------
    threshold, threshold_before; true_positives, false_positives (labelled rows) and flagged (all rows at the stage),
    each also as ``more_...``, the difference from ``before``; value, lower, upper: the change of the mean value of a
    labelled prediction by the contract's [value], from the paired difference of each row (Student's t,
    cluster-robust where rows are at hand and entities repeat); n, n_labelled, stage, method, reason, evaluation_id.
    Value and interval are null without prices.

    Raises
    ------
    ArgumentError
        A task that is not binary, or a threshold in use that the ledger did not count.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> made = threshold_moves(joined, before=0.1124, thresholds=[0.05, 0.1124])
    >>> made["more_true_positives"][1], made["value"][1]
    (0.0, 0.0)
    """
    check_level(level)
    if not isinstance(joined, Ledger):
        not_of_rows(as_of=as_of)
        return _of_rows(joined, before, thresholds, period=period, stage=stage, level=level)
    from fbkit.measure.from_ledger.tails import tails

    made = tails(joined, period=period, stage=stage, as_of=as_of)
    at = made.thresholds
    counted = np.stack([made.positive, made.labelled - made.positive, made.everything])
    held = _at_place(counted, _place(joined, at, before))
    table = _differences(at, before, counted, counted - held[:, None])
    empty = np.full(len(at), np.nan)
    numbers: tuple[Array, Array, Array] = (empty, empty, empty)
    if made.plain and joined.contract.value is not None:
        more = counted - held[:, None]
        numbers = _worth(joined.contract, more[0], more[1], units=float(made.labelled[0]), level=level)
    table = table.with_columns(
        *(pl.Series(name, each, nan_to_null=True) for name, each in zip(_NUMBERS, numbers, strict=True)),
        pl.lit(made.rows).alias(results.N),
        pl.lit(made.labelled_rows).alias(results.N_LABELLED),
        pl.lit(made.question.stage.name).alias(results.STAGE),
        pl.lit("Student t, paired").alias(results.METHOD),
        pl.lit(_reason(joined.contract, None if made.labelled_rows else "no labelled rows"), dtype=pl.String).alias(
            results.REASON
        ),
    )
    known: Any = joined
    call = {"before": before, "period": str(made.question.limits), "stage": made.question.stage.name, "level": level}
    return _stamp(table, known, **call, as_of=format_instant(made.question.as_of))


@checked
def threshold_range(
    joined: JoinedLike | Ledger,
    *,
    chosen: float,
    fit: str | Period,
    target: str,
    at_least: float = 0.9,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    as_of: str | datetime | None = None,
) -> tuple[float, float]:
    """Between which thresholds the fit period cannot tell the chosen one from others.

    For "value" the lowest and the highest threshold whose paired difference in value from the chosen one does not
    lie below zero with its interval; for "precision" and "recall" those whose interval holds ``at_least``. Each
    threshold is looked at by itself, so that the range is no simultaneous one.

    Raises
    ------
    ArgumentError
        As :func:`threshold_moves`.
    """
    if target == "value":
        made = threshold_moves(joined, before=chosen, period=fit, stage=stage, level=level, as_of=as_of)
        kept = made.filter(pl.col(results.UPPER) >= 0)
    else:
        curve = threshold_curve(joined, period=fit, stage=stage, level=level, as_of=as_of)
        kept = curve.filter((pl.col(f"{target}_lower") <= at_least) & (pl.col(f"{target}_upper") >= at_least))
    found = [*kept.get_column(THRESHOLD).to_list(), chosen]
    return min(found), max(found)


def _of_rows(
    joined: JoinedLike,
    before: float,
    thresholds: Sequence[float] | None,
    *,
    period: str | Period | None,
    stage: str | Stage,
    level: float,
) -> pl.DataFrame:
    scope = binary_scope(joined, period=period, stage=stage, weights=None)
    inside = scope.frame.filter(IN)
    asked = grid(inside.get_column(S).to_numpy(), 101, None) if thresholds is None else thresholds
    at: Array = np.unique(np.asarray([*asked, before], dtype=np.float64))
    rows = ready(scope, at)
    positive, labelled, everything = flagged_sums(rows, len(at))
    counted = np.stack([positive, labelled - positive, everything])
    table = _differences(at, before, counted, counted - counted[:, [int(np.searchsorted(at, before))]])
    reason = why_nothing(scope, joined)
    none = pl.Series([None] * len(at), dtype=pl.Float64)
    made = pl.DataFrame(dict.fromkeys(_NUMBERS, none)).with_columns(pl.lit(None, pl.String).alias(results.METHOD))
    if reason is None and joined.contract.value is not None:
        made = at_thresholds(rows, _change(joined.contract, before), at, level=level, weighted=False)
    table = table.with_columns(
        *(made.get_column(name) for name in _NUMBERS),
        pl.lit(inside.height, dtype=pl.Int64).alias(results.N),
        pl.lit(inside.get_column(Y).is_not_null().sum(), dtype=pl.Int64).alias(results.N_LABELLED),
        pl.lit(scope.stage.name).alias(results.STAGE),
        made.get_column(results.METHOD),
        pl.lit(_reason(joined.contract, reason), dtype=pl.String).alias(results.REASON),
    )
    call: dict[str, object] = {"before": before, "thresholds": at.tolist(), "period": str(scope.limits)}
    return _stamp(table, joined, **call, stage=scope.stage.name, level=level)


def _differences(at: Array, before: float, counted: Array, more: Array) -> pl.DataFrame:
    made = {THRESHOLD: at, BEFORE: np.full(len(at), before)}
    made |= dict(zip(COUNTS, counted, strict=True)) | dict(zip(MORE, more, strict=True))
    return pl.DataFrame(made)


def _reason(contract: Contract, why: str | None) -> str | None:
    return why or (NO_VALUES if contract.value is None else None)


def _stamp(frame: pl.DataFrame, joined: JoinedLike, **call: object) -> pl.DataFrame:
    return stamped(frame, joined, call="threshold_moves", **call)


def _place(ledger: Ledger, at: Array, before: float) -> int:
    """The place of the threshold in use among the ledger's; one that no score reaches is past the last."""
    if ledger.contract.predictions.score_kind == "probability" and before > 1:
        return len(at)
    place = int(np.searchsorted(at, before))
    if place == len(at) or at[place] != before:
        raise ArgumentError(
            "the threshold is not among the ledger's edges",
            got=before,
            allowed=f"{len(at)} thresholds, the nearest is {at[int(np.argmin(np.abs(at - before)))]:g}",
            next_step="build the ledger with this threshold, or ask the joined rows",
        )
    return place


def _at_place(counted: Array, place: int) -> Array:
    return np.zeros(len(counted)) if place == counted.shape[1] else counted[:, place]


def _gains(contract: Contract) -> tuple[float, float]:
    """What a flag adds to the value of a row whose label is 1, and is 0."""
    worth = contract.value
    assert worth is not None
    return worth.true_positive - worth.false_negative, worth.false_positive - worth.true_negative


def _change(contract: Contract, before: float) -> Total:
    """The mean change of a labelled row's value when it is flagged by ``F`` instead of at the threshold in use."""
    hit, slip = _gains(contract)
    y, w = pl.col(Y), pl.col(W)
    flip = pl.col(F) - (pl.col(S) >= before).cast(pl.Float64)
    return Total(name="value_change", kind="mean", numerator=w * flip * (y * hit + (1 - y) * slip), denominator=w)


def _worth(contract: Contract, hits: Array, slips: Array, *, units: float, level: float) -> tuple[Array, Array, Array]:
    """The mean change from the labelled rows whose flag turns: all of them in the same direction."""
    hit, slip = _gains(contract)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (hits * hit + slips * slip) / units
        squares = (np.abs(hits) * hit**2 + np.abs(slips) * slip**2) / units
        variance = np.where(units > 1, np.maximum(squares - value**2, 0.0) / (units - 1), np.nan)
    lower, upper = mean_by_variance(value, variance, units=np.full_like(value, units), level=level)
    return value, lower, upper
