"""One diagnosis (its JSON) held against the known truth: plain arithmetic on dictionaries, nothing simulated here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isfinite, log
from typing import Any, Final

from fbkit.diagnose.settings import material_floor
from fbkit.schema.results import FAMILY_OF_CAUSE

Facts = Mapping[str, Any]
_SLICE: Final = re.compile(r"\b(?:region|device|customer)=\w+")
_DAYS: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
NOT_SURE: Final = ("noise", "undecided")
KINDS: Final = ("single", "compound", "masked", "undecidable", "healthy", "challenge")
REPLAYED: Final = (
    "threshold_change", "mix_shift", "covariate_shift", "feature_corruption", "serving_fallback", "prediction_log_loss",
    "version_regression",
)  # fmt: skip
"""Causes that need few current labels; concept drift is the one that needs them all."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Which incident: ``kind`` is one of KINDS, ``severity`` what the catalogue calls it (mild, moderate, severe)."""

    table: str
    scenario: str
    seed: int
    kind: str = "single"
    metric: str = "recall"
    severity: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What was said, what was true, and what follows; with ``error`` everything counts as wrong."""

    case: Case
    cause: str
    verdict_true: str
    effect: float
    level: float = 1.0
    verdict: str = "error"
    top: str = "error"
    strength: str = ""
    detectable: float | None = None
    told: Mapping[str, float] = field(default_factory=dict)
    true: Mapping[str, float] = field(default_factory=dict)
    claimed: Sequence[str] = ()
    change_told: float | None = None
    change_true: float = 0.0
    lower: float | None = None
    upper: float | None = None
    residual: float = 0.0
    tipping_right: bool | None = None
    placed: bool | None = None
    audited: Facts | None = None
    identical: bool | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def material(self) -> tuple[str, ...]:
        """The causes that are worth a claim."""
        floor = material_floor(self.case.metric, self.level)
        return tuple(cause for cause, value in self.true.items() if cause != "noise" and abs(value) >= floor)

    @property
    def too_small(self) -> bool:
        """Nothing was claimed, or it was left open, and the smallest change that could be seen is no smaller."""
        open_ = self.verdict in NOT_SURE and self.error is None
        return open_ and self.detectable is not None and self.detectable >= abs(self.effect)

    @property
    def below(self) -> bool:
        """The true effect is smaller than what this number of labels can show."""
        return self.detectable is not None and abs(self.effect) < self.detectable

    @property
    def right_causes(self) -> tuple[str, ...]:
        """The largest true cause, and those within the least that is worth a claim of it; noise, where none is."""
        if not self.material:
            return self.cause, "noise"
        least = abs(self.effect) - material_floor(self.case.metric, self.level)
        return tuple(cause for cause in self.material if abs(self.true[cause]) >= least)

    @property
    def top_right(self) -> bool:
        return self.top in self.right_causes or self.too_small

    @property
    def family_right(self) -> bool:
        families = {FAMILY_OF_CAUSE[cause] for cause in self.right_causes}
        return FAMILY_OF_CAUSE.get(self.top) in families or self.too_small

    @property
    def verdict_right(self) -> bool:
        return self.verdict == self.verdict_true

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the true change; None where no interval is given and none is owed."""
        if self.error is None and self.verdict == "undecided" and self.lower is None:
            return None
        return self.lower is not None and self.upper is not None and self.lower <= self.change_true <= self.upper

    @property
    def missed_by(self) -> float | None:
        return None if self.change_told is None else abs(self.change_told - self.change_true)

    @property
    def attribution(self) -> float:
        """Sum over causes of |told - true|, chance not counted as a cause."""
        named = (set(self.told) | set(self.true)) - {"noise"}
        return sum(abs(self.told.get(cause, 0.0) - self.true.get(cause, 0.0)) for cause in named)

    @property
    def attribution_with_noise(self) -> float:
        return self.attribution + abs(self.told.get("noise", 0.0) - self.true.get("noise", 0.0))

    @property
    def masked_found(self) -> bool:
        """Every true cause of a masked drop that hurts is claimed, with its sign."""
        hurt = [cause for cause in self.material if FAMILY_OF_CAUSE[cause] != "labels"]
        return all(cause in self.claimed and self.told[cause] * self.true[cause] > 0 for cause in hurt)

    @property
    def left_open_rightly(self) -> bool:
        """An undecidable case was left open, or answered rightly without being sure."""
        return self.verdict == "undecided" or (self.top == self.cause and self.strength in ("probable", "possible"))

    @property
    def audit_right(self) -> bool | None:
        """After the audit the cause is named; None where no audit was possible."""
        return None if self.audited is None else self.audited.get("top_cause") == self.cause


def held(case: Case, said: Facts | None, truth: Facts, *, error: str | None = None, **more: Any) -> Run:
    """The run of a case from the diagnosis' JSON (None: it failed with ``error``) and the truth's.

    ``truth`` has observed and true (reference, current, change), contributions (cause, value), background, verdict and
    top_cause; ``background``, the change without any fault, counts as noise. ``more`` goes into the run as it is.
    """
    true = {part["cause"]: float(part["value"]) for part in truth["contributions"]}
    cause = max(true, key=lambda name: abs(true[name])) if true else "noise"
    own = {
        "case": case,
        "cause": cause,
        "verdict_true": truth["verdict"],
        "effect": true.get(cause, 0.0),
        "level": float(truth["observed"]["reference"]),
        "true": true | {"noise": float(truth.get("background", 0.0))},
        "change_true": float(truth["true"]["change"]),
    }
    if said is None:
        return Run(**own, error=error or "no diagnosis", **more)
    parts = said["contributions"]
    top = max((p for p in parts if p["cause"] == said["top_cause"]), key=_size, default=None)
    changed = said["true_change"]
    return Run(
        **own,
        verdict=said["verdict"],
        top=said["top_cause"],
        strength="" if top is None else top["strength"],
        detectable=said.get("minimum_detectable_change"),
        told={part["cause"]: part["value"] or 0.0 for part in parts},
        claimed=tuple(part["cause"] for part in parts if part["material"]),
        change_told=changed["value"],
        lower=changed["lower"],
        upper=changed["upper"],
        tipping_right=tipping_right(said, truth),
        placed=placed(said, truth),
        **({"residual": residual(said)} | more),
    )


def _size(part: Facts) -> float:
    return abs(part["value"] or 0.0)


def residual(said: Facts) -> float:
    """How far the contributions are from summing to the observed change; infinite where one is left out."""
    parts, change = [part["value"] for part in said["contributions"]], said["observed"]["change"]
    if change is None:
        return 0.0
    return abs(sum(parts) - change) if None not in parts else float("inf")


def tipping_right(said: Facts, truth: Facts) -> bool | None:
    """The ratio told is the one that the true headline gives, as near as the observed change is known; None if not due.

    ln ratio = logit(current) - logit(reference); its 99 % interval follows from that of the observed change.
    """
    expected, told = ratio_of(truth["observed"]), said.get("tipping_ratio")
    if expected is None or truth.get("metric", "recall") not in ("recall", "precision"):
        return None
    if told is None or told <= 0 or said["observed"]["lower"] is None:
        return False
    current = said["observed"]["current"]
    half = (said["observed"]["upper"] - said["observed"]["lower"]) / 2 * 2.576 / 1.96
    return abs(log(told) - log(expected)) <= half / max(current * (1 - current), 1e-9)


def ratio_of(levels: Facts) -> float | None:
    """exp(logit(current) - logit(reference)); None outside of 0..1."""
    before, after = (levels[name] for name in ("reference", "current"))
    if not all(isfinite(level) and 0 < level < 1 for level in (before, after)):
        return None
    return exp(log(after / (1 - after)) - log(before / (1 - before)))


def placed(said: Facts, truth: Facts) -> bool | None:
    """Every claimed true cause sits where it was put: exactly its slices, and its days if it was over early.

    None where no true cause is claimed. Where nothing was put into slices, none may be named, but by a shift of the
    mix, which names the value that grew. The decision that lost labels, and days that lasted, are not looked at.
    """
    faults: dict[str, list[Facts]] = {part["cause"]: part.get("faults", ()) for part in truth["contributions"]}
    found = [_placed(part, faults[part["cause"]]) for part in said["contributions"]
             if part["material"] and part["cause"] in faults]  # fmt: skip
    return all(found) if found else None


def _placed(part: Facts, faults: Sequence[Facts]) -> bool:
    named = set(_SLICE.findall(part["where"]))
    put = {
        f"{column}={value}"
        for fault in faults
        for column, values in fault.get("where", {}).items()
        if column != "decision"
        for value in values
    }
    slices = put <= named if part["cause"] in ("mix_shift", "version_regression") else put == named
    over = any(fault.get("end_day") is not None and fault["end_day"] < 6 for fault in faults)
    return slices and (not over or _DAYS.search(part["where"]) is not None)
