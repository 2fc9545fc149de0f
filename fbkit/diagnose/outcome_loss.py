"""Labels lost because of their outcome: what counts suggest, what an audit decides, and the ladder with them back."""

from dataclasses import dataclass, replace

import numpy as np

from fbkit.diagnose.audit import Audit, audit
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.climb import change
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.ladder import Ladder
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.nonrandom import Conservation, conservation, give_back
from fbkit.diagnose.rows import REFERENCE
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import is_mean_of_values, material_floor


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeLoss:
    """The ladder as it stands after the last rung of the labels.

    Attributes
    ----------
    lost
        Contribution of labels lost because of their outcome, per draw; None without reason to suspect it.
    other_world
        The true change if they were lost at random after all; None where an audit decided.
    """

    ladder: Ladder
    pattern: Conservation | None = None
    audit: Audit | None = None
    lost: Floats | None = None
    other_world: Floats | None = None

    @property
    def audited(self) -> bool:
        """An audit told which world it is."""
        return self.audit is not None and self.other_world is None

    @property
    def undecided(self) -> bool:
        """Two worlds are left."""
        return self.other_world is not None


def by_outcome(scene: Scene, labels: Labels, cells: Cells, ladder: Ladder, *, explained: bool) -> OutcomeLoss:
    """Look for labels lost by outcome and put them back.

    An audit overrules the correction where the two differ beyond chance. Without one, or with one too small to tell,
    count conservation may suspect it: then the labels are put back, and the other world is kept beside.

    Parameters
    ----------
    explained
        Something else that was found accounts for unequal counts.
    """
    if is_mean_of_values(scene.metric) or scene.silent:
        return OutcomeLoss(ladder=ladder)
    pattern = conservation(cells, settings=scene.settings, explained=explained)
    found = audit(scene, labels, cells)
    told = found is not None and found.audited[1]
    restored = _put_back(scene, cells, ladder, pattern) if pattern.fires else None
    if told and found is not None and found.wins:
        return _by_audit(ladder, pattern, found, restored)
    if restored is None:
        return OutcomeLoss(ladder=ladder, pattern=pattern, audit=found)
    again, lost = restored
    floor = material_floor(scene.metric, float(ladder.observed[0, REFERENCE]))
    if abs(float(lost[0])) < floor and abs(float(change(again.corrected - ladder.corrected)[0])) < floor:
        # Either world has the same metric: there is nothing to decide.
        return OutcomeLoss(ladder=ladder, pattern=pattern, audit=found)
    if told and found is not None and found.contradicts(found.model + again.corrected - ladder.corrected):
        return OutcomeLoss(ladder=ladder, pattern=pattern, audit=found)
    return OutcomeLoss(ladder=again, pattern=pattern, audit=found, lost=lost, other_world=change(ladder.corrected))


def _put_back(scene: Scene, cells: Cells, ladder: Ladder, pattern: Conservation) -> tuple[Ladder, Floats]:
    metric, thin = scene.metric, scene.settings.thin_cell
    full = give_back(cells, pattern)
    before, after = evaluate(metric, cells.like_for_like()), evaluate(metric, full.like_for_like())
    plain, repaired = (evaluate(metric, corrected(table, thin=thin)) for table in (cells, full))
    again = replace(
        ladder,
        like_for_like=ladder.like_for_like + (after - before),
        corrected=ladder.corrected + (repaired - plain),
    )
    return again, change(before) - change(after)


def _by_audit(
    ladder: Ladder, pattern: Conservation, found: Audit, restored: tuple[Ladder, Floats] | None
) -> OutcomeLoss:
    """The audit's value stands; where counts saw the loss as well, they say which part of it weights had repaired."""
    final = ladder.corrected + (found.metric - found.model)
    base, lost = (ladder, np.zeros(len(final))) if restored is None else restored
    lost = lost + change(base.corrected) - change(final)
    # What the audit says beyond the weights is a repair of labels that no weight sees.
    shifted = base.like_for_like + (final - base.corrected)
    return OutcomeLoss(
        ladder=replace(base, like_for_like=shifted, corrected=final), pattern=pattern, audit=found, lost=lost
    )
