"""In words: how many labels follow another definition than the contract's, and until when that one was in force."""

import polars as pl

from fbkit.schema.contract import Contract


def definition_warnings(frame: pl.LazyFrame, *, audit: pl.DataFrame, contract: Contract) -> tuple[str, ...]:
    """Sentences on labels of other definition versions in a joined frame, and on those set aside for it; often none."""
    stated = contract.label.version
    if stated is None and not frame.select(pl.col("label_version").is_not_null().any()).collect().item():
        return ()  # the usual case, told from one column
    counted = frame.filter(pl.col("rule").is_not_null()).group_by("label_version").len().collect()
    versions = counted.sort("label_version", nulls_last=True).rows()
    labelled = int(counted["len"].sum())
    if stated is None:
        return _unstated([(name, rows) for name, rows in versions if name is not None])
    said: list[str] = []
    other = [(name, rows) for name, rows in versions if name not in (None, stated)]
    if other:
        which = ", ".join(f"{_in_force(name, contract=contract)}: {rows:,}" for name, rows in other)
        said.append(
            f"{sum(rows for _, rows in other):,} of {labelled:,} labels follow another definition than version "
            f'{stated} of {contract.label.name} ({which}): relabel them, or join with label_versions="current".'
        )
    unknown = dict(versions).get(None, 0)
    if 0 < unknown < labelled:
        said.append(f"{unknown:,} of {labelled:,} labels do not say by which definition version they were made.")
    aside = audit.filter(pl.col("rule") == "other_definition")["rows"].sum()
    if aside:
        said.append(
            f"{aside:,} statement{'s' if aside != 1 else ''} of another definition than version {stated} of "
            f"{contract.label.name} set aside."
        )
    return tuple(said)


def definition_counts(frame: pl.LazyFrame, *, audit: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The numbers of :func:`definition_warnings`: about (``labelled``, ``version X``, ...), rows."""
    counted = frame.filter(pl.col("rule").is_not_null()).group_by("label_version").len().collect()
    versions = counted.sort("label_version", nulls_last=True).rows()
    named = [(name, rows) for name, rows in versions if name is not None]
    found = {
        "labelled": int(counted["len"].sum()),
        "other definition": sum(rows for name, rows in named if name != contract.label.version),
        **{f"version {name}": rows for name, rows in named},
        "not stated": dict(versions).get(None, 0),
        "set aside": int(audit.filter(pl.col("rule") == "other_definition")["rows"].sum()),
        "definitions": len(named),
    }
    return pl.DataFrame(list(found.items()), schema={"about": pl.String, "rows": pl.Int64}, orient="row")


def _unstated(versions: list[tuple[str, int]]) -> tuple[str, ...]:
    if len(versions) < 2:
        return ()
    which = ", ".join(f"version {name}: {rows:,}" for name, rows in versions)
    return (f"The labels follow {len(versions)} definitions ({which}), and the contract states no label.version.",)


def _in_force(version: str, *, contract: Contract) -> str:
    """``version 2 until 2026-03-01``, as far as the contract's changelog says it."""
    changes = sorted(contract.label.changes, key=lambda change: change.date)
    numbers = [change.version for change in changes]
    if version in numbers:
        changes = changes[numbers.index(version) + 1 :]
    elif _is_newer(version, than=contract.label.version):
        changes = []
    # A version that the changelog does not name was in force before the first change.
    return f"version {version} until {changes[0].date.isoformat()}" if changes else f"version {version}"


def _is_newer(version: str, *, than: str | None) -> bool:
    return version.isdecimal() and than is not None and than.isdecimal() and int(version) > int(than)
