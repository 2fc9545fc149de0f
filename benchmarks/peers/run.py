"""fbkit beside Fairlearn, NannyML and Evidently: the same questions of the same million rows, in one run.

Run: `python benchmarks/peers/run.py [--rows 1000000] [--rounds 3] [--envs FOLDER] [--json] [--only groups ks]`.

Each peer lives in an environment of its own, made with `python -m venv` and the pinned versions beside this file
(`fairlearn.txt`, `nannyml.txt`, `evidently.txt`) under `--envs` (default: a folder for temporary files; give one to
keep them). Every measurement is a fresh process that loads the rows in its library's own form, makes the same call
once on a small part of them, and is then timed for two calls on all of them: wall clock, processor time, and the peak
of resident memory. Imports and loading are not timed (imports are reported). Ours and theirs take turns; the best call
of each counts, and the result is the ratio; that of first calls is given as well. What both computed is compared in
the same run: a peer's number is an oracle. A peer that cannot be installed or does not run is said so, and has no row.

NannyML's `fit` also puts a number on the reference weeks; `ks` and `cbpe` on our side are about the current ones.
Exit status 1 if numbers disagree.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Peers that count their users do not count these runs.
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: the peer's script, the least ratio to reach, and how near its numbers must be to ours."""

    work: str
    peer: str
    script: str
    goal: float
    tolerance: float
    note: str = ""


TABLE = {
    "groups": Row(
        work="TPR, FPR, selection rate by 200 groups, with intervals",
        peer="fairlearn",
        script="fairlearn_groups.py",
        goal=60,
        tolerance=1e-12,
    ),
    "performance": Row(
        work="weekly AUC, AP, precision, recall, with intervals and bounds",
        peer="nannyml",
        script="nannyml_weekly.py",
        goal=30,
        tolerance=1e-9,
    ),
    "ks": Row(
        work="weekly KS of 6 columns, exact",
        peer="nannyml",
        script="nannyml_weekly.py",
        goal=10,
        tolerance=5e-3,
        note="the peer takes the distance at 10,000 equal steps",
    ),
    "cbpe": Row(
        work="weekly CBPE of AUC, AP, precision, recall",
        peer="nannyml",
        script="nannyml_weekly.py",
        goal=15,
        tolerance=2e-2,
        note="the peer skips calibration where its own test finds none needed",
    ),
    "report": Row(
        work="classification report of two halves as HTML",
        peer="evidently",
        script="evidently_report.py",
        goal=60,
        tolerance=1e-9,
        note="the peer's page carries its own drawing library",
    ),
}


def environment(peer: str, folder: Path) -> Path | str:
    """The peer's Python, installed if it is not there yet; or why there is none."""
    python = folder / peer / "bin" / "python"
    stamp = folder / peer / "installed"
    wanted = (HERE / f"{peer}.txt").read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {peer} (once per folder)", file=sys.stderr)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder / peer)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(HERE / f"{peer}.txt")],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return f"could not be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    stamp.write_text(wanted, encoding="utf-8")
    return python


def measured(python: Path, script: str, task: str, data: Path, rows: int) -> dict[str, Any] | str:
    """One measurement in a process of its own, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [str(python), str(HERE / script), task, str(data), str(out), "--rows", str(rows)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | QUIET)
        if done.returncode or not out.is_file():
            return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return json.loads(out.read_text(encoding="utf-8"))


def compared(ours: dict[str, float], theirs: dict[str, float]) -> tuple[int, float]:
    """How many numbers both have, and the largest difference."""
    common = [name for name in ours.keys() & theirs.keys() if "bytes" not in name and theirs[name] is not None]
    gaps = [abs(ours[name] - theirs[name]) for name in common]
    return len(common), max(gaps, default=math.nan)


def row_of(task: str, row: Row, rounds: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    """One line of the result."""
    count, largest = compared(rounds[0][0]["numbers"], rounds[0][1]["numbers"])

    def side(which: int) -> dict[str, float]:
        kept = {
            name: min(pair[which][name] for pair in rounds)
            for name in ("wall_seconds", "first_wall_seconds", "processor_seconds", "import_seconds")
        }
        kept |= {name: max(pair[which][name] for pair in rounds) for name in ("memory_before_mb", "memory_peak_mb")}
        return {name: round(value, 4) for name, value in kept.items()}

    ours, theirs = side(0), side(1)
    return {
        "task": task,
        "work": row.work,
        "peer": f"{row.peer} {rounds[0][1]['version']}",
        "goal": row.goal,
        "ratio_wall": round(theirs["wall_seconds"] / ours["wall_seconds"], 1),
        "ratio_first_call": round(theirs["first_wall_seconds"] / ours["first_wall_seconds"], 1),
        "ratio_processor": round(theirs["processor_seconds"] / ours["processor_seconds"], 1),
        "ours": ours,
        "theirs": theirs,
        "numbers_compared": count,
        "largest_difference": largest,
        "agree": bool(count) and largest <= row.tolerance,
        "note": row.note,
    }


def run(
    tasks: list[str], *, rows: int, rounds: int, envs: Path, folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of the table, and what could not be measured."""
    data = folder / "rows.parquet"
    subprocess.run([sys.executable, str(HERE / "data.py"), str(data), "--rows", str(rows)], check=True)
    lines, missing = [], []
    for task in tasks:
        row = TABLE[task]
        python = environment(row.peer, envs)
        if isinstance(python, str):
            missing.append(f"{task}: {row.peer} {python}")
            continue
        pairs = []
        for _ in range(rounds):
            ours = measured(Path(sys.executable), "ours.py", task, data, rows)
            theirs = measured(python, row.script, task, data, rows)
            for name, found in (("fbkit", ours), (row.peer, theirs)):
                if isinstance(found, str):
                    missing.append(f"{task}: {name} did not run: {found}")
            if isinstance(ours, str) or isinstance(theirs, str):
                break
            pairs.append((ours, theirs))
        if pairs:
            lines.append(row_of(task, row, pairs))
    return lines, missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--envs", type=Path, help="where the peers' environments are kept")
    parser.add_argument("--only", nargs="*", choices=list(TABLE), default=list(TABLE))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        envs = Path(folder) / "envs" if options.envs is None else options.envs
        envs.mkdir(parents=True, exist_ok=True)
        lines, missing = run(
            options.only, rows=options.rows, rounds=options.rounds, envs=envs.resolve(), folder=Path(folder)
        )
    if options.json:
        print(json.dumps({"rows": options.rows, "cores": os.cpu_count(), "table": lines, "missing": missing}, indent=1))
    else:
        told(lines, missing)
    return 0 if all(line["agree"] for line in lines) else 1


def told(lines: list[dict[str, Any]], missing: list[str]) -> None:
    head = f"{'work':62s} {'peer':17s} {'goal':>5s} {'wall':>7s} {'first':>7s} {'cpu':>7s}"
    print(f"{head}   ours s / MB      theirs s / MB    largest gap")
    for line in lines:
        sides = "  ".join(
            f"{side['wall_seconds']:7.3f} / {side['memory_peak_mb']:6.0f}" for side in (line["ours"], line["theirs"])
        )
        ratios = f"{line['goal']:4.0f}x " + " ".join(
            f"{line[name]:6.1f}x" for name in ("ratio_wall", "ratio_first_call", "ratio_processor")
        )
        gap = f"{line['largest_difference']:.1e} of {line['numbers_compared']}{'' if line['agree'] else '  DISAGREE'}"
        print(f"{line['work']:62s} {line['peer']:17s} {ratios}   {sides}   {gap}")
    for sentence in missing:
        print(f"not measured: {sentence}")


if __name__ == "__main__":
    sys.exit(main())
