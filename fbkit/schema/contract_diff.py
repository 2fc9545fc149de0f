"""What changed between two contracts, in words, and what it makes invalid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from fbkit.schema.contract import Contract
from fbkit.schema.contract_template import word_path
from fbkit.schema.contract_words import KEYS, LOGS

# Metrics that count who was flagged: a test holds this list against the measures themselves.
FLAGGED: Final = (
    "recall", "precision", "specificity", "accuracy", "f1", "flag_rate", "false_positive_rate", "npv",
    "balanced_accuracy", "mcc", "f0_5", "f2",
)  # fmt: skip
EFFECTS: Final = {
    "words": "nothing; no number depends on it",
    "rows": "every number and the joined table: other rows are read",
    "feed": "which silent predictions count as negative, and with them every metric; nothing if silence means missing",
    "columns": "every number that reads this column, and the joined table",
    "scores": "Brier score, log loss and calibration, and every threshold that was set on the old scores",
    "label": "every metric, label availability and lag, and the joined table: old and new labels do not mean the same",
    "proxy": "the numbers of this proxy label; those of the primary label stay",
    "stages": "provisional figures, and which predictions count as mature",
    "join": "the joined table and every number made from it",
    "decision": "rates of decisions (recall, precision, flag rate, ...) and money: not comparable across the change",
    "slices": "nothing that was computed; figures by the new columns begin now, those by old ones are not continued",
    "masking": "documents that were written earlier: they mask by the old minimum",
    "features": "replay and drift of the features that came or went; the others stay",
    "definition": "drift baselines of this feature; models that learned the old meaning are out of calibration",
    "primary": "nothing that was computed; earlier diagnoses asked about the old metric",
    "report": "nothing; other metrics are shown",
    "level": "every interval; the values stay",
    "promise": "nothing that was computed; earlier breaches were judged by the old limit",
    "rules": "nothing that was computed; earlier alerts and decisions were judged by the old rule",
    "money": "figures in money: value, impact and cost",
    "privacy": "documents that were written earlier: they follow the old rule",
    "time": "every time without a zone in the log, and with it every number",
}
# Lists of tables: the key that says which is which.
_NAMED: Final = {
    "alerts": "name",
    "guardrails": "metric",
    "costs": "component",
    "label.also": "name",
    "label.changes": "version",
}
_ORDERED: Final = ("label.sources", "label.stages")
_NOUNS: Final = {
    "label.window": "the label window",
    "label.version": "the label's version",
    "label.silence": "what silence means",
    "label.sources": "the preference among label sources",
    "decision.threshold": "the threshold",
    "slices.columns": "the slices",
    "slices.critical": "the critical slices",
    "features.columns": "the features",
    "metrics.primary": "the primary metric",
    "model.owners": "the owners",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    ``before`` and ``after`` are plain values (None: not there), ``words`` says the change in a sentence, and
    ``invalidates`` what must not be compared or reused any more.
    """

    path: str
    before: Any
    after: Any
    words: str
    invalidates: str


def diff(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every difference between two contracts, in the order of the file; empty when they mean the same.

    Examples
    --------
    >>> tables = {"model": {"name": "m"}, "predictions": {}, "outcomes": {}}
    >>> old, new = (Contract.from_dict({**tables, "label": {"window": window}}) for window in ("90d", "60d"))
    >>> change, = diff(old, new)
    >>> print(change.words)
    the label window changed from 90d to 60d
    """
    before, after = (contract.model_dump(mode="json") for contract in (old, new))
    return tuple(_compare((), before, after))


def _compare(path: tuple[str, ...], before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    dotted = ".".join(path)
    if isinstance(before, dict) and isinstance(after, dict) and dotted != "x" and not _is_leaf(path):
        for key in dict.fromkeys([*before, *after]):
            yield from _compare((*path, key), before.get(key), after.get(key))
    elif dotted in _NAMED:
        name = _NAMED[dotted]
        left, right = ({str(row[name]): row for row in rows} for rows in (before, after))
        for key in dict.fromkeys([*left, *right]):
            yield from _compare((*path, key), left.get(key), right.get(key))
    else:
        yield Change(
            path=dotted,
            before=before,
            after=after,
            words=_words(dotted, before, after),
            invalidates=_effect(path, before, after),
        )


def _is_leaf(path: tuple[str, ...]) -> bool:
    """Dictionaries that are one value to a reader: a filter, a set of limits."""
    return path[-1:] in (("where",), ("latency_ms",), ("cost_per_1000",), ("added_latency_ms",))


def _effect(path: tuple[str, ...], before: Any, after: Any) -> str:
    table, *rest = path
    if table == "label" and rest[:1] == ["also"]:
        return EFFECTS["proxy"]
    if table in LOGS and rest[:1] == ["columns"]:
        # A canonical name that is left out is looked up by itself: to name it is no change.
        if {str(before), str(after)} == {"None", rest[-1]}:
            return EFFECTS["words"]
        return EFFECTS[_column_effect(table, rest[-1])]
    if table == "features" and before is None and len(rest) > 1:
        return EFFECTS["words"]
    key = KEYS.get(_explained(path))
    return EFFECTS[key.effect if key is not None else _TABLES.get(table, "words")]


# What a whole table that came or went touches.
_TABLES: Final = {
    "actions": "label",
    "feedback": "rows",
    "changes": "rows",
    "join": "join",
    "features": "definition",
    "slo": "promise",
    "alerts": "rules",
    "guardrails": "rules",
    "retrain": "rules",
    "costs": "money",
    "value": "money",
    "budget": "promise",
}


def _explained(path: tuple[str, ...]) -> str:
    """Where the words of a changed key stand; the name of an alert or feature in the path is none of them."""
    named = next((table for table in _NAMED if path[: table.count(".") + 1] == tuple(table.split("."))), None)
    if named is None:
        return word_path(path)
    depth = named.count(".") + 1
    return f"{named}[].{path[-1]}" if len(path) > depth + 1 else named


def _column_effect(log: str, column: str) -> Literal["label", "scores", "columns"]:
    if log == "outcomes" and column in ("label", "value", "ts_event", "label_version", "label_name"):
        return "label"
    return "scores" if (log, column) == ("predictions", "score") else "columns"


def _words(path: str, before: Any, after: Any) -> str:
    subject = _NOUNS.get(path, path)
    if isinstance(before, list) and isinstance(after, list):
        return _list_words(path, subject, before, after)
    if before in (None, {}):
        return f"{subject} is new: {_text(after)}"
    if after in (None, {}):
        return f"{subject} was taken away; it was {_text(before)}"
    return f"{subject} changed from {_text(before)} to {_text(after)}"


def _list_words(path: str, subject: str, before: Sequence[Any], after: Sequence[Any]) -> str:
    came = [_text(item) for item in after if item not in before]
    went = [_text(item) for item in before if item not in after]
    if path in _ORDERED or not (came or went):
        return f"{subject} changed from {_text(list(before))} to {_text(list(after))}"
    parts = ([f"added {', '.join(came)}"] if came else []) + ([f"removed {', '.join(went)}"] if went else [])
    return f"{subject}: {'; '.join(parts)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_text(item)}" for key, item in value.items() if item not in (None, [], {}))
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    if value is None:
        return "nothing"
    return f'"{value}"' if " " in str(value) else str(value)
