"""The scale on which scores are explained by features: log odds for probabilities, the score itself otherwise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit, logit

from fbkit.diagnose.bootstrap import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """``least`` keeps scores of exactly 0 and 1 finite; None: scores are no probabilities and stay as they are."""

    least: float | None

    @classmethod
    def of(cls, score: Floats) -> Self:
        """Log odds if all scores lie in 0..1; half of the smallest step above 0 (at most 0.001) stands for 0."""
        if not len(score) or score.min() < 0 or score.max() > 1:
            return cls(least=None)
        inside = score[(score > 0) & (score < 1)]
        nearest = min(inside.min(), 1 - inside.max()) if len(inside) else 1e-3
        return cls(least=float(np.clip(nearest / 2, 1e-6, 1e-3)))

    def scale(self, score: Floats) -> Floats:
        """Scores on the link's scale."""
        return score if self.least is None else logit(np.clip(score, self.least, 1 - self.least))

    def back(self, value: Floats) -> Floats:
        """From the link's scale to scores."""
        return value if self.least is None else expit(value)

    def moved(self, score: Floats, by: Floats) -> Floats:
        """Scores moved on the link's scale; where nothing moves they stay exactly as they are."""
        return np.where(by == 0, score, self.back(self.scale(score) + by)) if by.any() else score
