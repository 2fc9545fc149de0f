"""Every time becomes an instant in UTC with microseconds; a time without a zone is refused."""

import zoneinfo

import polars as pl

from fbkit.errors import ContractError, InputError
from fbkit.load.looks import TIMES, advice, alike, examples, looks_like

_UTC = pl.Datetime("us", "UTC")
_UNREADABLE = pl.lit(-62_135_596_800_000_000).cast(_UTC)  # the first instant of the year 1, which is always absurd
_EARLIEST, _LATEST = pl.datetime(1990, 1, 1, time_zone="UTC"), pl.datetime(2100, 1, 1, time_zone="UTC")


def to_utc(
    frame: pl.DataFrame, *, column: str, table: str, zone: str | None, optional: bool = False, hidden: bool = False
) -> pl.DataFrame:
    """Convert a column to ``Datetime("us", "UTC")``; text that is no time becomes null.

    Where the column is ``optional`` null means something, so there such a text becomes the year 1, which is absurd.
    ``hidden`` keeps its values out of messages.

    Raises
    ------
    InputError
        The column has no zone and the contract names none, or is not a time at all.
    """
    dtype = frame.schema[column]
    if dtype == _UTC:
        return frame
    if dtype == pl.Null:
        return frame.with_columns(pl.col(column).cast(_UTC))
    if isinstance(dtype, pl.Categorical | pl.Enum):
        frame = frame.with_columns(pl.col(column).cast(pl.String))
        dtype = frame.schema[column]
    known = frame.select(pl.col(column).is_not_null()).to_series()
    if dtype == pl.Date:
        frame = frame.with_columns(pl.col(column).cast(pl.Datetime("us")))
        dtype = frame.schema[column]
    if isinstance(dtype, pl.Datetime):
        local = _localise(pl.col(column), dtype=dtype, zone=zone, column=column, table=table)
        frame = frame.with_columns(local.alias(column))
    elif dtype == pl.String:
        known &= frame[column].str.strip_chars() != ""
        frame = _parse_text(frame, column=column, table=table, zone=zone, hidden=hidden)
    else:
        raise _no_time(frame, column=column, table=table, hidden=hidden)
    if not optional:
        return frame
    return frame.with_columns(
        pl.when(known & pl.col(column).is_null()).then(_UNREADABLE).otherwise(column).alias(column)
    )


def _no_time(frame: pl.DataFrame, *, column: str, table: str, hidden: bool) -> InputError:
    values = frame[column].drop_nulls()
    others = alike(frame, wanted=(TIMES,), but=column)
    said = advice(looks_like(values), wanted=TIMES) or "write timestamps instead of epoch numbers"
    return InputError(
        f"column {column} of the {table} log is not a time",
        got=f"{frame.schema[column]}, for example {examples(values.head(1), hidden=hidden)}",
        allowed="a timestamp with a zone, or ISO 8601 text such as 2013-05-27T14:05:00Z",
        next_step=f"{said}; {', '.join(others)} would fit: are the columns swapped?" if others else said,
    )


def _localise(expr: pl.Expr, *, dtype: pl.Datetime, zone: str | None, column: str, table: str) -> pl.Expr:
    expr = expr.dt.cast_time_unit("us")
    if dtype.time_zone is not None:
        return expr.dt.convert_time_zone("UTC")
    if zone is None:
        raise _naive(column, table=table, example=None)
    # In the hour that the clock repeats the earlier instant is taken; in the hour it skips there is no instant.
    return expr.dt.replace_time_zone(check_zone(zone), ambiguous="earliest", non_existent="null").dt.convert_time_zone(
        "UTC"
    )


def _parse_text(frame: pl.DataFrame, *, column: str, table: str, zone: str | None, hidden: bool) -> pl.DataFrame:
    text = frame[column].str.strip_chars()
    kind = looks_like(frame[column])
    if kind is not None and kind != TIMES and not _some_time(text):
        raise _no_time(frame, column=column, table=table, hidden=hidden)
    # One spelling for what databases and spreadsheets write: "2013-05-27 14:05:00 UTC", "...+00", "...+0200".
    text = text.str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]", "${1}T").str.replace(r"\s*(?:[zZ]|UTC|GMT)$", "+00:00")
    text = text.str.replace(r"(T.*?)\s*([+-]\d{2}):?(\d{2})$", "${1}${2}:${3}").str.replace(
        r"(T.*[+-]\d{2})$", "${1}:00"
    )
    has_offset = text.str.contains(r"T.*[+-]\d{2}:\d{2}$")
    naive = frame.filter(text.is_not_null() & ~has_offset)
    if zone is None and naive.height * 2 > text.drop_nulls().len():
        raise _naive(column, table=table, example=examples(naive[column].head(1), hidden=hidden))
    aware = [
        text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        for form in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
    ]
    parsed = pl.select(pl.coalesce(aware)).to_series()
    if zone is not None:
        plain = [
            text.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False),
            text.str.to_datetime("%Y-%m-%dT%H:%M", time_unit="us", strict=False),
            text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")),
        ]
        local = _localise(pl.coalesce(plain), dtype=pl.Datetime("us"), zone=zone, column=column, table=table)
        parsed = pl.select(pl.when(has_offset).then(parsed).otherwise(local)).to_series()
    return frame.with_columns(parsed.alias(column))


def _some_time(text: pl.Series) -> bool:
    """Whether any value starts as an ISO date: then bad ones are left to the quarantine."""
    return bool(text.str.contains(r"^\d{4}-\d{2}-\d{2}").any())


def check_zone(zone: str) -> str:
    """The zone's name if the machine knows it."""
    try:
        zoneinfo.ZoneInfo(zone or "none given")
        pl.select(pl.datetime(2000, 1, 1).dt.replace_time_zone(zone))
    except (pl.exceptions.PolarsError, zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ContractError(
            "the contract names an unknown time zone",
            got=zone,
            allowed="an IANA name such as Europe/Berlin",
            next_step='mend timezone in the contract (without one: --timezone); "UTC" always works',
        ) from error
    return zone


def absurd(column: str) -> pl.Expr:
    """True where the time is outside 1990..2100, which is a wrong unit rather than a late label."""
    return (pl.col(column) < _EARLIEST) | (pl.col(column) >= _LATEST)


def _naive(column: str, *, table: str, example: object) -> InputError:
    return InputError(
        f"column {column} of the {table} log has no time zone",
        got=example if example is not None else "naive timestamps",
        allowed="timestamps with a zone (UTC), or a zone named in the contract",
        next_step=f'set timezone = "UTC" (or the right zone) under [{table}] in the contract (without one: --timezone)',
    )
