"""Which rows of two versions are compared: the same requests scored twice, or two shares of the traffic.

*Same rows*: a row of each version is paired when both name the same ``request_id`` (and ``item_id`` where it is
logged); without request ids, the same entity at the same ``ts_pred`` (and item). Where a version answered one request
more than once, its first row counts, one with status ``ok`` before others. A pair has one outcome: a label that
somebody stated, for either row, before a censoring action, before silence; two statements that contradict each other
leave the pair without a label. Slices, entity and time are those of the champion's row. At least half of the smaller
version's rows must pair, else the versions are taken to serve split traffic.

*Split traffic*: the rows of the time in which both served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError, nearest
from fbkit.join.rows import lazy_rows, no_rows
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period, format_instant
from fbkit.schema.protocols import JoinedLike
from fbkit.schema.results import CENSORED, MISSING

SAME_ROWS: Final = "same rows"
SPLIT_TRAFFIC: Final = "split traffic"
FEWEST_PAIRED: Final = 0.5
"""Share of the smaller version's rows that must pair before the versions count as compared on the same rows."""
_LABEL: Final = (
    "state", "label", "ts_event", "ts_arrival", "lag", "arrival_lag", "rule", "source", "label_version", "late",
    "action", "blocked",
)  # fmt: skip
_ROW, _OTHER, _SUFFIX = "\0row", "\0other", "\0second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """The rows of one version as a joined table, so that every measure takes them."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str
    feed: pl.DataFrame | None = None
    data_through: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both versions' rows that are compared.

    Attributes
    ----------
    champion, challenger
        Their rows; on the same rows line by line about the same request.
    unpaired
        How many rows of each were left out because no row of the other is about the same request.
    limits
        The time in which both served, cut at the asked period; None if there is none.
    rule
        What pairs the rows, for people.
    contradicted
        Pairs whose two rows carry statements that contradict each other.
    reason
        Why nothing can be compared, if so.
    """

    champion: Half
    challenger: Half
    design: str
    limits: Period | None
    unpaired: tuple[int, int] = (0, 0)
    rule: str = ""
    contradicted: int = 0
    reason: str | None = None


def sides(
    joined: JoinedLike,
    *,
    champion: str,
    challenger: str,
    period: str | Period | None = None,
    slices: Sequence[str] = (),
) -> Sides:
    """The comparable rows of two versions in the time in which both served.

    Raises
    ------
    ArgumentError
        The versions are one, or one of them is not logged.
    """
    wanted = None if period is None else Period.parse(period)
    rows = lazy_rows(joined)
    _check_versions(rows, champion, challenger)
    if wanted is not None:
        rows = rows.filter((pl.col("ts_pred") >= wanted.start) & (pl.col("ts_pred") < wanted.end))
    served = {name: _span(rows, name) for name in (champion, challenger)}
    both = _overlap(served[champion], served[challenger])
    if both is None:
        halves = [_half(joined, no_rows(joined)) for _ in range(2)]
        reason = _never_together(served)
        return Sides(champion=halves[0], challenger=halves[1], design=SPLIT_TRAFFIC, limits=None, reason=reason)
    rows = rows.filter((pl.col("ts_pred") >= both.start) & (pl.col("ts_pred") < both.end))
    first, second = (
        frame.sort("ts_pred", "prediction_id")
        for frame in pl.collect_all([rows.filter(pl.col("model_version") == name) for name in (champion, challenger)])
    )
    for keys, rule in _keys(first, second):
        found = _pairs(first, second, keys=keys)
        if found.height >= FEWEST_PAIRED * min(first.height, second.height):
            return _same_rows(joined, first, second, found, limits=both, slices=slices, rule=rule)
    one, two = _half(joined, first), _half(joined, second)
    return Sides(champion=one, challenger=two, design=SPLIT_TRAFFIC, limits=both)


def _check_versions(rows: pl.LazyFrame, champion: str, challenger: str) -> None:
    if champion == challenger:
        raise ArgumentError(
            "champion and challenger are the same version",
            got=champion,
            allowed="two versions",
            next_step="name the version that serves, and the one that wants to",
        )
    counted = rows.group_by("model_version").len().sort("len", descending=True).collect()
    known = counted["model_version"].drop_nulls().to_list()
    for role, name in (("champion", champion), ("challenger", challenger)):
        if name in known:
            continue
        close = nearest(str(name), known)
        hint = "shadow rows are left out unless [predictions.where] environment names their environment"
        raise ArgumentError(
            f"no prediction of the {role} is in the joined table",
            got=name,
            allowed=", ".join(known[:10]) if known else "the prediction log names no model_version",
            next_step=f"did you mean {close!r}?" if close else hint,
        )


def _span(rows: pl.LazyFrame, version: str) -> tuple[datetime, datetime] | None:
    times = rows.filter(pl.col("model_version") == version).select(
        pl.col("ts_pred").min().alias("first"), pl.col("ts_pred").max().alias("last")
    )
    first, last = times.collect().row(0)
    return None if first is None else (first, last)


def _overlap(one: tuple[datetime, datetime] | None, two: tuple[datetime, datetime] | None) -> Period | None:
    if one is None or two is None:
        return None
    start, last = max(one[0], two[0]), min(one[1], two[1])
    return Period(start=start, end=last + timedelta(microseconds=1)) if start <= last else None


def _never_together(served: dict[str, tuple[datetime, datetime] | None]) -> str:
    absent = [name for name, span in served.items() if span is None]
    if absent:
        return f"no predictions of {' and '.join(absent)} in the period"
    said = [f"{name} {format_instant(span[0])} to {format_instant(span[1])}" for name, span in served.items() if span]
    return f"the versions never served at the same time ({'; '.join(said)}): before and after is no comparison"


def _keys(first: pl.DataFrame, second: pl.DataFrame) -> list[tuple[list[str], str]]:
    """What may identify a request, the best first."""

    def logged(name: str) -> bool:
        return all(name in side.columns and side[name].null_count() < side.height for side in (first, second))

    item = ["item_id"] if logged("item_id") else []
    found: list[tuple[list[str], str]] = []
    if logged("request_id"):
        found.append((["request_id", *item], f"same request_id{' and item_id' if item else ''}"))
    if logged("entity"):
        found.append((["entity", "ts_pred", *item], f"same entity and time{' and item_id' if item else ''}"))
    return found


def _pairs(first: pl.DataFrame, second: pl.DataFrame, *, keys: list[str]) -> pl.DataFrame:
    """Row numbers of both sides, in the champion's order."""
    numbered = [_first_answers(side, keys, name) for side, name in ((first, _ROW), (second, _OTHER))]
    return numbered[0].join(numbered[1], on=keys, how="inner").select(_ROW, _OTHER).sort(_ROW)


def _first_answers(side: pl.DataFrame, keys: list[str], name: str) -> pl.DataFrame:
    rows = side.with_row_index(name).drop_nulls(keys)
    if "status" in rows.columns:
        rows = rows.with_columns((pl.col("status").cast(pl.String) != "ok").fill_null(value=False).alias("\0bad"))
        rows = rows.sort("\0bad", name)
    return rows.select(*keys, name).unique(keys, keep="first", maintain_order=True)


def _same_rows(
    joined: JoinedLike,
    first: pl.DataFrame,
    second: pl.DataFrame,
    found: pl.DataFrame,
    *,
    limits: Period,
    slices: Sequence[str],
    rule: str,
) -> Sides:
    one, two = first[found[_ROW]], second[found[_OTHER]]
    shared, contradicted = _shared(one, two, slices=slices)
    halves = [_half(joined, side.with_columns(shared.get_columns())) for side in (one, two)]
    return Sides(
        champion=halves[0],
        challenger=halves[1],
        design=SAME_ROWS,
        limits=limits,
        unpaired=(first.height - found.height, second.height - found.height),
        rule=rule,
        contradicted=contradicted,
    )


def _shared(one: pl.DataFrame, two: pl.DataFrame, *, slices: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """What a pair has once: its outcome, time, maturity, entity and slices; and how many statements contradict."""
    label = [name for name in _LABEL if name in one.columns]
    names = list(
        dict.fromkeys([*label, "ts_pred", "mature", "entity", *(["closes"] * ("closes" in one.columns)), *slices])
    )
    both = pl.concat([one.select(names), two.select(names).rename(lambda name: name + _SUFFIX)], how="horizontal")

    # A silence that became a negative when its window closed has no event.
    event = "ts_event" if "ts_event" in label else "arrival_lag"

    def state(suffix: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
        known, hidden = pl.col("label" + suffix).is_not_null(), pl.col("state" + suffix) == CENSORED
        return known & pl.col(event + suffix).is_not_null(), hidden, known

    stated, hidden, known = state("")
    other_stated, other_hidden, other_known = state(_SUFFIX)
    by_other = ~stated & (other_stated | (~hidden & (other_hidden | (~known & other_known))))
    contradicts = stated & other_stated & (pl.col("label") != pl.col("label" + _SUFFIX))
    both = both.with_columns(by_other.alias("\0by_other"), contradicts.alias("\0contradicts"))
    outcome = [pl.when("\0by_other").then(pl.col(name + _SUFFIX)).otherwise(pl.col(name)).alias(name) for name in label]
    made = both.select(
        *outcome,
        "ts_pred",
        (pl.col("mature") & pl.col("mature" + _SUFFIX)).alias("mature"),
        *(pl.coalesce(name, name + _SUFFIX) for name in dict.fromkeys(["entity", *slices])),
        *(pl.max_horizontal(name, name + _SUFFIX).alias(name) for name in names if name == "closes"),
        "\0contradicts",
    )
    open_pair = pl.col("\0contradicts")
    made = made.with_columns(
        pl.when(~open_pair).then(pl.col("label")).alias("label"),
        pl.when(open_pair)
        .then(pl.lit(MISSING))
        .otherwise(pl.col("state").cast(pl.String))
        .cast(one["state"].dtype)
        .alias("state"),
    )
    return made.drop("\0contradicts"), int(made["\0contradicts"].sum())


def _half(joined: JoinedLike, frame: pl.DataFrame) -> Half:
    return Half(
        frame=frame,
        contract=joined.contract,
        as_of=joined.as_of,
        evaluation_key=joined.evaluation_key,
        feed=getattr(joined, "feed", None),
        data_through=getattr(joined, "data_through", {}),
    )
