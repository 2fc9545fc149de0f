"""fbkit: why did the metric drop, the model, the labels, or both?

The contents page: every public name, imported when it is first used so that ``import fbkit`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "ArgumentError": "fbkit.errors",
    "Comparison": "fbkit.schema.period",
    "Contract": "fbkit.schema.contract",
    "ContractError": "fbkit.errors",
    "Diagnosis": "fbkit.session",
    "Estimate": "fbkit.schema.estimate",
    "FbkitError": "fbkit.errors",
    "InputError": "fbkit.errors",
    "Joined": "fbkit.session",
    "Loop": "fbkit.session",
    "Metric": "fbkit.measure.user",
    "MissingPartError": "fbkit.errors",
    "OutputError": "fbkit.errors",
    "Period": "fbkit.schema.period",
    "availability": "fbkit.measure.availability",
    "calibration": "fbkit.measure.calibration",
    "calibration_summary": "fbkit.measure.calibration",
    "drift": "fbkit.measure.drift",
    "drift_bins": "fbkit.measure.drift",
    "feed_completeness": "fbkit.measure.feed",
    "join_sensitivity": "fbkit.measure.sensitivity",
    "label_lag": "fbkit.measure.lag",
    "metrics": "fbkit.measure.metrics",
    "open_loop": "fbkit.session",
    "provisional": "fbkit.measure.provisional",
    "provisional_calibration": "fbkit.measure.provisional",
    "revisions": "fbkit.measure.revisions",
    "threshold_curve": "fbkit.measure.thresholds",
    "triage": "fbkit.session",
}
_PACKAGES = {"explore": "fbkit.explorers", "samples": "fbkit.samples"}

__all__ = [
    "ArgumentError",
    "Comparison",
    "Contract",
    "ContractError",
    "Diagnosis",
    "Estimate",
    "FbkitError",
    "InputError",
    "Joined",
    "Loop",
    "Metric",
    "MissingPartError",
    "OutputError",
    "Period",
    "__version__",
    "availability",
    "calibration",
    "calibration_summary",
    "drift",
    "drift_bins",
    "explore",
    "feed_completeness",
    "join_sensitivity",
    "label_lag",
    "metrics",
    "open_loop",
    "provisional",
    "provisional_calibration",
    "revisions",
    "samples",
    "threshold_curve",
    "triage",
]

if TYPE_CHECKING:
    from fbkit import explorers as explore
    from fbkit import samples
    from fbkit.errors import ArgumentError, ContractError, FbkitError, InputError, MissingPartError, OutputError
    from fbkit.measure.availability import availability
    from fbkit.measure.calibration import calibration, calibration_summary
    from fbkit.measure.drift import drift, drift_bins
    from fbkit.measure.feed import feed_completeness
    from fbkit.measure.lag import label_lag
    from fbkit.measure.metrics import metrics
    from fbkit.measure.provisional import provisional, provisional_calibration
    from fbkit.measure.revisions import revisions
    from fbkit.measure.sensitivity import join_sensitivity
    from fbkit.measure.thresholds import threshold_curve
    from fbkit.measure.user import Metric
    from fbkit.schema.contract import Contract
    from fbkit.schema.estimate import Estimate
    from fbkit.schema.period import Comparison, Period
    from fbkit.session import Diagnosis, Joined, Loop, open_loop, triage


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _PACKAGES:
        return import_module(_PACKAGES[name])
    raise AttributeError(f"module 'fbkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
