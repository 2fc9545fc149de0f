"""The rows of both windows as plain arrays: what every later step counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.metric import row_loss
from fbkit.diagnose.settings import METRICS, NEEDS_DECISION, OWN, VALUE_LOSSES, OwnName, is_mean_of_values
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


def check_metric(metric: str | Metric, *, task: str = "binary") -> str:
    """The name itself if triage knows the metric for models of this task, or if it is a mean over labelled rows."""
    if isinstance(metric, Metric):
        return _own_name(metric)
    known = METRICS if task == "binary" else VALUE_LOSSES
    if metric not in known:
        for_task = "" if task == "binary" else f" for a {task} model"
        raise ArgumentError(
            f"triage does not know this metric{for_task}",
            got=metric,
            allowed=", ".join(known),
            next_step="name one of these with --metric, or as metrics.primary in the contract",
        )
    return metric


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
    ``score >= threshold`` flags.
    """
    reference = rows.of(REFERENCE)
    positives = rows.score[reference & rows.positive]
    shares = np.arange(1, bins // 2) / (bins // 2)
    parts = [np.quantile(rows.score[reference], shares, method="inverted_cdf"), operating_thresholds(rows)]
    if len(positives) >= bins:
        parts.append(np.quantile(positives, shares, method="inverted_cdf"))
    return np.unique(np.concatenate(parts))


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
