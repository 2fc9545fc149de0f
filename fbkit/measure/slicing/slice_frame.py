"""The frame that a slice search returns: one line per slice, or one that says that none stands out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.measure.metrics import metrics
from fbkit.measure.registry import Asked
from fbkit.measure.stats.intervals import holm
from fbkit.schema import results
from fbkit.schema.protocols import JoinedLike

RANK: Final = "rank"
SLICE: Final = "slice"
CONDITIONS: Final = "conditions"
STANDS_OUT: Final = "stands_out"
NOTHING: Final = "no slice stands out"
NOT_CLEAR: Final = "not told apart from chance"
REPEATS: Final = "told by other slices"
NOT_CONFIRMED: Final = "not confirmed on the other half"
NUMBERS: Final = (
    "rest", "overall", "reference", "reference_rest", "reference_overall", "effect", "effect_lower", "effect_upper",
    "shrunken", "contribution", "contribution_lower", "contribution_upper", "share", "score", "p_value", "p_adjusted",
)  # fmt: skip
_ESTIMATE: Final = (results.VALUE, results.LOWER, results.UPPER, results.BOUND_LOWER, results.BOUND_UPPER)
_COUNTED: Final = (results.PERIOD_START, results.PERIOD_END, results.N, results.N_LABELLED, results.STAGE)
SEARCH_COLUMNS: Final = (
    results.METRIC, RANK, SLICE, STANDS_OUT, CONDITIONS, *_ESTIMATE, *NUMBERS, "n_tested", *_COUNTED, results.METHOD,
    results.REASON,
)  # fmt: skip

Named = tuple[tuple[str, str | None], ...]


class Line(NamedTuple):
    """One slice by (column, value), which columns are bins, its numbers, why it does not stand out (None: it does)."""

    named: Named
    bins: frozenset[str]
    numbers: Mapping[str, float]
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is said about the search itself; ``fill`` keeps slices that do not stand out."""

    depth: int
    columns: int
    tested: int
    confirm: bool
    fill: bool

    @property
    def method(self) -> str:
        found = f"conjunctions of up to {self.depth} of {self.columns} columns, {self.tested:,} tested"
        judged = "Benjamini-Hochberg, then Holm on the other half" if self.confirm else "Benjamini-Hochberg"
        return f"{found}, {judged}"


class _Silent:
    """A joined table that keeps no log: the questions asked here are parts of one that is logged."""

    evaluations = None

    def __init__(self, joined: JoinedLike) -> None:
        self._joined = joined

    def __getattr__(self, name: str) -> Any:
        return getattr(self._joined, name)


def silent(joined: JoinedLike) -> JoinedLike:
    """The same table without an evaluation log."""
    return _Silent(joined)  # pyright: ignore[reportReturnType]  # it answers for the table


def confirmed(lines: Sequence[Line], *, level: float) -> list[Line]:
    """Lines measured on rows that the search has not seen: Holm over those that stood out in it."""
    standing = [line for line in lines if line.reason is None]
    adjusted = holm(np.array([line.numbers["p_value"] for line in standing]))
    made = []
    for line, p_value in zip(standing, adjusted, strict=True):
        numbers = {**line.numbers, "p_adjusted": float(p_value)}
        made.append(line._replace(numbers=numbers, reason=None if p_value <= 1 - level else NOT_CONFIRMED))
    made.sort(key=lambda line: line.reason is not None)
    return [*made, *(line for line in lines if line.reason is not None)]


def framed(
    joined: JoinedLike,
    asked: Asked,
    lines: Sequence[Line],
    told: Told,
    *,
    expression: Callable[[Named], pl.Expr],
    values: Mapping[str, Any],
) -> pl.DataFrame:
    """The result frame. ``expression`` turns conditions into one of the joined table, ``values`` go to ``metrics``."""
    half = (pl.coalesce("entity", "prediction_id").hash(1) // 2) % 2 == 1 if told.confirm else None
    quiet = silent(joined)

    def estimate(named: Named) -> dict[str, Any]:
        conditions = [*([expression(named)] if named else []), *([] if half is None else [half])]
        where = pl.all_horizontal(conditions) if conditions else None
        return metrics(quiet, asked, where=where, **values).row(0, named=True)

    standing = [line for line in lines if line.reason is None]
    shown = list(lines) if told.fill else standing
    rows = [_row(line, estimate(line.named), rank=rank) for rank, line in enumerate(shown, start=1)]
    if not standing:
        rows = [_nothing(estimate(()), lines, told), *rows]
    frame = pl.DataFrame(rows, schema=_schema())
    method = pl.concat_str(pl.col(results.METHOD), pl.lit(told.method), separator="; ", ignore_nulls=True)
    return frame.with_columns(
        method.alias(results.METHOD), pl.lit(told.tested, dtype=pl.Int64).alias("n_tested"),
        pl.col(pl.Float64).fill_nan(None),
    ).select(SEARCH_COLUMNS)  # fmt: skip


def _row(line: Line, found: Mapping[str, Any], *, rank: int) -> dict[str, Any]:
    kept = {name: found[name] for name in (results.METRIC, *_ESTIMATE, *_COUNTED, results.METHOD)}
    missing = found[results.REASON] if found[results.VALUE] is None else None
    return (
        kept
        | {name: value for name, value in line.numbers.items() if name in NUMBERS}
        | {
            RANK: rank,
            SLICE: slice_text(line.named),
            STANDS_OUT: line.reason is None,
            CONDITIONS: [{"column": name, "value": value, "bin": name in line.bins} for name, value in line.named],
            results.REASON: "; ".join(part for part in (line.reason, missing) if part) or None,
        }
    )


def _nothing(found: Mapping[str, Any], lines: Sequence[Line], told: Told) -> dict[str, Any]:
    """The line of a search without a result: the whole's numbers, and why."""
    kept = {name: found[name] for name in (results.METRIC, *_ESTIMATE, *_COUNTED, results.METHOD)}
    tried = [line for line in lines if line.reason == NOT_CONFIRMED]
    if found[results.VALUE] is None:
        reason = found[results.REASON]
    elif not told.tested:
        reason = "every slice has too few rows"
    elif tried:
        reason = f"{NOTHING}: none of {len(tried)} found on one half is confirmed on the other"
    else:
        reason = f"{NOTHING} among {told.tested:,} tested"
    return kept | {"overall": found[results.VALUE], results.REASON: reason}


def slice_text(named: Named) -> str:
    """Conditions in words; a value that is null stands without quotes, one that is such a word in quotes."""
    return " and ".join(f"{name} = {_value_text(value)}" for name, value in named)


def _value_text(value: str | None) -> str:
    if value is None:
        return "(no value)"
    return value if value.strip() and value != "(no value)" and " and " not in value else repr(value)


def _schema() -> pl.Schema:
    texts = (results.METRIC, SLICE, results.STAGE, results.METHOD, results.REASON)
    instant = pl.Datetime("us", "UTC")
    conditions = pl.List(pl.Struct({"column": pl.String(), "value": pl.String(), "bin": pl.Boolean()}))
    return pl.Schema(
        dict.fromkeys(texts, pl.String())
        | dict.fromkeys((*_ESTIMATE, *NUMBERS), pl.Float64())
        | dict.fromkeys((RANK, "n_tested", results.N, results.N_LABELLED), pl.Int64())
        | dict.fromkeys((results.PERIOD_START, results.PERIOD_END), instant)
        | {CONDITIONS: conditions, STANDS_OUT: pl.Boolean()}
    )
