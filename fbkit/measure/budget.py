"""Do latency, cost, spend and label availability keep the contract's promises: pass, fail, or cannot tell."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import metrics
from fbkit.measure.scope import Slices
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.durations import format_duration
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

PASS, FAIL, UNKNOWN = "pass", "fail", "cannot tell"
ITEM, LIMIT, AT_LEAST, STATUS = "item", "limit", "at_least", "status"

_SCHEMA: Final = {
    ITEM: pl.String,
    results.METRIC: pl.String,
    LIMIT: pl.Float64,
    AT_LEAST: pl.Boolean,
    results.VALUE: pl.Float64,
    results.LOWER: pl.Float64,
    results.UPPER: pl.Float64,
    STATUS: pl.String,
    results.N: pl.Int64,
    results.REASON: pl.String,
}


class Item(NamedTuple):
    """One promise of the contract: where it stands, the metric that judges it, the stage it is judged at, its limit."""

    path: str
    metric: str
    stage: str
    limit: float
    at_least: bool = False


def promises(contract: Contract) -> Iterator[Item]:
    """What the contract's [slo] and [budget] promise."""
    for name, limit in contract.slo.latency_ms.items():
        yield Item(f"slo.latency_ms.{name}", f"latency_{name}", results.STAGE_ANY, limit)
    for limit in contract.slo.cost_per_1000.values():
        yield Item("slo.cost_per_1000.maximum", "cost_per_1000", results.STAGE_ANY, limit)
    if contract.slo.label_availability is not None:
        promise = contract.slo.label_availability
        stage = f"provisional@{format_duration(promise.at)}"
        yield Item("slo.label_availability.minimum", "availability", stage, promise.minimum, at_least=True)
    for name, limit in contract.budget.added_latency_ms.items():
        yield Item(f"budget.added_latency_ms.{name}", f"latency_{name}", results.STAGE_ANY, limit)
    if contract.budget.spend_share_of_revenue is not None:
        share = contract.budget.spend_share_of_revenue
        yield Item("budget.spend_share_of_revenue", "spend_share", results.STAGE_FINAL, share)


def budget_status(
    joined: JoinedLike, *, by: Slices = None, period: str | Period | None = None, level: float = 0.95
) -> pl.DataFrame:
    """Each promise of [slo] and [budget] against its measured value, with interval.

    ``pass``: the whole interval keeps the limit; ``fail``: the whole interval breaks it; else ``cannot tell`` (also
    where there is no number, with the reason). The model's own latency is what it adds. Latency and cost are of all
    predictions of the period, the availability of labels of those that are old enough, the spend share of mature ones.
    ``slo.feed_completeness`` is judged by ``loop.check()``.

    Returns
    -------
    The ``by`` columns, then item (the contract's key), metric, limit, at_least, value, lower, upper, status, n, reason,
    evaluation_id. No row without a promise.
    """
    check_joined(joined)
    parts = [_judged(joined, item, by=by, period=period, level=level) for item in promises(joined.contract)]
    slices = [by] if isinstance(by, str) else list(by or [])
    empty = pl.DataFrame(schema=dict.fromkeys(slices, pl.String) | _SCHEMA)
    frame = pl.concat([empty, *parts], how="vertical") if parts else empty
    return stamped(frame, joined, call="budget_status", by=slices, period=str(period), level=level)


def _judged(joined: JoinedLike, item: Item, *, by: Slices, period: str | Period | None, level: float) -> pl.DataFrame:
    found = metrics(joined, item.metric, by=by, period=period, stage=item.stage, level=level)
    low, high = pl.col(results.LOWER), pl.col(results.UPPER)
    kept, broken = (low >= item.limit, high < item.limit) if item.at_least else (high <= item.limit, low > item.limit)
    status = pl.when(kept).then(pl.lit(PASS)).when(broken).then(pl.lit(FAIL)).otherwise(pl.lit(UNKNOWN))
    return found.with_columns(
        pl.lit(item.path).alias(ITEM),
        pl.lit(item.limit).alias(LIMIT),
        pl.lit(item.at_least).alias(AT_LEAST),
        status.alias(STATUS),
    ).select(*found.columns[: found.columns.index(results.METRIC)], *_SCHEMA)
