"""The mini challenge: weekly recall down about 15 %, label availability from 92 % to 70 %. Quality, labels, or both?"""

from dataclasses import replace
from typing import Final

from fbkit.errors import ArgumentError
from fbkit.samples.config import WorldConfig
from fbkit.samples.faults import ConceptDrift, Injection, LabelSliceLoss
from fbkit.samples.simulate import Simulation, simulate

CHALLENGE: Final = WorldConfig(
    reference_weeks=4,
    per_day=4500,
    resolution=60,
    event_step=3600,
    batch=3600,
    outcome_accounts=False,
    features=("log_amount", "payments_24h"),
)
"""One week of 4,500 predictions a day has enough labelled fraud for half of the drop to stand out of the noise."""

REVIEW_REGIONS: Final = ("EU", "US")
HEADLINE: Final = {"recall": (0.80, 0.68), "availability": (0.92, 0.70)}
TRUE_RECALL: Final = {"labels": 0.80, "quality": 0.68, "both": 0.736}


def _faults(*, drift: float, flagged: float, uniform: float) -> tuple[Injection, ...]:
    quality = (ConceptDrift(severity=drift),) if drift else ()
    review = (LabelSliceLoss(severity=flagged, where={"region": REVIEW_REGIONS, "decision": "flagged"}),)
    return (*quality, *(review if flagged else ()), LabelSliceLoss(severity=uniform))


VARIANTS: Final[dict[str, tuple[Injection, ...]]] = {
    "labels": _faults(drift=0.0, flagged=0.732, uniform=0.154),
    "quality": _faults(drift=0.161, flagged=0.0, uniform=0.239),
    "both": _faults(drift=0.082, flagged=0.382, uniform=0.197),
}
"""Strengths found once so that all three have the headline in expectation."""


def recall_drop(variant: str, seed: int, *, per_day: int | None = None) -> Simulation:
    """One incident of the mini challenge.

    `variant` is the truth: `labels` (labels of flagged payments lost in two regions, and some everywhere; the model is
    as it was), `quality` (fraud moved to where the score does not look; labels lost uniformly, which is harmless) or
    `both`. All three have the same expected headline. Raises ArgumentError for another variant.

    Examples
    --------
    >>> recall_drop("labels", 1, per_day=50).config.period("current")
    '2026-09-28..2026-10-05'
    """
    if variant not in VARIANTS:
        raise ArgumentError(
            "unknown variant of recall_drop", got=variant, allowed=tuple(VARIANTS), next_step="name one of these"
        )
    config = CHALLENGE if per_day is None else replace(CHALLENGE, per_day=per_day)
    return simulate(config, VARIANTS[variant], seed=seed)
