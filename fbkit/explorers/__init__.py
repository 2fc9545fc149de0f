"""L6: questions with controls. State and wiring, no arithmetic: numbers come from the measuring layers.

Each function shows a widget in JupyterLab (offline, nothing leaves the kernel but the rows that are drawn) and
leaves a picture in the saved notebook.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fbkit.explorers.availability import AvailabilityExplorer
from fbkit.explorers.calibration import CalibrationExplorer
from fbkit.explorers.drift import DriftExplorer
from fbkit.explorers.predictions import PredictionsExplorer
from fbkit.explorers.slices import SlicesExplorer
from fbkit.explorers.state import Shared
from fbkit.explorers.thresholds import ThresholdsExplorer
from fbkit.explorers.triage import TriageCard
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Comparison
from fbkit.schema.protocols import JoinedLike

# The functions are named like the modules of their widgets. All modules are imported above, so that the names below
# stay functions: a first import later would put the module in the function's place.


def slices(
    joined: JoinedLike, comparison: Comparison | None = None, *, metric: str | None = None, by: str | None = None
) -> SlicesExplorer:
    """Explore a metric by slice, reference against current, with a threshold to try.

    Parameters
    ----------
    joined
        A joined table.
    comparison
        Two periods; by default the last mature week against what came before it.
    metric, by
        What to start with; by default the contract's primary metric and its first slice column.
    """
    return SlicesExplorer(joined, comparison, metric=metric, by=by)


def calibration(
    joined: JoinedLike, comparison: Comparison | None = None, *, by: str | None = None
) -> CalibrationExplorer:
    """Explore the reliability of the score: CORP curve, Brier parts, by slice and period."""
    return CalibrationExplorer(joined, comparison, by=by)


def availability(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    by: str | None = None,
    show: str = "time",
    shared: Shared | None = None,
) -> AvailabilityExplorer:
    """Explore which labels are there: over time by slice, by cohort and age, and what is missing to the promise.

    Parameters
    ----------
    thing
        A joined table, a ledger, or the source of another explorer.
    comparison
        Two periods; by default the last mature week against what came before it.
    by
        The column to slice by; by default the contract's first.
    show
        "time", "cohorts" (cohort by age), "burn_down" (labels missing to the promise) or "age" (how fast they arrive).
    shared
        The state of a page; by default one of its own.
    """
    return AvailabilityExplorer(thing, comparison, by=by, show=show, shared=shared)


def drift(joined: JoinedLike, comparison: Comparison | None = None) -> DriftExplorer:
    """Explore whether scores and features moved: a ranking, and two distributions."""
    return DriftExplorer(joined, comparison)


def thresholds(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    threshold: float | None = None,
    target: str | None = None,
    shared: Shared | None = None,
) -> ThresholdsExplorer:
    """Explore what another threshold would give: recall, precision, flags and value, with a handle to drag.

    Parameters
    ----------
    thing
        A joined table, a ledger, or the source of another explorer; its model is a binary one.
    comparison
        Two periods; by default the last mature week against what came before it.
    threshold
        Where the handle stands first; by default at the contract's threshold.
    target
        What the marked threshold is chosen for on the reference: "value" (with prices in the contract), "precision"
        or "recall".
    shared
        The state of a page, to look at the same periods, slices and threshold as its other explorers.
    """
    return ThresholdsExplorer(thing, comparison, threshold=threshold, target=target, shared=shared)


def predictions(
    thing: Any,
    comparison: Comparison | None = None,
    *,
    question: str | None = None,
    receipt: Callable[[str], Any] | None = None,
    shared: Shared | None = None,
) -> PredictionsExplorer:
    """Find predictions (the worst errors, a slice, an id, a state) and open the receipt of one.

    At most 50 rows go to the page, and none of them into a saved notebook: the picture that stays has counts only.

    Parameters
    ----------
    thing
        A joined table, or the source of another explorer; a ledger holds no rows, and the explorer says so.
    comparison
        Two periods; by default the last mature week against what came before it.
    question
        What to look for first: "missed", "false_alarms", "errors", "pending", "missing", "censored", "late", "newest".
    receipt
        What makes the receipt of an id; by default the joined table's own.
    shared
        The state of a page, to look at the same periods, slices and threshold as its other explorers.
    """
    return PredictionsExplorer(thing, comparison, question=question, receipt=receipt, shared=shared)


def triage(diagnosis: Diagnosis, *, export: Callable[[Path], Any] | None = None) -> TriageCard:
    """Show a diagnosis as a card with its evidence.

    Parameters
    ----------
    export
        What the button "Export incident" calls with the folder; a diagnosis with a method ``incident`` brings its own.
    """
    return TriageCard(diagnosis, export=export or getattr(diagnosis, "incident", None))
