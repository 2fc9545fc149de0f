"""What a bad column looks like, and examples of it that give away nobody."""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence

import polars as pl

from fbkit.schema.contract_parts import Source

_SALT = secrets.token_bytes(16)
_SAMPLE = 1000
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}([ T]|$)|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{8}T\d{4,6}")
_COMMA = re.compile(r"-?\d+,\d+")
_PERCENT = re.compile(r"-?\d+(\.\d+)?\s*%")
# 1980 to 2100 since 1970, in each unit that logs are written in.
_EPOCHS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_FIRST, _LAST = 315_532_800, 4_102_444_800
UNITS = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}

PROBABILITIES, PERCENT, MARGINS, TIMES, NUMBERS, WORDS = (
    "probabilities", "percent", "logits or margins", "times", "numbers", "words",
)  # fmt: skip


def looks_like(values: pl.Series) -> str | None:
    """What most of the values are: ``percent``, ``epoch milliseconds``, ``times``, ...; None where nothing tells.

    >>> looks_like(pl.Series([12.0, 55.5, 80.0])), looks_like(pl.Series([-2.1, 0.3, 4.0]))
    ('percent', 'logits or margins')
    >>> looks_like(pl.Series(["1709510400123"])), looks_like(pl.Series(["0,5", "0,25"]))
    ('epoch milliseconds', 'numbers with a decimal comma')
    """
    values = values.drop_nulls().head(_SAMPLE)
    if values.is_empty():
        return None
    if values.dtype.is_temporal():
        return TIMES
    if values.dtype.is_numeric():
        return _numbers(values.cast(pl.Float64, strict=False))
    if values.dtype not in (pl.String, pl.Categorical) and not isinstance(values.dtype, pl.Enum):
        return None
    texts = [text.strip() for text in values.cast(pl.String).to_list()]
    for pattern, name in ((_TIME, TIMES), (_COMMA, "numbers with a decimal comma"), (_PERCENT, "percent signs")):
        if sum(bool(pattern.match(text)) for text in texts) * 2 > len(texts):
            return name
    read = pl.Series(texts).cast(pl.Float64, strict=False)
    return _numbers(read.drop_nulls()) if read.null_count() * 2 < len(texts) else WORDS


def _numbers(values: pl.Series) -> str | None:
    known = values.filter(values.is_finite())
    if known.is_empty():
        return None
    most = 0.9 * known.len()
    for unit, factor in _EPOCHS.items():
        if known.is_between(_FIRST * factor, _LAST * factor).sum() >= most:
            return f"epoch {unit}"
    if known.is_between(0, 1).sum() >= most:
        return PROBABILITIES
    if known.is_between(0, 100).sum() >= most and (known > 2).any():
        return PERCENT
    return MARGINS if (known < 0).any() and (known.abs() < 100).all() else NUMBERS


def advice(kind: str | None, *, wanted: str) -> str:
    """What to do about a column that looks like ``kind`` where ``wanted`` was meant, as the start of a next step."""
    if kind is None:
        return ""
    said = f"these look like {kind}: "
    if kind.startswith("epoch "):
        unit = UNITS[kind.removeprefix("epoch ")]
        return said + f'write them as timestamps, pl.from_epoch("NAME", time_unit="{unit}").dt.replace_time_zone("UTC")'
    told = {
        PERCENT: "divide by 100",
        MARGINS: 'map a probability, or set score_kind = "margin"',
        "numbers with a decimal comma": "write them with a decimal point",
        "percent signs": "write them as numbers between 0 and 1",
    }
    if wanted in (PROBABILITIES, NUMBERS) and kind in told:
        return said + told[kind]
    return said + "another column may be meant"


def alike(frame: pl.DataFrame, *, wanted: Sequence[str], but: str) -> list[str]:
    """Up to three other columns that look like what was wanted: the two may be swapped."""
    return [name for name in frame.columns if name != but and looks_like(frame[name].head(100)) in wanted][:3]


def separator_in(names: Sequence[str]) -> str | None:
    """What seems to separate several names that stand in one: a semicolon, a tab or a bar."""
    signs = {"a semicolon": ";", "a tab": "\t", "a bar": "|"}
    return next((word for word, sign in signs.items() if len(names) == 1 and sign in names[0]), None)


def hidden_columns(source: Source, personal: Collection[str]) -> frozenset[str]:
    """The canonical names of what the contract calls personal, under the canonical name or the one in the file."""
    given = {name: {item} if isinstance(item, str) else set(item) for name, item in source.columns.items()}
    return frozenset(personal) | {name for name, items in given.items() if items & set(personal)}


def examples(values: pl.Series, *, hidden: bool, rows: pl.Series | None = None) -> str:
    """Up to five values with their row numbers (from 1); of personal data only a hash whose salt nobody knows.

    >>> examples(pl.Series(["ada", "bob"]), hidden=False)
    "'ada', 'bob'"
    """
    shown = [f"#{_hash(value)}" if hidden else _short(value) for value in values.head(5).to_list()]
    if rows is None:
        return ", ".join(shown)
    return ", ".join(f"row {row + 1}: {text}" for row, text in zip(rows.head(5).to_list(), shown, strict=True))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-12:]}"


def _hash(value: object) -> str:
    return hashlib.sha256(_SALT + str(value).encode("utf-8", "surrogatepass")).hexdigest()[:8]
