"""The same metrics from a ledger: milliseconds, whatever the number of rows behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.evaluation import evaluation_id, note
from fbkit.measure.from_ledger.bins import FROM_BINS, bin_parts, check_bins
from fbkit.measure.from_ledger.cells import Cells, Question, ask, gather
from fbkit.measure.from_ledger.rates import rate_parts
from fbkit.measure.from_ledger.totals import Weighing, count_frame, total_parts
from fbkit.measure.kinds import Cellwise, Measure, Total
from fbkit.measure.metrics import POSITIVES_ONLY, assemble, check_level, not_probabilities, without_numbers
from fbkit.measure.registry import FROM_CONTRACT, REGISTRY, Asked, choose
from fbkit.measure.scope import Scope, Slices, Stage
from fbkit.schema import results
from fbkit.schema.contract import Contract
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period, format_instant

FROM_COUNTS: Final[Mapping[str, Measure]] = {
    name: measure
    for name, measure in REGISTRY.items()
    if measure.needs == "counts" and not measure.columns and not measure.expressions
}


def ledger_metrics(
    ledger: Ledger,
    names: Asked | Sequence[Asked],
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    weights: str | None = None,
    threshold: float | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Metrics from a ledger, with the columns of :func:`fbkit.metrics`.

    Parameters are those of ``metrics`` with these limits: slice columns that were counted (and model_version), whole
    days. By slice, a ``threshold`` and the metrics of score bins know whole weeks and the ledger's own as-of only.

    Parameters
    ----------
    threshold
        Flag every row at ``score >= threshold`` instead of by its own decision; one of the ledger's edges.
    as_of
        An earlier midnight UTC: what a join at that time says, unless a label was corrected or withdrawn since.

    Returns
    -------
    The same columns as ``metrics``. Counts and their bounds are exact, Brier to 1e-9; metrics of score bins say in
    ``method`` how far the rows' value may lie from theirs. Where entities repeat, intervals come from 32 groups of
    entities (delete-a-group jackknife); at an earlier as-of, at a provisional stage and in cells finer than the groups
    were counted by, from the slice's own design effect.

    Raises
    ------
    ArgumentError
        A metric that needs the rows, or a slice, time, stage or threshold that was not counted.
    """
    check_level(level)
    measures = measures_of(names, ledger.contract)
    weighing = weighing_of(ledger, weights)
    question = ask(ledger, by=by, every=every, period=period, stage=stage, as_of=as_of)
    scope = scope_of(question)
    counts, parts = _counted(question, measures, weighing, threshold=threshold, level=level)
    binned = [measure for measure in measures if measure.name in FROM_BINS]
    parts |= bin_parts(question, counts, binned, weighing=weighing, level=level)
    parts = {name: _withheld(part, name, measures, question) for name, part in parts.items()}
    call: dict[str, Any] = {"names": [m.name for m in measures], "by": question.by, "every": every}
    call |= {"period": str(scope.limits), "stage": question.stage.name, "level": level, "weights": weights}
    call |= {"threshold": threshold, "as_of": format_instant(question.as_of)}
    known: Any = ledger  # what is asked of a joined table here, a ledger has too
    identity = evaluation_id(known, call="metrics", **call)
    frame = assemble(scope, measures, parts, identity)
    frame = mark_incomplete(frame, known, everything=period is None and every is None)
    note(known, frame, identity=identity, call="metrics", arguments=call)
    return frame


def measures_of(names: Asked | Sequence[Asked], contract: Contract) -> tuple[Measure, ...]:
    """The measures of these names that a ledger can answer."""
    known = dict(FROM_COUNTS) | {name: REGISTRY[name] for name in FROM_BINS if name in REGISTRY}
    made = {name: make(contract) for name, make in FROM_CONTRACT.items()}
    known |= {name: m for name, m in made.items() if m.needs == "counts" and not m.columns}
    asked = [names] if not isinstance(names, Sequence) or isinstance(names, str) else list(names)
    everything = {**REGISTRY, **made}
    for name in asked:
        if isinstance(name, str) and name in everything and name not in known:
            raise ArgumentError(
                f"{name} needs the rows",
                got="a ledger",
                allowed=", ".join(known),
                next_step="measure the joined table: fb.metrics(joined, ...)",
            )
    chosen = choose(asked, allowed=known)
    for measure in chosen:
        if measure.name not in known and measure.needs != "counts":
            raise ArgumentError(
                f"{measure.name} needs the rows",
                got="a ledger",
                allowed='a metric with needs="counts", or one of ' + ", ".join(known),
                next_step="measure the joined table: fb.metrics(joined, ...)",
            )
    return chosen


def scope_of(question: Question) -> Scope:
    """The answer's cells in the form that rows' answers have."""
    return Scope(
        frame=pl.DataFrame(), by=question.by, every=question.every, limits=question.limits, stage=question.stage
    )


def _counted(
    question: Question, measures: Sequence[Measure], weighing: Weighing, *, threshold: float | None, level: float
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Rows by cell, and what counts alone say; another threshold moves only the measures of decisions."""
    cells = gather(question, weighing.names)
    counts = count_frame(cells)
    wanted = [measure for measure in measures if measure.name not in FROM_BINS]
    moved = [] if threshold is None else [measure for measure in wanted if measure.uses_flag]
    parts = _of_counts(cells, counts, [m for m in wanted if m not in moved], weighing=weighing, level=level)
    if threshold is not None and moved:
        cells = _flagged_at(question, threshold, weighing)
        parts |= _of_counts(cells, count_frame(cells), moved, weighing=weighing, level=level)
    return counts, parts


def _of_counts(
    cells: Cells, counts: pl.DataFrame, measures: Sequence[Measure], *, weighing: Weighing, level: float
) -> dict[str, pl.DataFrame]:
    totals = [measure for measure in measures if isinstance(measure, Total)]
    rates = [measure for measure in measures if isinstance(measure, Cellwise)]
    parts = total_parts(cells, counts, totals, weighing=weighing, level=level)
    return parts | rate_parts(cells, counts, rates, weighing=weighing, level=level)


def _flagged_at(question: Question, threshold: float, weighing: Weighing) -> Cells:
    """Cells in which every row is flagged by its score."""
    asked = replace(question, flag_from=question.ledger.edges.first_flagged(threshold))
    if not question.cut:
        return gather(asked, weighing.names, binned=True)
    check_bins(question)
    if weighing.products:
        raise ArgumentError(
            "by slice, a ledger has weighted counts at the logged decisions only",
            got=f"threshold={threshold}",
            allowed="no threshold, or no slice",
            next_step="measure the joined rows",
        )
    return gather(asked, weighing.light, kind=c.BINS)


def weighing_of(ledger: Ledger, weights: str | None) -> Weighing:
    """How the sums are read for these weights; ArgumentError for weights that were not counted."""
    manifest = ledger.manifest
    if weights != manifest.weights and (weights is not None or manifest.fractional):
        raise ArgumentError(
            "the ledger did not count these weights",
            got=weights or "no weights",
            allowed=manifest.weights or "no weights",
            next_step="build the ledger with these weights, or measure the joined rows",
        )
    return Weighing(products=weights is not None or manifest.fractional)


def _withheld(part: pl.DataFrame, name: str, measures: Sequence[Measure], question: Question) -> pl.DataFrame:
    measure = next(item for item in measures if item.name == name)
    known: Any = question.ledger
    if measure.probability and question.ledger.contract.predictions.score_kind != "probability":
        part = not_probabilities(part)
    if question.stage.positives_only(known) and measure.uses_label:
        part = without_numbers(part, POSITIVES_ONLY)
    return part
