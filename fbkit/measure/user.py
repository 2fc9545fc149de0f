"""A team's own measures: a mean over rows, a function of confusion counts, of score bins, or of the rows themselves."""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.errors import ArgumentError
from fbkit.measure.kinds import ANY_TASK, Cell, Cellwise, Found, Measure, Needs, Total, W
from fbkit.measure.stats.intervals import Array, mean_by_variance, quantile

Aggregate = Literal["mean", "p50", "p90", "p95", "p99"]
BINS: Final = 100
_VALUE, _PER = "\0value", "\0per"
_DRAWS: Final = 200
_SEED: Final = 20_230_901


class Counts(NamedTuple):
    """Labelled rows (or their weight) by decision and label; the unlabelled ones by decision."""

    tp: float
    fp: float
    fn: float
    tn: float
    unlabelled_flagged: float
    unlabelled_unflagged: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measure of your own, accepted wherever a metric's name is.

    Parameters
    ----------
    name
        Lower-case letters, digits and underscores; the ``metric`` column of the result.
    needs, fn
        ``rows`` with a Polars expression of the joined columns: the mean of its values over the rows (null values are
        left out; where the expression reads ``label``, unlabelled rows are).
        ``rows`` with a function of a frame (score, label, flagged, weight and ``columns``, labelled rows only) to a
        number.
        ``counts`` with a function of :class:`Counts` to a number.
        ``bins`` with a function of a frame of 100 equal score bins (score_lower, score_upper, n, positives) to a
        number.
    columns
        Joined columns that a function of rows reads beside score, label, flagged and weight.
    per
        With an expression: add its values up per session, entity or another column, and look at these totals.
    aggregate
        ``mean`` of the rows or totals, or their quantile: p50, p90, p95, p99.
    absolute
        Look at the totals without their sign, as for errors.
    better
        Which way is good, for guardrails and versions.
    tasks
        The tasks it makes sense for.

    A function that returns None or NaN says "not estimable". Intervals: Student's t (clustered by entity) for means,
    the delta method for functions of counts, a bootstrap over rows or entities (200 draws, fixed seed) for the others.

    Raises
    ------
    ArgumentError
        A name that no metric can have, a function where an expression is needed.

    Examples
    --------
    >>> import polars as pl
    >>> import fbkit as fb
    >>> harm = fb.Metric(name="missed", needs="counts", fn=lambda c: c.fn / (c.tp + c.fp + c.fn + c.tn))
    >>> joined = fb.open_loop(fb.samples.path("recall_drop") / "variant_a").join()
    >>> fb.metrics(joined, [harm, "recall"])["metric"].to_list()
    ['missed', 'recall']
    """

    name: str
    needs: Needs
    fn: pl.Expr | Callable[[Any], float | None] = field(repr=False)
    columns: Sequence[str] = ()
    per: str | None = None
    aggregate: Aggregate = "mean"
    absolute: bool = False
    better: Literal["higher", "lower"] = "higher"
    tasks: tuple[Literal["binary", "regression", "ranking"], ...] = ANY_TASK

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ArgumentError(
                "a metric's name must be a plain word",
                got=self.name,
                allowed="lower-case letters, digits and underscores, a letter first",
                next_step='write for example name="harm_per_decision"',
            )
        expression = isinstance(self.fn, pl.Expr)
        if not expression and not callable(self.fn):
            raise ArgumentError(
                "a metric needs an expression or a function",
                got=type(self.fn).__name__,
                allowed="a Polars expression, or a function of rows, counts or bins",
                next_step='write for example fn=pl.col("amount")',
            )
        if (self.needs != "rows" and expression) or (self.summed and not expression):
            raise ArgumentError(
                f"the metric {self.name} does not fit what it needs",
                got=f"needs={self.needs!r}, per={self.per!r} with {'an expression' if expression else 'a function'}",
                allowed="an expression with needs='rows'; a function without per, aggregate and absolute",
                next_step="give fn as a Polars expression, or leave per and aggregate out",
            )

    @property
    def summed(self) -> bool:
        """Whether it is more than a mean over rows: totals per unit, quantiles, absolute values."""
        return self.per is not None or self.aggregate != "mean" or self.absolute

    @property
    def row_mean(self) -> bool:
        """Whether it is a mean over rows."""
        return isinstance(self.fn, pl.Expr) and not self.summed

    @property
    def identity(self) -> str:
        """What the number depends on, as text: equal texts, equal measures."""
        if isinstance(self.fn, pl.Expr):
            made = str(self.fn)
        else:
            code = getattr(self.fn, "__code__", None)
            made = repr(self.fn) if code is None else f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}"
        rest = (self.needs, tuple(self.columns), self.per, self.aggregate, self.absolute)
        return hashlib.sha256(f"{self.name} {made} {rest!r}".encode()).hexdigest()

    def measure(self) -> Measure:
        """The measure that :func:`fbkit.metrics` computes."""
        if isinstance(self.fn, pl.Expr):
            return _of_totals(self, self.fn) if self.summed else _row_mean(self, self.fn)
        return {"rows": _of_rows, "counts": _of_counts, "bins": _of_bins}[self.needs](self, self.fn)


def _row_mean(metric: Metric, fn: pl.Expr) -> Measure:
    labelled = "label" in fn.meta.root_names()
    value, name = fn.cast(pl.Float64), f"{_VALUE}:{metric.name}"
    weight = pl.when(pl.col(name).is_finite()).then(pl.col(W))
    return Total(
        name=metric.name,
        needs="rows",
        kind="mean",
        uses_label=labelled,
        numerator=weight * pl.col(name),
        denominator=weight,
        empty="no row has a value",
        tasks=metric.tasks,
        expressions={name: value},
    )


def _of_totals(metric: Metric, fn: pl.Expr) -> Measure:
    from fbkit.measure.stats.per_unit import totals_found

    labelled = "label" in fn.meta.root_names()
    value, per = f"{_VALUE}:{metric.name}", f"{_PER}:{metric.name}"
    expressions = {value: fn.cast(pl.Float64)} | ({} if metric.per is None else {per: pl.col(metric.per)})

    def measure(cell: Cell, level: float) -> Found:
        return totals_found(
            cell.columns[value].to_numpy(),
            units=cell.columns.get(per),
            weight=cell.weight,
            cluster=cell.cluster,
            aggregate=metric.aggregate,
            absolute=metric.absolute,
            level=level,
        )

    return Cellwise(
        name=metric.name,
        fn=measure,
        rows="labelled" if labelled else "all",
        uses_label=labelled,
        empty="no row has a value",
        tasks=metric.tasks,
        expressions=expressions,
    )


def _frame(cell: Cell) -> pl.DataFrame:
    weight = np.ones_like(cell.score) if cell.weight is None else cell.weight
    own = {
        "score": cell.score,
        "label": cell.label,
        "flagged": pl.Series(cell.flag, nan_to_null=True),
        "weight": weight,
    }
    return pl.DataFrame(own | {name: values for name, values in cell.columns.items() if name not in own})


def _of_rows(metric: Metric, fn: Callable[[Any], float | None]) -> Measure:
    def measure(cell: Cell, level: float) -> Found:
        frame = _frame(cell)
        value = _number(metric, fn, frame)
        if math.isnan(value):
            return Found(value)
        draws = np.array([_number(metric, fn, frame[rows]) for rows in _resampled(cell)])
        return _bootstrapped(value, draws, cell, level)

    return Cellwise(
        name=metric.name, fn=measure, columns=tuple(metric.columns), tasks=metric.tasks, empty="no number came back"
    )


def point(metric: Metric, cell: Cell, rows: NDArray[np.int64]) -> float:
    """What a function of rows says of these rows of a cell (one may stand there twice), without an interval."""
    return math.nan if isinstance(metric.fn, pl.Expr) else _number(metric, metric.fn, _frame(cell)[rows])


def _resampled(cell: Cell) -> list[NDArray[np.int64]]:
    """Row numbers of each draw: rows drawn again, or all rows of entities drawn again."""
    rng, n = np.random.default_rng(_SEED), len(cell.score)
    if cell.cluster is None:
        return [rng.integers(0, n, n) for _ in range(_DRAWS)]
    codes = np.unique(cell.cluster, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    drawn = [rng.integers(0, len(members), len(members)) for _ in range(_DRAWS)]
    return [np.concatenate([members[code] for code in codes]) for codes in drawn]


def _bootstrapped(value: float, draws: Array, cell: Cell, level: float) -> Found:
    known = draws[np.isfinite(draws)]
    if len(known) < _DRAWS / 2 or len(cell.score) < 2:
        return Found(value)
    # Percentiles of the draws are too narrow in few rows; the error's spread and Student's t are not.
    units = len(cell.score) if cell.cluster is None else len(np.unique(cell.cluster))
    half = float(quantile(level, df=units - 1)) * float(np.std(known, ddof=1))
    method = "bootstrap (entity)" if cell.cluster is not None else "bootstrap"
    return Found(value, value - half, value + half, method=method)


def _cells_of(cell: Cell) -> tuple[Array, NDArray[np.int64]]:
    weight = np.ones_like(cell.score) if cell.weight is None else cell.weight
    decided = ~np.isnan(cell.flag)
    flag, label = cell.flag[decided], cell.label[decided]
    parts = np.stack([flag * label, flag * (1 - label), (1 - flag) * label, (1 - flag) * (1 - label)], axis=1)
    return parts * weight[decided, None], np.flatnonzero(decided)


def _of_counts(metric: Metric, fn: Callable[[Any], float | None]) -> Measure:
    def measure(cell: Cell, level: float) -> Found:
        known = ~np.isnan(cell.label)
        open_flag = cell.flag[~known & ~np.isnan(cell.flag)]
        open_weight = None if cell.weight is None else cell.weight[~known & ~np.isnan(cell.flag)]
        ones = np.ones_like(open_flag) if open_weight is None else open_weight
        unlabelled = (float((ones * open_flag).sum()), float((ones * (1 - open_flag)).sum()))
        labelled = _only(cell, known)
        parts, rows = _cells_of(labelled)
        sums = parts.sum(0)

        def at(values: Array) -> float:
            tp, fp, fn_, tn = (float(number) for number in values)
            return _number(metric, fn, Counts(tp, fp, fn_, tn, *unlabelled))

        value = at(sums)
        if math.isnan(value) or len(rows) < 2:
            return Found(value)
        gradient = np.array([_slope(at, sums, place) for place in range(4)])
        influence = parts @ gradient
        clusters = None if labelled.cluster is None else labelled.cluster[rows]
        variance, units = _variance(influence, clusters)
        lower, upper = mean_by_variance(value, variance, units=units, level=level)
        method = "delta method" if clusters is None else "cluster-robust (entity), delta method"
        return Found(value, float(lower), float(upper), method=method)

    return Cellwise(
        name=metric.name,
        fn=measure,
        needs="counts",
        rows="all",
        uses_flag=True,
        tasks=metric.tasks,
        empty="no number came back",
    )


def _only(cell: Cell, rows: np.ndarray) -> Cell:
    weight = None if cell.weight is None else cell.weight[rows]
    cluster = None if cell.cluster is None else cell.cluster[rows]
    return cell._replace(
        score=cell.score[rows], label=cell.label[rows], flag=cell.flag[rows], weight=weight, cluster=cluster
    )


def _slope(at: Callable[[Array], float], sums: Array, place: int) -> float:
    """Central difference, one-sided at an empty cell; a step of a thousandth of all rows."""
    step = max(float(sums.sum()) * 1e-4, 1e-6)
    up, down = sums.copy(), sums.copy()
    up[place] += step
    down[place] -= min(step, sums[place])
    width = up[place] - down[place]
    slope = (at(up) - at(down)) / width
    return slope if math.isfinite(slope) else 0.0


def _variance(influence: Array, clusters: NDArray[np.int64] | None) -> tuple[float, int]:
    centred = influence - influence.mean()
    if clusters is not None:
        codes = np.unique(clusters, return_inverse=True)[1]
        centred = np.bincount(codes, weights=centred)
    units = len(centred)
    return (float(np.sum(centred**2)) * units / (units - 1) if units > 1 else np.nan), units


def _of_bins(metric: Metric, fn: Callable[[Any], float | None]) -> Measure:
    def measure(cell: Cell, level: float) -> Found:
        weight = np.ones_like(cell.score) if cell.weight is None else cell.weight
        code = np.clip((cell.score * BINS).astype(np.int64), 0, BINS - 1)
        edges = np.arange(BINS + 1) / BINS

        def at(rows: np.ndarray | slice) -> float:
            n = np.bincount(code[rows], weights=weight[rows], minlength=BINS)
            positives = np.bincount(code[rows], weights=(weight * cell.label)[rows], minlength=BINS)
            columns = {"score_lower": edges[:-1], "score_upper": edges[1:], "n": n, "positives": positives}
            return _number(metric, fn, pl.DataFrame(columns))

        value = at(slice(None))
        if math.isnan(value):
            return Found(value)
        return _bootstrapped(value, np.array([at(rows) for rows in _resampled(cell)]), cell, level)

    return Cellwise(
        name=metric.name, fn=measure, needs="bins", probability=True, tasks=metric.tasks, empty="no number came back"
    )


def _number(metric: Metric, fn: Callable[[Any], float | None], given: object) -> float:
    """What the user's function says of this; its own faults are told as what they are."""
    try:
        with np.errstate(invalid="ignore", divide="ignore"):
            found = fn(given)
        value = math.nan if found is None else float(found)
    except ZeroDivisionError:
        return math.nan
    except Exception as error:
        raise ArgumentError(
            f"the function of metric {metric.name} failed",
            got=f"{type(error).__name__}: {error}",
            allowed=f"a function of {metric.needs} that returns a number, or None where there is none",
            next_step="try the function on a small frame by itself",
        ) from error
    return value if math.isfinite(value) else math.nan
