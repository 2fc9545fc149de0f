"""The ledger: additive counts of joined rows; it holds no row and no identifier."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.keys import add_up
from fbkit.schema.contract import Contract
from fbkit.schema.logs import SourceFile, UnreadablePart
from fbkit.schema.period import format_instant
from fbkit.schema.protocols import JoinedLike

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Where a ledger comes from, and what can be asked of it.

    ``grouped``: groups of entities were counted; ``repeats``: an entity has more than one row; ``hashing``: how
    entities were given to groups. ``keys`` are the evaluation keys of the joined tables that were counted.
    """

    contract: Contract
    as_of: datetime
    slices: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    rows: int
    keys: tuple[str, ...]
    sources: tuple[SourceFile, ...] = ()
    weights: str | None = None
    fractional: bool = False
    grouped: bool = False
    repeats: bool = False
    hashing: str = ""
    label_versions: str = "any"
    incomplete: tuple[UnreadablePart, ...] = ()
    delay_days: float | None = None

    @property
    def extended(self) -> bool:
        """Whether the tables hold weighted sums."""
        return self.weights is not None or self.fractional

    @property
    def cuts(self) -> tuple[c.Cut, ...]:
        """What the tables are sliced by: not at all, by one column, by two where asked."""
        return ((), *((name,) for name in self.slices if name != c.VERSION), *self.pairs)

    @property
    def tables(self) -> list[c.TableId]:
        """The tables of a ledger, in order."""
        return [
            (kind, cut)
            for cut in self.cuts
            for kind in (c.CELLS, c.BINS, c.GROUPS)
            if (kind != c.BINS or cut) and (kind != c.GROUPS or self.grouped)
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """Counts of joined rows by day, version, decision, label state and delay, overall and by slice.

    Made by :meth:`fbkit.Joined.ledger`, or read with :meth:`open`. It takes the place of a joined table in
    :func:`fbkit.metrics` and the other measuring functions, which then take milliseconds whatever the number of rows.
    ``a + b`` is the ledger of both sets of rows.

    Attributes
    ----------
    tables
        By kind and slice columns, frames of whole numbers (see ``docs/ledger.md``); :meth:`table` shows one in words.
    values
        The texts that codes of slice columns and versions stand for.
    edges
        The score bins, operating thresholds among them.
    manifest
        Where it comes from.
    """

    tables: Mapping[c.TableId, pl.DataFrame]
    values: Mapping[str, tuple[str, ...]]
    edges: BinEdges
    manifest: Manifest
    views: dict[Any, Any] = field(default_factory=dict[Any, Any], repr=False)

    @property
    def contract(self) -> Contract:
        """The contract of the loop."""
        return self.manifest.contract

    @property
    def as_of(self) -> datetime:
        """As known at this time; an earlier midnight can be asked for."""
        return self.manifest.as_of

    @property
    def slices(self) -> tuple[str, ...]:
        """The slice columns that can be asked for, in the order they were given."""
        return self.manifest.slices

    @property
    def rows(self) -> int:
        """The number of predictions that were counted."""
        return self.manifest.rows

    @property
    def evaluation_key(self) -> str:
        """Hash of contract, sources, as-of and bins: equal keys mean equal numbers."""
        parts = [
            "ledger",
            self.contract.hash,
            format_instant(self.as_of),
            *self.manifest.keys,
            *map(repr, self.edges.edges),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def incomplete(self) -> tuple[UnreadablePart, ...]:
        """Parts of the logs that could not be read; numbers of their periods say so."""
        return self.manifest.incomplete

    def table(self, *cut: str, kind: str = c.CELLS) -> pl.DataFrame:
        """One table with its codes as words: days as dates, slices, versions and states as text.

        Raises
        ------
        ArgumentError
            There is no such table.
        """
        found = self.tables.get((kind, cut))
        if found is None:
            raise ArgumentError(
                "the ledger has no such table",
                got=f"{kind} by {', '.join(cut) or 'nothing'}",
                allowed="; ".join(f"{name} by {', '.join(by) or 'nothing'}" for name, by in self.tables),
                next_step="build the ledger with these slices",
            )
        named = {c.slice_key(position): name for position, name in enumerate(cut)}
        words = [self._text(key, name) for key, name in named.items()]
        state = pl.col(c.STATE).replace_strict(list(range(len(c.STATES))), list(c.STATES), return_dtype=pl.String)
        days = pl.col(c.DAY).cast(pl.Date)
        rest = [name for name in found.columns if name not in {*named, c.DAY, c.VERSION, c.STATE}]
        return found.select(*words, days, self._text(c.VERSION, c.VERSION), state.alias(c.STATE), *rest)

    def _text(self, key: str, name: str) -> pl.Expr:
        texts = pl.Series(self.values[name], dtype=pl.String)
        return (
            pl.lit(texts).gather(pl.col(key)).alias(name) if len(texts) else pl.lit(None, dtype=pl.String).alias(name)
        )

    def __add__(self, other: "Ledger") -> "Ledger":
        """The ledger of both sets of rows; contract, as-of, slices, weights and score bins must be the same."""
        from fbkit.ledger.merge import merge

        if not isinstance(other, Ledger):
            raise ArgumentError(
                "only a ledger can be added to a ledger",
                got=type(other).__name__,
                allowed="another fb.Ledger",
                next_step="build one of the other rows: joined.ledger(edges=ledger.edges)",
            )
        return merge(self, other)

    def __eq__(self, other: object) -> bool:
        """The same counts under the same contract, as-of, slices and bins, wherever the rows came from."""
        if not isinstance(other, Ledger):
            return NotImplemented
        mine, theirs = (replace(item.manifest, keys=(), sources=(), repeats=False) for item in (self, other))
        same = mine == theirs and self.edges == other.edges and dict(self.values) == dict(other.values)
        if not same or self.tables.keys() != other.tables.keys():
            return False
        return all(table.equals(other.tables[name]) for name, table in self.tables.items())

    def __hash__(self) -> int:
        return hash((self.contract.hash, self.as_of, self.rows))

    def __repr__(self) -> str:
        lines = sum(table.height for table in self.tables.values())
        return f"<Ledger: {self.rows:,} predictions in {lines:,} lines as known at {format_instant(self.as_of)}>"

    def updated(self, joined: JoinedLike, *, period: Any = None) -> "Ledger":
        """The ledger of a newer joined table of the same loop; only the weeks that changed are counted again.

        ``period`` names the weeks to count again; by default those with a prediction, a label, a closing window or a
        changed count after this ledger's as-of. See :func:`fbkit.ledger.update.update`.
        """
        from fbkit.ledger.update import update

        return update(self, joined, period=period)

    def save(self, folder: str | Path) -> Path:
        """Write Parquet files and a manifest with their SHA-256; the folder appears whole or not at all.

        Raises
        ------
        OutputError
            The folder cannot be written, or holds something that is not a ledger.
        """
        from fbkit.ledger.store import save

        return save(self, folder)

    @classmethod
    def open(cls, folder: str | Path) -> "Ledger":
        """Read a saved ledger.

        Raises
        ------
        InputError
            A file is missing, damaged, foreign or of a newer format; its name is in the message.
        """
        from fbkit.ledger.store import read

        return read(folder)


def tidy(
    lines: Mapping[c.TableId, pl.DataFrame],
    values: Mapping[str, tuple[str, ...]],
    *,
    edges: BinEdges,
    manifest: Manifest,
) -> Ledger:
    """A ledger of these lines: equal keys added, sorted, and texts that no line uses left out."""
    kept, changes = dict(values), dict[str, pl.Series]()
    for name, texts in values.items():
        used = _used(lines, name)
        if len(used) < len(texts):
            kept[name] = tuple(texts[code] for code in used)
            places = {code: place for place, code in enumerate(used)}
            changes[name] = pl.Series([places.get(code, 0) for code in range(len(texts))], dtype=pl.Int32)
    tables = {
        (kind, cut): add_up(
            [recoded(frame, cut, changes)], c.keys_of(kind, cut), c.sums_of(kind, extended=manifest.extended)
        )
        for (kind, cut), frame in lines.items()
    }
    return Ledger(tables=MappingProxyType(tables), values=MappingProxyType(kept), edges=edges, manifest=manifest)


def recoded(frame: pl.DataFrame, cut: c.Cut, changes: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The frame with other codes for its slice columns and versions; ``changes`` has the new code of each old one."""
    keys = {c.slice_key(position): name for position, name in enumerate(cut)} | {c.VERSION: c.VERSION}
    made = [
        pl.lit(changes[name]).gather(pl.col(key)).alias(key)
        if len(changes[name])
        else pl.lit(None, dtype=pl.Int32).alias(key)
        for key, name in keys.items()
        if name in changes
    ]
    return frame.with_columns(made) if made else frame


def _used(lines: Mapping[c.TableId, pl.DataFrame], name: str) -> list[int]:
    """The codes that occur, from the smallest table that has them."""
    cut, key = ((), c.VERSION) if name == c.VERSION else ((name,), c.slice_key(0))
    for (_, by), frame in lines.items():
        if by == cut:
            return frame.get_column(key).drop_nulls().unique().sort().to_list()
        if name in by and (c.CELLS, (name,)) not in lines:
            return frame.get_column(c.slice_key(by.index(name))).drop_nulls().unique().sort().to_list()
    return []
