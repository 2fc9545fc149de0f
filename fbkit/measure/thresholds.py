"""What another threshold would have given along the score, and the threshold that reaches a target."""

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kinds import S, Total, Y
from fbkit.measure.metrics import POSITIVES_ONLY, check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.registry import choose
from fbkit.measure.scope import IN, Scope, Stage, open_scope
from fbkit.measure.stats.intervals import Array
from fbkit.measure.sweep import Ready, at_thresholds, ready
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

THRESHOLD: Final = "threshold"
VALUE: Final = "value_per_prediction"
CURVES: Final = ("recall", "precision", "specificity", "f1", "flag_rate", VALUE)
_NUMBERS: Final = (results.VALUE, results.LOWER, results.UPPER)


@checked
def threshold_curve(
    joined: JoinedLike | Ledger,
    *,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    points: int = 101,
    level: float = 0.95,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Recall, precision, specificity, F1, flag rate and value if every row were flagged at ``score >= threshold``.

    Thresholds are ``points`` equal steps from 0 to 1 (quantiles of the scores if some lie outside), and the
    contract's own; of a :class:`fbkit.Ledger` 0 and its edges, there also ``as_of`` an earlier midnight. All are of the
    labelled rows, the flag rate of all rows at the stage. ``value_per_prediction`` is the mean of the contract's
    [value] (true_positive and so on); null without one.

    Returns
    -------
    threshold, then for each of these: value, ``_lower``, ``_upper``; n, n_labelled, stage, method (of the shares:
    Wilson, cluster-robust where entities repeat; of the value Student's t, likewise), reason, evaluation_id. Null
    where the denominator is 0.

    Raises
    ------
    ArgumentError
        Fewer than two points, an unknown stage, a level outside (0, 1), a task that is not binary.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> curve = fb.threshold_curve(joined, points=3)
    >>> curve["threshold"].to_list()
    [0.0, 0.1124, 0.5, 1.0]
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.frames import ledger_threshold_curve

        return ledger_threshold_curve(joined, period=period, stage=stage, level=level, weights=weights, as_of=as_of)
    not_of_rows(as_of=as_of)
    check_level(level)
    if points < 2:
        raise ArgumentError(
            "a threshold curve needs at least two points",
            got=points,
            allowed="2 or more",
            next_step="give points=101, or leave it out",
        )
    scope = binary_scope(joined, period=period, stage=stage, weights=weights)
    inside = scope.frame.filter(IN)
    thresholds = grid(inside.get_column(S).to_numpy(), points, joined.contract.decision.threshold)
    frame = pl.DataFrame({THRESHOLD: thresholds})
    method = pl.Series(results.METHOD, [None] * len(thresholds), dtype=pl.String)
    rows = ready(scope, thresholds)
    for name in CURVES:
        made = curve_of(rows, name, thresholds, joined=joined, level=level, weighted=weights is not None)
        frame = frame.with_columns(
            made.get_column(part).alias(name if part == results.VALUE else f"{name}_{part}") for part in _NUMBERS
        )
        method = made.get_column(results.METHOD) if name == "recall" else method
    frame = frame.with_columns(
        pl.lit(inside.height, dtype=pl.Int64).alias(results.N),
        pl.lit(inside.get_column(Y).is_not_null().sum(), dtype=pl.Int64).alias(results.N_LABELLED),
        pl.lit(scope.stage.name).alias(results.STAGE),
        method,
        pl.lit(why_nothing(scope, joined), dtype=pl.String).alias(results.REASON),
    )
    call = {"period": str(scope.limits), "stage": scope.stage.name, "points": points, "weights": weights}
    return stamped(frame, joined, call="threshold_curve", level=level, **call)


def binary_scope(joined: JoinedLike, *, period: str | Period | None, stage: str | Stage, weights: str | None) -> Scope:
    """The rows of a question about flags."""
    check_joined(joined)
    if joined.contract.model.task != "binary":
        raise ArgumentError(
            "thresholds belong to a binary model",
            got=f"task {joined.contract.model.task}",
            allowed="task binary",
            next_step="look at the model's errors instead: fb.metrics(joined, ...)",
        )
    return open_scope(joined, period=period, stage=stage, weights=weights)


def curve_of(
    rows: Ready, name: str, thresholds: Array, *, joined: JoinedLike, level: float, weighted: bool
) -> pl.DataFrame:
    """One measure of decisions at each threshold: value, lower, upper, method; null where it cannot be told."""
    (measure,) = choose(name, contract=joined.contract)
    if not isinstance(measure, Total) or measure.unavailable is not None or rows.rows.is_empty():
        none = {part: pl.Series([None] * len(thresholds), dtype=pl.Float64) for part in _NUMBERS}
        return pl.DataFrame(none | {results.METHOD: pl.Series([None] * len(thresholds), dtype=pl.String)})
    made = at_thresholds(rows, measure, thresholds, level=level, weighted=weighted)
    known = not (measure.uses_label and rows.stage.positives_only(joined))
    return made.select(pl.when(known).then(pl.col(part)).alias(part) for part in (*_NUMBERS, results.METHOD))


def why_nothing(scope: Scope, joined: JoinedLike) -> str | None:
    """Why there are no numbers of labels, if there are none."""
    inside = scope.frame.filter(IN)
    if scope.stage.positives_only(joined):
        return POSITIVES_ONLY
    if scope.frame.is_empty():
        return "no predictions"
    if not inside.height:
        return "window open"
    return None if inside.get_column(Y).is_not_null().any() else "no labelled rows"


def grid(scores: Array, points: int, own: float | None) -> Array:
    """Equal steps from 0 to 1, or quantiles of scores that lie outside, and the threshold in use."""
    inside = not len(scores) or (scores.min() >= 0 and scores.max() <= 1)
    grid = np.linspace(0, 1, points) if inside else np.quantile(scores, np.linspace(0, 1, points))
    return np.unique(grid if own is None else np.append(grid, own))
