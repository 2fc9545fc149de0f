"""How long `import fbkit` takes in a fresh interpreter, beside `import polars` alone. Promise: under half a second.

Run: `python benchmarks/import_time.py [--runs 15] [--json]`. Exit status 1 if the median breaks the promise.
"""

import argparse
import json
import statistics
import subprocess
import sys

PROMISE_SECONDS = 0.5
CLOCK = "import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"


def seconds(statement: str) -> float:
    """Time of one statement in a new interpreter, its start not counted."""
    done = subprocess.run(
        [sys.executable, "-c", CLOCK.format(statement=statement)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def measure(runs: int) -> dict[str, float]:
    """Medians in seconds. The two imports take turns, so that a busy machine slows both."""
    statements = ("import polars", "import fbkit")
    for statement in statements:
        seconds(statement)  # the first run fills the file cache
    times = {statement: [] for statement in statements}
    for _ in range(runs):
        for statement in statements:
            times[statement].append(seconds(statement))
    polars, fbkit = (statistics.median(times[statement]) for statement in statements)
    return {"fbkit_seconds": round(fbkit, 4), "polars_seconds": round(polars, 4), "ratio": round(fbkit / polars, 3)}


def main() -> int:
    """Print the medians and judge them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    print(json.dumps(figures) if arguments.json else "  ".join(f"{name} {value}" for name, value in figures.items()))
    return int(figures["fbkit_seconds"] >= PROMISE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
