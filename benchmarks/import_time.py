"""How long `import fbkit` takes in a fresh interpreter, beside `import polars` alone. Promise: under half a second.

The contents page imports a name when it is first used, so the time until every name is there counts as well.

Run: `python benchmarks/import_time.py [--runs 15] [--json]`. Exit status 1 if the median breaks the promise, or
if all names together take twice as long, measured in imports of Polars, as in the committed baseline.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

PROMISE_SECONDS = 0.5
EVERY_NAME = (
    "import fbkit; [getattr(fbkit, name) for name in fbkit.__all__ if name != 'explore']"  # that one needs widgets
)
BASELINE = Path(__file__).parent / "baselines" / "import_time.json"
CLOCK = "import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"


def seconds(statement: str) -> float:
    """Time of one statement in a new interpreter, its start not counted."""
    done = subprocess.run(
        [sys.executable, "-c", CLOCK.format(statement=statement)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def measure(runs: int) -> dict[str, float]:
    """Medians in seconds. The imports take turns, so that a busy machine slows all of them."""
    statements = {"polars": "import polars", "fbkit": "import fbkit", "every_name": EVERY_NAME}
    times: dict[str, list[float]] = {name: [] for name in statements}
    for run in range(runs + 1):
        for name, statement in statements.items():
            taken = seconds(statement)
            if run > 0:  # the first round fills the file cache
                times[name].append(taken)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    figures = {f"{name}_seconds": round(median, 4) for name, median in medians.items()}
    return figures | {"every_name_per_polars": round(medians["every_name"] / medians["polars"], 3)}


def main() -> int:
    """Print the medians and judge them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    print(json.dumps(figures) if arguments.json else "  ".join(f"{name} {value}" for name, value in figures.items()))
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))
    slower = figures["every_name_per_polars"] > 2 * baseline["every_name_per_polars"]
    return int(figures["fbkit_seconds"] >= PROMISE_SECONDS or slower)


if __name__ == "__main__":
    sys.exit(main())
