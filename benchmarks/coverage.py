"""Do 95 % intervals hold the true value in 95 % of samples: every metric and differences, over a grid of known worlds.

    python benchmarks/coverage.py --samples 400 --seeds-from-commit

Counted are the cells of the grid where the metric's own denominator is 200 or more and 20 or more rows are positive.
Tables: "rows" (independent), "entities" and "uneven entities" (seen five times, alike in score and label; once with the
interval that knows it and once with the naive one that does not), "differences" (of two samples), "same rows" (two
models), "regression". With --seeds-from-commit the seeds follow from the commit id and the table's name, so that nobody
can choose them; without it from the name alone (for development).
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from scipy.special import expit, logit, ndtri

from fbkit.measure.metrics import metrics
from fbkit.measure.stats.intervals import Array, clopper_pearson, difference
from fbkit.measure.stats.paired import Difference, mcnemar, paired_auc, paired_average_precision, paired_ratio
from fbkit.testing.frames import FakeJoined
from fbkit.testing.known_worlds import SAMPLE, SHAPES, RegressionWorld, World

DENOMINATOR, POSITIVES, LOW, HIGH = 200, 20, 0.93, 0.97
PROPORTIONS: Final = ("recall", "precision", "specificity", "accuracy", "f1", "base_rate")
MEANS: Final = ("brier", "log_loss", "mae", "bias", "rmse")
FURTHER: Final = ("npv", "false_positive_rate", "balanced_accuracy", "mcc", "f0_5", "f2")
BINARY: Final = (*PROPORTIONS, *FURTHER, "roc_auc", "average_precision", *MEANS)
CENTRAL: Final = ("mae", "bias", "rmse")

GRID: Final = (
    World(n=250, base_rate=0.3, flag_rate=0.3, strength=1.5),
    World(n=250, base_rate=0.1, flag_rate=0.2, strength=1.5, calibrated=False),
    World(n=400, base_rate=0.06, flag_rate=0.05, strength=2.5),
    World(n=400, base_rate=0.5, flag_rate=0.6, strength=0.7, decimals=1),
    World(n=600, base_rate=0.5, flag_rate=0.5, strength=3.0, calibrated=False),
    World(n=700, base_rate=0.3, flag_rate=0.3, strength=3.5),
    World(n=1000, base_rate=0.2, flag_rate=0.2, strength=1.0, decimals=2),
    World(n=1000, base_rate=0.03, flag_rate=0.2, strength=2.5),
    World(n=2000, base_rate=0.1, flag_rate=0.1, strength=2.0),
    World(n=2000, base_rate=0.02, flag_rate=0.1, strength=4.0, decimals=2),
    World(n=2500, base_rate=0.1, flag_rate=0.3, strength=1.0, calibrated=False),
    World(n=5000, base_rate=0.05, flag_rate=0.05, strength=3.0, calibrated=False, decimals=2),
)
BY_ENTITY: Final = (
    World(n=400, base_rate=0.5, flag_rate=0.5, strength=1.5, repeats=5),
    World(n=400, base_rate=0.5, flag_rate=0.5, strength=2.5, repeats=5, alike=0.8),
    World(n=700, base_rate=0.3, flag_rate=0.3, strength=3.0, repeats=5, alike=0.8),
    World(n=1000, base_rate=0.2, flag_rate=0.2, strength=1.5, repeats=5, calibrated=False),
    World(n=1000, base_rate=0.1, flag_rate=0.2, strength=2.0, repeats=5, alike=0.8),
    World(n=2500, base_rate=0.1, flag_rate=0.1, strength=1.5, repeats=5, decimals=1, alike=0.8),
)
UNEVEN: Final = tuple(replace(world, uneven=True) for world in BY_ENTITY)


def seed_for(table: str, commit: str | None) -> int:
    """SHA-256 of commit id and table name, or of the table name alone."""
    return int.from_bytes(hashlib.sha256(f"{commit or 1}|{table}".encode()).digest()[:8])


def truths(world: World) -> pl.DataFrame:
    """The true values, and whether the metric's own denominator and the positives are many enough."""
    joined = world.population()
    found = metrics(joined, list(BINARY), weights="weight").select("metric", pl.col("value").alias("truth"))
    rows = joined.frame.select(y="label", f=pl.col("flagged").cast(pl.Float64), w="weight")
    y, f = pl.col("y"), pl.col("f")
    denominators = {
        **dict.fromkeys(("recall", "balanced_accuracy"), y),
        **dict.fromkeys(("specificity", "false_positive_rate"), 1 - y),
        **dict.fromkeys(("f1", "f0_5", "f2"), y + f - y * f),
        "precision": f,
        "npv": 1 - f,
    }
    shares = rows.select(**{name: (part * pl.col("w")).sum() for name, part in denominators.items()}).row(0, named=True)
    weight = float(rows["w"].sum())
    enough = world.n * world.base_rate >= POSITIVES
    sizes = {name: world.n * shares.get(name, weight) / weight for name in BINARY}
    fits = pl.DataFrame({"metric": list(sizes), "counts": [enough and size >= DENOMINATOR for size in sizes.values()]})
    return found.join(fits, on="metric")


def estimates(world: World, samples: int, rng: np.random.Generator, *, naive: bool = False) -> pl.DataFrame:
    """Values and intervals of the metrics that count in this world, by sample, with the truth."""
    joined = world.samples(samples, rng)
    if naive:
        frame = joined.frame.with_columns(pl.lit(None, dtype=pl.String).alias("entity"))
        joined = FakeJoined(frame=frame, contract=joined.contract, as_of=joined.as_of)
    true = truths(world).filter("counts")
    found = metrics(joined, true["metric"].to_list(), by=SAMPLE)
    return found.select(SAMPLE, "metric", "value", "lower", "upper").join(true, on="metric")


def covered(frame: pl.DataFrame) -> pl.DataFrame:
    """Share of samples whose interval holds the truth, by metric; without an interval it does not."""
    holds = pl.col("truth").is_between("lower", "upper").fill_null(value=False)
    return frame.group_by("metric", maintain_order=True).agg(holds.mean().alias("coverage"))


def rows_table(worlds: Sequence[World], samples: int, rng: np.random.Generator, *, naive: bool = False) -> pl.DataFrame:
    """Coverage by metric and world."""
    return pl.concat([covered(estimates(world, samples, rng, naive=naive)) for world in worlds])


def differences_table(samples: int, rng: np.random.Generator) -> pl.DataFrame:
    """Second less first, of each world and the one after it (other size, rates and strength)."""
    made = []
    for first, second in zip(GRID, (*GRID[1:], GRID[0]), strict=True):
        one, two = (estimates(world, samples, rng) for world in (first, second))
        both = one.join(two, on=[SAMPLE, "metric"], suffix="_2")
        lower, upper = difference(
            (both["value"], both["lower"], both["upper"]), (both["value_2"], both["lower_2"], both["upper_2"])
        )
        gap = (pl.col("truth_2") - pl.col("truth")).alias("truth")
        made.append(covered(both.select("metric", gap, pl.Series("lower", lower), pl.Series("upper", upper))))
    return pl.concat(made)


def second_model(score: Array, noise: Array) -> Array:
    """A model that sees the first one's log odds through noise."""
    return expit(logit(np.clip(score, 1e-3, 1 - 1e-3)) + noise)


def gains(score: Array, second: Array, label: Array, weight: Array | None = None) -> dict[str, Difference]:
    """What the second model gains over the first."""
    ones = np.ones_like(score) if weight is None else weight
    right = [ones * ((part >= 0.5) == (label == 1)) for part in (score, second)]
    errors = [(ones * (part - label) ** 2, ones) for part in (score, second)]
    return {
        "roc_auc, same rows": paired_auc(score, second, label, weights=weight),
        "average_precision, same rows": paired_average_precision(score, second, label, weights=weight),
        "brier, same rows": paired_ratio(errors[0], errors[1]),
        "accuracy, same rows": mcnemar(*right) if weight is None else paired_ratio((right[0], ones), (right[1], ones)),
    }


def pairs_table(samples: int, rng: np.random.Generator) -> pl.DataFrame:
    """Two models on the same rows; the truth from a lattice of x and noise."""
    made = []
    places = ndtri((np.arange(300) + 0.5) / 300)
    for world in GRID[:8]:
        x, noise = np.repeat(places, 300), np.tile(places, 300)
        score, p = world.score(x), world.probability(x)
        label, weight = np.repeat([1.0, 0.0], len(x)), np.concatenate([p, 1 - p])
        law = gains(np.tile(score, 2), np.tile(second_model(score, noise), 2), label, weight)
        frame = world.samples(samples, rng).frame
        found = []
        for _, part in frame.group_by(SAMPLE, maintain_order=True):
            first = part["score"].to_numpy()
            second = second_model(first, rng.normal(size=len(first)))
            for name, one in gains(first, second, part["label"].to_numpy()).items():
                found.append({"metric": name, "truth": law[name].value, "lower": one.lower, "upper": one.upper})
        made.append(covered(pl.DataFrame(found)))
    return pl.concat(made)


def regression_table(samples: int, rng: np.random.Generator) -> pl.DataFrame:
    """Mean errors of several shapes, rows independent and by entities."""
    made = []
    worlds = [
        RegressionWorld(n=n, shape=shape, repeats=repeats)
        for n, repeats in ((200, 1), (1000, 1), (500, 5), (2000, 5))
        for shape in SHAPES
    ]
    for world in worlds:
        found = metrics(world.samples(samples, rng), list(CENTRAL), by=SAMPLE)
        true = pl.DataFrame({"metric": list(CENTRAL), "truth": [world.truth(name) for name in CENTRAL]})
        made.append(covered(found.join(true, on="metric")))
    return pl.concat(made)


TABLES: Final[dict[str, Callable[[int, np.random.Generator], pl.DataFrame]]] = {
    "rows": lambda samples, rng: rows_table(GRID, samples, rng),
    "entities": lambda samples, rng: rows_table(BY_ENTITY, samples, rng),
    "entities, naive": lambda samples, rng: rows_table(BY_ENTITY, samples, rng, naive=True),
    "uneven entities": lambda samples, rng: rows_table(UNEVEN, samples, rng),
    "uneven entities, naive": lambda samples, rng: rows_table(UNEVEN, samples, rng, naive=True),
    "differences": differences_table,
    "same rows": pairs_table,
    "regression": regression_table,
}


def summary(table: str, found: pl.DataFrame, *, samples: int, seconds: float) -> pl.DataFrame:
    """Mean coverage by metric over the cells of the grid, its exact interval, the lowest and the highest cell."""
    share = pl.col("coverage")
    lines = found.group_by("metric", maintain_order=True).agg(
        share.mean(), share.min().alias("lowest"), share.max().alias("highest"), pl.len().alias("cells")
    )
    drawn = lines["cells"].to_numpy() * samples
    lower, upper = clopper_pearson(np.round(lines["coverage"].to_numpy() * drawn), drawn)
    lines = lines.with_columns(pl.Series("lower", lower), pl.Series("upper", upper))
    return lines.select(pl.lit(table).alias("table"), pl.all(), pl.lit(round(seconds, 1)).alias("seconds"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; exit status 1 when a mean coverage of an interval that should hold leaves 93-97 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400, help="samples per cell of the grid")
    parser.add_argument("--tables", default=";".join(TABLES), help="table names, separated by a semicolon")
    parser.add_argument(
        "--seeds-from-commit", action="store_true", help="seeds from the commit id and the table's name"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of tables")
    options = parser.parse_args(arguments)
    commit = _commit() if options.seeds_from_commit else None
    outside = 0
    if not options.json:
        print(f"seeds from {'commit ' + commit if commit else 'the names of the tables alone (development)'}")
    for table in options.tables.split(";"):
        start = time.process_time()
        found = TABLES[table](options.samples, np.random.default_rng(seed_for(table, commit)))
        lines = summary(table, found, samples=options.samples, seconds=time.process_time() - start)
        outside += 0 if table.endswith("naive") else lines.filter(~pl.col("coverage").is_between(LOW, HIGH)).height
        for line in lines.iter_rows(named=True):
            print(json.dumps(line) if options.json else _line(line), flush=True)
    return 1 if outside else 0


def _line(line: dict[str, Any]) -> str:
    note = "" if LOW <= line["coverage"] <= HIGH else "  <- outside"
    return (
        f"{line['table']:24} {line['metric']:30} {line['coverage']:.4f}  "
        f"[{line['lower']:.3f}, {line['upper']:.3f}]  "
        f"({line['lowest']:.3f} to {line['highest']:.3f} over {line['cells']} cells){note}"
    )


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
