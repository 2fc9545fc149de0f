"""Climb the label rungs: repair on top of repair, and what each does to the metric of both windows."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final
from zlib import crc32

import numpy as np

from fbkit.diagnose.applies import rungs_of
from fbkit.diagnose.arrival_model import arrival_repairs
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.repairs import EARLY
from fbkit.diagnose.rows import CURRENT, REFERENCE, cross
from fbkit.diagnose.scene import Scene

STANDING: Final = frozenset({"action_censoring"})
"""Repairs of both windows that hold even where nothing moved: what a standing policy hides is weighted back."""
_ONE_STRATUM: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One repair that fired; ``before`` and ``after`` are the metric by window, shape (draws + 1, 2)."""

    repair: Repair
    before: Floats
    after: Floats

    @property
    def contribution(self) -> Floats:
        """What the cause added to the observed change."""
        return change(self.before) - change(self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """The labels after every repair, the metric on the way, and every repair that was looked at.

    ``spread`` is what the repairs' own estimates are unsure of, by draw and window; it stays on the rungs above.
    """

    observed: Floats
    spread: Floats
    labels: Labels
    steps: tuple[Step, ...]
    looked_at: tuple[Repair, ...]

    @property
    def reached(self) -> Floats:
        """The metric by window on the last rung."""
        return self.steps[-1].after if self.steps else self.observed


def change(by_window: Floats) -> Floats:
    """Current minus reference."""
    return by_window[:, CURRENT] - by_window[:, REFERENCE]


def silence_as_negative(cells: Cells) -> Cells:
    """Positives seen so far, scaled up to their final number; all the other predictions are negatives."""
    if cells.loss is not None and cells.loss1 is None:  # a number of one's own says itself where it counts
        return cells
    positives = np.minimum(cells.v1, cells.n)
    made = cells.with_labels(v1=positives, v0=cells.n - positives)
    if made.raise1 is None or made.silent_loss is None:
        return made
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(cells.n1 > 0, made.raise1 / cells.n1, 0.0)
    return replace(made, vloss=made.silent_loss + positives * each)


def climb(scene: Scene) -> Climb:
    """Repair the labels step by step; a repair whose evidence is not beyond chance leaves them as they were."""
    state = _State(scene=scene, labels=scene.labels, value=_shown(scene))
    observed = state.value
    for repair in EARLY:
        state.take(repair(scene, state.labels))
    state.take_all(arrival_repairs(scene, state.labels))
    return Climb(
        observed=observed,
        spread=state.spread,
        labels=state.labels,
        steps=tuple(state.steps),
        looked_at=tuple(state.looked_at),
    )


class _State:
    """Where the climb stands."""

    def __init__(self, *, scene: Scene, labels: Labels, value: Floats) -> None:
        self.scene, self.labels, self.value = scene, labels, value
        self.applies = rungs_of(scene.metric)
        self.spread = np.zeros_like(value)
        self.steps: list[Step] = []
        self.looked_at: list[Repair] = []

    def take_all(self, repairs: Iterable[Repair]) -> None:
        for repair in repairs:
            self.take(repair)

    def take(self, repair: Repair | None) -> None:
        if repair is None or repair.cause not in self.applies:
            return
        self.looked_at.append(repair)
        if repair.labels is self.labels or not (repair.fires or repair.cause in STANDING):
            return
        before, self.labels = self.value, repair.labels
        self.spread = self.spread + _estimated(self.scene, repair)
        self.value = _believed(self.scene, repair.labels) + self.spread
        self.steps.append(Step(repair=repair, before=before, after=self.value))


def _shown(scene: Scene) -> Floats:
    return evaluate(scene.metric, _cells(scene, scene.labels).observed())


def _believed(scene: Scene, labels: Labels) -> Floats:
    cells = _cells(scene, labels)
    return evaluate(scene.metric, (silence_as_negative(cells) if scene.silent else cells).like_for_like())


def _cells(scene: Scene, labels: Labels) -> Cells:
    return scene.table(cross(_ONE_STRATUM, scene.encoded, rows=len(scene.rows)), labels)


def _estimated(scene: Scene, repair: Repair) -> Floats:
    """What the uncertainty of the repair's own estimate adds to every draw; nothing to the data."""
    draws = scene.resampler.draws
    if len(repair.either_side) != 2 or draws == 0:
        return np.zeros((draws + 1, 2))
    low, high = (_believed(scene, side)[0] for side in repair.either_side)
    normal = np.random.default_rng([crc32(repair.cause.encode()), draws]).standard_normal(draws)
    return np.outer(np.concatenate([[0.0], normal]), np.nan_to_num(high - low) / 2)
