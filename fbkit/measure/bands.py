"""Truth bands: a metric under every assumption about its missing labels, from none at all to no label used."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from fbkit.join.rows import no_rows
from fbkit.measure.arguments import checked
from fbkit.measure.cellwise import cellwise_frames, cut_cells
from fbkit.measure.evaluation import stamped
from fbkit.measure.kinds import F, S, Total, W, Y
from fbkit.measure.labels import cbpe
from fbkit.measure.labels.assumptions import Answer, Line, World, lines
from fbkit.measure.labels.band_arguments import chosen, free_names, kinds, odds_ratios, targets
from fbkit.measure.labels.bounds import imbens_manski
from fbkit.measure.labels.mar import NO_CELLS, make_cells
from fbkit.measure.labels.masses import Metric, Rows
from fbkit.measure.metrics import POSITIVES_ONLY, all_cells, check_level, without_numbers
from fbkit.measure.ratios import total_frames
from fbkit.measure.registry import choose
from fbkit.measure.scope import ENTITY, IN, Scope, Slices, Stage, open_scope, slice_columns
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import count_cells, finish
from fbkit.schema import bands, results
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

NOT_PROBABILITIES: Final = "scores are not probabilities: name a period with labels in calibrate_on"
NO_CALIBRATION: Final = "no labelled row in the period of calibrate_on"
_WITHIN: Final = "\0within"
_LINE: Final = "\0line"
_FIRST: Final = "\0first"


@checked
def truth_bands(
    joined: JoinedLike,
    names: str | Sequence[str],
    *,
    by: Slices = None,
    every: str | None = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    delta: Sequence[float] = (0.5, 2.0),
    reach: float | Mapping[str, float] | None = None,
    within: Slices = None,
    calibrate_on: str | Period | None = None,
    assumptions: Sequence[str] | None = None,
    level: float = 0.95,
    weights: str | None = None,
) -> pl.DataFrame:
    """A metric under every assumption about the labels that are missing, one line per assumption.

    Parameters
    ----------
    joined
        Predictions with label states as of one time; labels 0 or 1, or fractional.
    names
        One or several of recall, precision, specificity, false_positive_rate, npv, accuracy, balanced_accuracy, f1,
        f0_5, f2, mcc, base_rate, brier, log_loss, roc_auc, average_precision.
    by, every, period, stage, level, weights
        As in :func:`fbkit.metrics`.
    delta
        Odds ratios: within inner cells (flag x score range) the unlabelled rows are positive at ``delta`` times the
        odds of the labelled ones. One line each, and one for all patterns of loss between the least and the greatest.
        For a curve give many, as ``numpy.geomspace(0.1, 10, 41)``.
    reach
        A value (or one per metric), such as that of a reference period: which odds ratio would bring the metric there?
    within
        Further columns that the loss of labels may depend on; they make the inner cells smaller.
    calibrate_on
        Period on whose labelled mature rows scores are calibrated (isotonic) for CBPE; None takes scores as they are.
    assumptions
        Kinds to compute, of "labelled", "worst case", "monotone", "odds ratio", "at random", "CBPE"; None is all.

    Returns
    -------
    The ``by`` columns as text, then metric, period_start, period_end, assumption, delta, value, lower, upper,
    bound_lower, bound_upper, band_lower, band_upper, n, n_labelled, stage, method, reason, evaluation_id.
    ``bound_lower``/``bound_upper`` is what the assumption allows (a point has equal ones; beside "labelled rows" they
    are the worst case), ``band_lower``/``band_upper`` that range with its sampling uncertainty: a confidence set for
    the metric of all predictions (Imbens and Manski 2004, doi:10.1111/j.1468-0262.2004.00555.x). Where only a range is
    known, value is null. ``delta`` is the odds ratio of a line, in the lines "to reach" the one that was looked for;
    null beside a reason if there is none.

    Raises
    ------
    ArgumentError
        An unknown metric, kind, column, stage or time cell; odds ratios that are not above 0; a task that is not
        binary.

    Notes
    -----
    CBPE uses no label (of the period that it is about): it says what the scores promise, and cannot see that the same
    scores mean something else today.

    Examples
    --------
    >>> import fbkit as fb
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> found = truth_bands(joined, "recall", assumptions=["worst case", "at random"])
    >>> found.select("assumption", "value", "bound_lower", "bound_upper").rows()
    [('worst case', None, 0.32..., 0.85...), ('missing at random within cells', 0.7..., 0.7..., 0.7...)]
    """
    check_joined(joined)
    check_level(level)
    metrics = chosen(names, joined.contract.model.task)
    wanted = kinds(assumptions)
    ratios = odds_ratios(delta)
    goals = targets(reach, metrics)
    columns = no_rows(joined)
    inner = slice_columns(columns, within)
    free_names(slice_columns(columns, by))
    scope = open_scope(joined, by=by, every=every, period=period, stage=stage, weights=weights, extra=_code_of(inner))
    cells = all_cells(scope, count_cells(scope.frame, scope.keys))
    calibration = _calibration(joined, calibrate_on, weights=weights) if "CBPE" in wanted else None
    worlds = _worlds(scope, cells, wanted, calibration, level=level, weighted=weights is not None)
    parts: list[pl.DataFrame] = []
    for metric in metrics:
        reasons = _reasons(joined, scope, metric, calibrated=None if calibrate_on is None else calibration is not None)
        if not {"labelled", "worst case"}.isdisjoint(wanted):
            part = _labelled(scope, cells, metric, level=level, weighted=weights is not None)
            parts.append(_without(part, reasons["labels"]) if "labels" in reasons else part)
        for line in lines(wanted, delta=ratios, reach=goals.get(metric.name)):
            kind = "labels" if line.uses_label else "CBPE" if line.assumption == bands.EXPECTED else "worst case"
            answers = [Answer() if kind in reasons else line.answer(metric, world) for world in worlds]
            part = _framed(cells, metric, line, answers, scope=scope, level=level)
            parts.append(_without(part, reasons[kind]) if kind in reasons else part)
    frame = _assembled(scope, parts, labelled="labelled" in wanted)
    frame = mark_incomplete(frame, joined, everything=period is None and every is None)
    return stamped(
        frame, joined, call="truth_bands", names=[m.name for m in metrics], by=scope.by, every=every,
        period=str(scope.limits), stage=scope.stage.name, delta=ratios, reach=goals, within=inner,
        calibrate_on=None if calibrate_on is None else str(Period.parse(calibrate_on)), assumptions=wanted,
        level=level, weights=weights,
    )  # fmt: skip


def _code_of(within: tuple[str, ...]) -> dict[str, pl.Expr]:
    if not within:
        return {}
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    texts = [pl.col(name).cast(pl.String) for name in within]
    sized = [
        part for text in texts for part in (text.str.len_bytes().cast(pl.String).fill_null("-"), text.fill_null(""))
    ]
    return {_WITHIN: pl.concat_str(sized, separator=":").rank("dense").cast(pl.Int64)}


def _worlds(
    scope: Scope,
    cells: pl.DataFrame,
    kinds: tuple[str, ...],
    calibration: cbpe.Map | None,
    *,
    level: float,
    weighted: bool,
) -> list[World]:
    """The rows of each cell, in the order of ``cells``; inner cells only where a kind of assumption needs them."""
    inner = not set(kinds).isdisjoint(("monotone", "odds ratio", "at random"))
    worlds: list[World] = []
    for rows_of in cut_cells(scope, cells, weighted=weighted, further={_WITHIN}):
        columns = rows_of.columns
        cluster = columns.get(ENTITY)
        if cluster is not None and len(np.unique(cluster)) == len(cluster):
            cluster = None
        rows = Rows.of(columns[S], columns[Y], columns[F], weight=columns.get(W), cluster=cluster)
        code = columns[_WITHIN].to_numpy() if _WITHIN in columns else None
        made = make_cells(rows, within=code) if inner else NO_CELLS
        worlds.append(World(rows, made, cbpe.chances(rows, calibration), level))
    return worlds


def _calibration(joined: JoinedLike, period: str | Period | None, *, weights: str | None) -> cbpe.Map | None:
    if period is None:
        return None
    scope = open_scope(joined, period=period, weights=weights)
    rows = scope.frame.filter(pl.col(IN) & pl.col(Y).is_not_null())
    arrays = (rows.get_column(name).to_numpy() for name in (S, Y))
    return cbpe.fit(*arrays, weights=None if weights is None else rows.get_column(W).to_numpy())


def _labelled(scope: Scope, cells: pl.DataFrame, metric: Metric, *, level: float, weighted: bool) -> pl.DataFrame:
    """What :func:`fbkit.metrics` says of the labelled rows."""
    measure = choose(metric.name)[0]
    if isinstance(measure, Total):
        made = total_frames(scope, cells, [measure], level=level, bounded=True, weighted=weighted)
    else:
        made = cellwise_frames(scope, cells, [measure], level=level, weighted=weighted)
    return made[metric.name].with_columns(
        pl.lit(metric.name).alias(results.METRIC),
        pl.lit(bands.LABELLED).alias(bands.ASSUMPTION),
        pl.lit(None, dtype=pl.Float64).alias(bands.DELTA),
        pl.col(results.LOWER).alias(bands.BAND_LOWER),
        pl.col(results.UPPER).alias(bands.BAND_UPPER),
    )


def _framed(
    cells: pl.DataFrame, metric: Metric, line: Line, answers: list[Answer], *, scope: Scope, level: float
) -> pl.DataFrame:
    """One line of the result for every cell."""
    numbers = np.array([(*answer[:3], *answer.range[:4], answer.delta) for answer in answers]).reshape(-1, 8)
    numbers[:, [0, 3, 4]] = np.clip(
        numbers[:, [0, 3, 4]], metric.floor, metric.ceiling
    )  # rounding may step over an end
    numbers[:, 3] = np.fmin(numbers[:, 3], numbers[:, 4])
    value, lower, upper, low, high, _, _, delta = numbers.T
    band_low, band_high = _band(numbers, metric, level=level)
    made = finish(
        cells,
        {
            results.VALUE: value, results.LOWER: lower, results.UPPER: upper, results.BOUND_LOWER: low,
            results.BOUND_UPPER: high, bands.BAND_LOWER: band_low, bands.BAND_UPPER: band_high, bands.DELTA: delta,
        },
        method=[None] * cells.height,
        empty=metric.empty,
        uses_flag=metric.uses_flag,
        uses_label=line.uses_label,
        stage=scope.stage,
    )  # fmt: skip
    method = pl.Series(results.METHOD, [answer.method for answer in answers], dtype=pl.String)
    said = pl.Series("\0said", [answer.reason for answer in answers], dtype=pl.String)
    free = pl.col(results.REASON).is_null() | (pl.col(results.REASON) == metric.empty)
    return made.with_columns(
        pl.lit(metric.name).alias(results.METRIC),
        pl.lit(line.assumption).alias(bands.ASSUMPTION),
        pl.when(pl.col(bands.BAND_LOWER).is_not_null()).then(method).alias(results.METHOD),
        pl.when(free).then(pl.coalesce(said, results.REASON)).otherwise(results.REASON).alias(results.REASON),
    )


def _band(numbers: Array, metric: Metric, *, level: float) -> tuple[Array, Array]:
    """The confidence set: of a point its interval, of a range Imbens and Manski's, within what the metric can be."""
    _, lower, upper, low, high, se_low, se_high, _ = numbers.T
    least, greatest = imbens_manski(low, high, se_low, se_high, level=level)
    least, greatest = np.clip(least, metric.floor, None), np.clip(greatest, None, metric.ceiling)
    point = low == high
    return np.where(point, lower, np.fmin(least, low)), np.where(point, upper, np.fmax(greatest, high))


def _reasons(joined: JoinedLike, scope: Scope, metric: Metric, *, calibrated: bool | None) -> dict[str, str]:
    """Why there are no numbers, by kind of line: "labels" (those that rest on labels), "worst case", "CBPE"."""
    reasons: dict[str, str] = {}
    probability = joined.contract.predictions.score_kind == "probability"
    if metric.probability and not probability:
        return dict.fromkeys(("labels", "worst case", "CBPE"), "scores are not probabilities")
    if scope.stage.positives_only(joined):
        reasons["labels"] = POSITIVES_ONLY
    if calibrated is None and not probability:
        reasons["CBPE"] = NOT_PROBABILITIES
    if calibrated is False:
        reasons["CBPE"] = NO_CALIBRATION
    return reasons


def _without(part: pl.DataFrame, reason: str) -> pl.DataFrame:
    nothing = (pl.lit(None, dtype=pl.Float64).alias(name) for name in (bands.BAND_LOWER, bands.BAND_UPPER))
    return without_numbers(part, reason).with_columns(*nothing)


def _assembled(scope: Scope, parts: list[pl.DataFrame], *, labelled: bool) -> pl.DataFrame:
    """All lines by metric, slice, time and assumption; the worst case holds what the labelled rows say."""
    made = [name for name in bands.COLUMNS if name not in (*scope.keys, results.PERIOD_END, results.EVALUATION_ID)]
    numbered = [part.select(*scope.keys, *made, pl.lit(number).alias(_LINE)) for number, part in enumerate(parts)]
    frame = pl.concat(numbered)
    group = [results.METRIC, *scope.keys]
    first = pl.col(_LINE).min().over(results.METRIC)
    worst, own = pl.col(bands.ASSUMPTION) == bands.WORST_CASE, pl.col(bands.ASSUMPTION) == bands.LABELLED
    said = pl.col(results.VALUE).filter(own).first().over(group)
    held = [
        pl.when(worst & pl.col(name).is_not_null()).then(wider(name, said)).otherwise(name).alias(name)
        for name, wider in (
            (results.BOUND_LOWER, pl.min_horizontal), (bands.BAND_LOWER, pl.min_horizontal),
            (results.BOUND_UPPER, pl.max_horizontal), (bands.BAND_UPPER, pl.max_horizontal),
        )
    ]  # fmt: skip
    frame = frame.with_columns(first.alias(_FIRST), *held)
    if not labelled:
        frame = frame.filter(~own)
    frame = scope.with_period_end(frame.sort(_FIRST, *scope.keys, _LINE, nulls_last=True))
    return frame.select(*scope.by, *(name for name in bands.COLUMNS if name != results.EVALUATION_ID))
