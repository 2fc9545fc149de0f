"""Which days and which slice values of the current window a moved feature sits in."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.dispersion import day_of
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene

HIT, CALM = 0.5, 0.2
"""A part is hit beyond the first share of the largest move, left alone below the second; in between: no clear parts."""
FEWEST: Final = 50
GATE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Rows that are hit: days of the current window, and values of one slice column (none: all).

    ``code`` is the slice value of every row and ``inside`` whether it is hit; ``days`` the share of the current rows
    that stand in hit days.
    """

    current: Flags
    reference: Flags
    code: Ints
    inside: Flags
    days: float
    where: str

    def of(self, index: Ints) -> Floats:
        """The share of these rows that is hit if they stood in the current window."""
        return np.where(self.inside[self.code[index]], self.days, 0.0)


def scope_of(scene: Scene, value: Floats, *, known: Flags) -> Scope:
    """Where ``value`` (one number per row) departs from its mean in the reference."""
    now, before = scene.rows.of(CURRENT) & known, scene.rows.of(REFERENCE) & known
    expected = float(value[before].mean()) if before.any() else 0.0
    spread = float(value[before].std()) if before.any() else 0.0
    day = day_of(scene.rows.frame)
    mine = now
    hit = _hit(day, value, mine, expected, spread, first=int(day[now].min()) if now.any() else 0)
    if hit is not None:
        first, which = hit
        mine = mine & which[np.clip(day - first, 0, len(which) - 1)]
    share = float(mine.sum() / max(1, now.sum()))
    best, chosen = 0.0, ("", ("",), np.zeros(len(value), np.int64), np.ones(1, dtype=bool))
    for name, (values, code) in scene.encoded.items():
        parts = _hit(code, value, mine, expected, spread, first=0, size=len(values))
        if parts is None:
            continue
        inside = parts[1]
        gap = _mean(value, mine & inside[code]) - _mean(value, mine & ~inside[code])
        if abs(gap) > best:
            best, chosen = abs(gap), (name, values, code, inside)
    name, values, code, inside = chosen
    hit_values = [v for v, one in zip(values, inside, strict=True) if one]
    return Scope(
        current=mine & inside[code],
        reference=before & inside[code],
        code=code,
        inside=inside,
        days=share,
        where=f"{name}={', '.join(hit_values[:3])}{' and more' if len(hit_values) > 3 else ''}" if name else "",
    )


def _mean(value: Floats, mine: Flags) -> float:
    return float(value[mine].mean()) if mine.any() else 0.0


def _hit(
    code: Ints, value: Floats, mine: Flags, expected: float, spread: float, *, first: int, size: int | None = None
) -> tuple[int, Flags] | None:
    """Which codes are hit, if they fall apart into hit ones and calm ones."""
    if not mine.any():
        return None
    place = code[mine] - first
    n = np.bincount(place, minlength=size or 0).astype(np.float64)
    total = np.bincount(place, weights=value[mine], minlength=size or 0)
    enough = n >= FEWEST
    if enough.sum() < 2:
        return None
    away = np.abs(np.divide(total, n, out=np.full(len(n), expected), where=n > 0) - expected)
    largest = float(away[enough].max())
    error = spread / np.sqrt(np.maximum(n, 1.0))
    if largest <= 0 or largest < GATE * float(error[enough][np.argmax(away[enough])]):
        return None
    hit = away > HIT * largest
    calm = away < CALM * largest + 2 * error
    clear = (hit | calm)[enough].all() and hit[enough].any() and (~hit[enough]).any()
    return (first, hit & enough) if clear else None
