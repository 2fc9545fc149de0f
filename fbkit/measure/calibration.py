"""Do scores mean what they say: reliability curves (CORP and bins), consistency bands, the Brier decomposition."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger.ledger import Ledger
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kernels.calibration_error import BIASED, STATISTICS, dsc_draws, ece_draws
from fbkit.measure.kinds import S, W, Y
from fbkit.measure.metrics import check_level
from fbkit.measure.only_ledger import not_of_rows
from fbkit.measure.recalibration_table import mean_interval
from fbkit.measure.reliability import CURVE, CURVE_COLUMNS, bin_curve, corp_curve
from fbkit.measure.scope import ENTITY, IN, Scope, Slices, Stage, open_scope, with_entities
from fbkit.measure.stats.corp import decompose, expected_error
from fbkit.measure.stats.null_band import DRAWS, Rows, judge, worlds
from fbkit.schema import results
from fbkit.schema.incomplete import mark_within
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

BINS: Final = 10
LEVEL: Final = 0.95
INTERVAL: Final = ("lower", "upper")
CHANCE: Final = (*INTERVAL, "debiased", "null_95", "p_value")
NUMBERS: Final = (
    "brier", *(f"brier_{part}" for part in INTERVAL), "mcb", *(f"mcb_{part}" for part in CHANCE),
    "dsc", *(f"dsc_{part}" for part in INTERVAL), "unc",
    *(name for base in BIASED[1:] for name in (base, *(f"{base}_{part}" for part in CHANCE))),
)  # fmt: skip
SUMMARY_COLUMNS: Final = (*NUMBERS, "n", "n_labelled", "stage", "reason")


@checked
def calibration(
    joined: JoinedLike | Ledger,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = BINS,
    curves: tuple[Literal["corp", "bins"], ...] = ("corp", "bins"),
    level: float = 0.95,
    weights: str | None = None,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Reliability curves of the labelled rows: observed frequency against score.

    ``corp`` is the isotonic fit (pool adjacent violators), one line per block; it chooses its own bins
    (Dimitriadis, Gneiting and Jordan 2021, doi:10.1073/pnas.2016191118). ``bins`` are equal-width bins of 0..1.
    ``as_of``, an earlier midnight, is for ledgers.

    Returns
    -------
    The ``by`` columns as text, then curve, score_lower, score_upper, score_mean, observed, lower, upper (of the
    frequency in the block: Wilson, robust to clusters where entities repeat), band_lower, band_upper (where a
    calibrated model's curve would lie, drawn with a fixed seed), n, method, evaluation_id. Slices without labelled
    rows have no lines; :func:`calibration_summary` names the reason.

    Raises
    ------
    ArgumentError
        Scores that are no probabilities, a task that is not binary, an unknown column or stage, no bin.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.curves import ledger_calibration

        how: dict[str, Any] = {"bins": bins, "curves": curves, "level": level, "weights": weights}
        return ledger_calibration(joined, by=by, period=period, stage=stage, as_of=as_of, **how)
    not_of_rows(as_of=as_of)
    check_level(level)
    if bins < 1:
        raise ArgumentError(
            "a reliability curve needs at least one bin",
            got=bins,
            allowed="1 or more",
            next_step="give bins=10, or leave it out",
        )
    scope = probabilities(joined, by, period, stage, weights)
    keys = list(scope.by)
    parts = []
    for key, rows in labelled_cells(scope, weighted=weights is not None):
        labels = [pl.lit(value, dtype=pl.String).alias(name) for name, value in zip(keys, key, strict=True)]
        for curve in curves:
            made = corp_curve(rows, level=level) if curve == "corp" else bin_curve(rows, bins=bins, level=level)
            parts.append(made.select(*labels, *CURVE_COLUMNS))
    floats = dict.fromkeys(CURVE_COLUMNS[1:9], pl.Float64)
    schema = dict.fromkeys(keys, pl.String) | {CURVE: pl.String} | floats | {"n": pl.Int64, "method": pl.String}
    order = pl.col(CURVE).replace_strict({"corp": 0, "bins": 1}, return_dtype=pl.Int8)
    frame = (
        pl.concat(parts).sort(*keys, order, "score_lower", nulls_last=True) if parts else pl.DataFrame(schema=schema)
    )
    call = {"by": scope.by, "period": str(scope.limits), "stage": scope.stage.name, "weights": weights}
    return stamped(frame, joined, call="calibration", bins=bins, curves=curves, level=level, **call)


@checked
def calibration_summary(
    joined: JoinedLike | Ledger,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = BINS,
    weights: str | None = None,
    draws: int = DRAWS,
    as_of: str | datetime | None = None,
) -> pl.DataFrame:
    """Brier = MCB - DSC + UNC (CORP decomposition), ECE and smooth ECE, one line per slice.

    MCB (miscalibration) is what recalibrating would gain, DSC (discrimination) what the scores know, UNC the variance
    of the label (doi:10.1073/pnas.2016191118). ECE: ``bins`` equal-width bins (doi:10.1609/aaai.v29i1.9602). Smooth
    ECE: arXiv:2309.12236. MCB and both ECE are never negative and biased upward, most in small slices. So beside each
    stand ``_debiased`` (without that bias; about 0 where nothing is wrong, and then as often below it as above),
    ``_null_95`` (what a calibrated model with these scores stays under in 95 of 100 worlds) and ``_p_value``.
    ``_lower`` and ``_upper`` are the interval (95 %): of the debiased one for these and DSC, Student's for Brier.

    ``draws`` is the number of worlds (a fixed seed; entities that repeat keep their labels together); 0 leaves these
    columns null. From a ledger the isotonic fit and the draws are those of its score bins, and smooth ECE is null;
    ``as_of``, an earlier midnight, is for ledgers.

    Returns
    -------
    The ``by`` columns as text, then brier, mcb, dsc, unc, ece, smooth_ece with their companions, n, n_labelled, stage,
    reason, evaluation_id; null without labels.

    Raises
    ------
    ArgumentError
        Scores that are no probabilities, a task that is not binary, an unknown column or stage.
    """
    if isinstance(joined, Ledger):
        from fbkit.measure.from_ledger.reliability import ledger_summary

        how: dict[str, Any] = {"bins": bins, "weights": weights, "draws": draws, "as_of": as_of}
        return ledger_summary(joined, by=by, period=period, stage=stage, **how)
    not_of_rows(as_of=as_of)
    scope = probabilities(joined, by, period, stage, weights)
    keys = list(scope.by)
    counts = scope.frame.group_by(keys or pl.lit(0).alias("\0all")).agg(
        pl.col(IN).sum().cast(pl.Int64).alias(results.N),
        (pl.col(IN) & pl.col(Y).is_not_null()).sum().cast(pl.Int64).alias(results.N_LABELLED),
    )
    lines = [
        dict(zip(keys, key, strict=True)) | _numbers(rows, bins=bins, draws=draws)
        for key, rows in labelled_cells(scope, weighted=weights is not None)
    ]
    made = pl.DataFrame(lines, schema=dict.fromkeys(keys, pl.String) | dict.fromkeys(NUMBERS, pl.Float64))
    made = made.with_columns(pl.col(NUMBERS).fill_nan(None))
    frame = counts.join(made, on=keys, how="left", nulls_equal=True) if keys else _one_line(counts, made)
    reason = pl.when(pl.col("brier").is_not_null()).then(None).when(pl.col(results.N) == 0).then(pl.lit("window open"))
    frame = frame.with_columns(
        pl.lit(scope.stage.name).alias(results.STAGE),
        reason.otherwise(pl.lit("no labelled rows")).alias(results.REASON),
    )
    frame = frame.select(*keys, *SUMMARY_COLUMNS).sort(keys or "n", nulls_last=True)
    frame = mark_within(frame, joined, within=() if period is None else (Period.parse(period),))
    call = {"by": scope.by, "period": str(scope.limits), "stage": scope.stage.name, "weights": weights}
    return stamped(frame, joined, call="calibration_summary", bins=bins, draws=draws, **call)


def probabilities(
    joined: JoinedLike, by: Slices, period: str | Period | None, stage: str | Stage, weights: str | None
) -> Scope:
    """The rows of the question, if their scores are probabilities."""
    check_joined(joined)
    kind, task = joined.contract.predictions.score_kind, joined.contract.model.task
    if kind != "probability" or task != "binary":
        raise ArgumentError(
            "calibration needs a binary model with probability scores",
            got=f"task {task}, score_kind {kind}",
            next_step='set [predictions] score_kind = "probability" if the scores are probabilities',
            allowed="task binary, score_kind probability",
        )
    return open_scope(joined, by=by, period=period, stage=stage, weights=weights)


def labelled_cells(scope: Scope, *, weighted: bool) -> Iterator[tuple[tuple[object, ...], Rows]]:
    """Slice values and the labelled rows that weigh something, slice by slice."""
    frame, clustered = with_entities(scope.frame, scope.keys)
    rows = frame.filter(pl.col(IN) & pl.col(Y).is_not_null() & (pl.col(W) > 0))
    cells = rows.partition_by(list(scope.by), as_dict=True) if scope.by else {(): rows}
    for key, cell in cells.items():
        if cell.height:
            yield key, cell_rows(cell, clustered=clustered, weighted=weighted)


def cell_rows(cell: pl.DataFrame, *, clustered: bool, weighted: bool) -> Rows:
    """The arrays of one cell; entities that do not repeat in it are independent rows."""
    cluster = cell.get_column(ENTITY).to_numpy() if clustered else None
    if cluster is not None and len(np.unique(cluster)) == len(cluster):
        cluster = None
    weight = cell.get_column(W).to_numpy() if weighted else None
    return Rows(cell.get_column(S).to_numpy(), cell.get_column(Y).to_numpy(), weight, cluster)


def _numbers(rows: Rows, *, bins: int, draws: int) -> dict[str, float]:
    found = decompose(rows.score, rows.label, weights=rows.weight)
    made = worlds(rows, draws=draws) if draws else None
    for name in BIASED:
        value_of, drawn, _ = STATISTICS[name]
        if name == "ece":
            value = expected_error(rows.score, rows.label, bins=bins, weights=rows.weight)
            drawn = partial(ece_draws, bins=bins)
        else:
            value = value_of(rows.score, rows.label, weights=rows.weight)
        found[name] = value
        if made is not None:
            judged = judge(value, drawn, made, level=LEVEL)
            found |= {f"{name}_{part}": getattr(judged, part) for part in CHANCE}
    return found | (_intervals(rows, found["dsc"], draws=draws) if draws else {})


def _intervals(rows: Rows, dsc: float, *, draws: int) -> dict[str, float]:
    """The intervals of the Brier score and of its discrimination."""
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    loss = weight * (rows.label * np.square(1 - rows.score) + (1 - rows.label) * np.square(rows.score))
    _, lower, upper = mean_interval(loss, weight, rows, level=LEVEL)
    judged = judge(dsc, dsc_draws, worlds(rows, against="base", draws=draws), level=LEVEL)
    return {"brier_lower": lower, "brier_upper": upper, "dsc_lower": judged.lower, "dsc_upper": judged.upper}


def _one_line(counts: pl.DataFrame, made: pl.DataFrame) -> pl.DataFrame:
    if not counts.height:
        counts = pl.DataFrame({results.N: [0], results.N_LABELLED: [0]})
    filled = made if made.height else pl.DataFrame({name: pl.Series([None], dtype=pl.Float64) for name in NUMBERS})
    return counts.hstack(filled)
