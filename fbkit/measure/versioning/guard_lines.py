"""The lines of a promotion decision: the sample ratio, metrics by critical slice, latency and cost, proxies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fbkit.errors import ArgumentError
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import choose
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import quantile
from fbkit.measure.user import Metric
from fbkit.measure.versioning.guard_rules import allowed_drop, fieller, more_rows, worsening
from fbkit.measure.versioning.pairs import SAME_ROWS, Sides, sides
from fbkit.measure.versioning.sample_ratio import THRESHOLD, SampleRatio
from fbkit.measure.versions import CHALLENGER, CHAMPION, DIFFERENCE, compared
from fbkit.schema import results
from fbkit.schema.contract_parts import GuardrailPart
from fbkit.schema.period import Period, format_instant
from fbkit.schema.protocols import JoinedLike

HOLDS: Final = "pass"
BROKEN: Final = "fail"
CANNOT_TELL: Final = "cannot tell"
OVERALL: Final = "overall"
COST: Final = "cost_per_1000"
SPEND_SHARE: Final = "spend_share"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything the lines are made from."""

    found: Sides
    stage: Stage
    level: float
    own: Mapping[str, Metric] = field(default_factory=dict)

    def compare(
        self, joined: JoinedLike, names: Sequence[str], by: tuple[str, ...] = ()
    ) -> dict[tuple[str, ...], Line]:
        """Lines of a comparison by metric and slice values."""
        asked = [self.own.get(name, name) for name in names]
        measures = choose(asked, task=joined.contract.model.task, contract=joined.contract)
        frame = compared(self.found, asked, measures, by, stage=self.stage, level=self.level)
        return {(row[results.METRIC], *(str(row[name]) for name in by)): row for row in frame.iter_rows(named=True)}


def ratio_line(ratio: SampleRatio) -> Line:
    """Whether the traffic was split as intended."""
    worst = ratio.checks["p_value"].min()
    split = f"{100 * ratio.observed:.1f} % of {ratio.n_champion + ratio.n_challenger:,} to the challenger"
    return {
        "guard": "sample ratio",
        "slice": OVERALL,
        "rule": f"p-value at least {THRESHOLD:g}",
        "limit": THRESHOLD,
        "measured": worst,
        "status": HOLDS if ratio.ok else BROKEN,
        results.N: ratio.n_champion + ratio.n_challenger,
        results.METHOD: f"chi-square ({ratio.unit})",
        results.REASON: split if ratio.ok else None,
    }


def metric_lines(question: Question, joined: JoinedLike, names: Sequence[str]) -> list[Line]:
    """Every guardrail overall and in every critical slice."""
    critical = joined.contract.slices.critical
    overall = question.compare(joined, names)
    cost = question.compare(joined, [COST]).get((COST,))
    by = {columns: question.compare(joined, names, columns) for columns in dict.fromkeys(map(tuple, critical))}
    lines: list[Line] = []
    for guardrail in joined.contract.guardrails:
        name = guardrail.metric
        line = _drop_line(question, guardrail, OVERALL, overall.get((name,)))
        lines.append(line | _cost_per_gain(line, cost, level=question.level))
        for where in critical:
            said = ", ".join(f"{column}={value}" for column, value in where.items())
            cell = by[tuple(where)].get((name, *where.values()))
            lines.append(_drop_line(question, guardrail, said, cell))
    return lines


def _drop_line(question: Question, guardrail: GuardrailPart, where: str, cell: Line | None) -> Line:
    line: Line = {
        "guard": "metric",
        "slice": where,
        results.METRIC: guardrail.metric,
        "rule": f"may get worse by {guardrail.max_drop}",
        "status": CANNOT_TELL,
    }
    if cell is None:
        return line | {results.REASON: "no predictions in this slice"}
    drop, lower, upper, worst = worsening(guardrail.metric, cell, metric=question.own.get(guardrail.metric))
    line |= _values(cell) | {"measured": drop, results.LOWER: lower, results.UPPER: upper, "worst_case": worst}
    if drop is None:
        return line
    limit = allowed_drop(guardrail.max_drop, cell[CHAMPION])
    return line | _held(line, limit, question, n=cell["n_labelled_champion"], m=cell["n_labelled_challenger"])


def _values(cell: Line) -> Line:
    counts = {
        name: min(cell[f"{name}_champion"], cell[f"{name}_challenger"]) for name in (results.N, results.N_LABELLED)
    }
    return {name: cell[name] for name in (CHAMPION, CHALLENGER, results.METHOD, results.REASON)} | counts


def _held(line: Line, limit: float, question: Question, *, n: int, m: int) -> Line:
    """The status against a limit, and how many more rows would settle it."""
    measured, lower, upper = line["measured"], line[results.LOWER], line[results.UPPER]
    if measured is None:
        return {"limit": limit, "status": CANNOT_TELL}
    if lower is None or upper is None:
        return {"limit": limit, "status": CANNOT_TELL, results.REASON: line.get(results.REASON) or "no interval"}
    if upper <= limit:
        return {"limit": limit, "status": HOLDS}
    if lower > limit:
        return {"limit": limit, "status": BROKEN}
    rows = n if question.found.design == SAME_ROWS else n + m
    needed = more_rows(rows, half=(upper - lower) / 2, gap=abs(limit - measured), level=question.level)
    return {"limit": limit, "status": CANNOT_TELL, "needed": needed}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """A limit that does not depend on the champion, or (``added``) on what is added to it."""

    guard: str
    metric: str
    limit: float
    unit: str
    added: bool = False


def service_limits(joined: JoinedLike) -> list[_Limit]:
    """The limits of latency and cost that the contract sets."""
    slo, budget = joined.contract.slo, joined.contract.budget
    limits = [
        _Limit(guard="latency", metric=f"latency_{name}", limit=limit, unit=" ms")
        for name, limit in slo.latency_ms.items()
    ]
    limits += [
        _Limit(guard="added latency", metric=f"latency_{name}", limit=limit, unit=" ms", added=True)
        for name, limit in budget.added_latency_ms.items()
    ]
    limits += [_Limit(guard="cost", metric=COST, limit=limit, unit="") for limit in slo.cost_per_1000.values()]
    if budget.spend_share_of_revenue is not None:
        limits.append(_Limit(guard="cost", metric=SPEND_SHARE, limit=budget.spend_share_of_revenue, unit=""))
    return limits


def service_line(question: Question, joined: JoinedLike, limit: _Limit) -> Line:
    """The challenger's latency or cost, or what it adds, against its limit."""
    cell = question.compare(joined, [limit.metric]).get((limit.metric,))
    line: Line = {
        "guard": limit.guard,
        "slice": OVERALL,
        results.METRIC: limit.metric,
        "rule": f"{'adds ' if limit.added else ''}at most {limit.limit:g}{limit.unit}",
        "status": CANNOT_TELL,
    }
    if cell is None:
        return line | {results.REASON: "no predictions"}
    line |= _values(cell)
    if limit.added:
        line |= {"measured": cell[DIFFERENCE], results.LOWER: cell[results.LOWER], results.UPPER: cell[results.UPPER]}
        rows = (cell["n_champion"], cell["n_challenger"])
    else:
        half = question.found.challenger
        own = metrics(half, limit.metric, period=question.found.limits, stage=question.stage, level=question.level)
        row = own.row(0, named=True)
        line |= {"measured": row[results.VALUE], results.LOWER: row[results.LOWER], results.UPPER: row[results.UPPER]}
        line |= {results.METHOD: row[results.METHOD], results.REASON: row[results.REASON] or line[results.REASON]}
        rows = (row[results.N], 0)
    return line | _held(line, limit.limit, question, n=rows[0], m=rows[1])


def proxy_lines(
    question: Question,
    joined: JoinedLike,
    proxies: Mapping[str, JoinedLike],
    *,
    champion: str,
    challenger: str,
    period: str | Period | None,
) -> list[Line]:
    """The primary metric must not rise on a proxy while it falls on the label that counts."""
    name = joined.contract.metrics.primary
    lines: list[Line] = []
    for label, other in proxies.items():
        _check_as_of(joined, other, label)
        found = sides(other, champion=champion, challenger=challenger, period=period)
        near = replace(question, found=found).compare(other, [name]).get((name,))
        far = question.compare(joined, [name]).get((name,))
        lines.append(_proxy_line(question, name, label, near, far))
    return lines


def _check_as_of(joined: JoinedLike, other: JoinedLike, label: str) -> None:
    if other.as_of != joined.as_of:
        raise ArgumentError(
            f"the proxy label {label} was joined as of another time",
            got=format_instant(other.as_of),
            allowed=format_instant(joined.as_of),
            next_step="join both with the same as_of",
        )


def _proxy_line(question: Question, name: str, label: str, near: Line | None, far: Line | None) -> Line:
    line: Line = {
        "guard": "proxy",
        "slice": OVERALL,
        results.METRIC: name,
        "rule": f"must not fall while it rises on {label}",
        "limit": 0.0,
        "status": CANNOT_TELL,
    }
    if near is None or far is None:
        return line | {results.REASON: "no predictions"}
    metric = question.own.get(name)
    drop, lower, upper, worst = worsening(name, far, metric=metric)
    near_drop, _, near_upper, _ = worsening(name, near, metric=metric)
    line |= _values(far) | {"measured": drop, results.LOWER: lower, results.UPPER: upper, "worst_case": worst}
    if near_drop is None or near_upper is None:
        return line | {results.REASON: f"on {label}: {near[results.REASON] or 'no interval'}"}
    said = f"on {label} the change is {-near_drop:+.4f}"
    if near_upper >= 0:
        return line | {"status": HOLDS, results.REASON: f"{said}: no rise is established"}
    if drop is None or lower is None or upper is None:
        return line | {results.REASON: f"{said}, on the label that counts: {far[results.REASON] or 'no interval'}"}
    line |= {results.REASON: f"{said}: it rises"}
    if drop <= 0:
        return line | {"status": HOLDS}
    n, m = far["n_labelled_champion"], far["n_labelled_challenger"]
    return line | _held(line, 0.0, question, n=n, m=m)


def _cost_per_gain(line: Line, cost: Line | None, *, level: float) -> Line:
    """Fieller's interval of what 0.01 more of the metric costs per 1,000 predictions, where a gain is established."""
    if cost is None or cost[DIFFERENCE] is None or line.get(results.UPPER) is None or line[results.UPPER] >= 0:
        return {}
    z = float(quantile(level))
    gain, error = -100 * line["measured"], 100 * (line[results.UPPER] - line[results.LOWER]) / (2 * z)
    ends = (cost[results.LOWER], cost[results.UPPER])
    spread = 0.0 if None in ends else (ends[1] - ends[0]) / (2 * z)
    lower, upper = fieller((cost[DIFFERENCE], spread), (gain, error), z=z)
    return {
        "cost_per_gain": cost[DIFFERENCE] / gain,
        "cost_per_gain_lower": lower,
        "cost_per_gain_upper": upper,
    }
