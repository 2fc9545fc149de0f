"""Which incidents are scored, how one is simulated and joined, and what is taken away in an ablation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples.challenge import CHALLENGE, VARIANTS
from fbkit.samples.config import FEATURES, WorldConfig
from fbkit.samples.faults import Injection
from fbkit.samples.scenarios import SCENARIOS, SIZES, Scenario
from fbkit.samples.simulate import Simulation, simulate
from fbkit.schema.contract import Contract
from fbkit.schema.period import Comparison

ABLATIONS: Final = ("no features", "no actions", "no arrival time")


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A recipe: everything but the seed. ``take`` is one of ABLATIONS or empty."""

    name: str
    kind: str = "single"
    severity: str = ""
    config: WorldConfig = field(default_factory=WorldConfig)
    faults: tuple[Injection, ...] = ()
    metric: str = "recall"
    take: str = ""


KINDS: Final = {"cause": "single", "no_change": "healthy", "ablation": "single"}
LOOPS: Final = ("300_a_day", "positives_1_percent", "positives_30_percent")


def of_scenario(scenario: Scenario) -> Incident:
    """The catalogue's recipe as this benchmark counts it."""
    size = scenario.size or next((size for size in SIZES if scenario.name.endswith(size)), "")
    return Incident(
        name=scenario.name,
        kind=KINDS.get(scenario.kind, scenario.kind),
        severity=size,
        config=scenario.config,
        faults=scenario.faults,
        metric=scenario.metric,
    )


def _moved(incident: Incident, *, config: Mapping[str, Any] | None = None, **changes: Any) -> Incident:
    """The same recipe under another configuration, metric or ablation."""
    return replace(incident, config=replace(incident.config, **(config or {})), **changes)


def catalogue() -> dict[str, list[Incident]]:
    """Table -> incidents, in the order of the report."""
    known: dict[str, list[Incident]] = {}
    for scenario in SCENARIOS.values():
        known.setdefault(_table_of(scenario), []).append(of_scenario(scenario))
    core = [i for i in known["causes"] if i.severity == "severe"] + known["compounds"]
    tables = {
        "challenge": [
            Incident(name=name, kind="challenge", config=CHALLENGE, faults=faults) for name, faults in VARIANTS.items()
        ],
        **known,
    }
    tables |= {name: [_moved(i, take=name) for i in core] for name in ABLATIONS}
    tables["low base rate"] = [_moved(i, config={"base_rate": 0.01}) for i in core]
    tables["small traffic"] = [_moved(i, config={"per_day": 300}) for i in core]
    return tables | {name: [_moved(i, metric=name) for i in core] for name in ("precision", "roc_auc", "brier")}


def _table_of(scenario: Scenario) -> str:
    if scenario.kind == "cause":
        return "other loops" if scenario.name.endswith(LOOPS) else "causes"
    names = {"no_change": "healthy", "compound": "compounds", "ablation": "less evidence"}
    return names.get(scenario.kind, scenario.kind)


def seeds_for(table: str, *, count: int, commit: str | None) -> list[int]:
    """Seeds 1, 2, ... or SHA-256 of commit id, table name and number."""
    if commit is None:
        return list(range(1, count + 1))
    digests = (hashlib.sha256(f"{commit}|{table}|{number}".encode()).digest() for number in range(count))
    return [int.from_bytes(digest[:4]) for digest in digests]


def simulated(incident: Incident, seed: int) -> Simulation:
    """Fresh logs of the incident."""
    return simulate(incident.config, incident.faults, seed=seed)


def joined_of(simulation: Simulation, *, take: str = "") -> Joined:
    """Check and join the simulated logs, as a loop on disk would be, with what an ablation leaves of them."""
    contract = Contract.from_toml(simulation.contract_toml)
    logs = {
        name: frame
        for name in ("predictions", "outcomes", "actions", "changes")
        if (frame := getattr(simulation, name)) is not None
    }
    contract, logs = without(contract, logs, take=take)
    contract = contract.model_copy(update={name: None for name in ("actions", "changes") if name not in logs})
    return join(load_logs(contract, root=Path(), frames=logs), contract=contract, as_of=simulation.as_of)


def without(
    contract: Contract, logs: dict[str, pl.DataFrame], *, take: str
) -> tuple[Contract, dict[str, pl.DataFrame]]:
    """The logs of a team that never wrote that part down."""
    if take == "no features":
        held = [name for name in (*FEATURES, *contract.features.columns) if name in logs["predictions"].columns]
        features = contract.features.model_copy(update={"columns": (), "definitions": {}})
        fewer = logs | {"predictions": logs["predictions"].drop(set(held))}
        return contract.model_copy(update={"features": features}), fewer
    if take == "no actions":
        return contract, {name: frame for name, frame in logs.items() if name != "actions"}
    if take == "no arrival time":
        columns = {name: text for name, text in contract.outcomes.columns.items() if name != "ts_arrival"}
        outcomes = contract.outcomes.model_copy(update={"columns": columns})
        fewer = logs | {"outcomes": logs["outcomes"].drop("ts_arrival")}
        return contract.model_copy(update={"outcomes": outcomes}), fewer
    return contract, logs


def periods_of(config: WorldConfig) -> Comparison:
    """Reference and current window of the recipe."""
    return Comparison(reference=config.period("reference"), current=config.period("current"))


def numbered(table: str, incidents: Sequence[Incident], *, count: int, commit: str | None) -> list[list[int]]:
    """Seeds of each incident of a table: running numbers, so that no two incidents share their random draws."""
    seeds = seeds_for(table, count=count * len(incidents), commit=commit)
    return [seeds[i * count : (i + 1) * count] for i in range(len(incidents))]
