"""Which rows of a log are good, in plain Python, row by row: the rules of the load, written from the conventions."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from fbkit.schema.contract import Contract

Row = dict[str, Any]
Split = tuple[list[Row], Counter[str]]


class RefusedError(Exception):
    """The conventions refuse this input as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Rows that break no rule by themselves, and how many broke which. Clashes are not looked for yet."""

    rows: list[Row]
    bad: Counter[str]


def usable(key: object) -> bool:
    """A key that is null or empty after trimming is none."""
    return key is not None and str(key).strip() != ""


def sound_predictions(rows: Sequence[Row], *, contract: Contract) -> Sound:
    """Rows with an id and a probability; a log without ids is keyed by the join keys written together."""
    bad: Counter[str] = Counter()
    good: list[Row] = []
    for given in rows:
        row: Row = dict(given)
        row.setdefault("prediction_id", _id_of_keys(given, contract=contract))
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
    return Sound(rows=good, bad=bad)


def _id_of_keys(row: Row, *, contract: Contract) -> str | None:
    parts = [row.get(key) for key in contract.join.keys]
    if not all(usable(part) for part in parts):
        return None
    return "|".join(str(part).replace("\\", "\\\\").replace("|", "\\|") for part in parts)


def alone(rows: Sequence[Row], *, name: Callable[[Row], object]) -> Split:
    """Identical rows keep one; the same name with different contents keeps none."""
    named: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        named[name(row)].append(row)
    kept: list[Row] = []
    bad: Counter[str] = Counter()
    for same in named.values():
        if any(row != same[0] for row in same):
            bad["conflicting_id"] += len(same)
        else:
            kept.append(same[0])
            bad["duplicate_row"] += len(same) - 1
    return kept, bad


def single_predictions(rows: Sequence[Row], *, contract: Contract) -> Split:
    """One prediction per id; one per set of join keys, where all of them are there."""
    kept, bad = alone(rows, name=lambda row: row["prediction_id"])
    keys = contract.join.keys
    if keys == ("prediction_id",):
        return kept, bad
    times = Counter(key_of(row, keys) for row in kept)
    single = [row for row in kept if key_of(row, keys) is None or times[key_of(row, keys)] == 1]
    return single, bad + Counter(conflicting_id=len(kept) - len(single))


def single_outcomes(rows: Sequence[Row]) -> Split:
    """Identical statements count once; an id of a statement that stands for several contents, for none."""
    distinct: list[Row] = []
    for row in rows:
        if row not in distinct:
            distinct.append(row)
    named = [row for row in distinct if usable(row.get("outcome_id"))]
    kept, bad = alone(named, name=lambda row: row["outcome_id"])
    bad["duplicate_row"] += len(rows) - len(distinct)
    return [*kept, *(row for row in distinct if not usable(row.get("outcome_id")))], bad


def key_of(row: Row, keys: Sequence[str]) -> tuple[str, ...] | None:
    """The join keys as text, or None if one is missing."""
    parts = [row.get(key) for key in keys]
    return tuple(str(part) for part in parts) if all(part is not None for part in parts) else None


def is_own(row: Row, *, contract: Contract) -> bool:
    """Whether a statement is about the contract's label; one that names none is about the primary."""
    name = row.get("label_name")
    if not usable(name):
        return contract.label.role == "primary"
    return str(name).strip() == contract.label.name


def sound_outcomes(rows: Sequence[Row], *, contract: Contract) -> Sound:
    """Statements about the label, with a key, times in order and a label that can be."""
    bad: Counter[str] = Counter()
    good: list[Row] = []
    for given in rows:
        row = _completed(given, contract=contract)
        rule = _broken(row, contract=contract)
        if rule is None:
            good.append(row)
        else:
            bad[rule] += 1
    return Sound(rows=good, bad=bad)


def _completed(given: Row, *, contract: Contract) -> Row:
    row: Row = given | {"ts_arrival": given["ts_arrival"] or given["ts_event"], "source": given["source"] or "auto"}
    for key in contract.join.keys:
        row[key] = row.get(key) if usable(row.get(key)) else None
    version = given.get("label_version")
    row["label_version"] = str(version).strip() if usable(version) else None
    account = row.get("account")
    row["__entity"] = str(account).strip() if contract.join.fallback is not None and usable(account) else None
    return row


def _broken(row: Row, *, contract: Contract) -> str | None:
    label = row["label"]
    if not is_own(row, contract=contract):
        return "other_label"
    if key_of(row, contract.join.keys) is None and row["__entity"] is None:
        return "no_key"
    if row["ts_event"] is None:
        return "null_time"
    if row["ts_arrival"] < row["ts_event"]:
        return "arrival_before_event"
    if label is None or not isfinite(label):
        return "null_label"
    if contract.label.combine not in ("sum", "count") and label not in (0, 1):
        return "label_not_binary"
    return None


def sound_actions(rows: Sequence[Row]) -> Sound:
    """Actions of a named prediction."""
    bad: Counter[str] = Counter()
    good: list[Row] = []
    for row in rows:
        rule = "null_id" if not usable(row["prediction_id"]) else "null_action" if row["action"] is None else None
        if rule is None:
            good.append(row)
        else:
            bad[rule] += 1
    return Sound(rows=good, bad=bad)


def refuse_mostly_bad(rules: Counter[str], *, total: int) -> None:
    """More than half of the rows break one rule: a wrong column, not bad luck."""
    wanted = total - rules["other_label"]
    if any(2 * rows > wanted for rule, rows in rules.items() if rule not in ("duplicate_row", "other_label")):
        raise RefusedError("most rows break one rule")


def refuse_unnamed(rows: Sequence[Row], *, contract: Contract) -> None:
    """No row is about the label, and some are about labels that nobody named."""
    label = contract.label
    if any(is_own(row, contract=contract) for row in rows):
        return
    names = {str(row.get("label_name")).strip() for row in rows if usable(row.get("label_name"))}
    if label.role == "proxy" or names - set(contract.label_names):
        raise RefusedError("the log is about other labels")


def newest(rows: Sequence[Row], *, contract: Contract, sound: Sequence[Row]) -> datetime | None:
    """The newest arrival in the outcome log, of whatever label."""
    others = [row for row in rows if not is_own(row, contract=contract) and row["ts_event"] is not None]
    moments = [row["ts_arrival"] or row["ts_event"] for row in others]
    in_order = [at for at, row in zip(moments, others, strict=True) if at >= row["ts_event"]]
    return max([row["ts_arrival"] for row in sound] + in_order, default=None)
