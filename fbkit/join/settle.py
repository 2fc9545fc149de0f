"""Several statements about one prediction become one label, or none, by the contract's rule."""

import polars as pl

from fbkit.join.pair import MADE
from fbkit.schema.contract import Contract

ANY, CURRENT = "any", "current"


def settle(pairs: pl.DataFrame, *, contract: Contract, label_versions: str = ANY) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decide which statement counts.

    Parameters
    ----------
    pairs
        Pairings of :func:`fbkit.join.pair.pair`; those with a null ``fate`` compete.
    label_versions
        ``any``: a statement of another definition than the contract's version counts where there is no other.
        ``current``: it never counts, and neither does one that does not say its version.

    Returns
    -------
    The pairings with every fate filled in, and one row per labelled prediction: ``__made``, label,
    ts_event, ts_arrival, source, label_version, rule, n_rivals.
    """
    if contract.label.version is not None:
        fate = other_definition(contract.label.version, strict=label_versions == CURRENT)
        pairs = pairs.with_columns(pl.coalesce("fate", fate).alias("fate"))
    fates = _one(pairs, contract=contract) if contract.label.combine == "one" else pairs["fate"].fill_null("used")
    settled = pairs.with_columns(fates.alias("fate"))
    return settled, _labels(settled.filter(pl.col("fate") == "used"), contract=contract)


def other_definition(version: str, *, strict: bool) -> pl.Expr:
    """Definitions are not mixed within one prediction: those of the contract's version push the others out."""
    said = pl.col("label_version")
    if strict:
        return pl.when(said.ne_missing(pl.lit(version))).then(pl.lit("other_definition"))
    # An unknown version is not taken for another one.
    fits = said.is_null() | (said == version)
    beside = (fits & pl.col("fate").is_null()).any().over(MADE)
    return pl.when(~fits & beside).then(pl.lit("other_definition"))


def _one(pairs: pl.DataFrame, *, contract: Contract) -> pl.Series:
    """Statements about one outcome: the newest (or the first) arrival counts, ties by rank of source."""
    competing = pairs["fate"].is_null().arg_true()
    together = competing.filter(~pairs[MADE].gather(competing).is_unique())
    fates = pairs["fate"].fill_null("used")
    if together.is_empty():
        return fates
    decided = _several(pairs.select(pl.all().gather(together)), contract=contract)["fate"]
    return fates.scatter(together, decided)


def _several(competing: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    keep_first = contract.label.corrections == "keep_first"
    ranks = {name: rank for rank, name in enumerate(contract.label.sources)}
    rank = pl.col("source").replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64)
    arrival = pl.col("ts_arrival")
    marked = competing.with_columns(rank.alias("__rank"))
    chosen_time = arrival == (arrival.min() if keep_first else arrival.max()).over(MADE)
    marked = marked.with_columns(chosen_time.alias("__time"))
    best_rank = pl.col("__rank").filter(pl.col("__time")).min().over(MADE)
    marked = marked.with_columns((pl.col("__time") & (pl.col("__rank") == best_rank)).alias("__finalist"))
    labels = pl.col("label").filter(pl.col("__finalist")).n_unique().over(MADE)
    winner = pl.col("label").filter(pl.col("__finalist")).first().over(MADE)
    # Content, not file order, decides which of the agreeing statements stands for all.
    first = pl.col("statement").filter(pl.col("__finalist")).min().over(MADE) == pl.col("statement")
    fate = (
        pl.when(~pl.col("__time"))
        .then(pl.lit("superseded"))
        .when(~pl.col("__finalist"))
        .then(
            pl.when((labels == 1) & (pl.col("label") == winner))
            .then(pl.lit("duplicate_statement"))
            .otherwise(pl.lit("superseded"))
        )
        .when(labels > 1)
        .then(pl.lit("conflicting_label"))
        .when(first)
        .then(pl.lit("used"))
        .otherwise(pl.lit("duplicate_statement"))
    )
    return marked.with_columns(fate.alias("fate")).drop("__rank", "__time", "__finalist")


def _labels(used: pl.DataFrame, *, contract: Contract) -> pl.DataFrame:
    columns = [MADE, "label", "ts_event", "ts_arrival", "source", "label_version", "rule", "n_rivals"]
    combine = contract.label.combine
    if combine == "one":
        return used.select(columns)
    ordered = used.sort(MADE, "ts_event", "ts_arrival", "statement")
    label = pl.col("label")
    value = {
        "first": label.first(),
        "last": label.last(),
        "any": label.max(),
        "max": label.max(),
        "sum": label.sum(),
        "count": label.len().cast(pl.Float64),
    }[combine]
    at = pl.first if combine == "first" else pl.last
    rest = [at(name) for name in columns[2:]]
    return ordered.group_by(MADE, maintain_order=True).agg(value.alias("label"), *rest).select(columns)
