"""From the names and types in a file to the canonical ones, with every cast written down."""

import polars as pl

from fbkit.errors import InputError, nearest
from fbkit.load.times import to_utc
from fbkit.schema.contract_parts import Source

ENTITY_SEPARATOR = "\x1f"
TIMES = ("ts_pred", "ts_event", "ts_arrival", "ts_action", "ts_logged", "ts", "ts_feedback")
NUMBERS = ("score", "threshold", "label", "value", "propensity", "latency_ms", "cost", "amount", "audit_prob", "rating")
TEXTS = (
    "prediction_id", "outcome_id", "request_id", "session_id", "item_id", "model_version", "policy_id", "action",
    "source", "label_version", "label_name", "environment", "status", "kind", "what", "owner", "ref",
)  # fmt: skip

Casts = list[tuple[str, str]]


def canonical(frame: pl.DataFrame, *, source: Source, table: str, required: tuple[str, ...], zone: str | None) -> tuple[pl.DataFrame, Casts]:
    """Rename mapped columns, check the required ones, and cast every canonical column once.

    Returns the frame and the list of (column, "from -> to") casts for the audit.

    Raises
    ------
    InputError
        A required or mapped column is missing, or a column cannot become its canonical type.
    """
    frame = _rename(frame, source=source, table=table)
    for name in required:
        if name not in frame.columns:
            raise _missing(name, frame=frame, table=table)
    casts: Casts = []
    for name in frame.columns:
        before = frame.schema[name]
        if name in TIMES:
            frame = to_utc(frame, column=name, table=table, zone=source.timezone or zone)
        elif name in NUMBERS:
            frame = to_number(frame, column=name, table=table)
        elif name in TEXTS or name == "entity_id":
            frame = to_text(frame, column=name, table=table)
        after = frame.schema[name]
        if before != after:
            casts.append((name, f"{before} -> {after}"))
    return frame, casts


def _missing(name: str, *, frame: pl.DataFrame, table: str) -> InputError:
    hint = nearest(name, frame.columns)
    step = f'map it in the contract: [{table}.columns] {name} = "{hint or "NAME IN THE FILE"}"'
    return InputError(f"the {table} log has no column {name}", got=", ".join(frame.columns), allowed=name, next_step=step)


def _rename(frame: pl.DataFrame, *, source: Source, table: str) -> pl.DataFrame:
    renames: dict[str, str] = {}
    for name, given in source.columns.items():
        columns = [given] if isinstance(given, str) else list(given)
        for column in columns:
            if column not in frame.columns:
                raise InputError(
                    f"[{table}.columns] maps {name} to a column that is not in the file",
                    got=column,
                    allowed=", ".join(frame.columns),
                    next_step=f"write one of the columns above{_did_you_mean(column, frame.columns)}",
                )
        if name == "entity_id":
            continue
        renames[columns[0]] = name
    clash = [name for old, name in renames.items() if name != old and name in frame.columns and name not in renames]
    if clash:
        frame = frame.rename({name: f"logged_{name}" for name in clash})
    frame = frame.rename({old: new for old, new in renames.items() if old != new})
    return _with_entity(frame, source=source, renames=renames)


def _did_you_mean(column: str, known: list[str]) -> str:
    hint = nearest(column, known)
    return f" (did you mean {hint}?)" if hint else ""


def _with_entity(frame: pl.DataFrame, *, source: Source, renames: dict[str, str]) -> pl.DataFrame:
    given = source.columns.get("entity_id")
    if given is None:
        return frame
    columns = [renames.get(column, column) for column in ([given] if isinstance(given, str) else given)]
    return frame.with_columns(entity_key(columns).alias("entity_id"))


def entity_key(columns: list[str]) -> pl.Expr:
    """Several columns as one text key; null if any of them is null or empty."""
    parts = [pl.col(column).cast(pl.String).str.strip_chars() for column in columns]
    parts = [pl.when(part != "").then(part) for part in parts]
    return parts[0] if len(parts) == 1 else pl.concat_str(parts, separator=ENTITY_SEPARATOR, ignore_nulls=False)


def to_number(frame: pl.DataFrame, *, column: str, table: str) -> pl.DataFrame:
    """Cast to Float64; text that is not a number is an error when it is most of the column, else null."""
    dtype = frame.schema[column]
    if dtype == pl.Float64:
        return frame
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return frame.with_columns(pl.col(column).cast(pl.Float64))
    if dtype not in (pl.String, pl.Categorical) and not isinstance(dtype, pl.Enum):
        raise _wrong_type(column, table=table, dtype=dtype, allowed="numbers")
    text = pl.col(column).cast(pl.String).str.strip_chars()
    words = text.str.to_lowercase().replace_strict({"true": "1", "false": "0"}, default=text)
    cast = frame.select(words.cast(pl.Float64, strict=False)).to_series()
    bad = frame.filter(cast.is_null() & frame[column].is_not_null())
    if bad.height * 2 > frame.height:
        raise InputError(
            f"column {column} of the {table} log is text, not numbers",
            got=", ".join(repr(value) for value in bad[column].head(5).to_list()),
            allowed="numbers",
            next_step="write the column as a number, or map another column",
        )
    return frame.with_columns(cast.alias(column))


def to_text(frame: pl.DataFrame, *, column: str, table: str) -> pl.DataFrame:
    """Cast an id or name to text; floats are refused for ids because 123 and 123.0 are not the same id."""
    dtype = frame.schema[column]
    if dtype == pl.String:
        return frame
    if dtype.is_nested() or dtype == pl.Binary or (dtype.is_float() and column.endswith("_id")):
        raise _wrong_type(column, table=table, dtype=dtype, allowed="text or integers")
    return frame.with_columns(pl.col(column).cast(pl.String))


def _wrong_type(column: str, *, table: str, dtype: pl.DataType, allowed: str) -> InputError:
    return InputError(
        f"column {column} of the {table} log has a type that cannot be used",
        got=str(dtype),
        allowed=allowed,
        next_step="cast it where the log is written, or map another column",
    )
