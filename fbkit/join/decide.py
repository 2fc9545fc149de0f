"""The decision as it was made: logged, else score against the row's threshold, else against the contract's."""

import polars as pl

from fbkit.errors import InputError
from fbkit.schema.contract import Contract


def add_decision(frame: pl.DataFrame, *, contract: Contract) -> tuple[pl.DataFrame, int]:
    """Add ``threshold`` and ``flagged``; return also how many logged decisions contradict the threshold."""
    fixed = pl.lit(contract.decision.threshold, dtype=pl.Float64)
    threshold = pl.coalesce(pl.col("threshold").fill_nan(None), fixed) if "threshold" in frame.columns else fixed
    frame = frame.with_columns(threshold.alias("threshold"))
    by_score = pl.col("score") >= pl.col("threshold")
    if "decision" not in frame.columns:
        return frame.with_columns(by_score.alias("flagged")), 0
    logged = _logged(frame, contract=contract)
    frame = frame.with_columns(pl.coalesce(logged, by_score).alias("flagged"))
    return frame, frame.select((logged != by_score).sum()).item()


def _logged(frame: pl.DataFrame, *, contract: Contract) -> pl.Expr:
    dtype = frame.schema["decision"]
    decision = pl.col("decision")
    if dtype == pl.Boolean:
        return decision
    if contract.decision.positive:
        return decision.cast(pl.String).is_in(list(contract.decision.positive))
    words = {"1": True, "0": False, "true": True, "false": False, "1.0": True, "0.0": False, "nan": None, "": None}
    text = decision.cast(pl.String).str.strip_chars().str.to_lowercase()
    found = frame.select(text).to_series().unique().drop_nulls().to_list()
    if set(found) <= set(words):
        return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
    raise InputError(
        "the logged decision is neither boolean nor 0/1, and the contract does not say which values mean flagged",
        got=", ".join(sorted(found)[:5]),
        allowed="booleans, 0/1, or words named in the contract",
        next_step='set [decision] positive = ["..."]',
    )
