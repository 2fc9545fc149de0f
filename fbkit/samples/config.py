"""What a simulated loop looks like before anything goes wrong."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

GENERATOR: Final = "1"
"""Raised whenever the same seed would give other rows than before."""

REGIONS: Final = ("EU", "US", "APAC", "LATAM")
DEVICES: Final = ("web", "android", "ios")
CUSTOMERS: Final = ("returning", "new", "business")
SLICES: Final = {"region": REGIONS, "device": DEVICES, "customer": CUSTOMERS}
RARE: Final = 0.01
"""Below this base rate four decimals would make a third of the scores 0."""

FEATURES: Final = ("log_amount", "payments_24h", "ip_risk")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """A fraud-like feedback loop: traffic, base rate, model quality, label lag and label availability.

    Rates are expectations over the simulator, not over one realisation. Times are UTC; weeks start on Monday. Steps in
    seconds: `resolution` of the prediction log, `event_step` of the event times, `batch` of the label feed's loads.

    `slack_days` separates the last window's close from the evaluation time; a negative number leaves windows open.
    With `silence="negative"` only positives are ever reported. `unlogged_weight` is the weight of a feature that the
    model uses and nobody logs, `model_noise` that of what the model gets wrong; if both are 0, the score is a function
    of the logged columns, and the features are logged finely. `actions` writes the log of a policy that blocks the
    share `blocked_share` of the flagged rows (those of highest score) but for a random share `exploration` of them.
    `score_decimals` is by default 4, and 6 where scores are small or exact.
    """

    current_start: datetime = datetime(2026, 9, 28, tzinfo=UTC)
    reference_weeks: int = 8
    current_weeks: int = 1
    tail_days: int = 0
    per_day: int = 1500
    accounts_per_daily_prediction: float = 6.0
    base_rate: float = 0.08
    recall: float = 0.80
    availability: float = 0.92
    window_days: int = 14
    slack_days: int = 1
    duplicate_share: float = 0.001
    orphan_share: float = 0.002
    correction_share: float = 0.003
    outcome_accounts: bool = True
    change_log: bool = True
    resolution: int = 1
    event_step: int = 1
    batch: int = 900
    features: tuple[str, ...] = FEATURES
    silence: Literal["missing", "negative"] = "missing"
    score_decimals: int | None = None
    unlogged_weight: float = 0.8
    model_noise: float = 0.8
    actions: bool = False
    blocked_share: float = 0.0
    exploration: float = 0.1

    @property
    def start(self) -> datetime:
        """First instant of the reference."""
        return self.current_start - timedelta(weeks=self.reference_weeks)

    @property
    def current_end(self) -> datetime:
        """End (exclusive) of the current window."""
        return self.current_start + timedelta(weeks=self.current_weeks)

    @property
    def as_of(self) -> datetime:
        """The evaluation time: every label window of the current predictions has closed."""
        return self.current_end + timedelta(days=self.window_days + self.slack_days)

    @property
    def days(self) -> int:
        """Days with predictions."""
        return 7 * (self.reference_weeks + self.current_weeks) + self.tail_days

    @property
    def reference_days(self) -> int:
        """Days before the current window."""
        return 7 * self.reference_weeks

    @property
    def current_days(self) -> int:
        """Days of the current window."""
        return 7 * self.current_weeks

    @property
    def accounts(self) -> int:
        """Number of entities that can appear."""
        return max(50, round(self.per_day * self.accounts_per_daily_prediction))

    @property
    def exact_score(self) -> bool:
        """Whether the score is a function of the logged columns, up to rounding."""
        return self.unlogged_weight == 0 and self.model_noise == 0

    @property
    def decimals(self) -> int:
        """How finely scores and thresholds are logged."""
        if self.score_decimals is not None:
            return self.score_decimals
        return 6 if self.exact_score or self.base_rate < RARE else 4

    def expectation(self) -> "WorldConfig":
        """The same loop without what an expectation does not depend on: equal for loops that differ only in that."""
        logs = {"resolution": 1, "event_step": 1, "batch": 1, "outcome_accounts": True, "change_log": True}
        logs["actions"] = False
        dirt = {"duplicate_share": 0.0, "orphan_share": 0.0, "correction_share": 0.0}
        return replace(self, per_day=1, features=FEATURES, **logs, **dirt)

    def period(self, name: str) -> str:
        """The window `reference` or `current` as `start..end`."""
        edges = (self.start, self.current_start) if name == "reference" else (self.current_start, self.current_end)
        return "..".join(edge.date().isoformat() for edge in edges)
