"""Small worlds with everything a log may carry: sessions, several labels and versions, several keys, late log rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import polars as pl
from hypothesis import strategies as st

from fbkit.schema.contract import Contract
from fbkit.testing.worlds import ACTIONS, OUTCOMES, PREDICTIONS, START, STEP, TICK, Row, World

_UTC = pl.Datetime("us", "UTC")
_KEYS = ("request_id", "item_id", "position")
_NO_DELAY = timedelta(0)
_ACCOUNTS = ("a", "a", "a", "a", "a", "b", "b", " a ", None, " ")
_OFFSETS = (_NO_DELAY, STEP, 2 * STEP, 2 * STEP + TICK, 3 * STEP, 4 * STEP, 4 * STEP + TICK, -TICK, 6 * STEP)
_DELAYS = (None, _NO_DELAY, _NO_DELAY, STEP, STEP, 2 * STEP, 4 * STEP, 6 * STEP, 6 * STEP + TICK, 12 * STEP)
_NAMES = ("sale", "sale", " sale ", None, "", "click", "click", "click", "visit")
_VERSIONS = ("2", "2", "2", " 2 ", "1", "1", "3", None, " ")
_FAULTS: tuple[Row, ...] = (
    {},
    {"score": 0.25},
    {"score": 0.25, "ts_pred": START + 9 * STEP},
    {"account": "c", "ts_pred": START + 12 * STEP},
    {},
    {"prediction_id": None, "request_id": None},
    {"prediction_id": " ", "request_id": " "},
    {"prediction_id": "x", "score": float("nan")},
    {"prediction_id": "y", "score": None},
    {"prediction_id": "z", "score": 55.0},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Has:
    """What this world's logs carry."""

    sessions: bool
    names: bool
    versions: bool
    statement_ids: bool
    late_rows: bool
    keys: bool
    own_ids: bool
    combine: str
    fallback: str | None


def _has(draw: Random) -> _Has:
    def third() -> bool:
        return draw.randrange(3) == 0

    combine = draw.choice(["first", "last", "any", "sum", "max", "count"]) if draw.randrange(4) == 0 else "one"
    return _Has(
        sessions=third(),
        names=third(),
        versions=third(),
        statement_ids=third(),
        late_rows=third(),
        keys=draw.randrange(4) == 0,
        own_ids=draw.randrange(2) == 0,
        combine=combine,
        fallback=draw.choice([None, "earliest", "earliest", "latest", "latest", "unique", "unique", "all"]),
    )


def _contract(draw: Random, has: _Has) -> Contract:
    label: Row = {
        "name": "sale",
        "window": "session" if has.sessions else "2h",
        "session_gap": "1h",
        "grace": draw.choice(["0d", "0d", "1h"]),
        "silence": draw.choice(["missing", "negative"]),
        "combine": has.combine,
        "corrections": draw.choice(["latest", "latest", "keep_first"]),
        "sources": draw.choice([["auto", "backfill"], ["manual", "auto"], []]),
        "also": [{"name": "click", "window": "1h", "combine": draw.choice(["one", "any"])}],
    }
    if has.versions:
        label["version"] = "2"
        label["also"][0]["version"] = "2"
    outcomes: Row = {}
    if draw.randrange(5) == 0:
        outcomes["complete_through"] = START + draw.randrange(20) * STEP
    join: Row = {} if has.fallback is None else {"fallback": {"entity": ["account"], "rule": has.fallback}}
    if has.keys:
        join["keys"] = list(_KEYS)
    return Contract.from_dict(
        {
            "model": {"name": "world"},
            "predictions": {"columns": {"entity_id": ["account"]}},
            "outcomes": outcomes,
            "actions": {"blocked": ["block"]},
            "label": label,
            "join": join,
            "decision": {"threshold": 0.5},
        }
    )


def _prediction(draw: Random, has: _Has, number: int) -> Row:
    made = START + draw.choice([0, 1, 2, 2, 3, 3, 4, 5, 6, 8]) * STEP
    row: Row = {"ts_pred": made, "score": draw.choice([0.0, 0.5, 1.0]), "account": draw.choice(_ACCOUNTS)}
    if not has.keys or has.own_ids:
        row["prediction_id"] = f"00{number}"
    if has.sessions:
        row["session_id"] = draw.choice(["s", "s", "s", "t", " s ", " ", None])
    if has.late_rows:
        row["ts_logged"] = draw.choice([None, made, made + STEP, made + 6 * STEP, made - STEP])
    if has.keys:
        request, item = draw.choice([("r", f"i{number}"), ("a|b", f"i{number}"), ("a", f"b|i{number}")])
        row |= {"request_id": request, "item_id": item, "position": draw.choice([1, 1, 2])}
    return row


def _fault(draw: Random, has: _Has, row: Row, others: list[Row]) -> Row:
    """A row that breaks a rule, repeats another, or clashes with one, sometimes only later."""
    if has.keys and has.own_ids and draw.randrange(3) == 0:
        other = draw.choice(others)
        return row | {"prediction_id": "k", "ts_pred": row["ts_pred"] + 4 * STEP} | {key: other[key] for key in _KEYS}
    changes = draw.choice(_FAULTS)
    return row | {name: value for name, value in changes.items() if name in row}


def _closing(about: Row, predictions: list[Row], has: _Has) -> timedelta:
    """From a prediction to the end of its window."""
    if not has.sessions:
        return 4 * STEP
    session = about["session_id"]
    made = [
        row["ts_pred"]
        for row in predictions
        if session and row["session_id"] and row["session_id"].strip() == session.strip()
    ]
    return max([about["ts_pred"], *(made if session and session.strip() else [])]) - about["ts_pred"] + 2 * STEP


def _outcome(draw: Random, has: _Has, predictions: list[Row], number: int) -> Row:
    about = draw.choice(predictions)
    end = _closing(about, predictions, has)
    event: datetime | None = about["ts_pred"] + draw.choice([*_OFFSETS, end, end, end + TICK])
    event = None if draw.randrange(40) == 0 else event
    delay = -TICK if draw.randrange(40) == 0 else draw.choice(_DELAYS)
    row: Row = {
        "account": draw.choice([about["account"], about["account"], *_ACCOUNTS]),
        "ts_event": event,
        "ts_arrival": None if delay is None or event is None else event + delay,
        "label": draw.choice([0.5, 2.0, None, None]) if draw.randrange(14) == 0 else draw.choice([0.0, 1.0]),
        "source": draw.choice(["auto", "auto", "auto", "backfill", "audit", "manual", "other", None]),
        "label_version": draw.choice(_VERSIONS) if has.versions else None,
    }
    if has.names:
        row["label_name"] = draw.choice(_NAMES)
    if has.statement_ids:
        row["outcome_id"] = draw.choice([f"o{number}", f"o{number}", f"o{number}", " ", None])
    return row | _key(draw, has, about)


def _key(draw: Random, has: _Has, about: Row) -> Row:
    """How an outcome names its prediction: rightly, not at all, or wrongly."""
    # Without a fallback an outcome without a key is refused, and too many of them refuse the log.
    how = draw.randrange(16 if has.fallback is None else 8)
    if has.keys:
        key: Row = {name: str(about[name]) for name in _KEYS}
        wrong: list[Row] = [{"position": None}, {"item_id": " "}, {"position": "01"}, {"request_id": "nobody"}]
        return key if how >= 4 else key | wrong[how]
    name = about["prediction_id"]
    return {"prediction_id": name if how >= 5 else [None, None, " ", "nobody", name.lstrip("0")][how]}


def _echo(draw: Random, has: _Has, row: Row, number: int) -> Row:
    """Another statement: the same again, at the same moment, or a correction that comes later."""
    later = None if row["ts_arrival"] is None else row["ts_arrival"] + draw.choice([STEP, 4 * STEP])
    changes: list[Row] = [
        {},
        {"label": 1.0},
        {"label": 0.0},
        {"label": 1.0, "source": "manual"},
        {"source": "backfill"},
        {"label": 1.0, "ts_arrival": later},
        {"label": 0.0, "ts_arrival": later},
        {"label": 0.0, "ts_arrival": later, "label_version": "1"},
    ]
    renamed = {"outcome_id": f"e{number}"} if has.statement_ids and draw.randrange(3) else {}
    return row | draw.choice(changes) | renamed


def _actions(draw: Random, predictions: list[Row]) -> list[Row]:
    acted = [row["prediction_id"] for row in predictions if "prediction_id" in row and draw.randrange(3) == 0]
    rows: list[Row] = []
    for name in acted:
        at = draw.choice([None, START + draw.randrange(12) * STEP])
        rows.append({"prediction_id": name, "action": draw.choice(["block", "allow", "allow"]), "ts_action": at})
        if draw.randrange(8) == 0 and len(acted) > 1:
            rows.append(
                rows[-1] | draw.choice([{}, {"action": "review", "ts_action": START + draw.randrange(20) * STEP}])
            )
    if rows and draw.randrange(8) == 0:
        rows.append(rows[0] | draw.choice([{"prediction_id": " "}, {"action": None}]))
    return rows


def _schemas(has: _Has) -> dict[str, dict[str, Any]]:
    made, said = dict[str, Any](PREDICTIONS), dict[str, Any](OUTCOMES) | {"label_version": pl.String}
    made |= ({"session_id": pl.String} if has.sessions else {}) | ({"ts_logged": _UTC} if has.late_rows else {})
    said |= ({"label_name": pl.String} if has.names else {}) | ({"outcome_id": pl.String} if has.statement_ids else {})
    if has.keys:
        text = dict.fromkeys(_KEYS, pl.String)
        made |= text | {"position": pl.Int64}
        said = {name: dtype for name, dtype in said.items() if name != "prediction_id"} | text
        if not has.own_ids:
            del made["prediction_id"]
    return {"predictions": made, "outcomes": said, "actions": dict(ACTIONS) | {"ts_action": _UTC}}


def make_world(draw: Random, *, always_as_of: bool = False) -> World:
    """One world from a source of random numbers."""
    has = _has(draw)
    sound = [_prediction(draw, has, number) for number in range(draw.randrange(3, 8))]
    faulty = [_fault(draw, has, draw.choice(sound), sound) for _ in range(draw.choice([0, 0, 1, 1, 2]))]
    said = [_outcome(draw, has, sound, number) for number in range(draw.randrange(2, 11))]
    said += [_echo(draw, has, draw.choice(said), number) for number in range(draw.randrange(5))]
    actions = _actions(draw, sound)
    moments = [row["ts_arrival"] for row in said if row["ts_arrival"] is not None]
    moments += [START + draw.randrange(2, 26) * STEP, START + draw.randrange(8, 20) * STEP]
    predictions = sound + faulty
    draw.shuffle(predictions)
    draw.shuffle(said)
    return World(
        predictions=tuple(predictions),
        outcomes=tuple(said),
        actions=tuple(actions),
        contract=_contract(draw, has),
        as_of=draw.choice(moments) if always_as_of or draw.randrange(3) else None,
        label="click" if has.names and draw.randrange(2) else None,
        label_versions="current" if has.versions and draw.randrange(4) == 0 else "any",
        schemas=_schemas(has),
    )


@st.composite
def rich_worlds(draw: st.DrawFn, *, always_as_of: bool = False) -> World:
    """Worlds of :func:`make_world`, which Hypothesis can shrink."""
    return make_world(draw(st.randoms(use_true_random=False)), always_as_of=always_as_of)
