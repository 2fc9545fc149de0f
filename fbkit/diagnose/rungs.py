"""From measured rungs to contributions: one row per cause, with evidence and what would overturn it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, standard_error
from fbkit.diagnose.findings import Findings, Triple
from fbkit.diagnose.localise import where_labels_went, where_remainder
from fbkit.diagnose.replay import COVARIATE, MIX, THRESHOLD
from fbkit.diagnose.rows import CURRENT, NO_VALUE, REFERENCE, WINDOWS
from fbkit.diagnose.settings import material_floor
from fbkit.schema.diagnosis import Contribution
from fbkit.schema.results import FAMILY_OF_CAUSE

NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Rung:
    """A cause with its draws and its words."""

    cause: str
    draws: Floats
    where: str
    evidence: str
    next_evidence: str
    best: str = "established"
    reason: str | None = None
    between: Callable[[Floats], Triple] | None = None


def contributions(facts: Findings) -> tuple[Contribution, ...]:
    """Every non-zero rung; the values sum to the observed change exactly (the remainder is what is left)."""
    if not facts.estimable:
        return (_not_estimable(),)
    rungs = [make(facts) for make in _MAKERS] if facts.correctable else [_uncorrectable(facts)]
    known = [rung for rung in rungs if rung is not None]
    rest = _remainder(facts)
    made = [_contribution(facts, rung) for rung in known]
    told = sum(item.value or 0.0 for item in made)
    change = float(facts.ladder.observed_change[0])
    last = _contribution(facts, rest, value=change - told)
    kept = [item for item in (*made, last) if item.value is None or abs(item.value) > NEGLIGIBLE]
    return tuple(kept) or (last,)


def _contribution(facts: Findings, rung: Rung, *, value: float | None = None) -> Contribution:
    point, lower, upper = (rung.between or facts.triple)(rung.draws)
    point = value if value is not None else point
    floor = material_floor(facts.metric, float(facts.ladder.observed[0, 0]))
    excluded = lower is not None and upper is not None and (lower > 0 or upper < 0)
    material = bool(rung.cause != "noise" and excluded and point is not None and abs(point) >= floor)
    return Contribution(
        cause=rung.cause,
        family=FAMILY_OF_CAUSE[rung.cause],
        value=point,
        lower=lower,
        upper=upper,
        material=material,
        strength=_strength(rung, material=material),
        where=rung.where,
        evidence=rung.evidence,
        next_evidence=rung.next_evidence,
        reason=rung.reason,
    )


def _strength(rung: Rung, *, material: bool) -> str:
    """established beyond 3 standard errors (if the logs allow it at all), probable if material, else possible."""
    if not material:
        return "possible"
    error = standard_error(rung.draws)
    sure = error is not None and abs(float(rung.draws[0])) > 3 * error
    return rung.best if sure else "probable"


def _immature(facts: Findings) -> Rung | None:
    young = facts.arrival.young
    if not young.any():
        return None
    share = float(young[facts.rows.of(CURRENT)].mean())
    text = (
        f"{words.percent(share)} of the current predictions have an open label window; comparing both windows at equal "
        f"age moves the change by {words.signed(facts.metric, float(facts.ladder.immature[0]))}."
    )
    return Rung(
        "immature_window",
        facts.ladder.immature,
        "predictions whose label window is open",
        text if facts.arrival.reason is None else f"{words.start(facts.arrival.reason)}.",
        "The same comparison after the last label window has closed.",
        reason=facts.arrival.reason,
    )


def _label_loss(facts: Findings) -> Rung:
    frames = facts.frames
    where = where_labels_went(frames["availability_by_slice"], frames["availability_by_decision"])
    before, after = facts.availability("reference"), facts.availability("current")
    hit, missed = (
        tuple(facts.availability(window, decision=decision) for window in ("reference", "current"))
        for decision in ("flagged", "not flagged")
    )
    effect = float(facts.ladder.label_loss[0])
    text = (
        f"Label availability went from {words.percent(before)} to {words.percent(after)}: flagged rows "
        f"{words.percent(hit[0])} to {words.percent(hit[1])}, others {words.percent(missed[0])} to "
        f"{words.percent(missed[1])}. Weighting labels back within decision, score and "
        f"{', '.join(facts.cells.strata.columns) or 'no slice'} moves the change by {words.signed(facts.metric, -effect)}."
    )
    if facts.grading.found:
        where = "flagged rows, more the higher the score"
        text += (
            f" Among flagged rows the loss follows the score (odds ratio {max(facts.grading.odds_ratio):.1f} between low and high "
            f"scores), so it may follow the outcome as well: the interval allows for an odds ratio of {max(facts.grading.gamma):.1f}."
        )
    return Rung(
        "label_slice_loss",
        facts.ladder.label_loss,
        where,
        text,
        "An audit of unlabelled rows by decision and score: it would show whether labels were lost because of their outcome.",
        best="probable" if facts.grading.found else "established",
        between=facts.repaired,
    )


def _nonrandom(facts: Findings) -> Rung | None:
    found = facts.conservation
    if facts.lost_nonrandom is None or found is None:
        return None
    text = (
        f"Among flagged rows {words.count(found.missing)} labels are missing where {words.count(found.expected_missing)} were "
        f"expected; labelled positives {words.count(found.positives)} against {words.count(found.expected_positives)} expected, "
        f"negatives {words.count(found.negatives)} against {words.count(found.expected_negatives)}: positives went missing, "
        "negatives did not."
    )
    return Rung(
        "label_loss_nonrandom",
        facts.lost_nonrandom,
        "flagged rows",
        text,
        "An audit of unlabelled flagged rows: about 300 flagged and 500 unflagged rows would decide.",
        best="probable",
    )


def _replayed(cause: str) -> Callable[[Findings], Rung | None]:
    def make(facts: Findings) -> Rung | None:
        draws = facts.ladder.replayed.get(cause)
        if draws is None:
            return None
        evidence, following = _REPLAY_WORDS[cause](facts)
        where = _shifted_value(facts) if cause == MIX else _PLACE[cause]
        return Rung(cause, draws, where, evidence, following)

    return make


def _threshold_words(facts: Findings) -> tuple[str, str]:
    logged = [facts.rows.frame["threshold"].filter(facts.rows.of(w)).median() for w in (0, 1)]
    return (
        f"The median operating threshold went from {logged[0]} to {logged[1]}; the current decisions applied to the reference's "
        f"rows move {words.NAMES[facts.metric]} by {words.signed(facts.metric, float(facts.ladder.replayed[THRESHOLD][0]))}.",
        "The release that changed the threshold; the metric at the old threshold on the current rows.",
    )


def _mix_words(facts: Findings) -> tuple[str, str]:
    names = ", ".join(facts.mix_columns)
    return (
        f"The shares of {names} moved; the reference's own rows reweighted to the current shares move "
        f"{words.NAMES[facts.metric]} by {words.signed(facts.metric, float(facts.ladder.replayed[MIX][0]))}.",
        f"The metric within each value of {names}: if it fell there as well, the mix is not the cause.",
    )


def _covariate_words(facts: Findings) -> tuple[str, str]:
    means = [float(facts.rows.score[facts.rows.of(w)].mean()) for w in (0, 1)]
    return (
        f"The scores moved (mean {means[0]:.3f} to {means[1]:.3f}); the reference's own outcomes at the current scores move "
        f"{words.NAMES[facts.metric]} by {words.signed(facts.metric, float(facts.ladder.replayed[COVARIATE][0]))}.",
        "The features that moved: if one of them is broken rather than different, the cause is the pipeline.",
    )


_REPLAY_WORDS: dict[str, Callable[[Findings], tuple[str, str]]] = {
    THRESHOLD: _threshold_words,
    MIX: _mix_words,
    COVARIATE: _covariate_words,
}


_PLACE = {COVARIATE: "the score distribution", THRESHOLD: "the operating threshold"}


def _shifted_value(facts: Findings) -> str:
    """The slice value whose share moved most."""
    column = facts.mix_columns[0]
    counts = facts.rows.frame.group_by(pl.col(column).cast(pl.String).fill_null(NO_VALUE).alias("value")).agg(
        *((pl.col("_window") == window).sum().alias(WINDOWS[window]) for window in (REFERENCE, CURRENT))
    )
    share = [pl.col(name) / pl.col(name).sum() for name in WINDOWS]
    moves = counts.with_columns(move=(share[CURRENT] - share[REFERENCE]).abs()).sort(
        "move", "value", descending=[True, False]
    )
    return f"{column}={moves['value'][0]}"


def _version(facts: Findings) -> Rung | None:
    found = facts.version
    if found is None or facts.version_effect is None:
        return None
    names = ", ".join(found.names)
    return Rung(
        "version_regression",
        facts.version_effect,
        f"model_version={names}",
        f"{words.percent(found.share)} of the current rows ran on version {names}; beside the known versions, in the same days and "
        f"at the same mix, it moves {words.NAMES[facts.metric]} by {words.signed(facts.metric, float(facts.version_effect[0]))}.",
        "The same rows scored by both versions.",
    )


def _remainder(facts: Findings) -> Rung:
    draws = facts.remainder if facts.correctable else facts.ladder.observed_change
    error = standard_error(draws)
    value, lower, upper = facts.left_over(draws)
    floor = material_floor(facts.metric, float(facts.ladder.observed[0, 0]))
    excluded = lower is not None and upper is not None and (lower > 0 or upper < 0)
    if value is None or not facts.correctable or not excluded or abs(value) < 0.8 * floor:
        return _noise(facts, draws, error)
    where = where_remainder(facts.frames["remainder_by_slice"], total=value)
    switched = facts.version is not None and facts.version.complete
    cause = "version_regression" if switched else "concept_drift"
    place = f"model_version={', '.join(facts.version.names)}" if switched and facts.version else where
    fragile = facts.tilt.touch is not None and facts.tilt.touch > 0.75
    weak = switched or facts.lost_nonrandom is not None or fragile or facts.arrival.reason is not None
    text = (
        f"After every repair and replay {words.points(facts.metric, value)} are left, "
        f"{abs(value) / (error or 1):.1f} standard errors from zero: at the same score the outcomes are no longer those of the reference."
    )
    following = _drift_next(facts, switched=switched)
    return Rung(
        cause, draws, place, text, following, best="probable" if weak else "established", between=facts.left_over
    )


def _drift_next(facts: Findings, *, switched: bool) -> str:
    if switched:
        return "The current rows scored by the earlier version: all traffic switched at once, so version and drift share their date."
    if facts.tilt.vanish is not None and facts.tilt.vanish < 1:
        return (
            f"An audit of unlabelled flagged rows: within equal scores, positives would have to be labelled at "
            f"{facts.tilt.vanish:.2f} times the odds of negatives for the model to be unchanged."
        )
    return "An audit of unlabelled rows: even lopsided label loss within equal scores would hardly explain the change."


def _noise(facts: Findings, draws: Floats, error: float | None) -> Rung:
    z = "" if error is None or error == 0 else f", {abs(float(draws[0])) / error:.1f} standard errors"
    text = f"{words.points(facts.metric, float(draws[0]))} are left{z}: within what sampling alone does."
    return Rung("noise", draws, "everywhere", text, "More labels: a longer current period.", between=facts.left_over)


def _uncorrectable(facts: Findings) -> Rung:
    nothing = np.full_like(facts.ladder.observed_change, np.nan)
    reason = "one side of the decision has no labels in a window: only the worst-case bounds hold"
    return Rung(
        "label_slice_loss", nothing, "everywhere", words.start(reason) + ".", "Labels for that side.", reason=reason
    )


def _not_estimable() -> Contribution:
    reason = "no labelled rows (or none of one class) in a window"
    return Contribution(
        cause="noise", family="noise", value=None, lower=None, upper=None, material=False, strength="possible",
        where="everywhere", evidence=f"{words.start(reason)}.", next_evidence="Labels of both windows.", reason=reason,
    )  # fmt: skip


_MAKERS: tuple[Callable[[Findings], Rung | None], ...] = (
    _immature, _label_loss, _nonrandom, _replayed(THRESHOLD), _replayed(MIX), _replayed(COVARIATE), _version,
)  # fmt: skip
