"""What other inputs or another version do to the score: by the model if it was handed in, else by a surrogate of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.features import Feature
from fbkit.diagnose.handed import Handed, Reproduced, reproduced
from fbkit.diagnose.link import Link
from fbkit.diagnose.playback import Piece
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.surrogate import FIT_ROWS, GOOD_FIT, Surrogate, fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How the score was explained, for the record: by ``model`` or ``surrogate``, and how well."""

    by: str
    r2: float
    rows: int
    same: float | None = None

    @property
    def good(self) -> bool:
        return self.r2 >= GOOD_FIT


@dataclass(frozen=True)
class Rescorer:
    """Explains scores by features; every method answers on the link's scale for the stand-ins ``index``."""

    scene: Scene
    features: Sequence[Feature]
    usable: Flags
    fresh: Flags
    link: Link
    index: Ints
    model: Handed | None

    @cached_property
    def target(self) -> Floats:
        """The logged scores of every row."""
        return self.link.scale(self.scene.rows.score)

    def _sample(self, mine: Flags, *, most: int) -> Ints:
        found = np.flatnonzero(mine & self.usable)
        return found if len(found) <= most else np.random.default_rng(0).permutation(found)[:most]

    @cached_property
    def whole(self) -> Surrogate | None:
        """Fitted on as many rows of either window: it has seen broken inputs as well as sound ones."""
        now, before = (self.scene.rows.of(w) for w in (CURRENT, REFERENCE))
        half = FIT_ROWS // 2
        rows = np.concatenate([self._sample(now, most=half), self._sample(before, most=half)])
        return fit(self.features, self.target, rows=rows)

    @cached_property
    def by_version(self) -> tuple[Surrogate | None, Surrogate | None]:
        """Fitted on the known versions' rows and on the new ones'."""
        parts = (self.scene.rows.of(REFERENCE) & ~self.fresh, self.scene.rows.of(CURRENT) & self.fresh)
        old, new = (fit(self.features, self.target, rows=self._sample(mine, most=FIT_ROWS)) for mine in parts)
        return old, new

    def proof(self, mine: Flags) -> Reproduced | None:
        """How well the handed-in model reproduces the logged scores of these rows; None without one."""
        rows = np.flatnonzero(mine & self.usable)
        if self.model is None or not len(rows):
            return None
        return reproduced(self.model, self.scene.rows.frame, rows=rows, link=self.link)

    def of_version(self) -> tuple[Floats | None, Fit | None]:
        """What a new version's score is above the logged one; None where neither model nor surrogate stands for it."""
        proof = self.proof(self.scene.rows.of(CURRENT) & self.fresh)
        if self.model is not None and proof is not None:
            told = Fit(by="model", r2=proof.r2, rows=proof.rows, same=proof.same)
            if told.good:
                made = self.link.scale(self.model.score(self.scene.rows.frame[self.index]))
                return made - self.target[self.index], told
        old, new = self.by_version
        if new is None:
            return None, None
        told = Fit(by="surrogate", r2=new.r2, rows=new.rows)
        if not told.good:
            return None, told
        values = {feature.name: feature.values[self.index] for feature in self.features}
        # What the features leave unexplained stays with its row if the known version is explained as well.
        base = old.predict(values) if old is not None and old.r2 >= GOOD_FIT else self.target[self.index]
        return new.predict(values) - base, told

    def of_inputs(self, changed: Mapping[str, Floats]) -> tuple[Floats, Fit] | None:
        """What these feature values in place of the logged ones add to the score."""
        proof = self.proof(np.ones(len(self.usable), dtype=bool))
        if self.model is not None and proof is not None:
            told = Fit(by="model", r2=proof.r2, rows=proof.rows, same=proof.same)
            if told.good:
                frame = self.scene.rows.frame[self.index]
                made = [self.link.scale(self.model.score(part)) for part in (frame, self._with(frame, changed))]
                return made[1] - made[0], told
        if self.whole is None:
            return None
        values = {feature.name: feature.values[self.index] for feature in self.features}
        now = {name: changed.get(name, old) for name, old in values.items()}
        told = Fit(by="surrogate", r2=self.whole.r2, rows=self.whole.rows)
        return self.whole.predict(now) - self.whole.predict(values), told

    def _with(self, frame: pl.DataFrame, changed: Mapping[str, Floats]) -> pl.DataFrame:
        """The frame with these values; text features only ever lose theirs."""
        numeric = {feature.name: feature.numeric for feature in self.features}
        return frame.with_columns(
            pl.Series(name, values, nan_to_null=True).cast(pl.Float64)
            if numeric.get(name, True)
            else pl.lit(None, dtype=pl.String).alias(name)
            for name, values in changed.items()
        )

    def pieces(self, groups: Sequence[tuple[Floats, Mapping[str, Floats]]]) -> tuple[tuple[Piece, ...], Fit | None]:
        """Every combination of the groups (share of each stand-in, changed values), with what it adds to the score."""
        made: list[tuple[Floats, dict[str, Floats]]] = [(np.ones(len(self.index)), {})]
        for share, changed in groups:
            hit = [(weight * share, {**values, **changed}) for weight, values in made]
            made = hit + [(weight * (1 - share), values) for weight, values in made if (share < 1).any()]
        told: Fit | None = None
        pieces: list[Piece] = []
        for weight, values in made:
            if not weight.any():
                continue
            move = np.zeros(len(weight))
            if values:
                answer = self.of_inputs(values)
                if answer is None:
                    return (), None
                move, told = answer
            pieces.append(Piece(share=weight, move=move))
        return tuple(pieces), told
