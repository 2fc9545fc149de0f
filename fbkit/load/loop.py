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
from fbkit.load.scan import Scan, scan_source
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scans:
    """The logs of one loop, found but not read; None where the contract names none."""

    predictions: Scan
    outcomes: Scan
    actions: Scan | None
    changes: Scan | None
    feedback: Scan | None

    @property
    def all(self) -> tuple[Scan, ...]:
        given = (self.predictions, self.outcomes, self.actions, self.feedback, self.changes)
        return tuple(scan for scan in given if scan is not None)

    @property
    def incomplete(self) -> tuple[UnreadablePart, ...]:
        """Parts that could not be read and were left out on request."""
        return tuple(part for scan in self.all for part in scan.incomplete)


def scan_logs(
    contract: Contract, *, root: Path, frames: Mapping[str, Any] | None = None, skip_unreadable: bool = False
) -> Scans:
    """Find the logs that stand under ``root``, or take the frames handed in.

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
        A required log is missing, or a file of a log cannot be read.
    """
    given = dict(frames or {})
    unknown = sorted(set(given) - {*TABLES})
    if unknown:
        raise InputError(
            "there is no such log",
            got=", ".join(unknown),
            allowed=", ".join(TABLES),
            next_step="give the log under one of these names",
        )

    def scan(source: Source, table: str) -> Scan:
        if table in given:
            return scan_frame(given[table], table=table)
        zoned = source.model_copy(update={"timezone": source.timezone or contract.time.timezone})
        return scan_source(zoned, root=root, table=table, skip_unreadable=skip_unreadable)

    def optional(source: Source | None, default: type[Source], table: str) -> Scan | None:
        return scan(source or default(), table) if table in given or source is not None else None

    return Scans(
        predictions=scan(contract.predictions, "predictions"),
        outcomes=scan(contract.outcomes, "outcomes"),
        actions=optional(contract.actions, ActionsPart, "actions"),
        changes=optional(contract.changes, ChangesPart, "changes"),
        feedback=optional(contract.feedback, FeedbackPart, "feedback"),
    )


def load_scans(scans: Scans, *, contract: Contract) -> Logs:
    """Read and check every log.

    Raises
    ------
    InputError
        A log is unusable.
    """
    frame, sources = _read(scans.predictions)
    predictions = load_predictions(frame, contract=contract, sources=sources)
    frame, sources = _read(scans.outcomes)
    outcomes = load_outcomes(frame, contract=contract, sources=sources)
    return Logs(predictions=predictions, outcomes=outcomes, incomplete=scans.incomplete, **short_logs(scans, contract))


def short_logs(scans: Scans, contract: Contract) -> dict[str, Any]:
    """Actions, changes and feedback, read and checked, by the names that :class:`Logs` has for them."""
    made: dict[str, Any] = {"actions": None, "changes": None, "feedback": None}
    if scans.actions is not None:
        frame, sources = _read(scans.actions)
        made["actions"] = load_actions(frame, contract=contract, sources=sources)
    if scans.feedback is not None:
        frame, sources = _read(scans.feedback)
        made["feedback"] = load_feedback(frame, contract=contract, sources=sources)
    if scans.changes is not None:
        frame, sources = _read(scans.changes)
        made["changes"] = load_changes(frame, contract=contract, sources=sources)
    return made


def _read(scan: Scan) -> tuple[pl.DataFrame, tuple[SourceFile, ...]]:
    frame = scan.collect()
    return frame, scan.sources(frame)


def load_logs(
    contract: Contract, *, root: Path, frames: Mapping[str, Any] | None = None, skip_unreadable: bool = False
) -> Logs:
    """Find, read and check the logs: :func:`scan_logs`, then :func:`load_scans`."""
    scans = scan_logs(contract, root=root, frames=frames, skip_unreadable=skip_unreadable)
    return load_scans(scans, contract=contract)


def _left_out(parts: tuple[UnreadablePart, ...]) -> pl.DataFrame:
    """One line of the audit per log: how many files, and which time they leave open."""
    rows: list[tuple[str, str, int, str | None]] = []
    for table in dict.fromkeys(part.table for part in parts):
        named = [f"{part.file} ({part.period or 'unknown period'})" for part in parts if part.table == table]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        said = f"{NOTES['unreadable_part']}: {', '.join(named[:3])}{more}"
        rows.append((table, "unreadable_part", len(named), said))
    return audit_frame(rows)
