"""Hypothesis strategies for small worlds in which everything that goes wrong in real logs goes wrong often."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from fbkit.schema.contract import Contract

Row = dict[str, Any]
START = datetime(2024, 3, 4, tzinfo=UTC)
STEP, TICK = timedelta(minutes=30), timedelta(microseconds=1)
_UTC = pl.Datetime("us", "UTC")
PREDICTIONS = {"prediction_id": pl.String, "ts_pred": _UTC, "score": pl.Float64, "account": pl.String}
OUTCOMES = {
    "prediction_id": pl.String, "account": pl.String, "ts_event": _UTC, "ts_arrival": _UTC, "label": pl.Float64,
    "source": pl.String,
}  # fmt: skip
ACTIONS = {"prediction_id": pl.String, "action": pl.String}


SCHEMAS: Mapping[str, Mapping[str, Any]] = {"predictions": PREDICTIONS, "outcomes": OUTCOMES, "actions": ACTIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Rows of three logs, the contract they are joined by, and the moment one looks (at which label, how strictly)."""

    predictions: tuple[Row, ...]
    outcomes: tuple[Row, ...]
    actions: tuple[Row, ...]
    contract: Contract
    as_of: datetime | None
    label: str | None = None
    label_versions: str = "any"
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: SCHEMAS)

    def frames(self) -> dict[str, pl.DataFrame]:
        """The logs as frames, under the names that ``open_loop`` takes."""
        rows = {"predictions": self.predictions, "outcomes": self.outcomes, "actions": self.actions}
        return {name: pl.DataFrame(list(part), schema=self.schemas[name], orient="row") for name, part in rows.items()}

    def as_known(self) -> "World":
        """The same world as a log that ends at ``as_of``: what came later is not in it."""
        assert self.as_of is not None
        now = self.as_of
        made = tuple(row for row in self.predictions if max(row["ts_pred"], row.get("ts_logged") or now) <= now)
        said = tuple(row for row in self.outcomes if (row["ts_arrival"] or row["ts_event"] or now) <= now)
        done = tuple(row for row in self.actions if (row.get("ts_action") or now) <= now)
        return replace(self, predictions=made, outcomes=said, actions=done)


def _contract(draw: st.DrawFn) -> Contract:
    fallback = draw(st.sampled_from([None, "earliest", "latest", "unique", "all"]))
    label: Row = {
        "window": "2h",
        "grace": draw(st.sampled_from(["0d", "1h"])),
        "silence": draw(st.sampled_from(["missing", "negative"])),
        "corrections": draw(st.sampled_from(["latest", "latest", "keep_first"])),
        "sources": draw(st.sampled_from([["auto", "backfill"], ["manual", "auto"], []])),
    }
    outcomes: Row = {}
    if draw(st.integers(0, 3)) == 0:
        outcomes["complete_through"] = START + draw(st.integers(0, 20)) * STEP
    return Contract.from_dict(
        {
            "model": {"name": "world"},
            "predictions": {"columns": {"entity_id": ["account"]}},
            "outcomes": outcomes,
            "actions": {"blocked": ["block"]},
            "label": label,
            "join": {} if fallback is None else {"fallback": {"entity": ["account"], "rule": fallback}},
            "decision": {"threshold": 0.5},
        }
    )


_ACCOUNTS = st.sampled_from(["a", "a", "b", "b", " a ", None, "", "  "])
_OFFSETS = st.sampled_from([timedelta(0), STEP, 3 * STEP, 4 * STEP, 4 * STEP + TICK, -TICK, -STEP, 6 * STEP])
_DELAYS = st.sampled_from([None, timedelta(0), STEP, STEP, 2 * STEP, 6 * STEP, 6 * STEP + TICK, 12 * STEP, -TICK])
_LABELS = st.sampled_from([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.5, None])
_SOURCES = st.sampled_from(["auto", "auto", "backfill", "audit", "manual", "other", None])
_FAULTS = st.sampled_from(["twin", "conflict", "null", "empty", "nan", "no score", "percent"])


def _prediction(draw: st.DrawFn, number: int) -> Row:
    made = START + draw(st.integers(0, 8)) * STEP
    return {
        "prediction_id": f"00{number}",
        "ts_pred": made,
        "score": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "account": draw(_ACCOUNTS),
    }


def _faulty(draw: st.DrawFn, row: Row) -> Row:
    changes: Row = {
        "twin": {},
        "conflict": {"score": 0.25},
        "null": {"prediction_id": None},
        "empty": {"prediction_id": " "},
        "nan": {"prediction_id": "x", "score": float("nan")},
        "no score": {"prediction_id": "y", "score": None},
        "percent": {"prediction_id": "z", "score": 55.0},
    }[draw(_FAULTS)]
    return row | changes


def _outcome(draw: st.DrawFn, predictions: list[Row]) -> Row:
    about = draw(st.sampled_from(predictions))
    name = about["prediction_id"]
    event = None if draw(st.integers(0, 40)) == 0 else about["ts_pred"] + draw(_OFFSETS)
    delay = draw(_DELAYS)
    return {
        "prediction_id": draw(
            st.sampled_from([name, name, name, name, None, None, None, "", " ", "nobody", name.lstrip("0")])
        ),
        "account": draw(st.one_of(st.just(about["account"]), _ACCOUNTS)),
        "ts_event": event,
        "ts_arrival": None if delay is None or event is None else event + delay,
        "label": draw(_LABELS),
        "source": draw(_SOURCES),
    }


def _echo(draw: st.DrawFn, row: Row) -> Row:
    """Another statement that arrives at the same moment, or the same one again."""
    changes = draw(
        st.sampled_from(
            [{}, {"label": 1.0}, {"label": 0.0}, {"label": 1.0, "source": "manual"}, {"source": "backfill"}]
        )
    )
    return row | changes


@st.composite
def worlds(draw: st.DrawFn, *, always_as_of: bool = False) -> World:
    """Small worlds: ties at both ends of the window, duplicates, bad keys, corrections, conflicts, orphans."""
    sound = [_prediction(draw, number) for number in range(draw(st.integers(1, 7)))]
    faulty = [_faulty(draw, row) for row in draw(st.lists(st.sampled_from(sound), max_size=3))]
    said = [_outcome(draw, sound) for _ in range(draw(st.integers(0, 9)))]
    echoes = [_echo(draw, row) for row in draw(st.lists(st.sampled_from(said), max_size=4))] if said else []
    acted = draw(st.lists(st.sampled_from(sound), max_size=3, unique_by=lambda row: row["prediction_id"]))
    actions = [
        {"prediction_id": row["prediction_id"], "action": draw(st.sampled_from(["block", "allow"]))} for row in acted
    ]
    moment = START + draw(st.integers(0, 26)) * STEP
    return World(
        predictions=tuple(draw(st.permutations(sound + faulty))),
        outcomes=tuple(draw(st.permutations(said + echoes))),
        actions=tuple(actions),
        contract=_contract(draw),
        as_of=moment if always_as_of or draw(st.booleans()) else None,
    )
