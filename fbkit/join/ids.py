"""How ids are written: their format, the ways in which systems rewrite them, and the ids nearest to a given one."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

import polars as pl

_UUID = r"(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_LONGEST_FORMAT = 40
_SAMPLED = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way of undoing a rewrite: what it does in words, as an expression and as code; ``text`` is its affix."""

    name: str
    words: str
    apply: Callable[[pl.Expr], pl.Expr]
    code: str
    text: str = ""


def _replaced(pattern: str, by: str = "", *, every: bool = False) -> tuple[Callable[[pl.Expr], pl.Expr], str]:
    method = "replace_all" if every else "replace"
    return lambda text: getattr(text.str, method)(pattern, by), f".str.{method}({pattern!r}, {by!r})"


def _step(name: str, words: str, made: tuple[Callable[[pl.Expr], pl.Expr], str]) -> Step:
    return Step(name=name, words=words, apply=made[0], code=made[1])


# In the order in which they are applied: wrappings first, then what is inside.
STEPS: Final = (
    _step("spaces", "spaces around it removed", (lambda text: text.str.strip_chars(), ".str.strip_chars()")),
    _step("urn", "urn:...: in front removed", _replaced(r"(?i)^urn:[a-z0-9][a-z0-9-]*:")),
    _step("braces", "brackets and quotes around it removed", _replaced(r"""^[{(\[<"']+|[})\]>"']+$""", every=True)),
    _step("decimal", ".0 at the end removed", _replaced(r"\.0+$")),
    _step("case", "written in lower case", (lambda text: text.str.to_lowercase(), ".str.to_lowercase()")),
    _step("separators", "dashes, underscores, dots, slashes and spaces removed", _replaced(r"[-_\s.:/]", every=True)),
    _step("zeros", "leading zeros of numbers removed", _replaced(r"(^|[^0-9])0+([0-9])", "${1}${2}", every=True)),
)


def prefix_step(text: str) -> Step:
    """Undo a constant prefix."""
    made = (lambda ids: ids.str.strip_prefix(text), f".str.strip_prefix({text!r})")
    return replace(_step("prefix", f"{text} in front removed", made), text=text)


def suffix_step(text: str) -> Step:
    """Undo a constant suffix."""
    made = (lambda ids: ids.str.strip_suffix(text), f".str.strip_suffix({text!r})")
    return replace(_step("suffix", f"{text} at the end removed", made), text=text)


def put_back_step(step: Step, text: str) -> Step:
    """Put the constant prefix or suffix of the other side in the place where a step removed one."""
    end = "^" if step.name == "prefix" else "$"
    by = text.replace("$", "$$")
    place = "in front" if step.name == "prefix" else "at the end"
    made = _replaced(end, by)
    return Step(name=f"new {step.name}", words=f"{text} put {place}", apply=made[0], code=made[1])


def padding_step(width: int) -> Step:
    """Pad a number with zeros to a fixed width."""
    return Step(
        name="padding",
        words=f"padded with zeros to {width} digits",
        apply=lambda text: text.str.strip_chars_start("0").str.zfill(width),
        code=f".str.strip_chars_start('0').str.zfill({width})",
    )


def applied(text: pl.Expr, steps: Iterable[Step]) -> pl.Expr:
    """The text after every step, in order."""
    for step in steps:
        text = step.apply(text)
    return text


def code_of(column: str, steps: Iterable[Step]) -> str:
    """The same as Polars code."""
    return f"pl.col({column!r})" + "".join(step.code for step in steps)


def format_of(text: pl.Expr) -> pl.Expr:
    """The pattern of an id: digits as 0, letters as a or A, ``uuid`` and long hexadecimal numbers by name.

    >>> pl.select(format_of(pl.lit("p-000123"))).item()
    'a-000000'
    """
    pattern = text.str.replace_all(r"[0-9]", "0").str.replace_all(r"\p{Lu}", "A").str.replace_all(r"\p{Ll}", "a")
    size = text.str.len_chars()
    cut = pl.when(size > _LONGEST_FORMAT).then(pattern.str.slice(0, _LONGEST_FORMAT) + "...").otherwise(pattern)
    both = text.str.contains("[0-9]") & text.str.contains("(?i)[a-f]")
    hexadecimal = both & text.str.contains(r"^([0-9a-f]{16,}|[0-9A-F]{16,})$")
    return (
        pl.when(text.str.contains(_UUID))
        .then(pl.lit("uuid"))
        .when(hexadecimal)
        .then(pl.format("{} hexadecimal digits", size))
        .otherwise(cut)
    )


def affixes(ids: pl.Series) -> tuple[set[str], set[str]]:
    """Constant prefixes and suffixes of the commonest formats: signs that every id of that format shares.

    Digits next to the part that varies belong to it: of ``tx_0001``, ``tx_0002`` the prefix is ``tx_``.
    """
    frame = ids.head(_SAMPLED).alias("id").to_frame().with_columns(pl.col("id").str.strip_chars())
    frame = frame.with_columns(
        pl.col("id").str.replace_all(r"[0-9]+", "0").str.replace_all(r"\p{L}+", "a").alias("format")
    )
    groups = frame.group_by("format").agg(
        pl.len(),
        pl.col("id").min().alias("first"),
        pl.col("id").max().alias("last"),
        pl.col("id").str.reverse().min().alias("first_back"),
        pl.col("id").str.reverse().max().alias("last_back"),
    )
    prefixes: set[str] = set()
    suffixes: set[str] = set()
    for row in groups.sort("len", "format", descending=[True, False]).head(3).iter_rows(named=True):
        if row["first"] == row["last"]:
            continue
        prefixes.add(_common(row["first"], row["last"]).rstrip("0123456789"))
        suffixes.add(_common(row["first_back"], row["last_back"])[::-1].lstrip("0123456789"))
    return prefixes - {""}, suffixes - {""}


def _common(first: str, last: str) -> str:
    """The beginning that the smallest and the largest text share, and so every text between them."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(sign for sign, _ in same)


def nearest_ids(ids: pl.Series, wanted: str, *, most: int = 3) -> list[str]:
    """Ids that differ from the wanted one only in how they are written; else that end with it, or begin like it."""
    if ids.is_empty():
        return []
    frame = ids.alias("id").to_frame()
    core = pl.select(applied(pl.lit(wanted), STEPS)).item()
    # A cheap look first: whatever is the same id ends in the same run of letters or digits.
    runs = re.findall(r"[a-z]+|[0-9]+", wanted.lower())
    tail = runs[-1].lstrip("0")[-3:] if runs else ""
    close = frame.filter(pl.col("id").str.to_lowercase().str.contains(tail, literal=True))
    alike = close.filter(applied(pl.col("id"), STEPS) == core)["id"]
    if alike.is_empty() and wanted:
        alike = frame.filter(pl.col("id").str.ends_with(wanted))["id"]
    length = len(wanted)
    while alike.is_empty() and length:
        alike = frame.filter(pl.col("id").str.starts_with(wanted[:length]))["id"]
        length -= 1
    return (alike if alike.len() else ids).sort().head(most).to_list()


def without(steps: Sequence[Step], step: Step) -> tuple[Step, ...]:
    """The steps but this one."""
    return tuple(item for item in steps if item is not step)
