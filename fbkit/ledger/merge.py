"""Two ledgers of different rows as one."""

from dataclasses import replace
from typing import Any

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger, Manifest, recoded, tidy

_SAME = ("as_of", "slices", "pairs", "weights", "label_versions")
_LARGEST = 2**62


def merge(first: Ledger, second: Ledger) -> Ledger:
    """The ledger of both sets of rows.

    Raises
    ------
    ArgumentError
        Contract, as-of, slices, weights, score bins or groups of entities differ, or weights become too large.
    """
    _check(first, second)
    manifest = together(first.manifest, second.manifest)
    values = {name: tuple(sorted({*first.values[name], *second.values[name]})) for name in first.values}
    parts: dict[c.TableId, list[pl.DataFrame]] = {name: [] for name in {**first.tables, **second.tables}}
    for ledger in (first, second):
        changes = {
            name: pl.Series([values[name].index(text) for text in texts], dtype=pl.Int32)
            for name, texts in ledger.values.items()
        }
        for (kind, cut), table in ledger.tables.items():
            widened = widen(table, kind, ledger.manifest) if manifest.extended else table
            parts[kind, cut].append(recoded(widened, cut, changes))
    lines = {name: pl.concat(found) for name, found in parts.items()}
    _check_weights(lines, manifest)
    return tidy(lines, values, edges=first.edges, manifest=manifest)


def together(first: Manifest, second: Manifest) -> Manifest:
    """The manifest of both."""
    grouped = first.grouped or second.grouped
    return replace(
        first,
        rows=first.rows + second.rows,
        keys=tuple(sorted({*first.keys, *second.keys})),
        sources=tuple(sorted({*first.sources, *second.sources}, key=lambda source: (source.name, source.sha256))),
        fractional=first.fractional or second.fractional,
        grouped=grouped,
        # An entity of one row on either side may be the same on both.
        repeats=grouped and (first.repeats or second.repeats or bool(first.rows and second.rows)),
        hashing=first.hashing if first.rows else second.hashing,
        incomplete=tuple(dict.fromkeys([*first.incomplete, *second.incomplete])),
        delay_days=max(first.delay_days or 0.0, second.delay_days or 0.0),
    )


def widen(table: pl.DataFrame, kind: str, manifest: Manifest) -> pl.DataFrame:
    """A table of plain counts with the weighted sums that they amount to: weight 1, labels 0 and 1."""
    if manifest.extended:
        return table
    positive = (pl.col(c.STATE) == c.CODE["positive"]).cast(pl.Int64)

    def power(exponent: int) -> pl.Expr:
        return pl.col(c.POWERS[exponent - 1]) if exponent else pl.col(c.ROWS) * c.SCALE

    made = [
        (pl.col(c.FAR) if item.far else power(item.score) * positive if item.label else power(item.score)).alias(
            item.name
        )
        for item in c.products_of(kind)
    ]
    weighed = [pl.col(c.ROWS).alias(c.WEIGHED)] if kind == c.CELLS else []
    return table.with_columns(*weighed, *made)


def _check(first: Ledger, second: Ledger) -> None:
    one, other = first.manifest, second.manifest
    said: dict[str, tuple[Any, Any]] = {name: (getattr(one, name), getattr(other, name)) for name in _SAME}
    said["contract"] = (one.contract.hash[:12], other.contract.hash[:12])
    if one.rows and other.rows:
        said["choice whether entities are grouped"] = (one.grouped, other.grouped)
        if one.grouped:
            said["way to group entities"] = (one.hashing, other.hashing)
    for name, (mine, theirs) in said.items():
        if mine != theirs:
            raise ArgumentError(
                f"ledgers with a different {name} cannot be added",
                got=f"{mine} and {theirs}",
                allowed="the same in both",
                next_step="build both ledgers from loops of the same contract and as-of time, in the same way",
            )
    if first.edges != second.edges:
        raise ArgumentError(
            "ledgers with different score bins cannot be added",
            next_step="build both with one BinEdges: edges=ledger.edges",
            got="two sets of edges",
            allowed="the same edges in both",
        )


def _check_weights(lines: dict[c.TableId, pl.DataFrame], manifest: Manifest) -> None:
    if manifest.weights is None:
        return
    total = sum(lines[c.CELLS, ()].get_column(c.Product(2, 0, 0).name).to_list())
    if total >= _LARGEST:
        raise ArgumentError(
            "the weights of both ledgers are too large to be added up exactly",
            got=f"squares that sum to {total / c.WEIGHT_SCALE:.3g}",
            allowed=f"at most {_LARGEST / c.WEIGHT_SCALE:.3g}",
            next_step="divide the weights by a constant; ratios stay the same",
        )
