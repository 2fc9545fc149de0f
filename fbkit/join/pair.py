"""Pair statements with predictions: by key, else by entity and window; every statement keeps its fate."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from fbkit.errors import InputError
from fbkit.join.window import window_pairs
from fbkit.load.columns import entity_key
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES, LabelWindow

BY_ID, BY_FALLBACK = "by_id", "by_fallback"
MADE = "__made"
"""Number of a prediction: what rows are matched and grouped by, because numbers are quicker than ids."""


def number_statements(outcomes: pl.DataFrame, *, keys: Sequence[str]) -> pl.DataFrame:
    """Number the statements by content, whatever the order of rows and columns: keyed ones first, then by event."""
    unkeyed = pl.any_horizontal(pl.col(keys).is_null())
    rest = sorted(name for name, dtype in outcomes.schema.items() if not dtype.is_nested())
    # Where few events share their instant, the other columns, text most of them, need not be compared for all.
    timed = outcomes.sort(unkeyed, "ts_event", nulls_last=True)
    start = timed.select(
        (unkeyed.ne_missing(unkeyed.shift(1))) | pl.col("ts_event").ne_missing(pl.col("ts_event").shift(1))
    )
    first = start.to_series()
    tied = ~(first & first.shift(-1, fill_value=True))
    if tied.any():
        rows = timed.with_row_index("__at").filter(tied).sort(unkeyed, "ts_event", *rest, nulls_last=True)["__at"]
        places = pl.int_range(timed.height, dtype=pl.UInt32, eager=True).scatter(tied.arg_true(), rows)
        timed = timed.select(pl.all().gather(places))
    return timed.with_row_index("statement")


def pair(predictions: pl.DataFrame, outcomes: pl.DataFrame, *, contract: Contract, as_of: datetime) -> pl.DataFrame:
    """All pairings of numbered statements with predictions (with ``__closes``, ``__made``), and lone statements.

    Columns: statement, ``__made`` (the prediction's number), prediction_id (both null for those that pair with none),
    ts_pred, rule, n_rivals, fate (null where the statement may count), and the statement's own columns. Rivals beyond
    what is listed are counted in ``n_rivals`` only: see :func:`fbkit.join.window.window_pairs`.
    """
    keys = list(contract.join.keys)
    keyed = pl.all_horizontal([pl.col(key).is_not_null() for key in keys])
    by_id = _by_key(predictions, outcomes.filter(keyed), keys=keys)
    by_fallback = _by_window(predictions, outcomes.filter(~keyed), contract=contract)
    pairs = pl.concat([by_id, by_fallback], how="diagonal_relaxed")
    # What had not arrived tells nothing yet, not even that it is an orphan.
    unknown = pl.when(pl.col("ts_arrival") > pl.lit(as_of)).then(pl.lit("not_yet_arrived"))
    return pairs.with_columns(pl.coalesce(unknown, "fate", fate()).alias("fate")).drop(CLOSES)


def _by_key(predictions: pl.DataFrame, outcomes: pl.DataFrame, *, keys: list[str]) -> pl.DataFrame:
    known = predictions.select(*dict.fromkeys(["prediction_id", MADE, "ts_pred", CLOSES, *keys]))
    statements = outcomes.rename({key: f"__key_{key}" for key in keys})
    known = known.with_columns([pl.col(key).cast(pl.String).alias(f"__key_{key}") for key in keys])
    named = [f"__key_{key}" for key in keys]
    known = known.select("prediction_id", MADE, "ts_pred", CLOSES, *named, pl.lit(BY_ID).alias("rule"))
    joined = statements.join(known, on=named, how="left")
    orphan = pl.when(pl.col("rule").is_null()).then(pl.lit("orphan"))
    # What the statement called its key stays visible, so that a reformatted id can be recognised later.
    key_text = pl.concat_str(named, separator="|").alias("key")
    return joined.with_columns(orphan.alias("fate"), pl.lit(0, dtype=pl.UInt32).alias("n_rivals"), key_text).drop(named)


def _by_window(predictions: pl.DataFrame, outcomes: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    fallback = contract.join.fallback
    outcomes = outcomes.drop(contract.join.keys)
    if fallback is None or outcomes.is_empty():
        return outcomes.clear().with_columns(
            pl.lit(None, dtype=pl.String).alias("prediction_id"), pl.lit(None, dtype=pl.String).alias("fate")
        )
    entity = entity_of(predictions, contract=contract).alias("__entity")
    label = LabelWindow.of(contract)
    pairs = window_pairs(
        predictions.select("prediction_id", MADE, "ts_pred", CLOSES, entity),
        outcomes,
        rule=fallback.rule,
        width=None if label.session else label.window,
    )
    paired = pl.when(pl.col("fate").is_null() | (pl.col("fate") != "no_candidate")).then(pl.lit(BY_FALLBACK))
    return pairs.with_columns(paired.alias("rule"))


def entity_of(predictions: pl.DataFrame, *, contract: Contract) -> pl.Expr:
    """The entity key of predictions for the fallback."""
    fallback = contract.join.fallback
    entity = list(fallback.entity) if fallback else []
    mapped = contract.predictions.columns.get("entity_id")
    listed = [mapped] if isinstance(mapped, str) else list(mapped or [])
    if "entity_id" in predictions.columns and entity in (listed, ["entity_id"]):
        return pl.col("entity_id")
    missing = [column for column in entity if column not in predictions.columns]
    if missing:
        raise InputError(
            "the fallback names an entity column that the prediction log does not have",
            got=", ".join(missing),
            allowed=", ".join(predictions.columns),
            next_step="mend [join.fallback] entity in the contract",
        )
    return entity_key(entity)


def fate() -> pl.Expr:
    """Why a pairing cannot count, by its times and source; null where it may."""
    return (
        pl.when(pl.col("ts_event") < pl.col("ts_pred"))
        .then(pl.lit("before_prediction"))
        .when(pl.col("ts_event") > pl.col(CLOSES))
        .then(pl.lit("after_window"))
        .when(pl.col("source") == "audit")
        .then(pl.lit("audit_row"))
    )
