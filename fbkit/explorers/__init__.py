"""L6: questions with controls. State and wiring, no arithmetic: numbers come from the measuring layers.

Each function shows a widget in JupyterLab (offline, nothing leaves the kernel but the rows that are drawn) and
leaves a picture in the saved notebook. All of them take

``thing``
    a joined table, a ledger, or the source of another explorer;
``comparison``
    two periods; by default the last mature week against what came before it;
``view``
    what to look at first (:class:`fbkit.explorers.state.View`), in place of ``comparison``;
``shared``
    the state of a page, to look at the same periods, slices and times as its other explorers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fbkit.explorers.availability import AvailabilityExplorer
from fbkit.explorers.calibration import CalibrationExplorer
from fbkit.explorers.drift import DriftExplorer
from fbkit.explorers.predictions import PredictionsExplorer
from fbkit.explorers.slices import SlicesExplorer
from fbkit.explorers.state import Shared, View
from fbkit.explorers.thresholds import ThresholdsExplorer
from fbkit.explorers.triage import TriageCard
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Comparison

# The functions are named like the modules of their widgets. All modules are imported above, so that the names below
# stay functions: a first import later would put the module in the function's place.


def _state(view: View | None, shared: Shared | None) -> Shared | None:
    return shared or (None if view is None else Shared.of(view))


def slices(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    metric: str | None = None,
    by: str | None = None,
    view: View | None = None,
    shared: Shared | None = None,
) -> SlicesExplorer:
    """Explore a metric by slice: interval, truth band, what each adds to the change; over time; wide slices.

    Parameters
    ----------
    metric, by
        What to start with; by default the contract's primary metric and its first slice column.
    """
    return SlicesExplorer(thing, comparison, metric=metric, by=by, shared=_state(view, shared))


def calibration(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    by: str | None = None,
    view: View | None = None,
    shared: Shared | None = None,
) -> CalibrationExplorer:
    """Explore the reliability of the score: CORP curve, Brier parts, by slice, version and period, recalibrated."""
    return CalibrationExplorer(thing, comparison, by=by, shared=_state(view, shared))


def availability(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    by: str | None = None,
    show: str = "time",
    view: View | None = None,
    shared: Shared | None = None,
) -> AvailabilityExplorer:
    """Explore which labels are there: over time by slice, by cohort and age, and what is missing to the promise.

    Parameters
    ----------
    by
        The column to slice by; by default the contract's first.
    show
        "time", "cohorts" (cohort by age), "burn_down" (labels missing to the promise) or "age" (how fast they arrive).
    """
    return AvailabilityExplorer(thing, comparison, by=by, show=show, shared=_state(view, shared))


def drift(
    thing: Any, comparison: Comparison | None = None, *, view: View | None = None, shared: Shared | None = None
) -> DriftExplorer:
    """Explore whether scores and features moved: a ranking by week, two distributions, the day it changed."""
    return DriftExplorer(thing, comparison, shared=_state(view, shared))


def thresholds(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    threshold: float | None = None,
    target: str | None = None,
    view: View | None = None,
    shared: Shared | None = None,
) -> ThresholdsExplorer:
    """Explore what another threshold would give: recall, precision, flags and value, with a handle to drag.

    Parameters
    ----------
    threshold
        Where the handle stands first; by default at the contract's threshold.
    target
        What the marked threshold is chosen for on the reference: "value" (with prices in the contract), "precision"
        or "recall".
    """
    return ThresholdsExplorer(thing, comparison, threshold=threshold, target=target, shared=_state(view, shared))


def predictions(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    question: str | None = None,
    receipt: Callable[[str], Any] | None = None,
    view: View | None = None,
    shared: Shared | None = None,
) -> PredictionsExplorer:
    """Find predictions (the worst errors, a slice, an id, a state) and open the receipt of one.

    At most 50 rows go to the page, and none of them into a saved notebook: the picture that stays has counts only.
    A ledger holds no rows, and the explorer says so.

    Parameters
    ----------
    question
        What to look for first: "missed", "false_alarms", "errors", "pending", "missing", "censored", "late", "newest".
    receipt
        What makes the receipt of an id; by default the joined table's own.
    """
    return PredictionsExplorer(thing, comparison, question=question, receipt=receipt, shared=_state(view, shared))


def triage(diagnosis: Diagnosis, *, export: Callable[[Path], Any] | None = None) -> TriageCard:
    """Show a diagnosis as a card with its evidence.

    Parameters
    ----------
    export
        What the button "Export incident" calls with the folder; a diagnosis with a method ``incident`` brings its own.
    """
    return TriageCard(diagnosis, export=export or getattr(diagnosis, "incident", None))
