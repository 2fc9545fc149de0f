"""Which predictions of an entity have a window that holds an event, by ranges of ranks: a busy entity costs no more."""

from datetime import timedelta
from typing import Final

import polars as pl

from fbkit.schema.label import CLOSES

# A statement with more candidates than this lists only the one that claims it; so does every statement with rivals
# when together they would list more pairings than ROOM. The rivals are still counted.
LISTED: Final = 100
ROOM: Final = 20_000_000
_AT, _ROW, _FIRST, _END = "__at", "__row", "__first", "__end"


def window_pairs(
    predictions: pl.DataFrame,
    statements: pl.DataFrame,
    *,
    rule: str,
    width: timedelta | None,
    listed: int | None = None,
) -> pl.DataFrame:
    """Pair statements with the predictions of their entity whose window holds the event.

    Sorted by time and id, the predictions of an entity that can claim an event stand side by side: their number is a
    difference of two ranks, the earliest is the first of them, the latest the last.

    Parameters
    ----------
    predictions
        ``prediction_id``, ``ts_pred``, ``__closes`` (end of the window, included), ``__entity`` (null: none), and
        columns that are passed on.
    statements
        ``statement`` (a number), ``ts_event``, ``__entity``, and columns that are passed on.
    rule
        ``earliest``, ``latest``, ``unique`` or ``all``: who claims an event that several windows hold. Two predictions
        of one entity at the same instant: the smaller id is the earlier one.
    width
        The length of every window; None where windows differ in length.
    listed
        Statements with more candidates list only the one that claims them (default :data:`LISTED`, or 1 when more than
        :data:`ROOM` pairings would be listed); ``all`` and windows of differing length always list every pairing.

    Returns
    -------
    One row per listed pairing: the statement's columns, prediction_id, ts_pred, __closes, n_rivals, and fate (null for
    the one that claims it, ``not_chosen``, ``ambiguous``, ``no_candidate``). An ambiguous statement that is not listed
    has one row without prediction.
    """
    known = predictions.drop_nulls("__entity")
    known = known.sort("ts_pred", "prediction_id")
    widest = (known[CLOSES] - known["ts_pred"]).max() if width is None else width
    assert widest is None or isinstance(widest, timedelta)
    places, ranges = _ranges(known, statements, width=widest or timedelta(0))
    count = pl.col(_END) - pl.col(_FIRST)
    held = ranges.filter(count > 0)
    if width is None or rule == "all":
        crowded = held.clear()
    else:
        most = _most(held, listed=listed)
        crowded, held = held.filter(count > most), held.filter(count <= most)
    pairs = _listed(known, statements, places=places, held=held)
    if width is None:
        pairs = pairs.filter(pl.col("ts_event") <= pl.col(CLOSES)).with_columns(
            pl.col(_ROW).min().over(_AT).alias(_FIRST),
            (pl.col(_ROW).max().over(_AT) + 1).alias(_END),
            (pl.len().over(_AT) - 1).alias("n_rivals"),
        )
    pairs = pairs.with_columns(_lost(rule).alias("fate"))
    alone = _claimed(known, statements, places=places, crowded=crowded, rule=rule)
    found = pl.concat([pairs.select(alone.columns), alone])
    lonely = pl.repeat(value=True, n=statements.height, dtype=pl.Boolean, eager=True).scatter(found[_AT], values=False)
    nobody = statements.filter(lonely)
    nobody = nobody.with_columns(pl.lit("no_candidate").alias("fate"), pl.lit(0, dtype=pl.UInt32).alias("n_rivals"))
    return pl.concat([found.drop(_AT), nobody], how="diagonal")


def fate_counts(pairs: pl.DataFrame) -> pl.DataFrame:
    """How many pairings met which fate, those without a row of their own included: fate, rows."""
    counted = pairs.group_by("fate").agg(pl.len().cast(pl.Int64).alias("rows"))
    both = pl.concat([counted, unlisted(pairs)], how="vertical_relaxed")
    return both.group_by("fate").agg(pl.col("rows").sum()).sort("fate")


def unlisted(pairs: pl.DataFrame) -> pl.DataFrame:
    """How many pairings were counted but have no row of their own: fate, rows."""
    rivalled = pairs.select("statement", "n_rivals", "fate").filter(pl.col("n_rivals") > 0)
    per_statement = rivalled.group_by("statement").agg(
        (pl.col("n_rivals").first().cast(pl.Int64) + 1 - pl.len()).alias("rows"), pl.col("fate").first()
    )
    shared = pl.col("fate").is_in(["not_yet_arrived", "ambiguous"])
    fate = pl.when(shared).then("fate").otherwise(pl.lit("not_chosen"))
    return per_statement.filter(pl.col("rows") > 0).group_by(fate.alias("fate")).agg(pl.col("rows").sum()).sort("fate")


def _ranges(known: pl.DataFrame, statements: pl.DataFrame, *, width: timedelta) -> tuple[pl.Series, pl.DataFrame]:
    """Rows of ``known`` by entity and time, and the half-open range in that order which each statement may claim."""
    base = known.height + 1
    codes = known.select(pl.col("__entity").unique()).with_row_index("__code")
    code = pl.col("__code").cast(pl.Int64) * base
    keys = known.lazy().select("__entity").with_row_index(_ROW).join(codes.lazy(), on="__entity")
    places = keys.select(code + pl.col(_ROW)).collect().to_series().sort()
    made, event = known["ts_pred"], statements["ts_event"]
    bounds = pl.DataFrame(
        {
            "__entity": statements["__entity"],
            "__since": made.search_sorted(event - width, side="left"),
            "__upto": made.search_sorted(event, side="right"),
        }
    )
    asked = bounds.with_row_index(_AT).join(codes, on="__entity")
    asked = asked.select(_AT, pl.col("__since") + code, pl.col("__upto") + code).sort("__upto")
    ranges = asked.select(
        _AT,
        places.search_sorted(asked["__since"], side="left").cast(pl.Int64).alias(_FIRST),
        places.search_sorted(asked["__upto"], side="left").cast(pl.Int64).alias(_END),
    )
    return places % base, ranges.sort(_AT)


def _most(held: pl.DataFrame, *, listed: int | None) -> int:
    """The number of candidates up to which all of them are listed."""
    if listed is not None:
        return listed
    count = held[_END] - held[_FIRST]
    return LISTED if (count.filter(count <= LISTED).sum() or 0) - held.height <= ROOM else 1


def _listed(known: pl.DataFrame, statements: pl.DataFrame, *, places: pl.Series, held: pl.DataFrame) -> pl.DataFrame:
    """One row per statement and candidate, with the candidate's place among all places."""
    ranks = held.with_columns(pl.int_ranges(_FIRST, _END).alias(_ROW)).explode(_ROW)
    return _paired(known, statements, places=places, ranks=ranks).hstack(ranks.select(_FIRST, _END, _ROW))


def _claimed(
    known: pl.DataFrame, statements: pl.DataFrame, *, places: pl.Series, crowded: pl.DataFrame, rule: str
) -> pl.DataFrame:
    """One row per statement with too many candidates to list."""
    chosen = {"earliest": pl.col(_FIRST), "latest": pl.col(_END) - 1}.get(rule, pl.lit(None, dtype=pl.Int64))
    alone = _paired(known, statements, places=places, ranks=crowded.with_columns(chosen.alias(_ROW)))
    fate = pl.lit("ambiguous" if rule == "unique" else None, dtype=pl.String)
    return alone.with_columns(fate.alias("fate"))


def _paired(known: pl.DataFrame, statements: pl.DataFrame, *, places: pl.Series, ranks: pl.DataFrame) -> pl.DataFrame:
    rows = places.gather(ranks[_ROW])
    facts = known.drop("__entity").select(pl.all().gather(rows))
    rivals = ranks.select((pl.col(_END) - pl.col(_FIRST) - 1).cast(pl.UInt32).alias("n_rivals"))
    return statements.select(pl.all().gather(ranks[_AT])).hstack([ranks[_AT]]).hstack(facts).hstack(rivals)


def _lost(rule: str) -> pl.Expr:
    """Fate of each listed candidate: null for the one that claims the event."""
    if rule == "unique":
        return pl.when(pl.col("n_rivals") > 0).then(pl.lit("ambiguous"))
    if rule == "earliest":
        return pl.when(pl.col(_ROW) > pl.col(_FIRST)).then(pl.lit("not_chosen"))
    if rule == "latest":
        return pl.when(pl.col(_ROW) < pl.col(_END) - 1).then(pl.lit("not_chosen"))
    return pl.lit(None, dtype=pl.String)
