"""The fixed names of every rule by which a row is refused, set aside or merely noted.

``audit`` frames have the columns table, rule, rows. Rules in ``REFUSED`` remove the row from the
analysis and keep it in ``rejects``; the others only count what happened to rows that stay.
"""

from typing import Final

REFUSED: Final[dict[str, str]] = {
    "null_id": "the id is null or empty after trimming",
    "duplicate_row": "an identical row was already kept",
    "conflicting_id": "the same id with different content; none of them is used",
    "null_score": "the score is null",
    "score_not_finite": "the score is NaN or infinite",
    "score_out_of_range": "a probability outside 0..1",
    "null_time": "the time is null",
    "absurd_time": "the time is outside the years 1990 to 2099",
    "null_label": "the label is null or not finite",
    "label_not_binary": "a binary label that is neither 0 nor 1",
    "no_key": "the outcome carries no usable id and no fallback key",
    "arrival_before_event": "the label arrived before the event happened",
    "propensity_out_of_range": "a propensity outside (0, 1]",
    "other_environment": "another environment than the contract asks for",
    "other_label": "a statement about another label than the one that is asked for",
    "null_action": "the action is null",
    "no_target": "the feedback names no prediction, request or response",
    "rating_not_finite": "the rating is NaN or infinite",
    "empty_feedback": "neither a rating nor a comment",
}

PAIRED: Final[dict[str, str]] = {
    "by_id": "paired by the join keys",
    "by_fallback": "paired by entity and window because the outcome carries no id",
}

OUTCOME_FATE: Final[dict[str, str]] = {
    "used": "the label that counts for its prediction",
    "superseded": "replaced by a later statement, or by one of a preferred source at the same time",
    "duplicate_statement": "another statement that arrived at the same time and agrees",
    "conflicting_label": "simultaneous statements that disagree; none is used",
    "before_prediction": "the event happened before the prediction (leakage); never a label",
    "after_window": "the event happened after the label window; never a label",
    "not_yet_arrived": "unknown at the as-of time",
    "orphan": "the key matches no prediction",
    "no_candidate": "fallback: no prediction of the entity has a window that holds the event",
    "ambiguous": "fallback with rule unique: several predictions could claim the event",
    "not_chosen": "fallback: another prediction of the entity claims the event",
    "audit_row": "an audit statement; never sets the base label",
    "other_definition": "a statement of another definition version, beside one of the contract's or in a strict view",
    "contradicts_action": "an outcome of a row whose action hides the outcome",
}

FEEDBACK_FATE: Final[dict[str, str]] = {
    "linked": "the feedback reacts to a known prediction or response",
    "orphan": "the feedback's key matches no known prediction",
    "before_prediction": "the feedback was given before what it claims to react to",
    "not_yet_given": "the feedback was given after the as-of time",
}

NOTES: Final[dict[str, str]] = {
    "late": "the label arrived after window plus grace",
    "decision_disagrees": "the logged decision differs from score >= threshold",
    "after_as_of": "predictions made after the as-of time are left out",
    "older_definition": "a label of another definition version than the contract's",
    "unknown_definition": "a label that does not say by which definition version it was made",
    "arrival_is_event_time": "no arrival time is logged; the event time stands in",
    "cast": "a column was cast at load",
    "unreadable": "values that are no numbers; they count as missing",
    "unreadable_part": "files that could not be read and were left out on request; their period is incomplete",
    "latency_mismatch": "the parts of the latency do not add up to its total",
    "mature": "the label window is closed at the as-of time",
    "feed_incomplete": "the window is closed but stays pending: the outcome feed is not complete past its end",
    "clash_still_unknown": "rows set aside today for an id that, at the as-of time, no other row had yet",
    "clash_then": "rows used today whose join keys another row had at the as-of time",
}

_LOST: Final = (
    "conflicting_label", "before_prediction", "after_window", "orphan", "no_candidate", "ambiguous",
    "contradicts_action",
)  # fmt: skip
SET_ASIDE: Final[dict[str, str]] = REFUSED | {rule: OUTCOME_FATE[rule] for rule in _LOST}
"""Rules under which a row of a log is read and does not count, with why."""
