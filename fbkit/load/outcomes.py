"""The outcome log: statements about what happened, each with the time we learned it."""

import polars as pl

from fbkit.load.checks import RULE, account, quarantine, split_duplicates, split_identical
from fbkit.load.columns import Casts, canonical, check_key_type, entity_key, free_name
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.logs import OutcomeLog, SourceFile, audit_frame
from fbkit.schema.rules import NOTES

TABLE = "outcomes"
Notes = list[tuple[str, str, int, str | None]]
RESERVED = ("ts_pred", "statement", "rule", "fate", "n_rivals", "key")


def load_outcomes(frame: pl.DataFrame, *, contract: Contract, sources: tuple[SourceFile, ...]) -> OutcomeLog:
    """Check an outcome log.

    A log without ``ts_arrival`` is taken as known the moment it happened, and the audit says so.
    A regression log may call its label ``value``.

    Raises
    ------
    InputError
        A required column is missing or unusable, or most rows break one rule.
    """
    rows_in = frame.height
    frame, casts, notes = prepare_outcomes(frame, contract=contract)
    used, rejects = quarantine(frame, rules=outcome_rules(contract))
    used, repeated = split_identical(used)
    used, clashing = unique_outcome_id(used)
    refused = [part.select(RULE) for part in (rejects, repeated, clashing)]
    audit = account(table=TABLE, rows_in=rows_in, used=used.height, rejects=refused, casts=casts)
    everything = pl.concat([rejects, repeated, clashing], how="diagonal_relaxed")
    return OutcomeLog(frame=used, rejects=everything, audit=pl.concat([audit, audit_frame(notes)]), sources=sources)


def prepare_outcomes(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, Casts, Notes]:
    """Canonical names and types and the columns that the join relies on, row for row; also casts and notes."""
    part = contract.outcomes
    if "label" not in {*frame.columns, *part.columns} and "value" in {*frame.columns, *part.columns}:
        mapped = {"label": "value"} | {
            "label" if name == "value" else name: item for name, item in part.columns.items()
        }
        part = part.model_copy(update={"columns": mapped})
    frame, casts = canonical(
        frame, source=part, table=TABLE, required=("ts_event", "label"), zone=contract.time.timezone
    )
    frame = frame.rename(
        {name: free_name(name, frame.columns) for name in _reserved(contract) if name in frame.columns}
    )
    frame, notes = _complete(frame, contract=contract)
    return frame, casts, notes


def _reserved(contract: Contract) -> list[str]:
    """Columns that the pairing makes itself; a logged one of that name, such as a copied ts_pred, must not stand in."""
    return [*RESERVED, *({"prediction_id"} - set(contract.join.keys))]


def unique_outcome_id(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the statements whose id stands for several contents; a statement without an id is its own."""
    if "outcome_id" not in frame.columns:
        return frame, frame.clear().with_columns(pl.lit(None, dtype=pl.String).alias(RULE))
    usable = (pl.col("outcome_id").str.strip_chars() != "").fill_null(value=False)
    kept, rejects = split_duplicates(frame.filter(usable), key=["outcome_id"])
    return pl.concat([kept, frame.filter(~usable)]), rejects


def _complete(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, Notes]:
    """Add the optional columns that the join relies on, and the usable-key columns."""
    notes: Notes = []
    optional = {"ts_arrival": frame.schema["ts_event"], "source": pl.String, "label_version": pl.String}
    frame = frame.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in optional.items() if name not in frame.columns
    )
    unknown = frame["ts_arrival"].null_count()
    if unknown:
        notes.append((TABLE, "arrival_is_event_time", unknown, NOTES["arrival_is_event_time"]))
    frame = frame.with_columns(
        pl.coalesce("ts_arrival", "ts_event").alias("ts_arrival"), pl.col("source").fill_null("auto")
    )
    for key in contract.join.keys:
        if key in frame.columns:
            text = pl.col(key).cast(pl.String)
            frame = frame.with_columns(pl.when(text.str.strip_chars() != "").then(text).alias(key))
        else:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(key))
    return frame.with_columns(_fallback_key(frame, contract=contract).alias("__entity")), notes


def _fallback_key(frame: pl.DataFrame, *, contract: Contract) -> pl.Expr:
    fallback = contract.join.fallback
    if fallback is None:
        return pl.lit(None, dtype=pl.String)
    mapped = contract.predictions.columns.get("entity_id")
    listed = [mapped] if isinstance(mapped, str) else list(mapped or [])
    if "entity_id" in frame.columns and (listed == list(fallback.entity) or fallback.entity == ("entity_id",)):
        return pl.col("entity_id")
    if all(column in frame.columns for column in fallback.entity):
        for column in fallback.entity:
            check_key_type(frame, column=column, table=TABLE)
        return entity_key(fallback.entity)
    return pl.lit(None, dtype=pl.String)


def outcome_rules(contract: Contract) -> list[tuple[str, pl.Expr]]:
    """The rules of a prepared outcome log, in order: the first that a row breaks is named."""
    keyed = pl.all_horizontal([pl.col(key).is_not_null() for key in contract.join.keys])
    rules = [
        ("no_key", ~keyed & pl.col("__entity").is_null()),
        ("null_time", pl.col("ts_event").is_null()),
        ("absurd_time", absurd("ts_event") | absurd("ts_arrival")),
        ("arrival_before_event", pl.col("ts_arrival") < pl.col("ts_event")),
        ("null_label", pl.col("label").is_null() | ~pl.col("label").is_finite()),
    ]
    if contract.model.task == "binary" and contract.label.combine not in ("sum", "count"):
        rules.append(("label_not_binary", ~pl.col("label").is_in([0.0, 1.0])))
    return rules
