"""Cluster Poisson bootstrap of additive counts: every statistic of the ladder is a function of these sums."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from fbkit.measure.stats.intervals import quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FEWEST_DRAWS = 20
# Up to so many cells times clusters a dense table is faster than a sparse one.
_DENSE = 4_000_000
# Value, lower, upper; None where there is none.
Triple = tuple[float | None, float | None, float | None]


def clusters(entity: pl.Series, *, buckets: int) -> Ints:
    """The bootstrap cluster of every row, 0..buckets-1.

    Rows of one entity share a cluster; rows without an entity stand alone. The code depends on the
    sorted names only, so any row order of the logs and any number of threads give the same clusters.
    """
    names = _dense(entity).to_numpy() if entity.null_count() == 0 else _with_gaps(entity)
    return (names.astype(np.int64) * 2654435761 % 2**32) % buckets


def _dense(entity: pl.Series) -> pl.Series:
    """The place of every name among the sorted names, from 1; names are hashed, only the different ones are sorted."""
    names = entity.drop_nulls().unique().sort()
    places = pl.Series(np.arange(1, len(names) + 1))
    return entity.replace_strict(names, places, default=None, return_dtype=pl.Int64)


def _with_gaps(entity: pl.Series) -> Ints:
    dense = _dense(entity)
    known = int(dense.max() or 0)  # type: ignore[arg-type]  # polars types max() as any literal
    filled = dense.fill_null(0).to_numpy(writable=True).astype(np.int64)
    gap = entity.is_null().to_numpy()
    filled[gap] = known + 1 + np.arange(int(gap.sum()))
    return filled


@dataclass(frozen=True, slots=True)
class Resampler:
    """Poisson(1) weights per draw and cluster; ``sums`` adds rows up with them.

    ``weights`` has shape (clusters, draws); draw 0 of every result is the data itself.
    """

    cluster: Ints
    weights: Floats

    @classmethod
    def make(cls, cluster: Ints, *, draws: int, seed: int, buckets: int) -> "Resampler":
        """Draw the weights once; every table of one triage uses the same ones."""
        generator = np.random.default_rng(seed)
        return cls(cluster, generator.poisson(1.0, size=(buckets, draws)).astype(np.float64))

    @property
    def draws(self) -> int:
        return self.weights.shape[1]

    def sums(
        self, code: Ints, *, size: int, rows: NDArray[np.bool_] | None = None, values: Floats | None = None
    ) -> Floats:
        """Sums of ``values`` (ones by default) by ``code``: shape (draws + 1, size).

        Parameters
        ----------
        code
            The cell of every row, 0..size-1.
        rows
            Which rows to add up; all by default.
        values
            What to add up; 1 per row by default.
        """
        cluster = self.cluster
        if rows is not None:
            code, cluster = code[rows], cluster[rows]
            values = None if values is None else values[rows]
        plain = np.bincount(code, weights=values, minlength=size).astype(np.float64)[None, :]
        if self.draws == 0:
            return plain
        buckets = self.weights.shape[0]
        if size * buckets > _DENSE:
            amount = np.ones(len(code)) if values is None else values
            matrix = csr_matrix((amount, (code, cluster)), shape=(size, buckets))
            return np.vstack([plain, (matrix @ self.weights).T])
        table = np.bincount(code * buckets + cluster, weights=values, minlength=size * buckets)
        return np.vstack([plain, (table.reshape(size, buckets) @ self.weights).T])


def interval(draws: Floats, *, level: float, width: float | None = None, more: float = 0.0) -> Triple:
    """Value, lower, upper from an array whose entry 0 is the data and the others are draws.

    The interval is value +- z times the standard deviation of the draws: with 200 draws that is
    steadier than the 2.5 % and 97.5 % quantiles. No finite value: all None. No draws: no interval.
    ``width`` replaces z; ``more`` is added to both sides for what sampling does not cover.
    """
    value = float(draws[0])
    if not np.isfinite(value):
        return None, None, None
    error = standard_error(draws)
    if error is None:
        return value, None, None
    half = (float(quantile(level)) if width is None else width) * error + more
    return value, value - half, value + half


def standard_error(draws: Floats) -> float | None:
    """Standard deviation over the finite draws; None with too few of them."""
    rest = draws[1:][np.isfinite(draws[1:])]
    return float(np.std(rest, ddof=1)) if len(rest) >= FEWEST_DRAWS else None
