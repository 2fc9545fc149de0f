"""What another threshold would have given: recall, precision and flag rate along the score."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.intervals import Array, wilson
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import S, Y
from fbkit.measure.scope import IN, Stage, open_scope
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike

THRESHOLD: Final = "threshold"


def threshold_curve(
    joined: JoinedLike,
    *,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    points: int = 101,
    level: float = 0.95,
) -> pl.DataFrame:
    """Recall, precision and flag rate if every row were flagged at ``score >= threshold``.

    Thresholds are ``points`` equal steps from 0 to 1 (quantiles of the scores if some lie outside), and the
    contract's own. Recall and precision are of the labelled rows, the flag rate of all rows at the stage.
    Intervals: Wilson.

    Returns
    -------
    threshold, then for each of recall, precision, flag_rate: value, ``_lower``, ``_upper``; n, n_labelled, stage,
    method. Null where the denominator is 0.

    Raises
    ------
    ArgumentError
        Fewer than two points, an unknown stage, a level outside (0, 1).
    """
    check_level(level)
    if points < 2:
        raise ArgumentError(
            "a threshold curve needs at least two points",
            got=points,
            allowed="2 or more",
            next_step="give points=101, or leave it out",
        )
    scope = open_scope(joined, period=period, stage=stage)
    rows = scope.frame.filter(IN).sort(S)
    labelled = rows.filter(pl.col(Y).is_not_null())
    scores, labels = labelled.get_column(S).to_numpy(), labelled.get_column(Y).to_numpy()
    everything = rows.get_column(S).to_numpy()
    thresholds = _grid(everything, points, joined.contract.decision.threshold)
    at = np.searchsorted(scores, thresholds, side="left")
    hits_above = np.concatenate([np.cumsum(labels[::-1])[::-1], [0.0]])[at]
    flagged_known = (len(scores) - at).astype(np.float64)
    flagged = (len(everything) - np.searchsorted(everything, thresholds, side="left")).astype(np.float64)
    columns = {THRESHOLD: thresholds}
    columns |= _share("recall", hits_above, np.full_like(hits_above, labels.sum()), level)
    columns |= _share("precision", hits_above, flagged_known, level)
    columns |= _share("flag_rate", flagged, np.full_like(flagged, len(everything)), level)
    frame = pl.DataFrame(
        [pl.Series(name, values, dtype=pl.Float64, nan_to_null=True) for name, values in columns.items()]
    )
    return frame.with_columns(
        pl.lit(len(everything), dtype=pl.Int64).alias(results.N),
        pl.lit(len(scores), dtype=pl.Int64).alias(results.N_LABELLED),
        pl.lit(scope.stage.name).alias(results.STAGE),
        pl.lit("Wilson").alias(results.METHOD),
    )


def _grid(scores: Array, points: int, own: float | None) -> Array:
    inside = not len(scores) or (scores[0] >= 0 and scores[-1] <= 1)
    grid = np.linspace(0, 1, points) if inside else np.quantile(scores, np.linspace(0, 1, points))
    return np.unique(grid if own is None else np.append(grid, own))


def _share(name: str, k: Array, n: Array, level: float) -> dict[str, Array]:
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(n > 0, k / n, np.nan)
    lower, upper = wilson(k, n, level=level)
    return {name: value, f"{name}_lower": lower, f"{name}_upper": upper}
