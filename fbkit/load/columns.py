"""From the names and types in a file to the canonical ones, with every cast written down."""

from collections.abc import Collection, Iterable, Sequence

import polars as pl

from fbkit.errors import InputError, nearest
from fbkit.load.looks import NUMBERS as PLAIN_NUMBERS
from fbkit.load.looks import PERCENT, PROBABILITIES, advice, alike, examples, looks_like, separator_in
from fbkit.load.times import to_utc
from fbkit.schema.contract_parts import Source

ENTITY_SEPARATOR = "\x1f"
# Only what a log's own checks and the join read is cast; a slice that happens to be called "rating" stays as it is.
TIMES = {
    "predictions": ("ts_pred", "ts_logged"),
    "outcomes": ("ts_event", "ts_arrival"),
    "actions": ("ts_action",),
    "changes": ("ts",),
    "feedback": ("ts_feedback",),
}
LATENCIES = ("latency_ms", "latency_feature_ms", "latency_inference_ms", "latency_post_ms")
NUMBERS = {
    "predictions": ("score", "threshold", "cost", *LATENCIES),
    "outcomes": ("label", "amount", "audit_prob"),
    "actions": ("propensity",),
    "changes": (),
    "feedback": ("rating",),
}
_ROW = "__row"
TEXTS = (
    "prediction_id", "outcome_id", "request_id", "response_id", "session_id", "item_id", "model_version", "policy_id",
    "action", "source", "label_version", "label_name", "environment", "status", "kind", "what", "owner", "ref",
)  # fmt: skip

Casts = list[tuple[str, str]]


class CountedCasts(Casts):
    """Casts for the audit, as (column, "from -> to"), and how many values of a column were no numbers."""

    def __init__(self, casts: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(casts)
        self.unreadable: dict[str, int] = {}


def canonical(
    frame: pl.DataFrame,
    *,
    source: Source,
    table: str,
    required: tuple[str, ...],
    zone: str | None,
    hidden: Collection[str] = (),
) -> tuple[pl.DataFrame, Casts]:
    """Rename mapped columns, check the required ones, and cast every canonical column once.

    A number that cannot be read becomes null and is counted. So does a required time; an optional one becomes the year
    1, so that its row is set aside as absurd, because "unknown" has a meaning there. Of ``hidden``
    columns (by canonical name) messages show hashes only.

    Returns the frame and the casts for the audit.

    Raises
    ------
    InputError
        A required or mapped column is missing, or a column cannot become its canonical type.
    """
    frame, source, casts = _plain_names(frame, source=source)
    refuse_other_separator(frame, table=table)
    frame = _rename(frame, source=source, table=table)
    for name in required:
        if name not in frame.columns:
            raise _missing(name, frame=frame, table=table)
    for name in frame.columns:
        before = frame.schema[name]
        if name in TIMES[table]:
            how = {"optional": name not in required, "hidden": name in hidden}
            frame = to_utc(frame, column=name, table=table, zone=source.timezone or zone, **how)
        elif name in NUMBERS[table]:
            frame, unreadable = to_number(frame, column=name, table=table, hidden=name in hidden)
            if unreadable and name not in required:
                casts.unreadable[name] = unreadable
        elif name in TEXTS:
            frame = to_text(frame, column=name, table=table)
        after = frame.schema[name]
        if before != after:
            casts.append((name, f"{before} -> {after}"))
    return frame, casts


def _plain_names(frame: pl.DataFrame, *, source: Source) -> tuple[pl.DataFrame, Source, CountedCasts]:
    """Give a name of its own to every column whose name Polars reads as a pattern, or that the kit keeps for itself."""
    odd = {name: free_name(name, frame.columns) for name in frame.columns if is_special(name)}
    if not odd:
        return frame, source, CountedCasts()
    mapped = {
        name: odd.get(given, given) if isinstance(given, str) else [odd.get(item, item) for item in given]
        for name, given in source.columns.items()
    }
    casts = CountedCasts((name, f"called {new}") for name, new in odd.items())
    return frame.rename(odd), source.model_copy(update={"columns": mapped}), casts


def is_special(name: str) -> bool:
    """Whether a name is a pattern for several columns (``*``, ``^...$``) or may be one of the kit's own (``__...``)."""
    return name == "*" or (name.startswith("^") and name.endswith("$")) or name.startswith("__")


def refuse_other_separator(frame: pl.DataFrame, *, table: str) -> None:
    """Refuse a file whose only column holds the names of several.

    Raises
    ------
    InputError
        It says what seems to separate them: a semicolon, a tab or a bar.
    """
    sign = separator_in(frame.columns)
    if sign is not None:
        raise InputError(
            f"the {table} log has one column, and it looks separated by {sign}",
            got=frame.columns[0],
            allowed="CSV files separated by commas",
            next_step="write the file with commas between its columns",
        )


def _missing(name: str, *, frame: pl.DataFrame, table: str) -> InputError:
    hint = nearest(name, frame.columns)
    step = f'map it in the contract: [{table}.columns] {name} = "{hint or "NAME IN THE FILE"}"'
    return InputError(
        f"the {table} log has no column {name}", got=", ".join(frame.columns), allowed=name, next_step=step
    )


def _rename(frame: pl.DataFrame, *, source: Source, table: str) -> pl.DataFrame:
    """Mapped columns under their canonical names; a column whose name is taken by another is called logged_*."""
    chosen: dict[str, str] = {}
    for name, given in source.columns.items():
        columns = _mapped(given, name=name, frame=frame, table=table)
        if name != "entity_id":
            chosen[name] = columns[0]
    moved = {old for name, old in chosen.items() if name != old}
    stay = [name for name in frame.columns if name not in moved or chosen.get(name) == name]
    made = [
        pl.col(name).alias(name if chosen.get(name, name) == name else free_name(name, frame.columns)) for name in stay
    ]
    made += [pl.col(old).alias(new) for new, old in chosen.items() if new != old]
    entity = _entity(frame, source=source, table=table)
    return frame.select(made) if entity is None else frame.select(made).with_columns(entity)


def _mapped(given: str | list[str], *, name: str, frame: pl.DataFrame, table: str) -> list[str]:
    columns = [given] if isinstance(given, str) else list(given)
    for column in columns:
        if column not in frame.columns:
            raise InputError(
                f"[{table}.columns] maps {name} to a column that is not in the file",
                got=column,
                allowed=", ".join(frame.columns),
                next_step=f"write one of the columns above{_did_you_mean(column, frame.columns)}",
            )
    if not columns or (len(columns) > 1 and name != "entity_id"):
        raise InputError(
            f"[{table}.columns] {name} needs one column",
            got=columns,
            allowed="one name; only entity_id takes several",
            next_step=f'write [{table}.columns] {name} = "NAME IN THE FILE"',
        )
    return columns


def free_name(name: str, taken: Iterable[str]) -> str:
    """``logged_name``, with a number if that is taken too."""
    free, number = f"logged_{name}", 1
    while free in taken:
        number += 1
        free = f"logged_{name}_{number}"
    return free


def _did_you_mean(column: str, known: list[str]) -> str:
    hint = nearest(column, known)
    return f" (did you mean {hint}?)" if hint else ""


def _entity(frame: pl.DataFrame, *, source: Source, table: str) -> pl.Series | None:
    given = source.columns.get("entity_id", "entity_id" if "entity_id" in frame.columns else None)
    if given is None:
        return None
    columns = [given] if isinstance(given, str) else given
    for column in columns:
        check_key_type(frame, column=column, table=table)
    return frame.select(entity_key(columns).alias("entity_id")).to_series()


def entity_key(columns: Sequence[str]) -> pl.Expr:
    """Several columns as one text key; null if any of them is null or empty."""
    parts = [pl.col(column).cast(pl.String).str.strip_chars() for column in columns]
    parts = [pl.when(part != "").then(part) for part in parts]
    return parts[0] if len(parts) == 1 else pl.concat_str(parts, separator=ENTITY_SEPARATOR, ignore_nulls=False)


def to_number(frame: pl.DataFrame, *, column: str, table: str, hidden: bool = False) -> tuple[pl.DataFrame, int]:
    """Cast to Float64; text that is no number is an error when it is most of what is there, else null and counted."""
    dtype = frame.schema[column]
    if dtype == pl.Float64:
        return frame, 0
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return frame.with_columns(pl.col(column).cast(pl.Float64)), 0
    if dtype not in (pl.String, pl.Categorical) and not isinstance(dtype, pl.Enum):
        raise _wrong_type(column, table=table, dtype=dtype, allowed="numbers")
    text = pl.col(column).cast(pl.String).str.strip_chars()
    words = text.str.to_lowercase().replace_strict({"true": "1", "false": "0"}, default=text)
    cast = frame.select(words.cast(pl.Float64, strict=False)).to_series()
    blank = (frame.select(text == "").to_series()).fill_null(value=True)
    bad = frame.select(pl.col(column), pl.int_range(pl.len()).alias(_ROW)).filter(cast.is_null() & ~blank)
    if bad.height * 2 > blank.len() - blank.sum():
        kind = looks_like(bad[column])
        raise InputError(
            f"column {column} of the {table} log is text, not numbers",
            got=examples(bad[column], hidden=hidden, rows=bad[_ROW]),
            allowed="numbers",
            next_step=_instead(frame, column=column, kind=kind, wanted=(PROBABILITIES, PERCENT, PLAIN_NUMBERS)),
        )
    return frame.with_columns(cast.alias(column)), bad.height


def _instead(frame: pl.DataFrame, *, column: str, kind: str | None, wanted: tuple[str, ...]) -> str:
    said = advice(kind, wanted=wanted[0]) or "write the column as a number, or map another column"
    others = alike(frame, wanted=wanted, but=column)
    return f"{said}; {', '.join(others)} would fit: are the columns swapped?" if others else said


def to_text(frame: pl.DataFrame, *, column: str, table: str) -> pl.DataFrame:
    """Cast an id or name to text; floats are refused for ids because 123 and 123.0 are not the same id."""
    if frame.schema[column] == pl.String:
        return frame
    check_key_type(frame, column=column, table=table, floats=not column.endswith("_id"))
    return frame.with_columns(pl.col(column).cast(pl.String))


def check_key_type(frame: pl.DataFrame, *, column: str, table: str, floats: bool = False) -> None:
    """Refuse what has no one text form, and floats where an id is meant."""
    dtype = frame.schema[column]
    if dtype.is_float() and not floats:
        raise _wrong_type(column, table=table, dtype=dtype, allowed="text or integers")
    check_text_type(frame, column=column, table=table)


def check_text_type(frame: pl.DataFrame, *, column: str, table: str) -> None:
    """Refuse nested values, bytes and durations, which have no one text form."""
    dtype = frame.schema[column]
    if dtype.is_nested() or dtype in (pl.Binary, pl.Duration, pl.Object):
        raise _wrong_type(column, table=table, dtype=dtype, allowed="text or integers")


def _wrong_type(column: str, *, table: str, dtype: pl.DataType, allowed: str) -> InputError:
    return InputError(
        f"column {column} of the {table} log has a type that cannot be used",
        got=str(dtype),
        allowed=allowed,
        next_step="cast it where the log is written, or map another column",
    )
