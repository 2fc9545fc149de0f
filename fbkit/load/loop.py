"""Load every log that a contract names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from fbkit.errors import InputError
from fbkit.load.actions import load_actions, load_changes
from fbkit.load.feedback import load_feedback
from fbkit.load.frames import scan_frame
from fbkit.load.outcomes import load_outcomes
from fbkit.load.predictions import load_predictions
from fbkit.load.scan import scan_source
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import ActionsPart, ChangesPart, FeedbackPart, Source
from fbkit.schema.logs import (
    ActionLog,
    ChangeLog,
    FeedbackLog,
    Log,
    OutcomeLog,
    PredictionLog,
    SourceFile,
    UnreadablePart,
    audit_frame,
)
from fbkit.schema.rules import NOTES

TABLES = ("predictions", "outcomes", "actions", "feedback", "changes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """The logs of one loop; ``incomplete`` lists the parts that were left out because they could not be read."""

    predictions: PredictionLog
    outcomes: OutcomeLog
    actions: ActionLog | None
    changes: ChangeLog | None
    feedback: FeedbackLog | None = None
    incomplete: tuple[UnreadablePart, ...] = ()

    @property
    def all(self) -> tuple[Log, ...]:
        given = (self.predictions, self.outcomes, self.actions, self.feedback, self.changes)
        return tuple(log for log in given if log is not None)

    @property
    def audit(self) -> pl.DataFrame:
        """Table, rule, rows, detail of every log."""
        return pl.concat([*(log.audit for log in self.all), _left_out(self.incomplete)])

    @property
    def sources(self) -> tuple[SourceFile, ...]:
        return tuple(source for log in self.all for source in log.sources)


def load_logs(
    contract: Contract, *, root: Path, frames: Mapping[str, Any] | None = None, skip_unreadable: bool = False
) -> Logs:
    """Read and check the logs that stand under ``root``, or the frames handed in.

    Parameters
    ----------
    frames
        Optional frames by log name (``predictions``, ``outcomes``, ``actions``, ``feedback``, ``changes``); they
        replace the contract's paths.
    skip_unreadable
        Leave out files that cannot be read; each is listed in ``incomplete`` with the period it leaves open.

    Raises
    ------
    InputError
        A required log is missing or unusable.
    """
    given = dict(frames or {})
    unknown = sorted(set(given) - {*TABLES})
    if unknown:
        raise InputError("there is no such log", got=", ".join(unknown), allowed=", ".join(TABLES))
    incomplete: list[UnreadablePart] = []

    def read(source: Source, table: str) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
        if table in given:
            scan = scan_frame(given[table], table=table)
        else:
            zoned = source.model_copy(update={"timezone": source.timezone or contract.time.timezone})
            scan = scan_source(zoned, root=root, table=table, skip_unreadable=skip_unreadable)
        incomplete.extend(scan.incomplete)
        frame = scan.collect()
        return frame, scan.sources(frame)

    frame, sources = read(contract.predictions, "predictions")
    predictions = load_predictions(frame, contract=contract, sources=sources)
    frame, sources = read(contract.outcomes, "outcomes")
    outcomes = load_outcomes(frame, contract=contract, sources=sources)
    actions = feedback = changes = None
    if "actions" in given or contract.actions is not None:
        frame, sources = read(contract.actions or ActionsPart(), "actions")
        actions = load_actions(frame, contract=contract, sources=sources)
    if "feedback" in given or contract.feedback is not None:
        frame, sources = read(contract.feedback or FeedbackPart(), "feedback")
        feedback = load_feedback(frame, contract=contract, sources=sources)
    if "changes" in given or contract.changes is not None:
        frame, sources = read(contract.changes or ChangesPart(), "changes")
        changes = load_changes(frame, contract=contract, sources=sources)
    return Logs(
        predictions=predictions,
        outcomes=outcomes,
        actions=actions,
        changes=changes,
        feedback=feedback,
        incomplete=tuple(incomplete),
    )


def _left_out(parts: tuple[UnreadablePart, ...]) -> pl.DataFrame:
    """One line of the audit per log: how many files, and which time they leave open."""
    rows: list[tuple[str, str, int, str | None]] = []
    for table in dict.fromkeys(part.table for part in parts):
        named = [f"{part.file} ({part.period or 'unknown period'})" for part in parts if part.table == table]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        said = f"{NOTES['unreadable_part']}: {', '.join(named[:3])}{more}"
        rows.append((table, "unreadable_part", len(named), said))
    return audit_frame(rows)
