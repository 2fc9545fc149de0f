"""A simulated chargeback loop: only positives are ever reported, up to 90 days late; its truth is known."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import polars as pl

from fbkit.samples.world import Bools, Floats, Ints

UTC_US: Final = pl.Datetime("us", "UTC")
REGIONS: Final = ("EU", "US", "APAC")
REGION_SHARE: Final = np.array([0.45, 0.35, 0.20])
REGION_SHIFT: Final = np.array([0.0, 0.25, -0.35])
DEVICES: Final = ("web", "app")
THRESHOLD: Final = 0.12
METRICS: Final = ("precision", "recall", "average_precision", "roc_auc", "brier", "base_rate")
TRUTH_ROWS: Final = 2_000_000
_SPREAD: Final = 1.7
_GRID: Final = np.linspace(0.0, 86.0, 8601)

CONTRACT: Final = """\
format = 1

[model]
name = "chargebacks"
task = "binary"
purpose = "Flag card payments that will be charged back."

[predictions]
columns = {{ entity_id = "account_id" }}

[outcomes]

[label]
name = "chargeback"
version = "1"
window = "90d"
stages = ["30d", "60d"]
silence = "negative"
sources = ["auto", "backfill"]

[decision]
threshold = {threshold}

[slices]
columns = ["region", "device"]

[metrics]
primary = "precision"
report = ["precision", "recall", "average_precision", "brier"]

[slo]
feed_completeness = {{ at = "60d", minimum = 0.90 }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """The feed of one region (None: of all) loses what would arrive in ``days`` days from day ``first`` on.

    ``kept`` is the share that arrives nevertheless; on day ``backfill`` (if any) the rest is delivered, marked so.
    """

    first: int
    days: int
    region: str | None = "EU"
    kept: float = 0.0
    backfill: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargebackConfig:
    """Traffic, base rate and faults; days count from ``start``, which is a Monday.

    ``drop_day`` and ``drop``: from that day on flagged payments are charged back ``drop`` (a share) less often.
    """

    start: datetime = datetime(2025, 9, 1, tzinfo=UTC)
    days: int = 252
    per_day: int = 1500
    base_rate: float = 0.012
    drop_day: int | None = None
    drop: float = 0.0
    outage: Outage | None = None
    business_days: bool = True

    @property
    def as_of(self) -> datetime:
        """The moment after the last simulated day."""
        return self.start + timedelta(days=self.days)


@dataclass(frozen=True)
class Chargebacks:
    """The logs of one simulated loop and what was true.

    ``final`` holds for every prediction whether it was ever charged back (``label``) and when this would have
    reached a sound feed (``ts_sound``).
    """

    config: ChargebackConfig
    seed: int
    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    final: pl.DataFrame

    @property
    def contract_toml(self) -> str:
        """The contract of the loop."""
        return CONTRACT.format(threshold=THRESHOLD)

    @cached_property
    def truth(self) -> pl.DataFrame:
        """Expected metrics of every week, the same for every seed: period_start, metric, value."""
        config = self.config
        lines = [
            (config.start + timedelta(days=day), name, value)
            for day in range(0, config.days, 7)
            for name, value in expected(config.base_rate, drop=_drop_on(config, day)).items()
        ]
        return pl.DataFrame(
            lines, schema={"period_start": UTC_US, "metric": pl.String, "value": pl.Float64}, orient="row"
        )


def chargebacks(config: ChargebackConfig | None = None, *, seed: int) -> Chargebacks:
    """Simulate a loop in which silence means negative, but only after 90 days and only while the feed is up.

    Half of the chargebacks come within two weeks, the rest around day 45; flagged payments and large amounts are
    charged back sooner. The same configuration and seed give the same rows; an outage changes nothing else.

    Examples
    --------
    >>> made = chargebacks(ChargebackConfig(days=120, per_day=100), seed=1)
    >>> made.outcomes["label"].unique().to_list()
    [1]
    """
    config = config or ChargebackConfig()
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(config.days), rng.poisson(config.per_day, size=config.days))
    rows = len(day)
    region, score = _cases(rng, rows, base_rate=config.base_rate)
    flagged = score >= THRESHOLD
    amount = np.exp(rng.normal(3.5, 1.0, size=rows)).round(2)
    chance = score * np.where(flagged & (day >= _drop_day(config)), 1 - config.drop, 1.0)
    positive = rng.random(rows) < chance
    made = day + rng.random(rows)
    lag = _lags(rng, flagged=flagged, large=amount > 60)
    report = np.minimum(rng.gamma(2.0, 1.0, size=rows), lag)
    arrival = _on_business_days(made + lag, config=config)
    predictions = pl.DataFrame(
        {
            "prediction_id": _ids(rows),
            "ts_pred": _times(config, made),
            "account_id": pl.Series(rng.integers(0, 40 * config.per_day, size=rows)).cast(pl.String),
            "score": score,
            "model_version": pl.Series(["1"]).new_from_index(0, rows),
            "region": pl.Series(np.array(REGIONS)[region]),
            "device": pl.Series(np.array(DEVICES)[(rng.random(rows) < 0.4).astype(int)]),
            "amount": amount,
        }
    )
    statements = pl.DataFrame(
        {
            "prediction_id": predictions["prediction_id"],
            "ts_event": _times(config, made + lag - report),
            "ts_arrival": _times(config, arrival),
            "label": np.ones(rows, dtype=np.int8),
            "source": pl.Series(["auto"]).new_from_index(0, rows),
            "label_version": pl.Series(["1"]).new_from_index(0, rows),
        }
    )
    lost = _lost(config, region=region, arrival=arrival, luck=rng.random(rows))
    final = statements.select("prediction_id", pl.col("ts_arrival").alias("ts_sound"))
    return Chargebacks(
        config=config,
        seed=seed,
        predictions=predictions.sort("ts_pred", "prediction_id"),
        outcomes=_log(config, statements.with_columns(lost=lost).filter(pl.Series(positive))),
        final=final.with_columns(pl.Series("label", positive.astype(np.int8)), pl.Series("lost", lost)),
    )


@lru_cache(maxsize=64)
def expected(base_rate: float, *, drop: float = 0.0, region: str | None = None) -> dict[str, float]:
    """Expected metrics of a cohort, with probabilities in place of drawn outcomes, in one large sample."""
    rng = np.random.default_rng(2)
    regions, score = _cases(rng, TRUTH_ROWS, base_rate=base_rate)
    if region is not None:
        score = score[regions == REGIONS.index(region)]
    score = np.sort(score)[::-1]
    flagged = score >= THRESHOLD
    p = np.where(flagged, score * (1 - drop), score)
    hits, negatives = np.cumsum(p), np.cumsum(1 - p)
    total, rest = float(hits[-1]), float(negatives[-1])
    return {
        "precision": float(p[flagged].mean()),
        "recall": float(p[flagged].sum()) / total,
        "average_precision": float(np.sum(p * hits / np.arange(1, len(p) + 1))) / total,
        "roc_auc": float(np.sum((1 - p) * (hits - p / 2))) / (total * rest),
        "brier": float(np.mean(score**2 + p * (1 - 2 * score))),
        "base_rate": total / len(p),
    }


def _cases(rng: np.random.Generator, rows: int, *, base_rate: float) -> tuple[Ints, Floats]:
    """Regions and scores; a score is the probability of a chargeback before anything drops."""
    region = rng.choice(len(REGIONS), size=rows, p=REGION_SHARE)
    logit = _intercept(base_rate) + REGION_SHIFT[region] + _SPREAD * rng.normal(size=rows)
    return region, 1 / (1 + np.exp(-logit))


@lru_cache(maxsize=64)
def _intercept(base_rate: float) -> float:
    """The intercept that gives this base rate, by bisection over normal quantiles."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    low, high = -15.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        p = 1 / (1 + np.exp(-(middle + REGION_SHIFT[:, None] + _SPREAD * nodes[None, :])))
        rate = float(REGION_SHARE @ (p @ weights)) / float(weights.sum())
        low, high = (middle, high) if rate < base_rate else (low, middle)
    return (low + high) / 2


def _lags(rng: np.random.Generator, *, flagged: Bools, large: Bools) -> Floats:
    """Days from payment to arrival: a fast and a slow hump, cut at day 86."""
    fast = rng.random(len(flagged)) < 0.45 + 0.2 * flagged + 0.15 * large
    luck = rng.random(len(flagged))
    return np.where(fast, np.interp(luck, _hump(2.0, 5.0), _GRID), np.interp(luck, _hump(9.0, 5.5), _GRID))


@lru_cache(maxsize=8)
def _hump(shape: float, scale: float) -> Floats:
    """Distribution function of a gamma law on the grid, cut at its end."""
    middle = (_GRID[1:] + _GRID[:-1]) / 2
    density = np.exp((shape - 1) * np.log(middle) - middle / scale)
    curve = np.concatenate([[0.0], np.cumsum(density)])
    return curve / curve[-1] + np.arange(len(curve)) * 1e-12


def _on_business_days(arrival: Floats, *, config: ChargebackConfig) -> Floats:
    """What comes at a weekend is delivered on Monday morning."""
    if not config.business_days:
        return arrival
    weekday = np.floor(arrival) % 7
    monday = np.floor(arrival) + (7 - weekday) + 0.25 + 0.25 * (arrival % 1)
    return np.where(weekday >= 5, monday, arrival)


def _lost(config: ChargebackConfig, *, region: Ints, arrival: Floats, luck: Floats) -> Bools:
    outage = config.outage
    if outage is None:
        return np.zeros(len(region), dtype=bool)
    down = (arrival >= outage.first) & (arrival < outage.first + outage.days) & (luck >= outage.kept)
    return down if outage.region is None else down & (region == REGIONS.index(outage.region))


def _log(config: ChargebackConfig, statements: pl.DataFrame) -> pl.DataFrame:
    """What the feed had delivered by the end: lost statements never, or as a backfill."""
    outage = config.outage
    if outage is None or outage.backfill is None:
        kept = statements.filter(~pl.col("lost"))
    else:
        later = pl.lit(config.start + timedelta(days=outage.backfill, hours=3)).cast(UTC_US)
        kept = statements.with_columns(
            pl.when("lost").then(later).otherwise("ts_arrival").alias("ts_arrival"),
            pl.when("lost").then(pl.lit("backfill")).otherwise("source").alias("source"),
        )
    known = kept.drop("lost").filter(pl.col("ts_arrival") <= config.as_of)
    return known.sort("ts_arrival", "prediction_id")


def _drop_day(config: ChargebackConfig) -> int:
    return config.days if config.drop_day is None else config.drop_day


def _drop_on(config: ChargebackConfig, day: int) -> float:
    return config.drop if day >= _drop_day(config) else 0.0


def _ids(rows: int) -> pl.Series:
    return pl.Series(np.arange(rows)).cast(pl.String).str.zfill(8)


def _times(config: ChargebackConfig, days: Floats) -> pl.Series:
    start = np.datetime64(config.start.replace(tzinfo=None), "us")
    seconds = np.floor(days * 86_400).astype("timedelta64[s]")
    return pl.Series(start + seconds).dt.replace_time_zone("UTC").cast(UTC_US)
