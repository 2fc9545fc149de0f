"""Count conservation: were labels lost because of their outcome? A pattern, never a proof."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import positive_rate
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.settings import Settings

FOLLOWS: Final = 4.0
"""Log likelihood by which missing labels must follow the outcome along the score rather than be the same everywhere."""
NEUTRAL: Final = -2.0
"""From here on the score does not tell; then missing labels follow the outcome unless other counts show drift."""
MISSED: Final = -2.5
"""Once flagged positives are gone, missed ones this short (standard deviations) are taken to be gone with them."""
MISSED_ALONE: Final = -4.0
"""Missed positives this short while nothing happened to flagged rows: gone by themselves."""
QUIET: Final = 2.5
"""Standard deviations within which counts are as they were."""
MORE: Final = 2.0
"""Standard deviations of missing labels beyond which strata that miss none by themselves are counted in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """Rows of the current window against what the reference and the other decision's rows lead one to expect.

    Attributes
    ----------
    missing, expected_missing
        Unlabelled flagged rows of the strata that miss labels.
    positives, expected_positives, negatives, expected_negatives
        Labelled flagged rows by outcome.
    z_missing, z_positives, z_negatives
        (found - expected) / standard deviation over the draws; None without draws.
    z_among_labelled
        The same for positives among the rows that are labelled, bin by bin: loss that merely follows the
        score leaves it at zero.
    missed, expected_missed, z_missed
        Labelled positives that were not flagged, against those that go with the labelled negatives beside them.
    follows
        Log likelihood of missing labels that follow the outcome over that of the same share missing at every score.
    strata
        Which strata were counted.
    outcome, decision
        Which labels were lost, if any: of positives (1) or others (0), of flagged rows (1) or others (0).
    everywhere
        Missed positives are gone beside the flagged ones.
    fires
        Labels of one outcome are missing while those of the other are all there.
    """

    missing: float
    expected_missing: float
    positives: float
    expected_positives: float
    negatives: float
    expected_negatives: float
    z_missing: float | None
    z_positives: float | None
    z_negatives: float | None
    z_among_labelled: float | None
    missed: float
    expected_missed: float
    z_missed: float | None
    strata: tuple[int, ...]
    fires: bool
    outcome: int = 1
    decision: int = 1
    follows: float | None = None
    everywhere: bool = False

    @property
    def lost_positives(self) -> float:
        """Labelled positives that count conservation misses (not more than the excess of missing labels)."""
        return self._lost(self.expected_positives - self.positives)

    @property
    def lost_negatives(self) -> float:
        """The same for labelled negatives."""
        return self._lost(self.expected_negatives - self.negatives)

    def _lost(self, deficit: float) -> float:
        return max(0.0, min(self.missing - self.expected_missing, deficit))

    @property
    def lost_missed(self) -> float:
        """Labelled positives among the rows that were not flagged that are missing too."""
        return max(0.0, self.expected_missed - self.missed) if self.decision == 0 or self.everywhere else 0.0


def conservation(cells: Cells, *, settings: Settings, explained: bool = False) -> Conservation:
    """Compare found and expected counts.

    Expected label rate of flagged rows = their reference rate times the change that unflagged rows of
    the same stratum saw; expected positives among them by the reference's rate per score bin. Drift
    turns labelled positives into labelled negatives (one falls as the other rises); random loss
    lowers both; a loss of positives lowers the positives alone, and the more of a score bin's labels the more
    positives it holds: where drift makes up for negatives that were lost at random, every bin misses as many. Only
    strata that miss labels are counted (all of them if none does).

    Parameters
    ----------
    explained
        An outage or slow labels, or a new version, are there to explain the counts: then nothing fires.
    """
    rate = positive_rate(cells, thin=settings.thin_cell)[:, REFERENCE]
    missed, expect_missed, z_missed = _missed(cells, rate)
    short = z_missed is not None and z_missed < MISSED
    expected = _expected(cells, rate, put_back=expect_missed / missed if short and missed else 1.0)
    found = np.stack([cells.v0[:, CURRENT, 1], cells.v1[:, CURRENT, 1]])
    n = cells.n[:, CURRENT, 1]
    hit = _strata_hit((expected.sum(0) - found.sum(0)).sum(-2), settings=settings)
    e0, e1, f0, f1 = (part[..., hit].sum(-1) for part in (*expected, *found))
    size = n[..., hit].sum((-2, -1))
    missing, expect_missing = size - (f0 + f1).sum(-1), size - (e0 + e1).sum(-1)
    z_missing, z1, z0 = _z(missing - expect_missing), _z((f1 - e1).sum(-1)), _z((f0 - e0).sum(-1))
    z_among = _z(f1.sum(-1) - _among(cells, rate, hit))
    follows = [_follows(n[0][..., hit].sum(-1), (e0 + e1)[0], f0[0], f1[0], outcome=outcome) for outcome in (0, 1)]
    pattern = None if explained else _pattern((z_missing, z1, z0, z_among), z_missed, follows, settings=settings)
    outcome, decision = pattern or (1, 1)
    return Conservation(
        missing=float(missing[0]),
        expected_missing=float(expect_missing[0]),
        positives=float(f1[0].sum()),
        expected_positives=float(e1[0].sum()),
        negatives=float(f0[0].sum()),
        expected_negatives=float(e0[0].sum()),
        z_missing=z_missing,
        z_positives=z1,
        z_negatives=z0,
        z_among_labelled=z_among,
        missed=missed,
        expected_missed=expect_missed,
        z_missed=z_missed,
        strata=tuple(int(i) for i in np.flatnonzero(hit)),
        fires=pattern is not None,
        outcome=outcome,
        decision=decision,
        follows=follows[outcome],
        everywhere=pattern == (1, 1) and short,
    )


def _expected(cells: Cells, rate: Floats, *, put_back: float) -> Floats:
    """Labelled others and positives to be expected among flagged rows: shape (outcome, draw, bin, stratum).

    ``put_back`` multiplies the missed positives, from whose side the change of the label rate is taken.
    """
    labelled = cells.v1 + cells.v0
    labelled[:, CURRENT, 0] += (put_back - 1) * cells.v1[:, CURRENT, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_stratum = labelled.sum(3) / cells.n.sum(3)
        level = by_stratum[:, CURRENT, 0] / by_stratum[:, REFERENCE, 0]
        seen = np.minimum(1.0, np.nan_to_num(by_stratum[:, REFERENCE, 1] * level, posinf=0.0))[:, None, :]
    n = cells.n[:, CURRENT, 1]
    return np.stack([np.where(n > 0, n * seen * share, 0.0) for share in (1 - rate[:, 1], rate[:, 1])])


def _among(cells: Cells, rate: Floats, hit: NDArray[np.bool_]) -> Floats:
    """Positives to be expected among the flagged rows that are labelled, by the reference's rate per cell."""
    labelled = (cells.v1 + cells.v0)[:, CURRENT, 1]
    return (labelled * np.nan_to_num(rate[:, 1])).sum(-2)[:, hit].sum(-1)


def _missed(cells: Cells, rate: Floats) -> tuple[float, float, float | None]:
    """Labelled positives that were not flagged: found, expected beside the labelled negatives of their cells, and z."""
    share = np.nan_to_num(rate[:, 0])
    odds = share / np.maximum(1 - share, 1e-9)
    expected = (cells.v0[:, CURRENT, 0] * np.where(share < 1, odds, 0.0)).sum((-2, -1))
    found = cells.v1[:, CURRENT, 0].sum((-2, -1))
    return float(found[0]), float(expected[0]), _z(found - expected)


def _strata_hit(excess: Floats, *, settings: Settings) -> NDArray[np.bool_]:
    """Strata whose flagged rows miss more labels than expected, beyond the gate; all if none, or if others do too."""
    z = [_z(excess[:, i]) for i in range(excess.shape[-1])]
    hit = np.array([value is not None and value > settings.noise_gate for value in z])
    if not hit.any():
        return np.ones(len(hit), dtype=bool)
    rest = _z(excess[:, ~hit].sum(-1)) if not hit.all() else None
    return np.ones(len(hit), dtype=bool) if rest is not None and rest > MORE else hit


def _follows(n: Floats, expected: Floats, others: Floats, positives: Floats, *, outcome: int) -> float:
    """Log likelihood of the labels per score bin: a share of one outcome is gone, over the same share of all is.

    Each bin has ``n`` rows of which ``expected`` would be labelled if nothing was lost.
    """
    found = others + positives
    full = np.where(n > 0, np.minimum(expected / np.maximum(n, 1e-9), 1.0), 0.0)
    lost = np.linspace(0.0, 0.95, 96)[:, None]
    there = np.array([others, positives])
    kept = np.array([np.ones_like(lost), np.ones_like(lost)])
    kept[outcome] = 1 - lost
    true = [part / share for part, share in zip(there, kept, strict=True)]
    whole = np.maximum(true[0] + true[1], 1e-9)
    by_outcome = 1 - lost * true[outcome] / whole
    return float(_likelihood(full * by_outcome, found, n).max() - _likelihood(full * (1 - lost), found, n).max())


def _likelihood(rate: Floats, found: Floats, n: Floats) -> Floats:
    inner = np.clip(rate, 1e-6, 1 - 1e-6)
    return (found * np.log(inner) + np.maximum(n - found, 0.0) * np.log1p(-inner)).sum(-1)


def _z(gap: Floats) -> float | None:
    spread = float(np.std(gap[1:], ddof=1)) if len(gap) > 20 else 0.0
    return float(gap[0] / spread) if spread > 0 and np.isfinite(gap[0]) else None


def _pattern(
    z: tuple[float | None, ...], z_missed: float | None, follows: list[float], *, settings: Settings
) -> tuple[int, int] | None:
    """Which (outcome, decision) lost its labels; None if the counts say nothing of the kind."""
    missing, positives, negatives, among = z
    if missing is None or positives is None or negatives is None or among is None:
        return None
    gone, there, share = settings.nonrandom_positives, settings.nonrandom_negatives, settings.nonrandom_missing

    def told(outcome: int, other: float) -> bool:
        drifts = max(other, abs(z_missed or 0.0)) > QUIET
        return follows[outcome] > (FOLLOWS if drifts else NEUTRAL)

    if missing > share:
        if among < gone and positives < gone and negatives > there and told(1, negatives):
            return 1, 1
        if among > -gone and negatives < gone and positives > there and told(0, positives):
            return 0, 1
        return None
    quiet = max(missing, abs(positives), abs(negatives)) < QUIET
    return (1, 0) if quiet and z_missed is not None and z_missed < MISSED_ALONE else None


def give_back(cells: Cells, found: Conservation) -> Cells:
    """The table with the lost labels put back: the weight of those that are there rises by lost / found.

    The weight enters before cells are raked to their size; afterwards it would count twice.
    """
    v1, v0 = cells.v1.copy(), cells.v0.copy()
    strata = list(found.strata)
    if found.decision == 1 and found.outcome == 1 and found.positives > 0:
        v1[:, CURRENT, 1][..., strata] *= 1 + found.lost_positives / found.positives
    if found.decision == 1 and found.outcome == 0 and found.negatives > 0:
        v0[:, CURRENT, 1][..., strata] *= 1 + found.lost_negatives / found.negatives
    if found.lost_missed and found.missed > 0:
        v1[:, CURRENT, 0] *= 1 + found.lost_missed / found.missed
    return cells.with_labels(v1=v1, v0=v0)
