"""The join once more, in plain Python, row by row: slow, short, and written from the conventions, not from the code."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fbkit.schema.contract import Contract
from fbkit.testing.reference_load import (
    RefusedError,
    Row,
    alone,
    key_of,
    newest,
    refuse_mostly_bad,
    refuse_unnamed,
    single_outcomes,
    single_predictions,
    sound_actions,
    sound_outcomes,
    sound_predictions,
    usable,
)

__all__ = ["Reference", "RefusedError", "check_logs", "reference_join"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the join must say: one dictionary per prediction, and how often each rule or fate was met.

    ``met`` counts situations that a test wants to have seen: events on both ends of a window, arrivals at the as-of
    time, ties, rows that stood alone only then.
    """

    rows: dict[str, Row]
    load: dict[str, Counter[str]]
    fates: Counter[str]
    met: Counter[str]

    def everything(self) -> Counter[str]:
        """Rules, fates, states and situations together."""
        total = self.met + self.fates
        for refused in self.load.values():
            total += refused
        total.update(row["state"] for row in self.rows.values())
        total.update("late" for row in self.rows.values() if row["late"])
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    contract: Contract
    now: datetime
    strict: bool
    fates: Counter[str] = field(default_factory=Counter[str])
    met: Counter[str] = field(default_factory=Counter[str])


def reference_join(
    *,
    predictions: Sequence[Row],
    outcomes: Sequence[Row],
    actions: Sequence[Row],
    contract: Contract,
    as_of: datetime | None,
    label_versions: str = "any",
) -> Reference:
    """Join dictionaries of canonical columns (entity in ``account``).

    A contract for a proxy label (:meth:`Contract.for_label`) joins that label's statements.

    Raises
    ------
    RefusedError
        A rule refuses more than half of a log, or no prediction exists at the as-of time.
    """
    logs = check_logs(predictions=predictions, outcomes=outcomes, actions=actions, contract=contract)
    now = as_of or newest(outcomes, contract=contract, sound=logs.said) or max(map(_made, logs.usual), default=None)
    if now is None:
        raise RefusedError("nothing is left")
    view = _View(contract=contract, now=now, strict=label_versions == "current")
    # What was known then is told apart first; only then are rows held against each other.
    known, _ = single_predictions([row for row in logs.made if _logged(row) <= now], contract=contract)
    if not known:
        raise RefusedError("no prediction yet")
    statements, _ = single_outcomes([row for row in logs.said if row["ts_arrival"] <= now])
    view.met["restored"] += len([row for row in known if row not in logs.usual])
    view.met["restored"] += len([row for row in statements if row not in logs.lasting])
    taken, _ = alone([row for row in logs.acted if (row.get("ts_action") or now) <= now], name=_id)
    to_come = [row for row in logs.lasting if row["ts_arrival"] > now]
    blocked = {row["prediction_id"] for row in taken if row["action"] in _blocking(contract)}
    windows = _with_closes(known, view=view)
    competing = _pair(windows, _ordered([*statements, *to_come], contract=contract), view=view)
    watermark = _watermark(logs.said, view=view)
    rows: dict[str, Row] = {}
    for row in windows:
        name = row["prediction_id"]
        label = _settle(competing[name], view=view, blocked=name in blocked)
        rows[name] = _state(row, label, view=view, watermark=watermark, blocked=name in blocked)
        rows[name]["n_outcomes"] = len(competing[name])
    view.met["several keys"] += len(contract.join.keys) > 1 and bool(view.fates["used"])
    return Reference(rows=rows, load={table: +bad for table, bad in logs.bad.items()}, fates=+view.fates, met=+view.met)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Rows that break no rule by themselves, those of them that no other row contradicts, and the account."""

    made: list[Row]
    said: list[Row]
    acted: list[Row]
    usual: list[Row]
    lasting: list[Row]
    bad: dict[str, Counter[str]]


def check_logs(
    *, predictions: Sequence[Row], outcomes: Sequence[Row], actions: Sequence[Row], contract: Contract
) -> Checked:
    """Apply the rules of the load.

    Raises
    ------
    RefusedError
        A rule refuses more than half of a log, or the log is about other labels only.
    """
    refuse_unnamed(outcomes, contract=contract)
    made = sound_predictions(predictions, contract=contract)
    said = sound_outcomes(outcomes, contract=contract)
    acted = sound_actions(actions)
    usual, twice = single_predictions(made.rows, contract=contract)
    lasting, again = single_outcomes(said.rows)
    bad = {
        "predictions": made.bad + twice,
        "outcomes": said.bad + again,
        "actions": acted.bad + alone(acted.rows, name=_id)[1],
    }
    for table, given in (("predictions", predictions), ("outcomes", outcomes), ("actions", actions)):
        refuse_mostly_bad(bad[table], total=len(given))
    return Checked(made=made.rows, said=said.rows, acted=acted.rows, usual=usual, lasting=lasting, bad=bad)


def _id(row: Row) -> Any:
    return row["prediction_id"]


def _made(row: Row) -> datetime:
    return row["ts_pred"]


def _logged(row: Row) -> datetime:
    return max(row["ts_pred"], row.get("ts_logged") or row["ts_pred"])


def _blocking(contract: Contract) -> set[str]:
    return set(contract.actions.blocked) if contract.actions else set()


def _with_closes(known: list[Row], *, view: _View) -> list[Row]:
    """Predictions in order, each with the end of its window: fixed, or by the last prediction of its session."""
    label = view.contract.label
    closed: list[Row] = []
    for row in sorted(known, key=lambda row: (row["ts_pred"], row["prediction_id"])):
        if isinstance(label.window, timedelta):
            closed.append(row | {"closes": row["ts_pred"] + label.window})
            continue
        session = str(row["session_id"]).strip() if usable(row["session_id"]) else None
        last = row["ts_pred"]
        for other in known:
            if session is not None and str(other["session_id"] or "").strip() == session:
                last = max(last, other["ts_pred"])
        view.met["session"] += session is not None
        view.met["longer session"] += last > row["ts_pred"]
        closed.append(row | {"closes": last + label.session_gap})
    return closed


def _ordered(statements: list[Row], *, contract: Contract) -> list[Row]:
    """Statements in the order of their contents: keyed ones first, then by event, then column by column."""

    def content(row: Row) -> tuple[Any, ...]:
        rest = [(row[name] is None, 0 if row[name] is None else row[name]) for name in sorted(row)]
        return (key_of(row, contract.join.keys) is None, row["ts_event"], *rest)

    ordered = sorted(statements, key=content)
    return [row | {"number": number} for number, row in enumerate(ordered)]


def _pair(known: list[Row], said: list[Row], *, view: _View) -> dict[str, list[Row]]:
    """Statements that compete for each prediction; what does not compete is counted by its fate."""
    keys, competing = view.contract.join.keys, defaultdict[str, list[Row]](list)
    by_key = {key_of(row, keys): row for row in known}
    for statement in said:
        rivals, rule, key = 0, "by_id", key_of(statement, keys)
        if key is not None:
            target = by_key.get(key)
            claims: list[tuple[Row, str | None]] = [(target, None)] if target else []
            nobody = "orphan"
        else:
            holding = _holding(known, statement)
            rivals, rule, nobody = len(holding) - 1, "by_fallback", "no_candidate"
            claims = _claims(holding, view=view)
        if statement["ts_arrival"] > view.now:
            view.fates["not_yet_arrived"] += max(len(claims), 1)
            continue
        view.met["arrival at as-of"] += statement["ts_arrival"] == view.now
        view.fates[nobody] += not claims
        for row, lost in claims:
            fate = lost or _timely(statement, row, view=view)
            if fate:
                view.fates[fate] += 1
            else:
                competing[row["prediction_id"]].append(statement | {"rule": rule, "n_rivals": rivals})
    return competing


def _holding(known: list[Row], statement: Row) -> list[Row]:
    """The predictions of a statement's entity whose window holds its event, in order."""
    mine = [row for row in known if usable(row["account"]) and row["account"].strip() == statement["__entity"]]
    return [row for row in mine if row["ts_pred"] <= statement["ts_event"] <= row["closes"]]


def _claims(holding: list[Row], *, view: _View) -> list[tuple[Row, str | None]]:
    fallback = view.contract.join.fallback
    rule = fallback.rule if fallback else "all"
    view.met["tie"] += len({row["ts_pred"] for row in holding}) < len(holding)
    if rule == "unique" and len(holding) > 1:
        return [(row, "ambiguous") for row in holding]
    if rule in ("earliest", "latest") and holding:
        winner = holding[0 if rule == "earliest" else -1]
        return [(row, None if row is winner else "not_chosen") for row in holding]
    return [(row, None) for row in holding]


def _timely(statement: Row, row: Row, *, view: _View) -> str | None:
    event = statement["ts_event"]
    view.met["event at prediction"] += event == row["ts_pred"]
    view.met["event at window end"] += event == row["closes"]
    if event < row["ts_pred"]:
        return "before_prediction"
    if event > row["closes"]:
        return "after_window"
    return "audit_row" if statement["source"] == "audit" else None


def _settle(statements: list[Row], *, view: _View, blocked: bool) -> Row | str | None:
    """What counts, "conflict", or None."""
    rows = _of_one_definition(statements, view=view)
    if not rows:
        return None
    if view.contract.label.combine != "one":
        view.fates["contradicts_action" if blocked else "used"] += len(rows)
        return _combined(rows, combine=view.contract.label.combine)
    return _one(rows, view=view, blocked=blocked)


def _of_one_definition(statements: list[Row], *, view: _View) -> list[Row]:
    """Beside statements of the contract's version those of others do not count; in a strict view they never do."""
    version = view.contract.label.version
    if version is None:
        return statements
    fitting = [row for row in statements if row["label_version"] in ((version,) if view.strict else (version, None))]
    kept = fitting if fitting or view.strict else statements
    view.fates["other_definition"] += len(statements) - len(kept)
    return kept


def _combined(rows: list[Row], *, combine: str) -> Row:
    """Separate events, in order of event, arrival and content."""
    ordered = sorted(rows, key=lambda row: (row["ts_event"], row["ts_arrival"], row["number"]))
    values = [row["label"] for row in ordered]
    label = {
        "first": values[0],
        "last": values[-1],
        "any": max(values),
        "max": max(values),
        "sum": sum(values),
        "count": float(len(values)),
    }[combine]
    return ordered[0 if combine == "first" else -1] | {"label": label}


def _one(statements: list[Row], *, view: _View, blocked: bool) -> Row | str:
    """Statements about one outcome: the newest (or first) arrival, the best source, and no contradiction."""
    fates = view.fates
    pick = min if view.contract.label.corrections == "keep_first" else max
    moment = pick(row["ts_arrival"] for row in statements)
    order = list(view.contract.label.sources)
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
    return min(finalists, key=lambda row: row["number"])


def _watermark(said: list[Row], *, view: _View) -> datetime | None:
    """Up to when the feed is complete: a statement that clashes with another has arrived all the same."""
    stated = view.contract.outcomes.complete_through
    if stated is not None:
        return min(view.now, stated)
    arrived = [row["ts_arrival"] for row in said if row["source"] != "backfill"]
    return max((at for at in arrived if at <= view.now), default=None)


def _state(row: Row, label: Row | str | None, *, view: _View, watermark: datetime | None, blocked: bool) -> Row:
    contract = view.contract
    final = row["closes"] + contract.label.grace
    facts: Row = {"ts_pred": row["ts_pred"], "closes": row["closes"], "mature": final <= view.now, "late": False}
    facts |= dict.fromkeys(("label", "ts_event", "ts_arrival", "rule", "source", "label_version"))
    facts |= {"n_rivals": 0, "blocked": blocked}
    if blocked:
        return facts | {"state": "censored"}
    view.met["logged late"] += _logged(row) > row["ts_pred"]
    if isinstance(label, dict):
        version = contract.label.version
        view.met["combined"] += contract.label.combine != "one"
        view.met["unknown definition"] += version is not None and label["label_version"] is None
        view.met["older definition"] += version is not None and label["label_version"] not in (None, version)
        said = ("label", "ts_event", "ts_arrival", "rule", "source", "label_version", "n_rivals")
        facts |= {name: label[name] for name in said}
        facts["late"] = label["ts_arrival"] > final
        if contract.label.combine in ("sum", "count"):
            return facts | {"state": "labelled"}
        return facts | {"state": "positive" if label["label"] == 1 else "negative"}
    if contract.label.silence == "missing":
        return facts | {"state": "missing" if final <= view.now else "pending"}
    if watermark is None or final > watermark:
        return facts | {"state": "pending"}
    if label == "conflict":
        return facts | {"state": "missing"}
    state = "labelled" if contract.label.combine in ("sum", "count") else "negative"
    return facts | {"state": state, "label": 0.0, "ts_arrival": final}
