"""One factor or addend on a share of the rows: fitted to the distribution of a feature that is broken only in part."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats

FACTORS: Final = np.exp(np.linspace(np.log(1e-3), np.log(1e3), 121))
ADDENDS: Final = np.concatenate([-np.linspace(6, 0.1, 60), np.linspace(0.1, 6, 60)])
POINTS: Final = 120
LEAST_SHARE: Final = 0.02
EXPLAINED: Final = 0.25
"""Largest misfit, as a share of what there is to explain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """``share`` of the rows is multiplied by ``factor`` and moved by ``addend`` (1 and 0: it is not that one)."""

    share: float
    factor: float = 1.0
    addend: float = 0.0

    @property
    def kind(self) -> str:
        return "rescale" if self.factor != 1 else "shift"

    def apply(self, values: Floats) -> Floats:
        """What hit rows would be served."""
        return self.factor * values + self.addend


def mixture(before: Floats, after: Floats) -> Mixture | None:
    """The factor or addend that explains the current distribution best; None if none does well.

    Both samples without nulls. Least squares on the distribution functions, the share in closed form.
    """
    first, spread = np.sort(before), float(np.std(before))
    if not spread:
        return None
    at = np.unique(np.quantile(np.concatenate([before, after]), np.linspace(0.002, 0.998, POINTS)))
    # Between grid values both sides of a step agree, so that rounding does not count as misfit.
    at = (at[1:] + at[:-1]) / 2
    base = np.searchsorted(first, at, side="right") / len(first)
    gap = np.searchsorted(np.sort(after), at, side="right") / len(after) - base
    size = float(np.sqrt(np.mean(gap**2)))
    options = [Mixture(share=1.0, factor=float(k)) for k in FACTORS if abs(np.log(k)) > 0.04]
    options += [Mixture(share=1.0, addend=float(c) * spread) for c in ADDENDS]
    noise = 1 / np.sqrt(len(after))
    found: list[tuple[float, Mixture]] = []
    for whole in (True, False):
        best = min((_fitted(first, at, base, gap, one, whole=whole) for one in options), key=lambda fit: fit[0])
        near = [_near(best[1], k, c * spread) for k, c in zip(_FACTORS_NEAR, _ADDENDS_NEAR, strict=True)]
        fits = (best, *(_fitted(first, at, base, gap, one, whole=whole) for one in near))
        found.append(min(fits, key=lambda fit: fit[0]))
    # A share of the rows is one more number to fit: it has to earn it.
    misfit, chosen = found[0] if found[0][0] < max(1.5 * found[1][0], 0.75 * noise) else found[1]
    return chosen if misfit < max(EXPLAINED * size, 1.5 * noise) and chosen.share > LEAST_SHARE else None


_FACTORS_NEAR: Final = np.exp(np.linspace(-0.06, 0.06, 25))
_ADDENDS_NEAR: Final = np.linspace(-0.1, 0.1, 25)


def _near(one: Mixture, factor: float, addend: float) -> Mixture:
    if one.factor != 1:
        return Mixture(share=1.0, factor=one.factor * float(factor))
    return Mixture(share=1.0, addend=one.addend + float(addend))


def _fitted(
    first: Floats, at: Floats, base: Floats, gap: Floats, one: Mixture, *, whole: bool
) -> tuple[float, Mixture]:
    """The misfit, and the option with its best share (or all rows)."""
    moved = np.searchsorted(first, (at - one.addend) / one.factor, side="right") / len(first) - base
    power = float((moved**2).sum())
    share = float(np.clip((gap * moved).sum() / power, 0.0, 1.0)) if power > 0 else 0.0
    share = 1.0 if whole else share
    misfit = float(np.sqrt(np.mean((gap - share * moved) ** 2)))
    return misfit, Mixture(share=share, factor=one.factor, addend=one.addend)
