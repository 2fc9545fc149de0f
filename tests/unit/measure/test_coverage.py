"""Do 95 % intervals cover 95 %: on worlds whose true value is known."""

import numpy as np
import polars as pl
import pytest

from fbkit.measure.metrics import metrics
from fbkit.measure.stats.intervals import difference, grouped_jackknife, newcombe, wilson
from fbkit.testing.frames import FakeJoined
from fbkit.testing.known_worlds import SAMPLE, SHAPES, RegressionWorld, World

LOW, HIGH = 0.93, 0.97


def test_wilson_covers_on_average_over_shares() -> None:
    from scipy.stats import binom

    shares, n = np.linspace(0.05, 0.95, 181), 200
    k = np.arange(n + 1)
    lower, upper = wilson(k, n)
    covered = [(binom.pmf(k, n, p) * ((lower <= p) & (p <= upper))).sum() for p in shares]
    assert LOW < np.mean(covered) < HIGH


def test_newcombe_covers_a_difference() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.binomial(200, 0.8, 4000), rng.binomial(300, 0.7, 4000)
    lower, upper = newcombe(first, 200, second, 300)
    assert LOW < np.mean((lower <= -0.1) & (upper >= -0.1)) < HIGH


METRICS = [
    "recall", "precision", "specificity", "accuracy", "f1", "base_rate", "roc_auc", "average_precision", "brier",
    "log_loss", "mae", "bias", "rmse",
]  # fmt: skip
# Smaller than benchmarks/coverage.py, which measures the whole grid; three standard errors around 93 and 97 %.
WORLDS = (
    World(n=700, base_rate=0.35, flag_rate=0.35, strength=3.0, calibrated=False),
    World(n=1200, base_rate=0.2, flag_rate=0.2, strength=1.5, decimals=2),
)
BY_ENTITY = (
    World(n=700, base_rate=0.4, flag_rate=0.4, strength=2.5, repeats=5, alike=0.8),
    World(n=1200, base_rate=0.25, flag_rate=0.25, strength=1.5, repeats=5, uneven=True),
)


def covered(world: World, *, samples: int, seed: int, naive: bool = False) -> pl.DataFrame:
    """Share of samples whose interval holds the truth, by metric."""
    joined = world.samples(samples, np.random.default_rng(seed))
    if naive:
        frame = joined.frame.with_columns(pl.lit(None, dtype=pl.String).alias("entity"))
        joined = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
    true = metrics(world.population(), METRICS, weights="weight").select("metric", pl.col("value").alias("truth"))
    found = metrics(joined, METRICS, by=SAMPLE).join(true, on="metric")
    holds = pl.col("truth").is_between("lower", "upper").fill_null(value=False)
    return found.group_by("metric", maintain_order=True).agg(holds.mean().alias("share"))


def mean_of(parts: list[pl.DataFrame]) -> dict[str, float]:
    return dict(pl.concat(parts).group_by("metric").agg(pl.col("share").mean()).iter_rows())


def test_every_metric_covers_its_true_value() -> None:
    shares = mean_of([covered(world, samples=350, seed=seed) for seed, world in enumerate(WORLDS)])
    assert {name: share for name, share in shares.items() if not 0.925 < share < 0.975} == {}


def test_entities_seen_five_times_need_the_interval_that_knows_it() -> None:
    robust = mean_of([covered(world, samples=250, seed=seed) for seed, world in enumerate(BY_ENTITY)])
    naive = mean_of([covered(world, samples=250, seed=seed, naive=True) for seed, world in enumerate(BY_ENTITY)])
    assert {name: share for name, share in robust.items() if not 0.92 < share < 0.98} == {}
    assert {name: share for name, share in naive.items() if share > 0.9} == {}
    assert np.mean(list(naive.values())) < 0.85


def test_few_positives_and_a_high_area_are_covered_on_either_side() -> None:
    world = World(n=400, base_rate=0.06, flag_rate=0.05, strength=2.5)
    truth = metrics(world.population(), "roc_auc", weights="weight")["value"].item()
    found = metrics(world.samples(500, np.random.default_rng(3)), "roc_auc", by=SAMPLE)
    above, below = (found["lower"] > truth).mean(), (found["upper"] < truth).mean()
    assert above < 0.06
    assert below < 0.04
    assert 0.92 < 1 - above - below < 0.98


@pytest.mark.parametrize("shape", list(SHAPES))
def test_means_of_skewed_errors_are_covered(shape: str) -> None:
    world = RegressionWorld(n=400, shape=shape)
    names = ["mae", "bias", "rmse"]
    found = metrics(world.samples(400, np.random.default_rng(4)), names, by=SAMPLE)
    for name in names:
        part = found.filter(metric=name)
        held = part.select(pl.lit(world.truth(name)).is_between(pl.col("lower"), pl.col("upper")).mean()).item()
        assert 0.915 < held < 0.98, name


def test_a_difference_of_any_two_intervals_covers() -> None:
    one, two = World(n=600, base_rate=0.3, strength=2.0), World(n=900, base_rate=0.2, strength=3.0)
    names = ["roc_auc", "average_precision", "brier", "accuracy"]
    parts = []
    for seed, world in enumerate((one, two)):
        true = metrics(world.population(), names, weights="weight").select("metric", pl.col("value").alias("truth"))
        parts.append(metrics(world.samples(400, np.random.default_rng(seed)), names, by=SAMPLE).join(true, on="metric"))
    both = parts[0].join(parts[1], on=[SAMPLE, "metric"], suffix="_2")
    lower, upper = difference(
        (both["value"], both["lower"], both["upper"]), (both["value_2"], both["lower_2"], both["upper_2"])
    )
    gap = (both["truth_2"] - both["truth"]).to_numpy()
    held = (
        both.select("metric", pl.Series("held", (lower <= gap) & (gap <= upper)))
        .group_by("metric")
        .agg(pl.col("held").mean())
    )
    assert all(0.915 < share < 0.98 for share in held["held"])


def test_entities_by_buckets_cover_like_entities() -> None:
    rng = np.random.default_rng(5)
    held = []
    for _ in range(400):
        own = rng.beta(2, 2, 320)  # each entity has its own rate, 0.5 on average
        hits = rng.binomial(5, own)
        bucket = rng.integers(0, 64, 320)
        a, b = np.bincount(bucket, weights=hits, minlength=64), np.bincount(bucket, minlength=64) * 5.0
        _, lower, upper = grouped_jackknife(a, b, rows=1600)
        held.append(lower <= 0.5 <= upper)
    assert 0.92 < np.mean(held) < 0.98
