"""The rows of both windows as plain arrays: what every later step counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.diagnose.applies import is_known, metrics_of, why_not
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.metric import ERROR_BINS, row_loss
from fbkit.diagnose.settings import (
    CALIBRATION,
    METRICS,
    NEEDS_DECISION,
    OWN,
    PROBABILITY_LOSSES,
    VALUE,
    OwnName,
    ValueName,
    is_mean_of_values,
)
from fbkit.errors import ArgumentError, InputError
from fbkit.measure.user import Metric
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period

Flags = NDArray[np.bool_]
REFERENCE: Final = 0
CURRENT: Final = 1
WINDOWS: Final = ("reference", "current")
OTHERS: Final = "(other values)"
NO_VALUE: Final = "(no value)"
# Slice column -> its values, and the place of every row's value among them.
Encoded = Mapping[str, tuple[tuple[str, ...], Ints]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Arrays of equal length, one entry per prediction of the two windows.

    ``label`` is NaN without a label. These are the labels as a dashboard shows them; what the ladder believes of them
    is in :class:`~fbkit.diagnose.labels.Labels`.
    """

    frame: pl.DataFrame
    metric: str
    window: Ints
    decision: Ints
    score: Floats
    label: Floats
    labelled: Flags
    positive: Flags
    mature: Flags
    loss: Floats | None
    without_decision: int

    def __len__(self) -> int:
        return len(self.window)

    def of(self, window: int) -> Flags:
        """Mask of one window."""
        return self.window == window


def check_metric(metric: str | Metric, *, contract: Contract) -> str:
    """The metric's name if triage can explain it for this model, with what it needs of the contract.

    Raises
    ------
    ArgumentError
        A metric that does not fit the task, is no sum over rows, or needs what the contract does not say.
    """
    if isinstance(metric, Metric):
        return _own_name(metric)
    task = contract.model.task
    if not is_known(metric, task=task):
        why = why_not(metric, task=task)
        raise ArgumentError(
            f"triage does not know this metric for a {task} model" if why is None else f"{metric} {why}",
            got=metric,
            allowed=", ".join(metrics_of(task)),
            next_step="name one of these with --metric, or as metrics.primary in the contract",
        )
    if metric in (*PROBABILITY_LOSSES, *CALIBRATION) and contract.predictions.score_kind != "probability":
        raise ArgumentError(
            f"{metric} needs scores that are probabilities",
            got=f"score_kind {contract.predictions.score_kind}",
            allowed='score_kind = "probability"',
            next_step="ask for roc_auc or average_precision, which only need the order of the scores",
        )
    return _value_name(contract) if metric == VALUE else metric


def _value_name(contract: Contract) -> ValueName:
    worth = contract.value
    if worth is None:
        raise ArgumentError(
            f"{VALUE} needs to know what each outcome is worth",
            got="a contract without [value]",
            allowed="[value] with true_positive, false_negative, false_positive, true_negative",
            next_step="add [value] to the contract, in the unit that the business counts in",
        )
    name = ValueName(VALUE)
    name.worth = (worth.true_positive, worth.false_negative, worth.false_positive, worth.true_negative)
    return name


def _own_name(metric: Metric) -> OwnName:
    reads = metric.fn.meta.root_names() if isinstance(metric.fn, pl.Expr) else []
    if not metric.row_mean or "label" not in reads:
        raise ArgumentError(
            "triage explains only means over labelled rows of a team's own metrics",
            got=metric.name,
            allowed='fb.Metric(needs="rows", fn=an expression that reads pl.col("label")), without per and aggregate',
            next_step="write it as a mean over rows, or look at it with fb.metrics over time",
        )
    if metric.name in METRICS:
        raise ArgumentError(
            "a metric of your own has the name of one of the kit's",
            got=metric.name,
            allowed="any other name",
            next_step=f'call it for example "own_{metric.name}"',
        )
    name = OwnName(metric.name)
    name.better = metric.better
    return name


def prepare(frame: pl.DataFrame, *, metric: str, reference: Period, current: Period) -> Rows:
    """Cut the two windows out of the joined table.

    Rows without a decision are left out of metrics that need one (and counted in
    ``without_decision``). A window without rows is refused; one without labels is not (the result
    then says "not estimable").
    """
    when = pl.col("ts_pred")
    in_reference = (when >= reference.start) & (when < reference.end)
    in_current = (when >= current.start) & (when < current.end)
    cut = frame.with_columns(_window=pl.when(in_reference).then(REFERENCE).when(in_current).then(CURRENT)).filter(
        pl.col("_window").is_not_null()
    )
    without = 0
    if metric in NEEDS_DECISION:
        without = cut["flagged"].null_count()
        cut = cut.filter(pl.col("flagged").is_not_null())
    window = cut["_window"].cast(pl.Int64).to_numpy()
    for index, period in ((REFERENCE, reference), (CURRENT, current)):
        if not (window == index).any():
            raise InputError(
                f"the {WINDOWS[index]} period has no predictions{' with a decision' if without else ''}",
                got=str(period),
                allowed=f"predictions from {frame['ts_pred'].min()} to {frame['ts_pred'].max()}",
                next_step="choose periods that hold predictions (a monthly log: --last 31d --versus 120d)"
                if not without
                else "log decisions, or set decision.threshold",
            )
    return _arrays(cut, metric=metric, window=window, without=without)


def _arrays(cut: pl.DataFrame, *, metric: str, window: Ints, without: int) -> Rows:
    label = cut["label"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if metric == "ctr":  # a grade of relevance is one click at most
        label = np.clip(label, 0.0, 1.0)
    score = cut["score"].cast(pl.Float64).to_numpy()
    labelled = np.isfinite(label)
    loss = row_loss(metric, score=score, label=label)
    if isinstance(metric, OwnName):
        loss = cut[OWN].fill_null(float("nan")).to_numpy()
        labelled &= np.isfinite(loss)
    return Rows(
        frame=cut,
        metric=metric,
        window=window,
        decision=cut["flagged"].fill_null(value=False).cast(pl.Int64).to_numpy(),
        score=score,
        label=label,
        labelled=labelled,
        positive=np.zeros(len(label), dtype=bool) if is_mean_of_values(metric) else labelled & (label == 1),
        mature=cut["mature"].to_numpy(),
        loss=loss,
        without_decision=without,
    )


def score_edges(rows: Rows, *, bins: int) -> Floats:
    """Inner edges of the score bins, from the reference only, plus the operating thresholds of both windows.

    Half of the edges hold equal shares of the reference rows, half equal shares of its labelled
    positives (where recall is decided). A score equal to an edge belongs to the bin above it, as
    ``score >= threshold`` flags. For the calibration error they are parts of its equal-width bins instead.
    """
    reference = rows.of(REFERENCE)
    if rows.metric == "ece":
        return _equal_width(rows.score[reference], parts=max(1, 2 * bins // ERROR_BINS))
    if rows.metric == "average_precision":  # the order of the highest scores is most of it
        bins *= 2
    positives = rows.score[reference & rows.positive]
    shares = np.arange(1, bins // 2) / (bins // 2)
    parts = [np.quantile(rows.score[reference], shares, method="inverted_cdf"), operating_thresholds(rows)]
    if len(positives) >= bins:
        parts.append(np.quantile(positives, shares, method="inverted_cdf"))
    return np.unique(np.concatenate(parts))


def _equal_width(score: Floats, *, parts: int) -> Floats:
    """Edges of the equal-width bins of the calibration error, each cut into as many parts of about equal rows."""
    wide = np.concatenate([[0.0], [_first_in_bin(k) for k in range(1, ERROR_BINS)], [1.0]])
    edges: list[float] = []
    shares = np.arange(1, parts) / parts
    for low, high in pairwise(wide):
        inside = score[(score >= low) & (score < high)]
        cut = np.quantile(inside, shares, method="inverted_cdf") if len(inside) else shares
        distinct = len(inside) > 0 and bool((np.diff([low, *cut]) > 0).all())
        edges += [*(cut if distinct else low + shares * (high - low)), high]
    return np.array(edges[:-1])


def _first_in_bin(k: int) -> float:
    """The smallest score that is counted into equal-width bin ``k``; see :func:`fbkit.measure.stats.corp.bin_of`."""
    edge = k / ERROR_BINS
    while int(np.nextafter(edge, 0.0) * ERROR_BINS) >= k:
        edge = float(np.nextafter(edge, 0.0))
    while int(edge * ERROR_BINS) < k:
        edge = float(np.nextafter(edge, 1.0))
    return edge


def operating_thresholds(rows: Rows, *, most: int = 4) -> Floats:
    """The thresholds in force on at least 1 % of either window, at most four each."""
    found: list[float] = []
    for window in (REFERENCE, CURRENT):
        logged = rows.frame["threshold"].filter(pl.Series(rows.of(window))).drop_nulls()
        values, counts = np.unique(logged.to_numpy(), return_counts=True)
        order = np.lexsort((values, -counts))[:most]
        found += [float(values[i]) for i in order if counts[i] >= 0.01 * max(1, len(logged))]
    return np.unique(np.array(found, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Strata:
    """One code per row and the values that each code stands for."""

    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    code: Ints

    @property
    def size(self) -> int:
        return max(1, len(self.values))


def slice_columns(contract: Contract, frame: pl.DataFrame) -> tuple[str, ...]:
    """The contract's slice columns that the log has."""
    return tuple(name for name in contract.slices.columns if name in frame.columns)


def encode(column: pl.Series, *, most: int = 30) -> tuple[tuple[str, ...], Ints]:
    """Values (sorted; beyond ``most`` the rarest are put together) and one code per row."""
    text = column.cast(pl.String).fill_null(NO_VALUE)
    counts = text.value_counts(name="_count").sort(["_count", column.name], descending=[True, False])
    kept = sorted(counts[column.name].head(most).to_list())
    lumped = len(counts) > most
    values = [*kept, OTHERS] if lumped else kept
    code = text.replace_strict(kept, list(range(len(kept))), default=len(kept), return_dtype=pl.Int64)
    return tuple(values), code.to_numpy()


def cross(columns: Sequence[str], encoded: Encoded, *, rows: int) -> Strata:
    """The cross of some encoded columns; no column gives one stratum."""
    code = np.zeros(rows, dtype=np.int64)
    values: list[tuple[str, ...]] = [()]
    for name in columns:
        names, own = encoded[name]
        code = code * len(names) + own
        values = [(*before, value) for before in values for value in names]
    return Strata(tuple(columns), tuple(values), code)
