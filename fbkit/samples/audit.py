"""Audits of a simulated loop: somebody looks at some predictions and says what is true of them."""

from dataclasses import replace
from typing import Literal
from zlib import crc32

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.samples.simulate import Simulation

AUDIT = "audit"


def audited(
    simulation: Simulation,
    *,
    flagged: int = 300,
    unflagged: int = 500,
    labelled: tuple[int, int] = (0, 0),
    window: Literal["reference", "current", "both"] = "current",
    seed: int = 0,
) -> Simulation:
    """The simulation with a random audit that arrives at the evaluation time.

    Parameters
    ----------
    flagged, unflagged
        How many predictions without a usable statement are drawn among the flagged ones and among the others; all of
        them, if there are fewer. Blocked predictions are among them.
    labelled
        As many predictions with a statement are drawn besides, flagged and not flagged.
    window
        The predictions among which is drawn.

    Returns
    -------
    Simulation
        With further outcomes of source `audit`; `audit_prob` is the chance of a prediction of that decision, with or
        without a statement, to be drawn.

    Examples
    --------
    >>> from fbkit.samples import WorldConfig, simulate
    >>> made = audited(simulate(WorldConfig(per_day=100), seed=1), flagged=5, unflagged=20)
    >>> made.outcomes["source"].value_counts().filter(pl.col("source") == "audit")["count"].item()
    25
    """
    rng = np.random.default_rng([simulation.seed, seed, crc32(AUDIT.encode())])
    rows = simulation.final
    begin = pl.lit(simulation.config.current_start)
    if window != "both":
        rows = rows.filter(pl.col("ts_pred") >= begin if window == "current" else pl.col("ts_pred") < begin)
    drawn: list[pl.DataFrame] = []
    for stated, numbers in ((False, (flagged, unflagged)), (True, labelled)):
        for decision, number in zip((True, False), numbers, strict=True):
            stratum = rows.filter((pl.col("stated") == stated) & (pl.col("decision") == decision))
            size = min(number, stratum.height)
            chosen = stratum[np.sort(rng.permutation(stratum.height)[:size])]
            share = size / max(stratum.height, 1)
            drawn.append(chosen.select("prediction_id", pl.lit(share, dtype=pl.Float64).alias("audit_prob")))
    return answered(simulation, pl.concat(drawn))


def answered(simulation: Simulation, rows: pl.DataFrame) -> Simulation:
    """The simulation with the true labels of these predictions as an audit that arrives at the evaluation time.

    `rows`: `prediction_id` and `audit_prob`, the chance with which each was drawn. Raises ArgumentError for one that
    the log does not hold.
    """
    found = rows.select("prediction_id", pl.col("audit_prob").cast(pl.Float64)).join(
        simulation.final, on="prediction_id", how="left", maintain_order="left"
    )
    unknown = found.filter(pl.col("label").is_null())
    if not unknown.is_empty():
        raise ArgumentError(
            "the audit asks for predictions that the log does not hold",
            got=f"{unknown.height} of {found.height}, for example {unknown['prediction_id'][0]}",
            allowed="ids of the prediction log",
            next_step="draw among simulation.predictions",
        )
    known_at = pl.lit(simulation.as_of).cast(pl.Datetime("us", "UTC"))
    statements = found.with_columns(
        ts_arrival=known_at, source=pl.lit(AUDIT), label_version=pl.lit("1"), label=pl.col("label").cast(pl.Int8)
    )
    outcomes = simulation.outcomes
    if "audit_prob" not in outcomes.columns:
        outcomes = outcomes.with_columns(pl.lit(None, dtype=pl.Float64).alias("audit_prob"))
    return replace(simulation, outcomes=pl.concat([outcomes, statements.select(outcomes.columns)]))
