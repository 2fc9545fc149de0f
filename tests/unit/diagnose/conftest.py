"""A joined table made by hand: known truth, no simulator in the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

START = datetime(2026, 8, 3, tzinfo=UTC)
CONTRACT = """
[model]
name = "by-hand"
owners = ["the-team"]
[predictions]
path = "p.csv"
[outcomes]
path = "o.csv"
[label]
window = "7d"
silence = "{silence}"
[decision]
threshold = 0.5
[slices]
columns = ["region", "device"]
[value]
true_positive = 10.0
false_negative = -10.0
false_positive = -1.0
"""


@dataclass(frozen=True)
class Hand:
    """What triage asks of a joined table."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str = "by hand"
    data_through: dict[str, str | None] = field(default_factory=dict)
    changes: pl.DataFrame | None = None


COMPARISON = Comparison(reference="2026-08-03..2026-08-31", current="2026-08-31..2026-09-07")


@pytest.fixture
def weeks() -> Comparison:
    """Four reference weeks and one current week."""
    return COMPARISON


@pytest.fixture
def by_hand() -> Callable[..., Hand]:
    """A factory: five weeks of predictions, a calibrated score, labels for everyone unless told otherwise."""
    return make


def make(
    *,
    n: int = 20_000,
    seed: int = 0,
    lose: Callable[[pl.DataFrame, Any], Any] | None = None,
    truth: Callable[[pl.DataFrame], Any] | None = None,
    as_of: datetime = START + timedelta(days=60),
    silence: str = "missing",
    threshold: Callable[[pl.DataFrame], Any] | None = None,
    version: Callable[[pl.DataFrame], Any] | None = None,
    lag_days: tuple[float, float] = (1.0, 1.0),
    device: Callable[[Any, Any], Any] | None = None,
) -> Hand:
    """Build the frame; every callable gets the frame and answers one value per row."""
    rng = np.random.default_rng(seed)
    second = np.sort(rng.integers(0, 35 * 86_400, n))
    current = second >= 28 * 86_400
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{i:06d}" for i in range(n)],
            "ts_pred": pl.Series(np.datetime64(START.replace(tzinfo=None), "us") + second.astype("timedelta64[s]")),
            "score": np.round(rng.beta(0.5, 1.2, n), 3),
            "entity": [f"e{i}" for i in rng.integers(0, n // 4, n)],
            "region": np.array(["EU", "US", "APAC"])[rng.integers(0, 3, n)],
            "device": np.array(["web", "app"])[
                (device(rng.random(n), current) if device else rng.random(n) < 0.4).astype(int)
            ],
            "current": current,
        }
    ).with_columns(pl.col("ts_pred").dt.replace_time_zone("UTC"))
    limit = np.full(n, 0.5) if threshold is None else threshold(frame)
    frame = frame.with_columns(
        threshold=pl.Series(limit), model_version=pl.Series(version(frame) if version else ["1"] * n)
    )
    frame = frame.with_columns(flagged=pl.col("score") >= pl.col("threshold"))
    p = frame["score"].to_numpy() if truth is None else truth(frame)
    outcome = (rng.random(n) < p).astype(float)
    gone = np.zeros(n) if lose is None else lose(frame, outcome)
    known = rng.random(n) >= gone
    days = np.where(outcome == 1, lag_days[1], lag_days[0]) * rng.exponential(1.0, n)
    days = np.minimum(days, 6.9)
    age = (as_of - START).total_seconds() / 86_400 - second / 86_400
    known &= days <= age
    mature = age >= 7
    if silence == "negative":
        label = np.where(known & (outcome == 1), 1.0, np.where(mature, 0.0, np.nan))
    else:
        label = np.where(known, outcome, np.nan)
    lag = pl.Series((days * 86_400e6).astype(np.int64)).cast(pl.Duration("us"))
    frame = frame.with_columns(
        label=pl.Series(label).fill_nan(None),
        mature=pl.Series(mature),
        arrival_lag=pl.when(pl.Series(known & ((outcome == 1) | (silence == "missing")))).then(lag),
        outcome=pl.Series(outcome),
    )
    return Hand(frame=frame, contract=Contract.from_toml(CONTRACT.format(silence=silence)), as_of=as_of)
