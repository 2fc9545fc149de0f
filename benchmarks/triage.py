"""Score the triage engine on fresh incidents of known truth.

    python benchmarks/triage.py --seeds 30 --from-commit

Prints, per table: verdicts right with a binomial interval, error of the true change, coverage of its 95 % interval,
error of the contributions, seconds. With --from-commit the seeds follow from the commit id and the table's name, so
that nobody can choose them; without it they are 1, 2, ... (for development).
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from fbkit.diagnose.triage import triage
from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.measure.stats.intervals import wilson
from fbkit.samples.challenge import CHALLENGE, recall_drop
from fbkit.samples.simulate import Simulation, simulate
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Comparison

TABLES = ("labels", "quality", "both", "no change")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One incident: what was said, what was true."""

    table: str
    seed: int
    verdict: str
    right: bool
    top_right: bool
    error: float
    covered: bool
    attribution: float
    sums: float
    seconds: float


def seeds_for(table: str, *, count: int, commit: str | None) -> list[int]:
    """Seeds 1, 2, ... or SHA-256 of commit id, table name and number."""
    if commit is None:
        return list(range(1, count + 1))
    digests = (hashlib.sha256(f"{commit}|{table}|{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4]) for digest in digests]


def joined_of(simulation: Simulation) -> Joined:
    """Check and join the simulated logs, as a loop on disk would be."""
    contract = Contract.from_toml(simulation.contract_toml)
    logs = {"predictions": simulation.predictions, "outcomes": simulation.outcomes}
    if simulation.changes is None:
        contract = contract.model_copy(update={"changes": None})
    else:
        logs["changes"] = simulation.changes
    if simulation.actions is not None:
        logs["actions"] = simulation.actions
    return join(load_logs(contract, root=Path(), frames=logs), contract=contract, as_of=simulation.config.as_of)


def incident(table: str, seed: int) -> Simulation:
    """The mini challenge's variant, or the same loop without any fault."""
    return simulate(CHALLENGE, (), seed=seed) if table == "no change" else recall_drop(table, seed)


def score(table: str, seed: int, *, draws: int) -> Run:
    """Run one incident and hold it against the truth."""
    simulation = incident(table, seed)
    joined, truth = joined_of(simulation), simulation.truth
    periods = Comparison(reference=simulation.config.period("reference"), current=simulation.config.period("current"))
    begin = time.perf_counter()
    said = triage(joined, periods, draws=draws)
    seconds = time.perf_counter() - begin
    error, covered = _true_change(said, truth.true.change)
    told = {part.cause: part.value or 0.0 for part in said.contributions}
    expected = {part.cause: part.value for part in truth.contributions} | {"noise": 0.0}
    attribution = sum(abs(told.get(cause, 0.0) - expected.get(cause, 0.0)) for cause in told.keys() | expected.keys())
    return Run(
        table=table,
        seed=seed,
        verdict=said.verdict,
        right=said.verdict == (truth.verdict if table != "no change" else "noise"),
        top_right=said.top_cause == truth.top_cause,
        error=error,
        covered=covered,
        attribution=attribution,
        sums=abs(sum(told.values()) - (said.observed.change or 0.0)),
        seconds=seconds,
    )


def _true_change(said: Diagnosis, truth: float) -> tuple[float, bool]:
    true = said.true_change
    if true.value is None or true.lower is None or true.upper is None:
        return float("nan"), False
    return abs(true.value - truth), true.lower <= truth <= true.upper


def summary(table: str, runs: Sequence[Run]) -> str:
    """One line of the report."""
    right, covered = sum(run.right for run in runs), sum(run.covered for run in runs)
    between, around = wilson(right, len(runs)), wilson(covered, len(runs))
    mean = {name: float(np.mean([getattr(run, name) for run in runs])) for name in ("error", "attribution", "seconds")}
    return (
        f"{table:10} right {right}/{len(runs)} ({float(between[0]):.2f}..{float(between[1]):.2f})  "
        f"top cause {sum(run.top_right for run in runs)}/{len(runs)}  "
        f"covered {covered / len(runs):.2f} ({float(around[0]):.2f}..{float(around[1]):.2f})  "
        f"|error| {mean['error']:.4f}  attribution {mean['attribution']:.4f}  "
        f"sum {max(run.sums for run in runs):.0e}  {mean['seconds']:.2f} s"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tables that were asked for; exit status 1 when a mini-challenge verdict is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30, help="incidents per table")
    parser.add_argument("--from-commit", action="store_true", help="seeds from the commit id and the table's name")
    parser.add_argument("--tables", default=",".join(TABLES), help="comma-separated table names")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="one JSON line per incident as well")
    options = parser.parse_args(arguments)
    commit = _commit() if options.from_commit else None
    print(f"seeds from {'commit ' + commit if commit else '1, 2, ... (development)'}")
    wrong = 0
    for table in options.tables.split(","):
        runs = []
        for seed in seeds_for(table, count=options.seeds, commit=commit):
            run = score(table, seed, draws=options.draws)
            runs.append(run)
            if options.json:
                print(json.dumps(asdict(run)))
            elif not run.right:
                print(f"  {table} seed {seed}: {run.verdict}", file=sys.stderr)
        wrong += sum(not run.right for run in runs) if table != "no change" else 0
        print(summary(table, runs), flush=True)
    return 1 if wrong else 0


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
