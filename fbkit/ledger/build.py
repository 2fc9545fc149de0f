"""One pass over joined rows to a ledger."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.ledger import columns as c
from fbkit.ledger.checks import check_call, check_rows, check_slices, operating_thresholds
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.keys import Layout
from fbkit.ledger.ledger import Ledger, Manifest, recoded, tidy
from fbkit.ledger.rows import HASH, WEEK, Asked, Texts, batches, sample_of, slice_code
from fbkit.schema.label import longest_delay
from fbkit.schema.protocols import JoinedLike, check_joined

_NUMBER = "\0number"
_BASE = "\0base"
_MOST_SCORES = 1_000_000
_ALL_ENTITIES = 2_000_000
_SAMPLED = 64


def build(
    joined: JoinedLike,
    *,
    edges: BinEdges | None = None,
    slices: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    weights: str | None = None,
    entities: bool | None = None,
) -> Ledger:
    """Count joined rows by day, version, decision, label state, delays and score bin, overall and by slice.

    Parameters
    ----------
    edges
        Score bins; by default from the scores (of all rows, or of every so-manieth of a million and more), with tenths
        and the contract's and the logged thresholds among them.
    slices
        Slice columns, by default the contract's.
    pairs
        Pairs of slice columns whose crossing is counted too.
    weights
        Column of row weights; their sums are counted beside the plain ones.
    entities
        Whether groups of entities are counted for cluster-robust intervals; by default if any row has an entity.

    Errors
    ------
    ArgumentError for a slice column that does not exist or identifies rows, for numeric labels, for scores outside
    0..1, and for weights that are null, negative or too large to be added up.
    """
    check_joined(joined)
    check_call(edges=edges, slices=slices, pairs=pairs, weights=weights, entities=entities)
    if joined.contract.model.task != "binary":
        raise ArgumentError(
            "a ledger counts binary labels",
            got=joined.contract.model.task,
            next_step="measure the rows",
            allowed='task = "binary"',
        )
    rows = lazy_rows(joined)
    wanted = tuple(dict.fromkeys(joined.contract.slices.columns if slices is None else slices))
    crossed = tuple((first, second) for first, second in pairs)
    check_slices(joined, no_rows(joined), slices=wanted, pairs=crossed)
    facts = check_rows(rows, weights=weights)
    bins = edges or default_edges(joined, rows, height=facts.rows)
    manifest = Manifest(
        contract=joined.contract,
        as_of=joined.as_of,
        slices=wanted,
        pairs=crossed,
        rows=facts.rows,
        keys=(joined.evaluation_key,),
        sources=tuple(getattr(joined, "sources", ())),
        weights=weights,
        fractional=facts.fractional,
        grouped=facts.entities if entities is None else entities,
        hashing=f"polars {pl.__version__}",
        label_versions=getattr(joined, "label_versions", "any"),
        incomplete=tuple(getattr(joined, "incomplete", ())),
        delay_days=longest_delay(joined).total_seconds() / 86_400,
    )
    return count(joined, manifest, edges=bins)


def default_edges(joined: JoinedLike, rows: pl.LazyFrame, *, height: int) -> BinEdges:
    """Quantiles of the scores, with one half, the tenths and the operating thresholds among them."""
    scores = sample_of(rows, most=_MOST_SCORES, height=height)
    tenths = [step / 10 for step in range(1, 10)]
    return BinEdges.from_reference(scores, thresholds=[*operating_thresholds(joined), *tenths])


def count(joined: JoinedLike, manifest: Manifest, *, edges: BinEdges) -> Ledger:
    """Count every row into the tables that a manifest describes."""
    distinct = tuple(dict.fromkeys(name for cut in manifest.cuts for name in cut))
    asked = Asked(
        slices=distinct,
        edges=edges,
        weights=manifest.weights,
        extended=manifest.extended,
        grouped=manifest.grouped,
    )
    texts = {name: Texts() for name in (*distinct, c.VERSION)}
    wanted = manifest.tables
    parts: dict[c.TableId, list[pl.DataFrame]] = {name: [] for name in wanted}
    hashes: list[pl.Series] = []
    for batch in batches(joined, asked, texts):
        for name, lines in zip(wanted, _grouped(batch, wanted, extended=manifest.extended), strict=True):
            parts[name].append(lines)
        if manifest.grouped:
            hashes.append(_few(batch.get_column(HASH), rows=manifest.rows))
    settled = {name: known.settle() for name, known in texts.items()}
    changes = {name: pl.Series(lookup, dtype=pl.Int32) for name, (_, lookup) in settled.items()}
    lines = {
        (kind, cut): recoded(pl.concat(found), cut, changes)
        if found
        else _no_lines(kind, cut, extended=manifest.extended)
        for (kind, cut), found in parts.items()
    }
    values = {name: words for name, (words, _) in settled.items()}
    known = pl.concat(hashes).drop_nulls() if hashes else pl.Series([], dtype=pl.UInt64)
    manifest = replace(manifest, repeats=known.n_unique() < len(known))
    return tidy(lines, values, edges=edges, manifest=manifest)


def _few(hashes: pl.Series, *, rows: int) -> pl.Series:
    """All rows of some entities: enough to see whether entities repeat."""
    return hashes if rows <= _ALL_ENTITIES else hashes.filter(hashes % _SAMPLED == 0)


def _grouped(batch: pl.DataFrame, wanted: Sequence[c.TableId], *, extended: bool) -> list[pl.DataFrame]:
    """The lines of one batch for each table."""
    layout = Layout.of(batch, [name for name in batch.columns if name not in _SUMMED and name != HASH])
    bases = {_base(kind, cut) for kind, cut in wanted}
    lines = batch.lazy().with_columns(layout.only(base).number().alias(_BASE + ",".join(base)) for base in bases)
    lines = lines.collect().lazy()
    return pl.collect_all([_lines(lines, layout, kind, cut, extended=extended) for kind, cut in wanted])


_SUMMED = {*c.POWERS, c.FAR, c.WEIGHED, *(product.name for product in c.PRODUCTS)}


def _base(kind: str, cut: c.Cut) -> tuple[str, ...]:
    """The keys that a table shares with others, so that their number is made once."""
    own = {*(c.slice_key(position) for position in range(len(cut))), c.BIN, c.BUCKET}
    shared = tuple(name for name in c.keys_of(kind, cut) if name not in own)
    return tuple(WEEK if name == c.DAY and c.by_week(kind, cut) else name for name in shared)


def _lines(lines: pl.LazyFrame, layout: Layout, kind: str, cut: c.Cut, *, extended: bool) -> pl.LazyFrame:
    base = _base(kind, cut)
    keys = c.keys_of(kind, cut)
    own = [*(slice_code(name) for name in cut), *(name for name in (c.BIN, c.BUCKET) if name in keys)]
    whole = layout.only([*base, *own])
    sums = [name for name in c.sums_of(kind, extended=extended) if name != c.ROWS]
    added = [pl.len().cast(pl.Int64).alias(c.ROWS), *(pl.col(name).sum() for name in sums)]
    renamed = {slice_code(name): c.slice_key(position) for position, name in enumerate(cut)} | {WEEK: c.DAY}
    if not whole.fits:
        grouped = lines.group_by([*base, *own]).agg(added)
    else:
        number = layout.only(own).after(pl.col(_BASE + ",".join(base)))
        grouped = lines.group_by(number.alias(_NUMBER)).agg(added).select(*whole.split(_NUMBER), c.ROWS, *sums)
    return grouped.rename(renamed, strict=False).select(*(pl.col(name).cast(pl.Int32) for name in keys), c.ROWS, *sums)


def _no_lines(kind: str, cut: c.Cut, *, extended: bool) -> pl.DataFrame:
    keys = dict.fromkeys(c.keys_of(kind, cut), pl.Int32)
    return pl.DataFrame(schema=keys | dict.fromkeys(c.sums_of(kind, extended=extended), pl.Int64))
