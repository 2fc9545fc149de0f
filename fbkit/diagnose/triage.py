"""Why did the metric move: the model, the labels, both, or undecidable from these logs?"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from fbkit.diagnose import evidence, sentences
from fbkit.diagnose.applies import is_of_requests
from fbkit.diagnose.bootstrap import FEWEST_DRAWS
from fbkit.diagnose.checks import three_checks
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.key_numbers import key_numbers_frame
from fbkit.diagnose.measured import measure, observed_intervals
from fbkit.diagnose.moved import day_of_change
from fbkit.diagnose.remedies import owner_of, runbook_of
from fbkit.diagnose.requests import per_request
from fbkit.diagnose.rows import CURRENT, REFERENCE, check_metric
from fbkit.diagnose.rungs import contributions
from fbkit.diagnose.scene import set_scene
from fbkit.diagnose.settings import OWN, SETTINGS
from fbkit.diagnose.verdict import (
    candidates_of,
    impact_of,
    is_undecided,
    minimum_detectable,
    reason_of,
    top_cause,
    verdict_of,
    waiting_helps,
    warnings_of,
    worlds_of,
)
from fbkit.diagnose.when import BY_PREDICTION, coincidences, dated
from fbkit.diagnose.when import FRAME as CHANGED_DAYS
from fbkit.errors import ArgumentError
from fbkit.join.joined import Joined
from fbkit.join.table import MemoryTable
from fbkit.measure.user import Metric
from fbkit.schema.diagnosis import Change, Contribution, Diagnosis, Interval
from fbkit.schema.period import Comparison, format_instant


def triage(
    joined: Joined,
    comparison: Comparison,
    *,
    metric: str | Metric | None = None,
    model: object | None = None,
    draws: int = 200,
    seed: int = 0,
) -> Diagnosis:
    """Split the change of a metric into causes that add up, each with interval, evidence and what would overturn it.

    Parameters
    ----------
    joined
        The joined table as known at its as-of time.
    comparison
        Reference and current period, both fixed.
    metric
        A metric name, or an :class:`fbkit.Metric` that is a mean over labelled rows; the contract's primary by default.
    model
        The served model, for the replay of a version, a corrupted feature or another threshold: scikit-learn-like,
        an ONNX file or session, or a function of a frame of the logged features that gives scores. Without it a
        surrogate of the score is fitted where one is needed.
    draws
        Draws of the entity-cluster bootstrap of the whole ladder; 0 leaves every interval out, and with
        it every claim.
    seed
        Seed of the draws.

    Returns
    -------
    Plain data. Labels are those known at ``joined.as_of``; missing labels are never dropped in silence:
    the ladder says what they do. What cannot be estimated is None with a reason.

    Raises
    ------
    ArgumentError
        Unknown metric, open comparison, negative number of draws.
    InputError
        A period without predictions.

    Notes
    -----
    Correction: Begg and Greenes 1983 within (decision, score bin, slice), latency-adjusted. Replay:
    exact Shapley values. Bounds: Manski 2003. Intervals: value +- 1.96 bootstrap standard deviations.
    """
    begin = time.perf_counter()
    contract = joined.contract
    name = check_metric(contract.metrics.primary if metric is None else metric, contract=contract)
    if draws < 0 or 0 < draws < FEWEST_DRAWS:
        allowed = f"0 (no intervals, no claims) or at least {FEWEST_DRAWS}; 200 by default"
        raise ArgumentError(
            "that number of draws gives no interval",
            got=draws,
            allowed=allowed,
            next_step="give a number in that range with draws (--draws)",
        )
    reference, current = comparison.periods()
    looked_at = _with_own(joined, metric) if isinstance(metric, Metric) else joined
    if contract.model.task == "ranking" and is_of_requests(name):
        looked_at, name = per_request(joined, name, periods=(reference, current))
    scene = set_scene(
        looked_at,
        metric=name,
        reference=reference,
        current=current,
        draws=draws,
        seed=seed,
        settings=SETTINGS,
        model=model,
    )
    facts = measure(scene)
    parts, changed = dated(contributions(facts), facts.rows, bin_of=facts.bin_of, current=current)
    own = metric.identity if isinstance(metric, Metric) else name
    key = f"{joined.evaluation_key}|{own}|{reference}|{current}|{draws}|{seed}"
    return _diagnosis(joined, facts, parts, changed, key=key, record={"draws": draws, "seed": seed}, begin=begin)


def _with_own(joined: Joined, metric: Metric) -> Joined:
    """The joined table with the metric's value for every row."""
    if not isinstance(metric.fn, pl.Expr):
        raise TypeError("checked before")
    missing = [name for name in metric.fn.meta.root_names() if name not in joined.frame.columns]
    if missing:
        raise ArgumentError(
            f"the metric {metric.name} reads a column that the joined table does not have",
            got=", ".join(missing),
            allowed=", ".join(joined.frame.columns),
            next_step="log the column with the predictions, or change the expression",
        )
    made = joined.frame.with_columns(metric.fn.cast(pl.Float64).alias(OWN))
    return replace(joined, rows=MemoryTable(made))


def _diagnosis(
    joined: Joined,
    facts: Findings,
    parts: tuple[Contribution, ...],
    changed: pl.DataFrame,
    *,
    key: str,
    record: Mapping[str, object],
    begin: float,
) -> Diagnosis:
    verdict = verdict_of(parts, undecided=is_undecided(facts))
    cause, family = top_cause(parts, candidates=candidates_of(facts))
    do_now, do_not = sentences.actions(facts, parts, verdict)
    checks = three_checks(facts, parts)
    frames = dict(facts.frames)
    frames["ladder"] = evidence.ladder_frame(_levels(facts), parts, intervals=observed_intervals(facts))
    frames["checks"] = evidence.checks_frame(checks)
    frames["key_numbers"] = key_numbers_frame(facts, parts)
    frames[CHANGED_DAYS] = changed
    contract = joined.contract
    return Diagnosis(
        metric=facts.metric,
        reference=facts.reference,
        current=facts.current,
        as_of=facts.as_of,
        verdict=verdict,
        top_cause=cause,
        top_family=family,
        metric_level=facts.settings.level,
        headline=sentences.headline(facts, parts, verdict),
        observed=_observed(facts),
        true_change=_true(facts),
        worst_case=dict(facts.worst),
        tipping_ratio=facts.tipping,
        minimum_detectable_change=minimum_detectable(facts),
        reason=reason_of(facts),
        warnings=warnings_of(facts),
        worlds=worlds_of(facts),
        contributions=parts,
        checks=checks,
        would_change_verdict=sentences.would_change(facts, parts),
        do_now=do_now,
        do_not=do_not,
        owner=owner_of(next((part for part in parts if part.cause == cause), None), contract),
        runbook=runbook_of(cause, contract),
        decidable_at=facts.decidable if waiting_helps(facts) else None,
        impact=impact_of(facts),
        data_through=dict(getattr(joined, "data_through", {})),
        changes=coincidences(getattr(joined, "changes", None), facts.current, day=_day_of(cause, changed)),
        evaluation_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        seconds=time.perf_counter() - begin,
        evidence=frames,
        method={**record, **facts.as_facts(), **_since(facts, parts), "thresholds": facts.settings.as_dict()},
    )


def _since(facts: Findings, parts: Sequence[Contribution]) -> dict[str, object]:
    """The day on which the metric changed, searched within two weeks before the current period; only if it did."""
    if not any(part.material for part in parts):
        return {"day_of_change": None}
    found = day_of_change(facts.frame("daily"), not_before=facts.current.start - timedelta(days=14))
    return {"day_of_change": None if found is None else format_instant(found[0])}


def _day_of(cause: str, changed: pl.DataFrame) -> datetime | None:
    """The day from which the top cause acted, else that of the metric by time of prediction; None if none is clear."""
    mine = changed.filter(pl.col("cause").eq_missing(pl.lit(cause)) | pl.col("cause").is_null())
    on = mine.filter(pl.col("axis") == BY_PREDICTION).sort("cause", nulls_last=True)["first"]
    return None if on.is_empty() else on[0]


def _levels(facts: Findings) -> tuple[float | None, float | None]:
    first, last = (float(x) if np.isfinite(x) else None for x in facts.ladder.observed[0, [REFERENCE, CURRENT]])
    return first, last


def _observed(facts: Findings) -> Change:
    value, lower, upper = facts.triple(facts.observed_change)
    before, after = _levels(facts)
    return Change(reference=before, current=after, change=value, lower=lower, upper=upper)


def _true(facts: Findings) -> Interval:
    value, lower, upper = facts.true_triple()
    return Interval(value=value, lower=lower, upper=upper)
