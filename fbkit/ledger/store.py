"""Ledgers on disk: Parquet files and a manifest that names each with its SHA-256; whole or not at all."""

import io
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from fbkit.errors import ArgumentError, FbkitError, InputError, OutputError
from fbkit.ledger import columns as c
from fbkit.ledger.edges import BinEdges
from fbkit.ledger.ledger import FORMAT, Ledger, Manifest
from fbkit.schema.contract import Contract
from fbkit.schema.files import MANIFEST, clear, failed, put_in_place, sha256, write_new
from fbkit.schema.logs import SourceFile, UnreadablePart
from fbkit.schema.period import Period, format_instant, parse_instant

KIND = "fbkit ledger"


def save(ledger: Ledger, folder: str | Path) -> Path:
    """Write a ledger to a folder that is new, empty, or holds a ledger.

    Raises
    ------
    OutputError
        The folder cannot be written, or holds something that is not a ledger; what stood there is untouched.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 (resolve would follow the link that is refused next)
    _check_replaceable(target)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        for name, content in files_of(ledger).items():
            write_new(temporary / name, content)
        put_in_place(temporary, target)
    except OSError as error:
        raise failed(target, error) from error
    finally:
        clear(temporary)
    return target


def _check_replaceable(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise OutputError(
            "the place of the ledger is a link or a file",
            got=target.name,
            allowed="a folder, or a name that is free",
            next_step="choose another folder",
        )
    if not target.exists() or not any(target.iterdir()):
        return
    try:
        known = {MANIFEST, *(item["name"] for item in _manifest(target)["files"])}
    except InputError:
        known = set[str]()
    strange = sorted({file.name for file in target.iterdir()} - known)
    if strange:
        raise OutputError(
            "the folder holds files that are no part of a ledger",
            got=", ".join(strange[:5]),
            allowed="an empty folder, or one that holds a ledger",
            next_step="choose another folder, or move those files away",
        )


def files_of(ledger: Ledger) -> dict[str, bytes]:
    """The files of a saved ledger by name, the manifest last."""
    made: dict[str, bytes] = {}
    listed: list[dict[str, object]] = []
    for number, ((kind, cut), table) in enumerate(ledger.tables.items()):
        name = f"{kind}-{number:02d}.parquet"
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd", statistics=False)
        made[name] = buffer.getvalue()
        entry: dict[str, object] = {"name": name, "sha256": sha256(made[name]), "kind": kind, "slices": list(cut)}
        listed.append(entry | {"lines": table.height})
    told = _told(ledger) | {"files": listed}
    return {**made, MANIFEST: (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()}


def _told(ledger: Ledger) -> dict[str, Any]:
    manifest = ledger.manifest
    return {
        "what": KIND,
        "format": FORMAT,
        "contract_hash": manifest.contract.hash,
        "contract": manifest.contract.to_toml(),
        "as_of": format_instant(manifest.as_of),
        "window": manifest.contract.label.window_text,
        "slices": list(manifest.slices),
        "pairs": [list(pair) for pair in manifest.pairs],
        "rows": manifest.rows,
        "evaluation_keys": list(manifest.keys),
        "sources": [asdict(source) for source in manifest.sources],
        "weights": manifest.weights,
        "fractional": manifest.fractional,
        "grouped": manifest.grouped,
        "repeats": manifest.repeats,
        "hashing": manifest.hashing,
        "label_versions": manifest.label_versions,
        "delay_days": manifest.delay_days,
        "incomplete": [
            asdict(part) | {"period": None if part.period is None else str(part.period)} for part in manifest.incomplete
        ],
        "score_scale": c.SCALE,
        "weight_scale": c.product_scale(manifest.weights),
        "edges": list(ledger.edges.edges),
        "values": {name: list(texts) for name, texts in ledger.values.items()},
    }


def read(folder: str | Path) -> Ledger:
    """Read a saved ledger; every file is held against its SHA-256.

    Raises
    ------
    InputError
        A file is missing, damaged, foreign or of a newer format.
    """
    if not isinstance(folder, str | os.PathLike):
        raise ArgumentError(
            "a ledger is opened from its folder",
            got=type(folder).__name__,
            allowed="a path, as text or Path",
            next_step='fb.Ledger.open("out/ledger")',
        )
    root = Path(folder)
    return of_files(_manifest(root), lambda name: _content(root, name))


def of_files(told: Mapping[str, Any], fetch: Callable[[str], bytes]) -> Ledger:
    """The ledger of a manifest and of the files that it names.

    Raises
    ------
    InputError
        The manifest or a file is damaged; what ``fetch`` raises for a file that is missing passes through.
    """
    try:
        contract = Contract.from_toml(told["contract"], name=MANIFEST)
        manifest = _read_manifest(told, contract)
        edges = BinEdges(edges=tuple(float(edge) for edge in told["edges"]))
        values = {str(name): tuple(str(text) for text in texts) for name, texts in told["values"].items()}
        listed = [
            (str(item["name"]), str(item["sha256"]), str(item["kind"]), tuple(map(str, item["slices"])))
            for item in told["files"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, FbkitError) as error:
        raise _damaged(MANIFEST, f"{type(error).__name__}: {error}".splitlines()[0]) from error
    tables = {(kind, cut): _table(fetch, name, digest, manifest, kind, cut) for name, digest, kind, cut in listed}
    ledger = Ledger(tables=MappingProxyType(tables), values=MappingProxyType(values), edges=edges, manifest=manifest)
    _check_whole(ledger)
    return ledger


def _content(root: Path, name: str) -> bytes:
    try:
        return (root / name).read_bytes()
    except OSError as error:
        raise _damaged(name, error.strerror or type(error).__name__) from error


def _manifest(root: Path) -> dict[str, Any]:
    file = root / MANIFEST
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            "there is no ledger here",
            got=f"{root.name} without {MANIFEST}",
            allowed="a folder that ledger.save() wrote",
            next_step="name the folder of a saved ledger",
        ) from error
    except OSError as error:
        raise _damaged(MANIFEST, type(error).__name__) from error
    return read_manifest(text, where=root.name)


def read_manifest(text: bytes, *, where: str) -> dict[str, Any]:
    """The manifest of a saved ledger, if it is one of this format.

    Raises
    ------
    InputError
        It is damaged, foreign or of another format.
    """
    try:
        told = json.loads(text)
    except ValueError as error:
        raise _damaged(MANIFEST, type(error).__name__) from error
    if not isinstance(told, dict) or told.get("what") != KIND or not isinstance(told.get("files"), list):
        raise InputError(
            f"{MANIFEST} is not the manifest of a ledger",
            got=where,
            allowed="a folder that ledger.save() wrote",
            next_step="name the folder of a saved ledger",
        )
    if told.get("format") != FORMAT:
        raise InputError(
            f"{MANIFEST} has a ledger format that this version does not know",
            got=told.get("format"),
            allowed=FORMAT,
            next_step="update fbkit, or build the ledger again",
        )
    return told


def _read_manifest(told: Mapping[str, Any], contract: Contract) -> Manifest:
    if told["contract_hash"] != contract.hash:
        raise ValueError("the contract does not have the hash that is written beside it")
    incomplete = [
        UnreadablePart(**part | {"period": None if part["period"] is None else Period.parse(part["period"])})
        for part in told["incomplete"]
    ]
    return Manifest(
        contract=contract,
        as_of=parse_instant(told["as_of"]),
        slices=tuple(told["slices"]),
        pairs=tuple((str(first), str(second)) for first, second in told["pairs"]),
        rows=int(told["rows"]),
        keys=tuple(told["evaluation_keys"]),
        sources=tuple(SourceFile(**source) for source in told["sources"]),
        weights=told["weights"],
        fractional=bool(told["fractional"]),
        grouped=bool(told["grouped"]),
        repeats=bool(told["repeats"]),
        hashing=str(told["hashing"]),
        label_versions=str(told["label_versions"]),
        incomplete=tuple(incomplete),
        delay_days=told["delay_days"],
    )


def _table(
    fetch: Callable[[str], bytes], name: str, digest: str, manifest: Manifest, kind: str, cut: c.Cut
) -> pl.DataFrame:
    if Path(name).name != name:
        raise _damaged(MANIFEST, f"a file outside the folder: {name}")
    content = fetch(name)
    if sha256(content) != digest:
        raise _damaged(name, "its SHA-256 is not the one in the manifest")
    try:
        table = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(name, type(error).__name__) from error
    keys = dict.fromkeys(c.keys_of(kind, cut), pl.Int32())
    expected = keys | dict.fromkeys(c.sums_of(kind, extended=manifest.extended), pl.Int64())
    if dict(table.schema) != expected:
        raise _damaged(name, "its columns are not those of a ledger's table")
    return table


def _check_whole(ledger: Ledger) -> None:
    """Every slicing must add up to the number of predictions."""
    for (kind, cut), table in ledger.tables.items():
        total = int(table.get_column(c.ROWS).sum())
        if total != ledger.rows:
            raise _damaged(MANIFEST, f"{kind} by {', '.join(cut) or 'nothing'} holds {total} of {ledger.rows} rows")
    for kind, cut in ledger.manifest.tables:
        if (kind, cut) not in ledger.tables:
            raise _damaged(MANIFEST, f"no {kind} by {', '.join(cut) or 'nothing'}")


def _damaged(name: str, why: str) -> InputError:
    return InputError(
        f"the ledger's {name} cannot be used",
        got=why,
        allowed="the files as ledger.save() wrote them",
        next_step="copy the ledger again, or build it again from the logs",
    )
