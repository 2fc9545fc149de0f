"""The join once more, in plain Python, row by row: slow, short, and written from the conventions, not from the code."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

from fbkit.schema.contract import Contract

Row = dict[str, Any]


class RefusedError(Exception):
    """The conventions refuse this input as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the join must say: one dictionary per prediction, and how often each rule or fate was met."""

    rows: dict[str, Row]
    load: dict[str, Counter[str]]
    fates: Counter[str]


def usable(key: str | None) -> bool:
    """A key that is null or empty after trimming is none."""
    return key is not None and key.strip() != ""


def reference_join(
    *,
    predictions: Sequence[Row],
    outcomes: Sequence[Row],
    actions: Sequence[Row],
    contract: Contract,
    as_of: datetime | None,
) -> Reference:
    """Join dictionaries of canonical columns (entity in ``account``).

    Raises
    ------
    RefusedError
        A rule refuses more than half of a log, or no prediction exists at the as-of time.
    """
    made, bad_predictions = _load_predictions(predictions)
    said, bad_outcomes = _load_outcomes(outcomes, fallback=contract.join.fallback is not None)
    acted, bad_actions = _split_ids([row for row in actions if usable(row["prediction_id"])])
    bad_actions["null_id"] = len(actions) - len([row for row in actions if usable(row["prediction_id"])])
    _refuse_mostly_bad(bad_predictions, total=len(predictions))
    _refuse_mostly_bad(bad_outcomes, total=len(outcomes))
    _refuse_mostly_bad(bad_actions, total=len(actions))
    moments = [row["ts_arrival"] for row in said] or [row["ts_pred"] for row in made]
    if not moments:
        raise RefusedError("nothing is left")
    now = as_of or max(moments)
    known = sorted(
        (row for row in made if row["ts_pred"] <= now), key=lambda row: (row["ts_pred"], row["prediction_id"])
    )
    if not known:
        raise RefusedError("no prediction yet")
    blocking = set(contract.actions.blocked) if contract.actions else set()
    blocked = {row["prediction_id"] for row in acted if row["action"] in blocking}
    fates: Counter[str] = Counter()
    competing = _pair(known, said, contract=contract, now=now, fates=fates)
    watermark = _watermark(said, contract=contract, now=now)
    rows: dict[str, Row] = {}
    for row in known:
        name = row["prediction_id"]
        label = _settle(competing[name], contract=contract, fates=fates, blocked=name in blocked)
        rows[name] = _state(row, label, contract=contract, now=now, watermark=watermark, blocked=name in blocked)
        rows[name]["n_outcomes"] = len(competing[name])
    load = {"predictions": bad_predictions, "outcomes": bad_outcomes, "actions": bad_actions}
    return Reference(rows=rows, load={table: +rules for table, rules in load.items()}, fates=+fates)


def _load_predictions(rows: Sequence[Row]) -> tuple[list[Row], Counter[str]]:
    bad: Counter[str] = Counter()
    good: list[Row] = []
    for row in rows:
        score = row["score"]
        if not usable(row["prediction_id"]):
            bad["null_id"] += 1
        elif score is None:
            bad["null_score"] += 1
        elif not isfinite(score):
            bad["score_not_finite"] += 1
        elif not 0 <= score <= 1:
            bad["score_out_of_range"] += 1
        else:
            good.append(row)
    kept, repeated = _split_ids(good)
    return kept, bad + repeated


def _split_ids(rows: Sequence[Row]) -> tuple[list[Row], Counter[str]]:
    """Identical rows keep one; the same id with different contents keeps none."""
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_id[row["prediction_id"]].append(row)
    kept: list[Row] = []
    bad: Counter[str] = Counter()
    for same in by_id.values():
        if any(row != same[0] for row in same):
            bad["conflicting_id"] += len(same)
        else:
            kept.append(same[0])
            bad["duplicate_row"] += len(same) - 1
    return kept, bad


def _load_outcomes(rows: Sequence[Row], *, fallback: bool) -> tuple[list[Row], Counter[str]]:
    bad: Counter[str] = Counter()
    good: list[Row] = []
    for given in rows:
        row: Row = given | {"ts_arrival": given["ts_arrival"] or given["ts_event"], "source": given["source"] or "auto"}
        row["prediction_id"] = row["prediction_id"] if usable(row["prediction_id"]) else None
        keyed = row["prediction_id"] is not None
        if not keyed and not (fallback and usable(row["account"])):
            bad["no_key"] += 1
        elif row["ts_event"] is None:
            bad["null_time"] += 1
        elif row["ts_arrival"] < row["ts_event"]:
            bad["arrival_before_event"] += 1
        elif row["label"] is None or not isfinite(row["label"]):
            bad["null_label"] += 1
        elif row["label"] not in (0, 1):
            bad["label_not_binary"] += 1
        elif row in good:
            bad["duplicate_row"] += 1
        else:
            good.append(row)
    return good, bad


def _refuse_mostly_bad(rules: Counter[str], *, total: int) -> None:
    if any(2 * rows > total for rule, rows in rules.items() if rule != "duplicate_row"):
        raise RefusedError("most rows break one rule")


def _pair(
    known: list[Row], said: list[Row], *, contract: Contract, now: datetime, fates: Counter[str]
) -> dict[str, list[Row]]:
    """Statements that compete for each prediction; what does not compete is counted by its fate."""
    window = contract.label.window
    assert isinstance(window, timedelta)
    by_id = {row["prediction_id"]: row for row in known}
    competing: dict[str, list[Row]] = defaultdict(list)
    for statement in said:
        event, rivals, rule = statement["ts_event"], 0, "by_id"
        if statement["prediction_id"] is not None:
            target = by_id.get(statement["prediction_id"])
            claims = [(target, None)] if target else []
            nobody = "orphan"
        else:
            holding = [
                row
                for row in known
                if usable(row["account"]) and row["account"].strip() == statement["account"].strip()
            ]
            holding = [row for row in holding if row["ts_pred"] <= event <= row["ts_pred"] + window]
            rivals, rule, nobody = len(holding) - 1, "by_fallback", "no_candidate"
            claims = _claims(holding, rule=contract.join.fallback.rule if contract.join.fallback else "all")
        if statement["ts_arrival"] > now:
            fates["not_yet_arrived"] += max(len(claims), 1)
            continue
        fates[nobody] += not claims
        for row, lost in claims:
            fate = (
                lost
                or _timely(event, row["ts_pred"], window)
                or ("audit_row" if statement["source"] == "audit" else None)
            )
            if fate:
                fates[fate] += 1
            else:
                competing[row["prediction_id"]].append(statement | {"rule": rule, "n_rivals": rivals})
    return competing


def _claims(holding: list[Row], *, rule: str) -> list[tuple[Row, str | None]]:
    if rule == "unique" and len(holding) > 1:
        return [(row, "ambiguous") for row in holding]
    if rule in ("earliest", "latest") and holding:
        winner = holding[0 if rule == "earliest" else -1]
        return [(row, None if row is winner else "not_chosen") for row in holding]
    return [(row, None) for row in holding]


def _timely(event: datetime, made: datetime, window: timedelta) -> str | None:
    if event < made:
        return "before_prediction"
    return "after_window" if event > made + window else None


def _settle(statements: list[Row], *, contract: Contract, fates: Counter[str], blocked: bool) -> Row | str | None:
    """The statement that counts, "conflict", or None."""
    if not statements:
        return None
    pick = min if contract.label.corrections == "keep_first" else max
    moment = pick(row["ts_arrival"] for row in statements)
    order = list(contract.label.sources)
    rank = {id(row): order.index(row["source"]) if row["source"] in order else len(order) for row in statements}
    simultaneous = [row for row in statements if row["ts_arrival"] == moment]
    best = min(rank[id(row)] for row in simultaneous)
    finalists = [row for row in simultaneous if rank[id(row)] == best]
    labels = {row["label"] for row in finalists}
    fates["superseded"] += len(statements) - len(simultaneous)
    outranked = [row for row in simultaneous if rank[id(row)] != best]
    agreeing = len([row for row in outranked if labels == {row["label"]}])
    fates["superseded"] += len(outranked) - agreeing
    fates["duplicate_statement"] += agreeing
    if len(labels) > 1:
        fates["conflicting_label"] += len(finalists)
        return "conflict"
    fates["duplicate_statement"] += len(finalists) - 1
    fates["contradicts_action" if blocked else "used"] += 1
    return min(finalists, key=lambda row: (row["rule"] != "by_id", row["ts_event"]))


def _watermark(said: list[Row], *, contract: Contract, now: datetime) -> datetime | None:
    if contract.outcomes.complete_through is not None:
        return min(now, contract.outcomes.complete_through)
    return max(
        (row["ts_arrival"] for row in said if row["ts_arrival"] <= now and row["source"] != "backfill"), default=None
    )


def _state(
    row: Row, label: Row | str | None, *, contract: Contract, now: datetime, watermark: datetime | None, blocked: bool
) -> Row:
    assert isinstance(contract.label.window, timedelta)
    closes = row["ts_pred"] + contract.label.window + contract.label.grace
    facts: Row = {"ts_pred": row["ts_pred"], "mature": closes <= now, "late": False, "label": None, "ts_event": None}
    facts |= {"ts_arrival": None, "rule": None, "n_rivals": 0, "blocked": blocked}
    if blocked:
        return facts | {"state": "censored"}
    if isinstance(label, dict):
        facts |= {name: label[name] for name in ("label", "ts_event", "ts_arrival", "rule", "n_rivals")}
        facts["late"] = label["ts_arrival"] > closes
        return facts | {"state": "positive" if label["label"] == 1 else "negative"}
    if contract.label.silence == "missing":
        return facts | {"state": "missing" if closes <= now else "pending"}
    if watermark is None or closes > watermark:
        return facts | {"state": "pending"}
    if label == "conflict":
        return facts | {"state": "missing"}
    return facts | {"state": "negative", "label": 0.0, "ts_arrival": closes}
