"""Runs ``twin.sql``: many small worlds joined by DuckDB at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from fbkit.schema.contract import Contract

SCRIPT = Path(__file__).with_name("twin.sql")
_TIME = pl.Datetime("us", "UTC")
PREDICTIONS = {
    "prediction_id": pl.String, "ts_pred": _TIME, "score": pl.Float64, "account": pl.String,
    "threshold": pl.Float64, "decision": pl.Boolean, "model_version": pl.String, "ts_logged": _TIME,
    "session_id": pl.String, "request_id": pl.String, "item_id": pl.String, "position": pl.String,
}  # fmt: skip
OUTCOMES = {
    "prediction_id": pl.String, "account": pl.String, "ts_event": _TIME, "ts_arrival": _TIME, "label": pl.Float64,
    "source": pl.String, "label_version": pl.String, "label_name": pl.String, "outcome_id": pl.String,
    "request_id": pl.String, "item_id": pl.String, "position": pl.String,
}  # fmt: skip
ACTIONS = {"prediction_id": pl.String, "action": pl.String, "propensity": pl.Float64, "ts_action": _TIME}
CONTRACTS = {
    "world": pl.Int64, "label_asked": pl.String, "is_primary": pl.Boolean, "names_labels": pl.Boolean,
    "logs_ids": pl.Boolean, "several_keys": pl.Boolean, "strict": pl.Boolean, "session": pl.Boolean,
    "window_us": pl.Int64, "grace_us": pl.Int64, "silence": pl.String, "corrections": pl.String, "combine": pl.String,
    "fallback": pl.String, "complete_through": _TIME, "as_of": _TIME, "threshold": pl.Float64, "version": pl.String,
    "sources": pl.Int64,
}  # fmt: skip
TIMES = ("ts_pred", "ts_event", "ts_arrival", "closes")
SPANS = ("lag", "arrival_lag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One world as the twin takes it: frames by log name, contract, the moment one looks."""

    frames: Mapping[str, pl.DataFrame]
    contract: Contract
    as_of: datetime | None
    label_versions: str = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What DuckDB says of all worlds: tables with a ``world`` column, and the worlds refused as a whole."""

    joined: pl.DataFrame
    candidates: pl.DataFrame
    audit: pl.DataFrame
    refused: frozenset[int]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("set threads = 1")
    return connection


@cache
def _statements() -> tuple[str, ...]:
    lines = [line for line in SCRIPT.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("--")]
    return tuple(text for text in "\n".join(lines).split(";") if text.strip())


def join_in_sql(cases: Sequence[Case]) -> Answer:
    """Join every world in one run of the script."""
    connection = _connection()
    for name, frame in _tables(cases):
        connection.register(name, frame.with_columns(pl.col(pl.Datetime).dt.epoch("us")).to_arrow())
    for statement in _statements():
        connection.execute(statement)
    refused = frozenset(row[0] for row in connection.execute("select world from refused").fetchall())

    def table(name: str) -> pl.DataFrame:
        frame = connection.table(name).pl()
        known = [column for column in frame.columns if column in TIMES]
        frame = frame.with_columns(pl.col(known).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
        spans = [column for column in frame.columns if column in SPANS]
        frame = frame.with_columns(pl.col(spans).cast(pl.Duration("us")))
        return frame.filter(~pl.col("world").is_in(list(refused)))

    return Answer(joined=table("joined"), candidates=table("candidates"), audit=table("audit"), refused=refused)


def _tables(cases: Sequence[Case]) -> Iterator[tuple[str, pl.DataFrame]]:
    yield "contracts", pl.DataFrame([_contract(number, case) for number, case in enumerate(cases)], schema=CONTRACTS)
    ranks = [
        (number, source, rank)
        for number, case in enumerate(cases)
        for rank, source in enumerate(case.contract.label.sources)
    ]
    yield "ranks", pl.DataFrame(ranks, schema={"world": pl.Int64, "source": pl.String, "rank": pl.Int64}, orient="row")
    blocking = [
        (number, action)
        for number, case in enumerate(cases)
        for action in (case.contract.actions.blocked if case.contract.actions else ())
    ]
    yield "blocking", pl.DataFrame(blocking, schema={"world": pl.Int64, "action": pl.String}, orient="row")
    names = [(number, name) for number, case in enumerate(cases) for name in case.contract.label_names]
    yield "label_names", pl.DataFrame(names, schema={"world": pl.Int64, "name": pl.String}, orient="row")
    for name, schema in (("predictions", PREDICTIONS), ("outcomes", OUTCOMES), ("actions", ACTIONS)):
        yield name, pl.concat([_numbered(case.frames[name], number, schema) for number, case in enumerate(cases)])


def _numbered(frame: pl.DataFrame, number: int, schema: Mapping[str, Any]) -> pl.DataFrame:
    """A log of one world; a column that it does not have is null."""
    columns = [pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in schema]
    return frame.select(pl.lit(number, dtype=pl.Int64).alias("world"), *columns).cast(dict(schema))  # type: ignore[arg-type]


def _contract(number: int, case: Case) -> dict[str, Any]:
    contract, microsecond = case.contract, timedelta(microseconds=1)
    window = contract.label.window
    return {
        "world": number,
        "label_asked": contract.label.name,
        "is_primary": contract.label.role == "primary",
        "names_labels": "label_name" in case.frames["outcomes"].columns,
        "logs_ids": "prediction_id" in case.frames["predictions"].columns,
        "several_keys": len(contract.join.keys) > 1,
        "strict": case.label_versions == "current",
        "session": window == "session",
        "window_us": (window if isinstance(window, timedelta) else contract.label.session_gap) // microsecond,
        "grace_us": contract.label.grace // microsecond,
        "silence": contract.label.silence,
        "corrections": contract.label.corrections,
        "combine": contract.label.combine,
        "fallback": contract.join.fallback.rule if contract.join.fallback else None,
        "complete_through": contract.outcomes.complete_through,
        "as_of": case.as_of,
        "threshold": contract.decision.threshold,
        "version": contract.label.version,
        "sources": len(contract.label.sources),
    }
