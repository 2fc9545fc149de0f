"""Causes, families and verdicts as people say them, and the colour of each family: one table for every reader."""

from typing import Final

CAUSES: Final = {
    "concept_drift": "the model (concept drift)",
    "version_regression": "the new model version",
    "label_slice_loss": "labels lost in slices",
    "label_outage": "label feed outage",
    "slow_labels": "labels that come later",
    "immature_window": "label window still open",
    "join_break": "labels that no longer join",
    "label_conflict": "conflicting labels",
    "label_definition_change": "changed label definition",
    "label_loss_nonrandom": "labels lost by outcome",
    "mix_shift": "changed mix of cases",
    "covariate_shift": "changed inputs",
    "feature_corruption": "corrupted feature",
    "serving_fallback": "fallback scores in serving",
    "prediction_log_loss": "predictions not logged",
    "threshold_change": "changed threshold",
    "action_censoring": "outcomes hidden by actions",
    "noise": "sampling noise",
}

FAMILIES: Final = {
    "quality": "model",
    "labels": "labels",
    "mix": "mix",
    "pipeline": "pipeline",
    "policy": "policy",
    "noise": "noise",
}

VERDICTS: Final = {
    "quality": "The model got worse",
    "labels": "The labels, not the model",
    "both": "Both the model and the labels",
    "mix": "The mix of cases changed",
    "pipeline": "The serving pipeline",
    "policy": "A changed decision policy",
    "several": "Several causes",
    "noise": "No cause stands out from sampling noise",
    "undecided": "These logs cannot decide it",
}

# Okabe and Ito's palette: told apart by readers of every colour vision.
FAMILY_COLOURS: Final = {
    "quality": "#d55e00",
    "labels": "#e69f00",
    "mix": "#009e73",
    "policy": "#cc79a7",
    "pipeline": "#56b4e9",
    "noise": "#999999",
    "unexplained": "#b6bdc5",
    "total": "#44546a",
}


def cause(name: str) -> str:
    """The cause as a person says it; an unknown one keeps its name."""
    return CAUSES.get(name, name.replace("_", " "))


def verdict(name: str) -> str:
    """The verdict as a person says it."""
    return VERDICTS.get(name, name)
