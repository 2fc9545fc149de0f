"""May the challenger go out: every guardrail of the contract, overall and by critical slice, and what is not settled.

A guardrail holds when the whole interval of the drop lies below what is allowed (non-inferiority), is broken when the
whole interval lies above, and is undecided otherwise, or when there is no interval. All must hold, so no level is
adjusted for their number (an intersection-union test; Berger 1982, doi:10.1080/00401706.1982.10487790).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from fbkit.errors import ArgumentError, ContractError
from fbkit.measure.evaluation import stamped
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import choose
from fbkit.measure.scope import Stage
from fbkit.measure.user import Metric
from fbkit.measure.versioning.guard_lines import (
    BROKEN,
    CANNOT_TELL,
    Question,
    metric_lines,
    proxy_lines,
    ratio_line,
    service_limits,
    service_line,
)
from fbkit.measure.versioning.pairs import Sides, sides
from fbkit.measure.versioning.sample_ratio import SampleRatio
from fbkit.measure.versions import (
    CHALLENGER,
    CHAMPION,
    split_check,
    warned,
    with_cost,
)
from fbkit.schema import results
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

COLUMNS: Final = {
    "guard": pl.String,
    "slice": pl.String,
    results.METRIC: pl.String,
    "rule": pl.String,
    "limit": pl.Float64,
    CHAMPION: pl.Float64,
    CHALLENGER: pl.Float64,
    "measured": pl.Float64,
    results.LOWER: pl.Float64,
    results.UPPER: pl.Float64,
    "worst_case": pl.Float64,
    "status": pl.String,
    results.N: pl.Int64,
    results.N_LABELLED: pl.Int64,
    "needed": pl.Int64,
    "cost_per_gain": pl.Float64,
    "cost_per_gain_lower": pl.Float64,
    "cost_per_gain_upper": pl.Float64,
    results.METHOD: pl.String,
    results.REASON: pl.String,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the guardrails say.

    ``table`` has one line per guardrail: guard ("metric", "latency", "added latency", "cost", "proxy", "sample ratio"),
    slice, metric, rule, limit, champion, challenger (values), measured (what is held against the limit: the drop, the
    challenger's own value, or what it adds), lower, upper, worst_case (the largest drop that the missing labels leave
    possible), status ("pass", "fail", "cannot tell"), n, n_labelled, needed (further rows, labelled ones for metrics of
    labels), cost_per_gain with its interval (currency per 1,000 predictions for each 0.01 that the metric gained; only
    where a gain is established), method, reason, evaluation_id.
    """

    champion: str
    challenger: str
    table: pl.DataFrame
    sides: Sides
    ratio: SampleRatio | None
    stage: str
    level: float

    @property
    def failed(self) -> bool:
        """Whether a guardrail is broken."""
        return BROKEN in self.table["status"]

    @property
    def undecided(self) -> bool:
        """Whether one is neither broken nor established."""
        return CANNOT_TELL in self.table["status"]


def judge_promotion(
    joined: JoinedLike,
    *,
    champion: str,
    challenger: str,
    own: Sequence[Metric] = (),
    proxies: Mapping[str, JoinedLike] | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float | None = None,
    share: float | None = None,
) -> Decision:
    """Hold the challenger against the contract's ``[[guardrails]]``, ``[slo]`` and ``[budget]``.

    Parameters
    ----------
    joined
        Predictions of both versions with label states.
    champion, challenger, period, stage, share
        As in :func:`fbkit.compare_versions`.
    own
        Metrics of your own that guardrails of the contract name.
    proxies
        The same loop joined for its proxy labels, by their names: a version whose primary metric rises on a proxy while
        it falls on the final label is blocked.
    level
        Coverage of the intervals; None: the contract's.

    Raises
    ------
    ContractError
        The contract names no guardrail: nothing would be checked.
    ArgumentError
        As in :func:`fbkit.compare_versions`; a metric that no guardrail names; proxies of another as-of time.
    """
    check_joined(joined)
    contract = joined.contract
    if not contract.guardrails:
        raise ContractError(
            "the contract names no guardrail, so nothing would keep a worse version back",
            got="no [[guardrails]]",
            allowed='at least one, such as metric = "precision", max_drop = "5%"',
            next_step="add [[guardrails]] to the contract",
        )
    wanted = contract.metrics.level if level is None else level
    check_level(wanted)
    mine = {metric.name: metric for metric in own}
    _check_named(mine, joined)
    columns = list(dict.fromkeys(name for where in contract.slices.critical for name in where))
    names = [guardrail.metric for guardrail in contract.guardrails]
    absolute = [limit.metric for limit in service_limits(joined)]
    measures = choose(
        [mine.get(name, name) for name in [*names, *absolute]], task=contract.model.task, contract=contract
    )
    priced = with_cost(joined, measures)
    found = sides(priced, champion=champion, challenger=challenger, period=period, slices=columns)
    question = Question(found=found, stage=Stage.parse(stage), level=wanted, own=mine)
    ratio = split_check(found, joined, columns, share=share)
    lines = [] if ratio is None else [ratio_line(ratio)]
    lines += metric_lines(question, joined, names)
    lines += [service_line(question, joined, limit) for limit in service_limits(joined)]
    lines += proxy_lines(question, joined, proxies or {}, champion=champion, challenger=challenger, period=period)
    table = warned(pl.DataFrame(lines, schema=COLUMNS), found, ratio)
    arguments = {"champion": champion, "challenger": challenger, "metrics": names, "stage": question.stage.name}
    arguments |= {"period": str(found.limits), "level": wanted, "share": share, "proxies": sorted(proxies or {})}
    return Decision(
        champion=champion,
        challenger=challenger,
        table=stamped(table, joined, call="promote", **arguments),
        sides=found,
        ratio=ratio,
        stage=question.stage.name,
        level=wanted,
    )


def _check_named(own: Mapping[str, Metric], joined: JoinedLike) -> None:
    named = [guardrail.metric for guardrail in joined.contract.guardrails]
    idle = sorted(set(own) - {*named, joined.contract.metrics.primary})
    if idle:
        raise ArgumentError(
            "a metric was given that no guardrail names, so it would not be checked",
            got=idle[0],
            allowed=", ".join(named),
            next_step=f'add [[guardrails]] metric = "{idle[0]}" with its max_drop to the contract',
        )
