"""Order and calibration from a ledger's score bins: value, interval, and between which numbers the rows' lies."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.ledger import columns as c
from fbkit.measure.from_ledger.cells import Cells, Question, gather
from fbkit.measure.from_ledger.totals import Weighing
from fbkit.measure.kinds import Measure
from fbkit.measure.stats.corp import isotonic
from fbkit.measure.stats.intervals import Array, logit_interval, mean_by_variance, quantile, wilson
from fbkit.measure.totals import finish
from fbkit.schema import results


class Histogram(NamedTuple):
    """The labelled rows of one cell by score bin: positives and negatives (or their weight), and sums of their scores.

    ``edges`` are the bins' ends, 0 and 1 the outermost; ``squares`` sums of score squared of all of them.
    """

    positive: Array
    negative: Array
    positive_score: Array
    negative_score: Array
    squares: Array
    edges: Array
    weighted: bool

    @property
    def n(self) -> Array:
        """All labelled rows by bin."""
        return self.positive + self.negative

    @property
    def mean(self) -> Array:
        """The mean score of each bin; of an empty one its middle."""
        middle = (self.edges[1:] + self.edges[:-1]) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.n > 0, (self.positive_score + self.negative_score) / self.n, middle)


class Binned(NamedTuple):
    """A value with its interval; ``least`` and ``greatest`` are where the value of the rows must lie."""

    value: float
    lower: float = np.nan
    upper: float = np.nan
    least: float = np.nan
    greatest: float = np.nan
    method: str | None = None


NOTHING: Final = Binned(np.nan)


def roc_auc(bins: Histogram, level: float) -> Binned:
    """ROC AUC: pairs in different bins are certain, those in one are placed by the mean scores of its two classes.

    Where densities run straight through a bin of width h, a positive beats a negative there with chance
    1/2 + (mean of positives - mean of negatives) / h. The interval is DeLong's, with the bins for scores.
    """
    p, n = float(bins.positive.sum()), float(bins.negative.sum())
    if not (p > 0 and n > 0):
        return NOTHING
    below = np.cumsum(bins.negative) - bins.negative
    inside = bins.positive * bins.negative
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = bins.positive_score / bins.positive - bins.negative_score / bins.negative
        chance = np.clip(0.5 + gap / np.diff(bins.edges), 0.0, 1.0)
    certain = float((bins.positive * below).sum())
    value = (certain + float(np.where(inside > 0, inside * chance, 0.0).sum())) / (p * n)
    least, greatest = certain / (p * n), (certain + float(inside.sum())) / (p * n)
    if bins.weighted or min(p, n) <= 1:
        return Binned(value, least=least, greatest=greatest)
    over = (below + bins.negative / 2) / n
    under = (p - np.cumsum(bins.positive) + bins.positive / 2) / p
    middle = float((bins.positive * over).sum()) / p
    variance = float((bins.positive * np.square(over - middle)).sum()) / (p - 1) / p
    variance += float((bins.negative * np.square(under - middle)).sum()) / (n - 1) / n
    if variance <= 0:
        lower, upper = wilson(value * min(p, n), min(p, n), level=level)
        return Binned(value, float(lower), float(upper), least, greatest, "Wilson (no visible variance)")
    half = float(quantile(level)) * float(np.sqrt(variance))
    return Binned(value, max(0.0, value - half), min(1.0, value + half), least, greatest, "DeLong")


def average_precision(bins: Histogram, level: float) -> Binned:
    """Average precision, expected over all orders of the rows within each bin; the two extreme orders bracket it."""
    pos, neg = bins.positive[::-1], bins.negative[::-1]
    p, m = float(pos.sum()), pos + neg
    if not p > 0:
        return NOTHING
    hits, seen = np.cumsum(pos) - pos, np.cumsum(m) - m
    with np.errstate(invalid="ignore", divide="ignore"):
        best = np.where(pos > 0, (hits + pos) / (seen + pos), 0.0)
    worst = _mixed(hits, seen + neg, pos, np.zeros_like(neg), shares=bins.weighted)
    within = np.clip(_mixed(hits, seen, pos, neg, shares=bins.weighted), worst, best)
    value, least, greatest = (float((pos * part).sum()) / p for part in (within, worst, best))
    if bins.weighted:
        return Binned(value, least=least, greatest=greatest)
    lower, upper, method = _jackknife(pos, m, hits, seen, value, level)
    return Binned(value, lower, upper, least, greatest, method)


def _mixed(hits: Array, seen: Array, pos: Array, neg: Array, *, shares: bool) -> Array:
    """Mean precision at the positives of bins whose rows stand in random order, after ``hits`` of ``seen`` rows.

    A positive at place j of m has on average (j - 1) (p - 1) / (m - 1) others before it; the mean over j of a ratio
    of two straight lines. ``shares``: of weight instead of rows, so that places become an integral.
    """
    from scipy.special import digamma

    m = pos + neg
    with np.errstate(invalid="ignore", divide="ignore"):
        if shares:
            slope, first = pos / m, hits
            steps = np.log1p(m / seen)
        else:
            slope = np.where(m > 1, (pos - 1) / (m - 1), 0.0)
            first = hits + 1 - slope
            steps = digamma(seen + m + 1) - digamma(seen + 1)
        made = slope + np.where(np.isfinite(steps), (first - seen * slope) * steps, 0.0) / m
    return np.where(pos > 0, made, 0.0)


def _jackknife(
    pos: Array, m: Array, hits: Array, seen: Array, value: float, level: float
) -> tuple[float, float, str | None]:
    """The infinitesimal jackknife on the logit scale, with the bins for scores."""
    p, neg = float(pos.sum()), m - pos
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(m > 0, (hits + pos) / (seen + m), 0.0)
        per_flag = np.where(m > 0, pos / (seen + m), 0.0)
    from_here = np.cumsum(per_flag[::-1])[::-1]
    from_here_precision = np.cumsum((per_flag * precision)[::-1])[::-1]
    tied = float((pos * precision).sum()) / p
    as_positive = (precision - tied + from_here - from_here_precision) / p
    variance = float((pos * np.square(as_positive)).sum() + (neg * np.square(from_here_precision / p)).sum())
    if variance <= 0 or not 0 < value < 1:
        lower, upper = wilson(value * p, p, level=level)
        return float(lower), float(upper), "Wilson (no visible variance)"
    lower, upper = logit_interval(value, variance, level=level)
    return float(lower), float(upper), "infinitesimal jackknife, logit"


def log_loss(bins: Histogram, level: float) -> Binned:
    """Log loss by two terms of its series around each class's mean score in a bin; a concave mean is bracketed."""
    p, n = bins.positive, bins.negative
    total = float((p + n).sum())
    if not total > 0:
        return NOTHING
    sides = ((p, bins.positive_score, 1.0), (n, bins.negative_score, -1.0))
    value = least = greatest = 0.0
    squares = 0.0
    for rows, score, sign in sides:
        there = rows > 0
        low, high = (bins.edges[:-1], bins.edges[1:]) if sign > 0 else (1 - bins.edges[1:], 1 - bins.edges[:-1])
        low, high = (np.clip(end, np.finfo(np.float64).eps, 1.0)[there] for end in (low, high))
        share = score[there] / rows[there]
        mean = np.clip(share if sign > 0 else 1 - share, low, high)
        chord = (np.log(low) * (high - mean) + np.log(high) * (mean - low)) / (high - low)
        # Rows spread evenly over a bin whose mean is not its middle: the variance of the even law around that mean.
        spread = np.minimum(np.square(high - low) / 12, (high - mean) * (mean - low))
        found = np.clip(np.log(mean) - spread / (2 * np.square(mean)), chord, np.log(mean))
        value -= float((rows[there] * found).sum())
        least -= float((rows[there] * np.log(mean)).sum())
        greatest -= float((rows[there] * chord).sum())
        squares += float((rows[there] * np.square(found)).sum())
    value, least, greatest = value / total, least / total, greatest / total
    if bins.weighted or total < 2:
        return Binned(value, least=least, greatest=greatest)
    variance = max(squares / total - value * value, 0.0) / (total - 1)
    lower, upper = mean_by_variance(value, variance, units=total, level=level, low=0.0)
    return Binned(value, float(lower), float(upper), least, greatest, "Student t")


def brier_part(name: str) -> Callable[[Histogram, float], Binned]:
    """MCB, DSC or UNC; the isotonic fit is one on the bins, so MCB and DSC are at most what rows give."""

    def measure(bins: Histogram, level: float) -> Binned:  # noqa: ARG001 - no interval
        n, y = bins.n, bins.positive
        total = float(n.sum())
        if not total > 0:
            return NOTHING
        base = float(y.sum()) / total
        unc = base * (1 - base)
        brier = float((bins.squares + y - 2 * bins.positive_score).sum()) / total
        held = n > 0
        fitted = isotonic(y[held] / n[held], n[held])
        recalibrated = float((n[held] * np.square(fitted) + y[held] * (1 - 2 * fitted)).sum()) / total
        value = {"mcb": brier - recalibrated, "dsc": unc - recalibrated, "unc": unc}[name]
        return Binned(value, least=value, greatest=unc if name == "unc" else value + recalibrated)

    return measure


def ece(bins: Histogram, level: float) -> Binned:  # noqa: ARG001 - no interval
    """Expected calibration error over ten equal bins; exact where the tenths are among the edges."""
    n, total = bins.n, float(bins.n.sum())
    if not total > 0:
        return NOTHING
    gaps = bins.positive - bins.positive_score - bins.negative_score
    tenth = np.clip((bins.edges[:-1] * 10 + 1e-9).astype(np.int64), 0, 9)
    inside = np.ceil(bins.edges[1:] * 10 - 1e-9) <= tenth + 1
    value = float(np.abs(np.bincount(tenth, weights=gaps, minlength=10)).sum()) / total
    split = float(n[~inside].sum()) / total
    return Binned(value, least=max(0.0, value - 2 * split), greatest=value + 2 * split)


def ks_classes(bins: Histogram, level: float) -> Binned:  # noqa: ARG001 - no interval
    """How far true positives run ahead of false ones, at the edges; between them it may be a bin's share more."""
    p, n = float(bins.positive.sum()), float(bins.negative.sum())
    if not (p > 0 and n > 0):
        return NOTHING
    first, second = np.cumsum(bins.positive) / p, np.cumsum(bins.negative) / n
    value = max(0.0, float((second - first).max()))
    between = float((second - np.concatenate([[0.0], first[:-1]])).max())
    return Binned(value, least=value, greatest=max(value, between))


FROM_BINS: Final[dict[str, tuple[Callable[[Histogram, float], Binned], str]]] = {
    "roc_auc": (roc_auc, "one class"),
    "average_precision": (average_precision, "no positives"),
    "log_loss": (log_loss, "no labelled rows"),
    "mcb": (brier_part("mcb"), "no labelled rows"),
    "dsc": (brier_part("dsc"), "no labelled rows"),
    "unc": (brier_part("unc"), "no labelled rows"),
    "ece": (ece, "no labelled rows"),
    "ks_classes": (ks_classes, "one class"),
}


def bin_cells(question: Question, *, weighing: Weighing) -> Cells:
    """Cells with score bins on the third axis.

    Raises
    ------
    ArgumentError
        A slice at a grain or a time that its score bins do not know.
    """
    size = len(question.ledger.edges.edges) + 1
    if not question.cut:
        return gather(question, weighing.light, binned=True, extra=size)
    check_bins(question)
    return gather(question, weighing.light, kind=c.BINS, extra=size)


def check_bins(question: Question) -> None:
    """Refuse what the score bins of slices do not know: earlier times, ages, parts of weeks."""
    earlier = question.at is not None or question.stage.age is not None
    if earlier or not question.grain_of(c.BINS):
        raise ArgumentError(
            "by slice, a ledger has score bins for whole weeks and its own as-of only",
            got=f"every={question.every}, period={question.period}, stage={question.stage.name}",
            allowed='every=None or "1w", periods from Monday to Monday, stage "final" or "any"',
            next_step="ask for whole weeks, leave the slice out, or measure the joined rows",
        )


def histograms(cells: Cells, *, weighing: Weighing) -> list[Histogram]:
    """The labelled rows of each cell by score bin."""
    edges = np.clip(np.array([0.0, *cells.question.ledger.edges.edges, 1.0]), 0.0, 1.0)
    # An edge at 0 or 1 leaves an outer bin of no width.
    edges = np.maximum.accumulate(edges)
    inside = cells.counts & cells.labelled
    sums = {name: values[:, inside] for name, values in cells.sums.items()}
    state = cells.state[inside][None, :, None]
    if weighing.products:
        one = np.where(state == c.CODE[results.NEGATIVE], 0.0, 1.0)
        whole, score, squares = (sums[name] for name in ("w1y0s0", "w1y0s1", "w1y0s2"))
        y, ys = sums["w1y1s0"] * one, sums["w1y1s1"] * one
    else:
        one = (state == c.CODE[results.POSITIVE]).astype(np.float64)
        whole, score, squares = sums[c.ROWS], sums["s1"], sums["s2"]
        y, ys = whole * one, score * one
    parts = [part.sum(axis=1) for part in (y, whole - y, ys, score - ys, squares)]
    return [
        Histogram(*(part[cell] for part in parts), edges=edges, weighted=weighing.products)
        for cell in range(len(cells.number))
    ]


def bin_parts(
    question: Question, counts: pl.DataFrame, measures: Sequence[Measure], *, weighing: Weighing, level: float
) -> dict[str, pl.DataFrame]:
    """Estimates of the measures of score bins, keyed by name."""
    if not measures:
        return {}
    listed = histograms(bin_cells(question, weighing=weighing), weighing=weighing)
    made: dict[str, pl.DataFrame] = {}
    for measure in measures:
        fn, empty = FROM_BINS[measure.name]
        found = [fn(histogram, level) for histogram in listed] if listed else [NOTHING] * counts.height
        if question.ledger.manifest.repeats:
            # Score bins do not know who repeats; an interval that takes rows for independent would be too narrow.
            alone = "no interval where entities repeat"
            found = [item._replace(lower=np.nan, upper=np.nan, method=item.method and alone) for item in found]
        values = np.array([item[:3] for item in found], dtype=np.float64).reshape(-1, 3)
        none = np.full(len(found), np.nan)
        numbers = {results.VALUE: values[:, 0], results.LOWER: values[:, 1], results.UPPER: values[:, 2]}
        numbers |= {results.BOUND_LOWER: none, results.BOUND_UPPER: none}
        said: list[str | None] = [_method(item, len(question.ledger.edges.edges) + 1) for item in found]
        part = finish(counts, numbers, method=said, empty=empty, uses_flag=False, uses_label=True, stage=question.stage)
        told = pl.Series(results.METHOD, said, dtype=pl.String)
        made[measure.name] = part.with_columns(
            pl.when(pl.col(results.VALUE).is_not_null()).then(told).alias(results.METHOD)
        )
    return made


def _method(found: Binned, bins: int) -> str | None:
    if np.isnan(found.value):
        return None
    name = f"{found.method}, " if found.method else ""
    if found.greatest - found.least < 1e-12:
        return f"{name}{bins} score bins, exact"
    return f"{name}{bins} score bins, by rows between {found.least:.4f} and {found.greatest:.4f}"
