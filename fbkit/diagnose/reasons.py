"""The evidence of each cause in words, and what would overturn it; the numbers are cells of the evidence frames."""

from fbkit.diagnose import words
from fbkit.diagnose.audit import Audit
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.nonrandom import Conservation
from fbkit.diagnose.rows import CURRENT
from fbkit.diagnose.settings import AUDIT_FLAGGED, AUDIT_UNFLAGGED

Pair = tuple[str, str]


def _moves(facts: Findings, draws: Floats, *, sign: int = 1) -> str:
    return words.signed(facts.metric, sign * float(draws[0]))


def immature(facts: Findings) -> Pair:
    """Young label windows."""
    following = "The same comparison after the last label window has closed."
    if facts.arrival.reason is not None:
        return f"{words.start(facts.arrival.reason)}.", following
    share = words.percent(float(facts.arrival.young[facts.rows.of(CURRENT)].mean()))
    text = f"{share} of the current predictions have an open label window; at equal age the change moves by "
    return f"{text}{_moves(facts, facts.immature, sign=-1)}.", following


def label_loss(facts: Findings) -> Pair:
    """Labels lost at random within cells."""
    sides = ("decision", "score") if facts.decided else ("score",)
    cells = ", ".join((*sides, *facts.cells.strata.columns))
    text = (
        f"Label availability went from {facts.availability_went()}. "
        f"Weighting labels back within {cells} moves the change by {_moves(facts, facts.ladder.label_loss, sign=-1)}."
    )
    if facts.cause_of_loss == "immature_window":
        young, following = immature(facts)
        return f"{text} {young}", following
    hidden = facts.blocked
    if hidden is not None and facts.cause_of_loss == "action_censoring":
        text += (
            f" The action hides the outcome of {words.percent(hidden.current)} of the rows "
            f"({words.percent(hidden.reference)} in the reference)."
        )
        return text, "Outcomes of rows that were let through at random, with their propensity."
    found = facts.orphans
    if found is not None and found.explains:
        text += (
            f" {words.count(found.current)} outcomes carry a key that no prediction has "
            f"({words.count(found.reference)} in the reference) where {words.count(found.missing)} labels are missing."
        )
        return text, "The format of the ids on both sides; the share that joins again once they are mapped."
    if facts.grading.found:
        text += (
            f" Among flagged rows the loss follows the score (odds ratio {max(facts.grading.odds_ratio):.1f} between "
            "low and high scores), so it may follow the outcome as well; the interval allows for an odds ratio of "
            f"{max(facts.grading.gamma):.1f}."
        )
    by = " and ".join(sides)
    return text, f"An audit of unlabelled rows by {by} would show whether the loss follows the outcome."


def lost_where(found: Conservation) -> str:
    """Whose labels went."""
    if found.everywhere:
        return "positives, flagged or not"
    side = "flagged rows" if found.decision == 1 else "rows that are not flagged"
    return f"{'positives' if found.outcome == 1 else 'negatives'} among {side}"


def nonrandom(found: Conservation, *, audit: Audit | None) -> Pair:
    """Count conservation, and what an audit says."""
    text = (
        f"Among flagged rows {words.count(found.missing)} labels are missing where "
        f"{words.count(found.expected_missing)} were expected; labelled positives {words.count(found.positives)} "
        f"against {words.count(found.expected_positives)} expected, negatives {words.count(found.negatives)} against "
        f"{words.count(found.expected_negatives)}."
    )
    missed = (
        f"Labelled positives that were not flagged: {words.count(found.missed)} against "
        f"{words.count(found.expected_missed)} that go with the negatives beside them."
    )
    text = missed if found.decision == 0 else f"{text} {missed}" if found.everywhere else text
    if audit is not None and audit.wins:
        return f"Audited rows differ from what loss at random leads one to expect. {text}", "A second audit."
    following = f"An audit of about {AUDIT_FLAGGED} flagged and {AUDIT_UNFLAGGED} unflagged rows without a label"
    return text, f"{following} would decide."


def drift(facts: Findings, *, value: float, error: float, switched: bool) -> Pair:
    """What is left is more than noise."""
    text = (
        f"After every repair and replay {words.points(facts.metric, value)} are left, {abs(value) / error:.1f} "
        "standard errors from zero: at the same score the outcomes are no longer those of the reference."
    )
    if switched and facts.version_blamed:
        text += " Rows of the known versions in the same days are as they were."
        return text, "The same rows scored by both versions."
    if switched:
        return text, "The current rows scored by the earlier version: all traffic switched at once, on one date."
    vanish = facts.tilt.vanish
    if vanish is not None and vanish < 1:
        audit = (
            "An audit of unlabelled flagged rows: at equal scores, positives would have to be labelled at "
            f"{vanish:.2f} times the odds of negatives for the model to be unchanged."
        )
        return text, audit
    if facts.tipping is None:
        return text, "The next outcomes at equal scores: if they are the reference's again, it has passed."
    return text, "An audit of unlabelled rows: even lopsided loss at equal scores would hardly explain the change."


def chance(facts: Findings) -> Pair:
    """The bias of a metric that is never negative."""
    name, much = words.name_of(facts.metric), words.signed(facts.metric, facts.ladder.chance)
    text = f"Chance alone raises {name}, the more the fewer the labels: {much} of the change between the windows."
    return text, "As many labels in both windows."


def noise(facts: Findings, *, value: float, error: float | None) -> Pair:
    """What is left is no more than noise."""
    z = "" if not error else f", {abs(value) / error:.1f} standard errors (gate {facts.gate:g})"
    text = f"{words.points(facts.metric, value)} are left{z}: within what sampling alone does."
    return text, "More labels: a longer current period."
