"""How long a verdict takes: a new process on files, inside a session, without intervals, beside the bare join.

    python benchmarks/triage/clock.py [--rows 95000,1000000]

Prints seconds (median of three, page cache warm) and ratios to the join of the same rows within the same run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fbkit.diagnose.triage import triage
from fbkit.join.join import join
from fbkit.load.loop import load_logs
from fbkit.samples.config import WorldConfig
from fbkit.samples.faults import ConceptDrift, LabelSliceLoss
from fbkit.samples.simulate import simulate
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

DAYS: Final = 63
FAULTS: Final = (
    ConceptDrift(severity=0.12),
    LabelSliceLoss(severity=0.5, where={"region": ("EU", "US"), "decision": "flagged"}),
)
HEAVY: Final = ("statsmodels", "scipy.stats", "sklearn", "altair", "pandas")


def seconds(work: Callable[[], object], *, times: int = 3) -> float:
    """Median wall seconds."""
    found: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def run(rows: int) -> dict[str, float]:
    """All the clocks for a loop of about so many predictions."""
    config = replace(WorldConfig(), per_day=round(rows / DAYS))
    with tempfile.TemporaryDirectory() as folder:
        simulation = simulate(config, FAULTS, seed=1)
        root = simulation.write(Path(folder) / "loop")
        weeks = Comparison(reference=config.period("reference"), current=config.period("current"))
        contract = Contract.from_toml((root / "contract.toml").read_text(encoding="utf-8"))

        def joined() -> object:
            return join(load_logs(contract, root=root), contract=contract, as_of=config.as_of)

        whole = joined()
        command = [
            sys.executable, "-m", "fbkit.cli", "triage", str(root), "--as-of", f"{config.as_of:%Y-%m-%dT%H:%M:%SZ}",
            "--reference", config.period("reference"), "--current", config.period("current"), "--json", "--quiet",
        ]  # fmt: skip
        found = {
            "rows": float(whole.frame.height),  # type: ignore[attr-defined]  # a Joined
            "load and join": seconds(joined),
            "triage in a session, 200 draws": seconds(lambda: triage(whole, weeks)),  # type: ignore[arg-type]
            "ladder without intervals": seconds(lambda: triage(whole, weeks, draws=0)),  # type: ignore[arg-type]
            "new process, fbkit triage --json": seconds(
                lambda: subprocess.run(command, check=True, capture_output=True)
            ),
        }
        found["imports that should not be there"] = float(len(_heavy(command[3:])))
    return found


def _heavy(arguments: Sequence[str]) -> list[str]:
    """Heavy packages that the command imports."""
    code = (
        "import sys, json, io, contextlib\n"
        "from fbkit.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try: main(json.loads(sys.argv[1]))\n"
        "    except SystemExit: pass\n"
        "print(json.dumps(sorted(set(sys.modules) & set(json.loads(sys.argv[2])))))\n"
    )
    given = [sys.executable, "-c", code, json.dumps(list(arguments)), json.dumps(list(HEAVY))]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="95000,1000000")
    options = parser.parse_args(arguments)
    for size in options.rows.split(","):
        found = run(int(size))
        bare = found["load and join"]
        print(f"{found['rows']:,.0f} predictions")
        for name, value in found.items():
            if name not in ("rows", "imports that should not be there"):
                print(f"  {name:34} {value:6.2f} s   {value / bare:5.1f} x the join")
        print(f"  heavy imports: {found['imports that should not be there']:.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
