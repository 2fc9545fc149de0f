"""Columns that a measure may ask for and no log has as they are: the list a row belongs to, its place, its cost."""

from collections.abc import Callable, Collection
from typing import Final

import polars as pl

from fbkit.join.rows import lazy_rows
from fbkit.schema.protocols import JoinedLike

# No log can have a column of such a name, because a name is a name.
REQUEST: Final = "@request"
POSITION: Final = "@position"
COST: Final = "@cost"
AMOUNT: Final = "@amount"
Made = Callable[[JoinedLike, Collection[str]], "pl.Expr | str"]


def made_column(joined: JoinedLike, name: str, *, columns: Collection[str]) -> pl.Expr | str:
    """The expression of a column of the joined table, or why it has none.

    ``columns`` are the joined table's.
    """
    if name in MADE:
        return MADE[name](joined, columns)
    return pl.col(name) if name in columns else f"no column {name}"


def _request(_joined: JoinedLike, columns: Collection[str]) -> pl.Expr | str:
    found = next((name for name in ("request_id", "session_id") if name in columns), None)
    return "no column request_id or session_id" if found is None else pl.col(found).cast(pl.String)


def _position(_joined: JoinedLike, columns: Collection[str]) -> pl.Expr:
    if "position" not in columns:
        return pl.lit(None, dtype=pl.Float64)
    return pl.col("position").cast(pl.Float64, strict=False)


def _cost(joined: JoinedLike, columns: Collection[str]) -> pl.Expr | str:
    """What a prediction cost: the logged cost, else the price per call and a share of the month's fixed cost.

    A month's fixed cost is spread evenly over all its predictions, whatever the question is about; of a month that the
    log covers in part (days from the first prediction's to the last one's) it counts in that proportion.
    """
    prices = joined.contract.costs
    logged = pl.col("cost").cast(pl.Float64, strict=False) if "cost" in columns else None
    if not prices:
        return "no column cost, and the contract has no [[costs]]" if logged is None else logged
    month = pl.col("ts_pred").dt.truncate("1mo")
    priced = pl.lit(sum(part.per_call for part in prices))
    fixed = sum(part.per_month for part in prices)
    if fixed:
        shares = _fixed_shares(joined, fixed)
        priced += month.replace_strict(shares["month"], shares["share"], default=None, return_dtype=pl.Float64)
    return priced if logged is None else pl.coalesce(logged, priced)


def _fixed_shares(joined: JoinedLike, fixed: float) -> pl.DataFrame:
    """By month: what each of its predictions bears of the fixed cost."""
    time, day = pl.col("ts_pred"), pl.duration(days=1)
    counts = (
        lazy_rows(joined)
        .group_by(time.dt.truncate("1mo").alias("month"))
        .agg(
            pl.len().alias("n"), time.min().dt.truncate("1d").alias("first"), time.max().dt.truncate("1d").alias("last")
        )
        .collect()
    )
    start, end = pl.col("first").min(), pl.col("last").max() + day
    after = pl.col("month").dt.offset_by("1mo")
    covered = pl.min_horizontal(after, end) - pl.max_horizontal("month", start)
    part = covered.dt.total_seconds() / (after - pl.col("month")).dt.total_seconds()
    return counts.select("month", share=fixed * part / pl.col("n"))


def _amount(joined: JoinedLike, columns: Collection[str]) -> pl.Expr | str:
    """The amounts of the statements that count, added up by prediction; else what the prediction log calls so."""
    pairs = getattr(joined, "pairs", None)
    if pairs is not None:
        said = pairs.lazy()
        if "amount" in said.collect_schema().names():
            used = said.filter((pl.col("fate") == "used") & pl.col("amount").is_not_null())
            sums = used.group_by("prediction_id").agg(pl.col("amount").cast(pl.Float64, strict=False).sum()).collect()
            given = pl.col("prediction_id")
            return given.replace_strict(sums["prediction_id"], sums["amount"], default=None, return_dtype=pl.Float64)
    return pl.col("amount").cast(pl.Float64, strict=False) if "amount" in columns else "no column amount"


MADE: Final[dict[str, Made]] = {REQUEST: _request, POSITION: _position, COST: _cost, AMOUNT: _amount}
