"""Faults with a known cause: one class each, applied to the world after the stage it belongs to.

Faults on what happens or on what serves change the predictions or the true outcome; faults on labels change only what
comes back. A fault acts on rows predicted in `[start, end)`, in days after the beginning of the current window
(`end=None`: until the end); for `LabelOutage` and `LabelDefinitionChange` they are days of arrival. `where` limits it
to slices, for example `{"region": ("EU", "US")}`; the key `decision` (`flagged`, `not flagged`) is open to faults on
labels and actions.
"""

from fbkit.samples.faults.base import Injection
from fbkit.samples.faults.labels import (
    ImmatureWindow,
    JoinBreak,
    LabelConflict,
    LabelDefinitionChange,
    LabelLossNonrandom,
    LabelOutage,
    LabelSliceLoss,
    SlowLabels,
)
from fbkit.samples.faults.mix import CovariateShift, MixShift
from fbkit.samples.faults.pipeline import FeatureCorruption, PredictionLogLoss, ServingFallback
from fbkit.samples.faults.policy import ActionCensoring, ThresholdChange
from fbkit.samples.faults.quality import ConceptDrift, VersionRegression

FAULTS: dict[str, type[Injection]] = {
    fault.cause: fault
    for fault in (
        ConceptDrift,
        VersionRegression,
        ThresholdChange,
        MixShift,
        CovariateShift,
        FeatureCorruption,
        ServingFallback,
        PredictionLogLoss,
        LabelSliceLoss,
        LabelLossNonrandom,
        LabelOutage,
        SlowLabels,
        JoinBreak,
        LabelConflict,
        LabelDefinitionChange,
        ImmatureWindow,
        ActionCensoring,
    )
}
"""The fault class of each cause that can be simulated so far."""

FAMILIES: dict[str, str] = {cause: fault.family for cause, fault in FAULTS.items()}

__all__ = [
    "FAMILIES",
    "FAULTS",
    "ActionCensoring",
    "ConceptDrift",
    "CovariateShift",
    "FeatureCorruption",
    "ImmatureWindow",
    "Injection",
    "JoinBreak",
    "LabelConflict",
    "LabelDefinitionChange",
    "LabelLossNonrandom",
    "LabelOutage",
    "LabelSliceLoss",
    "MixShift",
    "PredictionLogLoss",
    "ServingFallback",
    "SlowLabels",
    "ThresholdChange",
    "VersionRegression",
]
