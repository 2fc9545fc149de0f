"""How long a ledger takes to be built, against bare Polars group-bys of the same tables, and how long questions take.

Predictions of four months with 5 slice columns (2, 3, 4, 20 and 200 values), five rows an entity, 90 % labelled, as
joined Parquet parts of a million rows. The bare group-bys are what one would write by hand: one lazy query per table
on the joined files (17 of them: counts with delays, score histograms, groups of entities), nothing checked. Each is a
process of its own, and they take turns.

Questions (each of another kind, asked of the opened ledger; the first call of each, which builds what later ones share,
is told apart) are compared with the same ones of the joined rows, where rows can be asked in the same words.

Run: `python benchmarks/ledger.py [--rows 10000000] [--times 3] [--json]`. Goals at 10 million rows: at most 1.3 times
the bare group-bys, under 2.5 GB; under 15 ms for the median question.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DAY = 86_400_000_000
START = datetime(2026, 1, 5, tzinfo=UTC)
SLICES = {"customer": 2, "device": 3, "region": 4, "channel": 20, "merchant": 200}
BATCH = 1_000_000
CONTRACT = """
[model]
name = "large"
[predictions]
path = "p"
[outcomes]
path = "o"
[label]
window = "7d"
[decision]
threshold = 0.3
"""
STATES = pl.Enum(["positive", "negative", "labelled", "pending", "missing", "censored"])


def make(folder: Path, *, rows: int) -> None:
    """Joined rows as a join would store them."""
    rng = np.random.default_rng(0)
    made, as_of = np.sort(rng.integers(0, 120 * DAY, rows)), 121 * DAY
    for start in range(0, rows, BATCH):
        at = made[start : start + BATCH]
        n = len(at)
        score = np.round(rng.beta(1, 8, n), 6)
        lag = (rng.exponential(2 * DAY, n) + rng.exponential(DAY / 4, n)).astype(np.int64)
        known = (rng.random(n) < 0.9) & (lag < 7 * DAY) & (at + lag <= as_of)
        label = pl.Series(np.where(known, rng.random(n) < score, np.nan), nan_to_null=True)
        frame = pl.DataFrame(
            {
                "prediction_id": pl.Series(np.arange(start, start + n)).cast(pl.String).str.zfill(12),
                "ts_pred": instants(at),
                "score": score,
                "threshold": pl.repeat(0.3, n, eager=True),
                "flagged": score >= 0.3,
                "entity": "e" + pl.Series(rng.integers(0, max(rows // 5, 1), n)).cast(pl.String),
                "label": label,
                "arrival_lag": pl.Series(np.where(known, lag, 0)).cast(pl.Duration("us")),
                "model_version": pl.Series(np.where(at < 60 * DAY, "v1", "v2")),
                "mature": at + 7 * DAY <= as_of,
                **{
                    name: pl.Series([f"{name}-{k}" for k in range(size)]).gather(rng.integers(0, size, n))
                    for name, size in SLICES.items()
                },
            }
        )
        state = (
            pl.when(pl.col("label") == 1).then(pl.lit("positive")).when(pl.col("label") == 0).then(pl.lit("negative"))
        )
        frame = frame.with_columns(
            pl.when(pl.col("label").is_not_null()).then("arrival_lag").alias("arrival_lag"),
            state.when("mature").then(pl.lit("missing")).otherwise(pl.lit("pending")).cast(STATES).alias("state"),
        ).with_columns((pl.col("ts_pred") + pl.col("arrival_lag")).alias("ts_arrival"))
        frame.write_parquet(folder / f"part-{start // BATCH:05d}.parquet")


def instants(microseconds: np.ndarray) -> pl.Series:
    return pl.Series(
        np.datetime64(START.replace(tzinfo=None), "us") + microseconds.astype("timedelta64[us]")
    ).dt.replace_time_zone("UTC")


def joined(folder: Path) -> object:
    """The shape of a joined table on disk."""
    from fbkit.join.table import StoredTable
    from fbkit.schema.contract import Contract

    class Stored:
        rows = StoredTable(sorted(folder.glob("*.parquet")), height=0)
        contract = Contract.from_toml(CONTRACT)
        as_of = START + timedelta(days=121)
        evaluation_key = "benchmark"

        @property
        def frame(self) -> pl.DataFrame:
            return self.rows.frame

    return Stored()


def edges() -> tuple[float, ...]:
    """Edges as a ledger would make them."""
    drawn = np.random.default_rng(1).beta(1, 8, 100_000)
    return tuple(np.unique([*np.quantile(drawn, np.linspace(0, 1, 51)[1:-1]), 0.3, *(np.arange(1, 10) / 10)]).tolist())


def bare(folder: Path) -> dict[str, int]:
    """The same tables by one hand-written group-by each; how many lines each has."""
    rows = pl.scan_parquet(folder / "*.parquet")
    score, day = pl.col("score"), pl.col("ts_pred").dt.truncate("1d").alias("day")
    powers = [(score.pow(k) * 2**36).round().cast(pl.Int64).sum().alias(f"s{k}") for k in (1, 2, 3, 4)]
    far = ((1 - 2 * score).abs() * 2**36).round().cast(pl.Int64).sum().alias("far")
    up = timedelta(days=1) - timedelta(microseconds=1)
    delays = [
        (pl.col("ts_pred") + up).dt.truncate("1d").alias("seen"),
        (pl.col("ts_arrival") + up).dt.truncate("1d").alias("known"),
        (pl.col("arrival_lag").dt.total_microseconds() / DAY).ceil().alias("lag"),
        pl.when("mature").then((pl.col("ts_pred") + timedelta(days=7) + up).dt.truncate("1d")).alias("matures"),
    ]
    score_bin = pl.lit(pl.Series(edges())).search_sorted(score, side="right").alias("score_bin")
    bucket = (pl.col("entity").hash(0) % 32).alias("bucket")
    week = pl.col("ts_pred").dt.truncate("1w").alias("day")
    shared = ["model_version", "state", "mature"]
    tables = {
        "cells": ([day, *shared, "flagged", *delays, score_bin], [*powers, far]),
        "groups": ([day, *shared, "flagged", bucket], powers[:2]),
    }
    for name in SLICES:
        tables[f"cells {name}"] = ([name, day, *shared, "flagged", *delays], [*powers, far])
        tables[f"bins {name}"] = ([name, week, *shared, score_bin], powers[:2])
        tables[f"groups {name}"] = ([name, week, *shared, "flagged", bucket], powers[:2])
    return {name: rows.group_by(keys).agg(pl.len(), *sums).collect().height for name, (keys, sums) in tables.items()}


def ours(folder: Path, out: Path | None = None) -> dict[str, int]:
    """The ledger's tables; how many lines each has."""
    from fbkit.ledger.build import build
    from fbkit.ledger.edges import BinEdges

    ledger = build(joined(folder), slices=list(SLICES), edges=BinEdges(edges=edges()))  # pyright: ignore[reportArgumentType]
    if out is not None:
        ledger.save(out)
    return {" ".join((kind, *cut)): table.height for (kind, cut), table in ledger.tables.items()}


def questions(folder: Path, saved: Path) -> dict[str, dict[str, float]]:
    """Milliseconds of each question: the first time, then the median of later ones; two of them from rows."""
    import fbkit as fb

    ledger, last = fb.Ledger.open(saved), fb.Comparison.last("7d")
    table = joined(folder)
    asked = {
        "three rates by region": lambda it: fb.metrics(it, ["recall", "precision", "flag_rate"], by="region"),
        "three rates by 200 merchants": lambda it: fb.metrics(it, ["recall", "precision", "flag_rate"], by="merchant"),
        "recall by channel and week": lambda it: fb.metrics(it, "recall", by="channel", every="1w"),
        "recall by day": lambda it: fb.metrics(it, "recall", every="1d"),
        "Brier by device and day": lambda it: fb.metrics(it, "brier", by="device", every="1d"),
        "one week by device": lambda it: fb.metrics(it, "recall", by="device", period="2026-03-02..2026-03-09"),
        "AUC and AP by week": lambda it: fb.metrics(it, ["roc_auc", "average_precision"], every="1w"),
        "availability by region and day": lambda it: fb.availability(it, by="region", every="1d"),
        "availability by channel and day": lambda it: fb.availability(it, by="channel", every="1d"),
        "label lag by channel": lambda it: fb.label_lag(it, by="channel"),
        "calibration": fb.calibration,
        "calibration by device": lambda it: fb.calibration(it, by="device"),
        "threshold curve": fb.threshold_curve,
        "drift of the score": lambda it: fb.drift(it, last, columns="score"),
    }
    only_ledger = {
        "recall as of an earlier midnight": lambda it: fb.metrics(it, "recall", as_of="2026-03-10"),
        "recall by region and day as of then": lambda it: fb.metrics(
            it, "recall", by="region", every="1d", as_of="2026-03-10"
        ),
        "recall at another threshold by week": lambda it: fb.metrics(it, "recall", every="1w", threshold=0.5),
    }
    found: dict[str, dict[str, float]] = {}
    for name, question in (asked | only_ledger).items():
        times = [timed(question, ledger) for _ in range(8)]
        found[name] = {"first": times[0][0], "wall": statistics.median(wall for wall, _ in times[1:])}
        found[name]["processor"] = statistics.median(processor for _, processor in times[1:])
    for name in ("recall by day", "three rates by region"):
        found[name]["rows"] = timed(asked[name], table)[1]
    return found


def timed(question: object, subject: object) -> tuple[float, float]:
    """Wall clock and processor milliseconds."""
    wall, processor = time.perf_counter(), time.process_time()
    question(subject)  # pyright: ignore[reportCallIssue]  # one of the lambdas above
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)


def child(part: str, folder: Path, rows: int) -> dict[str, Any]:
    """Run one part in a process of its own: wall clock, processor seconds, peak memory, what it printed."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--rows", str(rows)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"{part} failed with status {status}")
    return {
        "seconds": round(time.perf_counter() - start, 3),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_gigabytes": round(usage.ru_maxrss / 2**20, 3),
        "said": json.loads(said) if said.strip() else None,
    }


def run_part(part: str, folder: Path, rows: int) -> None:
    """What a child process does."""
    if part == "make":
        make(folder, rows=rows)
        return
    saved = folder.parent / "ledger"
    made = {"bare": lambda: bare(folder), "ours": lambda: ours(folder, saved), "ask": lambda: questions(folder, saved)}
    print(json.dumps(made[part]()))


def main() -> None:
    """Print the best of some rounds of each, and the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.folder, options.rows)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("FBKIT_BENCH_DIR")) as name:
        folder = Path(name) / "joined"
        folder.mkdir()
        child("make", folder, options.rows)
        rounds = [{part: child(part, folder, options.rows) for part in ("bare", "ours")} for _ in range(options.times)]
        asked = child("ask", folder, options.rows)["said"]
    report(rounds, asked, options)


def report(rounds: list[dict[str, dict[str, Any]]], asked: Any, options: argparse.Namespace) -> None:
    """As JSON or as lines."""
    keys = ("seconds", "processor_seconds", "peak_gigabytes")
    best = {part: {key: min(turn[part][key] for turn in rounds) for key in keys} for part in rounds[0]}
    best["ratio"] = {key: round(best["ours"][key] / best["bare"][key], 3) for key in keys}
    lines = {part: rounds[0][part]["said"] for part in ("bare", "ours")}
    median = {
        clock: round(statistics.median(item[clock] for item in asked.values()), 2) for clock in ("wall", "processor")
    }
    if options.json:
        print(json.dumps({"rows": options.rows, "lines": lines, "questions": asked, "median": median} | best))
        return
    print(f"{options.rows:,} joined rows, {len(SLICES)} slice columns, best of {options.times}")
    for part, figures in best.items():
        print(f"  {part:<6} " + "  ".join(f"{key} {value}" for key, value in figures.items()))
    print(f"  lines: {sum(lines['bare'].values()):,} bare, {sum(lines['ours'].values()):,} ours")
    for name, times in asked.items():
        print(f"  {name:<38}" + "  ".join(f"{clock} {value:8.1f} ms" for clock, value in times.items()))
    print(f"  median of the questions: wall {median['wall']} ms, processor {median['processor']} ms")


if __name__ == "__main__":
    main()
