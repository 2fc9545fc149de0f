"""A page of explorers in one file: ledgers, the view, small result frames and facts; no row, no personal column."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError, InputError
from fbkit.ledger.ledger import Ledger
from fbkit.ledger.store import files_of, of_files, read_manifest
from fbkit.ledger.thin import Portable, largest, portable
from fbkit.schema.archive import MOST_BYTES, pack, unpack
from fbkit.schema.contract import Contract
from fbkit.schema.files import MANIFEST, sha256, write_file
from fbkit.schema.mask import export_frame, export_result

KIND: Final = "fbkit snapshot"
FORMAT: Final = 1
_FEW_BYTES: Final = 8_000_000
_FEW_SLICES: Final = 12
_MOST_ROWS: Final = 20_000_000
_MOST_CELLS: Final = 2_000_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a snapshot holds.

    Attributes
    ----------
    ledgers
        By name; the one that a page stands on is ``ledger``.
    view
        What the page looked at, as :class:`fbkit.explorers.state.View` writes it; empty if nothing was said.
    frames
        Small result frames by name, thin slices masked.
    facts
        Anything that JSON can carry: items of the checklist, a diagnosis.
    notes
        One sentence for each thing that was left out or told together when the snapshot was written.
    """

    ledgers: Mapping[str, Ledger]
    view: Mapping[str, Any]
    frames: Mapping[str, pl.DataFrame]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())

    @property
    def ledger(self) -> Ledger:
        """The first ledger."""
        return next(iter(self.ledgers.values()))

    @property
    def contract(self) -> Contract:
        """The contract of the loop."""
        return self.ledger.contract


def save_snapshot(
    path: str | Path,
    *,
    ledger: Ledger | Mapping[str, Ledger],
    view: Mapping[str, Any] | None = None,
    frames: Mapping[str, pl.DataFrame] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Write one file from which :func:`read_snapshot` gives all of this back, on any machine and without the logs.

    What it leaves at home: see :func:`fbkit.ledger.thin.portable` for ledgers; in frames, personal columns go and the
    numbers of slices with fewer rows than the contract's minimum are masked, with a second one where a total would
    give the first away. Where a ledger needs more than 8 MB, the smallest slices of the widest columns are told
    together, down to 12 slices and never the ones in the view's focus; ``notes`` say so. Equal content gives equal
    bytes. The file appears whole or not at all.

    Parameters
    ----------
    ledger
        The ledger, or several by name.
    view
        A view as a dictionary (``view.to_dict()``).
    frames, facts
        Small result frames, and facts that JSON can carry, by name (lower-case letters, digits, ``_`` and ``-``).

    Raises
    ------
    ArgumentError
        A name that is not allowed, a frame with more than 2 million cells, facts that JSON cannot carry, or a
        snapshot of more than 64 MB.
    OutputError
        The file cannot be written; what stood there before is untouched.
    """
    ledgers = {"ledger": ledger} if isinstance(ledger, Ledger) else dict(ledger)
    focus = (view or {}).get("focus")
    if not ledgers or not all(isinstance(held, Ledger) for held in ledgers.values()):
        raise ArgumentError(
            "a snapshot stands on a ledger",
            got=", ".join(type(held).__name__ for held in ledgers.values()) or "none",
            allowed="a fb.Ledger, or several by name",
            next_step="snapshot(path, ledger=joined.ledger(), ...)",
        )
    _check_names([*ledgers, *(frames or {}), *(facts or {})])
    files: dict[str, bytes] = {}
    notes: list[str] = []
    for name, held in ledgers.items():
        made, told = _small(held, focus if isinstance(focus, Mapping) else {})
        notes += told
        files |= {f"ledgers/{name}/{file}": content for file, content in made.items()}
    contract = next(iter(ledgers.values())).contract
    files |= {f"frames/{name}.parquet": _parquet(name, frame, contract) for name, frame in (frames or {}).items()}
    files |= {f"facts/{name}.json": _json(name, fact) for name, fact in (facts or {}).items()}
    files["view.json"] = _json("view", dict(view or {}))
    packed = pack({MANIFEST: _manifest(files, dict.fromkeys(notes)), **files})
    if len(packed) > MOST_BYTES:
        raise ArgumentError(
            "the snapshot would be larger than one that can be read",
            got=f"{len(packed):,} bytes",
            allowed=f"{MOST_BYTES:,} bytes",
            next_step="hand in a ledger of fewer slice columns, without pairs, or of a shorter time",
        )
    return write_file(path, packed)


def _small(ledger: Ledger, focus: Mapping[str, Any]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files of a ledger that may leave the machine, of a few MB: wide slice columns give way, the widest first."""
    base = portable(ledger)
    small, files = base.ledger, files_of(base.ledger)
    told: dict[str, Portable] = {}
    kept: dict[str, int] = {}
    while sum(map(len, files.values())) > _FEW_BYTES:
        name = _widest(small, files, kept)
        if name is None:
            break
        kept[name] = max((kept.get(name) or len(small.values[name])) // 2, _FEW_SLICES)
        small = base.ledger
        for column, most in kept.items():
            always = [focus[column]] if column in focus else ()
            told[column] = largest(small, column, most=most, always=always)
            small = told[column].ledger
        files = files_of(small)
    return files, (*base.notes, *(note for part in told.values() for note in part.notes))


def _widest(ledger: Ledger, files: Mapping[str, bytes], kept: Mapping[str, int]) -> str | None:
    """The slice column with the most bytes among those that can be told in fewer slices."""
    sizes: dict[str, int] = {}
    for (_, cut), content in zip(ledger.tables, files.values(), strict=False):
        for name in cut:
            sizes[name] = sizes.get(name, 0) + len(content)
    wide = [name for name in sizes if kept.get(name, len(ledger.values[name])) > _FEW_SLICES]
    return max(wide, key=lambda name: sizes[name], default=None)


def _check_names(names: list[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ArgumentError(
                "a name in a snapshot is not allowed",
                got=name,
                allowed="lower-case letters, digits, _ and -, at most 60",
                next_step="give it another name",
            )


def _parquet(name: str, frame: pl.DataFrame, contract: Contract) -> bytes:
    if frame.height * frame.width > _MOST_CELLS:
        raise ArgumentError(
            f"the frame {name} is too large for a snapshot",
            got=f"{frame.height:,} rows of {frame.width} columns",
            allowed=f"at most {_MOST_CELLS:,} cells",
            next_step="hand in a result, not rows",
        )
    minimum, personal = contract.slices.minimum, contract.privacy.personal
    masked = export_frame(frame, minimum=minimum, personal=personal)
    masked = export_result(masked, slices=contract.slices.columns, minimum=minimum)
    buffer = io.BytesIO()
    masked.write_parquet(buffer, compression="zstd", statistics=False)
    return buffer.getvalue()


def _json(name: str, fact: Any) -> bytes:
    try:
        text = json.dumps(fact, ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} is not what JSON can carry",
            got=str(error),
            allowed="texts, finite numbers, true, false, null, lists and dictionaries of them",
            next_step="turn instants into text, and what is not finite into null",
        ) from error
    return text.encode("utf-8", "replace")


def _manifest(files: Mapping[str, bytes], notes: Mapping[str, None]) -> bytes:
    listed = [{"name": name, "sha256": sha256(content), "bytes": len(content)} for name, content in files.items()]
    told = {"what": KIND, "format": FORMAT, "notes": list(notes), "files": listed}
    return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode()


def read_snapshot(path: str | Path) -> Snapshot:
    """Read a snapshot; every part is held against its size and its SHA-256 before it is looked into.

    Raises
    ------
    InputError
        The file is missing, damaged, foreign, of a newer format, or larger than any snapshot.
    """
    files = unpack(path, what="snapshot")
    where = Path(path).name
    notes = _checked(files, where)
    ledgers = {
        name.split("/")[1]: _ledger(files, name.rpartition("/")[0], where)
        for name in files
        if name.startswith("ledgers/") and name.endswith(f"/{MANIFEST}")
    }
    if not ledgers:
        raise _damaged(where, "there is no ledger in it")
    frames = {name: _frame(content, where, name) for name, content in _inside(files, "frames", ".parquet")}
    facts = {name: _fact(content, where, name) for name, content in _inside(files, "facts", ".json")}
    view = _fact(files.get("view.json", b"{}"), where, "view")
    if not isinstance(view, dict):
        raise _damaged(where, "its view is not a view")
    return Snapshot(
        ledgers=MappingProxyType(ledgers),
        view=MappingProxyType(view),
        frames=MappingProxyType(frames),
        facts=MappingProxyType(facts),
        notes=notes,
    )


def _checked(files: Mapping[str, bytes], where: str) -> tuple[str, ...]:
    try:
        told = json.loads(files[MANIFEST])
        what, version = told["what"], told["format"]
        listed = {str(item["name"]): str(item["sha256"]) for item in told["files"]}
        notes = tuple(map(str, told["notes"]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(where, f"its {MANIFEST} is not that of a snapshot") from error
    if what != KIND or version != FORMAT:
        raise InputError(
            f"{where} is of a kind or format that this version does not know",
            got=f"{what!s:.60}, format {version!s:.20}",
            allowed=f"{KIND}, format {FORMAT}",
            next_step="update fbkit, or have the snapshot written again",
        )
    if set(listed) != set(files) - {MANIFEST}:
        raise _damaged(where, "it does not hold the files that its manifest names")
    wrong = next((name for name, digest in listed.items() if sha256(files[name]) != digest), None)
    if wrong is not None:
        raise _damaged(where, f"{wrong}: its SHA-256 is not the one in the manifest")
    return notes


def _inside(files: Mapping[str, bytes], folder: str, ending: str) -> list[tuple[str, bytes]]:
    found = [(Path(name), content) for name, content in files.items() if name.startswith(f"{folder}/")]
    return [(name.stem, content) for name, content in found if name.suffix == ending]


def _ledger(files: Mapping[str, bytes], folder: str, where: str) -> Ledger:
    def fetch(name: str) -> bytes:
        content = files.get(f"{folder}/{name}")
        if content is None:
            raise _damaged(where, f"{name} of a ledger is missing")
        _check_rows(content, _MOST_ROWS, where, name)
        return content

    return of_files(read_manifest(files[f"{folder}/{MANIFEST}"], where=where), fetch)


def _frame(content: bytes, where: str, name: str) -> pl.DataFrame:
    _check_rows(content, _MOST_CELLS, where, name)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(where, f"{name}: {type(error).__name__}") from error


def _check_rows(content: bytes, most: int, where: str, name: str) -> None:
    """A few bytes can say a billion equal rows; their number stands in the file's own description."""
    try:
        rows = pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(where, f"{name}: {type(error).__name__}") from error
    if rows > most:
        raise _damaged(where, f"{name} says that it has {rows:,} rows")


def _fact(content: bytes, where: str, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, f"{name}: {type(error).__name__}") from error


def _damaged(where: str, why: str) -> InputError:
    return InputError(
        f"{where} is not a snapshot that can be used",
        got=why,
        allowed="a snapshot as it was written",
        next_step="copy it again, or have it written again",
    )
