"""The tables of a contract, one pydantic model each; unknown keys are refused."""

from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from fbkit.errors import ArgumentError
from fbkit.schema.durations import format_duration, parse_duration


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ArgumentError as error:
            raise ValueError('not a duration; write for example "7d", "36h" or "30m"') from error
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, return_type=str)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Probability = Annotated[float, Field(ge=0, le=1)]
Where = dict[str, str]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_@]*$")]


class Part(BaseModel):
    """Base of every table: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelPart(Part):
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
    connection_env: str | None = None
    timezone: str | None = None
    columns: dict[str, str | list[str]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> "Source":
        if self.path is not None and self.query is not None:
            raise ValueError("give path or query, not both")
        if self.query is not None and self.connection_env is None:
            raise ValueError("query needs connection_env, the name of an environment variable")
        return self


class PredictionsPart(Source):
    path: str | None = "predictions/*.parquet"
    where: dict[str, list[str]] = Field(default_factory=dict)
    score_kind: Literal["probability", "margin", "value", "rank"] = "probability"


class OutcomesPart(Source):
    path: str | None = "outcomes/*.parquet"
    complete_through: AwareDatetime | None = None


class ActionsPart(Source):
    path: str | None = "actions/*.parquet"
    blocked: Names = ()


class FeedbackPart(Source):
    path: str | None = "feedback/*.parquet"


class ChangesPart(Source):
    path: str | None = "changes.csv"


class LabelChange(Part):
    version: str
    date: date
    note: str | None = None


class LabelPart(Part):
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

    @model_validator(mode="after")
    def _windows(self) -> "LabelPart":
        if self.window == "session":
            return self
        if self.window <= timedelta(0):
            raise ValueError("window must be longer than zero")
        if any(stage >= self.window for stage in self.stages):
            raise ValueError("every stage must be shorter than the window")
        if list(self.stages) != sorted(self.stages):
            raise ValueError("stages must grow")
        return self


class ProxyLabelPart(LabelPart):
    role: Literal["proxy"] = "proxy"


class PrimaryLabelPart(LabelPart):
    also: tuple[ProxyLabelPart, ...] = ()


class FallbackPart(Part):
    entity: Names = Field(min_length=1)
    rule: Literal["earliest", "latest", "unique", "all"] = "unique"


class JoinPart(Part):
    keys: Names = Field(default=("prediction_id",), min_length=1)
    fallback: FallbackPart | None = None


class DecisionPart(Part):
    threshold: float | None = None
    positive: Names = ()


class SlicesPart(Part):
    columns: Names = ()
    critical: tuple[Where, ...] = ()
    minimum: int = Field(default=20, ge=1)


class FeatureDefinition(Part):
    version: str
    owner: str | None = None
    definition: str | None = None
    acknowledged_by: Names = ()


class FeaturesPart(Part):
    columns: Names = ()
    definitions: dict[str, FeatureDefinition] = Field(default_factory=dict)


class MetricsPart(Part):
    primary: MetricName = "recall"
    report: tuple[MetricName, ...] = ("recall", "precision", "roc_auc", "brier")
    level: float = Field(default=0.95, gt=0.5, lt=1)


class MinimumAt(Part):
    at: Duration
    minimum: Probability


class SloPart(Part):
    label_availability: MinimumAt | None = None
    feed_completeness: MinimumAt | None = None
    latency_ms: dict[Literal["p50", "p95", "p99"], float] = Field(default_factory=dict)
    cost_per_1000: dict[Literal["maximum"], float] = Field(default_factory=dict)


class RulePart(Part):
    """An alert or retrain rule; no free text is evaluated."""

    metric: MetricName
    condition: Literal["drop", "rise", "above", "below", "diverges"]
    by: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?%?$")
    level: float | None = None
    baseline: str | None = Field(default=None, pattern=r"^(median \d+[hdw]|previous \d+[hdw]|reference)$")
    every: Duration = timedelta(hours=1)
    lasting: Duration = timedelta(0)
    slices: Literal["all", "critical"] | tuple[Where, ...] | None = None
    runbook: str | None = None

    @model_validator(mode="after")
    def _complete(self) -> "RulePart":
        if self.condition in ("above", "below") and self.level is None:
            raise ValueError(f'condition = "{self.condition}" needs level')
        if self.condition in ("drop", "rise", "diverges") and self.by is None:
            raise ValueError(f'condition = "{self.condition}" needs by')
        return self


class AlertPart(RulePart):
    name: str = Field(min_length=1)


class GuardrailPart(Part):
    metric: MetricName
    max_drop: str = Field(pattern=r"^\d+(\.\d+)?%?$")


class RetrainPart(Part):
    rules: tuple[RulePart, ...] = ()
    within: Duration | None = None
    never_more_often_than: Duration | None = None


class CostPart(Part):
    component: str
    per_call: float = Field(default=0.0, ge=0)
    per_month: float = Field(default=0.0, ge=0)


class BudgetPart(Part):
    added_latency_ms: dict[Literal["p50", "p95", "p99"], float] = Field(default_factory=dict)
    spend_share_of_revenue: float | None = Field(default=None, ge=0)


class ValuePart(Part):
    true_positive: float = 0.0
    false_positive: float = 0.0
    false_negative: float = 0.0
    true_negative: float = 0.0
    currency: str | None = None


class PrivacyPart(Part):
    personal: Names = ()
    retention: Duration | None = None


class TimePart(Part):
    timezone: str | None = None


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
        window = self.label.window
        retention = self.privacy.retention
        if retention is not None and isinstance(window, timedelta) and retention < window + self.label.grace:
            raise ValueError("privacy.retention is shorter than the label delay (label.window + label.grace)")
        if self.label.silence == "negative" and self.slo.label_availability is not None:
            raise ValueError('slo.label_availability can never fire with label.silence = "negative"; use slo.feed_completeness')
        return self
