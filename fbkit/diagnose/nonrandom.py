"""Count conservation: were labels lost because of their outcome? A pattern, never a proof."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import positive_rate
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Conservation:
    """Flagged rows of the current window against what the reference and the unflagged rows lead one to expect.

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
    strata
        Which strata were counted.
    fires
        Labels of flagged positives are missing while those of flagged negatives are all there.
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
    strata: tuple[int, ...]
    fires: bool

    @property
    def lost_positives(self) -> float:
        """Labelled positives that count conservation misses (not more than the excess of missing labels)."""
        return max(0.0, min(self.missing - self.expected_missing, self.expected_positives - self.positives))


def conservation(cells: Cells, *, settings: Settings) -> Conservation:
    """Compare found and expected counts of flagged rows.

    Expected label rate of flagged rows = their reference rate times the change that unflagged rows of
    the same stratum saw; expected positives among them by the reference's rate per score bin. Drift
    turns labelled positives into labelled negatives (one falls as the other rises); random loss
    lowers both; a loss of positives lowers the positives alone. Only strata that miss labels are
    counted (all of them if none does): elsewhere drift could make up for negatives that were lost here.
    """
    rate = positive_rate(cells, thin=settings.thin_cell)[:, REFERENCE, 1]
    labelled = cells.v1 + cells.v0
    with np.errstate(divide="ignore", invalid="ignore"):
        by_stratum = labelled.sum(3) / cells.n.sum(3)
        level = by_stratum[:, CURRENT, 0] / by_stratum[:, REFERENCE, 0]
        expected_rate = np.minimum(1.0, np.nan_to_num(by_stratum[:, REFERENCE, 1] * level))[:, None, :]
    n = cells.n[:, CURRENT, 1]
    by_stratum1, by_stratum0 = (np.where(n > 0, n * expected_rate * share, 0.0).sum(-2) for share in (rate, 1 - rate))
    seen1, seen0 = (part[:, CURRENT, 1].sum(-2) for part in (cells.v1, cells.v0))
    hit = _strata_hit(by_stratum1 + by_stratum0 - seen1 - seen0, settings=settings)
    expect1, expect0, found1, found0, size = (
        part[:, hit].sum(-1) for part in (by_stratum1, by_stratum0, seen1, seen0, n.sum(-2))
    )
    missing, expect_missing = size - found1 - found0, size - expect1 - expect0
    z = tuple(_z(f - e) for f, e in ((missing, expect_missing), (found1, expect1), (found0, expect0)))
    among = (labelled[:, CURRENT, 1] * np.nan_to_num(rate)).sum(-2)[:, hit].sum(-1)
    z_among = _z(found1 - among)
    return Conservation(
        missing=float(missing[0]),
        expected_missing=float(expect_missing[0]),
        positives=float(found1[0]),
        expected_positives=float(expect1[0]),
        negatives=float(found0[0]),
        expected_negatives=float(expect0[0]),
        z_missing=z[0],
        z_positives=z[1],
        z_negatives=z[2],
        z_among_labelled=z_among,
        strata=tuple(int(i) for i in np.flatnonzero(hit)),
        fires=_fires((*z, z_among), settings=settings),
    )


def _strata_hit(excess: Floats, *, settings: Settings) -> NDArray[np.bool_]:
    """Strata whose flagged rows miss more labels than expected, beyond the gate; all if none."""
    z = [_z(excess[:, i]) for i in range(excess.shape[-1])]
    hit = np.array([value is not None and value > settings.noise_gate for value in z])
    return hit if hit.any() else np.ones(len(hit), dtype=bool)


def _z(gap: Floats) -> float | None:
    spread = float(np.std(gap[1:], ddof=1)) if len(gap) > 20 else 0.0
    return float(gap[0] / spread) if spread > 0 and np.isfinite(gap[0]) else None


def _fires(z: tuple[float | None, ...], *, settings: Settings) -> bool:
    missing, positives, negatives, among = z
    if missing is None or positives is None or negatives is None or among is None:
        return False
    return (
        among < settings.nonrandom_positives
        and missing > settings.nonrandom_missing
        and positives < settings.nonrandom_positives
        and negatives > settings.nonrandom_negatives
    )


def give_back(cells: Cells, found: Conservation) -> Cells:
    """The table with the lost labels of flagged positives put back: their weight rises by lost / found.

    The weight enters before cells are raked to their size; afterwards it would count twice.
    """
    if found.positives <= 0:
        return cells
    v1 = cells.v1.copy()
    v1[:, CURRENT, 1][..., list(found.strata)] *= 1 + found.lost_positives / found.positives
    return cells.with_labels(v1=v1, v0=cells.v0)
