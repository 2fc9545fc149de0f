"""Pair by the hash of a key where that is enough: each key stands for one prediction and one statement at most."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.pair import fate
from fbkit.join.settle import other_definition
from fbkit.join.slim import ENTITY, KEY, ROW
from fbkit.schema.contract import Contract
from fbkit.schema.label import CLOSES, LabelWindow
from fbkit.schema.rules import OUTCOME_FATE

FATE = pl.Enum(sorted(OUTCOME_FATE))
_NONE = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which rows a one-to-one match decides (True), row by row of each source; no pairing crosses the split."""

    predictions: pl.Series
    outcomes: pl.Series


def split(predictions: pl.DataFrame, outcomes: pl.DataFrame) -> Split:
    """Find the rows that are not simple: a key that occurs twice in a log, or belongs to a repeated id; no key at all.

    A statement without a key may belong to any prediction of its entity, so all of these are not simple either.

    Rows that a rule refuses are not simple either; who needs them finds them by their verdict.
    """
    made, said = predictions["verdict"].is_null(), outcomes["verdict"].is_null()
    twice = [_twice(predictions, made, name) for name in ("__id", KEY)]
    twice += [_twice(outcomes, said, name) for name in (KEY, "__statement") if name in outcomes.columns]
    wanted = outcomes[ENTITY].filter(said & outcomes[KEY].is_null()).drop_nulls().unique()
    claimed = _among(predictions[ENTITY], wanted) if ENTITY in predictions.columns else None
    if claimed is not None:
        twice.append(predictions[KEY].filter(made & claimed).drop_nulls())
    keys = pl.concat(twice).unique()
    simple = made & ~_among(predictions[KEY], keys)
    # A prediction without a key pairs with nothing by key and is simple; a statement without one has to look further.
    return Split(
        predictions=simple if claimed is None else simple & ~claimed,
        outcomes=said & ~_among(outcomes[KEY], keys) & outcomes[KEY].is_not_null(),
    )


def _twice(frame: pl.DataFrame, usable: pl.Series, name: str) -> pl.Series:
    """The keys of the rows that share this column's value with another usable row."""
    values = frame[name] if usable.all() else frame[name].set(~usable, None)
    if values.n_unique() - (values.null_count() > 0) == len(values) - values.null_count():
        return frame[KEY].clear()
    return frame[KEY].filter(values.is_duplicated() & values.is_not_null()).drop_nulls()


def _among(values: pl.Series, keys: pl.Series) -> pl.Series:
    if keys.is_empty():
        return pl.repeat(value=False, n=len(values), dtype=pl.Boolean, eager=True)
    return values.is_in(keys.implode()).fill_null(value=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The simple pairings.

    Attributes
    ----------
    statement
        By row of the prediction log: the row of the outcome log that carries its key, or null.
    paired
        By row of the outcome log: whether a prediction that was known by then has its key.
    fate
        By row of the outcome log: why the statement cannot count; null where it may, and for rows that are not simple.
    """

    statement: pl.Series
    paired: pl.Series
    fate: pl.Series


def match(
    predictions: pl.DataFrame,
    outcomes: pl.DataFrame,
    parts: Split,
    *,
    contract: Contract,
    as_of: datetime,
    strict: bool,
) -> Matched:
    """Match every simple statement with the simple prediction of its key that was known by then.

    With ``strict`` only statements of the contract's label version count.
    """
    window = LabelWindow.of(contract)
    known = parts.predictions & (predictions["known_at"] <= as_of)
    row_of, statement = _pairs(predictions[KEY], outcomes[KEY], known=known, simple=parts.outcomes)
    made_at = predictions["ts_pred"].gather(row_of)
    marked = pl.LazyFrame(
        {
            "ts_pred": made_at,
            CLOSES: made_at + window.window,
            "ts_event": outcomes["ts_event"],
            "ts_arrival": outcomes["ts_arrival"],
            "source": outcomes["source"],
            "label_version": outcomes["label_version"],
            "simple": parts.outcomes,
        }
    )
    unknown = pl.when(pl.col("ts_arrival") > pl.lit(as_of)).then(pl.lit("not_yet_arrived"))
    orphan = pl.when(pl.col("ts_pred").is_null()).then(pl.lit("orphan"))
    version = contract.label.version
    other = [] if version is None or not strict else [other_definition(version, strict=True)]
    found = pl.coalesce(unknown, orphan, fate(), *other).cast(FATE)
    fates = marked.select(fate=pl.when("simple").then(found)).collect(engine="streaming")
    return Matched(statement=statement, paired=row_of.is_not_null(), fate=fates["fate"])


def _pairs(made: pl.Series, said: pl.Series, *, known: pl.Series, simple: pl.Series) -> tuple[pl.Series, pl.Series]:
    """For every statement the row of its prediction, and the other way round; null where there is none."""
    left = pl.LazyFrame({KEY: said, "statement": _numbers(said), "keep": simple}).filter("keep").drop("keep")
    right = pl.LazyFrame({KEY: made, ROW: _numbers(made), "keep": known}).filter("keep").drop("keep")
    # Pairs are one to one, so their order is of no consequence.
    pairs = left.join(right, on=KEY, how="inner", maintain_order="none").select("statement", ROW)
    found = pairs.collect(engine="streaming")
    rows, statements = found[ROW].to_numpy(), found["statement"].to_numpy()
    return _scattered(statements, rows, length=len(said)), _scattered(rows, statements, length=len(made))


def _numbers(values: pl.Series) -> pl.Series:
    return pl.int_range(len(values), dtype=pl.UInt32, eager=True)


def _scattered(at: NDArray[np.uint32], values: NDArray[np.uint32], *, length: int) -> pl.Series:
    made = np.full(length, _NONE, dtype=np.uint32)
    made[at] = values
    series = pl.Series("row", made)
    return pl.select(pl.when(series != _NONE).then(series)).to_series()
