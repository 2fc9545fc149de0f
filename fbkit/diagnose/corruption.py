"""Is a moved feature broken, or are the cases different? The other features and the outcomes tell them apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats, standard_error
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.compound import pair
from fbkit.diagnose.correction import corrected, positive_rate
from fbkit.diagnose.features import FEWEST, Feature, Line, Move, Yardstick, quantile_line
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.mixture import Mixture, mixture
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scope import Scope, scope_of
from fbkit.diagnose.settings import is_mean_of_values

IMPOSSIBLE: Final = 0.05
"""Share of the current values beyond a margin about the reference's range that proves a break."""
MARGIN: Final = 0.25
"""That margin, in ranges of the reference."""
DEFAULT_SHARE: Final = 0.05
PRECISE: Final = 0.25
"""Standard error of the follow ratio (0: nothing followed, 1: everything did) below which it decides."""
INEXACT: Final = 0.15
OTHERS_SAY, OUTCOMES_SAY = 3.0, 8.0
"""Most that the other features and the outcomes may add to the log odds: cases can differ in one feature alone, but
outcomes that follow the scores prove that the values are right."""
CLEAR: Final = 2.5
FULLY = (0.7, 1.4)
"""Outcomes that moved within these shares of what the scores say followed all of it."""
FACTOR: Final = 1.5
"""Change of unit beyond which a straight rescaling is taken for one although nothing else tells."""
ALMOST_ALL: Final = 0.9
MOST: Final = 0.85
"""A factor or addend on more than this share of the rows is taken for one on all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """How far something followed the feature's move: 0 not at all, 1 as the reference's relation says."""

    ratio: float
    error: float

    @property
    def decides(self) -> bool:
        return self.error < PRECISE and abs(self.ratio - 0.5) > 2 * self.error

    @property
    def odds(self) -> float:
        """Log odds that it followed (ratio 1) rather than stayed (ratio 0); relations are never exact."""
        return (2 * self.ratio - 1) / (2 * (self.error**2 + INEXACT**2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one moved feature.

    ``kind`` is nulls, default, impossible values, rescale, shift, other (all of them broken) or covariate.
    ``change`` turns values of the reference into what would be served now, for the share of rows in ``scope``.
    """

    name: str
    kind: str
    best: str
    scope: Scope
    share: float = 1.0
    change: Callable[[Floats], Floats] | None = None
    line: Line | None = None
    others: Follow | None = None
    outcomes: Follow | None = None
    value: float | None = None
    mixture: Mixture | None = None

    @property
    def broken(self) -> bool:
        return self.kind != "covariate"


@dataclass(frozen=True)
class Inspector:
    """Goes through the moved features, the most moved first."""

    yardstick: Yardstick
    features: Sequence[Feature]
    moves: Mapping[str, Move]
    cells: Cells
    found: dict[str, Finding] = field(default_factory=dict)

    def run(self) -> dict[str, Finding]:
        """One finding per moved feature."""
        for feature in self.features:
            if self.moves[feature.name].nulls:
                self.found[feature.name] = self._nulls(feature)
        order = sorted(
            (f for f in self.features if f.name not in self.found and self.moves[f.name].moved),
            key=lambda f: -max(abs(self.moves[f.name].rank), abs(self.moves[f.name].width) / 2),
        )
        for feature in order:
            proof = self._proof(feature)
            if proof is not None:
                self.found[feature.name] = proof
        self._together([feature for feature in order if feature.name not in self.found])
        for feature in order:
            if feature.name not in self.found:
                self.found[feature.name] = self._judged(feature)
        return self.found

    def _together(self, moved: Sequence[Feature]) -> None:
        """Set one broken feature apart from a common move of the others, if the outcomes went with the others only."""
        outcomes = outcomes_follow(self.cells, self.yardstick.scene.metric)
        sound = [f for f in self.features if f.name not in self.found or not self.found[f.name].broken]
        if len(moved) < 2 or outcomes is None or outcomes.error > PRECISE or FULLY[0] < outcomes.ratio < FULLY[1]:
            return
        found = pair(self.yardstick, sound, self.moves, followed=outcomes.ratio)
        if found is None:
            return
        for feature in moved:
            scope = self._scope(feature)
            before, after = feature.values[scope.reference], feature.values[scope.current]
            if feature.name != found.broken:
                line = quantile_line(before, after)
                self.found[feature.name] = Finding(
                    name=feature.name, kind="covariate", best="probable", scope=scope, line=line
                )
                continue
            line = quantile_line(before, after - found.carried)
            straight = line is not None and line.straight and line.kind != "line"
            self.found[feature.name] = Finding(
                name=feature.name,
                kind=line.kind if straight and line is not None else "other",
                best="probable",
                scope=scope,
                change=line.apply if straight and line is not None else _ranked(feature, after - found.carried),
                line=line,
            )

    def _scope(self, feature: Feature) -> Scope:
        """Where its values moved."""
        ranks = np.nan_to_num(feature.ranks, nan=0.5)
        return scope_of(self.yardstick.scene, ranks, known=self._known(feature))

    def _known(self, feature: Feature) -> Flags:
        return self.yardstick.usable & ~feature.null

    def _nulls(self, feature: Feature) -> Finding:
        usable = self.yardstick.usable
        scope = scope_of(self.yardstick.scene, feature.null.astype(np.float64), known=usable)
        before, after = (float(feature.null[mine].mean()) for mine in (scope.reference, scope.current))
        share = max(0.0, (after - before) / max(1e-9, 1 - before))
        return Finding(
            name=feature.name, kind="nulls", best="established", scope=scope, share=share,
            change=lambda values: np.full(len(values), np.nan),
        )  # fmt: skip

    def _proof(self, feature: Feature) -> Finding | None:
        """Values that the reference cannot have had, or one value in place of all others."""
        scope = self._scope(feature)
        before, after = feature.values[scope.reference], feature.values[scope.current]
        if min(len(before), len(after)) < FEWEST:
            return None
        low, high = float(before.min()), float(before.max())
        margin = MARGIN * (high - low)
        beyond = (after < low - margin) | (after > high + margin)
        share = float(beyond.mean())
        line = quantile_line(before, after)
        if share > IMPOSSIBLE:
            if share > ALMOST_ALL and line is not None and line.straight:
                return Finding(
                    name=feature.name, kind=line.kind if line.kind != "line" else "other", best="established",
                    scope=scope, change=line.apply, line=line,
                )  # fmt: skip
            return self._in_part(feature, scope, before, after) or Finding(
                name=feature.name, kind="impossible values", best="established", scope=scope, share=share,
                change=_ranked(feature, after[beyond]), line=line,
            )  # fmt: skip
        return self._default(feature, scope, before, after)

    def _in_part(self, feature: Feature, scope: Scope, before: Floats, after: Floats) -> Finding | None:
        """A factor or an addend on some of the rows."""
        fitted = mixture(before, after)
        if fitted is None:
            return None
        return Finding(
            name=feature.name,
            kind=fitted.kind,
            best="established",
            scope=scope,
            share=fitted.share,
            change=fitted.apply,
            line=quantile_line(before, after),
            mixture=fitted,
        )

    def _default(self, feature: Feature, scope: Scope, before: Floats, after: Floats) -> Finding | None:
        values, counts = np.unique(after, return_counts=True)
        top = int(np.argmax(counts))
        value, share = float(values[top]), float(counts[top] / len(after))
        usual = float((before == value).mean())
        if share - usual < DEFAULT_SHARE or share < 3 * usual:
            return None
        rest = [feature.rank(part[part != value]) for part in (before, after)]
        if min(len(part) for part in rest) >= FEWEST and abs(float(rest[1].mean() - rest[0].mean())) > 0.03:
            return None
        return Finding(
            name=feature.name, kind="default", best="established", scope=scope, value=value,
            share=(share - usual) / (1 - usual), change=lambda old: np.full(len(old), value),
        )  # fmt: skip

    def _judged(self, feature: Feature) -> Finding:
        """By what the other features and the outcomes did."""
        scope = self._scope(feature)
        before, after = feature.values[scope.reference], feature.values[scope.current]
        line = quantile_line(before, after)
        others, outcomes = self._others(feature, scope), outcomes_follow(self.cells, self.yardstick.scene.metric)
        broken, best = _decide(line, others, outcomes)
        if not broken:
            return Finding(
                name=feature.name, kind="covariate", best=best, scope=scope, line=line, others=others, outcomes=outcomes
            )
        straight = line is not None and line.straight and line.kind != "line"
        part = self._in_part(feature, scope, before, after)
        if part is not None and not (straight and part.share > MOST):
            return replace(part, best=best, others=others, outcomes=outcomes)
        return Finding(
            name=feature.name,
            kind=line.kind if straight and line is not None else "other",
            best=best,
            scope=scope,
            change=line.apply if straight and line is not None else _ranked(feature, after),
            line=line,
            others=others,
            outcomes=outcomes,
        )

    def _others(self, feature: Feature, scope: Scope) -> Follow | None:
        """The other features' moves against what their relation to this one says, all of them weighed together."""
        ranks = np.nan_to_num(feature.ranks, nan=0.5)
        reference, current = scope.reference, scope.current
        if min(int(reference.sum()), int(current.sum())) < FEWEST:
            return None
        moved = float(ranks[current].mean() - ranks[reference].mean())
        expected: list[float] = []
        seen: list[float] = []
        error: list[float] = []
        columns: list[Floats] = []
        for other in self.features:
            known = other.name in self.found and self.found[other.name].broken
            if other.name == feature.name or not other.numeric or known or other.null.mean() > 0.5:
                continue
            own = np.nan_to_num(other.ranks, nan=0.5)
            slope = float(np.cov(ranks[reference], own[reference])[0, 1] / np.var(ranks[reference]))
            change, noise = self.yardstick.move(own, known=reference | current)
            if noise > 0:
                expected.append(slope * moved)
                seen.append(change)
                error.append(noise)
                columns.append(own[reference][:20_000])
        return _weighed(np.array(expected), np.array(seen), np.array(error), columns)


def _weighed(expected: Floats, seen: Floats, error: Floats, columns: Sequence[Floats]) -> Follow | None:
    if not len(expected):
        return None
    related = np.atleast_2d(np.corrcoef(np.vstack(columns))) if len(columns) > 1 else np.ones((1, 1))
    spread = np.outer(error, error) * (0.95 * np.nan_to_num(related) + 0.05 * np.eye(len(error)))
    solved = np.linalg.lstsq(spread, expected, rcond=None)[0]
    power = float(expected @ solved)
    if power <= 0:
        return None
    return Follow(ratio=float(seen @ solved) / power, error=power**-0.5)


def outcomes_follow(cells: Cells, metric: str) -> Follow | None:
    """Whether the share of positives moved as the current scores say it should; None where it could not show."""
    if is_mean_of_values(metric):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = evaluate("base_rate", corrected(cells, thin=1))
        usual = positive_rate(cells, thin=1)[:, REFERENCE]
        n = cells.n[:, CURRENT]
        should = np.where(n > 0, n * usual, 0.0).sum((1, 2, 3)) / n.sum((1, 2, 3))
    gap, moved = float(should[0] - rate[0, REFERENCE]), rate[:, CURRENT] - rate[:, REFERENCE]
    error = standard_error(moved)
    if not np.isfinite(gap) or gap == 0 or error is None or not np.isfinite(moved[0]):
        return None
    return Follow(ratio=float(moved[0]) / gap, error=error / abs(gap))


def _decide(line: Line | None, others: Follow | None, outcomes: Follow | None) -> tuple[bool, str]:
    """Broken or not, and how sure: by what followed, weighed by how well it can tell, else by the line."""
    by_others = 0.0 if others is None else float(np.clip(others.odds, -OTHERS_SAY, OTHERS_SAY))
    by_outcomes = 0.0 if outcomes is None else float(np.clip(outcomes.odds, -OUTCOMES_SAY, OUTCOMES_SAY))
    total = by_others + by_outcomes
    if abs(total) >= 1:
        at_odds = by_others * by_outcomes < 0 and min(abs(by_others), abs(by_outcomes)) > 1
        return total < 0, "established" if abs(total) > CLEAR and not at_odds else "probable"
    rescaled = line is not None and line.straight and line.kind == "rescale" and line.factor > 0
    far = rescaled and line is not None and abs(np.log(line.factor)) > np.log(FACTOR)
    return bool(far), "probable"


def _ranked(feature: Feature, values: Floats) -> Callable[[Floats], Floats]:
    """Values of the reference mapped to those of the same rank among ``values``."""
    target = np.sort(values)

    def change(old: Floats) -> Floats:
        rank = feature.rank(old)
        place = np.clip(np.nan_to_num(rank, nan=0.5) * len(target), 0, len(target) - 1).astype(np.int64)
        return np.where(np.isnan(old), np.nan, target[place])

    return change
