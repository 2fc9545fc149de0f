"""How many rows each cell has, and what is said of numbers that rest on them: stage, method, reason."""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fbkit.measure.kinds import Total
from fbkit.measure.scope import Stage
from fbkit.measure.stats.intervals import Array
from fbkit.measure.totals import Numbers
from fbkit.schema import results

NO_ROWS: Final = "no predictions"
Words = NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRows:
    """Rows by cell: all, at the stage, mature, with a decision, with a label, with both."""

    everything: Array
    inside: Array
    mature: Array
    decided: Array
    labelled: Array
    both: Array

    def anew(self) -> Self:
        """The same rows when every one of them is decided by its score."""
        return replace(self, decided=self.inside, both=self.labelled)

    def counted(self, measure: Total) -> tuple[Array, Array]:
        """``n`` and ``n_labelled`` of a measure."""
        return (self.decided, self.both) if measure.uses_flag else (self.inside, self.labelled)

    def texts(self, numbers: Numbers, measure: Total, stage: Stage, *, renamed: tuple[str, str]) -> dict[str, Words]:
        """Stage, method and reason of each cell, as :func:`fbkit.measure.totals.finish` has them.

        ``renamed`` is a method's name and what it is called here.
        """
        method = np.array(numbers.method, dtype=object)
        if renamed[0]:
            method[:] = [None if name is None else name.replace(*renamed) for name in numbers.method]
        method[np.isnan(numbers.lower)] = None
        why = np.full(len(method), measure.empty, dtype=object)
        if measure.uses_label:
            why[self.counted(measure)[1] == 0] = "no labelled rows"
        if measure.uses_flag:
            why[self.decided == 0] = "no decision and no threshold"
        why[self.inside == 0] = "window open"
        why[self.everything == 0] = NO_ROWS
        why[~np.isnan(numbers.value)] = None
        return {results.STAGE: self._stages(stage), results.METHOD: method, results.REASON: why}

    def _stages(self, stage: Stage) -> Words:
        made = np.full(len(self.inside), stage.name, dtype=object)
        if stage.name == results.STAGE_ANY:
            made[:] = results.STAGE_MIXED
            made[self.mature == 0] = results.STAGE_YOUNG
            made[self.mature == self.inside] = results.STAGE_FINAL
        return made
