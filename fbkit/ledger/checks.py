"""What a ledger refuses to count: identifiers as slices, scores that are no probabilities, weights without measure."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.join.rows import lazy_rows
from fbkit.ledger import columns as c
from fbkit.ledger.edges import BinEdges
from fbkit.schema.protocols import JoinedLike

MOST_VALUES = 20_000
_IDENTIFIERS = ("prediction_id", "entity", "request_id", "session_id", "response_id", "outcome_id")
_LARGEST_SUM = 2.0**62


class Facts(NamedTuple):
    """What was seen of all rows."""

    rows: int
    fractional: bool
    entities: bool


def check_call(*, edges: object, slices: object, pairs: object, weights: object, entities: object) -> None:
    """Refuse keywords of the wrong kind before any work."""
    listed = list(pairs) if isinstance(pairs, list | tuple) else [None]
    kinds = {
        "edges": (edges is None or isinstance(edges, BinEdges), edges, "a BinEdges, for example ledger.edges"),
        "slices": (slices is None or _texts(slices), slices, 'a list of column names such as ["region"]'),
        "pairs": (
            all(isinstance(pair, list | tuple) and _texts(pair) and len(pair) == 2 for pair in listed),
            pairs,
            'a list of pairs such as [("region", "device")]',
        ),
        "weights": (weights is None or isinstance(weights, str), weights, "a column name"),
        "entities": (entities is None or isinstance(entities, bool), entities, "True, False or None"),
    }
    for name, (fits, got, allowed) in kinds.items():
        if not fits:
            raise ArgumentError(
                f"{name} of a ledger is not what it takes",
                got=f"{type(got).__name__}: {got!r}"[:200],
                allowed=allowed,
                next_step=f"give {name} so, or leave it out",
            )


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def check_slices(
    joined: JoinedLike, columns: pl.DataFrame, *, slices: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> None:
    """Refuse slice columns that do not exist, and such as tell one row or person from another."""
    entity = joined.contract.predictions.columns.get("entity_id", [])
    personal = {*_IDENTIFIERS, *joined.contract.privacy.personal, *([entity] if isinstance(entity, str) else entity)}
    for name in dict.fromkeys([*slices, *(name for pair in pairs for name in pair)]):
        if name not in columns.columns:
            close = nearest(name, columns.columns)
            hint = f"did you mean {close!r}?" if close else None
            raise ArgumentError(
                "a slice column does not exist", got=name, allowed=", ".join(columns.columns), next_step=hint
            )
        if name in personal:
            raise ArgumentError(
                "a ledger holds no identifiers, so they cannot be its slices",
                got=name,
                allowed="columns that groups of rows share",
                next_step="leave the column out, or measure the joined rows",
            )
    for pair in pairs:
        if c.VERSION in pair or pair[0] == pair[1]:
            raise ArgumentError(
                "a pair crosses two different slice columns",
                got=" and ".join(pair),
                allowed="two columns; every table is by model_version as well",
                next_step="ask for by=[slice, 'model_version'] of the ledger",
            )


def check_rows(rows: pl.LazyFrame, *, weights: str | None) -> Facts:
    """Refuse scores and labels outside 0..1 and weights that cannot be added up."""
    label, score = pl.col("label"), pl.col("score")
    asked = [
        pl.len().alias("rows"),
        (~score.is_between(0, 1) | score.is_null()).sum().alias("scores"),
        (~label.is_between(0, 1)).sum().alias("labels"),
        ((label != 0) & (label != 1)).any().alias("fractional"),
    ]
    names = rows.collect_schema().names()
    if weights is not None:
        if weights not in names:
            raise ArgumentError(
                "the weight column does not exist",
                got=weights,
                allowed=", ".join(names),
                next_step="name one of these columns, or log the weights with the predictions",
            )
        weight = pl.col(weights).cast(pl.Float64, strict=False)
        asked += [(~weight.is_between(0, float("inf"), closed="left")).fill_null(value=True).sum().alias("weights")]
        asked += [pl.max_horizontal(weight, weight * weight).sum().alias("weight")]
    found = rows.select(asked).collect().row(0, named=True)
    for name, what, allowed in (
        ("scores", "a ledger needs scores from 0 to 1", "probabilities"),
        ("labels", "a ledger counts labels from 0 to 1", "0, 1, or a share between them"),
        ("weights", "weights must be finite, not negative and never null", "numbers from 0 on in every row"),
    ):
        if found.get(name):
            raise ArgumentError(what, got=f"{found[name]} outside", allowed=allowed, next_step="measure the rows")
    if (found.get("weight") or 0.0) * c.product_scale(weights) >= _LARGEST_SUM:
        raise ArgumentError(
            "the weights are too large to be added up exactly",
            got=f"squares that sum to {found['weight']:.3g}",
            allowed=f"at most {_LARGEST_SUM / c.WEIGHT_SCALE:.3g}",
            next_step="divide the weights by a constant; ratios stay the same",
        )
    return Facts(rows=found["rows"], fractional=bool(found["fractional"]), entities=_entities(rows, names))


def _entities(rows: pl.LazyFrame, names: list[str]) -> bool:
    if "entity" not in names:
        return False
    known = pl.col("entity").is_not_null().any()
    # The first rows nearly always tell; only a log without entities is read to its end.
    return any(part.select(known).collect().item() for part in (rows.head(1000), rows))


def operating_thresholds(joined: JoinedLike) -> list[float]:
    """The contract's threshold and the logged ones, the 20 most frequent at most."""
    own = joined.contract.decision.threshold
    logged = lazy_rows(joined).select(pl.col("threshold").cast(pl.Float64)).drop_nulls()
    counts = logged.group_by("threshold").len().sort("len", "threshold", descending=True).head(20).collect()
    return sorted({*counts.get_column("threshold").to_list(), *([] if own is None else [own])})
