"""Random joined tables whose true metrics are known, many independent samples at once (column ``sample``)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, gammaincinv, ndtr, ndtri

from fbkit.testing.frames import FakeJoined, make_joined

Array = NDArray[np.float64]
SAMPLE = "sample"
_POPULATION = 100_000
SHAPES: Final[dict[str, Callable[[Array], Array]]] = {
    "normal": lambda z: z + 0.2,
    "laplace": lambda z: np.sign(z) * -np.log1p(-np.abs(2 * ndtr(z) - 1)),
    "gamma": lambda z: gammaincinv(2.0, ndtr(z)) - 1.5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A law of scores and labels.

    ``n`` rows a sample, ``repeats`` of them (on average, if ``uneven``) by one entity, whose rows are alike in score
    (correlation ``alike``) and label. The true log odds are ``centre + strength * x`` with x standard normal; the
    score is that probability, stretched where not ``calibrated``, and rounded to ``decimals``, never to 0 or 1. Rows
    are flagged from the score on that ``flag_rate`` of the population reaches.
    """

    n: int
    base_rate: float = 0.3
    flag_rate: float = 0.3
    strength: float = 1.5
    calibrated: bool = True
    decimals: int | None = None
    repeats: int = 1
    uneven: bool = False
    alike: float = 0.5

    def probability(self, x: Array) -> Array:
        """P(label = 1) at x, with the asked base rate over x."""
        grid = ndtri((np.arange(2000) + 0.5) / 2000)
        low, high = -20.0, 20.0
        for _ in range(60):
            centre = (low + high) / 2
            low, high = (
                (centre, high) if expit(centre + self.strength * grid).mean() < self.base_rate else (low, centre)
            )
        return expit((low + high) / 2 + self.strength * x)

    def score(self, x: Array) -> Array:
        """What the model says at x."""
        p = self.probability(x)
        made = p if self.calibrated else expit(0.4 + 1.6 * (np.log(p) - np.log1p(-p)))
        if self.decimals is None:
            return made
        step = 10.0**-self.decimals
        return np.clip(np.round(made, self.decimals), step, 1 - step)

    def threshold(self) -> float:
        """The score that ``flag_rate`` of the population reaches."""
        return float(self.score(ndtri(np.array([1 - self.flag_rate])))[0])

    def samples(self, count: int, rng: np.random.Generator) -> FakeJoined:
        """``count`` independent samples as one joined table."""
        entity = np.concatenate([self._entities(rng) + sample * self.n for sample in range(count)])
        own, label_own = (rng.normal(size=count * self.n)[entity] for _ in range(2))
        share = self.alike if self.repeats > 1 else 0.0
        x, luck = (
            np.sqrt(share) * part + np.sqrt(1 - share) * rng.normal(size=len(entity)) for part in (own, label_own)
        )
        label = (ndtr(luck) < self.probability(x)).astype(float)
        return self._joined(
            self.score(x),
            label,
            {SAMPLE: np.repeat(np.arange(count).astype(str), self.n)},
            entity=[f"e{code}" for code in entity.tolist()] if self.repeats > 1 else None,
        )

    def population(self) -> FakeJoined:
        """The law itself: x at equally likely places, each row twice, as its label's two values by their weight."""
        x = ndtri((np.arange(_POPULATION) + 0.5) / _POPULATION)
        p, score = self.probability(x), self.score(x)
        return self._joined(
            np.tile(score, 2),
            np.repeat([1.0, 0.0], _POPULATION),
            {"weight": np.concatenate([p, 1 - p])},
        )

    def _entities(self, rng: np.random.Generator) -> NDArray[np.int64]:
        if not self.uneven:
            return np.arange(self.n) // self.repeats
        # Sizes from 1 to several times the mean.
        many = self.n // self.repeats
        return np.sort(rng.choice(many, size=self.n, p=_shares(many)))

    def _joined(
        self, score: Array, label: Array, columns: dict[str, NDArray[Any]], *, entity: list[str] | None = None
    ) -> FakeJoined:
        return _joined({"score": score, "label": label, "flagged": score >= self.threshold(), **columns}, entity=entity)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionWorld:
    """A law of errors (score less label) of one of :data:`SHAPES`, alike (correlation 0.5) within ``repeats`` rows."""

    n: int
    shape: str = "normal"
    repeats: int = 1

    def error(self, z: Array) -> Array:
        """The error at a standard normal place."""
        return SHAPES[self.shape](z)

    def truth(self, name: str) -> float:
        """Mean absolute error, bias or root mean squared error, by quadrature."""
        error = self.error(ndtri((np.arange(500_000) + 0.5) / 500_000))
        return float({"mae": np.abs(error).mean(), "bias": error.mean(), "rmse": (error**2).mean() ** 0.5}[name])

    def samples(self, count: int, rng: np.random.Generator) -> FakeJoined:
        """``count`` independent samples as one joined table."""
        code = np.arange(count * self.n) // self.repeats
        share = 0.5 if self.repeats > 1 else 0.0
        z = np.sqrt(share) * rng.normal(size=len(code))[code] + np.sqrt(1 - share) * rng.normal(size=len(code))
        label = rng.normal(10, 5, size=len(code))
        return _joined(
            {"score": label + self.error(z), "label": label, SAMPLE: np.repeat(np.arange(count).astype(str), self.n)},
            entity=[f"e{number}" for number in code.tolist()] if self.repeats > 1 else None,
            task="regression",
        )


def _joined(columns: dict[str, NDArray[Any]], *, entity: list[str] | None = None, task: str = "binary") -> FakeJoined:
    empty = make_joined(scores=[0.5], labels=[1.0], task=task)
    rest = empty.frame.drop("score", "label", "entity", "prediction_id", *(["flagged"] if "flagged" in columns else []))
    rows = len(columns["score"])
    frame = pl.DataFrame(columns).with_columns(
        pl.Series("prediction_id", np.arange(rows)).cast(pl.String),
        pl.Series("entity", entity or [None] * rows, dtype=pl.String),
    )
    return FakeJoined(frame=frame.join(rest, how="cross"), contract=empty.contract, as_of=empty.as_of)


def _shares(many: int) -> Array:
    shares = np.random.default_rng(0).gamma(1.0, size=many) + 0.05
    return shares / shares.sum()
