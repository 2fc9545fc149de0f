"""The state of every prediction's label at one time: positive, negative, labelled, pending, missing, censored."""

from datetime import datetime

import polars as pl

from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES, LabelWindow
from fbkit.schema.results import CENSORED, LABEL_STATES, LABELLED, MISSING, NEGATIVE, PENDING, POSITIVE

STATE = pl.Enum(LABEL_STATES)
CONFLICTED = "__conflicted"
_COMPLETE = "__complete"


def feed_watermark(outcomes: pl.DataFrame, *, contract: Contract, as_of: datetime) -> datetime | None:
    """Up to when the outcome feed is complete: the contract's word, else the newest arrival that is no backfill."""
    stated = contract.outcomes.complete_through
    if stated is not None:
        return min(as_of, stated)
    arrived = outcomes.filter((pl.col("ts_arrival") <= pl.lit(as_of)) & (pl.col("source") != "backfill"))[
        "ts_arrival"
    ].max()
    return None if arrived is None else min(as_of, arrived)  # type: ignore[type-var]  # polars types max() as any literal


def assign_states(
    frame: pl.DataFrame, *, contract: Contract, as_of: datetime, watermark: datetime | pl.Expr | None
) -> pl.DataFrame:
    """Add mature, late, lag, arrival_lag and state; the states partition the rows.

    Silence is ``missing`` when the window closes, or, with ``silence = "negative"``, a negative once the
    window is closed and the feed is complete past that moment (then its arrival is that moment). ``watermark`` is
    up to when it is complete, of all rows or row by row (:func:`fbkit.join.watermark.row_watermark`).
    """
    window = LabelWindow.of(contract)
    closes = pl.col(CLOSES) + window.grace
    mature = closes <= pl.lit(as_of)
    # With silence = negative a closed window says nothing before the feed is complete past it.
    complete = (
        mature if window.silence == "missing" else pl.lit(value=False) if watermark is None else closes <= watermark
    )
    frame = frame.with_columns(mature.alias("mature"), complete.alias(_COMPLETE))
    frame = frame.with_columns(pl.when(~pl.col("blocked")).then("label").alias("label"))
    if window.silence == "negative":
        silent = pl.col("label").is_null() & ~pl.col("blocked") & pl.col(_COMPLETE) & ~pl.col(CONFLICTED)
        frame = frame.with_columns(
            pl.when(silent).then(0.0).otherwise("label").alias("label"),
            pl.when(silent).then(closes).otherwise("ts_arrival").alias("ts_arrival"),
        )
    frame = frame.with_columns(_state(contract).alias("state"))
    # What is said of the label is said only where there is one.
    known = pl.col("label").is_not_null()
    said = ("ts_event", "ts_arrival", "rule", "source", "label_version")
    frame = frame.with_columns([pl.when(known).then(name).alias(name) for name in said])
    rivals = pl.when(pl.col("rule").is_not_null()).then("n_rivals").otherwise(pl.lit(0, dtype=pl.UInt32))
    return frame.with_columns(
        rivals.alias("n_rivals"),
        (pl.col("ts_event") - pl.col("ts_pred")).alias("lag"),
        (pl.col("ts_arrival") - pl.col("ts_pred")).alias("arrival_lag"),
        (pl.col("ts_arrival") > closes).fill_null(value=False).alias("late"),
    ).drop(CONFLICTED, _COMPLETE)


def _state(contract: Contract) -> pl.Expr:
    label = pl.col("label")
    expr = pl.when(pl.col("blocked")).then(pl.lit(CENSORED))
    if contract.model.task == "binary" and contract.label.combine not in ("sum", "count"):
        expr = expr.when(label == 1.0).then(pl.lit(POSITIVE)).when(label == 0.0).then(pl.lit(NEGATIVE))
    else:
        expr = expr.when(label.is_not_null()).then(pl.lit(LABELLED))
    return expr.when(pl.col(_COMPLETE)).then(pl.lit(MISSING)).otherwise(pl.lit(PENDING)).cast(STATE)
