"""What is said: one honest sentence, what to do, what not to do, what would change it."""

from collections.abc import Sequence
from typing import Final

from fbkit.diagnose import words
from fbkit.diagnose.advice import FRAME, recommended
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.remedies import EITHER, REMEDIES, advice, clause, overturned_by
from fbkit.diagnose.series import worse_by
from fbkit.diagnose.settings import AUDIT_FLAGGED, AUDIT_UNFLAGGED
from fbkit.diagnose.verdict import minimum_detectable
from fbkit.schema.diagnosis import Contribution

CLAUSE: Final = {cause: remedy.clause for cause, remedy in REMEDIES.items()}
"""What the headline says behind the points of each cause."""


# Whose label rates the selection-odds identity of a metric compares.
SIDES = {
    "recall": "detected and missed positives",
    "precision": "true and false flags",
    "specificity": "passed and flagged negatives",
    "base_rate": "positives and negatives",
    "ctr": "clicked and other rows",
}


def headline(facts: Findings, parts: Sequence[Contribution], verdict: str) -> str:
    """One sentence with the numbers; as careful as the intervals."""
    metric = facts.metric
    if not facts.estimable:
        name = words.name_of(metric)
        return f"The change of {name} cannot be estimated: it is not defined on the labelled rows of a window."
    value, lower, upper = facts.triple(facts.observed_change)
    before, after = (float(x) for x in facts.ladder.observed[0])
    opening = (
        f"Observed {words.name_of(metric).removeprefix('the ')} {words.moved(metric, value)}, "
        f"{words.level(metric, before)} to {words.level(metric, after)}{words.between(metric, lower, upper)}"
    )
    return f"{opening}: {_meaning(facts, parts, verdict)}."


def _meaning(facts: Findings, parts: Sequence[Contribution], verdict: str) -> str:
    if verdict == "undecided":
        return _undecided(facts)
    material = sorted((p for p in parts if p.material), key=lambda p: -abs(p.value or 0.0))
    if not material:
        return _nothing(facts)
    said = ", ".join(_clause(facts.metric, part) for part in material)
    return f"{said}{_true_part(facts)}" if any(part.family == "labels" for part in material) else said


def _true_part(facts: Findings) -> str:
    """What the metric itself did, once lost labels are weighted back."""
    value, lower, upper = facts.true_triple()
    name = words.name_of(facts.metric)
    between = words.between(facts.metric, lower, upper)
    if lower is not None and upper is not None and lower <= 0 <= upper:
        return f"; no change of {name} itself is shown{between}"
    return f"; {name} itself moved by {words.signed(facts.metric, value)}{between}"


def _clause(metric: str, part: Contribution) -> str:
    """The points, how sure, and where they come from."""
    sure = {"probable": "probably ", "possible": "possibly "}.get(part.strength, "")
    text = f"{words.signed(metric, part.value)} {sure}from {clause(part)}"
    return text if part.strength == "established" else f"{text}{words.between(metric, part.lower, part.upper)}"


def _nothing(facts: Findings) -> str:
    _, lower, upper = facts.triple(facts.observed_change)
    limit = minimum_detectable(facts)
    inside = lower is not None and upper is not None and lower <= 0 <= upper
    start = "no more than chance does at this number of labels" if inside else "no single cause is material"
    if limit is None:
        return start
    return f"{start}; a true change under {words.points(facts.metric, limit)} would not be seen"


def _undecided(facts: Findings) -> str:
    if not facts.correctable:
        return "not decidable from these logs, because one side of the decision has no labels"
    if facts.age_unknown:
        when = words.instant(facts.decidable)
        return f"labels are still to come, and no closed label window tells how many; decidable from {when}"
    if facts.other_world is None:
        return f"these logs cannot tell: {facts.why_undecided}"
    ratio = "" if facts.tipping is None else f" (tipping ratio {facts.tipping:.2f})"
    return f"either labels were lost because of their outcome or the model changed; these logs cannot tell{ratio}"


def would_change(facts: Findings, parts: Sequence[Contribution]) -> tuple[str, ...]:
    """Evidence that would overturn the verdict, the most decisive first; never empty."""
    said = [overturned_by(part) for part in sorted(parts, key=lambda p: (not p.material, -abs(p.value or 0.0)))]
    if facts.tipping is not None:
        said.insert(
            1,
            f"A proof that {SIDES[facts.metric]} lost labels unequally: the whole change is an "
            f"artefact if the ratio of their label rates moved by a factor {facts.tipping:.2f}.",
        )
    return tuple(dict.fromkeys(text for text in said if text))


def actions(facts: Findings, parts: Sequence[Contribution], verdict: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to do now and what the evidence forbids."""
    material = [part for part in parts if part.material]
    if verdict == "undecided":
        return _when_undecided(facts)
    if not material:
        nothing = REMEDIES["noise"]
        return nothing.now, nothing.never
    do_now: list[str] = []
    do_not: list[str] = []
    drift = drift_needs(facts)
    for part in sorted(material, key=lambda p: -abs(p.value or 0.0)):
        worse = (part.value or 0.0) * worse_by(facts.metric) > 0
        now, never = advice(part, worse=worse, name=words.name_of(facts.metric), drift=drift)
        do_now += now
        do_not += never
    families = {part.family for part in material}
    if families == {"labels"}:
        do_not.insert(0, "Do not retrain or roll back: the model is not what changed.")
    return tuple(dict.fromkeys(do_now)), tuple(dict.fromkeys(do_not))


def _when_undecided(facts: Findings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if not facts.correctable or not facts.estimable:
        now = "Get labels for the side of the decision that has none."
        if not facts.estimable:
            lacking = f"no label, or none of the rows that {words.name_of(facts.metric)} is counted on"
            now = f"Look at the label feed: a window has {lacking}."
        elif facts.censored:
            now = "Let a small random share of the blocked rows through and log its propensity."
        return (now,), ("Do not quote the raw metric.",)
    if facts.age_unknown:
        return (
            (f"Wait until the label windows are closed, {words.instant(facts.decidable)}, then compare again.",),
            ("Do not act on the raw metric yet, and do not retrain on these labels.",),
        )
    size = f"{AUDIT_FLAGGED} flagged and {AUDIT_UNFLAGGED} unflagged"
    return (
        (f"Label a random sample of about {size} rows without a label.",),
        ("Do not retrain on these labels, and do not roll back on the raw metric, before the audit.",),
    )


def drift_needs(facts: Findings) -> str:
    """Whether the calibration curve shows that recalibrating is enough, or that the model must be retrained."""
    frame = facts.frames.get(FRAME)
    return EITHER if frame is None else recommended(frame)
