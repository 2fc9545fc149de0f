"""How much does a number owe to the rules of the join: the same rows under every rule one could defend."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.join import join
from fbkit.join.pair import number_statements
from fbkit.load.loop import Logs
from fbkit.measure.metrics import metrics
from fbkit.measure.registry import choose
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.durations import format_duration
from fbkit.schema.period import Period, format_instant, parse_instant
from fbkit.schema.protocols import JoinedLike, LoopLike, check_loop

RULE, CHOICE, IS_CURRENT, CHANGE, CHANGED_LABELS = "rule", "choice", "is_current", "change", "changed_labels"
COLUMNS: Final = (
    RULE, CHOICE, IS_CURRENT, results.METRIC, results.VALUE, results.LOWER, results.UPPER, results.BOUND_LOWER,
    results.BOUND_UPPER, results.N, results.N_LABELLED, CHANGE, CHANGED_LABELS, results.METHOD, results.REASON,
    results.EVALUATION_ID,
)  # fmt: skip
TIE, FALLBACK, WINDOW, LATE, CORRECTIONS, VERSIONS, BACKFILLS = (
    "tie rule", "fallback", "window", "late labels", "corrections", "label versions", "backfills",
)  # fmt: skip
_TIES: Final = ("earliest", "latest", "unique", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What :func:`join_sensitivity` found.

    Attributes
    ----------
    frame
        One row per choice: rule, choice, is_current, metric, value, lower, upper, bound_lower, bound_upper, n,
        n_labelled, change (value less the current value), changed_labels (rows whose label is another one than under
        the contract's rules, or is known under one of them only), method, reason, evaluation_id.
    summary
        One sentence: how far the number moves, and by which rule.
    """

    frame: pl.DataFrame
    summary: str
    metric: str
    as_of: datetime

    def lines(self) -> Iterator[str]:
        """The sentence and a table, as text."""
        yield self.summary
        yield f"as known at {format_instant(self.as_of)}, the same predictions in every row"
        for row in self.frame.iter_rows(named=True):
            value = _interval(row) if row[results.VALUE] is not None else row[results.REASON]
            moved = "as the contract says" if row[IS_CURRENT] else f"{row[CHANGED_LABELS]:,} labels change"
            choice = f"{row[RULE]}: {row[CHOICE]}"
            yield f"  {choice:<50} {value:<24} {row[results.N_LABELLED]:,} of {row[results.N]:,} labelled, {moved}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


class _Loop(LoopLike, Protocol):
    @property
    def logs(self) -> Logs: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way of joining: what differs from the contract."""

    rule: str
    choice: str
    current: bool = False
    contract: Contract | None = None
    keep: pl.Expr | None = None
    label_versions: str = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A joined table cut to the predictions that are compared."""

    frame: pl.DataFrame
    contract: Contract
    as_of: datetime
    evaluation_key: str


def join_sensitivity(
    loop: _Loop,
    *,
    metric: str | None = None,
    period: str | Period | None = None,
    as_of: str | datetime | None = None,
    stage: str = results.STAGE_FINAL,
    level: float = 0.95,
) -> Sensitivity:
    """Compute a metric again under every other rule of the join that one could defend for this loop.

    Parameters
    ----------
    loop
        From :func:`fbkit.open_loop`; it is joined once per choice.
    metric
        A metric name; the contract's primary by default.
    period
        Half-open ``A..B`` of prediction times; None is everything.
    as_of
        As known at this time; by default the newest arrival in the logs.
    stage
        "final": predictions that are mature under the contract's window; "any": all of them.
    level
        Coverage of the intervals.

    Returns
    -------
    A frame and a sentence, see :class:`Sensitivity`. Rules without a choice here are left out: the tie rule without a
    fallback, corrections where statements are separate events, backfills that never happened.

    Raises
    ------
    ArgumentError
        An unknown metric or stage, a time or period that cannot be read.

    Notes
    -----
    Every row is about the same predictions, also where another window would make them mature sooner or later, so that
    a difference is a difference of labels. A row counts with whatever label the other rule gives it by ``as_of``.

    Examples
    --------
    >>> import fbkit as fb
    >>> loop = fb.open_loop(fb.samples.path("recall_drop") / "variant_a")
    >>> found = join_sensitivity(loop, metric="recall", period="2026-09-07..2026-09-14")
    >>> found.frame["rule"].unique(maintain_order=True).to_list()
    ['window', 'late labels', 'corrections']
    """
    check_loop(loop)
    if stage not in (results.STAGE_FINAL, results.STAGE_ANY):
        raise ArgumentError(
            "the stage of a sensitivity is final or any",
            got=stage,
            allowed='"final" or "any"',
            next_step="write one of these",
        )
    name = choose(metric or loop.contract.metrics.primary, task=loop.contract.model.task)[0].name
    current = loop.join(as_of=None if as_of is None else parse_instant(as_of))
    cohort = _cohort(current, period=period, stage=stage)
    base = _measured(current, cohort, metric=name, level=level)
    rows: list[dict[str, Any]] = []
    for way in _ways(loop, current):
        row, changed = base, 0
        if not way.current:
            table = _joined(loop, way, as_of=current.as_of)
            row = _measured(table, cohort, metric=name, level=level)
            changed = _changed(current, table, cohort)
        both = row[results.VALUE] is not None and base[results.VALUE] is not None
        change = row[results.VALUE] - base[results.VALUE] if both else None
        told = {RULE: way.rule, CHOICE: way.choice, IS_CURRENT: way.current, CHANGE: change, CHANGED_LABELS: changed}
        rows.append({**row, **told})
    frame = pl.DataFrame(rows, schema=_schema(), infer_schema_length=None).select(COLUMNS)
    return Sensitivity(frame=frame, summary=_summary(frame, name, base), metric=name, as_of=current.as_of)


def _schema() -> dict[str, Any]:
    texts = (RULE, CHOICE, results.METRIC, results.METHOD, results.REASON, results.EVALUATION_ID)
    counts = (results.N, results.N_LABELLED, CHANGED_LABELS)
    kinds = dict.fromkeys(texts, pl.String) | dict.fromkeys(counts, pl.Int64) | {IS_CURRENT: pl.Boolean}
    return {name: kinds.get(name, pl.Float64) for name in COLUMNS}


def _cohort(current: JoinedLike, *, period: str | Period | None, stage: str) -> pl.DataFrame:
    rows = current.frame
    if period is not None:
        wanted = Period.parse(period)
        rows = rows.filter((pl.col("ts_pred") >= wanted.start) & (pl.col("ts_pred") < wanted.end))
    return (rows.filter("mature") if stage == results.STAGE_FINAL else rows).select("prediction_id")


def _measured(table: JoinedLike, cohort: pl.DataFrame, *, metric: str, level: float) -> dict[str, Any]:
    view = _View(
        frame=table.frame.join(cohort, on="prediction_id", how="semi", maintain_order="left"),
        contract=table.contract,
        as_of=table.as_of,
        evaluation_key=table.evaluation_key,
    )
    row = metrics(view, metric, stage=results.STAGE_ANY, level=level).row(0, named=True)
    return {name: row[name] for name in COLUMNS if name in row}


def _changed(current: JoinedLike, table: JoinedLike, cohort: pl.DataFrame) -> int:
    now = current.frame.select("prediction_id", "label").join(cohort, on="prediction_id", how="semi")
    other = table.frame.select("prediction_id", pl.col("label").alias("other"))
    both = now.join(other, on="prediction_id", how="left")
    return int(both.select(pl.col("label").ne_missing(pl.col("other")).sum()).item())


def _joined(loop: _Loop, way: _Way, *, as_of: datetime) -> JoinedLike:
    logs, contract = loop.logs, way.contract or loop.contract
    if way.keep is not None:
        numbered = number_statements(logs.outcomes.frame, keys=loop.contract.join.keys)
        logs = replace(logs, outcomes=replace(logs.outcomes, frame=numbered.filter(way.keep).drop("statement")))
    return join(logs, contract=contract, as_of=as_of, label_versions=way.label_versions)


def _ways(loop: _Loop, current: JoinedLike) -> Iterator[_Way]:
    outcomes = loop.logs.outcomes.frame
    yield from _of_fallback(loop.contract, outcomes)
    yield from _of_window(loop.contract)
    yield from _of_late_labels(loop.contract, current)
    yield from _of_corrections(loop.contract)
    yield from _of_versions(loop.contract, outcomes)
    if (outcomes["source"] == "backfill").any():
        yield _Way(rule=BACKFILLS, choice="counted", current=True)
        yield _Way(rule=BACKFILLS, choice="left out", keep=pl.col("source") != "backfill")


def _of_fallback(contract: Contract, outcomes: pl.DataFrame) -> Iterator[_Way]:
    fallback = contract.join.fallback
    unkeyed = pl.any_horizontal(pl.col(contract.join.keys).is_null())
    some = outcomes.select(unkeyed.any().alias("none"), (~unkeyed).any().alias("keyed")).row(0, named=True)
    if fallback is None or not some["none"]:
        return
    for rule in _TIES:
        other = _with(contract, join=contract.join.model_copy(update={"fallback": _ruled(fallback, rule)}))
        yield _Way(rule=TIE, choice=rule, current=rule == fallback.rule, contract=other)
    if some["keyed"]:
        yield _Way(rule=FALLBACK, choice="on", current=True)
        yield _Way(rule=FALLBACK, choice="off", keep=~unkeyed)


def _ruled(fallback: Any, rule: str) -> Any:
    return fallback.model_copy(update={"rule": rule})


def _of_window(contract: Contract) -> Iterator[_Way]:
    window = contract.label.window
    if not isinstance(window, timedelta):
        return
    shorter = max(contract.label.stages, default=_round(window * 0.9, like=window))
    ends = {shorter, _round(window * 0.9, like=window), window, _round(window * 1.1, like=window)}
    if window >= timedelta(days=2):
        ends.add(window + timedelta(days=1))
    for end in sorted(ends):
        label = contract.label.model_copy(update={"window": end})
        yield _Way(
            rule=WINDOW, choice=format_duration(end), current=end == window, contract=_with(contract, label=label)
        )


def _round(length: timedelta, *, like: timedelta) -> timedelta:
    """A length that people would write: whole days, hours or minutes, whichever leave it two digits."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)):
        if like >= 10 * unit:
            return max(1, round(length / unit)) * unit
    return length


def _of_late_labels(contract: Contract, current: JoinedLike) -> Iterator[_Way]:
    if not current.frame["late"].any():
        return
    numbers = _late_statements(current)
    kept = contract.label.window_text + (f" + {format_duration(contract.label.grace)}" if contract.label.grace else "")
    yield _Way(rule=LATE, choice="counted from their arrival on", current=True)
    yield _Way(rule=LATE, choice=f"left out after {kept}", keep=~pl.col("statement").is_in(numbers.implode()))


def _late_statements(current: Any) -> pl.Series:
    """Numbers of the statements that arrived after the window and grace of every prediction they could label."""
    closes = "closes" if current.contract.label.window == "session" else None
    rows = current.frame.lazy().select("prediction_id", *([closes] if closes else []))
    end = pl.col("closes") if closes else pl.col("ts_pred") + current.contract.label.window
    pairs = current.candidates.lazy().filter(pl.col("prediction_id").is_not_null())
    pairs = pairs.join(rows, on="prediction_id", how="inner")
    late = pl.col("ts_arrival") > end + current.contract.label.grace
    return (
        pairs.group_by("statement")
        .agg(late.all())
        .filter(pl.col("ts_arrival"))
        .select("statement")
        .collect()
        .to_series()
    )


def _of_corrections(contract: Contract) -> Iterator[_Way]:
    if contract.label.combine != "one":
        return
    for policy in ("latest", "keep_first"):
        label = contract.label.model_copy(update={"corrections": policy})
        current = policy == contract.label.corrections
        words = {"latest": "the latest counts", "keep_first": "the first counts"}[policy]
        yield _Way(rule=CORRECTIONS, choice=words, current=current, contract=_with(contract, label=label))


def _of_versions(contract: Contract, outcomes: pl.DataFrame) -> Iterator[_Way]:
    version = contract.label.version
    if version is None or not outcomes.select((pl.col("label_version") != version).any()).item():
        return
    yield _Way(rule=VERSIONS, choice="older ones where there is no other", current=True)
    yield _Way(
        rule=VERSIONS,
        choice=f"only version {version if version.isprintable() else ascii(version)}",
        label_versions="current",
    )


def _with(contract: Contract, **tables: Any) -> Contract:
    """The contract with other tables; what was cached of the old one is forgotten."""
    made = contract.model_copy(update=tables)
    vars(made).pop("hash", None)
    return made


def _summary(frame: pl.DataFrame, metric: str, base: dict[str, Any]) -> str:
    value = base[results.VALUE]
    if value is None:
        return f"{metric} is not estimable under the contract's own rules: {base[results.REASON]}"
    if frame.is_empty():
        return f"{metric} is {_plain(value)}: no rule of this join leaves a choice"
    spreads = frame.group_by(RULE, maintain_order=True).agg(
        pl.col(results.VALUE).min().alias("low"), pl.col(results.VALUE).max().alias("high")
    )
    moving = [
        (rule, low, high)
        for rule, low, high in spreads.iter_rows()
        if low is not None and _plain(low) != _plain(high)
    ]  # fmt: skip
    if not moving:
        rules = _listed(spreads[RULE].to_list())
        return f"{metric} is {_plain(value)}, whatever one chooses for {rules}"
    moving.sort(key=lambda item: item[1] - item[2])
    parts = [f"{_plain(low)} to {_plain(high)} depending on the {rule}" for rule, low, high in moving]
    still = [rule for rule in spreads[RULE] if rule not in {moved[0] for moved in moving}]
    rest = f"; it does not move with the {_listed(still)}" if still else ""
    return f"{metric} is {_plain(value)} by the contract's rules, {'; '.join(parts)}{rest}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _interval(row: dict[str, Any]) -> str:
    if row[results.LOWER] is None:
        return _plain(row[results.VALUE])
    return f"{_plain(row[results.VALUE])} [{_plain(row[results.LOWER])}, {_plain(row[results.UPPER])}]"


def _plain(value: float) -> str:
    return f"{value:.3g}"
