"""The ladder: observed, like for like, corrected, replayed, remainder. Pure functions of count tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fbkit.diagnose.bootstrap import Floats, standard_error
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.replay import Stage, shapley
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Every rung as an array over draws (entry 0 is the data).

    Attributes
    ----------
    observed, like_for_like, corrected
        The metric by window: shape (draws + 1, 2).
    replayed
        Contribution of each active player.
    tried
        What each player would do alone, active or not.
    """

    observed: Floats
    like_for_like: Floats
    corrected: Floats
    replayed: Mapping[str, Floats]
    tried: Mapping[str, Floats]

    @property
    def observed_change(self) -> Floats:
        return change(self.observed)

    @property
    def true_change(self) -> Floats:
        return change(self.corrected)

    @property
    def immature(self) -> Floats:
        """What the youth of the labels adds to the observed change."""
        return change(self.observed) - change(self.like_for_like)

    @property
    def label_loss(self) -> Floats:
        """What labels lost at random within cells add to the observed change."""
        return change(self.like_for_like) - change(self.corrected)

    @property
    def remainder(self) -> Floats:
        """What no repair and no replay explains."""
        return self.true_change - sum(self.replayed.values(), np.zeros_like(self.true_change))


def change(by_window: Floats) -> Floats:
    """Current minus reference."""
    return by_window[:, CURRENT] - by_window[:, REFERENCE]


def climb(
    cells: Cells,
    mixed: Cells,
    *,
    metric: str,
    settings: Settings,
    candidates: Mapping[str, bool],
    positives_only: bool = False,
) -> Ladder:
    """Climb the ladder.

    Parameters
    ----------
    cells
        Counts by the slice columns along which labels were lost (for the correction).
    mixed
        Counts by the slice columns whose shares moved (for the replay).
    candidates
        Which players' gates fired; a player whose own effect stays below the floor or inside the
        noise is dropped (its share stays in the remainder).
    positives_only
        Silence means negative: what is left of an open window is negative, not missing.
    """
    tables = (silence_as_negative(cells), silence_as_negative(mixed)) if positives_only else (cells, mixed)
    stage = Stage.of(tables[1], metric=metric, thin=settings.thin_cell)
    nothing = stage.value(())
    tried = {player: stage.value((player,)) - nothing for player in candidates}
    active = [p for p, fired in candidates.items() if fired and beyond_gates(tried[p], settings=settings)]
    return Ladder(
        observed=evaluate(metric, cells.observed()),
        like_for_like=evaluate(metric, tables[0].like_for_like()),
        corrected=evaluate(metric, corrected(tables[0], thin=settings.thin_cell)),
        replayed=shapley(stage, active) if active else {},
        tried=tried,
    )


def beyond_gates(effect: Floats, *, settings: Settings) -> bool:
    """Larger than the floor of a replayed cause, and than the noise where its standard error is known."""
    if not np.isfinite(effect[0]):
        return False
    error = standard_error(effect)
    size = abs(float(effect[0]))
    return bool(size >= settings.replay_floor and (error is None or size > settings.noise_gate * error))


def silence_as_negative(cells: Cells) -> Cells:
    """Positives seen so far, scaled up to their final number; all the other predictions are negatives."""
    positives = np.minimum(cells.v1, cells.n)
    return replace(cells, v1=positives, v0=cells.n - positives)
