"""Do scores mean what they say: reliability curves (CORP and bins), consistency bands, the Brier decomposition."""

from typing import Final, Literal

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.measure.corp import Distinct, bin_of, decompose, distinct_scores, expected_error, isotonic, sums_by
from fbkit.measure.intervals import Array, wilson
from fbkit.measure.metrics import check_level
from fbkit.measure.registry import S, Y
from fbkit.measure.scope import IN, Scope, Slices, Stage, open_scope
from fbkit.schema import results
from fbkit.schema.incomplete import mark_within
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

CURVE: Final = "curve"
CURVE_COLUMNS: Final = (
    CURVE, "score_lower", "score_upper", "score_mean", "observed", "lower", "upper", "band_lower", "band_upper",
    "n", "method",
)  # fmt: skip
SUMMARY_COLUMNS: Final = ("brier", "mcb", "dsc", "unc", "ece", "n", "n_labelled", "stage", "reason")
BINS: Final = 10
_DRAWS: Final = 200
_LARGEST_BAND_GRID: Final = 400
_SEED: Final = 20_210_217


def calibration(
    joined: JoinedLike,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = BINS,
    curves: tuple[Literal["corp", "bins"], ...] = ("corp", "bins"),
    level: float = 0.95,
) -> pl.DataFrame:
    """Reliability curves of the labelled rows: observed frequency against score.

    ``corp`` is the isotonic fit (pool adjacent violators), one line per block; it chooses its own bins
    (Dimitriadis, Gneiting and Jordan 2021, doi:10.1073/pnas.2016191118). ``bins`` are equal-width bins of 0..1.

    Returns
    -------
    The ``by`` columns as text, then curve, score_lower, score_upper, score_mean, observed, lower, upper (Wilson, of
    the frequency in the block), band_lower, band_upper (where a calibrated model's curve would lie, drawn with a
    fixed seed), n, method. Slices without labelled rows have no lines; :func:`calibration_summary` names the reason.

    Raises
    ------
    ArgumentError
        Scores that are no probabilities, a task that is not binary, an unknown column or stage, no bin.
    """
    check_level(level)
    if bins < 1:
        raise ArgumentError(
            "a reliability curve needs at least one bin",
            got=bins,
            allowed="1 or more",
            next_step="give bins=10, or leave it out",
        )
    scope = _probabilities(joined, by, period, stage)
    keys = list(scope.by)
    parts = []
    for key, cell in _labelled_cells(scope):
        distinct = distinct_scores(cell.get_column(S).to_numpy(), cell.get_column(Y).to_numpy())
        drawn = {
            "corp": lambda d=distinct: _corp_curve(d, level),
            "bins": lambda d=distinct: _bin_curve(d, bins, level),
        }
        labels = [pl.lit(value, dtype=pl.String).alias(name) for name, value in zip(keys, key, strict=True)]
        parts += [drawn[curve]().select(*labels, *CURVE_COLUMNS) for curve in curves]
    if not parts:
        floats = dict.fromkeys(CURVE_COLUMNS[1:9], pl.Float64)
        schema = dict.fromkeys(keys, pl.String) | {CURVE: pl.String} | floats | {"n": pl.Int64, "method": pl.String}
        return pl.DataFrame(schema=schema)
    order = pl.col(CURVE).replace_strict({"corp": 0, "bins": 1}, return_dtype=pl.Int8)
    return pl.concat(parts).sort(*keys, order, "score_lower", nulls_last=True)


def calibration_summary(
    joined: JoinedLike,
    *,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    bins: int = BINS,
) -> pl.DataFrame:
    """Brier = MCB - DSC + UNC (CORP decomposition) and ECE, one line per slice.

    MCB (miscalibration) is what recalibrating would gain, DSC (discrimination) what the scores know, UNC the variance
    of the label (doi:10.1073/pnas.2016191118). ECE: ``bins`` equal-width bins (doi:10.1609/aaai.v29i1.9602). MCB and
    ECE are never negative and biased upward in small slices.

    Returns
    -------
    The ``by`` columns as text, then brier, mcb, dsc, unc, ece, n, n_labelled, stage, reason; null without labels.

    Raises
    ------
    ArgumentError
        Scores that are no probabilities, a task that is not binary, an unknown column or stage.
    """
    scope = _probabilities(joined, by, period, stage)
    keys = list(scope.by)
    counts = scope.frame.group_by(keys or pl.lit(0).alias("\0all")).agg(
        pl.col(IN).sum().cast(pl.Int64).alias(results.N),
        (pl.col(IN) & pl.col(Y).is_not_null()).sum().cast(pl.Int64).alias(results.N_LABELLED),
    )
    lines = []
    for key, cell in _labelled_cells(scope):
        scores, labels = cell.get_column(S).to_numpy(), cell.get_column(Y).to_numpy()
        lines.append(
            dict(zip(keys, key, strict=True))
            | decompose(scores, labels)
            | {"ece": expected_error(scores, labels, bins=bins)}
        )
    numbers = ["brier", "mcb", "dsc", "unc", "ece"]
    made = pl.DataFrame(lines, schema=dict.fromkeys(keys, pl.String) | dict.fromkeys(numbers, pl.Float64))
    frame = counts.join(made, on=keys, how="left", nulls_equal=True) if keys else _one_line(counts, made, numbers)
    reason = pl.when(pl.col(results.N_LABELLED) > 0).then(None).when(pl.col(results.N) == 0).then(pl.lit("window open"))
    frame = frame.with_columns(
        pl.lit(scope.stage.name).alias(results.STAGE),
        reason.otherwise(pl.lit("no labelled rows")).alias(results.REASON),
    )
    frame = frame.select(*keys, *SUMMARY_COLUMNS).sort(keys or "n", nulls_last=True)
    return mark_within(frame, joined, within=() if period is None else (Period.parse(period),))


def _probabilities(joined: JoinedLike, by: Slices, period: str | Period | None, stage: str | Stage) -> Scope:
    check_joined(joined)
    kind, task = joined.contract.predictions.score_kind, joined.contract.model.task
    if kind != "probability" or task != "binary":
        raise ArgumentError(
            "calibration needs a binary model with probability scores",
            got=f"task {task}, score_kind {kind}",
            next_step='set [predictions] score_kind = "probability" if the scores are probabilities',
            allowed="task binary, score_kind probability",
        )
    return open_scope(joined, by=by, period=period, stage=stage)


def _labelled_cells(scope: Scope) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    rows = scope.frame.filter(pl.col(IN) & pl.col(Y).is_not_null())
    if not scope.by:
        return [((), rows)] if rows.height else []
    return [(key, cell) for key, cell in rows.partition_by(list(scope.by), as_dict=True).items()]


def _one_line(counts: pl.DataFrame, made: pl.DataFrame, numbers: list[str]) -> pl.DataFrame:
    if not counts.height:
        counts = pl.DataFrame({results.N: [0], results.N_LABELLED: [0]})
    filled = made if made.height else pl.DataFrame({name: pl.Series([None], dtype=pl.Float64) for name in numbers})
    return counts.hstack(filled)


def _corp_curve(distinct: Distinct, level: float) -> pl.DataFrame:
    fitted = isotonic(distinct.positives / distinct.n, distinct.n)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(fitted) > 0]))
    n = np.add.reduceat(distinct.n, starts)
    mean = np.add.reduceat(distinct.n * distinct.score, starts) / n
    low, high = _corp_band(distinct, mean, level)
    return _curve(
        "corp",
        first=distinct.score[starts],
        last=distinct.score[np.append(starts[1:], len(fitted)) - 1],
        mean=mean,
        positives=np.add.reduceat(distinct.positives, starts),
        n=n,
        band=(low, high),
        level=level,
    )


def _corp_band(distinct: Distinct, at: Array, level: float) -> tuple[Array, Array]:
    """Refit labels drawn from the scores themselves; pointwise quantiles of those curves at ``at``."""
    score, n = _thin(distinct.score, distinct.n)
    rng = np.random.default_rng(_SEED)
    drawn = rng.binomial(n.astype(np.int64), np.clip(score, 0, 1), size=(_DRAWS, len(score)))
    position = np.clip(np.searchsorted(score, at, side="right") - 1, 0, len(score) - 1)
    fits = np.stack([isotonic(draw / n, n)[position] for draw in drawn])
    low, high = np.quantile(fits, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _thin(score: Array, n: Array) -> tuple[Array, Array]:
    """Neighbouring scores merged when there are many: the band is drawn on at most 400 points."""
    if len(score) <= _LARGEST_BAND_GRID:
        return score, n
    code = np.minimum(((np.cumsum(n) - n / 2) / n.sum() * _LARGEST_BAND_GRID).astype(np.int64), _LARGEST_BAND_GRID - 1)
    total = sums_by(code, n, _LARGEST_BAND_GRID)
    used = total > 0
    return (sums_by(code, n * score, _LARGEST_BAND_GRID)[used] / total[used]), total[used]


def _bin_curve(distinct: Distinct, bins: int, level: float) -> pl.DataFrame:
    code = bin_of(distinct.score, bins)
    n = sums_by(code, distinct.n, bins)
    used = np.flatnonzero(n > 0)
    mean = sums_by(code, distinct.n * distinct.score, bins)[used] / n[used]
    rng = np.random.default_rng(_SEED)
    drawn = rng.binomial(n[used].astype(np.int64), np.clip(mean, 0, 1), size=(_DRAWS * 10, len(used))) / n[used]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    positives = sums_by(code, distinct.positives, bins)[used]
    return _curve(
        "bins",
        first=used / bins,
        last=(used + 1) / bins,
        mean=mean,
        positives=positives,
        n=n[used],
        band=(low, high),
        level=level,
    )


def _curve(
    name: str,
    *,
    first: Array,
    last: Array,
    mean: Array,
    positives: Array,
    n: Array,
    band: tuple[Array, Array],
    level: float,
) -> pl.DataFrame:
    lower, upper = wilson(positives, n, level=level)
    return pl.DataFrame(
        {
            CURVE: [name] * len(n),
            "score_lower": first,
            "score_upper": last,
            "score_mean": mean,
            "observed": positives / n,
            "lower": lower,
            "upper": upper,
            "band_lower": band[0],
            "band_upper": band[1],
            "n": n.astype(np.int64),
            "method": ["Wilson"] * len(n),
        }
    )
