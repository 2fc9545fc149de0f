"""What it takes to check or repeat a document: hashes, versions, the call, seeds."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import polars as pl

from fbkit.report import numbers
from fbkit.report.document import Block, Fields, Table
from fbkit.schema.contract import Contract
from fbkit.schema.diagnosis import Diagnosis

PACKAGES: Final = ("fbkit", "polars", "numpy", "scipy", "altair", "vl-convert-python", "python-docx", "pydantic")

LOGS: Final = ("predictions", "actions", "outcomes", "feedback", "changes")

Source = tuple[str, str, int]


def versions() -> dict[str, str]:
    """The installed version of everything that made a number or a picture."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def source_rows(sources: Iterable[Sequence[object] | Mapping[str, object]]) -> list[Source]:
    """Name (``log/file``, without other folders or query), SHA-256 and rows of each source, sorted by name."""
    return sorted(_source(source) for source in sources)


def _source(source: Sequence[object] | Mapping[str, object]) -> Source:
    if isinstance(source, Mapping):
        name, digest, rows = source.get("name"), source.get("sha256"), source.get("rows")
    elif hasattr(source, "name"):
        name, digest, rows = (getattr(source, part, None) for part in ("name", "sha256", "rows"))
    else:
        name, digest, rows = tuple(source)[:3]
    parts = str(name).replace("\\", "/").split("?")[0].rstrip("/").split("/")
    plain = f"{parts[0]}/{parts[-1]}" if len(parts) > 1 and parts[0] in LOGS else parts[-1]
    return plain, str(digest), int(str(rows)) if rows is not None else -1


def facts(
    diagnosis: Diagnosis, contract: Contract, *, sources: Sequence[Source], call: str, written: datetime
) -> dict[str, object]:
    """The same facts for the manifest, under fixed keys."""
    return {
        "written": written,
        "as_of": diagnosis.as_of,
        "evaluation_id": diagnosis.evaluation_id,
        "call": call,
        "contract": {"model": contract.model.name, "sha256": contract.hash},
        "sources": [
            {"name": name, "sha256": digest, "rows": rows if rows >= 0 else None} for name, digest, rows in sources
        ],
        "versions": versions(),
        "seeds": {"bootstrap": diagnosis.method.get("seed")},
        "method": dict(diagnosis.method),
    }


def blocks(known: Mapping[str, object], audit: pl.DataFrame | None = None) -> list[Block]:
    """The provenance section of a document, from :func:`facts`."""
    sources, packages, method = known["sources"], known["versions"], known["method"]
    contract = known["contract"]
    if (
        not isinstance(sources, list)
        or not isinstance(packages, dict)
        or not isinstance(method, dict)
        or not isinstance(contract, dict)
    ):
        raise TypeError("facts() makes these")
    fields = [
        ("made by", str(known["call"]) or "a call that was not recorded"),
        ("written", numbers.instant(_moment(known["written"]))),
        ("as of", numbers.instant(_moment(known["as_of"]))),
        ("evaluation", str(known["evaluation_id"])),
        ("contract", f"{contract['model']}, SHA-256 {contract['sha256']}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in packages.items())),
        ("method", ", ".join(f"{name} {_setting(value)}" for name, value in method.items())),
    ]
    rows = [[str(item["name"]), numbers.count(item["rows"]), str(item["sha256"])] for item in sources]
    table = Table(columns=["source", "rows", "SHA-256"], rows=rows, numeric=frozenset({1}))
    made: list[Block] = [Fields(items=fields)]
    if rows:
        made.append(table)
    if audit is not None and audit.height:
        made.append(_account(audit))
    return made


def _account(audit: pl.DataFrame) -> Table:
    rows = [
        [str(table), str(rule), numbers.count(count)]
        for table, rule, count in audit.select("table", "rule", "rows").iter_rows()
    ]
    caption = "Every row that was read, by what became of it"
    return Table(columns=["log", "rule", "rows"], rows=rows, numeric=frozenset({2}), caption=caption)


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _setting(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} {_setting(item)}" for key, item in value.items()) + "}"
    return str(value)
