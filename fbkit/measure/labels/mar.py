"""Labels missing at random within cells: each labelled row stands for the unlabelled ones of its kind.

A cell is a flag, a range of scores, and whatever else the loss of labels may depend on. Within it the labelled rows
get the weight one over the share that is labelled: for recall that is Begg and Greenes 1983 (doi:10.2307/2530820).
Rows of a cell without a labelled row have nobody to stand for them; they stay open, and so does what they could do.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.labels.masses import Rows
from fbkit.measure.stats.corp import sums_by
from fbkit.measure.stats.intervals import Array

BINS: Final = 10
LABELS_PER_BIN: Final = 20
_NO_DECISION: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Rows gathered in cells: the weight of labelled positives, of labelled negatives and of unlabelled rows in each.

    ``code`` is the cell of each row. ``as_positive`` and ``as_negative`` divide one unit of mass among the labelled
    rows of a cell: by their positives (all labelled rows where there is none) and by their negatives.
    """

    code: NDArray[np.int64]
    positive: Array
    negative: Array
    unlabelled: Array
    as_positive: Array
    as_negative: Array

    @property
    def labelled(self) -> Array:
        """Weight of the labelled rows of each cell."""
        return self.positive + self.negative

    @property
    def helpless(self) -> NDArray[np.bool_]:
        """Cells with unlabelled rows and no labelled one."""
        return (self.labelled <= 0) & (self.unlabelled > 0)

    def sums(self, values: Array) -> Array:
        """Sum of row values by cell."""
        return sums_by(self.code, values, len(self.positive))


def make_cells(rows: Rows, *, within: NDArray[np.int64] | None = None, bins: int = BINS) -> Cells:
    """Cut the rows into cells: ``within`` (a code per row) x flag x up to ``bins`` ranges of scores.

    The ranges hold equal numbers of rows, equal scores together; there are fewer of them where labels are few, so that
    each holds about 20 labelled rows or more.
    """
    flag = np.where(np.isnan(rows.flag), _NO_DECISION, rows.flag > 0).astype(np.int64)
    stratum = np.unique(flag if within is None else within * (_NO_DECISION + 1) + flag, return_inverse=True)[1]
    order = np.argsort(stratum, kind="stable")
    code = np.zeros(len(stratum), dtype=np.int64)
    next_code = 0
    for mine in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        own = int(np.clip(rows.known[mine].sum() // LABELS_PER_BIN, 1, bins))
        rank = np.searchsorted(rows.score[mine], rows.score[mine], side="left")
        code[mine] = next_code + rank * own // max(len(mine), 1)
        next_code += own
    return gather(rows, code)


def gather(rows: Rows, code: NDArray[np.int64]) -> Cells:
    """Masses of the cells that ``code`` (0, 1, ...) puts the rows in."""
    size = int(code.max()) + 1 if len(code) else 0
    mass_positive, mass_negative = rows.labelled()
    positive, negative = sums_by(code, mass_positive, size), sums_by(code, mass_negative, size)
    known = np.where(rows.known, rows.weight, 0.0)

    def share(mass: Array, total: Array) -> Array:
        of_all = known / np.where((positive + negative)[code] > 0, (positive + negative)[code], 1.0)
        return np.where(total[code] > 0, mass / np.where(total[code] > 0, total[code], 1.0), of_all)

    return Cells(
        code=code,
        positive=positive,
        negative=negative,
        unlabelled=sums_by(code, rows.weight - known, size),
        as_positive=share(mass_positive, positive),
        as_negative=share(mass_negative, negative),
    )


NO_CELLS: Final = Cells(
    code=np.zeros(0, dtype=np.int64),
    positive=np.zeros(0),
    negative=np.zeros(0),
    unlabelled=np.zeros(0),
    as_positive=np.zeros(0),
    as_negative=np.zeros(0),
)
