"""The loop on one line: Log, Label, Join, Measure, Act, each green, amber or red, with what says so."""

from typing import Any, Final

import polars as pl

from fbkit.diagnose.preflight import FAILED, NOT_APPLICABLE, preflight
from fbkit.join.joined import Joined
from fbkit.measure.availability import availability
from fbkit.measure.metrics import metrics
from fbkit.schema import results
from fbkit.schema.durations import parse_duration
from fbkit.schema.period import Period

GREEN, AMBER, RED = "green", "amber", "red"
STEPS: Final = ("Log", "Label", "Join", "Measure", "Act")
SCHEMA: Final = {
    "step": pl.String,
    "state": pl.String,
    "id": pl.String,
    "question": pl.String,
    "status": pl.String,
    "evidence": pl.String,
    "fix": pl.String,
}
_OF_STEP: Final = {
    "Log": ("unique_ids", "times_utc", "versioned", "retention"),
    "Label": ("final_known", "availability_alert", "feed_complete"),
    "Join": ("rebuildable", "traceable"),
    "Act": ("actions_change", "actions_logged"),
}
# Without these no number means what it says; the others make numbers weaker.
_GRAVE: Final = frozenset(
    {"unique_ids", "times_utc", "final_known", "feed_complete", "rebuildable", "traceable", "availability_objective"}
)
_ENOUGH: Final = 30

Line = dict[str, Any]


def loop_strip(joined: Joined, *, current: Period, checks: pl.DataFrame | None = None) -> pl.DataFrame:
    """Every check under the step of the loop that it belongs to, and the state of each step.

    Parameters
    ----------
    current
        The period whose labels and metric are judged.
    checks
        The pre-flight checklist, if it is there already.

    Returns
    -------
    step, state (green, amber, red: the worst of its checks), id, question, status (passed, failed, not applicable),
    evidence, fix. A step none of whose checks applies is amber: nothing shows that it works.
    """
    known = {row["id"]: row for row in (preflight(joined) if checks is None else checks).to_dicts()}
    lines: list[Line] = []
    for step in STEPS:
        held = [known[key] for key in _OF_STEP.get(step, ()) if key in known]
        own = {"Label": [_objective(joined, current)], "Measure": _measured(joined, current)}.get(step, [])
        items = [*held, *own]
        lines += [{"step": step, "state": _state(items), **item} for item in items]
    return pl.DataFrame(lines, schema=SCHEMA)


def _state(items: list[Line]) -> str:
    failed = [item["id"] for item in items if item["status"] == FAILED]
    if any(key in _GRAVE for key in failed):
        return RED
    judged = [item for item in items if item["status"] != NOT_APPLICABLE]
    return AMBER if failed or not judged else GREEN


def _line(key: str, question: str, status: str, evidence: str, fix: str | None = None) -> Line:
    return {"id": key, "question": question, "status": status, "evidence": evidence, "fix": fix}


def _objective(joined: Joined, current: Period) -> Line:
    """Whether the labels of the current period reach the contract's objective."""
    question = "Do the labels of the current period reach the objective?"
    objective = joined.contract.slo.label_availability if joined.contract.slo else None
    if objective is None:
        return _line("availability_objective", question, NOT_APPLICABLE, "the contract states no objective")
    age = parse_duration(objective.at)
    row = availability(joined, period=current).row(0, named=True)
    value, wanted = row[results.VALUE], objective.minimum
    if value is None:
        return _line("availability_objective", question, NOT_APPLICABLE, "no predictions in that period")
    said = f"{100 * value:.1f} % of {row[results.N]:,} predictions have a label; at least {100 * wanted:g} % wanted"
    if joined.as_of - current.end < age:
        return _line("availability_objective", question, NOT_APPLICABLE, f"{said} at {objective.at}, not reached yet")
    if value >= wanted:
        return _line("availability_objective", question, "passed", said)
    if row[results.UPPER] is not None and row[results.UPPER] >= wanted:
        return _line("availability_objective", question, "passed", f"{said}, which sampling noise could explain")
    fix = "see which slices and which days lost their labels: the availability explorer"
    return _line("availability_objective", question, FAILED, said, fix)


def _measured(joined: Joined, current: Period) -> list[Line]:
    """Whether the primary metric can be estimated on final labels of the current period, and on how many."""
    name = joined.contract.metrics.primary
    row = metrics(joined, name, period=current).row(0, named=True)
    value, lower, upper = (row[key] for key in (results.VALUE, results.LOWER, results.UPPER))
    question = "Can the primary metric be measured on final labels?"
    if value is None:
        fix = "wait until label windows close, or look at a provisional stage"
        return [_line("measurable", question, FAILED, f"{name} is not estimable: {row[results.REASON]}", fix)]
    between = "" if lower is None or upper is None else f" [{lower:.3f}, {upper:.3f}]"
    said = f"{name} {value:.3f}{between} from {row[results.N_LABELLED]:,} of {row[results.N]:,} predictions"
    if row[results.N_LABELLED] < _ENOUGH:
        return [_line("measurable", question, FAILED, f"{said}: too few to say anything", "take a longer period")]
    return [_line("measurable", question, "passed", said)]
