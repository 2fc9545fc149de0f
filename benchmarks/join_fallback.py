"""How long outcomes without ids take to find their predictions by entity and window, against a bare Polars as-of join.

Ten predictions to nine outcomes, five predictions per entity, and one entity with a hundredth of all rows. Run:
`python benchmarks/join_fallback.py [--rows 10000000] [--rule latest] [--json]`. Each part is a process of its own that
reads Parquet and writes Parquet; the best of `--times` runs counts. `pairing` finds claims, rivals and fates, as the
as-of join finds the latest prediction; `whole join` also checks both logs, gives states and accounts for every row.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

import fbkit as fb
from fbkit.join.window import window_pairs

DAY = 86_400_000_000
WINDOW = timedelta(days=7)
CONTRACT = """
[model]
name = "fallback"
[predictions]
path = "predictions.parquet"
[predictions.columns]
entity_id = ["account_id"]
[outcomes]
path = "outcomes.parquet"
[label]
window = "7d"
[join.fallback]
entity = ["account_id"]
rule = "{rule}"
[decision]
threshold = 0.5
"""


def make_loop(folder: Path, *, rows: int, rule: str) -> None:
    """Half a year of predictions in order of time, and outcomes up to eight days later in order of arrival."""
    rng = np.random.default_rng(0)
    outcomes = rows * 9 // 10
    account = rng.integers(1, rows // 5, rows)
    account[rng.random(rows) < 0.01] = 0
    made = np.sort(rng.integers(0, 180 * DAY, rows))
    about = np.sort(rng.integers(0, rows, outcomes))
    event = made[about] + rng.integers(0, 8 * DAY, outcomes)
    named = pl.Series("account_id", account).cast(pl.String).str.zfill(9)
    predictions = pl.DataFrame(
        {
            "prediction_id": pl.Series(rng.permutation(rows)).cast(pl.String).str.zfill(10),
            "ts_pred": at(made),
            "score": rng.random(rows).round(4),
            "account_id": named,
        }
    )
    said = pl.DataFrame(
        {
            "account_id": named.gather(about),
            "ts_event": at(event),
            "ts_arrival": at(event + rng.integers(0, DAY, outcomes)),
            "label": (rng.random(outcomes) < 0.2).astype(float),
        }
    )
    predictions.write_parquet(folder / "predictions.parquet")
    said.sort("ts_arrival").write_parquet(folder / "outcomes.parquet")
    (folder / "contract.toml").write_text(CONTRACT.format(rule=rule), encoding="utf-8")


def at(microseconds: np.ndarray) -> pl.Series:
    start = np.datetime64("2026-01-05", "us")
    return pl.Series(start + microseconds.astype("timedelta64[us]")).dt.replace_time_zone("UTC")


def bare(folder: Path, *, rule: str) -> None:
    """What one would write by hand: for each outcome the nearest prediction of its account within the window."""
    made = pl.scan_parquet(folder / "predictions.parquet").select("prediction_id", "ts_pred", "account_id")
    said = pl.scan_parquet(folder / "outcomes.parquet")
    if rule == "latest":
        made, how = made.sort("ts_pred"), {"left_on": "ts_event", "right_on": "ts_pred", "strategy": "backward"}
    else:
        made = made.with_columns(until=pl.col("ts_pred")).sort("until")
        said = said.with_columns(since=pl.col("ts_event") - WINDOW)
        how = {"left_on": "since", "right_on": "until", "strategy": "forward"}
    joined = said.sort(how["left_on"]).join_asof(
        made,
        by="account_id",
        tolerance=WINDOW,
        check_sortedness=False,
        **how,  # type: ignore[arg-type]
    )
    joined.sink_parquet(folder / "bare.parquet")


def pairing(folder: Path, *, rule: str) -> None:
    entity = pl.col("account_id").alias("__entity")
    made = pl.read_parquet(folder / "predictions.parquet", columns=["prediction_id", "ts_pred", "account_id"])
    made = made.select("prediction_id", "ts_pred", entity, (pl.col("ts_pred") + WINDOW).alias("__closes"))
    said = pl.read_parquet(folder / "outcomes.parquet").sort("ts_event").with_row_index("statement")
    said = said.select(pl.exclude("account_id"), entity)
    window_pairs(made, said, rule=rule, width=WINDOW).write_parquet(folder / "pairs.parquet")


def whole(folder: Path, *, rule: str) -> None:  # noqa: ARG001 - the contract says the rule
    fb.open_loop(folder).join().frame.write_parquet(folder / "joined.parquet")


PARTS: dict[str, Callable[..., None]] = {"bare as-of join": bare, "pairing": pairing, "whole join": whole}


def measured(name: str, folder: Path, *, rule: str, times: int) -> dict[str, float]:
    """Best wall clock and processor seconds of some runs, and the peak memory, in a process of its own."""
    # What was joined before would be found again.
    environment = os.environ | {"FBKIT_CACHE": "off"}
    call = [sys.executable, __file__, "--part", name, "--folder", str(folder), "--rule", rule, "--times", str(times)]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True, env=environment).stdout)


def one_part(name: str, folder: Path, *, rule: str, times: int) -> dict[str, float]:
    wall, processor = [], []
    for _ in range(times):
        start, start_processor = time.perf_counter(), time.process_time()
        PARTS[name](folder, rule=rule)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - start_processor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": round(min(wall), 3),
        "processor_seconds": round(min(processor), 3),
        "peak_gigabytes": round(peak, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rule", choices=["latest", "earliest"], default="latest")
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="leave the other parts out")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(one_part(options.part, options.folder, rule=options.rule, times=options.times)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_loop(Path(folder), rows=options.rows, rule=options.rule)
        names = options.only or list(PARTS)
        found = {name: measured(name, Path(folder), rule=options.rule, times=options.times) for name in names}
    base = found.get("bare as-of join")
    for times in found.values():
        times["times_bare"] = round(times["processor_seconds"] / base["processor_seconds"], 2) if base else float("nan")
    if options.json:
        print(json.dumps({"rows": options.rows, "rule": options.rule, "work": found}, indent=1))
        return
    for name, times in found.items():
        print(f"{name:16s}" + "".join(f"  {key.replace('_', ' ')} {value:.3f}" for key, value in times.items()))


if __name__ == "__main__":
    main()
