"""Parts of a contract in words: spans, rules, sources; what is left open says so."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Final

from fbkit.report import numbers
from fbkit.schema.contract_parts import RulePart, Source
from fbkit.schema.durations import format_duration

NOT_STATED: Final = "not stated"
_UNITS: Final = {"d": "day", "h": "hour", "m": "minute", "s": "second", "w": "week"}
_CONDITIONS: Final = {"drop": "drops by", "rise": "rises by", "diverges": "diverges by"}


def stated(value: object) -> str:
    """The value as text, or that it is not stated."""
    if value is None or value == "":
        return NOT_STATED
    return numbers.instant(value) if isinstance(value, datetime) else str(value)


def listed(items: Iterable[str], *, between: str = ", ") -> str:
    """Items in a row, or that none is stated."""
    return between.join(items) or NOT_STATED


def where(slices: Mapping[str, str]) -> str:
    """A slice: ``region = EU``."""
    return " and ".join(f"{name} = {value}" for name, value in slices.items())


def span(value: timedelta | str) -> str:
    """A duration in words.

    >>> span(timedelta(days=90)), span(timedelta(hours=36)), span("session")
    ('90 days', '36 hours', 'the session')
    """
    if isinstance(value, str) and value == "session":
        return "the session"
    text = format_duration(value) if isinstance(value, timedelta) else value
    count, unit = text[:-1], _UNITS[text[-1]]
    return f"{count} {unit}" + ("" if count == "1" else "s")


def each(value: timedelta) -> str:
    """How often: ``every hour``.

    >>> each(timedelta(hours=1)), each(timedelta(hours=6))
    ('every hour', 'every 6 hours')
    """
    return f"every {span(value).removeprefix('1 ')}"


def amount(value: float) -> str:
    """A number as it was written, without an exponent.

    >>> amount(0.00008), amount(1200.0), amount(-8.5)
    ('0.00008', '1200', '-8.5')
    """
    return f"{Decimal(repr(value)).normalize() + 0:f}"


def rule(part: RulePart) -> str:
    """An alert or retrain rule as a clause.

    >>> rule(RulePart(metric="recall", condition="drop", by="10%", baseline="median 30d", lasting="6h"))
    'recall drops by 10% against the median of 30 days, for 6 hours'
    """
    if part.level is not None:
        clause = f"{part.metric} is {part.condition} {amount(part.level)}"
    else:
        clause = f"{part.metric} {_CONDITIONS[part.condition]} {part.by}{_against(part.baseline)}"
    lasting = f", for {span(part.lasting)}" if part.lasting else ""
    return f"{clause}{lasting}{_in(part)}"


def _against(baseline: str | None) -> str:
    if baseline is None:
        return ""
    if baseline == "reference":
        return " against the reference"
    kind, _, length = baseline.partition(" ")
    return f" against the {'median of' if kind == 'median' else 'previous'} {span(length)}"


def _in(part: RulePart) -> str:
    if part.slices is None or part.slices == "all":
        return "" if part.slices is None else ", in any slice"
    if part.slices == "critical":
        return ", in a critical slice"
    return f", in {' or '.join(where(item) for item in part.slices)}"


def source(part: Source) -> str:
    """Where a log is read from: names of files, never an address or an absolute path."""
    if part.query is not None:
        return f"a database query (connection in {part.connection_env})"
    path = (part.path or "").replace("\\", "/").partition("?")[0]
    if "://" in path or path.startswith("/") or path[1:2] == ":" or ".." in path:
        path = PurePosixPath(path).name
    return path or NOT_STATED
