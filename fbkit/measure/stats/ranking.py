"""Order of scores: ROC AUC (DeLong) and average precision, with weights, fractional labels and clusters."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fbkit.measure.stats.intervals import (
    Array,
    cluster_sums,
    dot,
    effective_df,
    effective_units,
    logit_interval,
    wilson,
)

_LEAST: Final = 1e-200  # less of a positive than this is none: a share of it may be no number any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One cell's labelled rows by rising score: weight of each row as a positive and as a negative.

    ``starts`` are the first positions of runs of equal scores; ``unit`` says that all weights are 1 and labels 0 or 1.
    """

    score: Array
    positive: Array
    negative: Array
    starts: NDArray[np.int64]
    unit: bool

    @classmethod
    def of(
        cls, scores: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None
    ) -> tuple["Sample", NDArray[np.int64] | None]:
        """Sort rows; also returns the order, so that companions can follow (None: they came in order)."""
        score, label = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.float64)
        weight = None if weights is None else np.asarray(weights, dtype=np.float64)
        order = None
        if np.any(score[1:] < score[:-1]):
            order = np.argsort(score)
            score, label = score[order], label[order]
            weight = None if weight is None else weight[order]
        change = np.empty(len(score), dtype=bool)
        change[:1] = True
        np.not_equal(score[1:], score[:-1], out=change[1:])
        made = cls(
            score=score,
            positive=label if weight is None else weight * label,
            negative=1 - label if weight is None else weight * (1 - label),
            starts=np.flatnonzero(change),
            unit=weight is None and bool(np.all((label == 0) | (label == 1))),
        )
        return made, order

    @property
    def run(self) -> NDArray[np.int64]:
        """Number of the run that each row is in."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.score)))

    def by_run(self, values: Array) -> Array:
        """Sum over each run of equal scores."""
        if len(self.starts) == len(values):
            return values
        return np.add.reduceat(values, self.starts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankResult:
    """Value with interval; NaN where there is none."""

    value: float
    lower: float
    upper: float
    method: str | None


AUC: Final = "DeLong, logit"
PRECISION: Final = "infinitesimal jackknife, logit"
_ROUNDING: Final = 1e-30  # below it a variance (times rows) is what rounding leaves of zero
NOTHING = RankResult(value=np.nan, lower=np.nan, upper=np.nan, method=None)


class Influence(NamedTuple):
    """A value and how much each unit of weight moves it, as a positive and as a negative, by run of equal scores."""

    value: float
    as_positive: Array
    as_negative: Array

    def by_row(self, sample: Sample, order: NDArray[np.int64] | None) -> Array:
        """Influence of each row on the value, in the order in which the rows came; it sums to zero."""
        run = sample.run
        ranked = sample.positive * self.as_positive[run] + sample.negative * self.as_negative[run]
        if order is None:
            return ranked
        rows = np.empty_like(ranked)
        rows[order] = ranked
        return rows


def auc_influence(sample: Sample) -> Influence | None:
    """ROC AUC, ties counting one half, and DeLong's structural components less the value; None with one class."""
    pos, neg = sample.by_run(sample.positive), sample.by_run(sample.negative)
    below, above = np.cumsum(neg), np.cumsum(pos)
    p, n = (float(above[-1]), float(below[-1])) if len(pos) else (0.0, 0.0)
    if not (p > _LEAST and n > _LEAST):
        return None
    below -= neg / 2
    above -= pos / 2
    value = dot(pos, below) / (p * n)
    return Influence(value, (below / n - value) / p, (1 - above / p - value) / n)


def precision_influence(sample: Sample) -> Influence | None:
    """Average precision and the influence of each row on it; None without positives."""
    pos, neg = sample.by_run(sample.positive)[::-1], sample.by_run(sample.negative)[::-1]
    hits, flagged = np.cumsum(pos), np.cumsum(pos + neg)
    p = float(hits[-1]) if len(hits) else 0.0
    if not p > _LEAST:
        return None
    if not flagged[0] > 0:  # the highest scores may have weight 0
        flagged = np.where(flagged > 0, flagged, 1.0)
    precision, per_flag = hits / flagged, pos / flagged
    value = dot(pos, precision) / p
    # A row above or at a threshold moves its precision by (label - precision) / flagged: sums from the threshold down.
    from_here = np.cumsum(per_flag[::-1])
    from_here_precision = np.cumsum((per_flag * precision)[::-1])
    as_positive = (precision[::-1] - value + from_here - from_here_precision) / p
    return Influence(value, as_positive, from_here_precision / -p)


class Spread(NamedTuple):
    """Variance of a value, its degrees of freedom, and how many equal units the two classes are worth."""

    variance: float
    df: float
    positives: float
    negatives: float


def roc_auc(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> RankResult:
    """Area under the ROC curve, ties counting one half, with DeLong's variance (doi:10.2307/2531595).

    With ``clusters`` the variance is Obuchowski's for clustered data (doi:10.2307/2533958) in linearised form. The
    interval is the one of the logit, with Student's t: few low-scored positives make up most of the variance of a high
    AUC, so that it is known badly. One class only: all NaN. Perfect separation has no visible variance; Wilson's
    interval at the smaller class's size stands in.

    >>> round(roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).value, 2)
    0.75
    """
    sample, order = Sample.of(scores, labels, weights=weights)
    found = auc_influence(sample)
    if found is None:
        return NOTHING
    spread = auc_spread(found, sample, clusters, order)
    size = min(spread.positives, spread.negatives)
    return result(found.value, spread, size, clusters, name=AUC, level=level)


def average_precision(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> RankResult:
    """Sum over thresholds of (recall step) x precision, as scikit-learn defines it; no interpolation.

    Interval: infinitesimal jackknife (influence of each row, Efron 1982) on the logit scale
    (Boyd, Eng and Page 2013, doi:10.1007/978-3-642-40994-3_29), with Student's t. No positives: NaN.
    """
    sample, order = Sample.of(scores, labels, weights=weights)
    found = precision_influence(sample)
    if found is None:
        return NOTHING
    spread = _spread(found, sample, clusters, order, of_positives=True)
    return result(found.value, spread, spread.positives, clusters, name=PRECISION, level=level)


def auc_spread(found: Influence, sample: Sample, clusters: ArrayLike | None, order: NDArray[np.int64] | None) -> Spread:
    """DeLong's variance as published for plain rows, else from the influence of each row or cluster."""
    if not sample.unit or clusters is not None:
        return _spread(found, sample, clusters, order, of_positives=False)
    pos, neg = sample.by_run(sample.positive), sample.by_run(sample.negative)
    p, n = float(pos.sum()), float(neg.sum())
    if min(p, n) <= 1:
        return Spread(np.nan, 1.0, p, n)
    one, two = np.square(found.as_positive), np.square(found.as_negative)
    squares = dot(pos, one), dot(neg, two)
    fourths = dot(pos, np.square(one)) + dot(neg, np.square(two))
    df = effective_df(sum(squares), fourths, parts=p + n, units=min(p, n))
    return Spread(squares[0] * p / (p - 1) + squares[1] * n / (n - 1), float(df), p, n)


def _spread(
    found: Influence,
    sample: Sample,
    clusters: ArrayLike | None,
    order: NDArray[np.int64] | None,
    *,
    of_positives: bool,
) -> Spread:
    parts = [found.by_row(sample, None), sample.positive, sample.negative]
    if clusters is not None:
        codes = np.asarray(clusters)
        parts = cluster_sums(codes if order is None else codes[order], *parts)
    influence, *classes = parts
    held = int(np.count_nonzero(classes[0] + classes[1]))
    p, n = (float(effective_units(part.sum(), dot(part, part))) for part in classes)
    size = p if of_positives else min(p, n)
    if held < 2 or size <= 1:
        return Spread(np.nan, 1.0, p, n)
    second = np.square(influence)
    squares = float(second.sum())
    df = effective_df(squares, dot(second, second), parts=held, units=size)
    return Spread(squares * size / (size - 1), float(df), p, n)


def result(
    value: float, spread: Spread, size: float, clusters: ArrayLike | None, *, name: str, level: float
) -> RankResult:
    """The value with its interval on the scale of the logit, or Wilson's where no variance shows."""
    if np.isnan(spread.variance):
        return RankResult(value=value, lower=np.nan, upper=np.nan, method=None)
    method = name if clusters is None else f"cluster-robust (entity), {name}"
    lower, upper = logit_interval(value, spread.variance, level=level, df=spread.df)
    if spread.variance < _ROUNDING / size or not 0 < value < 1:
        lower, upper = wilson(value * size, size, level=level)
        method = "Wilson (no visible variance)"
    return RankResult(value=value, lower=float(lower), upper=float(upper), method=method)


def auc_bounds(scores: ArrayLike, labels: ArrayLike, *, missing: ArrayLike) -> tuple[float, float]:
    """Least and greatest ROC AUC over all labellings of the rows with scores ``missing``.

    For a given number k of positives among them the least AUC has them at the lowest scores and the greatest at
    the highest (exchanging two rows the other way never helps), so a scan over k is exact: O(m log m).
    Labels must be 0 or 1. NaN if no labelling has two classes.
    """
    sample, _ = Sample.of(scores, labels)
    pos, neg = sample.by_run(sample.positive), sample.by_run(sample.negative)
    known = dot(pos, np.cumsum(neg) - neg / 2)
    open_scores = np.sort(np.asarray(missing, dtype=np.float64))
    m, p, n = len(open_scores), float(pos.sum()), float(neg.sum())
    if not m:
        value = known / (p * n) if p and n else np.nan
        return value, value
    at = sample.score[sample.starts]
    left, right = np.searchsorted(at, open_scores, side="left"), np.searchsorted(at, open_scores, side="right")
    # What each missing row wins against the known ones, ties one half: as a positive, and as a negative.
    wins, losses = (_prefix((_prefix(part)[left] + _prefix(part)[right]) / 2) for part in (neg, pos))
    as_negative = p * np.arange(m + 1) - losses
    cut = np.arange(m + 1)  # how many lie below it
    same = np.minimum(cut, m - 1)
    first = np.searchsorted(open_scores, open_scores[same], side="left")
    last = np.searchsorted(open_scores, open_scores[same], side="right")
    across = 0.5 * np.maximum(cut - first, 0) * np.maximum(last - cut, 0)
    # The rows below the cut are positives, those above it negatives; then the other way round.
    low = known + wins + (as_negative[-1] - as_negative) + across
    high = known + (wins[-1] - wins) + as_negative + cut * (m - cut) - across
    pairs_low, pairs_high = (p + cut) * (n + m - cut), (p + m - cut) * (n + cut)
    if not np.any(pairs_low > 0):
        return np.nan, np.nan
    least, greatest = low[pairs_low > 0] / pairs_low[pairs_low > 0], high[pairs_high > 0] / pairs_high[pairs_high > 0]
    return float(np.min(least)), float(np.max(greatest))


def _prefix(values: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(values)])
