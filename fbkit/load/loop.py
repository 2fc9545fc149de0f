"""Load every log that a contract names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from fbkit.errors import InputError
from fbkit.load.actions import load_actions, load_changes
from fbkit.load.outcomes import load_outcomes
from fbkit.load.predictions import load_predictions
from fbkit.load.read import read_frame, read_source
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import ActionsPart, ChangesPart, Source
from fbkit.schema.logs import ActionLog, ChangeLog, Log, OutcomeLog, PredictionLog, SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The logs of one loop."""

    predictions: PredictionLog
    outcomes: OutcomeLog
    actions: ActionLog | None
    changes: ChangeLog | None

    @property
    def all(self) -> tuple[Log, ...]:
        return tuple(log for log in (self.predictions, self.outcomes, self.actions, self.changes) if log is not None)

    @property
    def audit(self) -> pl.DataFrame:
        """Table, rule, rows, detail of every log."""
        return pl.concat([log.audit for log in self.all])

    @property
    def sources(self) -> tuple[SourceFile, ...]:
        return tuple(source for log in self.all for source in log.sources)


def load_logs(contract: Contract, *, root: Path, frames: Mapping[str, Any] | None = None) -> Logs:
    """Read and check the logs that stand under ``root``, or the frames handed in.

    Parameters
    ----------
    frames
        Optional frames by log name (``predictions``, ``outcomes``, ``actions``, ``changes``); they
        replace the contract's paths.

    Raises
    ------
    InputError
        A required log is missing or unusable.
    """
    given = dict(frames or {})
    unknown = sorted(set(given) - {"predictions", "outcomes", "actions", "changes"})
    if unknown:
        raise InputError(
            "there is no such log", got=", ".join(unknown), allowed="predictions, outcomes, actions, changes"
        )

    def read(source: Source, table: str) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
        if table in given:
            return read_frame(given[table], table=table)
        return read_source(source, root=root, table=table)

    frame, sources = read(contract.predictions, "predictions")
    predictions = load_predictions(frame, contract=contract, sources=sources)
    frame, sources = read(contract.outcomes, "outcomes")
    outcomes = load_outcomes(frame, contract=contract, sources=sources)
    actions = changes = None
    if "actions" in given or contract.actions is not None:
        frame, sources = read(contract.actions or ActionsPart(), "actions")
        actions = load_actions(frame, contract=contract, sources=sources)
    if "changes" in given or contract.changes is not None:
        frame, sources = read(contract.changes or ChangesPart(), "changes")
        changes = load_changes(frame, contract=contract, sources=sources)
    return Logs(predictions=predictions, outcomes=outcomes, actions=actions, changes=changes)
