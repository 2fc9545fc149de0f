"""The tables of a contract, one pydantic model each; unknown keys are refused."""

import zoneinfo
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    field_validator,
    model_validator,
)

from fbkit.errors import ArgumentError
from fbkit.schema.contract_checks import (
    amount_problems,
    cross_problems,
    label_problems,
    limit_problems,
    refuse,
    rule_problems,
    source_problems,
)
from fbkit.schema.durations import format_duration, parse_duration
from fbkit.schema.period import parse_instant

_NOT_A_DURATION = 'not a duration; write for example "7d", "36h" or "30m"'


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ArgumentError as error:
            raise ValueError(_NOT_A_DURATION) from error
    # A bare number would be read as seconds by the validator behind this one, where days were meant.
    if not isinstance(value, timedelta):
        raise ValueError(_NOT_A_DURATION)  # noqa: TRY004 - pydantic collects ValueErrors only
    if value < timedelta(0):
        raise ValueError("a duration cannot be negative")
    return value


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no such time zone; write an IANA name such as Europe/Berlin") from error
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _limits(value: dict[str, float]) -> dict[str, float]:
    refuse(limit_problems(value))
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Where = Annotated[dict[str, str], Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
Zone = Annotated[str, AfterValidator(_zone)]
# The name of an environment variable: what looks like an address or a password is refused, and never shown.
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(@[1-9][0-9]*)?$")]
Limits = Annotated[dict[Literal["p50", "p95", "p99"], float], AfterValidator(_limits)]
Change = Annotated[str, Field(pattern=r"^\d+(\.\d+)?%?$")]


class Part(BaseModel):
    """Base of every table: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelPart(Part):
    """What the model is for, who owns it, and where its runbook is."""

    name: str = Field(min_length=1)
    task: Literal["binary", "regression", "ranking"] = "binary"
    purpose: str | None = None
    owners: Names = ()
    business_metric: str | None = None
    runbook: str | None = None


class Source(Part):
    """Where a log comes from and how its columns map to the canonical names."""

    path: str | None = None
    format: Literal["parquet", "csv", "ndjson", "delta", "iceberg"] | None = None
    query: str | None = None
    connection_env: Variable | None = None
    timezone: Zone | None = None
    columns: dict[str, str | list[str]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _query_alone(cls, content: Any) -> Any:
        # The path that a log has by default gives way to a query; without one, no path means the default.
        if isinstance(content, dict) and content.get("path") is None:
            left = {key: value for key, value in content.items() if key != "path"}
            return left if left.get("query") is None else {**left, "path": None}
        return content

    @model_validator(mode="after")
    def _one_source(self) -> "Source":
        refuse(source_problems(self))
        return self


class PredictionsPart(Source):
    """The prediction log; `where` keeps only rows with these values, `score_kind` says what a score is."""

    path: str | None = "predictions/*.parquet"
    where: dict[str, list[str]] = Field(default_factory=dict)
    score_kind: Literal["probability", "margin", "value", "rank"] = "probability"


class OutcomesPart(Source):
    """The outcome log; up to `complete_through` silence may be believed."""

    path: str | None = "outcomes/*.parquet"
    complete_through: Annotated[AwareDatetime, AfterValidator(parse_instant)] | None = None


class ActionsPart(Source):
    """The action log; `blocked` names the actions that hide the outcome."""

    path: str | None = "actions/*.parquet"
    blocked: Names = ()


class FeedbackPart(Source):
    """What users said about answers."""

    path: str | None = "feedback/*.parquet"


class ChangesPart(Source):
    """Deploys, features, labels, products and incidents, each with its time."""

    path: str | None = "changes.csv"


class LabelChange(Part):
    """One change of the label's definition and the day it took effect."""

    version: str
    date: date
    note: str | None = None


class LabelPart(Part):
    """When a label counts: its window after the prediction, what silence means, which statement wins."""

    name: str = "label"
    version: str | None = None
    window: Duration | Literal["session"]
    session_gap: Duration = timedelta(minutes=30)
    grace: Duration = timedelta(0)
    combine: Literal["one", "first", "last", "any", "sum", "max", "count"] = "one"
    corrections: Literal["latest", "keep_first"] = "latest"
    stages: tuple[Duration, ...] = ()
    silence: Literal["missing", "negative"] = "missing"
    sources: Names = ("auto", "backfill")
    changes: tuple[LabelChange, ...] = ()

    @property
    def window_text(self) -> str:
        """The window as people write it: ``7d``, or ``session``."""
        return self.window if isinstance(self.window, str) else format_duration(self.window)

    @model_validator(mode="after")
    def _possible(self) -> "LabelPart":
        refuse(label_problems(self))
        return self


class ProxyLabelPart(LabelPart):
    """A faster label that stands in for the one that counts."""

    role: Literal["proxy"] = "proxy"


class PrimaryLabelPart(LabelPart):
    """The label that counts, and the proxies beside it."""

    role: Literal["primary", "proxy"] = "primary"
    also: tuple[ProxyLabelPart, ...] = ()


class FallbackPart(Part):
    """How an outcome without a prediction id finds its prediction: by entity inside the window."""

    entity: Names = Field(min_length=1)
    rule: Literal["earliest", "latest", "unique", "all"] = "unique"


class JoinPart(Part):
    """The keys that pair an outcome with its prediction."""

    keys: Names = Field(default=("prediction_id",), min_length=1)
    fallback: FallbackPart | None = None

    @field_validator("keys")
    @classmethod
    def _each_once(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keys)) < len(keys):
            raise ValueError("a key is named twice")
        return keys


class DecisionPart(Part):
    """Flag if score >= threshold; `positive` names the logged decisions, as text, that mean flagged."""

    threshold: float | None = None
    positive: Names = ()


class SlicesPart(Part):
    """The columns that metrics are split by; slices thinner than `minimum` are masked in exports."""

    columns: Names = ()
    critical: tuple[Where, ...] = ()
    minimum: int = Field(default=20, ge=1)


class FeatureDefinition(Part):
    """One feature: version, owner, meaning, and who has acknowledged it."""

    version: str
    owner: str | None = None
    definition: str | None = None
    acknowledged_by: Names = ()


class FeaturesPart(Part):
    """The features as served, for drift, and their definitions."""

    columns: Names = ()
    definitions: dict[str, FeatureDefinition] = Field(default_factory=dict)


class MetricsPart(Part):
    """The metric that is diagnosed, those reported beside it, and the level of their intervals."""

    primary: MetricName = "recall"
    report: tuple[MetricName, ...] = ("recall", "precision", "roc_auc", "brier")
    level: float = Field(default=0.95, gt=0.5, lt=1)


class MinimumAt(Part):
    """A least share at an age: 90 % of the labels after 30 days."""

    at: Duration
    minimum: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _possible(self) -> "MinimumAt":
        refuse(["at must be longer than zero"] if self.at <= timedelta(0) else [])
        return self


class SloPart(Part):
    """What the team promises: labels on time, a complete feed, latency (ms), cost per 1000 predictions."""

    label_availability: MinimumAt | None = None
    feed_completeness: MinimumAt | None = None
    latency_ms: Limits = Field(default_factory=dict)
    cost_per_1000: dict[Literal["maximum"], Positive] = Field(default_factory=dict)


class RulePart(Part):
    """An alert or retrain rule; no free text is evaluated."""

    metric: MetricName
    condition: Literal["drop", "rise", "above", "below", "diverges"]
    by: Change | None = None
    level: float | None = None
    baseline: str | None = Field(default=None, pattern=r"^((median|previous) [1-9]\d*[hdw]|reference)$")
    every: Duration = timedelta(hours=1)
    lasting: Duration = timedelta(0)
    slices: Literal["all", "critical"] | tuple[Where, ...] | None = None
    runbook: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> "RulePart":
        refuse(rule_problems(self))
        return self


class AlertPart(RulePart):
    """A rule that tells somebody."""

    name: str = Field(min_length=1)


class GuardrailPart(Part):
    """How far a metric may fall before a change is not promoted."""

    metric: MetricName
    max_drop: Change

    @model_validator(mode="after")
    def _possible(self) -> "GuardrailPart":
        refuse(amount_problems("max_drop", self.max_drop, falls=True))
        return self


class RetrainPart(Part):
    """When to retrain: rules, how soon, and how often at most."""

    rules: tuple[RulePart, ...] = ()
    within: Duration | None = None
    never_more_often_than: Duration | None = None


class CostPart(Part):
    """What one component costs, per call and per month."""

    component: str
    per_call: float = Field(default=0.0, ge=0)
    per_month: float = Field(default=0.0, ge=0)


class BudgetPart(Part):
    """What the model may add: milliseconds of latency, a share of revenue."""

    added_latency_ms: Limits = Field(default_factory=dict)
    spend_share_of_revenue: float | None = Field(default=None, ge=0)


class ValuePart(Part):
    """What a decision is worth, by its outcome, in `currency`."""

    true_positive: float = 0.0
    false_positive: float = 0.0
    false_negative: float = 0.0
    true_negative: float = 0.0
    currency: str | None = None


class PrivacyPart(Part):
    """Columns that name persons, and how long logs are kept."""

    personal: Names = ()
    retention: Duration | None = None


class TimePart(Part):
    """The zone of times that carry none; without it such times are refused."""

    timezone: Zone | None = None


class Body(Part):
    """The whole file; ``x`` holds a team's own notes and is never read."""

    format: Literal[1] = 1
    model: ModelPart
    predictions: PredictionsPart
    outcomes: OutcomesPart
    label: PrimaryLabelPart
    actions: ActionsPart | None = None
    feedback: FeedbackPart | None = None
    changes: ChangesPart | None = None
    join: JoinPart = JoinPart()
    decision: DecisionPart = DecisionPart()
    slices: SlicesPart = SlicesPart()
    features: FeaturesPart = FeaturesPart()
    metrics: MetricsPart = MetricsPart()
    slo: SloPart = SloPart()
    alerts: tuple[AlertPart, ...] = ()
    guardrails: tuple[GuardrailPart, ...] = ()
    retrain: RetrainPart = RetrainPart()
    costs: tuple[CostPart, ...] = ()
    budget: BudgetPart = BudgetPart()
    value: ValuePart | None = None
    time: TimePart = TimePart()
    privacy: PrivacyPart = PrivacyPart()
    x: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "Body":
        refuse(cross_problems(self))
        return self
