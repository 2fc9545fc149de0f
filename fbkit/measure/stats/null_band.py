"""What chance alone would show: labels drawn again, for statistics that are never negative and biased near zero."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fbkit.measure.stats.corp import Distinct, isotonic, isotonic_lines, sums_by
from fbkit.measure.stats.intervals import Array
from fbkit.measure.stats.logistic import fit_line, log_odds

DRAWS: Final = 200
LARGEST: Final = 1000
_BUCKETS: Final = 256
_CUT: Final = 1e-3
_SEED: Final = 20_210_217

Against = Literal["scores", "base"]
Statistic = Callable[[Array, Array, Array], Array]
"""A function of rising scores, rows (or weight) of each, and draws (lines) of the sums of their labels."""


class Rows(NamedTuple):
    """Labelled rows of one cell: label in 0..1; weight None means all 1; cluster None means independent rows."""

    score: Array
    label: Array
    weight: Array | None = None
    cluster: NDArray[np.int64] | None = None

    @property
    def independent(self) -> bool:
        """Whether every row is one independent label of 0 or 1."""
        return self.weight is None and self.cluster is None and bool(np.isin(self.label, (0.0, 1.0)).all())

    @property
    def weighing(self) -> "Rows":
        """The rows that weigh something."""
        if self.weight is None or bool((self.weight > 0).all()):
            return self
        kept = self.weight > 0
        cluster = None if self.cluster is None else self.cluster[kept]
        return Rows(self.score[kept], self.label[kept], self.weight[kept], cluster)


class Worlds(NamedTuple):
    """Draws of the labels' sums by group of rows with nearly the same score.

    ``null`` are worlds in which the scores are calibrated (or worthless); ``seen`` are pairs of a world like the one
    that was seen (its probability of a positive by group) and draws from it: the likely one, and one that takes all
    for real that may be.
    """

    groups: Distinct
    code: NDArray[np.int64]
    null: Array
    seen: tuple[tuple[Array, Array], ...]
    method: str


class Judged(NamedTuple):
    """A biased statistic made readable; NaN where the rows do not say."""

    value: float
    debiased: float
    lower: float
    upper: float
    null_95: float
    p_value: float
    method: str


def grouped(rows: Rows, *, largest: int = LARGEST) -> tuple[Distinct, NDArray[np.int64]]:
    """Rows gathered by score, neighbours merged where there are more than ``largest`` scores; the group of each row."""
    score, code = np.unique(rows.score, return_inverse=True)
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    if len(score) > largest:
        n = np.bincount(code)
        place = (((np.cumsum(n) - n / 2) / n.sum()) * largest).astype(np.int64)
        code = np.unique(place, return_inverse=True)[1][code]
    n = sums_by(code, weight)
    mean = sums_by(code, weight * rows.score) / np.where(n > 0, n, 1)
    return Distinct(mean, n, sums_by(code, weight * rows.label)), code


def worlds(rows: Rows, *, against: Against = "scores", draws: int = DRAWS, largest: int = LARGEST) -> Worlds:
    """Draw labels as chance would have them, and as the world that was seen would.

    Independent rows with labels 0 and 1 are drawn as such. Weighted, estimated or repeated rows keep their own
    residuals under a random sign per entity (wild bootstrap), so that what varies together does so in the draws.
    The world that was seen is the isotonic fit, shrunk towards the null as far as the fit is noise (James and Stein).
    """
    used = rows.weighing
    groups, code = grouped(used, largest=largest)
    fitted = _fitted(groups)
    noise, method = label_noise(used, groups, code, fitted, draws=draws)
    return _drawn(groups, code, noise, method, fitted, against=against)


def counted_worlds(groups: Distinct, *, against: Against = "scores", draws: int = DRAWS, effect: float = 1.0) -> Worlds:
    """The same of rows that were counted by score, independent ones of 0 and 1; ``effect`` of them tell as much as one.

    Groups of scores that hold no row are not allowed.
    """
    rng = np.random.default_rng(_SEED)
    counts = np.maximum(np.rint(groups.n / effect), 1).astype(np.int64)

    def noise(truth: Array) -> Array:
        drawn = rng.binomial(counts, np.clip(truth, 0, 1), size=(draws, len(counts)))
        return drawn * (groups.n / counts)

    method = "parametric bootstrap" if effect == 1 else "parametric bootstrap, groups of entities"
    return _drawn(groups, np.arange(len(groups.n)), noise, method, _fitted(groups), against=against)


def _drawn(
    groups: Distinct,
    code: NDArray[np.int64],
    noise: Callable[[Array], Array],
    method: str,
    fitted: Array,
    *,
    against: Against,
) -> Worlds:
    base = np.full_like(groups.score, groups.positives.sum() / groups.n.sum())
    null_truth = np.clip(groups.score, 0, 1) if against == "scores" else base
    null = noise(null_truth)
    likely, widest = _seen(groups, null, null_truth, fitted, against=against)
    return Worlds(groups, code, null, tuple((truth, noise(truth)) for truth in (likely, widest)), method)


def judge(value: float, statistic: Statistic, made: Worlds, *, level: float) -> Judged:
    """The statistic beside what chance shows, without its bias, with an interval of what it estimates."""
    groups = made.groups
    null = statistic(groups.score, groups.n, made.null)
    excess = [
        statistic(groups.score, groups.n, drawn) - statistic(groups.score, groups.n, (groups.n * truth)[None, :])[0]
        for truth, drawn in made.seen
    ]
    high = float(np.quantile(excess[0], (1 + level) / 2))
    low = min(float(np.quantile(part, (1 - level) / 2)) for part in excess)
    # Where nothing beyond chance is seen nothing is claimed, whatever the shape of the draws.
    claimed = value > np.quantile(null, (1 + level) / 2)
    return Judged(
        value=value,
        debiased=value - float(excess[0].mean()),
        lower=max(0.0, value - high) if claimed else 0.0,
        upper=max(0.0, value - low),
        null_95=float(np.quantile(null, 0.95)),
        p_value=(1 + int(np.sum(null >= value - 1e-12))) / (1 + len(null)),
        method=made.method,
    )


def gained(score: Array, n: Array, sums: Array, *, against: Against) -> Array:
    """How much the isotonic fit gains over the scores (MCB) or over the base rate (DSC), line by line."""
    total = n.sum()
    fits = isotonic_lines(sums / n, n)
    left = (n * fits**2 - 2 * sums * fits).sum(axis=1)
    if against == "scores":
        return ((n * score**2).sum() - (2 * sums * score).sum(axis=1) - left) / total
    return (-np.square(sums.sum(axis=1)) / total - left) / total


def _seen(groups: Distinct, null: Array, null_truth: Array, fitted: Array, *, against: Against) -> tuple[Array, Array]:
    """What was seen without what is noise in it: a logistic line first, then what the isotonic fit adds to that.

    Each part is shrunk by the factor of James and Stein, 1 - (what chance alone gains) / (what is gained); in the
    second world the line lies two standard errors further off instead (at most five times as far).
    """
    score, n, sums = groups.score, groups.n, groups.positives
    # Scores near 0 and 1 would pull the line at great length; rare labels live there, so the cut follows the base rate.
    clip = min(_CUT, _CUT * 10 * float(sums.sum() / n.sum())) if sums.sum() > 0 else _CUT
    x = log_odds(score, clip=clip)

    def gain(start: Array, end: Array) -> float:
        return max(1e-300, float((n * (np.square(start - sums / n) - np.square(end - sums / n))).sum()))

    # Where chance gains nothing, rounding may leave it just below nothing.
    chance = max(0.0, float(gained(score, n, null, against=against).mean() * n.sum()))
    line = fit_line(x, sums / n, weights=n) if against == "scores" else None
    if line is None:
        return null_truth + max(0.0, 1 - chance / gain(null_truth, fitted)) * (fitted - null_truth), fitted
    straight = line(x)
    parameter = _parameter(groups, null, null_truth) / gain(null_truth, straight)
    near = null_truth + max(0.0, 1 - 2 * parameter) * (straight - null_truth)
    start = log_odds(null_truth)
    further = 1 + 2 * min(2.0, float(np.sqrt(parameter)))
    far = np.asarray(expit(start + further * (log_odds(straight) - start)))
    bend = max(0.0, 1 - chance / gain(near, fitted)) * (fitted - near)
    return near + bend, np.clip(far + max(0.0, 1 - chance / gain(straight, fitted)) * (fitted - straight), 0, 1)


def _parameter(groups: Distinct, null: Array, null_truth: Array) -> float:
    """What one parameter gains by chance: the mean over rows of a label's variance, as the null draws have it."""
    n = groups.n
    return float(np.square(null - n * null_truth).mean(axis=0).sum() / n.sum())


def _fitted(groups: Distinct) -> Array:
    """The isotonic fit without its steps: straight lines between the middles of the blocks."""
    fit = isotonic(groups.positives / groups.n, groups.n)
    starts = np.flatnonzero(np.diff(fit, prepend=-np.inf) > 0)
    middle = np.add.reduceat(groups.n * groups.score, starts) / np.add.reduceat(groups.n, starts)
    # Scores of 1e-310 apart would make a slope overflow; a power of two changes no digit.
    up = 512 - int(np.frexp(np.abs(groups.score).max(initial=0.0))[1])
    return np.interp(np.ldexp(groups.score, up), np.ldexp(middle, up), fit[starts])


def label_noise(
    rows: Rows, groups: Distinct, code: NDArray[np.int64], fitted: Array, *, draws: int
) -> tuple[Callable[[Array], Array], str]:
    """A function that draws sums of labels by group in a world with these probabilities, and what it is called."""
    rng = np.random.default_rng(_SEED)
    if rows.independent:
        counts = groups.n.astype(np.int64)

        def drawn(truth: Array) -> Array:
            return rng.binomial(counts, truth, size=(draws, len(counts))).astype(np.float64)

        return drawn, "parametric bootstrap"
    weight = np.ones_like(rows.score) if rows.weight is None else rows.weight
    residual = weight * (rows.label - fitted[code])
    bucket, buckets = _bucket(rows, weight)
    matrix = sums_by(bucket * len(groups.n) + code, residual, buckets * len(groups.n)).reshape(buckets, -1)
    # Residuals around a fit are a little too small: by the square root of units over units less one.
    grown = np.sqrt(buckets / (buckets - 1)) if buckets > 1 else 1.0

    def noise(truth: Array) -> Array:
        signs = rng.choice(np.array([-1.0, 1.0]), size=(draws, buckets))
        return groups.n * truth + grown * (signs @ matrix)

    name = "wild bootstrap" if rows.cluster is None else "cluster-robust (entity), wild bootstrap"
    return noise, name


def _bucket(rows: Rows, weight: Array) -> tuple[NDArray[np.int64], int]:
    """At most 256 random sets of entities (or rows); a set's sum varies as its members together do."""
    if rows.cluster is None:
        unit = np.empty(len(weight), dtype=np.int64)
        # Numbered by content, so that the order of the rows does not matter.
        unit[np.lexsort((weight, rows.label, rows.score))] = np.arange(len(weight))
    else:
        unit = np.unique(rows.cluster, return_inverse=True)[1].astype(np.int64)
    units = int(unit.max()) + 1
    if units <= _BUCKETS:
        return unit, units
    return np.random.default_rng(_SEED + 1).permutation(units)[unit] % _BUCKETS, _BUCKETS
