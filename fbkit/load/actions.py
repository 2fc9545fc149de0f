"""The action log (what the product did, with propensities) and the change log."""

import polars as pl

from fbkit.load.checks import account, quarantine, split_duplicates, split_identical
from fbkit.load.columns import canonical
from fbkit.load.looks import hidden_columns
from fbkit.load.times import absurd
from fbkit.schema.contract import Contract
from fbkit.schema.contract_parts import ActionsPart, ChangesPart
from fbkit.schema.logs import ActionLog, ChangeLog, SourceFile


def load_actions(frame: pl.DataFrame, *, contract: Contract, sources: tuple[SourceFile, ...]) -> ActionLog:
    """Check an action log: one action per prediction, propensities in (0, 1]."""
    part = contract.actions or ActionsPart()
    rows_in = frame.height
    hidden, zone = hidden_columns(part, contract.privacy.personal), contract.time.timezone
    required = ("prediction_id", "action")
    frame, casts = canonical(frame, source=part, table="actions", required=required, zone=zone, hidden=hidden)
    if "propensity" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("propensity"))
    share = pl.col("propensity")
    rules = [
        ("null_id", pl.col("prediction_id").is_null() | (pl.col("prediction_id").str.strip_chars() == "")),
        ("null_action", pl.col("action").is_null()),
        ("propensity_out_of_range", share.is_not_null() & ~(share.is_finite() & (share > 0) & (share <= 1))),
        *([("absurd_time", absurd("ts_action"))] if "ts_action" in frame.columns else []),
    ]
    used, rejects = quarantine(frame, rules=rules)
    used, repeated = split_duplicates(used, key=["prediction_id"])
    refused = [rejects, repeated]
    audit = account(table="actions", rows_in=rows_in, used=used.height, rejects=refused, casts=casts, hidden=hidden)
    return ActionLog(
        frame=used.sort("prediction_id"),
        rejects=pl.concat([rejects, repeated], how="diagonal_relaxed"),
        audit=audit,
        sources=sources,
    )


def load_changes(frame: pl.DataFrame, *, contract: Contract, sources: tuple[SourceFile, ...]) -> ChangeLog:
    """Check a change log: ts, kind, what."""
    part = contract.changes or ChangesPart()
    rows_in = frame.height
    hidden, zone = hidden_columns(part, contract.privacy.personal), contract.time.timezone
    required = ("ts", "kind", "what")
    frame, casts = canonical(frame, source=part, table="changes", required=required, zone=zone, hidden=hidden)
    rules = [("null_time", pl.col("ts").is_null()), ("absurd_time", absurd("ts"))]
    used, rejects = quarantine(frame, rules=rules)
    used, repeated = split_identical(used)
    refused = [rejects, repeated]
    audit = account(table="changes", rows_in=rows_in, used=used.height, rejects=refused, casts=casts, hidden=hidden)
    rejected = pl.concat([rejects, repeated], how="diagonal_relaxed")
    return ChangeLog(frame=used.sort("ts", "kind", "what"), rejects=rejected, audit=audit, sources=sources)
