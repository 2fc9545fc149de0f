"""Each cause alone: mild, moderate and severe, everywhere, in a slice, gradual, for two days.

The severities move recall by about 0.025, 0.065 and 0.12 at the default configuration; a cause that cannot do as much
has its largest effect last, or ends early.
"""

from typing import Final

from fbkit.samples.config import WorldConfig
from fbkit.samples.faults import (
    ActionCensoring,
    ConceptDrift,
    CovariateShift,
    FeatureCorruption,
    ImmatureWindow,
    JoinBreak,
    LabelConflict,
    LabelDefinitionChange,
    LabelOutage,
    LabelSliceLoss,
    MixShift,
    PredictionLogLoss,
    ServingFallback,
    SlowLabels,
    ThresholdChange,
    VersionRegression,
)
from fbkit.samples.scenarios.base import Scenario, by_size

FLAGGED = {"decision": "flagged"}
UNFLAGGED = {"decision": "not flagged"}
REVIEW = {"region": ("EU", "US"), "decision": "flagged"}
NEW = {"customer": "new"}
BLOCKING: Final = WorldConfig(actions=True, blocked_share=0.1)
"""A loop whose policy blocks a tenth of what the model flags, and explores a tenth of that."""


def quality() -> list[Scenario]:
    """The model is worse than it was."""
    return [
        *by_size("concept_drift", lambda s: ConceptDrift(severity=s), (0.033, 0.086, 0.16)),
        *by_size("concept_drift-new", lambda s: ConceptDrift(severity=s, where=NEW), (0.107, 0.271, 0.514)),
        *by_size("concept_drift-eu", lambda s: ConceptDrift(severity=s, where={"region": "EU"}), (0.088, 0.236, 0.475)),
        *by_size("concept_drift-gradual", lambda s: ConceptDrift(severity=s, ramp=True), (0.066, 0.172, 0.32)),
        *by_size("version_regression", lambda s: VersionRegression(severity=s), (1.23, 2.3, 3.98)),
        *by_size("concept_drift-two_days", lambda s: ConceptDrift(severity=s, start=3, end=5), (0.13, 0.35, 0.7)),
        *by_size(
            "version_regression-weights", lambda s: VersionRegression(severity=s, how="weights"), (1.23, 2.33, 3.86)
        ),
        *by_size("version_regression-canary", lambda s: VersionRegression(severity=s, share=0.4), (2.23, 5.7)),
    ]


def labels() -> list[Scenario]:
    """The labels are not what they were."""
    return [
        *by_size("label_slice_loss", lambda s: LabelSliceLoss(severity=s, where=REVIEW), (0.22, 0.49, 0.744)),
        *by_size(
            "label_slice_loss-new_flagged",
            lambda s: LabelSliceLoss(severity=s, where={**NEW, **FLAGGED}),
            (0.31, 0.68, 1.0),
        ),
        *by_size("label_slice_loss-new", lambda s: LabelSliceLoss(severity=s, where=NEW), (0.68, 0.95)),
        *by_size(
            "label_slice_loss-unflagged", lambda s: LabelSliceLoss(severity=s, where=UNFLAGGED), (0.15, 0.38, 0.66)
        ),
        *by_size(
            "label_slice_loss-gradual", lambda s: LabelSliceLoss(severity=s, where=FLAGGED, ramp=True), (0.28, 0.6)
        ),
        *by_size(
            "label_slice_loss-two_days",
            lambda s: LabelSliceLoss(severity=s, where=FLAGGED, start=1, end=3),
            (0.44, 0.9),
        ),
        *by_size("label_outage", lambda s: LabelOutage(severity=1.0, start=1, end=1 + s), (3.7, 6.25, 7.6)),
        *by_size(
            "label_outage-flagged",
            lambda s: LabelOutage(severity=1.0, start=2, end=2 + s, where=FLAGGED),
            (1.9, 3.3, 4.5),
        ),
        *by_size("slow_labels", lambda s: SlowLabels(severity=s, where=FLAGGED), (12.3, 23.3, 36.4)),
        *by_size("label_conflict", lambda s: LabelConflict(severity=s), (0.0035, 0.01, 0.018)),
        *by_size(
            "label_conflict-flagged", lambda s: LabelConflict(severity=s, label=0, where=FLAGGED), (0.143, 0.311, 0.475)
        ),
        *by_size(
            "label_conflict-eu", lambda s: LabelConflict(severity=s, where={"region": "EU"}), (0.01, 0.023, 0.049)
        ),
        *by_size("label_definition_change", lambda s: LabelDefinitionChange(severity=s), (0.004, 0.011, 0.022)),
        *by_size(
            "label_definition_change-silent",
            lambda s: LabelDefinitionChange(severity=s, logged=False),
            (0.004, 0.011, 0.022),
        ),
        *by_size(
            "label_definition_change-silent_new",
            lambda s: LabelDefinitionChange(severity=s, logged=False, where=NEW),
            (0.021, 0.057, 0.127),
        ),
        *by_size("immature_window", lambda s: ImmatureWindow(severity=s), (10.7, 14.0)),
        *by_size("join_break", lambda s: JoinBreak(severity=s, where=FLAGGED), (0.143, 0.31, 0.475)),
        *by_size("join_break-blank", lambda s: JoinBreak(severity=s, where=FLAGGED, how="blank"), (0.143, 0.31, 0.475)),
    ]


def mix_and_policy() -> list[Scenario]:
    """Other rows come in, or something else is done with the score."""
    return [
        *by_size("mix_shift", lambda s: MixShift(severity=s, where=NEW), (2.0, 15.0)),
        *by_size("mix_shift-business", lambda s: MixShift(severity=s, where={"customer": "business"}), (5.1, 25.0)),
        *by_size("covariate_shift", lambda s: CovariateShift(severity=s), (-0.22, -0.46, -0.81)),
        *by_size("covariate_shift-rise", lambda s: CovariateShift(severity=s), (0.22, 0.62, 1.32)),
        *by_size(
            "covariate_shift-alone",
            lambda s: CovariateShift(severity=s, feature="log_amount", alone=True),
            (-0.36, -0.78, -1.38),
        ),
        *by_size(
            "covariate_shift-unlogged", lambda s: CovariateShift(severity=s, feature="unlogged"), (-0.49, -1.07, -1.9)
        ),
        *by_size("action_censoring", lambda s: ActionCensoring(severity=s), (0.064, 0.162, 0.303), config=BLOCKING),
        *by_size(
            "action_censoring-eu",
            lambda s: ActionCensoring(severity=s, where={"region": "EU"}),
            (0.232, 0.846),
            config=BLOCKING,
        ),
        *by_size("threshold_change", lambda s: ThresholdChange(severity=s), (0.146, 0.404, 0.744)),
        *by_size("threshold_change-lower", lambda s: ThresholdChange(severity=s), (-0.146, -0.353, -0.628)),
    ]


def pipeline() -> list[Scenario]:
    """What serves the model, or writes its log, is broken."""
    return [
        *by_size("feature_corruption-null", lambda s: FeatureCorruption(severity=s), (0.029, 0.08, 0.146)),
        *by_size(
            "feature_corruption-null_median",
            lambda s: FeatureCorruption(severity=s, feature="log_amount", imputed="median"),
            (0.135, 0.377, 0.697),
        ),
        *by_size(
            "feature_corruption-rescale",
            lambda s: FeatureCorruption(severity=s, feature="payments_24h", how="rescale"),
            (-0.114, -0.265, -0.4),
        ),
        *by_size(
            "feature_corruption-cents",
            lambda s: FeatureCorruption(severity=99.0, feature="payments_24h", how="rescale", share=s),
            (0.135, 0.342, 0.639),
        ),
        *by_size(
            "feature_corruption-shift",
            lambda s: FeatureCorruption(severity=s, feature="log_amount", how="shift"),
            (-0.17, -0.416, -0.697),
        ),
        *by_size("serving_fallback", lambda s: ServingFallback(severity=s), (0.033, 0.084, 0.154)),
        *by_size("serving_fallback-silent", lambda s: ServingFallback(severity=s, status=False), (0.033, 0.084, 0.154)),
        *by_size("serving_fallback-hours", lambda s: ServingFallback(severity=s, hours=(8, 14)), (0.104, 0.256, 0.443)),
        *by_size(
            "serving_fallback-eu", lambda s: ServingFallback(severity=s, where={"region": "EU"}), (0.1, 0.252, 0.447)
        ),
        *by_size(
            "serving_fallback-two_days", lambda s: ServingFallback(severity=s, start=2, end=4), (0.115, 0.28, 0.5)
        ),
        *by_size("prediction_log_loss", lambda s: PredictionLogLoss(severity=s, where=FLAGGED), (0.143, 0.31, 0.475)),
        *by_size(
            "prediction_log_loss-unflagged",
            lambda s: PredictionLogLoss(severity=s, where=UNFLAGGED),
            (0.15, 0.38, 0.66),
        ),
        *by_size("prediction_log_loss-new", lambda s: PredictionLogLoss(severity=s, where=NEW), (0.68, 0.95)),
    ]
