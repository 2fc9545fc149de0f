"""How long slices and their search take on a million predictions, how often chance alone makes one stand out.

Run: `python benchmarks/slice_search.py [--rows 1000000] [--columns 8] [--worlds 0] [--json]`. Processor seconds, best
of three, beside a bare enumeration: a Polars group-by per set of columns. `--worlds N` searches N worlds without a bad
slice. With `--peer PYTHON` (an interpreter that has `sliceline`) that package searches the same rows.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl

from fbkit.measure.slice_search import find_slices
from fbkit.measure.slices import slice_gaps
from fbkit.schema.period import Comparison
from fbkit.testing.frames import STATES, FakeJoined, make_joined

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)
WEEKS = Comparison(reference="2026-06-01..2026-07-27", current="2026-07-27..2026-08-03")
VALUES = 10
PEER = """
import sys, time
import numpy as np
from sliceline.slicefinder import Slicefinder
data = np.load(sys.argv[1])
start = time.process_time()
finder = Slicefinder(alpha=0.95, k=10, max_l=3, min_sup=int(sys.argv[2]), verbose=False)
finder.fit(data[:, :-1].astype(int), data[:, -1])
print(time.process_time() - start)
"""


def world(rows: int, columns: int, *, seed: int, bad: bool, repeat: int | None = None) -> FakeJoined:
    """Half of the predictions positive, a fifth of these missed; in one slice of the last week three fifths."""
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, VALUES, rows) for _ in range(columns)]
    time_of = np.datetime64("2026-06-01") + (rng.random(rows) * 63 * 86_400e6).astype("timedelta64[us]")
    inside = (codes[0] == 1) & (codes[1] == 2) & (time_of >= np.datetime64("2026-07-27"))
    missed = np.where(inside & bad, 0.6, 0.2)
    who = None if repeat is None else rng.integers(0, max(rows // repeat, 1), rows)
    if who is not None:
        missed = rng.beta(0.4, 1.6, max(rows // repeat, 1))[who] if repeat else missed
        codes = [values[who] for values in codes]
    positive = rng.random(rows) < 0.5
    flag = np.where(positive, rng.random(rows) > missed, rng.random(rows) < 0.1)
    frame = pl.DataFrame(
        {f"c{i}": pl.Series(values).cast(pl.String) for i, values in enumerate(codes)}
        | {"ts_pred": pl.Series(time_of).dt.replace_time_zone("UTC"), "flagged": flag}
        | {"label": positive.astype(float), "score": np.where(flag, 0.8, 0.3)}
        | {"entity": pl.Series(who).cast(pl.String) if who is not None else pl.Series([None] * rows, dtype=pl.String)}
    ).with_columns(
        pl.int_range(rows).cast(pl.String).alias("prediction_id"),
        pl.lit(0.5).alias("threshold"),
        pl.lit(None, dtype=pl.String).alias("model_version"),
        pl.lit(value=True).alias("mature"),
        pl.lit(timedelta(days=1)).alias("arrival_lag"),
        pl.col("label").replace_strict({1.0: "positive", 0.0: "negative"}).cast(STATES).alias("state"),
    )
    return FakeJoined(frame=frame, contract=make_joined(scores=[0.5], labels=[1.0]).contract, as_of=AS_OF)


def best(work: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return round(min(taken), 3)


def bare(frame: pl.DataFrame, names: list[str]) -> int:
    """Size and error of every conjunction by one group-by per set of columns, and nothing else."""
    rows = frame.filter(pl.col("label") == 1).select(*names, (~pl.col("flagged")).alias("error"))
    rows = rows.with_columns(pl.col(names).cast(pl.Categorical))
    found = 0
    for depth in (1, 2, 3):
        for group in combinations(names, depth):
            found += rows.group_by(group).agg(pl.len(), pl.col("error").sum()).height
    return found


def peer(python: str, joined: FakeJoined, names: list[str], least: int) -> float | None:
    """Processor seconds of the package on the same positives; None if it does not get through."""
    rows = joined.frame.filter(pl.col("label") == 1)
    data = rows.select(
        *(pl.col(name).cast(pl.Int64) + 1 for name in names), (~pl.col("flagged")).cast(pl.Int64).alias("e")
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, data.to_numpy())
        done = subprocess.run([python, "-c", PEER, path, str(least)], capture_output=True, text=True, check=False)
    return round(float(done.stdout), 3) if done.returncode == 0 else None


def measure(rows: int, columns: int, python: str | None) -> dict[str, object]:
    names = [f"c{i}" for i in range(columns)]
    plain, repeated = (world(rows, columns, seed=1, bad=True, repeat=repeat) for repeat in (None, 5))
    positives = int(plain.frame["label"].sum())
    work: dict[str, Callable[[], object]] = {
        "search, loss": lambda: find_slices(plain, metric="recall", columns=names),
        "search, loss, by score": lambda: find_slices(plain, metric="recall", columns=names, alpha=0.95),
        "search, loss, Brier": lambda: find_slices(plain, metric="brier", columns=names),
        "search, drop": lambda: find_slices(plain, WEEKS, metric="recall", columns=names),
        "search, drop, confirmed": lambda: find_slices(plain, WEEKS, metric="recall", columns=names, confirm=True),
        "search, drop, entities repeat": lambda: find_slices(repeated, WEEKS, metric="recall", columns=names),
        "gaps of two metrics, one column": lambda: slice_gaps(plain, ["recall", "flag_rate"], by="c0"),
    }
    found: dict[str, object] = {name: best(one) for name, one in work.items()}
    found["peak memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    found["bare group-bys of every set of columns"] = best(lambda: bare(plain.frame, names))
    if python is not None:
        found["sliceline, the package"] = peer(python, plain, names, positives // 100)
    drop = find_slices(plain, WEEKS, metric="recall", columns=names)
    found["found"] = drop["slice"].to_list()
    found["tested"] = int(drop["n_tested"][0])
    return found


def by_chance(worlds: int) -> dict[str, str]:
    """In how many worlds without a bad slice one stands out."""
    names = [f"c{i}" for i in range(5)]
    found: dict[str, str] = {}
    for repeat in (None, 5):
        for metric in ("recall", "precision", "brier"):
            for kind, comparison in (("loss", None), ("drop", WEEKS)):
                hits = 0
                for seed in range(worlds):
                    joined = world(6000, 5, seed=seed, bad=False, repeat=repeat)
                    frame = find_slices(joined, comparison, metric=metric, columns=names)
                    hits += frame["slice"][0] is not None
                who = "entities repeat" if repeat else "rows apart"
                found[f"{metric}, {kind}, {who}"] = f"{hits} of {worlds}"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--worlds", type=int, default=0)
    parser.add_argument("--peer")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = by_chance(given.worlds) if given.worlds else measure(given.rows, given.columns, given.peer)
    if given.json:
        json.dump(found, sys.stdout, indent=1)
        return
    for name, value in found.items():
        print(f"{name:<42} {value}")


if __name__ == "__main__":
    main()
