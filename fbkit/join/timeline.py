"""Which state a prediction was in at which time: the same join, run again at each moment that could change it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import polars as pl

from fbkit.join.world import JoinedRows, SmallWorld
from fbkit.schema.label import LabelWindow
from fbkit.schema.rules import OUTCOME_FATE

SCHEMA: Final = {
    "at": pl.Datetime("us", "UTC"),
    "what": pl.String,
    "state": pl.String,
    "label": pl.Float64,
    "source": pl.String,
    "mature": pl.Boolean,
}
_MOST = 60


def timeline(world: SmallWorld) -> pl.DataFrame:
    """How one prediction's state moved: one row per moment at which it could move, oldest first.

    Returns
    -------
    at (UTC), what (happened), state, label, source, mature. A moment after ``as_of`` has a null state: it is still to
    come. A label that arrived but never counted has its row too, with the reason.

    Notes
    -----
    Every state is the result of joining again, as of that moment, the prediction, its rivals and its statements.
    Whether the outcome feed was complete (``silence = "negative"``) is judged as it is at the table's as-of time.
    Beyond 60 moments the oldest 60 are shown.
    """
    table = world.table
    moments = _moments(world)
    past = sorted(moment for moment in moments if moment <= table.as_of)[:_MOST]
    rows: list[dict[str, Any]] = [{"at": at, "what": "; ".join(moments[at]), **world.state_at(at)} for at in past]
    later = sorted(moment for moment in moments if moment > table.as_of)
    rows += [{"at": at, "what": f"to come: {'; '.join(moments[at])}"} for at in later]
    return pl.DataFrame(rows, schema=SCHEMA)


def _moments(world: SmallWorld) -> dict[datetime, list[str]]:
    row, contract = world.own, world.table.contract
    made = known_since(row)
    moments: dict[datetime, list[str]] = {made: [_scored(row)]}

    def note(at: datetime | None, text: str) -> None:
        if at is not None:
            moments.setdefault(max(at, made), []).append(text)

    if row["action"] is not None:
        done = world.action
        note(
            done.get("ts_action") or made, f"action {row['action']}" + (", hides the outcome" if row["blocked"] else "")
        )
    for statement in world.said.iter_rows(named=True):
        note(statement["ts_arrival"], _heard(statement))
    for statement in world.outcomes.rejects.iter_rows(named=True):
        note(statement["ts_arrival"], f"{_heard(statement)}: its outcome_id stands for different contents")
    grace = contract.label.grace
    for closes in _closings(world, note):
        note(closes, "label window closes" if grace else "label window closes: mature")
        if grace:
            note(closes + grace, "grace ends: mature")
        if contract.label.silence == "negative":
            note(_complete_at(world.table, closes + grace), "outcome feed is complete past the window")
    return moments


def _closings(world: SmallWorld, note: Callable[[datetime, str], None]) -> list[datetime]:
    """When the window closed, or seemed to close: a session that goes on opens it again."""
    window = LabelWindow.of(world.table.contract)
    if not window.session:
        return [world.own["ts_pred"] + window.window]
    mine = (world.own.get("session_id") or "").strip()
    mates = [
        mate for mate in world.predictions.frame.iter_rows(named=True)
        if mine and (mate["session_id"] or "").strip() == mine
    ]  # fmt: skip
    for mate in mates:
        if mate["prediction_id"] != world.own["prediction_id"]:
            note(known_since(mate), "the session goes on")
    ends = {mate["ts_pred"] + window.window for mate in mates} | {world.own["ts_pred"] + window.window}
    return sorted(ends)


def known_since(row: dict[str, Any]) -> datetime:
    """When a prediction was both made and logged."""
    return max(row["ts_pred"], row.get("ts_logged") or row["ts_pred"])


def _scored(row: dict[str, Any]) -> str:
    flagged = {True: ", flagged", False: ", not flagged", None: ""}[row["flagged"]]
    late = known_since(row) > row["ts_pred"]
    return f"scored {row['score']:.6g}{flagged}" + (" (its log row arrived only now)" if late else "")


def _heard(statement: dict[str, Any]) -> str:
    version = f", definition {statement['label_version']}" if statement["label_version"] is not None else ""
    fate = statement.get("fate", "used")
    counted = fate in ("used", "superseded", "duplicate_statement", "contradicts_action")
    why = "" if counted else f": {OUTCOME_FATE.get(fate, fate)}"
    return f"{statement['source']} says {statement['label']:.6g}{version}{why}"


def _complete_at(table: JoinedRows, moment: datetime) -> datetime | None:
    """When silence past ``moment`` could first be believed."""
    stated = table.contract.outcomes.complete_through
    if stated is not None:
        return moment if stated >= moment else None
    past = table.candidates.lazy().filter((pl.col("source") != "backfill") & (pl.col("ts_arrival") >= moment))
    return past.select(pl.col("ts_arrival").min()).collect().item()
