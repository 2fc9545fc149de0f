"""What each cause asks for: where it stands in the headline, what to do now, what not to do, what would overturn it."""

from dataclasses import dataclass
from typing import Final

from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Contribution

ROLES: Final = {
    "quality": "the owners of the model",
    "labels": "the owners of the label feed",
    "mix": "the owners of the traffic",
    "pipeline": "the owners of the serving pipeline",
    "policy": "the owners of the decision policy",
    "noise": "the owners of the model",
}
"""Who acts where the contract names nobody."""

RECALIBRATE, RETRAIN, EITHER = "recalibrate", "retrain", "either"
_NOT_THESE_LABELS: Final = "Do not retrain on these labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """The words of one cause; ``{where}`` stands for its place.

    Attributes
    ----------
    clause
        What the headline says behind the points.
    now, never
        What to do now, and what the evidence forbids.
    overturn
        What would show that it was something else: said where the evidence itself named nothing.
    """

    clause: str
    now: tuple[str, ...]
    never: tuple[str, ...]
    overturn: str


REMEDIES: Final[dict[str, Remedy]] = {
    "concept_drift": Remedy(
        clause="the model: outcomes at equal scores changed ({where})",
        now=("Look at recent outcomes at equal scores ({where}), then retrain on corrected recent labels.",),
        never=("Do not blame the labels for this part: it stays after they are repaired.",),
        overturn="A random audit of unlabelled rows in which outcomes at equal scores are those of the reference.",
    ),
    "version_regression": Remedy(
        clause="the new version ({where})",
        now=("Roll back ({where}).",),
        never=("Do not retrain the earlier version.",),
        overturn="The same rows scored by both versions, with equal results.",
    ),
    "label_slice_loss": Remedy(
        clause="lost labels ({where})",
        now=("Mend the label feed: {where}. Ask for the lost labels again.",),
        never=(f"{_NOT_THESE_LABELS}: the rows that kept theirs are not a fair sample.",),
        overturn="An audit of unlabelled rows by decision and score in which the loss follows the outcome.",
    ),
    "label_outage": Remedy(
        clause="a feed that was down ({where})",
        now=("Mend the label feed ({where}) and load the lost days again, then compare anew.",),
        never=(f"{_NOT_THESE_LABELS}: those that arrive on the days of the outage are gone, others are not.",),
        overturn="The feed's own log: every label of those days was delivered.",
    ),
    "slow_labels": Remedy(
        clause="labels that come later than before ({where})",
        now=(
            "Ask the owners of the label feed why labels take longer ({where}); compare again when the windows closed.",
        ),
        never=("Do not act on the raw metric yet: the late labels are not a fair sample of all.",),
        overturn="The same comparison after the last label window has closed.",
    ),
    "immature_window": Remedy(
        clause="labels that are still to come ({where})",
        now=("Wait until the label window has closed, or compare at equal age.",),
        never=("Do not act on the raw metric yet.",),
        overturn="The same comparison after the last label window has closed.",
    ),
    "join_break": Remedy(
        clause="labels that did not join ({where})",
        now=("Mend the join: {where}. Map the ids of the outcomes and join again.",),
        never=(f"{_NOT_THESE_LABELS}: outcomes that did not join are not in them.",),
        overturn="The format of the ids on both sides: once mapped, the orphans join to other rows or to none.",
    ),
    "label_conflict": Remedy(
        clause="labels that were overwritten ({where})",
        now=("Ask who sent the later statements ({where}); restore the earlier labels until that is known.",),
        never=(f"{_NOT_THESE_LABELS}: one of two contradicting statements is wrong, and which is not known yet.",),
        overturn="The batch or source of the later statements: if they are deliberate corrections, they are right.",
    ),
    "label_definition_change": Remedy(
        clause="a changed definition of the label ({where})",
        now=(
            "Ask the owners of the label what changed ({where}); compare only labels of one definition.",
            "Write the change into the contract as a new label version.",
        ),
        never=(f"{_NOT_THESE_LABELS} mixed with earlier ones: they answer another question.",),
        overturn="A hundred rows labelled by both definitions that agree.",
    ),
    "label_loss_nonrandom": Remedy(
        clause="labels lost because of their outcome ({where})",
        now=("Label a random sample of the rows without a label, then mend the label feed: {where}.",),
        never=(f"{_NOT_THESE_LABELS}: the rows that kept theirs are not a fair sample.",),
        overturn="An audit of unlabelled rows in which positives are as rare as among the labelled ones.",
    ),
    "mix_shift": Remedy(
        clause="a different mix ({where})",
        now=("Tell the owners of the traffic ({where}); judge the model within slices.",),
        never=("Do not retrain for a change of mix alone.",),
        overturn="The metric within each slice: if it moved there as well, the mix is not the cause.",
    ),
    "covariate_shift": Remedy(
        clause="different cases ({where})",
        now=("Look at the features that moved ({where}): different cases, or a broken feature?",),
        never=("Do not roll back: at equal scores the reference model explains this part.",),
        overturn="Lineage of the features that moved: a changed source or unit makes it the pipeline.",
    ),
    "feature_corruption": Remedy(
        clause="a corrupted feature ({where})",
        now=("Mend the feature pipeline ({where}) and score the affected rows again.",),
        never=("Do not retrain on the corrupted feature, and do not move the threshold to make up for it.",),
        overturn="The feature at its source: if the world changed like that, the cases are different, not broken.",
    ),
    "serving_fallback": Remedy(
        clause="fallback scores in place of the model's ({where})",
        now=("Mend the serving of the model ({where}): timeouts, missing features, default scores.",),
        never=("Do not judge or retrain the model on rows that it did not score.",),
        overturn="The serving log: the rows with that score were scored by the model.",
    ),
    "prediction_log_loss": Remedy(
        clause="predictions missing from the log ({where})",
        now=("Mend the prediction log ({where}) and load the lost predictions again if they are kept anywhere.",),
        never=("Do not retrain on this log, and do not quote the raw metric: the rows that remain are a selection.",),
        overturn="The volume counted in front of the model: if it fell as well, the traffic is what changed.",
    ),
    "threshold_change": Remedy(
        clause="the changed threshold ({where})",
        now=("Check that the new threshold was intended ({where}); if not, set the earlier one again.",),
        never=("Do not retrain for a changed threshold.",),
        overturn="The metric at the earlier threshold on the current rows.",
    ),
    "action_censoring": Remedy(
        clause="outcomes hidden by the action ({where})",
        now=("Let a small random share of the blocked rows through ({where}) and log its propensity.",),
        never=(f"{_NOT_THESE_LABELS}: the outcomes of blocked rows are not seen.",),
        overturn="Outcomes of rows that were let through at random, with their propensity.",
    ),
    "noise": Remedy(
        clause="chance",
        now=("Leave the model alone and keep watching.",),
        never=("Do not retrain or roll back: nothing beyond chance was found.",),
        overturn="More labels: a longer current period.",
    ),
}

_DRIFT: Final = {
    RECALIBRATE: (
        "Recalibrate ({where}): scores rank the cases as well as before, but their level is off.",
        "Do not retrain for this alone: the ranking is intact. And do not blame the labels: it stays once repaired.",
    ),
    RETRAIN: (
        "Retrain on corrected recent labels ({where}): scores tell cases apart less well than before.",
        "Do not only recalibrate or move the threshold: the ranking itself got worse.",
    ),
}


def clause(part: Contribution) -> str:
    """Behind the points in the headline: what it comes from and where."""
    return REMEDIES[part.cause].clause.format(where=part.where)


def advice(
    part: Contribution, *, worse: bool, name: str, drift: str = EITHER
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What to do now about one material cause, and what not to do.

    Parameters
    ----------
    worse
        It moved the metric to the worse side. What made it better needs no repair, unless the labels lie.
    name
        The metric as sentences call it.
    drift
        "recalibrate" or "retrain" where the calibration curve has shown which, else "either".
    """
    if not worse and part.family not in ("labels", "pipeline") and part.cause != "action_censoring":
        return (f"Nothing for {part.where}: {name} got better there.",), ()
    remedy = REMEDIES[part.cause]
    if part.cause == "concept_drift" and drift in _DRIFT:
        now, never = _DRIFT[drift]
        return (now.format(where=part.where),), (never,)
    return tuple(text.format(where=part.where) for text in remedy.now), remedy.never


def overturned_by(part: Contribution) -> str:
    """What would show that it was something else."""
    return part.next_evidence or REMEDIES[part.cause].overturn


def owner_of(part: Contribution | None, contract: Contract) -> str:
    """Who acts on it: the owner of the feature that it sits in, else of the model, else the role in words."""
    if part is not None and part.cause in ("feature_corruption", "covariate_shift"):
        named = {name: text.owner for name, text in contract.features.definitions.items() if text.owner}
        for name, owner in named.items():
            if owner and f"feature={name}" in part.where:
                return owner
    if contract.model.owners:
        return contract.model.owners[0]
    return ROLES["noise" if part is None else part.family]


def runbook_of(cause: str, contract: Contract) -> str:
    """The contract's runbook, else the page that the kit ships for the cause."""
    return contract.model.runbook or f"docs/runbooks/{cause}.md"
