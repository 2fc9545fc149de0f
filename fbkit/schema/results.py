"""Names of result columns, written once; every layer imports them from here."""

from typing import Final

METRIC: Final = "metric"
PERIOD_START: Final = "period_start"
PERIOD_END: Final = "period_end"
VALUE: Final = "value"
LOWER: Final = "lower"
UPPER: Final = "upper"
BOUND_LOWER: Final = "bound_lower"
BOUND_UPPER: Final = "bound_upper"
N: Final = "n"
N_LABELLED: Final = "n_labelled"
N_PENDING: Final = "n_pending"
N_MISSING: Final = "n_missing"
N_CENSORED: Final = "n_censored"
N_MATURE: Final = "n_mature"
STAGE: Final = "stage"
METHOD: Final = "method"
REASON: Final = "reason"
EVALUATION_ID: Final = "evaluation_id"

ESTIMATE_COLUMNS: Final = (
    METRIC,
    PERIOD_START,
    PERIOD_END,
    VALUE,
    LOWER,
    UPPER,
    BOUND_LOWER,
    BOUND_UPPER,
    N,
    N_LABELLED,
    STAGE,
    METHOD,
    REASON,
    EVALUATION_ID,
)

STAGE_FINAL: Final = "final"
STAGE_ANY: Final = "any"
STAGE_YOUNG: Final = "young"
STAGE_MIXED: Final = "mixed"

POSITIVE: Final = "positive"
NEGATIVE: Final = "negative"
LABELLED: Final = "labelled"
PENDING: Final = "pending"
MISSING: Final = "missing"
CENSORED: Final = "censored"
LABEL_STATES: Final = (POSITIVE, NEGATIVE, LABELLED, PENDING, MISSING, CENSORED)

AUDIT_TABLE: Final = "table"
AUDIT_RULE: Final = "rule"
AUDIT_ROWS: Final = "rows"

# Shares between 0 and 1 whose changes people read in points; losses and errors keep their own unit.
RATE_METRICS: Final = frozenset({
    "recall", "precision", "specificity", "f1", "accuracy", "roc_auc", "average_precision", "base_rate", "flag_rate",
    "availability",
})  # fmt: skip

FAMILY_OF_CAUSE: Final = {
    "concept_drift": "quality",
    "version_regression": "quality",
    "label_slice_loss": "labels",
    "label_outage": "labels",
    "slow_labels": "labels",
    "immature_window": "labels",
    "join_break": "labels",
    "label_conflict": "labels",
    "label_definition_change": "labels",
    "label_loss_nonrandom": "labels",
    "mix_shift": "mix",
    "covariate_shift": "mix",
    "feature_corruption": "pipeline",
    "serving_fallback": "pipeline",
    "prediction_log_loss": "pipeline",
    "threshold_change": "policy",
    "action_censoring": "policy",
    "noise": "noise",
}

# How a number moved while its labels arrived: one row per as-of time.
AS_OF: Final = "as_of"
AVAILABILITY: Final = "availability"
NEW_LABELS: Final = "new_labels"
CORRECTIONS: Final = "corrections"
WITHDRAWN: Final = "withdrawn"
BACKFILLED: Final = "backfilled"
REVISION_COUNTS: Final = (NEW_LABELS, CORRECTIONS, WITHDRAWN, BACKFILLED)
