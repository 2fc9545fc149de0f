"""Every key of the contract in words: its meaning, an example, and what a change of it touches.

The template, the page on the contract's keys and the comparison of two contracts read it here, and nowhere else.
``LOG`` stands for each of the logs; ``[]`` for each table of a list, ``*`` for each name of a dictionary.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

LOGS: Final = ("predictions", "outcomes", "actions", "feedback", "changes")

Effect = Literal[
    "words", "rows", "feed", "columns", "scores", "label", "proxy", "stages", "join", "decision", "slices", "masking",
    "features", "definition", "primary", "report", "level", "promise", "rules", "money", "privacy", "time",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: ``text`` in Markdown, ``example`` in TOML, ``effect`` on what was computed before."""

    text: str
    example: str = ""
    effect: Effect = "words"

    @property
    def plain(self) -> str:
        """The meaning without marks."""
        return re.sub(r"`|(?<!/)\*", "", self.text)


def _key(text: str, example: str = "", effect: Effect = "words") -> Key:
    return Key(text=text, example=example, effect=effect)


_MODEL: Final = {
    "format": _key("Version of this file format.", "1"),
    "model.name": _key("How the model is called in every view and document.", '"payment-fraud"'),
    "model.task": _key("`binary`, `regression` or `ranking`.", '"binary"', "label"),
    "model.purpose": _key("One sentence for people.", '"Stop fraudulent card payments before authorisation."'),
    "model.owners": _key(
        "Who is asked, and whose acknowledgement the gate wants; named in the incident document.", '["payments-ml"]'
    ),
    "model.business_metric": _key(
        "What the model is there for, in words.", '"net fraud loss avoided per 1000 payments"'
    ),
    "model.runbook": _key("Where the runbook is; named in the incident document.", '"docs/runbook.md"'),
}
_LOGS: Final = {
    "LOG.path": _key(
        "A file, a pattern or a folder, relative to the contract; by default `LOG/*.parquet`, and `changes.csv`.",
        '"predictions/*.parquet"',
        "rows",
    ),
    "LOG.format": _key(
        "`parquet`, `csv`, `ndjson` or `delta` when the ending does not say it. `iceberg`: *later*.",
        '"parquet"',
        "rows",
    ),
    "LOG.query": _key("A database query instead of a path.", '"select * from predictions"', "rows"),
    "LOG.connection_env": _key(
        "The name of an environment variable that holds the connection; never a credential.", '"FBKIT_DB"', "rows"
    ),
    "LOG.timezone": _key(
        "The zone of timestamps that carry none, as a name such as `America/New_York`.", '"UTC"', "time"
    ),
    "LOG.columns": _key(
        "Canonical name = name in the file. A canonical name that is left out is looked up by itself.", "", "columns"
    ),
    "predictions.where": _key(
        "Column = allowed values; other rows are left out and counted.", '{ environment = ["prod"] }', "rows"
    ),
    "predictions.score_kind": _key(
        "`probability`, `margin` (no calibration, no Brier score), `value` or `rank`.", '"probability"', "scores"
    ),
    "outcomes.complete_through": _key(
        "How far the outcome feed is known to be complete; before the window's end silence is never a negative.",
        '"2026-06-01T00:00:00Z"',
        "feed",
    ),
    "actions.blocked": _key("Actions after which the outcome cannot be observed.", '["block"]', "label"),
}
_LABEL: Final = {
    "label.name": _key("What the label is called.", '"chargeback"', "label"),
    "label.version": _key(
        "Version of its definition; outcomes that carry another one are counted apart.", '"3"', "label"
    ),
    "label.window": _key(
        "How long after the prediction an event still counts. `session`: until `session_gap` after the last "
        "prediction of the same `session_id`.",
        '"90d"',
        "label",
    ),
    "label.session_gap": _key("See `window`.", '"30m"', "label"),
    "label.grace": _key(
        "A prediction is mature when `ts_pred + window + grace` has passed; later arrivals count, and are marked late.",
        '"0d"',
        "stages",
    ),
    "label.combine": _key(
        "`one`: statements about one outcome. `first`, `last`, `any`, `sum`, `max`, `count`: separate events.",
        '"one"',
        "label",
    ),
    "label.corrections": _key("With `one`: the latest statement known counts, or `keep_first`.", '"latest"', "label"),
    "label.stages": _key(
        "Ages at which a provisional look is taken, shorter than the window.", '["30d", "60d"]', "stages"
    ),
    "label.silence": _key(
        "What no event by the window's end means: `missing`, or `negative` where only positives are reported.",
        '"negative"',
        "label",
    ),
    "label.sources": _key(
        "Order of preference among simultaneous statements; `audit` rows never set the label.",
        '["auto", "backfill"]',
        "label",
    ),
    "label.role": _key(
        "`proxy` in a contract that was made for one of the proxies; then rows without `label_name` are another "
        "label's.",
        "",
        "proxy",
    ),
    "label.changes[].version": _key("A definition that came into force,", '"3"'),
    "label.changes[].date": _key("on this day,", '"2026-03-01"'),
    "label.changes[].note": _key("and what changed.", '"Refunds no longer count."'),
    "label.also[]": _key(
        'Proxy labels: the keys of `[label]`, and `role = "proxy"`; their rows carry this name in `label_name`.',
        'name = "dispute_opened"\nrole = "proxy"\nwindow = "30d"',
        "proxy",
    ),
}
_JOIN: Final = {
    "join.keys": _key("The columns by which an outcome names its prediction.", '["prediction_id"]', "join"),
    "join.fallback.entity": _key(
        "Used only for outcomes without a usable key: the entity columns of both logs.", '["account_id"]', "join"
    ),
    "join.fallback.rule": _key(
        "Among predictions of the entity whose window holds the event: `unique` (else ambiguous), `earliest`, `latest` "
        "or `all`.",
        '"earliest"',
        "join",
    ),
    "decision.threshold": _key("Flag if score >= threshold; a logged threshold or decision wins.", "0.30", "decision"),
    "decision.positive": _key(
        "Which values mean flagged when the logged decision is text.", '["block", "review"]', "decision"
    ),
    "slices.columns": _key("Columns to slice by.", '["region", "device", "customer"]', "slices"),
    "slices.critical": _key(
        'Slices that must not fall, for example `{ region = "EU" }`.',
        '[{ region = "EU" }, { customer = "new" }]',
        "rules",
    ),
    "slices.minimum": _key('Thinner slices are shown as "fewer than 20" in documents.', "20", "masking"),
    "features.columns": _key(
        "Features as they were served; replayed and watched for drift.", '["amount", "total_spend_30d"]', "features"
    ),
    "features.definitions.*.version": _key("Version of a feature's definition.", '"2"', "definition"),
    "features.definitions.*.owner": _key("Who owns it.", '"finance-analytics"'),
    "features.definitions.*.definition": _key(
        "What it is, in words.", '"sum of settled payments in the last 30 days, refunds excluded"', "definition"
    ),
    "features.definitions.*.acknowledged_by": _key(
        "Consumers that have accepted this definition; the gate below asks for them.", '["payments-ml"]'
    ),
}
_METRICS: Final = {
    "metrics.primary": _key("The metric that triage asks about by default.", '"recall"', "primary"),
    "metrics.report": _key(
        "What `fbkit metrics` shows by default.",
        '["recall", "precision", "average_precision", "brier", "ece"]',
        "report",
    ),
    "metrics.level": _key("Level of every interval.", "0.95", "level"),
    "slo.label_availability.at": _key("At this age", '"7d"', "promise"),
    "slo.label_availability.minimum": _key(
        'at least this share of predictions has a label. Not together with `silence = "negative"`.', "0.92", "promise"
    ),
    "slo.feed_completeness.at": _key("At this age", '"5d"', "promise"),
    "slo.feed_completeness.minimum": _key(
        "at least this share of the expected positives has arrived.", "0.90", "promise"
    ),
    "slo.latency_ms": _key("Limits for `p50`, `p95`, `p99`. *Later*.", "{ p95 = 120 }", "promise"),
    "slo.cost_per_1000": _key("`maximum`. *Later*.", "{ maximum = 0.40 }", "promise"),
}
_RULES: Final = {
    "alerts[].name": _key("How the alert is called.", '"recall down"', "rules"),
    "alerts[].metric": _key("Metric name.", '"recall"', "rules"),
    "alerts[].condition": _key(
        "`drop`, `rise`, `diverges` (need `by`), `above`, `below` (need `level`).", '"drop"', "rules"
    ),
    "alerts[].by": _key("`10%` is relative, `0.05` absolute.", '"10%"', "rules"),
    "alerts[].level": _key("The limit, for `above` and `below`.", "0.60", "rules"),
    "alerts[].baseline": _key(
        "`median 30d`, `previous 7d` or `reference`, for `drop`, `rise` and `diverges`.", '"median 30d"', "rules"
    ),
    "alerts[].every": _key("How often it is evaluated.", '"1h"', "rules"),
    "alerts[].lasting": _key("How long it must hold: no time, or at least `every`.", '"6h"', "rules"),
    "alerts[].slices": _key("`all`, `critical`, or a list of slices.", '"critical"', "rules"),
    "alerts[].runbook": _key("Where to look first.", '"docs/runbook.md#recall"'),
    "guardrails[].metric": _key("Checked before a version is promoted.", '"precision"', "rules"),
    "guardrails[].max_drop": _key(
        "How much worse it may get: `5%` of the champion's value, or `0.05`.", '"5%"', "rules"
    ),
    "retrain.rules[]": _key(
        "The keys of an alert without its name.",
        'metric = "dsc"\ncondition = "drop"\nby = "10%"\nbaseline = "median 90d"\nlasting = "14d"',
        "rules",
    ),
    "retrain.within": _key("How soon a fired rule must be acted on.", '"7d"', "rules"),
    "retrain.never_more_often_than": _key("The shortest time between two trainings.", '"14d"', "rules"),
}
_MONEY: Final = {
    "costs[].component": _key("A component that costs money. *Later*.", '"embedding retrieval"', "money"),
    "costs[].per_call": _key("Per prediction.", "0.00008", "money"),
    "costs[].per_month": _key("Fixed, spread over the month's predictions.", "1200.0", "money"),
    "budget.added_latency_ms": _key("`p50`, `p95`, `p99`. *Later*.", "{ p95 = 100 }", "promise"),
    "budget.spend_share_of_revenue": _key("At most this share of revenue is spent. *Later*.", "0.02", "promise"),
    "value.true_positive": _key(
        "Worth of a detected positive; the incident's impact is counted with these four.", "120.0", "money"
    ),
    "value.false_positive": _key("Worth of a false alarm, usually negative.", "-8.0", "money"),
    "value.false_negative": _key("Worth of a missed positive, usually negative.", "-120.0", "money"),
    "value.true_negative": _key("Worth of a correct all-clear.", "0.0", "money"),
    "value.currency": _key("For example `USD`.", '"USD"', "money"),
    "time.timezone": _key(
        "Default zone for logs that name none; without any zone naive timestamps are refused.", '"UTC"', "time"
    ),
    "privacy.personal": _key(
        "Columns that never leave the machine in a document; none of them may be a slice.",
        '["account_id"]',
        "privacy",
    ),
    "privacy.retention": _key("How long rows are kept; it must cover `window + grace`.", '"400d"', "privacy"),
    "x": _key("Notes of your own."),
}
KEYS: Final[dict[str, Key]] = {**_MODEL, **_LOGS, **_LABEL, **_JOIN, **_METRICS, **_RULES, **_MONEY}

# The canonical columns of each log, required ones first.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "predictions": {
        "prediction_id": "Required: unique, carried into the outcome log.",
        "ts_pred": "Required: when the prediction was made.",
        "score": "Required: probability, value or ranking score.",
        "entity_id": "Customer, account, device: one column or several.",
        "threshold": "Threshold in force for this row.",
        "decision": "What was decided.",
        "model_version": "Which model answered.",
        "latency_ms": "Whole response time.",
        "latency_feature_ms": "Of which: fetching features,",
        "latency_inference_ms": "running the model,",
        "latency_post_ms": "and what follows it.",
        "cost": "What this call cost.",
        "request_id": "Ranking: the request,",
        "item_id": "the item,",
        "position": "and where it was shown.",
        "session_id": 'Needed for window = "session".',
        "ts_logged": "When the row was logged; until then it is not known.",
        "environment": "Filter it with where.",
        "status": "ok, timeout, fallback or error.",
        "region": "A slice of nearly every loop.",
        "feature_view": "Which features were read,",
        "feature_hash": "their values,",
        "schema_hash": "and their schema, as fingerprints.",
        "prompt_id": "Generated answers: the prompt,",
        "prompt_version": "its version,",
        "response_id": "and the answer.",
    },
    "outcomes": {
        "prediction_id": "Required: the key, unless the join has other keys or a fallback.",
        "ts_event": "Required: when it happened.",
        "label": "Required: 1 or 0, or the value.",
        "entity_id": "For the fallback by entity.",
        "ts_arrival": "When the label became known; without it ts_event stands in.",
        "outcome_id": "Unique, if there is one.",
        "label_version": "Definition by which this row was labelled.",
        "label_name": "Which label this is, when there are several.",
        "source": "auto, backfill, audit, ...",
        "audit_prob": "Probability with which an audit drew this row.",
        "amount": "What was at stake.",
        "request_id": "Ranking: the request,",
        "item_id": "the item,",
        "position": "and where it was shown.",
    },
    "actions": {
        "prediction_id": "Required: which prediction was acted on.",
        "action": "Required: what was done.",
        "propensity": "Probability of the action that was taken.",
        "policy_id": "Which policy chose it.",
        "ts_action": "When.",
        "explored": "Whether it was chosen at random.",
    },
    "feedback": {
        "ts_feedback": "Required: when.",
        "prediction_id": "Which prediction it reacts to; else the join keys,",
        "response_id": "or which response.",
        "rating": "A number (a thumb is 1 or 0),",
        "comment": "or words: one of both is required. Personal in every contract.",
        "rater": "Who. Personal too.",
    },
    "changes": {
        "ts": "Required: when.",
        "kind": "Required: deploy, feature, label, product or incident.",
        "what": "Required: one line.",
        "owner": "Who.",
        "ref": "Where to read more.",
    },
}
