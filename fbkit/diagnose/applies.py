"""Which metrics triage explains for which task, and which rungs of the ladder apply to each."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fbkit.diagnose.settings import (
    CALIBRATION,
    METRICS,
    NEEDS_DECISION,
    PROBABILITY_LOSSES,
    RANKING_METRICS,
    REQUEST_METRICS,
    VALUE_LOSSES,
    OwnName,
)
from fbkit.schema.results import FAMILY_OF_CAUSE

ALL: Final = frozenset(FAMILY_OF_CAUSE)
# Rungs that rewrite labels of single predictions: a number per request or of a team's own does not follow them.
_REWRITES: Final = frozenset({"join_break", "label_conflict", "label_definition_change"})
# Rungs that count positives against negatives.
_OUTCOMES: Final = frozenset({"label_definition_change", "label_loss_nonrandom"})
# Rungs that replay other scores.
_SCORES: Final = frozenset({"feature_corruption", "serving_fallback", "version_regression"})
_DECISION: Final = frozenset({"threshold_change"})
# The loss that follows a decision: without decisions nothing is flagged and nothing is blocked.
_UNDECIDED: Final = _DECISION | {"action_censoring", "label_loss_nonrandom"}

_BY_DECISION: Final = ALL
_BY_SCORE: Final = ALL - _DECISION
_VALUES: Final = ALL - _OUTCOMES - _DECISION
_LISTS: Final = ALL - _REWRITES - _UNDECIDED

RUNGS_OF_METRIC: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    dict.fromkeys(NEEDS_DECISION, _BY_DECISION)
    | dict.fromkeys(("roc_auc", "average_precision", *PROBABILITY_LOSSES, *CALIBRATION), _BY_SCORE)
    # Other scores leave every outcome as it is.
    | {"base_rate": _BY_SCORE - _SCORES}
    | dict.fromkeys(VALUE_LOSSES, _VALUES)
    | {"ctr": ALL - _UNDECIDED}
    | {f"{name}@k": _LISTS for name in REQUEST_METRICS}
    | {"mrr": _LISTS}
)
"""Metric -> causes that its ladder can name; the others are never looked for. A team's own: :func:`rungs_of`."""

NOT_EXPLAINED: Final = {
    "r2": "is no mean over rows, so that causes do not add up in it; ask for rmse",
    "mape": "is not explained by causes; ask for mae",
    "wape": "is a ratio of two sums that move apart; ask for mae",
    "error_p50": "is a quantile, so that causes do not add up in it; ask for mae",
    "error_p90": "is a quantile, so that causes do not add up in it; ask for mae",
    "error_p95": "is a quantile, so that causes do not add up in it; ask for mae",
    "error_p99": "is a quantile, so that causes do not add up in it; ask for mae",
    "flag_rate": "needs no labels: fb.metrics over time and fb.drift show why it moved",
    "availability": "is part of every diagnosis; ask for the metric that it may have moved",
}
"""Metrics of the kit that the ladder does not take apart, and why."""
_OF_ANY_TASK: Final = ("flag_rate", "availability")


def metrics_of(task: str) -> tuple[str, ...]:
    """The metrics that triage explains for a task; of ranked lists as name@k."""
    if task == "ranking":
        return (*RANKING_METRICS, "mrr", *(f"{name}@k" for name in REQUEST_METRICS))
    return METRICS if task == "binary" else VALUE_LOSSES


def is_known(metric: str, *, task: str) -> bool:
    """Whether triage explains the metric for models of this task."""
    return metric in metrics_of(task) or (task == "ranking" and is_of_requests(metric))


def why_not(metric: str, *, task: str) -> str | None:
    """Why a metric that the kit has for this task is not explained; None if there is nothing to say."""
    return NOT_EXPLAINED.get(metric) if task == "regression" or metric in _OF_ANY_TASK else None


def is_of_requests(metric: str) -> bool:
    """Whether the metric is a mean of one number per request: mrr, ndcg@10, ..."""
    found = re.fullmatch(r"([a-z_]+)@([1-9][0-9]{0,3})", metric)
    return metric == "mrr" or (found is not None and found[1] in REQUEST_METRICS)


def can_be_rescored(metric: str) -> bool:
    """Whether other scores of the same rows have a value that the log tells: not of lists, whose order would change."""
    return not (metric in ("base_rate", "ctr") or is_of_requests(metric))


def rungs_of(metric: str) -> frozenset[str]:
    """The causes that apply to a metric, a team's own included.

    >>> "threshold_change" in rungs_of("recall"), "threshold_change" in rungs_of("ndcg@10")
    (True, False)
    """
    if is_of_requests(metric):
        return _LISTS
    if isinstance(metric, OwnName):
        return _VALUES - _REWRITES - _SCORES | {"version_regression"}
    return RUNGS_OF_METRIC[metric]
