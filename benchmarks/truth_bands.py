"""Do the intervals of truth bands cover, and how long do truth bands of many rows take.

Run: `python benchmarks/truth_bands.py [--reps 400] [--rows 900000] [--json]`. Worlds: the label is 1 with chance
score^1.5, labels are lost by decision and score (at random within cells), or only labels of flagged positives are lost
(not at random). Shares of intervals that hold the population's value; the nominal level is 0.95.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import polars as pl

from fbkit.measure.bands import truth_bands
from fbkit.measure.labels.bounds import imbens_manski, worst_case
from fbkit.measure.labels.mar import make_cells
from fbkit.measure.labels.masses import METRICS, Rows, units_of
from fbkit.measure.labels.odds import tilted
from fbkit.testing.frames import FakeJoined, make_joined

POWER = 1.5


def world(rng: np.random.Generator, n: int, *, repeat: int, at_random: bool) -> tuple[Rows, Rows]:
    """Rows with labels lost, and the same rows complete."""
    owners = n // repeat
    score = np.repeat(rng.beta(1.2, 2.5, owners), repeat)
    shared = np.repeat(rng.random(owners), repeat)
    draw = shared if repeat == 1 else np.where(rng.random(len(score)) < 0.6, shared, rng.random(len(score)))
    label, flag = (draw < score**POWER).astype(float), (score >= 0.5).astype(float)
    seen = np.where(flag == 1, 0.4 + 0.3 * score, 0.9) if at_random else np.where((flag == 1) & (label == 1), 0.6, 1.0)
    order = np.argsort(score, kind="stable")
    cluster = None if repeat == 1 else np.repeat(np.arange(owners), repeat)[order]
    known = np.where(rng.random(len(score)) < seen, label, np.nan)
    lost = Rows.of(score[order], known[order], flag[order], cluster=cluster)
    return lost, Rows.of(score[order], label[order], flag[order], cluster=cluster)


def truths() -> dict[str, float]:
    score = np.sort(np.random.default_rng(0).beta(1.2, 2.5, 1_000_000))
    rows = Rows.of(score, score**POWER, (score >= 0.5).astype(float))
    found = {name: metric.slope(rows, *rows.labelled()) for name, metric in METRICS.items()}
    return {name: at.value for name, at in found.items() if at is not None}


def coverage(reps: int) -> dict[str, dict[str, float]]:
    truth, made = truths(), {}
    for n, repeat in ((1500, 1), (5000, 1), (5000, 5)):
        rng = np.random.default_rng(n + repeat)
        hits = {kind: dict.fromkeys(METRICS, 0) for kind in ("at random", "labelled rows", "worst case")}
        for _ in range(reps):
            lost, _ = world(rng, n, repeat=repeat, at_random=True)
            hidden, _ = world(rng, n, repeat=repeat, at_random=False)
            cells = make_cells(lost)
            for name, metric in METRICS.items():
                found = tilted(metric, lost, cells, np.ones_like(cells.positive))
                own = metric.slope(lost, *lost.labelled())
                if found is not None and own is not None:
                    units = units_of(metric.support(lost), lost)
                    low, high = metric.interval(found.value, found.error**2, units=units, level=0.95)
                    hits["at random"][name] += low <= truth[name] <= high
                    hits["labelled rows"][name] += low <= truth[name] + found.value - own.value <= high
                ends = worst_case(metric, hidden)
                least, greatest = imbens_manski(ends.low, ends.high, ends.se_low, ends.se_high)
                hits["worst case"][name] += bool(least[0] <= truth[name] <= greatest[0])
        for kind, counts in hits.items():
            made[f"{kind}, {n} rows, entities x {repeat}"] = {name: hit / reps for name, hit in counts.items()}
    return made


def table(rows: int) -> FakeJoined:
    """A calibrated model over half a year, a tenth of the labels missing."""
    rng = np.random.default_rng(0)
    score = rng.beta(1.2, 2.5, rows)
    label = np.where(rng.random(rows) < 0.1, np.nan, (rng.random(rows) < score).astype(float))
    times = np.datetime64("2026-01-05") + (rng.random(rows) * 182 * 86_400e6).astype("timedelta64[us]")
    frame = pl.DataFrame(
        {"ts_pred": pl.Series(times).dt.replace_time_zone("UTC"), "score": score, "flagged": score >= 0.5}
    ).with_columns(
        pl.Series("label", label, nan_to_null=True),
        pl.lit(None, dtype=pl.String).alias("entity"),
        pl.lit(value=True).alias("mature"),
    )
    contract = make_joined(scores=[0.5], labels=[1.0]).contract
    return FakeJoined(frame=frame, contract=contract, as_of=datetime(2026, 9, 1, tzinfo=UTC))


def speed(rows: int) -> dict[str, float]:
    """Processor seconds, the best of three."""
    joined = table(rows)
    rates, ranks = ["precision", "recall"], ["roc_auc", "average_precision"]
    work: dict[str, Callable[[], object]] = {
        "CBPE, 4 metrics by week": lambda: truth_bands(
            joined, [*ranks, *rates], every="1w", assumptions=["CBPE"], calibrate_on="2026-01-05..2026-04-06"
        ),
        "at random, 2 rates by week": lambda: truth_bands(joined, rates, every="1w", assumptions=["at random"]),
        "all assumptions, 2 rates by week": lambda: truth_bands(joined, rates, every="1w"),
        "all assumptions, AUC and AP by week": lambda: truth_bands(joined, ranks, every="1w"),
    }
    return {name: min(seconds(call) for _ in range(3)) for name, call in work.items()}


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return round(time.process_time() - start, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=400)
    parser.add_argument("--rows", type=int, default=900_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {"processor_seconds": speed(options.rows), "coverage": coverage(options.reps)}
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for name, took in result["processor_seconds"].items():
        print(f"{name:42s} {took:7.3f} s processor")
    for name, shares in result["coverage"].items():
        values = list(shares.values())
        print(f"{name:42s} mean {np.mean(values):.3f}, least {min(values):.3f}, most {max(values):.3f}")


if __name__ == "__main__":
    main()
