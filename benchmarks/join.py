"""How long a loop takes to be checked, joined, given states and accounted for, against the bare join of its two files.

Ten predictions to nine outcomes with text ids, Parquet, one file each. The bare join is a hand-written streaming left
join sunk to Parquet, unsorted and unchecked (`benchmarks/baselines/bare_join.py`); ours hashes the files, checks both
logs, and writes the joined table sorted by time and id. Each is a process of its own, and they take turns.

Run: `python benchmarks/join.py [--rows 10000000] [--times 3] [--shuffled] [--json]`. `again` is the same question asked
by a second command: `fbkit metrics` finds the joined table in the cache. Goals: ours at most twice the bare join's
time (sorted output), under 3 GB; again under one second.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent
DAY = 86_400_000_000
CONTRACT = """
[model]
name = "large"
[predictions]
[outcomes]
[label]
window = "7d"
[decision]
threshold = 0.3
[slices]
columns = ["region", "device"]
[features]
columns = ["amount"]
"""
OURS = "import fbkit; loop = fbkit.open_loop({folder!r}); assert loop.join().rows.height > 0"
ROUNDS = ("bare", "ours", "again")


def make_loop(folder: Path, *, rows: int, shuffled: bool) -> None:
    """Four months of predictions, outcomes in order of arrival; ids are text in no order."""
    rng = np.random.default_rng(0)
    made = np.sort(rng.integers(0, 120 * DAY, rows))
    ids = pl.select("txn-" + pl.Series(rng.permutation(rows)).cast(pl.String).str.zfill(10)).to_series()
    score = rng.beta(1, 8, rows)
    predictions = pl.DataFrame(
        {
            "prediction_id": ids,
            "ts_pred": at(made),
            "score": score,
            "model_version": pick(rng, ["v1", "v2"], rows),
            "region": pick(rng, ["EU", "US", "APAC", "LATAM"], rows),
            "device": pick(rng, ["ios", "android", "web"], rows),
            "amount": rng.lognormal(3, 1, rows),
        }
    )
    about = rng.choice(rows, rows * 9 // 10, replace=False)
    event = made[about] + rng.exponential(2 * DAY, len(about)).astype(np.int64)
    arrival = event + rng.exponential(DAY / 4, len(about)).astype(np.int64)
    outcomes = pl.DataFrame(
        {
            "prediction_id": ids.gather(about),
            "ts_event": at(event),
            "ts_arrival": at(arrival),
            "label": (rng.random(len(about)) < score[about]).astype(np.int64),
            "source": pl.repeat("auto", len(about), eager=True),
        }
    ).sort("ts_arrival")
    for name, frame in (("predictions", predictions), ("outcomes", outcomes)):
        (folder / name).mkdir(parents=True)
        (frame.sample(fraction=1.0, shuffle=True, seed=1) if shuffled else frame).write_parquet(
            folder / name / "all.parquet"
        )
    (folder / "contract.toml").write_text(CONTRACT, encoding="utf-8")


def at(microseconds: np.ndarray) -> pl.Series:
    start = np.datetime64("2026-01-05", "us")
    return pl.Series(start + microseconds.astype("timedelta64[us]")).dt.replace_time_zone("UTC")


def pick(rng: np.random.Generator, values: list[str], rows: int) -> pl.Series:
    return pl.Series(np.array(values)[rng.integers(0, len(values), rows)])


def command(name: str, folder: Path) -> list[str]:
    if name == "bare":
        return [sys.executable, str(HERE / "baselines" / "bare_join.py"), str(folder)]
    if name == "ours":
        return [sys.executable, "-c", OURS.format(folder=str(folder))]
    return [sys.executable, "-m", "fbkit.cli", "metrics", str(folder), "--metrics", "recall", "--quiet"]


def measured(name: str, folder: Path) -> dict[str, float]:
    """Wall clock, processor seconds and peak memory of one process, its start included."""
    environment = os.environ | {"FBKIT_CACHE": str(folder / "cache")}
    if name == "ours":
        shutil.rmtree(folder / "cache", ignore_errors=True)
    start = time.perf_counter()
    process = subprocess.Popen(command(name, folder), env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name} failed with status {status}")
    return {
        "seconds": round(time.perf_counter() - start, 3),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_gigabytes": round(usage.ru_maxrss / 2**20, 3),
    }


def main() -> None:
    """Print the best of some rounds of each, and ours against the bare join."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--shuffled", action="store_true", help="rows in no order of time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("FBKIT_BENCH_DIR")) as name:
        folder = Path(name)
        # In a process of its own: a child's peak memory counts what its parent held when it was started.
        made = multiprocessing.get_context("spawn").Process(
            target=make_loop, args=(folder,), kwargs={"rows": options.rows, "shuffled": options.shuffled}
        )
        made.start()
        made.join()
        rounds = [{part: measured(part, folder) for part in ROUNDS} for _ in range(options.times)]
    best = {part: {key: min(turn[part][key] for turn in rounds) for key in rounds[0][part]} for part in ROUNDS}
    best["ratio"] = {key: round(best["ours"][key] / best["bare"][key], 3) for key in best["bare"]}
    if options.json:
        print(json.dumps({"rows": options.rows, "shuffled": options.shuffled} | best))
    else:
        print(f"{options.rows:,} predictions, best of {options.times}")
        for part, figures in best.items():
            print(f"  {part:<6} " + "  ".join(f"{key} {value}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
