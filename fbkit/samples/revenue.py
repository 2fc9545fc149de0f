"""A simulated shop: revenue is predicted for every view of a session, two versions serve, offers touch some users."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from fbkit.samples.world import Floats, Ints

UTC_US: Final = pl.Datetime("us", "UTC")
VERSIONS: Final = ("1", "2")
SELLERS: Final = ("large", "small")
# Standard deviation of log revenue about its forecast; the second version has learnt less of it.
NOISE: Final = np.array([0.35, 0.55])
# Share of sessions whose purchases nobody could have foreseen, and how much larger they are.
SURPRISE, TIMES = 0.04, 6.0
_Z90: Final = 1.2815515655446004

CONTRACT: Final = """\
format = 1

[model]
name = "session-revenue"
task = "regression"
purpose = "Predict what a view earns, and offer a discount where it pays."
business_metric = "revenue per session"

[predictions]
score_kind = "value"
columns = { entity_id = "user_id" }

[outcomes]
columns = { label = "revenue" }

[actions]

[label]
name = "revenue"
version = "1"
window = "2h"

[slices]
columns = ["model_version", "seller"]

[metrics]
primary = "mae"
report = ["mae", "bias", "wape", "error_p95"]

[slo]
latency_ms = { p95 = 120 }
cost_per_1000 = { maximum = 0.6 }

[[costs]]
component = "features"
per_call = 0.0001
per_month = 40.0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevenueConfig:
    """Traffic of the shop; sessions hold one to six views, users come back."""

    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    days: int = 21
    sessions_per_day: int = 120
    users: int = 900
    offered: float = 0.3
    unlabelled: float = 0.03

    @property
    def as_of(self) -> datetime:
        """When every window has closed: half a day after the last one."""
        return self.start + timedelta(days=self.days, hours=12)

    @property
    def last_72_hours(self) -> str:
        """The last three days of predictions, as a period."""
        end = self.start + timedelta(days=self.days)
        return f"{end - timedelta(hours=72):%Y-%m-%d}..{end:%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revenue:
    """The logs of the shop."""

    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    actions: pl.DataFrame

    def write(self, folder: Path) -> Path:
        """Write the loop folder: contract.toml and one Parquet file per log."""
        for name in ("predictions", "outcomes", "actions"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            getattr(self, name).write_parquet(folder / name / "part.parquet")
        (folder / "contract.toml").write_text(CONTRACT, encoding="utf-8")
        return folder


def revenue(config: RevenueConfig | None = None, *, seed: int) -> Revenue:
    """Simulate the shop; the same configuration and seed give the same rows.

    A user sees one version, and one offer or none in a session. What a session's views earn differs from the
    forecast by a factor that they share, so that views of a session are not independent, nor are a user's sessions.

    Examples
    --------
    >>> shop = revenue(RevenueConfig(days=2, sessions_per_day=5), seed=1)
    >>> shop.predictions["session_id"].n_unique()
    10
    """
    config = config or RevenueConfig()
    rng = np.random.default_rng(seed)
    sessions = config.days * config.sessions_per_day
    user = rng.integers(0, config.users, size=sessions)
    begun = np.sort(rng.random(sessions)) * (config.days - 0.02)
    views = 1 + rng.binomial(5, 0.35, size=sessions)
    session = np.repeat(np.arange(sessions), views)
    offered = rng.random(sessions) < config.offered
    forecast = np.exp(rng.normal(1.2, 0.8, size=len(session))).round(4)
    earned = forecast * _factor(rng, user, sessions)[session] * np.exp(rng.normal(0, 0.1, size=len(session)))
    predictions = _predictions(rng, config, session=session, user=user, begun=begun, forecast=forecast)
    return Revenue(
        predictions=predictions,
        outcomes=_outcomes(rng, config, predictions, earned=earned),
        actions=predictions.select(
            "prediction_id", action=pl.Series(np.where(offered[session], "offer", "none")), ts_action=pl.col("ts_pred")
        ),
    )


def _version(user: Ints) -> Ints:
    return user % 2


def _factor(rng: np.random.Generator, user: Ints, sessions: int) -> Floats:
    """What a session earned over its forecast: partly the user's habit, partly chance, now and then a surprise."""
    habit = rng.normal(size=int(user.max()) + 1)
    spread = NOISE[_version(user)] * (0.6 * habit[user] + 0.8 * rng.normal(size=sessions))
    return np.exp(spread) * np.where(rng.random(sessions) < SURPRISE, TIMES, 1.0)


def _predictions(
    rng: np.random.Generator, config: RevenueConfig, *, session: Ints, user: Ints, begun: Floats, forecast: Floats
) -> pl.DataFrame:
    rows = len(session)
    first = np.searchsorted(session, session, side="left")
    made = begun[session] + (np.arange(rows) - first) / 1440
    owner = user[session]
    sigma = NOISE[_version(owner)]
    feature, inference = rng.gamma(4.0, 8.0, size=rows).round(3), rng.gamma(9.0, 3.0, size=rows).round(3)
    post = rng.gamma(2.0, 1.0, size=rows).round(3)
    late = rng.random(rows) < 0.004
    return pl.DataFrame(
        {
            "prediction_id": pl.Series(np.arange(rows)).cast(pl.String).str.zfill(7),
            "ts_pred": _times(config, made),
            "user_id": pl.Series(owner).cast(pl.String),
            "session_id": pl.Series(session).cast(pl.String),
            "model_version": np.array(VERSIONS)[_version(owner)],
            "seller": np.array(SELLERS)[(rng.random(rows) < 0.3).astype(int)],
            "score": forecast,
            "score_p10": forecast * np.exp(-_Z90 * sigma),
            "score_p90": forecast * np.exp(_Z90 * sigma),
            "latency_ms": feature + inference + post,
            "latency_feature_ms": feature,
            "latency_inference_ms": inference,
            "latency_post_ms": post,
            "status": np.where(late, "timeout", "ok"),
            "cost": np.where(rng.random(rows) < 0.5, 0.0003, np.nan),
        }
    ).with_columns(pl.col("cost").fill_nan(None))


def _outcomes(
    rng: np.random.Generator, config: RevenueConfig, predictions: pl.DataFrame, *, earned: Floats
) -> pl.DataFrame:
    rows = len(earned)
    event = predictions["ts_pred"] + pl.Series(rng.integers(60, 5400, size=rows) * 1_000_000).cast(pl.Duration("us"))
    value = np.round(earned, 4)
    frame = pl.DataFrame(
        {
            "prediction_id": predictions["prediction_id"],
            "ts_event": event,
            "ts_arrival": event + timedelta(minutes=10),
            "revenue": value,
            "amount": value,
        }
    )
    kept = frame.filter(pl.Series(rng.random(rows) >= config.unlabelled))
    return kept.filter(pl.col("ts_arrival") <= config.as_of).sort("ts_arrival", "prediction_id")


def _times(config: RevenueConfig, days: Floats) -> pl.Series:
    start = np.datetime64(config.start.replace(tzinfo=None), "us")
    return pl.Series(start + np.floor(days * 86_400).astype("timedelta64[s]")).dt.replace_time_zone("UTC").cast(UTC_US)
