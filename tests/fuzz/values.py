"""Ways in which the values and the columns of a log go wrong; each takes a frame and gives another."""

from collections.abc import Callable
from random import Random
from typing import Any

import polars as pl

Mutation = Callable[[pl.DataFrame, Random], pl.DataFrame]
HARD_TEXT = (
    "", " ", "\0", "\x07\x1b[31m", "null", "NaN", "-inf", "1e999", "-0", "TRUE", "\u202eabc", "\u200fשלום", "a\nb",
    'say "x"', "=cmd|' /C calc'!A0", "\x1f", "𝔘𝔫𝔦", "0x1F", "1,5", "1 234", "12%", "９", "é", "e\u0301",
    "9" * 23, "2024-03-04", "1709510400", "[]", "{}", "</script>", "\ufeff",
)  # fmt: skip
ODD_TIMES = (
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2024-02-30T00:00:00Z", "2024-03-31T02:30:00",
    "2024-10-27T02:30:00", "2024-03-04T05:06:07+05:30", "2024-03-04 05:06:07 UTC",
    "2024-03-04T05:06:07.123456789Z", "2024-03-04T05:06Z",
    "20240304T050607Z", "2024-W10-1", "04/03/2024 05:06", "4.3.2024",
    "Mon, 04 Mar 2024 05:06:07 GMT", "1709510400",
    "1709510400123", "2024-03-04T05:06:07+99:00", "2024-03-04T24:00:00Z", "2024-03-04T05:06:60Z", "-2024-03-04T0Z",
    "2024-03-04t05:06:07z", "0.5", "soon", "2024-03-04T05:06:07 Europe/Berlin",
)  # fmt: skip
TYPES: tuple[Any, ...] = (
    pl.Int8, pl.UInt8, pl.Int32, pl.Int64, pl.UInt64, pl.Int128, pl.Float32, pl.Float64, pl.Boolean, pl.String,
    pl.Categorical, pl.Decimal(20, 4), pl.Binary, pl.Date, pl.Datetime("ns"), pl.Datetime("ms"), pl.Datetime("us"),
    pl.Datetime("ns", "Asia/Kolkata"), pl.Datetime("ms", "America/New_York"), pl.Time, pl.Duration("us"), pl.Null,
    pl.List(pl.Int64), pl.Array(pl.Float64, 2), pl.Struct({"a": pl.Int64}),
)  # fmt: skip
NAMES = (
    "Score", "score ", "", "state", "statement", "rule", "fate", "key", "__entity", "__row", "entity", "literal",
    "label", "lag", "flagged", "ts_pred", "prediction_id", "x" * 300, "a\nb", "a.b", "^score$", "*", "len", "count",
    "__closes", "value", "__key_prediction_id", "propensity", "mature", "rows", "metric", "n", "index", "a\0b", "extra",
    "ts_logged", "ts_action", "session_id", "request_id", "label_version", "label_name", "audit_prob", "outcome_id",
)  # fmt: skip
NUMBERS: tuple[float, ...] = (
    float("nan"), float("inf"), float("-inf"), -0.0, 1e308, 5e-324, -1e-9, 1.0000001, 2.0, -3.0, 100.0, 2.0**53,
)  # fmt: skip


def _column(frame: pl.DataFrame, random: Random) -> str | None:
    """Mostly one of the first columns, which are the ones that count."""
    if not frame.columns:
        return None
    return frame.columns[min(random.randrange(frame.width), random.randrange(frame.width))]


def _put(frame: pl.DataFrame, name: str, values: list[Any], dtype: Any = None) -> pl.DataFrame:
    return frame.with_columns(pl.Series(name, values, dtype=dtype, strict=False))


def cast(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    """Another type, with values that became it as well as they could."""
    name = _column(frame, random)
    if name is None:
        return frame
    dtype = random.choice(TYPES)
    try:
        return frame.with_columns(pl.col(name).cast(dtype, strict=False))
    except pl.exceptions.PolarsError:
        return frame.with_columns(pl.lit(None, dtype=dtype).alias(name))


def nest(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    if name is None:
        return frame
    made = random.choice([pl.concat_list(pl.col(name)), pl.struct(pl.col(name))])
    return frame.with_columns(made.alias(name))


def hole(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name, share = _column(frame, random), random.choice([0.1, 0.6, 1.0])
    if name is None:
        return frame
    return _put(frame, name, [None if random.random() < share else v for v in frame[name]], frame.schema[name])


def hard_numbers(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    if not numeric:
        return frame
    name, share = random.choice(numeric), random.choice([0.1, 0.6])
    return _put(
        frame, name, [random.choice(NUMBERS) if random.random() < share else v for v in frame[name]], pl.Float64
    )


def rescale(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    """Percent, logits, cents, and a sign that turned."""
    numeric = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    if not numeric:
        return frame
    name = random.choice(numeric)
    value = pl.col(name).cast(pl.Float64)
    made = random.choice(
        [value * 100, (value.clip(0.01, 0.99) / (1 - value.clip(0.01, 0.99))).log(), -value, value / 0]
    )
    return frame.with_columns(made.alias(name))


def hard_text(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name, share = _column(frame, random), random.choice([0.1, 0.6, 1.0])
    if name is None or frame.schema[name].is_nested() or frame.schema[name] == pl.Binary:
        return frame
    values = frame[name].cast(pl.String, strict=False).to_list()
    return _put(frame, name, [random.choice(HARD_TEXT) if random.random() < share else v for v in values], pl.String)


def long_text(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    if name is None or frame.schema[name].is_nested() or not frame.height:
        return frame
    values = frame[name].cast(pl.String, strict=False).to_list()
    values[random.randrange(len(values))] = random.choice("xé\u202e\n,") * 100_000
    return _put(frame, name, values, pl.String)


def odd_times(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    times = [name for name in frame.columns if name.startswith("ts")]
    if not times:
        return frame
    name, share = random.choice(times), random.choice([0.1, 0.6, 1.0])
    values = frame[name].cast(pl.String, strict=False).to_list()
    return _put(frame, name, [random.choice(ODD_TIMES) if random.random() < share else v for v in values], pl.String)


def epochs(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, as numbers or as text; or a clock in a zone."""
    times = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    if not times:
        return frame
    name = random.choice(times)
    unit = random.choice(["s", "ms", "us", "ns", "days", "zone", "naive"])
    when = pl.col(name)
    if unit == "zone":
        return frame.with_columns(when.dt.replace_time_zone("America/New_York", ambiguous="null", non_existent="null"))
    if unit == "naive":
        return frame.with_columns(when.dt.replace_time_zone(None))
    number = when.dt.epoch("d" if unit == "days" else unit)  # type: ignore[arg-type]  # the units are its own
    return frame.with_columns(number.cast(random.choice([pl.Int64, pl.Float64, pl.String])).alias(name))


def huge_integers(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    if name is None:
        return frame
    big = random.choice([2**53 + 1, 2**63 - 1, -(2**63), 10**18])
    return _put(frame, name, [big - i for i in range(frame.height)] if big > 0 else [big] * frame.height, pl.Int64)


def float_ids(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    ids = [name for name in frame.columns if name.endswith("_id")]
    if not ids:
        return frame
    name = random.choice(ids)
    made = random.choice([pl.Float64, pl.Int64, pl.Int32, pl.Decimal(12, 2)])
    return frame.with_columns(pl.col(name).cast(pl.Float64, strict=False).cast(made, strict=False))


def reformat_ids(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    ids = [name for name in frame.columns if name.endswith("_id") and frame.schema[name] == pl.String]
    if not ids:
        return frame
    text = pl.col(random.choice(ids))
    return frame.with_columns(
        random.choice([text.str.strip_chars_start("0"), " " + text + " ", "P-" + text, text + ".0", text.str.head(3)])
    )


def repeat_rows(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    if not frame.height:
        return frame
    rows = [random.randrange(frame.height) for _ in range(random.choice([1, 5, 60]))]
    return pl.concat([frame, frame[rows]])


def repeat_ids(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    if name is None or not frame.height:
        return frame
    values, share = frame[name].to_list(), random.choice([0.1, 0.6, 1.0])
    one = values[random.randrange(len(values))]
    return _put(frame, name, [one if random.random() < share else v for v in values], frame.schema[name])


def swap_columns(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    if frame.width < 2:
        return frame
    one, other = random.sample(frame.columns, 2)
    return frame.rename({one: other, other: one}).select(frame.columns)


def rename(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    new = random.choice(NAMES)
    return frame if name is None or new in frame.columns else frame.rename({name: new})


def extra_column(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = random.choice([new for new in NAMES if new not in frame.columns])
    kind = random.choice([pl.lit(None), pl.lit(1), pl.lit("x"), pl.lit(b"x"), pl.concat_list(pl.lit(1), pl.lit(2))])
    return frame.with_columns(kind.alias(name))


def drop_column(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    name = _column(frame, random)
    return frame if name is None else frame.drop(name)


def one_column(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    return frame.select(frame.columns[:1])


def no_rows(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    return frame.clear()


def one_row(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    return frame.head(1)


def reorder(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    names = list(frame.columns)
    random.shuffle(names)
    return frame.select(names).reverse()


def all_text(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(pl.String, strict=False) for name in frame.columns)


def categories(frame: pl.DataFrame, random: Random) -> pl.DataFrame:
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(pl.col(texts).cast(pl.Categorical)) if texts else frame


VALUES: tuple[Mutation, ...] = (
    cast, cast, cast, nest, hole, hole, hard_numbers, hard_numbers, rescale, hard_text, hard_text, long_text, odd_times,
    odd_times, epochs, epochs, huge_integers, float_ids, reformat_ids, repeat_rows, repeat_ids, swap_columns, rename,
    rename, extra_column, drop_column, one_column, no_rows, one_row, reorder, all_text, categories,
)  # fmt: skip
