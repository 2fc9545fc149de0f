"""How long measures take on a million predictions, half of a year, 200 groups; and from a ledger of them.

Run: `python benchmarks/measures.py [--rows 1000000] [--json]`. Times are the best of three, wall clock and processor;
other programs on the machine slow the first and hardly the second.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from fbkit.ledger.build import build
from fbkit.measure.availability import availability
from fbkit.measure.calibration import calibration
from fbkit.measure.drift import drift
from fbkit.measure.from_ledger.metrics import ledger_metrics
from fbkit.measure.lag import label_lag
from fbkit.measure.metrics import metrics
from fbkit.measure.thresholds import threshold_curve
from fbkit.schema.period import Comparison
from fbkit.testing.frames import STATES, FakeJoined, make_joined

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)


def joined(rows: int, *, entities: int | None) -> FakeJoined:
    """A calibrated model, a tenth of the labels missing."""
    rng = np.random.default_rng(0)
    score = rng.beta(1.2, 2.5, rows)
    label = np.where(rng.random(rows) < 0.1, np.nan, (rng.random(rows) < score).astype(float))
    # A joined table is in the order of its times.
    time_of = np.datetime64("2026-01-05") + np.sort(rng.random(rows) * 180 * 86_400e6).astype("timedelta64[us]")
    owner = None if entities is None else pl.Series(rng.integers(0, entities, rows)).cast(pl.String)
    frame = pl.DataFrame(
        {
            "ts_pred": pl.Series(time_of).dt.replace_time_zone("UTC"),
            "score": score,
            "label": pl.Series(label, nan_to_null=True),
            "flagged": score >= 0.5,
            "group": pl.Series(rng.integers(0, 200, rows)).cast(pl.String),
            "amount": rng.lognormal(size=rows),
            "shop": pl.Series(rng.integers(0, 12, rows)).cast(pl.String),
        }
    ).with_columns(
        pl.lit(0.5).alias("threshold"),
        pl.lit(None, dtype=pl.String).alias("model_version"),
        (pl.lit(None, dtype=pl.String) if owner is None else owner).alias("entity"),
        pl.lit(value=True).alias("mature"),
        pl.when(pl.col("label").is_not_null()).then(pl.lit(timedelta(days=1))).alias("arrival_lag"),
        pl.col("label")
        .replace_strict({1.0: "positive", 0.0: "negative"}, default="missing")
        .cast(STATES)
        .alias("state"),
    )
    return FakeJoined(frame=frame, contract=make_joined(scores=[0.5], labels=[1.0]).contract, as_of=AS_OF)


def best(work: Callable[[], object], times: int = 3) -> dict[str, float]:
    wall, processor = [], []
    for _ in range(times):
        start, start_processor = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    return {"seconds": round(min(wall), 4), "processor_seconds": round(min(processor), 4)}


def measure(rows: int) -> dict[str, dict[str, float]]:
    plain, repeated = joined(rows, entities=None), joined(rows, entities=rows // 3)
    halves = Comparison(reference="2026-01-05..2026-04-01", current="2026-04-01..2026-07-05")
    ledger = build(plain, slices=["group"])
    rates = ["recall", "specificity", "flag_rate"]
    three = ["score", "amount", "shop"]
    ordered = ["roc_auc", "average_precision", "precision", "recall"]
    work: dict[str, Callable[[], object]] = {
        "three rates by 200 groups": lambda: metrics(plain, rates, by="group"),
        "three rates by 200 groups, entities repeat": lambda: metrics(repeated, rates, by="group"),
        "AUC, AP, precision, recall by week": lambda: metrics(plain, ordered, every="1w"),
        "AUC, AP by week, entities repeat": lambda: metrics(repeated, ordered[:2], every="1w"),
        "log loss and Brier by 200 groups": lambda: metrics(plain, ["log_loss", "brier"], by="group"),
        "availability by day": lambda: availability(plain, every="1d"),
        "reliability curve with band": lambda: calibration(plain),
        "KS and PSI of the score": lambda: drift(plain, halves, columns="score"),
        "KS and PSI of the score by week": lambda: drift(plain, halves, columns="score", every="1w"),
        "KS, PSI, chi-square of three columns by day": lambda: drift(plain, halves, columns=three, every="1d"),
        "label lag": lambda: label_lag(plain),
        "threshold curve": lambda: threshold_curve(plain),
        "ledger built, one slice column": lambda: build(plain, edges=ledger.edges, slices=["group"]),
        "ledger: three rates by 200 groups": lambda: ledger_metrics(ledger, rates, by="group"),
        "ledger: recall by day": lambda: ledger_metrics(ledger, "recall", every="1d"),
    }
    return {name: best(call) for name, call in work.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.rows)
    if options.json:
        print(json.dumps({"rows": options.rows, "work": result}, indent=1))
        return
    for name, times in result.items():
        print(f"{name:45s} {times['seconds']:7.3f} s   processor {times['processor_seconds']:7.3f} s")


if __name__ == "__main__":
    main()
