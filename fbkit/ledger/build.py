"""One pass over joined rows to a ledger."""

from collections.abc import Sequence
from types import MappingProxyType

import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.ledger import ledger as columns
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.ledger import Ledger, add_up
from fbkit.schema.period import format_instant
from fbkit.schema.protocols import JoinedLike


def build(joined: JoinedLike, *, edges: BinEdges | None = None, slices: Sequence[str] | None = None) -> Ledger:
    """Count joined rows by day, version, decision, label state and score bin, overall and for each slice column.

    Parameters
    ----------
    edges
        Score bins; by default from all scores given, with the contract's and the logged thresholds among them.
    slices
        Slice columns, by default the contract's. Single-slice marginals: crossings need the rows.

    Errors
    ------
    ArgumentError for a slice column that does not exist, for numeric labels, and for scores outside 0..1.
    """
    if joined.contract.model.task != "binary":
        raise ArgumentError(
            "a ledger counts binary labels",
            got=joined.contract.model.task,
            next_step="measure the rows",
            allowed='task = "binary"',
        )
    frame = joined.frame
    wanted = tuple(joined.contract.slices.columns if slices is None else slices)
    _check(frame, wanted)
    bins = edges or BinEdges.from_reference(frame["score"], thresholds=operating_thresholds(joined))
    unit = _unit_lines(frame, bins, wanted)
    marginals = [_marginal(unit, name) for name in (columns.OVERALL, *wanted)]
    manifest = {
        "contract": joined.contract.hash,
        "as_of": format_instant(joined.as_of),
        "slices": wanted,
        "score_scale": columns.SCALE,
        "rows": frame.height,
        "sources": (joined.evaluation_key,),
    }
    return Ledger(frame=add_up(pl.concat(marginals)), edges=bins, manifest=MappingProxyType(manifest))


def operating_thresholds(joined: JoinedLike) -> list[float]:
    """The contract's threshold and the logged ones, the 20 most frequent at most."""
    own = joined.contract.decision.threshold
    counts = joined.frame.get_column("threshold").drop_nulls().value_counts(sort=True).head(20)
    return sorted({float(value) for value in counts.get_column("threshold")} | ({own} if own is not None else set()))


def _check(frame: pl.DataFrame, slices: tuple[str, ...]) -> None:
    for name in slices:
        if name not in frame.columns:
            close = nearest(name, frame.columns)
            hint = f"did you mean {close!r}?" if close else None
            raise ArgumentError(
                "a slice column does not exist", got=name, allowed=", ".join(frame.columns), next_step=hint
            )
    outside = frame.select((~pl.col("score").is_between(0, 1)).sum()).item()
    if outside:
        raise ArgumentError(
            "a ledger needs scores from 0 to 1",
            got=f"{outside} outside",
            next_step="measure the rows",
            allowed="probabilities",
        )


def _unit_lines(frame: pl.DataFrame, bins: BinEdges, slices: tuple[str, ...]) -> pl.DataFrame:
    """Each row as a line of one, with its scaled powers of the score."""
    score = pl.col("score")
    powers = [
        (score.pow(power) * columns.SCALE).round().cast(pl.Int64).alias(name)
        for power, name in enumerate(columns.MOMENTS, start=1)
    ]
    return frame.select(
        pl.col("ts_pred").dt.truncate("1d").alias(columns.DAY),
        pl.col(columns.MODEL_VERSION).cast(pl.String),
        pl.col(columns.FLAGGED),
        pl.col(columns.STATE).cast(pl.String),
        pl.col(columns.MATURE),
        bins.code(frame["score"]).alias(columns.SCORE_BIN),
        pl.lit(1, dtype=pl.Int64).alias(columns.ROWS),
        *powers,
        *(pl.col(name).cast(pl.String).alias(_prefixed(name)) for name in slices),
    )


def _prefixed(name: str) -> str:
    return f"\0{name}"


def _marginal(unit: pl.DataFrame, name: str) -> pl.DataFrame:
    value = pl.lit(None, dtype=pl.String) if name == columns.OVERALL else pl.col(_prefixed(name))
    lines = unit.lazy().with_columns(pl.lit(name).alias(columns.SLICE_COLUMN), value.alias(columns.SLICE_VALUE))
    return lines.group_by(columns.KEYS).agg(pl.col(columns.ROWS, *columns.MOMENTS).sum()).collect()
