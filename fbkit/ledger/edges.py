"""Frozen score bins: made once from the reference, never moved by current data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fbkit.errors import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class BinEdges:
    """Rising inner edges; bin i holds ``edges[i-1] <= score < edges[i]``, the outer bins are open.

    Every operating threshold is an edge, so "flag if score >= threshold" never cuts a bin and counts stay exact.

    >>> edges = BinEdges(edges=(0.2, 0.5))
    >>> edges.code(pl.Series([0.1, 0.2, 0.7])).to_list(), edges.first_flagged(0.5)
    ([0, 1, 2], 2)
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        values = np.asarray(self.edges, dtype=np.float64)
        if not np.isfinite(values).all() or np.any(np.diff(values) <= 0):
            raise ArgumentError(
                "bin edges must be finite and rising",
                got=self.edges,
                allowed="two or more finite numbers, each larger than the one before",
                next_step="make them from a reference with BinEdges, or mend the list",
            )

    @classmethod
    def from_reference(cls, scores: pl.Series, *, thresholds: Iterable[float | None] = (), bins: int = 50) -> Self:
        """Quantiles of the reference scores, with one half and the operating thresholds among them.

        One half is an edge because below it a label of 1 costs more (Brier) and above it a label of 0 does.
        """
        finite = scores.drop_nulls().cast(pl.Float64).to_numpy()
        inner = np.quantile(finite, np.linspace(0, 1, bins + 1)[1:-1]) if len(finite) else np.empty(0)
        own = [float(threshold) for threshold in thresholds if threshold is not None]
        return cls(edges=tuple(float(edge) for edge in np.unique(np.concatenate([inner, own, [0.5]]))))

    def code(self, scores: pl.Series) -> pl.Series:
        """The bin of each score."""
        codes: NDArray[np.int64] = np.searchsorted(self.edges, scores.to_numpy(), side="right")
        return pl.Series("score_bin", codes, dtype=pl.Int32)

    def first_flagged(self, threshold: float) -> int:
        """The lowest bin that a threshold flags; a threshold that is no edge would split a bin and is refused."""
        if threshold not in self.edges:
            nearest = min(self.edges, key=lambda edge: abs(edge - threshold), default=None)
            raise ArgumentError(
                "the threshold is not among the ledger's edges",
                got=threshold,
                allowed=f"{len(self.edges)} edges, the nearest is {nearest}",
                next_step="build the ledger with this threshold, or ask the joined rows",
            )
        return self.edges.index(threshold) + 1
