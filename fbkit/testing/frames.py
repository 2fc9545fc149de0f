"""Joined tables made by hand or at random, without logs and without a join."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from fbkit.schema.contract import Contract

START = datetime(2026, 3, 2, tzinfo=UTC)
STATES = pl.Enum(["positive", "negative", "labelled", "pending", "missing", "censored"])
CONTRACT = """
[model]
name = "test"
task = "{task}"
[predictions]
path = "predictions.csv"
[outcomes]
path = "outcomes.csv"
[label]
window = "7d"
[decision]
threshold = 0.5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeJoined:
    """The shape of a joined table, for functions that take one."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str = "test"
    audit: pl.DataFrame = field(default_factory=pl.DataFrame)


def make_joined(
    *,
    scores: Sequence[float],
    labels: Sequence[float | None],
    flags: Sequence[bool | None] | None = None,
    entities: Sequence[str | None] | None = None,
    ages: Sequence[float] | None = None,
    arrival_days: Sequence[float | None] | None = None,
    states: Sequence[str] | None = None,
    columns: Mapping[str, object] | None = None,
    as_of: datetime = START + timedelta(days=60),
    task: str = "binary",
) -> FakeJoined:
    """A joined table of these rows; ``ages`` are days before ``as_of`` (default 30), the label window is 7 days.

    States follow from labels unless given: null is pending while the window is open, then missing.
    """
    n = len(scores)
    days = pl.Series([30.0] * n if ages is None else list(ages), dtype=pl.Float64)
    lags = pl.Series(
        [None if label is None else 1.0 for label in labels] if arrival_days is None else list(arrival_days),
        dtype=pl.Float64,
    )
    day = 86_400_000_000
    frame = pl.DataFrame(
        {
            "prediction_id": pl.Series([f"p-{i:06d}" for i in range(n)], dtype=pl.String),
            "score": pl.Series(list(scores), dtype=pl.Float64),
            "threshold": pl.Series([0.5] * n, dtype=pl.Float64),
            "flagged": pl.Series([s >= 0.5 for s in scores] if flags is None else list(flags), dtype=pl.Boolean),
            "entity": pl.Series([None] * n if entities is None else list(entities), dtype=pl.String),
            "label": pl.Series(list(labels), dtype=pl.Float64),
            "arrival_lag": (lags * day).round().cast(pl.Int64).cast(pl.Duration("us")),
        }
    )
    frame = frame.with_columns(
        (pl.lit(as_of) - (days * day).round().cast(pl.Int64).cast(pl.Duration("us"))).alias("ts_pred")
    )
    frame = frame.with_columns(
        (pl.col("ts_pred") + pl.col("arrival_lag")).alias("ts_arrival"),
        (pl.col("ts_pred") + timedelta(days=7) <= as_of).alias("mature"),
        pl.lit(None, dtype=pl.String).alias("model_version"),
        **{name: pl.Series(values) for name, values in (columns or {}).items()},  # pyright: ignore[reportArgumentType]  # any values
    )
    known = (
        "labelled"
        if task != "binary"
        else pl.when(pl.col("label") >= 0.5).then(pl.lit("positive")).otherwise(pl.lit("negative"))
    )
    state = (
        pl.when(pl.col("label").is_not_null())
        .then(pl.lit(known) if isinstance(known, str) else known)
        .when("mature")
        .then(pl.lit("missing"))
        .otherwise(pl.lit("pending"))
    )
    chosen = state if states is None else pl.lit(pl.Series(list(states), dtype=pl.String))
    frame = frame.with_columns(chosen.cast(STATES).alias("state")).sort("ts_pred", "prediction_id")
    return FakeJoined(frame=frame, contract=Contract.from_toml(CONTRACT.format(task=task)), as_of=as_of)


def random_joined(
    n: int, *, seed: int = 0, missing: float = 0.2, entities: int | None = None, groups: int = 4, days: int = 28
) -> FakeJoined:
    """``n`` calibrated predictions over ``days`` days with group, region (some null) and labels lost at random."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(1.2, 2.5, n), 3)
    labels = (rng.random(n) < scores).astype(float)
    lost = rng.random(n) < missing
    regions = np.array(["EU", "US", None], dtype=object)
    return make_joined(
        scores=scores.tolist(),
        labels=[None if gone else value for gone, value in zip(lost, labels.tolist(), strict=True)],
        entities=None if entities is None else [f"e{code}" for code in rng.integers(0, entities, n)],
        ages=rng.uniform(0, days, n).tolist(),
        arrival_days=[None if gone else 0.0 for gone in lost],
        columns={
            "group": [f"g{code}" for code in rng.integers(0, groups, n)],
            "region": regions[rng.integers(0, 3, n)].tolist(),
        },
    )
