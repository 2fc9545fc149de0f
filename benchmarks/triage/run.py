"""Score the triage engine on fresh incidents of known truth.

    python benchmarks/triage/run.py --seeds 30 --from-commit

Prints, per table, the promised figures with binomial intervals and a line per scenario. With --from-commit the seeds
follow from the commit id and the table's name, so that nobody can choose them; without it they are 1, 2, ... (for
development). An engine that fails on an incident is a miss, told with its message. --quick is one seed a scenario.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # One thread a process, set before anything is imported: several processes share the cores.
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(_name, "1")
    sys.path.insert(0, str(ROOT))
from benchmarks.triage import audit, incidents, tables  # noqa: E402
from benchmarks.triage.incidents import Incident  # noqa: E402
from benchmarks.triage.score import Case, Run, held, residual  # noqa: E402
from fbkit.diagnose.triage import triage  # noqa: E402
from fbkit.join.joined import Joined  # noqa: E402
from fbkit.report.serial import diagnosis_facts, diagnosis_json  # noqa: E402
from fbkit.samples.simulate import Simulation  # noqa: E402
from fbkit.schema.diagnosis import Diagnosis  # noqa: E402

TABLES = ("challenge", "healthy", "causes", "compounds", "masked", "undecidable")
QUICK_TRUTH_ROWS = 150_000


def score(case: Case, incident: Incident, *, draws: int, truth_rows: int | None, twice: bool) -> Run:
    """Run one incident and hold it against the truth; whatever goes wrong in the engine is a miss with its message."""
    simulation = incident.simulated(case.seed)
    true = incident.truth(rows=truth_rows).as_dict()
    begin = time.process_time()
    try:
        joined = incidents.joined_of(simulation)
        begin = time.process_time()
        said = _ask(joined, incident, draws=draws)
        more: dict[str, Any] = {"seconds": time.process_time() - begin, "residual": residual_of(said)}
        if twice:
            more["identical"] = plain(diagnosis_json(said)) == plain(
                diagnosis_json(_ask(joined, incident, draws=draws))
            )
        # Nobody can audit what an action prevented.
        if case.kind == "undecidable" and "action_censoring" not in case.scenario:
            again = partial(_ask_anew, incident=incident, draws=draws)
            more["audited"] = audit.after_audit(said, joined, simulation, again)
        return held(case, diagnosis_facts(said), true, **more)
    except Exception as error:  # noqa: BLE001  # the benchmark tells of every failure, and goes on
        said_of = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return held(case, None, true, error=said_of[:200], seconds=time.process_time() - begin)


def _ask(joined: Joined, incident: Incident, *, draws: int) -> Diagnosis:
    return triage(joined, incident.periods, metric=incident.metric, draws=draws)


def _ask_anew(simulation: Simulation, *, incident: Incident, draws: int) -> Diagnosis:
    return _ask(incidents.joined_of(simulation), incident, draws=draws)


def residual_of(said: Diagnosis) -> float:
    """The sum's residual of the diagnosis itself: its JSON is rounded."""
    parts = [{"value": part.value} for part in said.contributions]
    return residual({"contributions": parts, "observed": {"change": said.observed.change}})


def plain(text: str) -> str:
    """The JSON without what differs between two runs: the seconds."""
    facts = json.loads(text)
    facts.pop("seconds", None)
    for check in facts.get("checks", []):
        check.pop("seconds", None)
    return json.dumps(facts, sort_keys=True)


def jobs_of(
    table: str, chosen: Sequence[Incident], *, count: int, commit: str | None
) -> list[list[tuple[Case, Incident]]]:
    """One list per scenario, so that its truth is computed once."""
    seeds = incidents.numbered(table, chosen, count=count, commit=commit)
    return [
        [
            (
                Case(
                    table=table, scenario=recipe.name, seed=seed, kind=recipe.kind, metric=recipe.metric,
                    severity=recipe.severity,
                ),
                recipe,
            )
            for seed in mine
        ]
        for recipe, mine in zip(chosen, seeds, strict=True)
    ]  # fmt: skip


def scenario_runs(
    jobs: Sequence[tuple[Case, Incident]], *, draws: int, truth_rows: int | None, twice: bool = True
) -> list[Run]:
    """All seeds of one scenario; the first one twice, if asked for."""
    return [
        score(case, incident, draws=draws, truth_rows=truth_rows, twice=twice and number == 0)
        for number, (case, incident) in enumerate(jobs)
    ]


@contextmanager
def workers(jobs: int) -> Iterator[Any]:
    """A map over this process, or over fresh ones."""
    if jobs <= 1:
        yield map
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield pool.map


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tables that were asked for; exit status 1 when a verdict of the mini challenge is wrong."""
    options = _options(arguments)
    commit = _commit() if options.from_commit else None
    print(f"seeds from {'commit ' + commit if commit else '1, 2, ... (development)'}; {options.draws} draws")
    known = incidents.catalogue()
    unknown = set(options.tables) - set(known)
    if unknown:
        print(f"unknown tables {sorted(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    rows = QUICK_TRUTH_ROWS if options.quick else None
    work = partial(scenario_runs, draws=options.draws, truth_rows=rows, twice=not options.quick)
    found: dict[str, list[Run]] = {}
    with workers(options.jobs) as spread:
        for name in options.tables:
            chosen = [i for i in known[name] if options.only in i.name]
            found[name] = _told(spread(work, jobs_of(name, chosen, count=options.seeds, commit=commit)))
            print(tables.report({name: found[name]}, as_markdown=options.markdown), flush=True)
    runs = [run for mine in found.values() for run in mine]
    if len(found) > 1:
        print(tables.report({"all tables": runs}, as_markdown=options.markdown).split("scenario")[0].rstrip("\n| "))
    if options.json:
        options.json.write_text("".join(json.dumps(facts_of(run)) + "\n" for run in runs), encoding="utf-8")
    return int(any(run.case.kind == "challenge" and not run.verdict_right for run in runs))


def _told(groups: Any) -> list[Run]:
    """Every run, its failure or its wrong answer told as it comes."""
    found: list[Run] = []
    for group in groups:
        for run in group:
            found.append(run)
            if run.error is not None:
                print(f"  failed: {run.case.scenario} seed {run.case.seed}: {run.error}", file=sys.stderr)
            elif not (run.top_right if run.case.kind != "challenge" else run.verdict_right):
                wrong = f"{run.verdict}, {run.top} in place of {run.cause} ({run.effect:+.4f})"
                print(f"  wrong: {run.case.scenario} seed {run.case.seed}: {wrong}", file=sys.stderr)
    return found


def facts_of(run: Run) -> dict[str, Any]:
    """A run as JSON, with what follows from it."""
    names = (
        "top_right", "family_right", "verdict_right", "covered", "missed_by", "attribution", "attribution_with_noise",
        "material",
    )  # fmt: skip
    return asdict(run) | {name: getattr(run, name) for name in names}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, help="incidents per scenario (30, with --quick 1)")
    parser.add_argument("--from-commit", action="store_true", help="seeds from the commit id and the table's name")
    parser.add_argument("--tables", default=",".join(TABLES), help='names with commas between them, or "all"')
    parser.add_argument("--only", default="", help="only scenarios whose name holds this")
    parser.add_argument("--draws", type=int, help="draws of the bootstrap (200, with --quick 60)")
    parser.add_argument(
        "--quick", action="store_true", help="one seed a scenario, few draws: does it run, and how well"
    )
    parser.add_argument("--markdown", action="store_true", help="tables for docs/results.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one JSON line per incident")
    parser.add_argument("--jobs", type=int, help="processes, of one thread each (1, with --quick 2)")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (1 if options.quick else 30)
    options.jobs = options.jobs or (2 if options.quick else 1)
    options.draws = (60 if options.quick else 200) if options.draws is None else options.draws
    options.tables = list(incidents.catalogue()) if options.tables == "all" else options.tables.split(",")
    return options


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
