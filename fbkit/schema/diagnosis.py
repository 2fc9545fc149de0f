"""What a diagnosis says, as plain data; methods that write or draw live in ``fbkit.session``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from fbkit.schema.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Reference value, current value and their difference with its interval."""

    reference: float | None
    current: float | None
    change: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with its interval; all None when it is not estimable."""

    value: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One rung of the ladder: how many metric points one cause explains."""

    cause: str
    family: str
    value: float | None
    lower: float | None
    upper: float | None
    material: bool
    strength: str
    where: str
    evidence: str
    next_evidence: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question an on-call engineer asks, answered, with the evidence frame that answers it."""

    key: str
    question: str
    answer: str
    seconds: float
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person adds beside the verdict; ``disagrees_with`` is "verdict", a cause or a check's key."""

    text: str
    author: str | None = None
    disagrees_with: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The whole verdict. Contributions sum to ``observed.change``; ``notes`` are people's, and change nothing."""

    metric: str
    reference: Period
    current: Period
    as_of: datetime
    verdict: str
    top_cause: str
    top_family: str
    metric_level: float
    headline: str
    observed: Change
    true_change: Interval
    worst_case: Mapping[str, tuple[float | None, float | None]]
    tipping_ratio: float | None
    minimum_detectable_change: float | None
    reason: str | None
    warnings: tuple[str, ...] = ()
    worlds: tuple[Mapping[str, object], ...]
    contributions: tuple[Contribution, ...]
    checks: tuple[Check, ...]
    would_change_verdict: tuple[str, ...]
    do_now: tuple[str, ...]
    do_not: tuple[str, ...]
    owner: str | None
    runbook: str | None
    decidable_at: datetime | None
    impact: Mapping[str, object]
    data_through: Mapping[str, str | None]
    changes: tuple[Mapping[str, object], ...]
    evaluation_id: str
    seconds: float
    evidence: Mapping[str, pl.DataFrame] = field(repr=False)
    method: Mapping[str, object] = field(repr=False)
    notes: tuple[Note, ...] = ()
