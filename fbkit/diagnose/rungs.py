"""From measured rungs to contributions: one row per cause; the values sum to the observed change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fbkit.diagnose import reasons, words
from fbkit.diagnose.bootstrap import Floats, Triple, standard_error
from fbkit.diagnose.climb import Step
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.localise import where_labels_went, where_remainder
from fbkit.diagnose.player import CORRUPTION, VERSION
from fbkit.diagnose.rows import REFERENCE
from fbkit.diagnose.settings import material_floor
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.results import FAMILY_OF_CAUSE

NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A cause with its draws and its words; ``best`` is the strongest word that these logs allow."""

    cause: str
    draws: Floats
    where: str
    words: tuple[str, str]
    between: Callable[[Floats], Triple]
    best: str = "established"
    reason: str | None = None


def contributions(facts: Findings) -> tuple[Contribution, ...]:
    """Every non-zero rung; the values sum to the observed change exactly (the remainder is what is left)."""
    if not facts.estimable:
        return (_not_estimable(),)
    rest, chance = _remainder(facts), facts.ladder.chance
    if rest.cause == "noise":
        rest = replace(rest, draws=rest.draws + chance)
    rungs = _one_a_cause([*_rungs(facts), rest])
    made = [_contribution(facts, rung) for rung in rungs if rung.cause != rest.cause]
    if chance and rest.cause != "noise":
        made.append(_contribution(facts, _chance(facts)))
    told = sum(item.value or 0.0 for item in made)
    change = float(facts.observed_change[0])
    last = next(rung for rung in rungs if rung.cause == rest.cause)
    last = _contribution(facts, last, value=change - told)
    kept = [item for item in (*made, last) if item.value is None or abs(item.value) > NEGLIGIBLE]
    return tuple(kept) or (last,)


def _one_a_cause(rungs: Sequence[Rung]) -> list[Rung]:
    """Rungs of one cause added up, under the words of the largest."""
    found: dict[str, list[Rung]] = {}
    for rung in rungs:
        found.setdefault(rung.cause, []).append(rung)
    made: list[Rung] = []
    for same in found.values():
        largest = max(same, key=lambda rung: abs(float(rung.draws[0])))
        whole = np.sum([rung.draws for rung in same], axis=0)
        made.append(largest if len(same) == 1 else replace(largest, draws=whole))
    return made


def _rungs(facts: Findings) -> list[Rung]:
    if not facts.correctable:
        return [_uncorrectable(facts)]
    steps = [_step(facts, step) for step in facts.ladder.steps]
    found = [*steps, _label_loss(facts), _nonrandom(facts), *_replayed(facts)]
    return [rung for rung in found if rung is not None]


def _contribution(facts: Findings, rung: Rung, *, value: float | None = None) -> Contribution:
    point, lower, upper = rung.between(rung.draws)
    point = value if value is not None else point
    floor = material_floor(facts.metric, float(facts.ladder.observed[0, REFERENCE]))
    excluded = lower is not None and upper is not None and (lower > 0 or upper < 0)
    material = bool(rung.cause != "noise" and excluded and point is not None and abs(point) >= floor)
    return Contribution(
        cause=rung.cause,
        family=FAMILY_OF_CAUSE[rung.cause],
        value=point,
        lower=lower,
        upper=upper,
        material=material,
        strength=_strength(rung, material=material, sure=facts.settings.sure),
        where=rung.where,
        evidence=rung.words[0],
        next_evidence=rung.words[1],
        reason=rung.reason,
    )


def _strength(rung: Rung, *, material: bool, sure: float) -> str:
    """At best ``rung.best`` beyond ``sure`` standard errors, probable if material, else possible."""
    if not material:
        return "possible"
    error = standard_error(rung.draws)
    return rung.best if error is not None and abs(float(rung.draws[0])) > sure * error else "probable"


def _step(facts: Findings, step: Step) -> Rung:
    repair = step.repair
    if repair.cause == "immature_window":
        said, where = reasons.immature(facts), "predictions whose label window is open"
    else:
        said, where = (repair.evidence, repair.next_evidence), repair.where
    return Rung(
        cause=repair.cause,
        draws=step.contribution,
        where=where,
        words=said,
        between=facts.triple,
        best=repair.best,
        reason=repair.reason,
    )


def _label_loss(facts: Findings) -> Rung:
    where = where_labels_went(facts.frame("availability_by_slice"), facts.frame("availability_by_decision"))
    graded = facts.grading.found
    if facts.cause_of_loss == "immature_window":
        where = "predictions whose label window is open"
    return Rung(
        cause=facts.cause_of_loss,
        draws=facts.ladder.label_loss,
        where="flagged rows, more the higher the score" if graded else where,
        words=reasons.label_loss(facts),
        between=facts.repaired,
        best="probable" if graded or facts.age_unknown or facts.open_worlds.bounds_only else "established",
    )


def _nonrandom(facts: Findings) -> Rung | None:
    if facts.lost_nonrandom is None or facts.conservation is None:
        return None
    return Rung(
        cause="label_loss_nonrandom",
        draws=facts.lost_nonrandom,
        where=reasons.lost_where(facts.conservation),
        words=reasons.nonrandom(facts.conservation, audit=facts.audit),
        between=facts.triple,
        best="probable" if facts.other_world is not None else "established",
    )


def _replayed(facts: Findings) -> list[Rung]:
    made: list[Rung] = []
    for cause, draws in facts.ladder.replayed.items():
        told = facts.replay.facts[cause]
        rests_on_labels = cause == VERSION
        made.append(
            Rung(
                cause=cause,
                draws=draws,
                where=told.where,
                words=(told.evidence, told.next_evidence),
                between=facts.repaired if rests_on_labels else facts.triple,
                best=told.best,
            )
        )
    return made


def _remainder(facts: Findings) -> Rung:
    draws = facts.remainder if facts.correctable else facts.observed_change
    error, value = standard_error(draws), float(draws[0])
    floor = material_floor(facts.metric, float(facts.ladder.observed[0, REFERENCE]))
    if (
        not error
        or not facts.correctable
        or not facts.beyond_noise(draws)
        or abs(value) < facts.settings.remainder_share * floor
    ):
        said = reasons.noise(facts, value=value, error=error)
        return Rung(cause="noise", draws=draws, where="everywhere", words=said, between=facts.repaired)
    named = facts.replay.remainder_cause or (VERSION if facts.version_blamed else None)
    told = facts.replay.facts.get(named) if named == CORRUPTION else None
    touch, near = facts.tilt.touch, facts.settings.fragile_touch
    fragile = touch is not None and near < touch < 1 / near
    open_ = facts.other_world is not None or facts.arrival.reason is not None or facts.open_worlds.bounds_only
    weak = fragile or named is not None or open_
    place = where_remainder(facts.frame("remainder_by_slice"), total=value)
    if named == VERSION and facts.version is not None:
        place = f"model_version={', '.join(facts.version.names)}"
    said = reasons.drift(facts, value=value, error=error, switched=named == VERSION)
    return Rung(
        cause=named or "concept_drift",
        draws=draws,
        where=place if told is None else told.where,
        words=said if told is None else (told.evidence, told.next_evidence),
        between=facts.repaired,
        best="probable" if weak else "established",
    )


def _chance(facts: Findings) -> Rung:
    """Fewer labels show more of a metric that is never negative."""
    return Rung(
        cause="noise",
        draws=np.full_like(facts.observed_change, facts.ladder.chance),
        where="everywhere",
        words=reasons.chance(facts),
        between=lambda draws: (float(draws[0]), None, None),
    )


def _uncorrectable(facts: Findings) -> Rung:
    reason = "one side of the decision has no labels in a window: only the worst-case bounds hold"
    return Rung(
        cause="action_censoring" if facts.censored else facts.cause_of_loss,
        draws=np.full_like(facts.observed_change, np.nan),
        where="everywhere",
        words=(f"{words.start(reason)}.", "Labels for that side."),
        between=facts.triple,
        reason=reason,
    )


def _not_estimable() -> Contribution:
    reason = "no labelled rows, or none of one class, in a window"
    return Contribution(
        cause="noise", family="noise", value=None, lower=None, upper=None, material=False, strength="possible",
        where="everywhere", evidence=f"{words.start(reason)}.", next_evidence="Labels of both windows.", reason=reason,
    )  # fmt: skip
