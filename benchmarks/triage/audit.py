"""What an undecided diagnosis says after an audit: some rows without a label are drawn, labelled by the simulator."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.join.joined import Joined
from fbkit.samples.simulate import Simulation
from fbkit.samples.stages import build
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Comparison

FLAGGED, UNFLAGGED = 300, 500
BANDS: Final = 5


def after_audit(
    joined: Joined, simulation: Simulation, periods: Comparison, ask: Callable[[Simulation], Diagnosis]
) -> Mapping[str, Any]:
    """verdict and top_cause once 800 rows without a label were labelled, as the documented audit draws them."""
    chosen = drawn(joined.frame, periods, seed=simulation.seed)
    said = ask(replace(simulation, outcomes=with_answers(simulation, chosen)))
    return {"verdict": said.verdict, "top_cause": said.top_cause, "rows": chosen.height}


def drawn(frame: pl.DataFrame, periods: Comparison, *, seed: int) -> pl.DataFrame:
    """Current rows without a label, by decision and score band, each with its probability to be drawn."""
    current = periods.periods()[1]
    inside = (pl.col("ts_pred") >= current.start) & (pl.col("ts_pred") < current.end)
    rows = frame.filter(inside & pl.col("label").is_null()).select("prediction_id", "ts_pred", "score", "flagged")
    picks = np.random.default_rng(seed)
    parts: list[pl.DataFrame] = []
    for flagged, budget in ((True, FLAGGED), (False, UNFLAGGED)):
        side = rows.filter(pl.col("flagged") == flagged).sort("score", "prediction_id")
        # Unflagged positives are rare and stand high in the scores: half of those rows come from the top fifth.
        shares = [1.0] * BANDS if flagged else [0.5] * (BANDS - 1) + [2.0]
        for number, share in enumerate(shares):
            low, high = (side.height * edge // BANDS for edge in (number, number + 1))
            band = side.slice(low, high - low)
            chance = min(1.0, budget * share / sum(shares) / max(band.height, 1))
            parts.append(
                band.filter(pl.Series(picks.random(band.height) < chance, dtype=pl.Boolean)).with_columns(
                    audit_prob=pl.lit(chance)
                )
            )
    return pl.concat(parts)


def with_answers(simulation: Simulation, chosen: pl.DataFrame) -> pl.DataFrame:
    """The outcome log with what the audit found, known at the evaluation time."""
    world = build(simulation.config, simulation.faults, seed=simulation.seed)
    outcome = (world.uniform("outcome") < world.p).astype(np.int8)
    place = chosen["prediction_id"].str.slice(1).cast(pl.Int64).to_numpy()
    log = simulation.outcomes
    found = chosen.select(
        "prediction_id",
        (pl.col("ts_pred") + timedelta(hours=1)).alias("ts_event"),
        pl.lit(simulation.as_of).dt.cast_time_unit("us").alias("ts_arrival"),
        pl.Series("label", outcome[place]),
        pl.lit("audit").alias("source"),
        pl.lit("1").alias("label_version"),
        "audit_prob",
    )
    return pl.concat([log, found.with_columns(pl.col("label").cast(log["label"].dtype))], how="diagonal_relaxed")
