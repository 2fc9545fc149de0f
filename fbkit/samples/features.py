"""The features as they are logged, and as the model reads them."""

from typing import Final

import numpy as np
import polars as pl

from fbkit.errors import ArgumentError
from fbkit.samples.config import FEATURES
from fbkit.samples.world import Floats, World, expit

LIMIT: Final = 4.0
"""The model clips its inputs at so many standard deviations."""

SPREAD: Final = (0.9, 1.18, 0.22)
"""About the standard deviation of each logged feature."""

_DECIMALS: Final = (1, 0, 2)
_FINE: Final = 6


def index(feature: str) -> int:
    """Where a feature stands. Raises ArgumentError for one that is not logged."""
    if feature not in FEATURES:
        raise ArgumentError(
            "no such feature to spoil", got=feature, allowed=FEATURES, next_step="name one of these features"
        )
    return FEATURES.index(feature)


def natural(k: int, z: Floats) -> Floats:
    """Feature `k` in the unit in which it is logged, before rounding."""
    if k == 0:
        return 3.4 + 0.9 * z
    return np.exp(0.4 + 0.6 * z) if k == 1 else expit(1.2 * z)


def as_read(k: int, x: Floats) -> Floats:
    """What the model makes of a logged value: standard units, clipped; the inverse of `natural`."""
    if k == 0:
        z = (x - 3.4) / 0.9
    elif k == 1:
        z = (np.log(np.maximum(x, 1e-9)) - 0.4) / 0.6
    else:
        inside = np.clip(x, 1e-9, 1 - 1e-9)
        z = np.log(inside / (1 - inside)) / 1.2
    return np.clip(z, -LIMIT, LIMIT)


def as_logged(k: int, x: Floats, *, fine: bool) -> Floats:
    """Rounded as the log has it; `fine`: to six decimals, so that nothing of what the model reads is lost."""
    if fine:
        return np.round(x, _FINE)
    return np.floor(x) if k == 1 else np.round(x, _DECIMALS[k])


def columns(world: World) -> dict[str, pl.Series]:
    """The logged features of a world; null where a fault left nothing."""
    found: dict[str, pl.Series] = {}
    fine = world.config.exact_score
    for k, name in enumerate(FEATURES):
        values = as_logged(k, natural(k, world.served[:, k]), fine=fine)
        if k in world.spoilt:
            rows, spoilt = world.spoilt[k]
            values = np.where(rows, spoilt, values)
        column = pl.Series(values).fill_nan(None)
        found[name] = column.cast(pl.Int32) if k == 1 and not fine else column
    return found
