"""Join keys as both logs must write them: whole numbers without a decimal point, several parts as one clear id."""

from collections.abc import Sequence

import polars as pl

from fbkit.errors import InputError
from fbkit.load.columns import Casts, check_key_type


def whole_keys(frame: pl.DataFrame, *, keys: Sequence[str], table: str, casts: Casts) -> pl.DataFrame:
    """Key columns of a type that has one text form; a position that a null turned into 1.0 is 1 again.

    Raises
    ------
    InputError
        A key holds fractions, nested values or bytes.
    """
    for key in (name for name in keys if name in frame.columns):
        dtype = frame.schema[key]
        check_key_type(frame, column=key, table=table, floats=not key.endswith("_id"))
        if dtype.is_float():
            if not frame.select(whole := _whole(key))[key].all():
                raise InputError(
                    f"the join key {key} of the {table} log holds fractions",
                    got=", ".join(map(str, frame.filter(~whole)[key].head(3).to_list())),
                    allowed="text or whole numbers",
                    next_step="map the column that identifies a row under [join] keys",
                )
            frame = frame.with_columns(pl.col(key).cast(pl.Int64))
            casts.append((key, f"{dtype} -> Int64"))
    return frame


def _whole(key: str) -> pl.Expr:
    value = pl.col(key)
    return value.is_null() | (value.is_finite() & (value.abs() < 2.0**53) & (value == value.round()))


def id_of_keys(columns: Sequence[str]) -> pl.Expr:
    r"""Several keys as one id, parts joined by ``|``; null if a part is null or empty.

    A ``|`` or a backslash inside a part is marked by a backslash, so that different keys never make the same id.

    Examples
    --------
    >>> frame = pl.DataFrame({"request": ["r", "r|1"], "item": ["1|2", "2"]})
    >>> frame.select(id_of_keys(["request", "item"]).alias("id"))["id"].to_list()
    ['r|1\\|2', 'r\\|1|2']
    """
    parts = [pl.col(column).cast(pl.String) for column in columns]
    marked = [part.str.replace_all(r"([\\|])", r"\${1}") for part in parts]
    known = [pl.when(part.str.strip_chars() != "").then(text) for part, text in zip(parts, marked, strict=True)]
    return pl.concat_str(known, separator="|", ignore_nulls=False)
