"""From contributions to one word, and what follows from it."""

from collections.abc import Mapping, Sequence

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import standard_error
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.rows import CURRENT, WINDOWS
from fbkit.diagnose.settings import NEEDS_DECISION, VALUE
from fbkit.diagnose.worlds import twins
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.results import FAMILY_OF_CAUSE

TOLD_ANYWAY = ("prediction_log_loss", "serving_fallback", "feature_corruption")
"""Pipelines that broke are told even where the metric does not feel it."""
World = Mapping[str, object]


def verdict_of(parts: Sequence[Contribution], *, undecided: bool = False) -> str:
    """Families of the material causes in one word.

    None: ``noise``; one: that family; exactly quality and labels: ``both``; any other two or more:
    ``several``; two worlds that fit the same logs: ``undecided``.
    """
    if undecided:
        return "undecided"
    families = {part.family for part in parts if part.material}
    if not families:
        return "noise"
    if families == {"quality", "labels"}:
        return "both"
    return families.pop() if len(families) == 1 else "several"


def top_cause(parts: Sequence[Contribution], *, candidates: Sequence[str] = ()) -> tuple[str, str]:
    """Cause and family of the largest material contribution, whatever its sign; noise if none.

    ``candidates`` are what an undecided verdict is open between: the first of them stands where nothing is material.
    """
    material = [part for part in parts if part.material and part.value is not None]
    # Where an action hides outcomes without a substitute, whatever else is estimated rests on the rows that are left.
    hidden = candidates[:1] == ("action_censoring",)
    if not material or hidden:
        best = candidates[0] if candidates else "noise"
        return best, FAMILY_OF_CAUSE[best]
    best = max(material, key=lambda part: (abs(part.value or 0.0), part.cause))
    return best.cause, best.family


def is_undecided(facts: Findings) -> bool:
    """The logs fit two worlds, or cannot be corrected or compared at all."""
    return not facts.estimable or not facts.correctable or facts.why_undecided is not None


def waiting_helps(facts: Findings) -> bool:
    """Whether closed label windows decide it; never where labels were lost for their outcome, or are gone for good."""
    if facts.other_world is not None:
        return False
    return bool(facts.arrival.young.any()) or not is_undecided(facts)


def reason_of(facts: Findings) -> str | None:
    """Why nothing better than this can be said; None when the verdict stands on its own."""
    if not facts.estimable:
        return f"{words.name_of(facts.metric)} is not defined on the labelled rows of a window"
    if not facts.correctable:
        return "one side of the decision has no labels in a window: only the worst-case bounds hold"
    return facts.arrival.reason or facts.why_undecided


def candidates_of(facts: Findings) -> tuple[str, ...]:
    """Causes that an undecided verdict is open between, the likeliest first."""
    if not is_undecided(facts) or not facts.estimable:
        return ()
    return tuple(cause for pair in twins(facts.open_worlds) for world in pair.worlds for cause in world.causes)


def worlds_of(facts: Findings) -> tuple[World, ...]:
    """The worlds that fit the same logs; empty when there is only one."""
    if not facts.estimable:
        return ()
    return tuple(world.as_dict() for pair in twins(facts.open_worlds) for world in pair.worlds)


def warnings_of(facts: Findings) -> tuple[str, ...]:
    """What a reader has to know before the numbers: labels that are still to come, a threshold nothing reaches."""
    said: list[str] = []
    young = facts.arrival.young[facts.rows.of(CURRENT)]
    if young.any():
        share, until = words.percent(float(young.mean())), words.instant(facts.decidable)
        said.append(
            f"The label window of {share} of the current predictions is still open at the as-of time, until {until} "
            "at the latest: the observed numbers will still move."
        )
    said += [
        fact.evidence
        for name, fact in facts.replay.facts.items()
        if name in TOLD_ANYWAY and name not in facts.ladder.replayed
    ]
    if facts.metric in NEEDS_DECISION:
        said += [
            f"No {name} prediction is flagged: {words.name_of(facts.metric)} says nothing about the model there; "
            "look at the threshold and the logged decisions."
            for window, name in enumerate(WINDOWS)
            if not facts.rows.decision[facts.rows.of(window)].any()
        ]
    return tuple(said)


def minimum_detectable(facts: Findings) -> float | None:
    """The true change that the remainder's gate would catch nine times in ten at this number of labels."""
    error = standard_error(facts.remainder) if facts.correctable else None
    return None if not error else (facts.settings.remainder_gate + facts.settings.power) * error


def impact_of(facts: Findings) -> dict[str, object]:
    """What the true change means in rows of the current period, and in the contract's money.

    Recall: positives missed that the reference would have found. Precision: flags that were false and
    would not have been. Accuracy: decisions. Negative numbers are gains. The value per prediction: money only, over
    all current predictions. None for other metrics.
    """
    value = facts.true_triple()[0] if facts.estimable and facts.correctable else None
    if facts.metric == VALUE and value is not None:
        money = round(value * float(facts.cells.n[0, CURRENT].sum()), 2)
        return {"rows": None, "business_metric": money, "unit": None}
    base = _exposed(facts)
    if value is None or base is None:
        return {"rows": None, "business_metric": None, "unit": None}
    rows = round(-value * base)
    worth = facts.contract.value
    money: float | None = None
    if worth is not None:
        each = {
            "recall": worth.false_negative - worth.true_positive,
            "precision": worth.false_positive - worth.true_positive,
        }.get(facts.metric)
        money = None if each is None else round(rows * each, 2)
    unit = {"recall": "positives missed", "precision": "false flags", "accuracy": "wrong decisions"}[facts.metric]
    return {"rows": rows, "business_metric": money, "unit": unit}


def _exposed(facts: Findings) -> float | None:
    """Rows of the current period on which one unit of the metric is counted."""
    if facts.metric == "recall":
        return float(corrected(facts.cells, thin=facts.settings.thin_cell).positive[0, CURRENT].sum())
    if facts.metric == "precision":
        return float(facts.cells.n[0, CURRENT, 1].sum())
    return float(facts.cells.n[0, CURRENT].sum()) if facts.metric == "accuracy" else None
