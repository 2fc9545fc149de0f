"""Which periods rest on logs of which a part could not be read, and how that is said."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from fbkit.schema.label import longest_delay
from fbkit.schema.logs import UnreadablePart
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike
from fbkit.schema.results import PERIOD_END, PERIOD_START, REASON

# A missing part of these logs takes rows or labels from the predictions; the others only explain numbers.
_COUNTED = ("predictions", "outcomes", "actions")


def affected(part: UnreadablePart, *, delay: timedelta) -> Period | None:
    """The prediction times whose numbers the missing part changes; None is all of them.

    A lost outcome may have labelled any prediction whose window (with grace: ``delay``) was open at its time.
    """
    if part.period is None or part.table != "outcomes":
        return part.period
    return Period(start=part.period.start - delay, end=part.period.end)


def incomplete_warnings(joined: JoinedLike, *, within: Sequence[Period] = ()) -> tuple[str, ...]:
    """One sentence per part that is missing from a table, or only those that touch some periods."""
    said: list[str] = []
    for part, period in _of(joined):
        if _concerns(period, within):
            whom = "all predictions" if period is None else f"predictions of {period}"
            said.append(
                f"A part of the {part.table} log could not be read and was left out ({part.file}): the numbers of "
                f"{whom} are incomplete."
            )
    return tuple(said)


def mark_incomplete(frame: pl.DataFrame, joined: JoinedLike, *, everything: bool) -> pl.DataFrame:
    """Result rows whose period rests on a missing part say so in their ``reason``, beside whatever it said.

    ``everything``: the rows are about all predictions, so that a missing part concerns them wherever it lies.
    """
    for part, period in _of(joined):
        touched = pl.lit(value=True)
        if period is not None and not everything:
            before_end = pl.col(PERIOD_START).is_null() | (pl.col(PERIOD_START) < pl.lit(period.end))
            after_start = pl.col(PERIOD_END).is_null() | (pl.col(PERIOD_END) > pl.lit(period.start))
            touched = before_end & after_start
        frame = frame.with_columns(pl.when(touched).then(_told(part)).otherwise(REASON).alias(REASON))
    return frame


def mark_within(frame: pl.DataFrame, joined: JoinedLike, *, within: Sequence[Period]) -> pl.DataFrame:
    """Result rows that all rest on the same periods (on everything, if none is given) say which part is missing."""
    for part, period in _of(joined):
        if _concerns(period, within):
            frame = frame.with_columns(_told(part).alias(REASON))
    return frame


def _told(part: UnreadablePart) -> pl.Expr:
    said = pl.lit(f"incomplete: {part.file} could not be read")
    return pl.concat_str(pl.col(REASON).cast(pl.String), said, separator="; ", ignore_nulls=True)


def _concerns(period: Period | None, within: Sequence[Period]) -> bool:
    return (
        not within or period is None or any(period.start < other.end and other.start < period.end for other in within)
    )


def _of(joined: JoinedLike) -> list[tuple[UnreadablePart, Period | None]]:
    parts: Sequence[UnreadablePart] = getattr(joined, "incomplete", ())
    if not parts:
        return []
    delay = longest_delay(joined)
    return [(part, affected(part, delay=delay)) for part in parts if part.table in _COUNTED]
