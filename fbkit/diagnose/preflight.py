"""The pre-flight checklist: can these logs answer for themselves?"""

from collections.abc import Callable
from datetime import timedelta

import polars as pl

from fbkit.join.joined import Joined
from fbkit.schema.durations import format_duration

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
SCHEMA = {"id": pl.String, "question": pl.String, "status": pl.String, "evidence": pl.String, "fix": pl.String}
_TRACED, _SEED = 10, 20130527

Answer = tuple[str, str, str | None]


def preflight(joined: Joined) -> pl.DataFrame:
    """Ask the nine questions that decide whether a verdict can be trusted.

    Returns
    -------
    One row per question: id, question, status (passed, failed, not applicable), evidence, fix (null
    when there is nothing to mend).
    """
    rows = [(key, question, *answer(joined)) for key, question, answer in _QUESTIONS]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(joined: Joined, *rules: str, table: str | None = None) -> int:
    audit = joined.audit.filter(pl.col("rule").is_in(rules))
    if table is not None:
        audit = audit.filter(pl.col("table") == table)
    return int(audit["rows"].sum())


def _rebuildable(joined: Joined) -> Answer:
    labelled = int(joined.frame["label"].is_not_null().sum())
    orphans = _rows(joined, "orphan", "no_candidate", "ambiguous")
    text = f"{labelled:,} of {joined.frame.height:,} predictions have a label, {orphans:,} outcomes match none"
    total = labelled + orphans
    if labelled == 0:
        return FAILED, text, "no outcome pairs with a prediction: check that both logs carry the same key"
    if orphans > 0.01 * total:
        return (
            FAILED,
            text,
            "find out why these outcomes have no prediction: a reformatted id, or predictions that were not logged",
        )
    return PASSED, text, None


def _final_known(joined: Joined) -> Answer:
    label = joined.contract.label
    mature = int(joined.frame["mature"].sum())
    late = joined.frame["late"].sum()
    text = (
        f"window {label.window_text}, grace {format_duration(label.grace)}: {mature:,} predictions are final, "
        f"{late:,} labels came later than that"
    )
    if mature == 0:
        return FAILED, text, "no prediction is old enough: wait, or look at provisional stages"
    if late > 0.02 * mature:
        return FAILED, text, "more than 2 % of labels come after the window: lengthen label.window or add label.grace"
    return PASSED, text, None


def _unique_ids(joined: Joined) -> Answer:
    clashes = _rows(joined, "conflicting_id", "null_id", "no_key")
    repeats = _rows(joined, "duplicate_row")
    text = f"{clashes:,} rows with a null or clashing id, {repeats:,} identical rows dropped"
    if clashes:
        return FAILED, text, "log one unique prediction_id with every prediction and carry it into the outcome log"
    return PASSED, text, None


def _actions(joined: Joined) -> Answer:
    if joined.contract.actions is None:
        return NOT_APPLICABLE, "the contract names no action log", None
    blocked = joined.frame["blocked"].sum()
    known = joined.frame["propensity"].is_not_null().sum()
    text = f"{blocked:,} rows whose action hides the outcome, {known:,} rows with a propensity"
    if blocked and known == 0:
        return (
            FAILED,
            text,
            "log the probability of the action that was taken, and let a small share of blocked cases through",
        )
    return PASSED, text, None


def _availability_alert(joined: Joined) -> Answer:
    contract = joined.contract
    alerts = [alert.name for alert in contract.alerts if alert.metric in ("availability", "feed_completeness")]
    slo = contract.slo.label_availability or contract.slo.feed_completeness
    if alerts or slo is not None:
        stated = [] if slo is None else [f"objective: at least {slo.minimum:.0%} at {format_duration(slo.at)}"]
        return PASSED, "; ".join([*(f"alert: {name}" for name in alerts), *stated]), None
    return (
        FAILED,
        "neither an alert nor an objective on label availability",
        "add [slo] label_availability, or an alert on availability",
    )


def _utc(joined: Joined) -> Answer:
    contract = joined.contract
    named = {part.timezone for part in (contract.predictions, contract.outcomes) if part.timezone} | (
        {contract.time.timezone} if contract.time.timezone else set()
    )
    bad = _rows(joined, "null_time", "absurd_time", "arrival_before_event")
    stands_in = _rows(joined, "arrival_is_event_time")
    text = f"zones named in the contract: {', '.join(sorted(named)) or 'none needed'}; {bad:,} unusable times"
    if stands_in:
        return (
            FAILED,
            f"{text}; no arrival time is logged",
            "log when each label became known (ts_arrival): without it delay and loss look alike",
        )
    return (FAILED, text, "look at the rejects: unusable times were set aside") if bad else (PASSED, text, None)


def _versioned(joined: Joined) -> Answer:
    versions = joined.frame["model_version"].drop_nulls().n_unique()
    label = joined.contract.label.version
    text = f"{versions} model version(s) in the log, label definition version {label or 'not stated'}"
    if versions == 0:
        return FAILED, text, "log model_version with every prediction"
    if label is None:
        return FAILED, text, "state label.version in the contract and label_version in the outcome log"
    return PASSED, text, None


def _retention(joined: Joined) -> Answer:
    retention = joined.contract.privacy.retention
    window = joined.contract.label.window
    if retention is None or not isinstance(window, timedelta):
        return NOT_APPLICABLE, "the contract states no retention", None
    delay = window + joined.contract.label.grace
    return PASSED, f"retention {format_duration(retention)} covers the label delay {format_duration(delay)}", None


def _traced(joined: Joined) -> Answer:
    labelled = joined.frame.filter(pl.col("label").is_not_null() & pl.col("rule").is_not_null())
    if labelled.is_empty():
        return FAILED, "no labelled prediction to trace", "see the first question"
    sample = labelled.sample(min(_TRACED, labelled.height), seed=_SEED)
    unclear = sample.filter(pl.col("n_rivals") > 0)["prediction_id"].to_list()
    corrected = sample.filter(pl.col("n_outcomes") > 1).height
    text = (
        f"{sample.height} random predictions (seed {_SEED}) traced: {len(unclear)} could be another's outcome, "
        f"{corrected} have several statements"
    )
    if unclear:
        return (
            FAILED,
            f"{text}: {', '.join(unclear[:3])}",
            "look at joined.receipt(id) of these; carry prediction_id into the outcome log",
        )
    return PASSED, text, None


_QUESTIONS: list[tuple[str, str, Callable[[Joined], Answer]]] = [
    ("rebuildable", "Can an evaluation set be rebuilt from the logs alone?", _rebuildable),
    ("final_known", "Is it known when a label is final?", _final_known),
    ("unique_ids", "Is there a unique id on both sides?", _unique_ids),
    ("actions_logged", "Do actions change the outcome, and is that logged with propensities?", _actions),
    ("availability_alert", "Is there an alert or objective on label availability?", _availability_alert),
    ("times_utc", "Are times instants, with the time each label became known?", _utc),
    ("versioned", "Are model and label definition versioned?", _versioned),
    ("retention", "Does retention cover the label delay?", _retention),
    ("traceable", "Do random predictions trace to their outcomes unambiguously?", _traced),
]
