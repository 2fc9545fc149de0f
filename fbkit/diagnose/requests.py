"""Metrics of ranked lists: one row per request with its number, so that a mean over requests climbs the ladder."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.settings import OWN, OwnName
from fbkit.errors import ArgumentError
from fbkit.join.joined import Joined
from fbkit.join.table import MemoryTable
from fbkit.measure.kernels.made import POSITION, REQUEST, made_column
from fbkit.measure.kernels.rankings import KINDS, Lists, place
from fbkit.measure.stats.per_unit import numbers_of
from fbkit.schema.period import Period

LOW: Final = "\0low"
HIGH: Final = "\0high"
"""The request's number if its unlabelled rows are irrelevant, and relevant; null where that is no bound."""


def per_request(joined: Joined, metric: str, *, periods: Sequence[Period]) -> tuple[Joined, OwnName]:
    """The joined table with one row per request, and the metric as a mean over these rows.

    A request's row is its first in rank order (slices, entity, version); its label is the request's number, known once
    every row that decides it has a label, which arrives with the last of them; its score is its best one. A request
    that straddles the edge of a period counts on each side, as in :func:`fbkit.measure.metrics.metrics`.

    Raises
    ------
    ArgumentError
        No column tells which rows were shown together.
    """
    frame = joined.frame
    request = made_column(joined, REQUEST, columns=frame.columns)
    if isinstance(request, str):
        raise ArgumentError(
            f"{metric} needs to know which rows were shown together",
            got=request,
            allowed="request_id or session_id in the prediction log",
            next_step="log request_id with every prediction, or ask for ctr",
        )
    asked = frame.select(request.alias("request"), _side(periods).alias("side"))
    code = numbers_of(asked["request"]) * (len(periods) + 1) + asked["side"].to_numpy()
    position = made_column(joined, POSITION, columns=frame.columns)
    at = frame.select(position if isinstance(position, pl.Expr) else pl.lit(None))
    shown = at.to_series().cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    shown = np.broadcast_to(shown, len(frame)).copy()
    score = frame["score"].cast(pl.Float64).to_numpy()
    label = frame["label"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    key = place(shown, score)
    made = _rows(frame, metric, order=np.lexsort((-key, code)), code=code, key=key, label=label)
    name = OwnName(metric)
    name.better = "higher"
    return replace(joined, rows=MemoryTable(made)), name


def _side(periods: Sequence[Period]) -> pl.Expr:
    """Which period a row belongs to: its place in the list; the number of periods for none."""
    when = pl.col("ts_pred")
    side = pl.lit(len(periods), dtype=pl.Int64)
    for number, period in enumerate(periods):
        side = pl.when((when >= period.start) & (when < period.end)).then(number).otherwise(side)
    return side


def _rows(frame: pl.DataFrame, metric: str, *, order: Ints, code: Ints, key: Floats, label: Floats) -> pl.DataFrame:
    lists = Lists.of(request=code, key=key, label=label)
    value, low, high = _numbers(lists, metric)
    ranked = frame[order]
    groups = ranked.select("score", "mature", "arrival_lag").with_columns(pl.Series("_list", lists.request))
    summed = groups.group_by("_list").agg(pl.col("score").max(), pl.col("mature").all(), pl.col("arrival_lag").max())
    summed = summed.sort("_list").drop("_list")
    first = ranked[lists.starts]
    numbers = {"label": value, OWN: value, LOW: low, HIGH: high}
    made = first.with_columns(
        *summed.get_columns(), *(pl.Series(name, part, nan_to_null=True) for name, part in numbers.items())
    )
    known = pl.col("label").is_not_null()
    made = made.with_columns(pl.when(known).then(pl.col("arrival_lag")).alias("arrival_lag"))
    return made.sort("ts_pred", "prediction_id")


def _numbers(lists: Lists, metric: str) -> tuple[Floats, Floats, Floats]:
    """Value of every request (NaN: a label that decides it is missing, or it is not defined), least and greatest."""
    name, _, depth = metric.partition("@")
    kind, k = KINDS[name], int(depth) if depth else int(np.iinfo(np.int64).max)
    deciding = np.ones(len(lists.label), dtype=bool) if kind.whole else lists.rank[lists.ties][lists.tie] < k
    unknown = lists.per_request((np.isnan(lists.label) & deciding).astype(np.float64)) > 0
    value = np.where(unknown, np.nan, kind.fn(lists, np.nan_to_num(lists.label), k))
    if not kind.rises:
        nothing = np.full(len(value), np.nan)
        return value, nothing, nothing
    low, high = (kind.fn(lists, np.nan_to_num(lists.label, nan=fill), k) for fill in (0.0, 1.0))
    return value, low, high
