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
    "Ledger": "fbkit.ledger.ledger",
    "Loop": "fbkit.session",
    "Metric": "fbkit.measure.user",
    "MissingPartError": "fbkit.errors",
    "OutputError": "fbkit.errors",
    "Period": "fbkit.schema.period",
    "availability": "fbkit.measure.availability",
    "calibration": "fbkit.measure.calibration",
    "calibration_summary": "fbkit.measure.calibration",
    "choose_threshold": "fbkit.measure.chosen_threshold",
    "compare_versions": "fbkit.measure.versions",
    "drift": "fbkit.measure.drift",
    "drift_bins": "fbkit.measure.drift",
    "explore": "fbkit.session.explore",
    "feed_completeness": "fbkit.measure.feed",
    "find_slices": "fbkit.measure.slice_search",
    "join_sensitivity": "fbkit.measure.sensitivity",
    "label_lag": "fbkit.measure.lag",
    "metrics": "fbkit.measure.metrics",
    "open_loop": "fbkit.session",
    "provisional": "fbkit.measure.provisional",
    "provisional_calibration": "fbkit.measure.provisional",
    "proxy_fidelity": "fbkit.measure.proxy",
    "recalibrate": "fbkit.measure.recalibrate",
    "revisions": "fbkit.measure.revisions",
    "slice_gaps": "fbkit.measure.slices",
    "threshold_curve": "fbkit.measure.thresholds",
    "triage": "fbkit.session",
    "truth_bands": "fbkit.measure.bands",
    "volume": "fbkit.measure.volume",
}
_PACKAGES = {"samples": "fbkit.samples"}

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
    "Ledger",
    "Loop",
    "Metric",
    "MissingPartError",
    "OutputError",
    "Period",
    "__version__",
    "availability",
    "calibration",
    "calibration_summary",
    "choose_threshold",
    "compare_versions",
    "drift",
    "drift_bins",
    "explore",
    "feed_completeness",
    "find_slices",
    "join_sensitivity",
    "label_lag",
    "metrics",
    "open_loop",
    "provisional",
    "provisional_calibration",
    "proxy_fidelity",
    "recalibrate",
    "revisions",
    "samples",
    "slice_gaps",
    "threshold_curve",
    "triage",
    "truth_bands",
    "volume",
]

if TYPE_CHECKING:
    from fbkit import samples
    from fbkit.errors import ArgumentError, ContractError, FbkitError, InputError, MissingPartError, OutputError
    from fbkit.ledger.ledger import Ledger
    from fbkit.measure.availability import availability
    from fbkit.measure.bands import truth_bands
    from fbkit.measure.calibration import calibration, calibration_summary
    from fbkit.measure.chosen_threshold import choose_threshold
    from fbkit.measure.drift import drift, drift_bins
    from fbkit.measure.feed import feed_completeness
    from fbkit.measure.lag import label_lag
    from fbkit.measure.metrics import metrics
    from fbkit.measure.provisional import provisional, provisional_calibration
    from fbkit.measure.proxy import proxy_fidelity
    from fbkit.measure.recalibrate import recalibrate
    from fbkit.measure.revisions import revisions
    from fbkit.measure.sensitivity import join_sensitivity
    from fbkit.measure.slice_search import find_slices
    from fbkit.measure.slices import slice_gaps
    from fbkit.measure.thresholds import threshold_curve
    from fbkit.measure.user import Metric
    from fbkit.measure.versions import compare_versions
    from fbkit.measure.volume import volume
    from fbkit.schema.contract import Contract
    from fbkit.schema.estimate import Estimate
    from fbkit.schema.period import Comparison, Period
    from fbkit.session import Diagnosis, Joined, Loop, open_loop, triage
    from fbkit.session.explore import explore


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    if name in _PACKAGES:
        return import_module(_PACKAGES[name])
    raise AttributeError(f"module 'fbkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
