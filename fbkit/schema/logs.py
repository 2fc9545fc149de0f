"""A log that satisfies its schema, the rows it refused, and the account of both."""

from dataclasses import dataclass

import polars as pl

from fbkit.schema.period import Period
from fbkit.schema.results import AUDIT_ROWS, AUDIT_RULE, AUDIT_TABLE

AUDIT_SCHEMA = {AUDIT_TABLE: pl.String, AUDIT_RULE: pl.String, AUDIT_ROWS: pl.Int64, "detail": pl.String}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file or frame that was read: ``table/file name``, its SHA-256, its rows."""

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadablePart:
    """A part of a log that could not be read and was left out on request.

    ``period`` is the time its rows would have covered, by the log's own times (``ts_pred``, ``ts_event``); None where
    nothing tells it, and then the whole log counts as incomplete.
    """

    table: str
    file: str
    period: Period | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Rows that passed every check, rows that did not (with ``rule``), and the audit of both.

    Law: ``audit`` says in = used + refused by rule; nothing is dropped silently.
    """

    frame: pl.DataFrame
    rejects: pl.DataFrame
    audit: pl.DataFrame
    sources: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionLog(Log):
    """One row per prediction: ``prediction_id``, ``ts_pred``, ``score``, and whatever else was logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLog(Log):
    """One row per statement about an outcome: key, ``ts_event``, ``ts_arrival``, ``label``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLog(Log):
    """One row per prediction that was acted on: ``action``, ``propensity``."""


# Said by a person about a person's question: personal whether or not the contract names them.
PERSONAL_FEEDBACK = ("comment", "rater")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLog(Log):
    """One row per reaction of a person: whom it is about, ``ts_feedback``, ``rating`` or ``comment``, ``rater``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLog(Log):
    """Dated changes: deploys, features, labels, product, incidents."""


def audit_frame(rows: list[tuple[str, str, int, str | None]]) -> pl.DataFrame:
    """An audit frame from (table, rule, rows, detail)."""
    return pl.DataFrame(rows, schema=AUDIT_SCHEMA, orient="row")
