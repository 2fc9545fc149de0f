"""The plain objects behind the widgets: which rows, which periods, which choices. No widget, no kernel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from fbkit.charts.text import clean, distinct, instant_text
from fbkit.errors import ArgumentError
from fbkit.join.periods import resolve
from fbkit.join.receipt import personal_names
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.schema.contract import Contract
from fbkit.schema.logs import UnreadablePart
from fbkit.schema.period import Comparison, Period
from fbkit.schema.protocols import JoinedLike, check_joined

ALL = "all predictions"
STAGES = [("final only", "final"), ("all known so far", "any")]
STAGE_TIP = "final: only predictions whose label window has closed"
_WORKING = ("ts_pred", "score", "threshold", "flagged", "entity", "state", "label", "arrival_lag", "mature")
_WIDE = 200
_LISTED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Part of a joined table, which the measuring functions take as one."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str
    feed: pl.DataFrame | None = None
    data_through: Mapping[str, str] = field(default_factory=dict[str, str])
    incomplete: tuple[UnreadablePart, ...] = ()


def part(joined: JoinedLike, frame: pl.DataFrame) -> Rows:
    """``joined`` with another frame; how complete its feed is and what could not be read stay known."""
    return Rows(
        frame=frame,
        contract=joined.contract,
        as_of=joined.as_of,
        evaluation_key=joined.evaluation_key,
        feed=getattr(joined, "feed", None),
        data_through=getattr(joined, "data_through", {}),
        incomplete=tuple(getattr(joined, "incomplete", ())),
    )


def fix_periods(joined: JoinedLike, comparison: Comparison | None) -> tuple[Period, Period]:
    """Reference and current period; an open comparison is resolved by the joined table itself, as triage does."""
    check_joined(joined)
    if lazy_rows(joined).head(1).collect().is_empty():
        raise ArgumentError(
            "there are no predictions to explore",
            got=joined.contract.model.name,
            allowed="at least one joined prediction",
            next_step="look at joined.audit: it says where they went",
        )
    return resolve(joined, comparison).periods()


def before(reference: Period, days: Period) -> Period:
    """The reference, as far as it lies before the days that are looked at.

    Raises
    ------
    ArgumentError
        Nothing of it does.
    """
    if reference.end <= days.start:
        return reference
    if days.start <= reference.start:
        raise ArgumentError(
            "the days that are looked at have no reference before them",
            got=f"days {days}, reference {reference}",
            allowed="days that start after the reference does",
            next_step="brush later days, or clear the brush",
        )
    return Period(start=reference.start, end=days.start)


def within(joined: JoinedLike, period: Period, columns: Sequence[str]) -> pl.DataFrame:
    """The rows of a period with only the columns that a view needs."""
    names = list(dict.fromkeys([*_WORKING, *columns]))
    inside = (pl.col("ts_pred") >= period.start) & (pl.col("ts_pred") < period.end)
    rows = lazy_rows(joined).filter(inside).select(names).collect()
    # Slices are asked for again and again as text, entities as numbers: convert them once.
    return rows.with_columns(*(pl.col(name).cast(pl.String) for name in columns), pl.col("entity").cast(pl.Categorical))


def slice_columns(joined: JoinedLike) -> list[str]:
    """Columns to slice by: the contract's, else text columns with few values; the model version too."""
    schema = no_rows(joined).schema
    named = [name for name in joined.contract.slices.columns if name in schema]
    if not named:
        skipped = {"prediction_id", "entity", "request_id", "rule", "source", "label_version", *_WORKING}
        skipped |= personal_names(joined.contract)
        texts = [name for name, kind in schema.items() if kind == pl.String and name not in skipped]
        named = [name for name in texts if 1 < _values(joined, name) <= _WIDE]
    version = "model_version"
    if version in schema and version not in named and _values(joined, version) > 1:
        named.append(version)
    return named


def _values(joined: JoinedLike, column: str) -> int:
    """How many values a column has; of a long table on disk only this column is read."""
    return int(lazy_rows(joined).select(pl.col(column).n_unique()).collect().item())


def choices(names: Iterable[str | None]) -> list[tuple[str, str | None]]:
    """Options of a dropdown: what the reader sees, what the code gets."""
    values = list(dict.fromkeys(names))
    labels = distinct(values)
    return [(labels[value], value) for value in values]


def slice_values(joined: JoinedLike, column: str) -> list[str | None]:
    """The values of a slice column, the most frequent first, at most a list's length."""
    return counted_values(joined, column)[:_LISTED]


def counted_values(joined: JoinedLike, column: str) -> list[str | None]:
    """The values of a column as text, the most frequent first."""
    texts = lazy_rows(joined).select(pl.col(column).cast(pl.String)).collect()[column]
    return texts.value_counts(sort=True, name="n")[column].to_list()


def smallprint(joined: JoinedLike, *parts: str) -> str:
    """The line under a headline: whose numbers, known when, and what else was said."""
    return ", ".join([clean(joined.contract.model.name), f"as of {instant_text(joined.as_of)}", *parts])


def span_text(period: Period) -> str:
    """A period as people say it: first and last day."""
    last = period.end - timedelta(microseconds=1)
    return f"{period.start.day} {period.start:%b} to {last.day} {last:%b}"
