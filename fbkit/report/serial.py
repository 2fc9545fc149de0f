"""A diagnosis, or any small frame, as JSON and CSV: fixed keys, ten significant digits, UTC with a Z."""

import csv
import dataclasses
import io
import json
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any

import polars as pl

from fbkit.report.escape import csv_cell
from fbkit.report.numbers import digits10
from fbkit.schema.diagnosis import Diagnosis
from fbkit.schema.period import Period, format_instant

_NOT_IN_JSON = frozenset({"evidence"})


def diagnosis_facts(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis under its normative keys, plain values only; evidence frames are left out."""
    names = [field.name for field in dataclasses.fields(Diagnosis) if field.name not in _NOT_IN_JSON]
    return {name: jsonable(getattr(diagnosis, name)) for name in names}


def diagnosis_json(diagnosis: Diagnosis) -> str:
    """:func:`diagnosis_facts` as JSON text, byte-identical for equal diagnoses."""
    return to_json(diagnosis_facts(diagnosis))


def to_json(facts: object) -> str:
    """JSON with two spaces, in the order of the facts; NaN never appears, invisible characters are escaped."""
    text = json.dumps(jsonable(facts), indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(map(_visible, text)) + "\n"


def _visible(sign: str) -> str:
    hidden = sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return json.dumps(sign)[1:-1] if hidden else sign


def jsonable(value: object) -> object:
    """Plain JSON values: numbers to ten digits, instants as ISO 8601 with Z, periods as ``A..B``."""
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, float):
        return digits10(value)
    if isinstance(value, pl.DataFrame):
        return [jsonable(row) for row in value.iter_rows(named=True)]
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [jsonable(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, Period):
        return str(value)
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if dataclasses.is_dataclass(value):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    number = getattr(value, "item", None)
    return jsonable(number()) if callable(number) else str(value)


def to_csv(frame: pl.DataFrame) -> bytes:
    """A frame as CSV that a spreadsheet opens without running anything; lists become text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in frame.columns])
    for row in frame.iter_rows():
        writer.writerow([csv_cell(_cell(value)) for value in row])
    return out.getvalue().encode()


def to_parquet(frame: pl.DataFrame) -> bytes:
    """A frame as Parquet with its own types, numbers to ten digits: equal frames give equal bytes."""
    rounded = frame.with_columns(_rounded(frame[name]) for name in frame.columns if frame.schema[name].is_float())
    out = io.BytesIO()
    rounded.rechunk().write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def _rounded(column: pl.Series) -> pl.Series:
    values = [None if value is None else digits10(value) for value in column.to_list()]
    return pl.Series(column.name, values, dtype=pl.Float64)


def _cell(value: object) -> object:
    plain = jsonable(value)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list | dict) else plain
