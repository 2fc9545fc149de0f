"""Which incidents are scored, how one is simulated and joined, and what is taken away in an ablation."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from fbkit.join.join import join
from fbkit.join.joined import Joined
from fbkit.load.loop import load_logs
from fbkit.samples.challenge import CHALLENGE, VARIANTS
from fbkit.samples.config import FEATURES, WorldConfig
from fbkit.samples.faults import (
    ConceptDrift,
    Injection,
    JoinBreak,
    LabelLossNonrandom,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    SlowLabels,
    ThresholdChange,
    VersionRegression,
)
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


def _graded(
    name: str, made: Callable[[float], Injection], mild: float, moderate: float, severe: float
) -> list[Incident]:
    grades = {"mild": mild, "moderate": moderate, "severe": severe}
    return [
        Incident(name=f"{name}, {grade}", severity=grade, faults=(made(severity),))
        for grade, severity in grades.items()
    ]


EU: Final = {"region": "EU"}
FLAGGED: Final = {"decision": "flagged"}
EU_FLAGGED: Final = EU | FLAGGED

STARTERS: Final = [
    *_graded("concept_drift", lambda s: ConceptDrift(severity=s), 0.06, 0.12, 0.25),
    *_graded("concept_drift in EU", lambda s: ConceptDrift(severity=s, where=EU), 0.1, 0.25, 0.5),
    *_graded("version_regression", lambda s: VersionRegression(severity=s, share=0.5), 1.0, 2.0, 4.0),
    *_graded("threshold_change", lambda s: ThresholdChange(severity=s), 0.15, 0.4, 1.0),
    *_graded("mix_shift", lambda s: MixShift(severity=s, where={"customer": "new"}), 0.5, 1.5, 4.0),
    *_graded("label_slice_loss", lambda s: LabelSliceLoss(severity=s, where=EU_FLAGGED), 0.2, 0.5, 0.8),
    *_graded("label_loss_nonrandom", lambda s: LabelLossNonrandom(severity=s, where=FLAGGED), 0.2, 0.4, 0.7),
    *_graded("slow_labels", lambda s: SlowLabels(severity=s, outcome=1), 0.5, 1.0, 3.0),
    *_graded("join_break", lambda s: JoinBreak(severity=s, where={"device": "ios"} | FLAGGED), 0.3, 0.6, 0.95),
    *_graded("label_outage", lambda s: LabelOutage(severity=s, start=2, end=6), 0.4, 0.7, 1.0),
]  # fmt: skip
"""Single causes for as long as the simulator has no catalogue of its own."""

COMPOUNDS: Final = [
    Incident(name=" + ".join(fault.cause for fault in faults), kind="compound", faults=faults)
    for faults in (
        (ConceptDrift(severity=0.15), LabelSliceLoss(severity=0.5, where=EU_FLAGGED)),
        (ThresholdChange(severity=0.4), JoinBreak(severity=0.6, where={"device": "ios", "decision": "flagged"})),
        (MixShift(severity=1.5, where={"customer": "new"}), ConceptDrift(severity=0.15)),
    )
]
MASKED: Final = [
    Incident(
        name=f"masked drift, {grade}",
        kind="masked",
        severity=grade,
        faults=(
            ConceptDrift(severity=severity),
            LabelSliceLoss(severity=lost, where={"decision": "not flagged", "region": ("EU", "US")}),
        ),
    )
    for grade, severity, lost in (("moderate", 0.12, 0.5), ("severe", 0.25, 0.7))
]


def _moved(incident: Incident, *, config: Mapping[str, Any] | None = None, **changes: Any) -> Incident:
    """The same recipe under another configuration, metric or ablation."""
    return replace(incident, config=replace(incident.config, **(config or {})), **changes)


def catalogue() -> dict[str, list[Incident]]:
    """Table -> incidents, in the order of the report."""
    single, compound, masked, undecidable = STARTERS, COMPOUNDS, MASKED, [i for i in STARTERS if "nonrandom" in i.name]
    named = [i for i in single if i not in undecidable]
    every = [*named, *compound]
    tables = {
        "challenge": [
            Incident(name=name, kind="challenge", config=CHALLENGE, faults=faults) for name, faults in VARIANTS.items()
        ],
        "healthy": [Incident(name="no change", kind="healthy")],
        "causes": named,
        "compounds": compound,
        "masked": masked,
        "undecidable": [replace(i, kind="undecidable") for i in undecidable],
    }
    tables |= {name: [_moved(i, take=name) for i in every] for name in ABLATIONS}
    tables["low base rate"] = [_moved(i, config={"base_rate": 0.002, "per_day": 20_000}) for i in every]
    tables["small traffic"] = [_moved(i, config={"per_day": 300}) for i in every]
    return tables | {name: [_moved(i, metric=name) for i in every] for name in ("precision", "roc_auc", "brier")}


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
    return join(load_logs(contract, root=Path(), frames=logs), contract=contract, as_of=simulation.config.as_of)


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
