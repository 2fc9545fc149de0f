"""Two versions of one model, in the shadow of each other or on split traffic; what differs between them is known."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import numpy as np
import polars as pl

from fbkit.samples.world import Bools, Floats

UTC_US: Final = pl.Datetime("us", "UTC")
CHAMPION, CHALLENGER = "v1", "v2"
REGIONS: Final = ("EU", "US", "APAC")
REGION_SHARE: Final = np.array([0.45, 0.35, 0.20])
THRESHOLD: Final = 0.3
WINDOW_DAYS: Final = 7
_INTERCEPT, _SPREAD, _NOISE, _JITTER = -1.6, 1.8, 0.6, 0.15

CONTRACT: Final = """\
format = 1

[model]
name = "payment-fraud"
task = "binary"
purpose = "Stop fraudulent card payments before authorisation."

[predictions]
path = "predictions.parquet"
where = {{ environment = ["prod", "shadow"] }}
columns = {{ entity_id = "account_id" }}

[outcomes]
path = "outcomes.parquet"

[label]
name = "fraud"
window = "{window}d"
{also}
[decision]
threshold = {threshold}

[slices]
columns = ["region", "device"]
critical = [{{ region = "EU" }}, {{ region = "US" }}]

[metrics]
primary = "{primary}"
report = ["recall", "precision", "roc_auc", "brier"]

[slo]
latency_ms = {{ p95 = 120 }}
cost_per_1000 = {{ maximum = 0.40 }}

[budget]
added_latency_ms = {{ p95 = 20 }}

[[guardrails]]
metric = "recall"
max_drop = "0.03"

[[guardrails]]
metric = "roc_auc"
max_drop = "0.02"
"""
_ALSO: Final = """
[[label.also]]
name = "report"
window = "2d"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionsConfig:
    """Traffic, and what the challenger does differently; days count from ``start``, a Monday.

    ``design`` "shadow": both versions score every request, and outcomes name the champion's prediction. "split": each
    account is served by one of them, the challenger with the chance ``share``; ``lost`` is the share of the
    challenger's requests that never reach the log. ``drop``: by how much its recall is lower in the regions
    ``drop_in`` (None: in all). ``bait`` makes it follow what moves only the proxy label, which needs ``proxy``.
    ``labelled`` is the share of labels that arrive, by version (champion, challenger).
    """

    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)
    days: int = 28
    per_day: int = 400
    accounts: int = 4000
    design: Literal["shadow", "split"] = "shadow"
    share: float = 0.5
    lost: float = 0.0
    drop: float = 0.0
    drop_in: tuple[str, ...] | None = ("EU",)
    bait: float = 0.0
    proxy: bool = False
    labelled: tuple[float, float] = (0.9, 0.9)
    latency: tuple[float, float] = (60.0, 64.0)
    cost: tuple[float, float] = (0.00020, 0.00026)

    @property
    def as_of(self) -> datetime:
        """When every label window has closed."""
        return self.start + timedelta(days=self.days + WINDOW_DAYS + 1)


@dataclass(frozen=True)
class Versions:
    """The logs of one simulated loop; ``final`` holds every request's outcome, ``label`` and ``proxy``."""

    config: VersionsConfig
    seed: int
    predictions: pl.DataFrame
    outcomes: pl.DataFrame
    final: pl.DataFrame

    @property
    def contract_toml(self) -> str:
        """The contract of the loop."""
        proxy = self.config.proxy
        return CONTRACT.format(
            window=WINDOW_DAYS,
            threshold=THRESHOLD,
            also=_ALSO if proxy else "",
            primary="roc_auc" if proxy else "recall",
        )

    def write(self, folder: str | Path) -> Path:
        """Write the loop folder: the contract and a Parquet file per log. Returns the folder."""
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        self.predictions.write_parquet(root / "predictions.parquet")
        self.outcomes.write_parquet(root / "outcomes.parquet")
        (root / "contract.toml").write_text(self.contract_toml, encoding="utf-8")
        return root


def versions(config: VersionsConfig | None = None, *, seed: int) -> Versions:
    """Simulate a champion ``v1`` and a challenger ``v2``; the same configuration and seed give the same rows.

    Without ``drop`` and ``bait`` both versions are equally good: their scores differ by noise of the same law.

    Examples
    --------
    >>> made = versions(VersionsConfig(days=2, per_day=50), seed=1)
    >>> made.predictions["model_version"].value_counts(sort=True)["count"].to_list()
    [96, 96]
    """
    config = config or VersionsConfig()
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(config.days), rng.poisson(config.per_day, size=config.days))
    rows = len(day)
    account = rng.integers(0, config.accounts, rows)
    account_region = rng.choice(len(REGIONS), size=config.accounts, p=REGION_SHARE)
    served_by_challenger = rng.random(config.accounts) < config.share
    eta, taste = _INTERCEPT + _SPREAD * rng.normal(size=rows), rng.normal(size=rows)
    label = rng.random(rows) < _expit(eta)
    proxy = rng.random(rows) < _expit(1.0 + eta + 1.5 * taste)
    common = eta + _NOISE * rng.normal(size=rows)
    region = np.array(REGIONS)[account_region[account]]
    frame = pl.DataFrame(
        {
            "request_id": pl.Series(np.arange(rows)).cast(pl.String).str.zfill(7),
            "ts_pred": _times(config, np.sort(day + rng.random(rows))),
            "account_id": pl.Series(account).cast(pl.String),
            "region": region,
            "device": np.array(["web", "app"])[(rng.random(rows) < 0.4).astype(int)],
        }
    )
    scores = [_scores(rng, common), _scores(rng, common + config.bait * (taste - 0.5 * eta))]
    scores[1] = _spoiled(rng, config, score=scores[1], region=region)
    to_challenger = served_by_challenger[account]
    served = to_challenger if config.design == "split" else np.zeros(rows, dtype=bool)
    parts = [
        _log(rng, config, frame.with_columns(pl.Series("score", score)), number=number)
        for number, score in enumerate(scores)
    ]
    if config.design == "split":
        reached = rng.random(rows) >= config.lost
        parts = [parts[0].filter(pl.Series(~to_challenger)), parts[1].filter(pl.Series(to_challenger & reached))]
    final = frame.select("request_id", "ts_pred").with_columns(
        pl.Series("label", label.astype(np.int8)), pl.Series("proxy", proxy.astype(np.int8))
    )
    return Versions(
        config=config,
        seed=seed,
        predictions=pl.concat(parts).sort("ts_pred", "prediction_id"),
        outcomes=_outcomes(rng, config, final, served=served),
        final=final,
    )


def _scores(rng: np.random.Generator, logit: Floats) -> Floats:
    """A version's own view of what both know; shrunk, so that the noise leaves scores near probabilities."""
    return _expit(_INTERCEPT + 0.9 * (logit - _INTERCEPT) + _JITTER * rng.normal(size=len(logit)))


def _spoiled(rng: np.random.Generator, config: VersionsConfig, *, score: Floats, region: np.ndarray) -> Floats:
    """Flagged rows pushed below the threshold, so many that recall falls by ``drop``."""
    hit = np.ones(len(score), dtype=bool) if config.drop_in is None else np.isin(region, config.drop_in)
    # About 70 % of the positives are flagged, so this share of the flagged rows is ``drop`` of the positives.
    unlucky = hit & (score >= THRESHOLD) & (rng.random(len(score)) < config.drop / RECALL)
    return np.where(unlucky, THRESHOLD * score, score)


RECALL: Final = 0.695
"""Recall of both versions before anything is spoiled, in the long run."""


def _log(rng: np.random.Generator, config: VersionsConfig, frame: pl.DataFrame, *, number: int) -> pl.DataFrame:
    version = (CHAMPION, CHALLENGER)[number]
    latency = config.latency[number] * np.exp(0.35 * rng.normal(size=frame.height))
    shadow = config.design == "shadow" and number == 1
    return frame.with_columns(
        pl.concat_str(pl.lit(f"{version}-"), "request_id").alias("prediction_id"),
        pl.lit(version).alias("model_version"),
        pl.lit("shadow" if shadow else "prod").alias("environment"),
        pl.Series("latency_ms", latency.round(3)),
        pl.lit(config.cost[number]).alias("cost"),
    )


def _outcomes(rng: np.random.Generator, config: VersionsConfig, final: pl.DataFrame, *, served: Bools) -> pl.DataFrame:
    """What is reported about the prediction that was served, of the label and, if there is one, of its proxy."""
    rows = final.height
    version = pl.Series(np.where(served, CHALLENGER, CHAMPION))
    known = rng.random(rows) < np.where(served, config.labelled[1], config.labelled[0])
    keyed = final.with_columns(pl.concat_str(version, pl.lit("-"), "request_id").alias("prediction_id"))
    made = [_statements(rng, keyed.filter(pl.Series(known)), value="label", name="fraud", days=WINDOW_DAYS - 1)]
    if config.proxy:
        made.append(_statements(rng, keyed, value="proxy", name="report", days=1))
    return pl.concat(made).sort("ts_arrival", "prediction_id")


def _statements(rng: np.random.Generator, rows: pl.DataFrame, *, value: str, name: str, days: int) -> pl.DataFrame:
    delay = pl.Series((rng.random(rows.height) * days * 86_400e6).astype(np.int64)).cast(pl.Duration("us"))
    when = (rows["ts_pred"] + delay).alias("ts_event")
    return rows.select("prediction_id", when, pl.col(value).alias("label")).with_columns(
        (pl.col("ts_event") + timedelta(hours=1)).alias("ts_arrival"), pl.lit(name).alias("label_name")
    )


def _expit(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _times(config: VersionsConfig, days: Floats) -> pl.Series:
    start = np.datetime64(config.start.replace(tzinfo=None), "us")
    return pl.Series(start + (days * 86_400e6).astype(np.int64)).dt.replace_time_zone("UTC").cast(UTC_US)
