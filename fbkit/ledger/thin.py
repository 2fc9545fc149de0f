"""A ledger as it may leave the machine: thin slices told together, crossings that hold a thin one left out."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger, Manifest, tidy
from fbkit.schema.contract import Contract

_LOGS: Final = ("predictions", "outcomes", "actions", "feedback", "changes")
_WHERE: Final = ("path", "format", "query", "connection_env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portable:
    """A ledger that may leave the machine, and one sentence for each thing that is not in it any more."""

    ledger: Ledger
    notes: tuple[str, ...]


def portable(ledger: Ledger) -> Portable:
    """The ledger without what points at few people or at the machine; sums over all rows stay as they are.

    Slices with fewer predictions than the contract's minimum become one slice, with the smallest others where they
    are too few even together, and their names go. A crossing of two columns in which one cell is thin is left out
    whole: its margins would give the cell away. Columns that the contract names as personal are left out. Where the
    logs lie (absolute paths, addresses, queries) is taken from the contract, which then has another hash.

    Model versions are not slices of people and stay. Days, delays and score bins of a slice that is not thin stay
    too, so a line of a table may count a single prediction: a ledger is made for colleagues, not for the public.
    """
    minimum = ledger.contract.slices.minimum
    notes: list[str] = []
    kept = _without(ledger, {*ledger.contract.privacy.personal} & {*ledger.slices}, notes)
    kept = _away_from_home(kept, notes)
    for name in [name for name in kept.slices if name != c.VERSION]:
        kept = _together(kept, name, minimum=minimum, notes=notes)
    return Portable(ledger=_without_thin_pairs(kept, minimum=minimum, notes=notes), notes=tuple(notes))


def _without(ledger: Ledger, columns: Collection[str], notes: list[str]) -> Ledger:
    if not columns:
        return ledger
    notes.append(f"slices by {', '.join(sorted(columns))} are left out: the contract names them as personal")
    manifest = replace(
        ledger.manifest,
        slices=tuple(name for name in ledger.slices if name not in columns),
        pairs=tuple(pair for pair in ledger.manifest.pairs if not {*pair} & {*columns}),
    )
    return _only(ledger, manifest)


def _only(ledger: Ledger, manifest: Manifest) -> Ledger:
    """The tables and texts that a manifest with fewer slices needs."""
    wanted = set(manifest.tables)
    tables = {name: table for name, table in ledger.tables.items() if name in wanted}
    named = {c.VERSION, *(name for cut in manifest.cuts for name in cut)}
    values = {name: texts for name, texts in ledger.values.items() if name in named}
    return replace(ledger, tables=tables, values=values, manifest=manifest, views={})


def _away_from_home(ledger: Ledger, notes: list[str]) -> Ledger:
    content = ledger.contract.model_dump(mode="json", exclude_none=True)
    moved = [log for log in _LOGS if log in content and _tells_where(content[log])]
    if not moved:
        return ledger
    notes.append(f"where these logs lie is taken from the contract: {', '.join(moved)}")
    # Out of the contract's own text: its words for durations and instants are the ones it reads.
    parts = {log: _with_no_place(ledger.contract, log) for log in moved}
    contract = ledger.contract.model_copy(update=parts)
    vars(contract).pop("hash", None)  # a copy carries what was computed of the original
    return replace(ledger, manifest=replace(ledger.manifest, contract=contract), views={})


def _tells_where(log: dict[str, object]) -> bool:
    path = str(log.get("path") or "")
    return "query" in log or "://" in path or path.startswith(("/", "~", "\\")) or path[1:2] == ":"


def _with_no_place(contract: Contract, log: str) -> object:
    part = getattr(contract, log)
    fields = type(part).model_fields
    return part.model_copy(update={name: fields[name].default for name in _WHERE})


def _together(ledger: Ledger, name: str, *, minimum: int, notes: list[str]) -> Ledger:
    thin = _merged(_sizes(ledger, name), minimum=minimum)
    if not thin:
        return ledger
    notes.append(f"{len(thin)} slices of {name} are told together: alone they have fewer than {minimum} predictions")
    return _as_one(ledger, name, thin, label=f"slices of fewer than {minimum}")


def largest(ledger: Ledger, name: str, *, most: int, always: Collection[str | None] = ()) -> Portable:
    """The ledger with the ``most`` largest slices of a column, ``always`` among them; the others become one slice."""
    sizes = _sizes(ledger, name)
    texts = ledger.values[name]
    named = [code for code in sizes if (None if code is None else texts[code]) in always]
    ranked = sorted((code for code in sizes if code not in named), key=lambda code: (-sizes[code], code or 0))
    merged = set(ranked[max(most - len(named), 0) :])
    if len(merged) < 2:
        return Portable(ledger=ledger, notes=())
    note = f"the {len(merged)} smallest slices of {name} are told together, to keep the file small"
    return Portable(ledger=_as_one(ledger, name, merged, label=f"{len(merged)} smaller slices"), notes=(note,))


def _sizes(ledger: Ledger, name: str) -> dict[int | None, int]:
    key = c.slice_key(0)
    return dict(ledger.tables[c.CELLS, (name,)].group_by(key).agg(pl.col(c.ROWS).sum()).iter_rows())


def _as_one(ledger: Ledger, name: str, codes: Collection[int | None], *, label: str) -> Ledger:
    """Slices become one under a name that no slice has; the texts that they had go."""
    texts = ledger.values[name]
    free = next(text for text in _labels(label) if text not in texts)
    lines = {
        (kind, cut): frame.with_columns(
            pl.when(pl.col(held).is_in(list(codes), nulls_equal=True))
            .then(pl.lit(len(texts), dtype=pl.Int32))
            .otherwise(pl.col(held))
            .alias(held)
            for held in [c.slice_key(cut.index(name))]
        )
        if name in cut
        else frame
        for (kind, cut), frame in ledger.tables.items()
    }
    return tidy(lines, {**ledger.values, name: (*texts, free)}, edges=ledger.edges, manifest=ledger.manifest)


def _merged(sizes: dict[int | None, int], *, minimum: int) -> set[int | None]:
    """The slices that become one: those that are thin, and the smallest others until together they are not."""
    ranked = sorted(sizes, key=lambda code: (sizes[code], code is not None, code or 0))
    thin = [code for code in ranked if sizes[code] < minimum]
    if not thin:
        return set()
    rest = ranked[len(thin) :]
    # One thin slice alone would keep its number under another name; two or more that are too few still point at few.
    while rest and (len(thin) < 2 or sum(sizes[code] for code in thin) < minimum):
        thin.append(rest.pop(0))
    return set(thin)


def _labels(text: str) -> Iterator[str]:
    yield f"({text})"
    number = 2
    while True:
        yield f"({text}, {number})"
        number += 1


def _without_thin_pairs(ledger: Ledger, *, minimum: int, notes: list[str]) -> Ledger:
    keys = [c.slice_key(0), c.slice_key(1)]
    thin = [
        pair
        for pair in ledger.manifest.pairs
        if any(n < minimum for n in ledger.tables[c.CELLS, pair].group_by(keys).agg(pl.col(c.ROWS).sum())[c.ROWS])
    ]
    if not thin:
        return ledger
    told = ", ".join(" by ".join(pair) for pair in thin)
    notes.append(f"crossings with a cell of fewer than {minimum} predictions are left out: {told}")
    manifest = replace(ledger.manifest, pairs=tuple(pair for pair in ledger.manifest.pairs if pair not in thin))
    return _only(ledger, manifest)
