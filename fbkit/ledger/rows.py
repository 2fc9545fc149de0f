"""Joined rows, a batch at a time, as the whole numbers that a ledger's keys and sums are made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.join.rows import closes, lazy_rows, no_rows, settled
from fbkit.ledger import columns as c
from fbkit.ledger.edges import BinEdges
from fbkit.schema.protocols import JoinedLike
from fbkit.schema.results import PENDING

BATCH = 1_000_000
_DAY = 86_400_000_000
_LABEL, _SCORE, _WEIGHT = "\0label", "\0score", "\0weight"
WEEK, HASH = "\0week", "\0hash"
_SEED = 20_260_301


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is read of the rows: slice columns, score bins, weights, whether groups of entities are made."""

    slices: tuple[str, ...]
    edges: BinEdges
    weights: str | None
    extended: bool
    grouped: bool

    @property
    def product_scale(self) -> int:
        """Without weights the products of a row are its own powers, to the bit."""
        return c.product_scale(self.weights)


@dataclass(slots=True)
class Texts:
    """Texts of one column by the number they were given while they were read."""

    seen: dict[int, str] = field(default_factory=dict[int, str])
    held: list[pl.Series] = field(default_factory=list[pl.Series])

    def code(self, column: pl.Series) -> pl.Series:
        """Numbers for the texts of a batch; the same text has the same one in every batch, null has none."""
        categories = column.cast(pl.String).cast(pl.Categorical)
        distinct = categories.unique().drop_nulls()
        # Numbers are kept apart only as long as somebody holds the texts.
        self.held.append(distinct)
        numbers = distinct.to_physical().to_list()
        self.seen.update(zip(numbers, distinct.cast(pl.String).to_list(), strict=True))
        return categories.to_physical().cast(pl.Int64)

    def settle(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The texts in order, and for each number of the reading its place among them."""
        texts = tuple(sorted(self.seen.values()))
        places = {text: place for place, text in enumerate(texts)}
        lookup = np.zeros(max(self.seen, default=0) + 1, dtype=np.int64)
        for number, text in self.seen.items():
            lookup[number] = places[text]
        return texts, lookup


def batches(joined: JoinedLike, asked: Asked, texts: dict[str, Texts]) -> Iterator[pl.DataFrame]:
    """Batches of working rows: key columns, then the columns to be added up."""
    rows = lazy_rows(joined)
    height = rows.select(pl.len()).collect().item()
    names = [*dict.fromkeys([*asked.slices, c.VERSION])]
    wanted = _times(joined) + _rest(asked)
    for start in range(0, height, BATCH):
        batch = rows.slice(start, BATCH).select(*wanted, *(pl.col(name).alias(f"\0{name}") for name in names)).collect()
        if asked.grouped:
            batch = _buckets(batch, rows.slice(start, BATCH))
        coded = {name: texts[name].code(batch.get_column(f"\0{name}")) for name in names}
        yield _working(batch, coded, asked)


def _times(joined: JoinedLike) -> list[pl.Expr]:
    """Days, and what happens later in whole days after them; see :mod:`fbkit.ledger.columns`."""
    there = no_rows(joined).columns
    made = _micro("ts_pred")
    known_at = pl.max_horizontal(made, _micro("ts_logged")) if "ts_logged" in there else made
    closing = closes(joined).dt.timestamp("us")
    labelled = pl.col("label").is_not_null()
    mature = pl.col("mature")
    lag = pl.col("arrival_lag").dt.total_microseconds()
    # A label without an arrival is a silence that became a negative when the window closed.
    silent = pl.when(mature).then(closing).otherwise(pl.lit(_instant(joined.as_of)))
    known = pl.when(labelled).then(pl.coalesce(made + lag, silent))
    day = made // _DAY
    return [
        day.alias(c.DAY),
        (_up(known_at) - day).alias(c.SEEN),
        (_up(known) - day).clip(lower_bound=0).alias(c.KNOWN),
        pl.when(labelled).then(_up(lag)).alias(c.LAG),
        pl.when(mature).then(_up(closing) - day).alias(c.MATURES),
        settled(joined).cast(pl.Int64).alias(c.SETTLED),
        mature.cast(pl.Int64).alias(c.MATURE),
    ]


def _rest(asked: Asked) -> list[pl.Expr]:
    made = [
        state_code().alias(c.STATE),
        pl.col("flagged").cast(pl.Int64).alias(c.FLAGGED),
        pl.col("score").cast(pl.Float64).alias(_SCORE),
    ]
    if asked.extended:
        weight = pl.lit(1.0) if asked.weights is None else pl.col(asked.weights).cast(pl.Float64)
        made += [pl.col("label").cast(pl.Float64).alias(_LABEL), weight.alias(_WEIGHT)]
    if asked.grouped:
        entity = pl.col("entity")
        made.append(pl.when(entity.is_not_null()).then(entity.hash(_SEED)).alias(HASH))
    return made


def state_code() -> pl.Expr:
    """The code of a row's label state; a label between 0 and 1 is neither positive nor negative."""
    label, state = pl.col("label"), pl.col("state").cast(pl.String)
    unlabelled = {name: c.CODE[name] for name in c.STATES if c.CODE[name] not in c.LABELLED_CODES}
    code = pl.when(label == 1).then(0).when(label == 0).then(1).when(label.is_not_null()).then(2)
    rest = state.replace_strict(unlabelled, default=unlabelled[PENDING], return_dtype=pl.Int64)
    return code.otherwise(rest).cast(pl.Int64)


def _buckets(batch: pl.DataFrame, ids: pl.LazyFrame) -> pl.DataFrame:
    """The group of each row's entity; a row without one is its own and falls where its own id says."""
    number = batch.get_column(HASH)
    if number.null_count():
        own = ids.select(pl.col("prediction_id").hash(_SEED + 1)).collect().to_series()
        number = number.zip_with(number.is_not_null(), own)
    return batch.with_columns((number % c.BUCKETS).cast(pl.Int64).alias(c.BUCKET))


def _working(batch: pl.DataFrame, coded: dict[str, pl.Series], asked: Asked) -> pl.DataFrame:
    score = pl.col(_SCORE)
    powers: list[pl.Expr] = []
    power = score
    for position, name in enumerate(c.POWERS):
        power = score if position == 0 else power * score
        powers.append(_scaled(power, c.SCALE).alias(name))
    far = _scaled((1 - 2 * score).abs(), c.SCALE).alias(c.FAR)
    slices = [coded[name].alias(f"\0of {name}") for name in asked.slices]
    bins = asked.edges.code(batch.get_column(_SCORE)).cast(pl.Int64).alias(c.BIN)
    week = (pl.col(c.DAY) - c.FIRST_MONDAY) // c.DAYS_OF_WEEK * c.DAYS_OF_WEEK + c.FIRST_MONDAY
    return batch.select(
        pl.col(c.DAY, c.STATE, c.FLAGGED, *c.TIMING, c.MATURE),
        week.alias(WEEK),
        coded[c.VERSION].alias(c.VERSION),
        bins,
        *slices,
        *([pl.col(c.BUCKET, HASH)] if asked.grouped else []),
        *powers,
        far,
        *(_products(asked.product_scale) if asked.extended else []),
    )


def _products(scale: int) -> list[pl.Expr]:
    """The weighted sums; where there is no label, its power is zero."""
    weight, label, score = pl.col(_WEIGHT), pl.col(_LABEL).fill_null(0.0), pl.col(_SCORE)
    made = [(weight > 0).cast(pl.Int64).alias(c.WEIGHED)]
    for product in c.PRODUCTS:
        value = weight.pow(product.weight) * label.pow(product.label) * score.pow(product.score)
        if product.far:
            value = value * (1 - 2 * score).abs()
        made.append(_scaled(value, scale).alias(product.name))
    return made


def slice_code(name: str) -> str:
    """The working column that holds the numbers of a slice column."""
    return f"\0of {name}"


def _scaled(value: pl.Expr, scale: int) -> pl.Expr:
    return (value * float(scale)).round().cast(pl.Int64)


def _micro(name: str) -> pl.Expr:
    return pl.col(name).dt.timestamp("us")


def _instant(value: datetime) -> int:
    return int(np.datetime64(value.replace(tzinfo=None), "us").astype(np.int64))


def _up(value: pl.Expr) -> pl.Expr:
    """Whole days, rounded up: the first midnight at or after an instant."""
    return -((-value) // _DAY)


def sample_of(scores: pl.LazyFrame, *, most: int, height: int) -> pl.Series:
    """The scores, or every so-manieth of them where they are many."""
    step = -(-height // most)
    column = scores.select(pl.col("score").cast(pl.Float64))
    return column.select(pl.col("score").gather_every(max(step, 1))).collect().to_series()
