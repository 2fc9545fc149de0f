"""By what rule the rows of a window were decided: thresholds by stratum, or how often each score bin was flagged."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import chdtrc

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Strata
from fbkit.diagnose.scene import Scene
from fbkit.measure.stats.intervals import homogeneity

CONSISTENT: Final = 0.995
"""Share of the rows whose decision must follow from the logged threshold for the threshold to be the rule."""
MOST_THRESHOLDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Share flagged as a function of score and stratum.

    ``thresholds`` (k) with ``shares`` (strata, k), or where decisions do not follow from few thresholds ``table``
    (bins, strata).
    """

    thresholds: Floats
    shares: Floats
    edges: Floats
    table: Floats | None = None

    def flagged(self, score: Floats, stratum: Ints) -> Floats:
        """Share of such rows that is flagged, 0..1."""
        if self.table is not None:
            return self.table[np.searchsorted(self.edges, score, side="right"), stratum]
        share = np.zeros(len(score))
        for k, threshold in enumerate(self.thresholds):
            share += np.where(score >= threshold, self.shares[stratum, k], 0.0)
        return share


def rule_of(scene: Scene, window: int, *, strata: Strata, usable: Flags) -> Rule:
    """The rule of one window; ``usable`` leaves out rows that were not decided by their score."""
    rows, mine = scene.rows, scene.rows.of(window) & usable
    limit = rows.frame["threshold"].cast(float).fill_null(float("nan")).to_numpy()[mine]
    stratum = strata.code[mine]
    follows = (rows.score[mine] >= limit) == (rows.decision[mine] == 1)
    known = np.isfinite(limit)
    values, place = np.unique(limit[known], return_inverse=True)
    if 0 < len(values) <= MOST_THRESHOLDS and float((follows & known).mean()) >= CONSISTENT:
        counts = np.bincount(stratum[known] * len(values) + place, minlength=strata.size * len(values))
        table = counts.reshape(strata.size, len(values)).astype(np.float64)
        table = np.where(table.sum(1, keepdims=True) > 0, table, table.sum(0))
        return Rule(thresholds=values, shares=table / table.sum(1, keepdims=True), edges=scene.edges)
    return Rule(
        thresholds=np.zeros(0),
        shares=np.zeros((0, 0)),
        edges=scene.edges,
        table=_table(_decided(scene, mine, strata=strata)),
    )


def _decided(scene: Scene, mine: Flags, *, strata: Strata) -> Floats:
    """Rows by (decision, bin, stratum)."""
    code = (scene.rows.decision[mine] * scene.bins + scene.bin_of[mine]) * strata.size + strata.code[mine]
    return np.bincount(code, minlength=2 * scene.bins * strata.size).reshape(2, scene.bins, strata.size).astype(float)


def _table(decided: Floats) -> Floats:
    """Share flagged by bin and stratum; empty cells borrow from their bin, empty bins from the next one below."""
    with np.errstate(divide="ignore", invalid="ignore"):
        own, pooled = decided[1] / decided.sum(0), decided[1].sum(-1) / decided.sum((0, -1))
    last = 0.0
    for place, value in enumerate(pooled):
        last = float(value) if np.isfinite(value) else last
        pooled[place] = last
    return np.where(np.isfinite(own), own, pooled[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How far decisions at equal scores moved: share of the current rows, and the p-value of it."""

    share: float
    p_value: float


def decisions_moved(scene: Scene, *, strata: Strata, usable: Flags) -> Decided:
    """Compare the windows' decisions within score bin and stratum."""
    tables = [_decided(scene, scene.rows.of(w) & usable, strata=strata) for w in (REFERENCE, CURRENT)]
    n = [table.sum(0) for table in tables]
    both = (n[0] > 0) & (n[1] > 0)
    flagged = [np.divide(t[1], m, out=np.zeros_like(m), where=m > 0) for t, m in zip(tables, n, strict=True)]
    moved = np.where(both, np.abs(flagged[1] - flagged[0]) * n[1], 0.0).sum() / max(1.0, n[1].sum())
    statistic, freedom = 0.0, 0
    for place in zip(*np.nonzero(both), strict=True):
        cell = np.array([[t[0][place], t[1][place]] for t in tables])
        if cell.sum(0).all():
            part = homogeneity(cell)
            statistic, freedom = statistic + part[0], freedom + part[1]
    return Decided(share=float(moved), p_value=float(chdtrc(freedom, statistic)) if freedom else 1.0)
