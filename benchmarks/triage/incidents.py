"""Which incidents are scored, how one is simulated and joined, and under which variations."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples.challenge import CHALLENGE, VARIANTS
from fbkit.samples.scenarios import SCENARIOS, SIZES, Scenario, in_other_loops
from fbkit.samples.simulate import Simulation
from fbkit.samples.truth import Truth, truth
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

ABLATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "no features": ("features",),
    "no actions": ("actions",),
    "no arrival time": ("arrival",),
}
LOOPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "low base rate": {"base_rate": 0.01},
    "small traffic": {"per_day": 300},
}
METRICS: Final = ("precision", "roc_auc", "brier")
TABLES: Final = {"no_change": "healthy", "compound": "compounds", "cause": "causes", "ablation": "less evidence"}
KINDS: Final = {"cause": "single", "no_change": "healthy", "ablation": "single"}


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A scenario as it is counted here: ``kind`` is one of :data:`benchmarks.triage.score.KINDS`."""

    scenario: Scenario
    kind: str
    severity: str = ""

    @property
    def name(self) -> str:
        return self.scenario.name

    @property
    def metric(self) -> str:
        return self.scenario.metric

    @property
    def periods(self) -> Comparison:
        """Reference and current window."""
        config = self.scenario.config
        return Comparison(reference=config.period("reference"), current=config.period("current"))

    def simulated(self, seed: int) -> Simulation:
        """Fresh logs."""
        return self.scenario(seed)

    def truth(self, *, rows: int | None = None) -> Truth:
        """What is true of it; from smaller worlds if ``rows`` says so."""
        asked = self.scenario
        if rows is None or asked.task != "binary":
            return asked.truth()
        return truth(asked.config, asked.faults, metric=asked.metric, rows=rows)


def counted(scenario: Scenario) -> Incident:
    """The catalogue's scenario as this benchmark counts it."""
    size = scenario.size or next((size for size in SIZES if scenario.name.endswith(size)), "")
    kind = KINDS.get(scenario.kind, scenario.kind)
    return Incident(scenario=scenario, kind=kind if scenario.faults else "healthy", severity=size)


def table_of(scenario: Scenario, *, other_loops: frozenset[str]) -> str:
    """The table in which a scenario is told."""
    if scenario.task != "binary":
        return scenario.task
    if scenario.name in other_loops:
        return "other loops"
    return TABLES.get(scenario.kind, scenario.kind)


def catalogue() -> dict[str, list[Incident]]:
    """Table -> incidents, in the order of the report."""
    tables = {"challenge": [_challenge(name) for name in VARIANTS]}
    others = frozenset(scenario.name for scenario in in_other_loops())
    for scenario in SCENARIOS.values():
        tables.setdefault(table_of(scenario, other_loops=others), []).append(counted(scenario))
    core = [i for i in tables["causes"] if i.severity == "severe"] + tables["compounds"]
    tables |= {name: [_moved(i, lacks=(*i.scenario.lacks, *parts)) for i in core] for name, parts in ABLATIONS.items()}
    tables |= {
        name: [_moved(i, config=replace(i.scenario.config, **options)) for i in core] for name, options in LOOPS.items()
    }
    return tables | {name: [_moved(i, metric=name) for i in core] for name in METRICS}


def _challenge(name: str) -> Incident:
    made = Scenario(name=name, kind="compound", config=CHALLENGE, faults=VARIANTS[name])
    return Incident(scenario=made, kind="challenge")


def _moved(incident: Incident, **changes: Any) -> Incident:
    return replace(incident, scenario=replace(incident.scenario, **changes))


def seeds_for(table: str, *, count: int, commit: str | None) -> list[int]:
    """Seeds 1, 2, ... or SHA-256 of commit id, table name and number."""
    if commit is None:
        return list(range(1, count + 1))
    digests = (hashlib.sha256(f"{commit}|{table}|{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4]) for digest in digests]


def numbered(table: str, incidents: Sequence[Incident], *, count: int, commit: str | None) -> list[list[int]]:
    """Seeds of each incident of a table: running numbers, so that no two incidents share their random draws."""
    seeds = seeds_for(table, count=count * len(incidents), commit=commit)
    return [seeds[i * count : (i + 1) * count] for i in range(len(incidents))]


def joined_of(simulation: Simulation) -> Joined:
    """Check and join the simulated logs, as a loop on disk would be."""
    contract = Contract.from_toml(simulation.contract_toml)
    logs = {
        name: frame
        for name in ("predictions", "outcomes", "actions", "changes")
        if (frame := getattr(simulation, name)) is not None
    }
    contract = contract.model_copy(update={name: None for name in ("actions", "changes") if name not in logs})
    return join(load_logs(contract, root=Path(), frames=logs), contract=contract, as_of=simulation.as_of)
