"""Whose outcomes changed at equal scores: those of the new version's rows only, or everyone's?"""

from typing import Final

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells, count
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.shape import Shape, shape
from fbkit.diagnose.version import new_versions

MOVED: Final = 3.5
"""Standard errors by which the new version's rows must differ from the reference at equal scores."""
STAYED: Final = 2.5
"""Standard errors within which the other rows of the same days must have stayed."""


def version_is_to_blame(scene: Scene, labels: Labels, cells: Cells, *, mean_score: Floats) -> bool:
    """Whether only rows of a version that the reference hardly knew have other outcomes at equal scores.

    Rows of the known versions in the same days are the control: drift would reach them too. False where one of the two
    has no labels.
    """
    _, fresh = new_versions(scene.rows, known_share=scene.settings.known_version)
    now = scene.rows.of(CURRENT)
    new, old = now & fresh, now & ~fresh
    fewest = scene.settings.fewest_arrivals
    if min(int((new & labels.seen).sum()), int((old & labels.seen).sum())) < fewest:
        return False
    moved, stayed = (_shape_of(scene, labels, cells, mine, mean_score=mean_score) for mine in (new, old))
    return _furthest(moved) > MOVED and _furthest(stayed) < STAYED


def _shape_of(scene: Scene, labels: Labels, cells: Cells, mine: Flags, *, mean_score: Floats) -> Shape:
    part = count(
        scene.rows,
        labels,
        cells.strata,
        bin_of=scene.bin_of,
        bins=cells.bins,
        resampler=scene.resampler,
        only=mine | scene.rows.of(REFERENCE),
    )
    return shape(part, mean_score=mean_score, thin=scene.settings.thin_cell)


def _furthest(found: Shape) -> float:
    return max((abs(z) for z in (found.intercept, found.slope) if z is not None), default=0.0)
