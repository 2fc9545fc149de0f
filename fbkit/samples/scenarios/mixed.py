"""Incidents with several causes, with none, or that the logs cannot decide; and causes in logs that lack evidence."""

from dataclasses import replace
from typing import Any, Final

from fbkit.samples.config import WorldConfig
from fbkit.samples.evidence import PARTS
from fbkit.samples.faults import (
    ActionCensoring,
    ConceptDrift,
    CovariateShift,
    FeatureCorruption,
    ImmatureWindow,
    Injection,
    JoinBreak,
    LabelConflict,
    LabelDefinitionChange,
    LabelLossNonrandom,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    SlowLabels,
    ThresholdChange,
    VersionRegression,
)
from fbkit.samples.scenarios.base import SIZES, Kind, Scenario
from fbkit.samples.scenarios.causes import BLOCKING, FLAGGED, NEW, REVIEW, UNFLAGGED

DRIFT: Final = ConceptDrift(severity=0.1)
LOSS: Final = LabelSliceLoss(severity=0.55, where=REVIEW)
COMPOUNDS: Final[dict[str, tuple[Injection, ...]]] = {
    "drift_and_slice_loss": (DRIFT, LOSS),
    "drift_and_join_break": (ConceptDrift(severity=0.08), JoinBreak(severity=0.3, where=FLAGGED)),
    "drift_and_outage": (ConceptDrift(severity=0.1), LabelOutage(severity=1.0, start=2, end=5, where=FLAGGED)),
    "drift_and_threshold": (ConceptDrift(severity=0.09), ThresholdChange(severity=0.4)),
    "version_and_slice_loss": (VersionRegression(severity=2.5), LOSS),
    "version_and_join_break": (VersionRegression(severity=2.5), JoinBreak(severity=0.3, where=FLAGGED)),
    "threshold_and_slice_loss": (ThresholdChange(severity=0.4), LOSS),
    "nulls_and_slice_loss": (FeatureCorruption(severity=0.1), LOSS),
    "rescale_and_outage": (
        FeatureCorruption(severity=-0.3, feature="payments_24h", how="rescale"),
        LabelOutage(severity=1.0, start=2, end=5, where=FLAGGED),
    ),
    "fallback_and_slice_loss": (ServingFallback(severity=0.1), LOSS),
    "covariates_and_drift": (CovariateShift(severity=-0.5), ConceptDrift(severity=0.1)),
    "mix_and_drift": (MixShift(severity=8.0, where=NEW), ConceptDrift(severity=0.15)),
    "log_loss_and_drift": (PredictionLogLoss(severity=0.35, where=FLAGGED), ConceptDrift(severity=0.1)),
    "drift_and_definition": (DRIFT, LabelDefinitionChange(severity=0.011)),
    "drift_and_silent_definition": (DRIFT, LabelDefinitionChange(severity=0.015, logged=False)),
    "drift_and_conflict": (DRIFT, LabelConflict(severity=0.4, label=0, where=FLAGGED)),
    "threshold_and_conflict": (ThresholdChange(severity=0.4), LabelConflict(severity=0.015)),
    "version_and_slow_labels": (VersionRegression(severity=2.5), SlowLabels(severity=25.0, where=FLAGGED)),
    "fallback_and_log_loss": (ServingFallback(severity=0.1), PredictionLogLoss(severity=0.35, where=FLAGGED)),
    "drift_slice_loss_threshold": (DRIFT, LOSS, ThresholdChange(severity=0.4)),
    "drift_join_break_mix": (DRIFT, JoinBreak(severity=0.3, where=FLAGGED), MixShift(severity=8.0, where=NEW)),
    "version_slice_loss_nulls": (VersionRegression(severity=2.5), LOSS, FeatureCorruption(severity=0.1)),
    "threshold_outage_covariates": (
        ThresholdChange(severity=0.4),
        LabelOutage(severity=1.0, start=2, end=5, where=FLAGGED),
        CovariateShift(severity=-0.5),
    ),
}
MASKED: Final[dict[str, tuple[Injection, ...]]] = {
    "drift_behind_slice_loss-moderate": (
        ConceptDrift(severity=0.086),
        LabelSliceLoss(severity=0.55, where=UNFLAGGED),
    ),
    "drift_behind_slice_loss-severe": (ConceptDrift(severity=0.16), LabelSliceLoss(severity=0.75, where=UNFLAGGED)),
    "version_behind_slice_loss-severe": (
        VersionRegression(severity=4.0),
        LabelSliceLoss(severity=0.75, where=UNFLAGGED),
    ),
    "drift_behind_join_break-severe": (ConceptDrift(severity=0.16), JoinBreak(severity=0.7, where=UNFLAGGED)),
    "drift_behind_immature_window-moderate": (ConceptDrift(severity=0.07), ImmatureWindow(severity=14.0)),
    "drift_behind_conflict-severe": (
        ConceptDrift(severity=0.16),
        LabelConflict(severity=0.5, label=0, where=UNFLAGGED),
    ),
    "version_behind_slow_labels-moderate": (
        VersionRegression(severity=2.3),
        SlowLabels(severity=25.0, where=UNFLAGGED),
    ),
    "nulls_behind_slice_loss-moderate": (
        FeatureCorruption(severity=0.08),
        LabelSliceLoss(severity=0.55, where=UNFLAGGED),
    ),
    "fallback_behind_slice_loss-severe": (
        ServingFallback(severity=0.154),
        LabelSliceLoss(severity=0.7, where=UNFLAGGED),
    ),
}
UNDECIDABLE: Final[dict[str, tuple[Injection, ...]]] = {
    **{
        f"label_loss_nonrandom-{size}": (LabelLossNonrandom(severity=severity, where=FLAGGED),)
        for size, severity in zip(SIZES, (0.143, 0.311, 0.475), strict=True)
    },
    "label_loss_nonrandom-new": (LabelLossNonrandom(severity=0.8, where={**NEW, **FLAGGED}),),
    "label_loss_nonrandom-unflagged": (LabelLossNonrandom(severity=0.5, where=UNFLAGGED),),
    "label_loss_nonrandom-gradual": (LabelLossNonrandom(severity=0.6, where=FLAGGED, ramp=True),),
    "label_loss_nonrandom-and_drift": (DRIFT, LabelLossNonrandom(severity=0.3, where=FLAGGED)),
}
HEALTHY: Final[dict[str, WorldConfig]] = {
    "healthy": WorldConfig(),
    "healthy-300_a_day": WorldConfig(per_day=300),
    "healthy-20000_a_day": WorldConfig(per_day=20_000, reference_weeks=2),
    "healthy-positives_0.2_percent": WorldConfig(base_rate=0.002),
    "healthy-positives_0.2_percent-20000_a_day": WorldConfig(base_rate=0.002, per_day=20_000, reference_weeks=2),
    "healthy-positives_2_percent": WorldConfig(base_rate=0.02),
    "healthy-positives_30_percent": WorldConfig(base_rate=0.3),
    "healthy-half_labelled": WorldConfig(availability=0.5),
    "healthy-weak_model": WorldConfig(recall=0.5),
    "healthy-two_weeks": WorldConfig(current_weeks=2),
    "healthy-short_reference": WorldConfig(reference_weeks=2),
    "healthy-blocking": BLOCKING,
    "healthy-silence_is_negative": WorldConfig(silence="negative"),
    "healthy-silence_is_negative-0.2_percent": WorldConfig(silence="negative", base_rate=0.002, per_day=5000),
    "healthy-score_of_logged_features": WorldConfig(unlogged_weight=0.0, model_noise=0.0),
}
HARMLESS: Final[dict[str, Injection]] = {
    "healthy-uniform_loss": LabelSliceLoss(severity=0.3),
    "healthy-uniform_join_break": JoinBreak(severity=0.3),
    "healthy-uniform_log_loss": PredictionLogLoss(severity=0.3),
    "healthy-deploy": VersionRegression(severity=0.0),
}
"""Something happened, and the metric did not notice."""

CAUSES: Final[dict[str, Injection]] = {
    "concept_drift": ConceptDrift(severity=0.16),
    "version_regression": VersionRegression(severity=4.0),
    "label_slice_loss": LabelSliceLoss(severity=0.744, where=REVIEW),
    "join_break": JoinBreak(severity=0.475, where=FLAGGED),
    "threshold_change": ThresholdChange(severity=0.744),
    "feature_corruption": FeatureCorruption(severity=0.146),
    "serving_fallback": ServingFallback(severity=0.154),
    "covariate_shift": CovariateShift(severity=-0.81),
}
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "300_a_day": {"per_day": 300},
    "positives_1_percent": {"base_rate": 0.01},
    "positives_0.2_percent-20000_a_day": {"base_rate": 0.002, "per_day": 20_000, "reference_weeks": 2},
    "positives_30_percent": {"base_rate": 0.3},
    "score_of_logged_features": {"unlogged_weight": 0.0, "model_noise": 0.0},
    "silence_is_negative": {"silence": "negative"},
    "blocking": {"actions": True, "blocked_share": 0.1},
}
OF_TIMES_AND_ACTIONS: Final[dict[str, Injection]] = {
    "label_outage": LabelOutage(severity=1.0, start=2, end=6.5, where=FLAGGED),
    "slow_labels": SlowLabels(severity=36.0, where=FLAGGED),
    "immature_window": ImmatureWindow(severity=14.0),
    "label_definition_change": LabelDefinitionChange(severity=0.022, logged=False),
    "action_censoring": ActionCensoring(severity=0.303),
}
"""Causes whose evidence is when labels came and what was done."""


def several() -> list[Scenario]:
    """Compounds of two and three, masked drops, undecidable cases."""
    kinds: tuple[tuple[Kind, dict[str, tuple[Injection, ...]]], ...] = (
        ("compound", COMPOUNDS),
        ("masked", MASKED),
        ("undecidable", UNDECIDABLE),
    )
    return [
        Scenario(name=name, kind=kind, config=WorldConfig(), faults=faults)
        for kind, table in kinds
        for name, faults in table.items()
    ]


def censored() -> list[Scenario]:
    """Actions that hide outcomes, beside a true drop, and without any exploration."""
    both = (DRIFT, ActionCensoring(severity=0.15))
    return [
        Scenario(name="drift_and_censoring", kind="compound", config=BLOCKING, faults=both),
        *(
            Scenario(
                name=f"action_censoring-unexplored-{size}",
                kind="undecidable",
                config=BLOCKING,
                faults=(ActionCensoring(severity=severity, exploration=0.0),),
                size=size,
            )
            for size, severity in zip(SIZES, (0.041, 0.123, 0.236), strict=True)
        ),
    ]


def healthy() -> list[Scenario]:
    """Weeks in which the metric does not change."""
    quiet = [Scenario(name=name, kind="no_change", config=config, faults=()) for name, config in HEALTHY.items()]
    harmless = [
        Scenario(name=name, kind="no_change", config=WorldConfig(), faults=(fault,)) for name, fault in HARMLESS.items()
    ]
    return quiet + harmless


def in_other_loops() -> list[Scenario]:
    """Severe causes in small, rare and common traffic, under a policy, where silence means no."""
    return [
        Scenario(
            name=f"{cause}-severe-{setting}",
            kind="cause",
            config=replace(WorldConfig(), **options),
            faults=(fault,),
            size="severe",
        )
        for setting, options in SETTINGS.items()
        for cause, fault in CAUSES.items()
    ]


def ablations() -> list[Scenario]:
    """Severe causes, and none, in logs that lack one part of the evidence."""
    causes = {"healthy": (), **{cause: (fault,) for cause, fault in (CAUSES | OF_TIMES_AND_ACTIONS).items()}}
    return [
        Scenario(
            name=f"{cause}-no_{part}" if cause == "healthy" else f"{cause}-severe-no_{part}",
            kind="ablation",
            config=BLOCKING if cause == "action_censoring" or part == "actions" else WorldConfig(),
            faults=faults,
            size=None if cause == "healthy" else "severe",
            lacks=(part,),
        )
        for part in PARTS
        for cause, faults in causes.items()
    ]
