"""Is the challenger better than the champion: the difference of every metric, on the same rows or on split traffic."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.join.rows import no_rows
from fbkit.measure.arguments import checked
from fbkit.measure.evaluation import stamped
from fbkit.measure.kernels.made import COST, made_column
from fbkit.measure.kinds import Measure, working_name
from fbkit.measure.metrics import check_level, metrics
from fbkit.measure.registry import choose
from fbkit.measure.scope import INSTANT, Slices, Stage, open_scope, slice_columns
from fbkit.measure.stats.intervals import holm, newcombe
from fbkit.measure.stats.paired import Difference
from fbkit.measure.user import Metric
from fbkit.measure.versioning.pairs import SAME_ROWS, Half, Sides, sides
from fbkit.measure.versioning.sample_ratio import SampleRatio, check_share, sample_ratio
from fbkit.measure.versioning.version_gaps import Gap, paired_gap, split_gap, unpaired
from fbkit.measure.versioning.version_rows import Rows
from fbkit.schema import results
from fbkit.schema.incomplete import mark_incomplete
from fbkit.schema.period import Period
from fbkit.schema.protocols import JoinedLike, check_joined

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
DIFFERENCE: Final = "difference"
P_VALUE: Final = "p_value"
P_ADJUSTED: Final = "p_adjusted"
DESIGN: Final = "design"
COLUMNS: Final = {
    results.METRIC: pl.String,
    results.PERIOD_START: INSTANT,
    results.PERIOD_END: INSTANT,
    CHAMPION: pl.Float64,
    CHALLENGER: pl.Float64,
    DIFFERENCE: pl.Float64,
    results.LOWER: pl.Float64,
    results.UPPER: pl.Float64,
    results.BOUND_LOWER: pl.Float64,
    results.BOUND_UPPER: pl.Float64,
    P_VALUE: pl.Float64,
    P_ADJUSTED: pl.Float64,
    "n_champion": pl.Int64,
    "n_challenger": pl.Int64,
    "n_labelled_champion": pl.Int64,
    "n_labelled_challenger": pl.Int64,
    "n_unpaired_champion": pl.Int64,
    "n_unpaired_challenger": pl.Int64,
    results.STAGE: pl.String,
    DESIGN: pl.String,
    results.METHOD: pl.String,
    results.REASON: pl.String,
}
_SURE: Final = 0.999
_LEAST_GAP: Final = 0.01
Names = str | Metric | Sequence[str | Metric]
Estimates = dict[tuple[Any, ...], dict[str, Any]]


@checked
def compare_versions(
    joined: JoinedLike,
    names: Names,
    *,
    champion: str,
    challenger: str,
    by: Slices = None,
    period: str | Period | None = None,
    stage: str | Stage = results.STAGE_FINAL,
    level: float = 0.95,
    share: float | None = None,
) -> pl.DataFrame:
    """The difference of metrics between two model versions, challenger less champion, by slice.

    Both are judged in the time in which both served (``period_start``, ``period_end``), at the same label stage. Where
    at least half of the smaller version's rows are about requests that the other scored too, the pairs are compared
    (design "same rows", see :mod:`fbkit.measure.versioning.pairs`; the rows left out are counted in ``n_unpaired_*``),
    else the two shares of the traffic (design "split traffic").

    Parameters
    ----------
    joined
        Predictions with label states; shadow rows are among them only if the contract's ``[predictions.where]`` names
        their environment.
    names
        Metrics as in :func:`fbkit.metrics`.
    champion, challenger
        Values of ``model_version``.
    by, period, stage, level
        As in :func:`fbkit.metrics`.
    share
        The challenger's intended share of split traffic; None: its share need only be stable.

    Returns
    -------
    The ``by`` columns as text, then metric, period_start, period_end, champion, challenger (values), difference,
    lower, upper, bound_lower, bound_upper, p_value, p_adjusted (Holm, over all lines), n_champion, n_challenger,
    n_labelled_champion, n_labelled_challenger, n_unpaired_champion, n_unpaired_challenger, stage, design, method,
    reason, evaluation_id. What cannot be estimated is null beside a reason; beside a value the reason warns of a
    sample-ratio mismatch or of labels that are available to different degrees.

    Raises
    ------
    ArgumentError
        A version that is not logged, or the same one twice; an unknown metric, column or stage; a share outside (0, 1).

    Notes
    -----
    Same rows: DeLong for ROC AUC, McNemar with Newcombe's interval for shares of the same rows, linearised differences
    for other ratios of sums, a paired bootstrap for the rest; robust to clusters where entities repeat. Bounds are
    sharp for precision, accuracy, recall, specificity and the losses (both versions share the missing label), else the
    gap between both versions' own bounds. Split traffic: Newcombe, unpaired DeLong, Welch, or MOVER from both
    intervals, after a sample-ratio check (:mod:`fbkit.measure.versioning.sample_ratio`).

    Examples
    --------
    >>> import fbkit as fb
    >>> from fbkit.samples.versions import VersionsConfig, versions
    >>> made = versions(VersionsConfig(days=7, drop=0.2), seed=1)
    >>> contract = fb.Contract.from_toml(made.contract_toml)
    >>> loop = fb.open_loop(contract=contract, predictions=made.predictions, outcomes=made.outcomes)
    >>> frame = fb.compare_versions(loop.join(), "recall", champion="v1", challenger="v2", by="region")
    >>> frame.filter(pl.col("upper") < 0)["region"].to_list()
    ['EU']
    """
    check_joined(joined)
    check_level(level)
    measures = choose(names, task=joined.contract.model.task, contract=joined.contract)
    slices = _slices(joined, by)
    found = sides(with_cost(joined, measures), champion=champion, challenger=challenger, period=period, slices=slices)
    asked = [names] if isinstance(names, str | Metric) else list(names)
    frame = compared(found, asked, measures, slices, stage=Stage.parse(stage), level=level)
    ratio = split_check(found, joined, slices, share=share)
    frame = warned(frame, found, ratio)
    frame = mark_incomplete(frame, joined, everything=found.limits is None)
    return stamped(
        frame,
        joined,
        call="compare_versions",
        names=[measure.name for measure in measures],
        champion=champion,
        challenger=challenger,
        by=slices,
        period=str(found.limits),
        stage=Stage.parse(stage).name,
        level=level,
        share=share,
    )


def _slices(joined: JoinedLike, by: Slices) -> tuple[str, ...]:
    slices = slice_columns(no_rows(joined), by)
    for name in slices:
        if name in COLUMNS:
            raise ArgumentError(
                "a slice column is named like a result column",
                got=name,
                allowed="any name that no result column has",
                next_step="rename it in the contract's columns",
            )
    return slices


def with_cost(joined: JoinedLike, measures: Sequence[Measure]) -> JoinedLike:
    """The table with what each prediction cost, while all predictions that share a fixed cost are still together."""
    if not any(COST in measure.columns for measure in measures):
        return joined
    cost = made_column(joined, COST, columns=no_rows(joined).columns)
    if isinstance(cost, str):
        return joined
    return Half(
        frame=joined.frame.with_columns(cost.alias("cost")),
        contract=joined.contract,
        as_of=joined.as_of,
        evaluation_key=joined.evaluation_key,
        feed=getattr(joined, "feed", None),
        data_through=getattr(joined, "data_through", {}),
    )


def split_check(found: Sides, joined: JoinedLike, slices: Sequence[str], *, share: float | None) -> SampleRatio | None:
    """The sample-ratio check of split traffic, by the contract's slices too; None on the same rows."""
    check_share(share)
    if found.design == SAME_ROWS or found.limits is None:
        return None
    logged = found.champion.frame.columns
    columns = [name for name in joined.contract.slices.columns if name in logged]
    return sample_ratio(
        found.champion.frame, found.challenger.frame, share=share, slices=list(dict.fromkeys([*slices, *columns]))
    )


def compared(
    found: Sides,
    asked: Sequence[str | Metric],
    measures: Sequence[Measure],
    slices: tuple[str, ...],
    *,
    stage: Stage,
    level: float,
) -> pl.DataFrame:
    """One line per metric and slice, without the warnings that concern all of them."""
    halves = (found.champion, found.challenger)
    estimates = [_estimates(half, asked, slices, limits=found.limits, stage=stage, level=level) for half in halves]
    rows = _rows(halves, measures, slices, limits=found.limits, stage=stage)
    groups = [side.groups(slices) for side in rows]
    own = {item.name: item for item in asked if isinstance(item, Metric)}
    lines = []
    for measure in measures:
        keys = {key[1:] for side in estimates for key in side if key[0] == measure.name}
        for key in sorted(keys, key=_nulls_last) or [(None,) * len(slices)]:
            one, two = (side.get((measure.name, *key)) for side in estimates)
            gap = Gap(Difference(np.nan, np.nan, np.nan, np.nan, ""))
            # A measure that a column is missing for has no sums.
            if one and two and one["value"] is not None and two["value"] is not None:
                mine = [side.get(key, np.zeros(0, dtype=np.int64)) for side in groups]
                gap = _gap(found, measure, rows, mine, (one, two), metric=own.get(measure.name), level=level)
            lines.append(_line(found, measure, key, one, two, gap, stage=stage))
    frame = pl.DataFrame(lines, schema={**dict.fromkeys(slices, pl.String), **COLUMNS}, orient="row")
    adjusted = holm(frame[P_VALUE].cast(pl.Float64).fill_null(np.nan).to_numpy())
    return frame.with_columns(pl.Series(P_ADJUSTED, adjusted, nan_to_null=True))


def _nulls_last(key: tuple[Any, ...]) -> tuple[tuple[bool, str], ...]:
    return tuple((part is None, str(part)) for part in key)


def _estimates(
    half: Half,
    asked: Sequence[str | Metric],
    slices: tuple[str, ...],
    *,
    limits: Period | None,
    stage: Stage,
    level: float,
) -> Estimates:
    frame = metrics(half, list(asked), by=slices or None, period=limits, stage=stage, level=level)
    return {(row[results.METRIC], *(row[name] for name in slices)): row for row in frame.iter_rows(named=True)}


def _rows(
    halves: tuple[Half, Half],
    measures: Sequence[Measure],
    slices: tuple[str, ...],
    *,
    limits: Period | None,
    stage: Stage,
) -> tuple[Rows, Rows]:
    """Both versions' rows with the working columns of all measures that have theirs."""
    made = []
    for half in halves:
        columns = no_rows(half).columns
        needed = sorted({name for measure in measures for name in measure.columns})
        there = {name: made_column(half, name, columns=columns) for name in needed}
        usable = [
            measure
            for measure in measures
            if all(isinstance(there[name], pl.Expr) for name in measure.columns)
            and all(root in columns for item in measure.expressions.values() for root in item.meta.root_names())
        ]
        extra = {working_name(name): item for name, item in there.items() if isinstance(item, pl.Expr)}
        extra |= {name: item for measure in usable for name, item in measure.expressions.items()}
        scope = open_scope(half, by=slices or None, period=limits, stage=stage, at_stage=extra)
        made.append(Rows(scope, measures=usable))
    return made[0], made[1]


def _gap(
    found: Sides,
    measure: Measure,
    rows: tuple[Rows, Rows],
    mine: Sequence[Any],
    estimates: tuple[Mapping[str, Any], Mapping[str, Any]],
    *,
    metric: Metric | None,
    level: float,
) -> Gap:
    one, two = estimates
    if found.design == SAME_ROWS:
        gap = paired_gap(measure, rows, mine[0], metric=metric, level=level)
        if not np.isfinite(gap.found.value):
            gap = gap._replace(found=unpaired(one, two, level=level))
    else:
        gap = Gap(split_gap(measure, rows, (mine[0], mine[1]), estimates, metric=metric, level=level))
    if np.isfinite(gap.bound_lower):
        return gap
    ends = [one[results.BOUND_LOWER], one[results.BOUND_UPPER], two[results.BOUND_LOWER], two[results.BOUND_UPPER]]
    if any(end is None for end in ends):
        return gap
    return gap._replace(bound_lower=ends[2] - ends[1], bound_upper=ends[3] - ends[0])


def _line(
    found: Sides,
    measure: Measure,
    key: tuple[Any, ...],
    one: Mapping[str, Any] | None,
    two: Mapping[str, Any] | None,
    gap: Gap,
    *,
    stage: Stage,
) -> list[Any]:
    """One row of the result, in the order of its columns."""
    difference, limits = gap.found, found.limits
    told = np.isfinite(difference.value)
    values = [None if part is None else part[results.VALUE] for part in (one, two)]
    bounds = [gap.bound_lower, gap.bound_upper]
    if told and np.isfinite(bounds).all():
        bounds = [min(bounds[0], difference.value), max(bounds[1], difference.value)]
    numbers = [difference.value, difference.lower, difference.upper, *bounds, difference.p_value]
    counts = [0 if part is None else part[name] for name in (results.N, results.N_LABELLED) for part in (one, two)]
    reason = found.reason or _why_not(one, two)
    if reason is None and measure.uses_label and found.design != SAME_ROWS:
        reason = _availability(counts)
    return [
        *key,
        measure.name,
        None if limits is None else limits.start,
        None if limits is None else limits.end,
        *values,
        *(float(number) if np.isfinite(number) else None for number in numbers),
        None,
        *counts,
        *(found.unpaired if found.design == SAME_ROWS else (None, None)),
        stage.name,
        found.design,
        difference.method if np.isfinite(difference.lower) else None,
        reason,
    ]


def _why_not(one: Mapping[str, Any] | None, two: Mapping[str, Any] | None) -> str | None:
    said: list[str] = []
    for name, part in ((CHAMPION, one), (CHALLENGER, two)):
        if part is None:
            said.append(f"{name}: no predictions")
        elif part[results.VALUE] is None:
            said.append(f"{name}: {part[results.REASON]}")
    if len(said) == 2 and said[0].partition(": ")[2] == said[1].partition(": ")[2]:
        return said[0].partition(": ")[2]
    return "; ".join(said) or None


def _availability(counts: Sequence[int]) -> str | None:
    """Whether the labels of one version are known far more often than the other's."""
    n, labelled = counts[:2], counts[2:]
    if not all(n):
        return None
    shares = [some / many for some, many in zip(labelled, n, strict=True)]
    lower, upper = (float(limit) for limit in newcombe(labelled[0], n[0], labelled[1], n[1], level=_SURE))
    if lower <= 0 <= upper or abs(shares[1] - shares[0]) < _LEAST_GAP:
        return None
    return f"labels of {100 * shares[0]:.1f} % of the champion's rows and {100 * shares[1]:.1f} % of the challenger's"


def warned(frame: pl.DataFrame, found: Sides, ratio: SampleRatio | None) -> pl.DataFrame:
    """Every line says what is wrong with the comparison as a whole."""
    said = []
    if ratio is not None and ratio.reason is not None:
        said.append(ratio.reason)
    if found.contradicted:
        said.append(f"{found.contradicted:,} pairs without a label: their two rows' outcomes contradict each other")
    if not said:
        return frame
    told = pl.concat_str(pl.lit("; ".join(said)), results.REASON, separator="; ", ignore_nulls=True)
    return frame.with_columns(told.alias(results.REASON))
