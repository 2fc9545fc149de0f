"""The three checks of the mini challenge, each answered with numbers of one evidence frame."""

from collections.abc import Sequence

from fbkit.diagnose import words
from fbkit.diagnose.applies import rungs_of
from fbkit.diagnose.cbpe import FRAME as CBPE
from fbkit.diagnose.cbpe import sentence
from fbkit.diagnose.findings import Findings
from fbkit.schema.diagnosis import Check, Contribution
from fbkit.schema.words import cause

QUESTIONS = {
    "who_lost_labels": "Who lost the labels, and are they really lost?",
    "like_for_like": "Is the change still there like for like, with the labels weighted back?",
    "is_it_the_model": "Is what remains the model?",
}


def three_checks(facts: Findings, parts: Sequence[Contribution]) -> tuple[Check, ...]:
    """Question, answer, seconds and the frame that holds the numbers."""
    answers = {
        "who_lost_labels": (_who(facts), "availability_by_decision"),
        "like_for_like": (_like(facts), "corrected"),
        "is_it_the_model": (_model(facts, parts), "replay"),
    }
    return tuple(
        Check(key=key, question=QUESTIONS[key], answer=answer, seconds=facts.seconds.get(key, 0.0), table=table)
        for key, (answer, table) in answers.items()
    )


def _who(facts: Findings) -> str:
    text = f"Availability went from {facts.availability_went()}."
    return f"{text} {_lost(facts)}.{_ratio(facts)}"


def _lost(facts: Findings) -> str:
    """Whether what is missing can still come."""
    if facts.arrival.young.any():
        return "Some label windows are still open"
    if facts.rows.labelled.all():
        return "No label is missing"
    if facts.censored:
        return "All label windows are closed, so what is missing was hidden by the action, or is lost"
    return "All label windows are closed, so what is missing is lost"


def _ratio(facts: Findings) -> str:
    row = facts.frame("tipping").row(0, named=True)
    if facts.metric != "recall" or row["tipping_ratio"] is None or row["observed_ratio"] is None:
        return ""
    return (
        f" An unchanged model would need the label rates of detected over missed positives to move by a factor "
        f"{row['tipping_ratio']:.2f}; the cells show {row['observed_ratio']:.2f}."
    )


def _like(facts: Findings) -> str:
    metric = facts.metric
    if facts.age_unknown:
        return f"It cannot be told yet: {facts.arrival.reason}."
    before, after = facts.frame("corrected").sort("window", descending=True).iter_rows(named=True)
    change = facts.true_triple()
    text = (
        f"Observed {words.level(metric, before['observed'])} to {words.level(metric, after['observed'])}; corrected "
        f"{words.level(metric, before['corrected'])} to {words.level(metric, after['corrected'])}, a change of "
        f"{words.signed(metric, change[0])}{words.between(metric, change[1], change[2])}."
    )
    low, high = facts.worst["current"]
    if low is None or high is None:
        return text
    ends = f"{words.level(metric, low)} to {words.level(metric, high)}"
    return f"{text} Without any assumption about the missing labels the current value lies in {ends}."


def _model(facts: Findings, parts: Sequence[Contribution]) -> str:
    metric = facts.metric
    replayed = facts.ladder.replayed
    if replayed:
        listed = ", ".join(f"{cause(name)} {words.signed(metric, float(d[0]))}" for name, d in replayed.items())
        first = f"Replayed on the reference's own outcomes: {listed}."
    else:
        tried = "Threshold, mix and scores" if "threshold_change" in rungs_of(metric) else "Mix and scores"
        first = f"{tried} replayed on the reference's own outcomes explain nothing beyond the gates."
    rest = facts.repaired(facts.remainder)
    last = next((p for p in parts if p.cause in ("concept_drift", "version_regression", "noise")), None)
    outcome = (
        "so it is read as sampling noise"
        if last is None or last.cause == "noise"
        else f"it is {cause(last.cause)}, {last.strength}"
    )
    spread = facts.dispersion
    by_day = (
        f" At equal scores the reference's days differ {spread.ratio:.1f} times more than their rows explain, so this"
        f" interval is widened by {spread.factor:.1f}."
        if spread.ratio is not None and spread.factor > 1
        else ""
    )
    expected = sentence(facts.frame(CBPE), metric=metric)
    crossed = f" {expected}" if expected else ""
    if rest[0] is None:
        return f"{first} What remains cannot be estimated."
    return (
        f"{first} What remains is {words.signed(metric, rest[0])}{words.between(metric, rest[1], rest[2])}: {outcome}."
        f"{by_day}{crossed}"
    )
