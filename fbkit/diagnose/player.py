"""A cause that a replay can apply to the reference's rows: its name, its evidence, and the gate it has to pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, standard_error
from fbkit.diagnose.settings import Settings

THRESHOLD: Final = "threshold_change"
VERSION: Final = "version_regression"
CORRUPTION: Final = "feature_corruption"
FALLBACK: Final = "serving_fallback"
MIX: Final = "mix_shift"
LOG_LOSS: Final = "prediction_log_loss"
COVARIATE: Final = "covariate_shift"
EVERYWHERE: Final = "everywhere"

Numbers = Mapping[str, tuple[str, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """What opened a player, in words and numbers.

    Attributes
    ----------
    cause
        The cause of the vocabulary that its contribution is named by.
    where
        Slice, feature, version or hours that it sits in.
    evidence, next_evidence
        Sentences: what was found; what would overturn it. The evidence has one place ``{move}`` where the effect
        on the metric is told.
    best
        The strongest word that these logs allow for it.
    frame
        The evidence as a small frame (no row of a user).
    numbers
        Name -> (kind, value) of every number of the sentences that is in no frame.
    p_value
        Of the test that opened it; None where no test was needed.
    """

    cause: str
    where: str = EVERYWHERE
    evidence: str = ""
    next_evidence: str = ""
    best: str = "established"
    frame: pl.DataFrame | None = None
    numbers: Numbers = field(default_factory=dict)
    p_value: float | None = None


def beyond_gates(effect: Floats, *, settings: Settings, floor: float | None = None) -> bool:
    """Larger than the floor of a replayed cause, and than the noise where its standard error is known."""
    if not np.isfinite(effect[0]):
        return False
    error = standard_error(effect)
    size = abs(float(effect[0]))
    least = settings.replay_floor if floor is None else floor
    return bool(size >= least and (error is None or size > settings.noise_gate * error))
