"""Critical slices for the contract, proposed by a slice search and written as TOML."""

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.toml import toml_value

MOST: Final = 5


def critical_slices(frame: pl.DataFrame, contract: Contract, *, most: int = MOST) -> list[dict[str, Any]]:
    """The lines of a slice search that a contract can name as critical, in their order.

    A contract names values of its own slice columns: bins of numbers, null values and other columns are left out, and
    so is a slice that is named already.
    """
    known = set(contract.slices.columns)
    seen = [dict(where) for where in contract.slices.critical]
    made: list[dict[str, Any]] = []
    for row in frame.iter_rows(named=True):
        where = _where(row)
        if where is not None and where.keys() <= known and where not in seen and len(made) < most:
            made.append(row)
            seen.append(where)
    return made


def critical_toml(frame: pl.DataFrame, contract: Contract, *, most: int = MOST) -> str:
    """The ``[slices]`` lines that name the contract's critical slices, those it has and up to ``most`` found ones.

    ``frame`` is what ``fb.find_slices`` returned, with ``keep_unclear=True`` if slices that do not stand out may fill
    the list; a remark behind each says what was found. No line of the search fits: the list is as it was.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> print(critical_toml(fb.find_slices(joined, k=1), joined.contract).splitlines()[0])
    [slices]
    """
    kept = [f"  {toml_value(dict(where))},  # in the contract already" for where in contract.slices.critical]
    found = [f"  {toml_value(_where(row))},  # {_remark(row)}" for row in critical_slices(frame, contract, most=most)]
    columns = f"columns = {toml_value(list(contract.slices.columns))}"
    return "\n".join(_visible(line) for line in ["[slices]", columns, "critical = [", *kept, *found, "]", ""])


def _visible(line: str) -> str:
    """Signs that no one sees, or that turn text around, as TOML's escapes: the text is read on a terminal."""
    return "".join(
        f"\\U{ord(sign):08X}" if unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") else sign
        for sign in line
    )


def _where(row: Mapping[str, Any]) -> dict[str, str] | None:
    conditions = row["conditions"] or []
    if not conditions or any(part["bin"] or part["value"] is None for part in conditions):
        return None
    return {part["column"]: part["value"] for part in conditions}


def _remark(row: Mapping[str, Any]) -> str:
    """Numbers and fixed words only: a remark holds no text of users."""
    said = f"{row[results.METRIC]} {_number(row[results.VALUE])}"
    if row[results.LOWER] is not None and row[results.UPPER] is not None:
        said += f" ({_number(row[results.LOWER])} to {_number(row[results.UPPER])})"
    said += f", elsewhere {_number(row['rest'])}"
    if row["reference"] is not None:
        said += f", before {_number(row['reference'])}"
    said += f", {row[results.N]:,} predictions"
    return f"{said}, {row[results.REASON]}" if row[results.REASON] else said


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
