"""The pre-flight checklist: can these logs answer for themselves?"""

from collections.abc import Callable

import polars as pl

from fbkit.diagnose.feed import QUESTION, feed_complete
from fbkit.diagnose.trace import SEED, trace
from fbkit.join.joined import Joined
from fbkit.schema.durations import format_duration
from fbkit.schema.label import longest_delay

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
SCHEMA = {"id": pl.String, "question": pl.String, "status": pl.String, "evidence": pl.String, "fix": pl.String}
# Fewer cases say nothing; below half the label share of the others, something keeps flagged cases from being seen.
_ENOUGH, _RARE = 20, 0.5

Answer = tuple[str, str, str | None]


def preflight(joined: Joined) -> pl.DataFrame:
    """Ask the ten questions that decide whether a verdict can be trusted; one more where silence means negative.

    Returns
    -------
    One row per question: id, question, status (passed, failed, not applicable), evidence, fix (null
    when there is nothing to mend).
    """
    rows = [(key, question, *answer(joined)) for key, question, answer in _QUESTIONS]
    if joined.contract.label.silence == "negative":
        passed, evidence, fix = feed_complete(joined)
        rows.append(("feed_complete", QUESTION, PASSED if passed else FAILED, evidence, fix))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _rows(joined: Joined, *rules: str, table: str | None = None) -> int:
    audit = joined.audit.filter(pl.col("rule").is_in(rules))
    if table is not None:
        audit = audit.filter(pl.col("table") == table)
    return int(audit["rows"].sum())


def _sum(joined: Joined, counted: pl.Expr) -> int:
    return int(joined.rows.lazy().select(counted.sum()).collect().item() or 0)


def _rebuildable(joined: Joined) -> Answer:
    labelled = _sum(joined, pl.col("label").is_not_null())
    orphans = _rows(joined, "orphan", "no_candidate", "ambiguous")
    text = f"{labelled:,} of {joined.rows.height:,} predictions have a label, {orphans:,} outcomes match none"
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
    mature, late = _sum(joined, pl.col("mature")), _sum(joined, pl.col("late"))
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


def _actions_change(joined: Joined) -> Answer:
    if joined.contract.actions is None:
        return _without_action_log(joined)
    n = joined.rows.height
    blocked = _sum(joined, pl.col("blocked"))
    contradicting = _rows(joined, "contradicts_action")
    named = ", ".join(joined.contract.actions.blocked) or "none"
    text = f"actions that hide the outcome: {named}; they hid it for {blocked:,} of {n:,} predictions"
    if blocked >= _ENOUGH and contradicting > 0.01 * blocked:
        return (
            FAILED,
            f"{text}, yet {contradicting:,} outcomes of such predictions were seen",
            "correct actions.blocked in the contract, or find out where these outcomes come from",
        )
    return PASSED, text, None


def _without_action_log(joined: Joined) -> Answer:
    """Nobody logs actions; then labels that are rare among flagged cases are what a hidden action would look like."""
    mature = joined.rows.lazy().filter("mature", pl.col("flagged").is_not_null()).group_by("flagged")
    counts = mature.agg(pl.len(), pl.col("label").is_not_null().mean().alias("share")).collect()
    share = {row["flagged"]: row["share"] for row in counts.iter_rows(named=True) if row["len"] >= _ENOUGH}
    if len(share) < 2:
        return NOT_APPLICABLE, "the contract names no action log", None
    text = f"no action log; labels known for {share[True]:.0%} of flagged and {share[False]:.0%} of other cases"
    if share[True] < _RARE * share[False]:
        fix = "log what was done with each case and name under actions.blocked what hides its outcome"
        return FAILED, f"{text}: as if an action hid the outcomes of flagged cases", fix
    return NOT_APPLICABLE, text, None


def _actions(joined: Joined) -> Answer:
    if joined.contract.actions is None:
        return NOT_APPLICABLE, "the contract names no action log", None
    blocked, acted = _sum(joined, pl.col("blocked")), _sum(joined, pl.col("action").is_not_null())
    known = _sum(joined, pl.col("propensity").is_not_null())
    text = f"{acted:,} rows with an action, {known:,} of them with a propensity, {blocked:,} with a hidden outcome"
    if blocked and known < acted:
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
    versions = joined.rows.lazy().select(pl.col("model_version").drop_nulls().n_unique()).collect().item()
    label, features = joined.contract.label.version, joined.contract.features
    columns = joined.rows.lazy().collect_schema().names()
    hashes = [name for name in ("schema_hash", "feature_view", "feature_hash") if name in columns]
    unversioned = [name for name in features.columns if name not in features.definitions]
    schema = ", ".join(hashes) or (
        "no schema_hash or feature_view"
        if unversioned or not features.columns
        else "features by version in the contract"
    )
    text = f"{versions} model version(s) in the log, label definition version {label or 'not stated'}; {schema}"
    if versions == 0:
        return FAILED, text, "log model_version with every prediction"
    older, unknown = _rows(joined, "older_definition"), _rows(joined, "unknown_definition")
    if older or unknown:
        text = f"{text}; {older:,} labels of another definition, {unknown:,} of an unknown one"
    if older:
        fix = f'relabel them by definition {label}, or restrict to it: loop.join(label_versions="current")'
        return FAILED, text, fix
    if label is None:
        return FAILED, text, "state label.version in the contract and label_version in the outcome log"
    if unversioned and not hashes:
        return (
            FAILED,
            f"{text}: what {', '.join(unversioned[:3])} meant at the time cannot be told",
            "log schema_hash or feature_view with every prediction, or state [features.definitions] with versions",
        )
    return PASSED, text, None


def _retention(joined: Joined) -> Answer:
    retention = joined.contract.privacy.retention
    if retention is None:
        return NOT_APPLICABLE, "the contract states no retention", None
    delay = longest_delay(joined)
    if retention < delay:
        text = f"retention {format_duration(retention)} ends before the longest session is final ({delay})"
        return FAILED, text, "keep the logs longer, or end sessions earlier"
    return PASSED, f"retention {format_duration(retention)} covers the label delay {format_duration(delay)}", None


def _traced(joined: Joined) -> Answer:
    rows = trace(joined)
    if rows.is_empty():
        return FAILED, "no labelled prediction to trace", "see the first question"
    unclear = rows.filter(~pl.col("clear"))["prediction_id"].to_list()
    corrected = rows.filter(pl.col("n_outcomes") > 1).height
    text = (
        f"{rows.height} random predictions (seed {SEED}, loop.trace() shows them) traced: {len(unclear)} could be "
        f"another's outcome, {corrected} have several statements"
    )
    if unclear:
        named = "" if "prediction_id" in joined.contract.privacy.personal else f": {', '.join(unclear[:3])}"
        return (
            FAILED,
            f"{text}{named}",
            "look at joined.receipt(id) of these; carry prediction_id into the outcome log",
        )
    return PASSED, text, None


_QUESTIONS: list[tuple[str, str, Callable[[Joined], Answer]]] = [
    ("rebuildable", "Can an evaluation set be rebuilt from the logs alone?", _rebuildable),
    ("final_known", "Is it known when a label is final?", _final_known),
    ("unique_ids", "Is there a unique id on both sides?", _unique_ids),
    ("actions_change", "Do actions change which outcomes are seen, and is that known?", _actions_change),
    ("actions_logged", "Are actions logged with their propensities?", _actions),
    ("availability_alert", "Is there an alert or objective on label availability?", _availability_alert),
    ("times_utc", "Are times instants, with the time each label became known?", _utc),
    ("versioned", "Are schemas, model and label definition versioned?", _versioned),
    ("retention", "Does retention cover the label delay?", _retention),
    ("traceable", "Do random predictions trace to their outcomes unambiguously?", _traced),
]
