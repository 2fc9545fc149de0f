"""Two worlds that fit the same logs: which they are, what tells them apart, and when the verdict has to wait for it."""

from dataclasses import dataclass
from typing import Final

_LOST_POSITIVES: Final = "labels lost because of their outcome and a model that got worse would leave the same counts"
_LOST_MISSED: Final = (
    "labels of missed positives lost because of their outcome and a model that misses fewer would leave the same counts"
)
_LOST_NEGATIVES: Final = (
    "labels of false alarms lost because of their outcome and a model that raises fewer would leave the same counts"
)
_CENSORED: Final = "no row like those that the action blocks has a label: only the worst-case bounds hold"
_YOUNG: Final = "labels that are late and labels that are lost look alike until their windows close"
_VERSION: Final = "all traffic changed to the new version at once, and no logged features let the old one be replayed"
_DEFINITION: Final = "every label changed its definition on the same day, and no row is labelled both ways"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Causes that would leave these logs; ``tipping_ratio`` as in the diagnosis, ``decided_by`` a phrase."""

    causes: tuple[str, ...]
    tipping_ratio: float | None
    decided_by: str

    def as_dict(self) -> dict[str, object]:
        """The world under its keys in a diagnosis."""
        return {"causes": list(self.causes), "tipping_ratio": self.tipping_ratio, "decided_by": self.decided_by}


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Two worlds, why the logs cannot tell them apart, and how far apart their true changes are (None: not known)."""

    worlds: tuple[World, World]
    reason: str
    gap: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """What the logs leave open, one attribute a kind of twins.

    Attributes
    ----------
    tipping
        :func:`fbkit.diagnose.bounds.tipping_ratio` of the observed metric.
    nonrandom
        (outcome, decision) of the labels that count conservation takes for lost by their outcome, or None.
    nonrandom_gap
        True change with those labels back minus the one without.
    audited
        An audit decided between the two (:meth:`fbkit.diagnose.audit.Audit.decides`).
    bounds_only
        Blocked rows that matter are neither stood for nor covered.
    age_unknown, decidable
        Labels are still to come and nothing says how many; when all windows are closed, in words.
    version, version_gap
        All traffic went to a new version that cannot be replayed; what is at stake.
    definition, definition_gap
        The definition changed for all rows at once; what is at stake.
    audit_flagged, audit_unflagged
        Rows without a label in an audit that would decide.
    """

    tipping: float | None = None
    nonrandom: tuple[int, int] | None = None
    nonrandom_gap: float | None = None
    audited: bool = False
    bounds_only: bool = False
    age_unknown: bool = False
    decidable: str = ""
    version: bool = False
    version_gap: float | None = None
    definition: bool = False
    definition_gap: float | None = None
    audit_flagged: int = 300
    audit_unflagged: int = 500


def twins(open_: Unsettled) -> tuple[Twins, ...]:
    """Every pair of worlds that the logs leave open, the one that matters most first."""
    found = [_by_outcome(open_), _by_action(open_), _by_age(open_), _by_version(open_), _by_definition(open_)]
    return tuple(pair for pair in found if pair is not None)


def undecided(open_: Unsettled, *, floor: float) -> str | None:
    """Why there is no verdict, in words; None where the twins agree to within the metric's floor, or there are none.

    A version switch that cannot be replayed leaves the cause ``version_regression`` probable at best, but the model is
    what changed in both worlds: it withholds no verdict.
    """
    for pair in twins(open_):
        if pair.reason != _VERSION and (pair.gap is None or abs(pair.gap) >= floor):
            return pair.reason
    return None


def _pair(open_: Unsettled, first: tuple[str, ...], second: tuple[str, ...], decided_by: str) -> tuple[World, World]:
    made = [World(causes=causes, tipping_ratio=open_.tipping, decided_by=decided_by) for causes in (first, second)]
    return made[0], made[1]


def _audit_of(open_: Unsettled) -> str:
    return f"an audit of about {open_.audit_flagged} flagged and {open_.audit_unflagged} unflagged rows without a label"


def _by_outcome(open_: Unsettled) -> Twins | None:
    if open_.nonrandom is None or open_.audited:
        return None
    reason = {(1, 1): _LOST_POSITIVES, (1, 0): _LOST_MISSED}.get(open_.nonrandom, _LOST_NEGATIVES)
    other = ("concept_drift",) if open_.nonrandom == (1, 0) else ("concept_drift", "label_slice_loss")
    worlds = _pair(open_, ("label_loss_nonrandom",), other, _audit_of(open_))
    return Twins(worlds=worlds, reason=reason, gap=open_.nonrandom_gap)


def _by_action(open_: Unsettled) -> Twins | None:
    if not open_.bounds_only:
        return None
    decided = "outcomes of blocked rows that are let through at random, with the propensity of the action logged"
    worlds = _pair(open_, ("action_censoring",), ("action_censoring", "concept_drift"), decided)
    return Twins(worlds=worlds, reason=_CENSORED)


def _by_age(open_: Unsettled) -> Twins | None:
    if not open_.age_unknown:
        return None
    decided = f"the same comparison from {open_.decidable} on, when the label windows are closed"
    return Twins(worlds=_pair(open_, ("immature_window",), ("concept_drift",), decided), reason=_YOUNG)


def _by_version(open_: Unsettled) -> Twins | None:
    if not open_.version:
        return None
    decided = "the same rows scored by both versions: a canary, a shadow run, or logged features and the old model"
    worlds = _pair(open_, ("version_regression",), ("concept_drift",), decided)
    return Twins(worlds=worlds, reason=_VERSION, gap=open_.version_gap)


def _by_definition(open_: Unsettled) -> Twins | None:
    if not open_.definition:
        return None
    decided = "100 rows labelled by both definitions"
    worlds = _pair(open_, ("label_definition_change",), ("concept_drift",), decided)
    return Twins(worlds=worlds, reason=_DEFINITION, gap=open_.definition_gap)
