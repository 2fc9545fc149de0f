"""Brier's parts and calibration errors of a ledger with their intervals, and what its repeating entities are worth."""

from datetime import datetime
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.ledger.ledger import Ledger
from fbkit.measure.calibration import CHANCE, INTERVAL, LEVEL, NUMBERS, SUMMARY_COLUMNS
from fbkit.measure.evaluation import stamped
from fbkit.measure.from_ledger.bins import Histogram, bin_cells, brier_part, ece, histograms
from fbkit.measure.from_ledger.cells import Cells, Question, ask, gather
from fbkit.measure.from_ledger.metrics import ledger_metrics, weighing_of
from fbkit.measure.kernels.calibration_error import dsc_draws, ece_draws, mcb_draws
from fbkit.measure.scope import Slices, Stage
from fbkit.measure.stats.corp import Distinct
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.null_band import counted_worlds, judge
from fbkit.schema import results
from fbkit.schema.period import Period

BY_EFFECT: Final = "score bins, groups of entities"


def check_probabilities(ledger: Ledger, bins: int) -> None:
    """Refuse scores that are no probabilities, and less than one bin."""
    if bins < 1 or ledger.contract.predictions.score_kind != "probability":
        raise ArgumentError(
            "calibration needs probability scores and at least one bin",
            got=f"bins={bins}, score_kind {ledger.contract.predictions.score_kind}",
            next_step='set [predictions] score_kind = "probability" if the scores are probabilities',
            allowed="score_kind probability, one bin or more",
        )


def effect_of(question: Question) -> float:
    """How many labelled rows tell as much as one independent one: the design effect of label less score, at least 1.

    From the ledger's groups of entities, over all days: the variance of the groups' sums against that of the rows.
    Where no entity repeats it is 1.
    """
    ledger = question.ledger
    if not ledger.manifest.repeats or (c.GROUPS, ()) not in ledger.tables:
        return 1.0
    kept = ledger.views.get("reliability effect")
    if kept is None:
        kept = ledger.views["reliability effect"] = _effect(ask(ledger, stage=results.STAGE_ANY))
    return float(kept)


def _effect(question: Question) -> float:
    names = (c.ROWS, "s1", "s2")
    grouped = gather(question, names, kind=c.GROUPS, extra=c.BUCKETS)
    known = grouped.labelled
    positive = grouped.state[known] == c.CODE[results.POSITIVE]
    n, s1, s2 = (grouped.sums[name][:, known].sum(axis=0) for name in names)
    if not n.sum() > 0:
        return 1.0
    residual = (n * positive[:, None] - s1).sum(axis=0)
    # (y - s)^2 is 1 - 2 s + s^2 of a positive and s^2 of a negative.
    squares = float((s2 + positive[:, None] * (n - 2 * s1)).sum())
    size, groups = n.sum(axis=0), int(np.count_nonzero(n.sum(axis=0)))
    mean = float(residual.sum() / size.sum())
    if groups < 2 or squares <= 0:
        return 1.0
    between = float(np.square(residual - size * mean).sum()) * groups / (groups - 1)
    return max(1.0, between / squares)


def ledger_summary(
    ledger: Ledger,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = 10,
    weights: str | None = None,
    draws: int = 200,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """The lines of :func:`fbkit.calibration_summary`; the isotonic fit and the draws are those of the score bins.

    Where entities repeat, labels are drawn for as many rows as their groups make them worth. Weighted rows have no
    interval. Smooth ECE needs the rows, ECE ten bins: otherwise they are null.
    """
    check_probabilities(ledger, bins)
    question = ask(ledger, by=by, period=period, stage=stage, as_of=as_of)
    weighing = weighing_of(ledger, weights)
    cells = bin_cells(question, weighing=weighing)
    effect = effect_of(question)
    keys = cells.keys().drop(results.PERIOD_START)
    lines = [
        dict(zip(question.by, keys.row(place), strict=True))
        | _numbers(histogram, bins=bins, draws=draws, effect=effect)
        for place, histogram in enumerate(histograms(cells, weighing=weighing))
    ]
    made = pl.DataFrame(lines, schema=dict.fromkeys(question.by, pl.String) | dict.fromkeys(NUMBERS, pl.Float64))
    made = made.with_columns(pl.col(NUMBERS).fill_nan(None))
    frame = _joined(made, _brier(ledger, question, weights=weights), list(question.by), cells)
    known: Any = ledger
    call = {"by": question.by, "period": str(question.limits), "stage": question.stage.name, "weights": weights}
    return stamped(frame, known, call="calibration_summary", bins=bins, draws=draws, as_of=str(as_of), **call)


def _brier(ledger: Ledger, question: Question, *, weights: str | None) -> pl.DataFrame:
    """The Brier score with its interval, rows and labelled rows of each slice."""
    as_of = None if question.at is None else question.as_of
    asked: dict[str, Any] = {"by": question.by or None, "period": question.period, "stage": question.stage}
    found = ledger_metrics(ledger, "brier", **asked, weights=weights, as_of=as_of)
    return found.select(
        *question.by,
        pl.col(results.VALUE).alias("brier"),
        pl.col(results.LOWER).alias("brier_lower"),
        pl.col(results.UPPER).alias("brier_upper"),
        results.N,
        results.N_LABELLED,
        pl.lit(question.stage.name).alias(results.STAGE),
        results.REASON,
    )


def _joined(made: pl.DataFrame, brier: pl.DataFrame, keys: list[str], cells: Cells) -> pl.DataFrame:
    own = made.drop("brier", *(f"brier_{part}" for part in INTERVAL))
    if keys:
        frame = brier.join(own, on=keys, how="left", nulls_equal=True)
    else:
        frame = brier.hstack(own) if len(cells.number) else brier.with_columns(own.clear(1).get_columns())
    return frame.select(*keys, *SUMMARY_COLUMNS).sort(keys or "n", nulls_last=True)


def groups_of(histogram: Histogram) -> Distinct:
    """The bins that hold labelled rows, as scores with their rows and positives; equal means are one."""
    held = histogram.n > 0
    score, n, positives = histogram.mean[held], histogram.n[held], histogram.positive[held]
    starts = np.flatnonzero(np.diff(score, prepend=-np.inf) > 0)
    if len(starts) == len(score):
        return Distinct(score, n, positives)
    parts: list[Array] = [np.add.reduceat(part, starts) for part in (n * score, n, positives)]
    return Distinct(parts[0] / parts[1], parts[1], parts[2])


def _numbers(histogram: Histogram, *, bins: int, draws: int, effect: float) -> dict[str, float]:
    if not histogram.n.sum() > 0:
        return dict.fromkeys(NUMBERS, np.nan)
    found = {name: brier_part(name)(histogram, LEVEL).value for name in ("mcb", "dsc", "unc")}
    found["ece"] = ece(histogram, LEVEL).value if bins == 10 else np.nan
    if not draws or histogram.weighted:
        return found
    groups = groups_of(histogram)
    calibrated = counted_worlds(groups, draws=draws, effect=effect)
    for name, statistic in (("mcb", mcb_draws), ("ece", partial(ece_draws, bins=bins))):
        judged = judge(found[name], statistic, calibrated, level=LEVEL)
        found |= {f"{name}_{part}": getattr(judged, part) for part in CHANCE}
    worthless = counted_worlds(groups, against="base", draws=draws, effect=effect)
    judged = judge(found["dsc"], dsc_draws, worthless, level=LEVEL)
    return found | {"dsc_lower": judged.lower, "dsc_upper": judged.upper}
