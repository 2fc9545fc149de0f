"""Other cases and a broken feature at once: one feature that does not go with the others' common move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.features import Feature, Move, Yardstick
from fbkit.diagnose.link import Link
from fbkit.diagnose.rows import CURRENT, REFERENCE

INEXACT: Final = 0.25
"""A feature goes with the source as far as their relation says, give or take this share."""
GATE: Final = 6.0
FEWEST_FEATURES: Final = 3
CLEARLY: Final = 0.1
"""By so much nearer to what the outcomes followed the best pair must be than the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``source`` really moved and took the others along; ``broken`` did something else. ``carried`` is the part of the
    broken feature's move (in its own units) that it would have made with the source.
    """

    source: str
    broken: str
    carried: float


def pair(
    yardstick: Yardstick, features: Sequence[Feature], moves: Mapping[str, Move], *, followed: float
) -> Pair | None:
    """The one broken feature beside a common move; None if one source explains all features, or no pair does.

    ``followed`` is the share of the scores' move that the outcomes went along with: of several pairs the one is taken
    that leaves about that share to the sound features.
    """
    known = [f for f in features if f.numeric and f.null.mean() < 0.5]
    moved = [f.name for f in known if moves[f.name].moved]
    if len(known) < FEWEST_FEATURES or len(moved) < 2:
        return None
    shift, error, slope = _relations(yardstick, known)
    names = [f.name for f in known]
    weight = _weights(yardstick, known)
    options: list[tuple[float, str, str]] = []
    for k, source in enumerate(names):
        if source not in moved:
            continue
        expected = slope[:, k] * shift[k]
        left = np.abs(shift - expected) / np.maximum(error, np.abs(expected) * INEXACT / GATE)
        left[k] = 0.0
        if (left < GATE).all():
            return None
        for other, name in enumerate(names):
            rest = np.delete(left, other)
            if other != k and name in moved and left[other] >= GATE and (rest < GATE).all():
                wrong = weight[other] * (shift[other] - expected[other]) / float(weight @ shift)
                options.append((abs(1 - float(wrong) - followed), source, name))
    options.sort()
    if not options or (len(options) > 1 and options[1][0] - options[0][0] < CLEARLY):
        return None
    _, source, broken = options[0]
    return Pair(source=source, broken=broken, carried=_carried(yardstick, known, source, broken))


def _relations(yardstick: Yardstick, known: Sequence[Feature]) -> tuple[Floats, Floats, Floats]:
    """Moves of the mean ranks, their errors, and the slope of each feature's rank on each other's in the reference."""
    ranks = [np.nan_to_num(f.ranks, nan=0.5) for f in known]
    found = [yardstick.move(own, known=yardstick.usable & ~f.null) for own, f in zip(ranks, known, strict=True)]
    mine = yardstick.scene.rows.of(REFERENCE) & yardstick.usable
    table = np.cov(np.vstack([own[mine] for own in ranks]))
    slope = table / np.maximum(np.diag(table), 1e-12)[None, :]
    return np.array([f[0] for f in found]), np.array([f[1] for f in found]), slope


def _weights(yardstick: Yardstick, known: Sequence[Feature]) -> Floats:
    """What a step of each feature's rank adds to the score on the link's scale, in the reference."""
    rows = yardstick.scene.rows
    mine = rows.of(REFERENCE) & yardstick.usable
    ranks = np.column_stack([np.nan_to_num(f.ranks[mine], nan=0.5) - 0.5 for f in known] + [np.ones(int(mine.sum()))])
    solved = np.linalg.lstsq(ranks, Link.of(rows.score).scale(rows.score[mine]), rcond=None)[0]
    return solved[:-1].astype(np.float64)


def _carried(yardstick: Yardstick, known: Sequence[Feature], source: str, broken: str) -> float:
    values = {f.name: f.values for f in known}
    rows = yardstick.scene.rows
    both = yardstick.usable & ~np.isnan(values[source]) & ~np.isnan(values[broken])
    before, now = rows.of(REFERENCE) & both, rows.of(CURRENT) & both
    x, y = values[source][before], values[broken][before]
    slope = float(np.cov(x, y)[0, 1] / max(float(np.var(x)), 1e-300))
    return slope * float(values[source][now].mean() - x.mean())
