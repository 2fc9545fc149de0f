"""The reference's labelled rows, each standing for a part of all of them, and what a replay changes about them."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from fbkit.diagnose.bootstrap import Floats, Ints, Resampler
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import label_counts, positive_rate
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.link import Link
from fbkit.diagnose.metric import Masses, evaluate, row_loss
from fbkit.diagnose.player import CORRUPTION, COVARIATE, FALLBACK, LOG_LOSS, MIX, THRESHOLD, VERSION
from fbkit.diagnose.rows import REFERENCE, Flags, Strata
from fbkit.diagnose.rule import Rule
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import NEEDS_DECISION, PROBABILITY_LOSSES, OwnName, is_mean_of_values

_COUNTED: Final = frozenset({*NEEDS_DECISION, *PROBABILITY_LOSSES, "base_rate", "ctr"})


@dataclass(frozen=True, slots=True)
class StandIns:
    """Labelled rows of the reference; their masses sum to the corrected counts of every cell.

    ``index`` holds their places in :class:`~fbkit.diagnose.rows.Rows`; the other arrays have one entry per stand-in:
    masses, the label (for errors of values the value), and a team's own metric.
    """

    index: Ints
    positive: Floats
    negative: Floats
    y: Floats
    own: Floats | None = None

    def only(self, kept: Flags) -> "StandIns":
        """Some of them."""
        own = None if self.own is None else self.own[kept]
        return StandIns(self.index[kept], self.positive[kept], self.negative[kept], self.y[kept], own)


def stand_ins(scene: Scene, labels: Labels, cells: Cells) -> StandIns:
    """Rake the labelled reference rows to their cells; a thin cell is carried by its score bin's rows of any slice."""
    rows = scene.rows
    mine = np.flatnonzero(rows.of(REFERENCE) & labels.seen)
    code = (rows.decision[mine] * cells.bins + scene.bin_of[mine]) * cells.strata.size + cells.strata.code[mine]
    size, rate = cells.n[0, REFERENCE], positive_rate(cells, thin=scene.settings.thin_cell)[0, REFERENCE]
    positive = np.nan_to_num(np.where(size > 0, size * rate, 0.0))
    enough = label_counts(cells)[0, REFERENCE] >= scene.settings.thin_cell
    masses = (positive, np.nan_to_num(np.where(size > 0, size - positive, 0.0)))
    weights = (labels.positives(rows.metric)[mine], labels.others(rows.metric)[mine])
    parts = [_raked(mass, weight, code, enough) for mass, weight in zip(masses, weights, strict=True)]
    own = None if labels.own is None else labels.own[mine]
    return StandIns(mine, parts[0], parts[1], labels.y[mine], own)


def _raked(mass: Floats, weight: Floats, code: Ints, own: Flags) -> Floats:
    """Weights scaled so that they sum to ``mass`` by cell, else by score bin, else by decision, else at all."""
    have = np.bincount(code, weights=weight, minlength=mass.size).reshape(mass.shape).astype(np.float64)
    done = own & (have > 0)
    factor = np.divide(mass, have, out=np.zeros_like(mass), where=done)
    left = np.where(done, 0.0, mass)
    for axes in ((2,), (1, 2), (0, 1, 2)):
        whole, need = have.sum(axes, keepdims=True), left.sum(axes, keepdims=True)
        factor = factor + np.divide(need, whole, out=np.zeros_like(whole), where=whole > 0)
        left = np.where(whole > 0, 0.0, left)
    return weight * factor.ravel()[code]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A share of every stand-in (0..1), and what its score, on the link's scale, is moved by."""

    share: Floats
    move: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """The share of every stand-in that is answered by a default score, and how often that is flagged."""

    share: Floats
    score: float
    flagged: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What each player does; None (or nothing) where it does not play.

    ``mix`` has shape (draws + 1, strata) and ``inside`` (draws + 1, bins, strata): ratio of the current share to the
    reference's, of a stratum, and of a score bin within it. ``density`` is the same for a row's features.
    """

    rule: Rule | None = None
    version: tuple[Piece, ...] = ()
    corruption: tuple[Piece, ...] = ()
    fallback: Default | None = None
    mix: Floats | None = None
    inside: Floats | None = None
    density: Floats | None = None
    density_noise: Floats | None = None


@dataclass(frozen=True)
class Playback:
    """The stand-ins, how they were decided, and what moved; :meth:`value` is the metric of any part of the moves."""

    scene: Scene
    stands: StandIns
    strata: Strata
    before: Rule
    moves: Moves
    link: Link

    @cached_property
    def _resampler(self) -> Resampler:
        own = self.scene.resampler
        return Resampler(own.cluster[self.stands.index], own.weights)

    @cached_property
    def _score(self) -> Floats:
        return self.scene.rows.score[self.stands.index]

    @cached_property
    def _stratum(self) -> Ints:
        return self.strata.code[self.stands.index]

    @cached_property
    def _bins(self) -> int:
        metric = self.scene.metric
        counted = metric in _COUNTED or is_mean_of_values(metric)
        return 1 if counted and self.moves.inside is None else self.scene.bins

    def value(self, active: Collection[str]) -> Floats:
        """The metric of the reference with these players at their current value, one value per draw."""
        total: Masses | None = None
        keep, default = np.ones(len(self._score)), self.moves.fallback if FALLBACK in active else None
        if default is not None:
            keep = 1 - default.share
            same, share = np.full(len(keep), default.score), np.full(len(keep), default.flagged)
            total = self._masses(active, share=default.share, score=same, flagged=share)
        for piece in self._pieces(active):
            score = self.link.moved(self._score, piece.move)
            masses = self._masses(active, share=keep * piece.share, score=score, flagged=self._flagged(active, score))
            total = masses if total is None else _added(total, masses)
        if total is None:
            raise ValueError("no piece at all")
        value = evaluate(self.scene.metric, self._reweighted(active, total))
        noise = self.moves.density_noise
        return value if noise is None or COVARIATE not in active else value + noise

    def _pieces(self, active: Collection[str]) -> list[Piece]:
        """Every combination of what a version and what broken inputs do to the score."""
        rows = len(self._score)
        whole = [Piece(share=np.ones(rows), move=np.zeros(rows))]
        if VERSION in active and self.moves.version:
            whole = [*self.moves.version]
        if CORRUPTION not in active or not self.moves.corruption:
            return whole
        pairs = [(one, other) for one in whole for other in self.moves.corruption]
        return [Piece(share=one.share * other.share, move=one.move + other.move) for one, other in pairs]

    def _flagged(self, active: Collection[str], score: Floats) -> Floats:
        if THRESHOLD in active and self.moves.rule is not None:
            return self.moves.rule.flagged(score, self._stratum)
        same = score == self._score
        decision = self.scene.rows.decision[self.stands.index].astype(np.float64)
        return decision if same.all() else np.where(same, decision, self.before.flagged(score, self._stratum))

    def _masses(self, active: Collection[str], *, share: Floats, score: Floats, flagged: Floats) -> Masses:
        """Sums of these rows by (decision, bin, stratum), every draw."""
        weight = share if COVARIATE not in active or self.moves.density is None else share * self.moves.density
        bins = self._bins
        place = np.searchsorted(self.scene.edges, score, side="right") if bins > 1 else np.zeros(len(score), np.int64)
        cell = place * self.strata.size + self._stratum
        metric, stands = self.scene.metric, self.stands
        sums = {"positive": stands.positive, "negative": None if metric == "recall" else stands.negative}
        made = {
            name: None if mass is None else self._summed(mass * weight, flagged, cell) for name, mass in sums.items()
        }
        loss = self._loss(score)
        positive = made["positive"]
        if positive is None:
            raise ValueError("positives are always counted")
        negative = made["negative"]
        return Masses(
            positive,
            np.zeros_like(positive) if negative is None else negative,
            None if loss is None else self._summed(loss * weight, flagged, cell),
        )

    def _summed(self, mass: Floats, flagged: Floats, cell: Ints) -> Floats:
        """Rows that are decided by a share stand on both sides with their share."""
        size = self._bins * self.strata.size
        parts: list[tuple[Ints, Floats]] = []
        for decision, share in ((0, 1 - flagged), (1, flagged)):
            chosen = np.flatnonzero((mass != 0) & (share > 0))
            parts.append((chosen, np.full(len(chosen), decision * size)))
        index = np.concatenate([part[0] for part in parts])
        offset = np.concatenate([part[1] for part in parts]).astype(np.int64)
        portion = np.where(offset > 0, flagged[index], 1 - flagged[index])
        own = self._resampler
        table = Resampler(own.cluster[index], own.weights).sums(
            cell[index] + offset, size=2 * size, values=mass[index] * portion
        )
        return table.reshape(-1, 2, self._bins, self.strata.size)

    def _loss(self, score: Floats) -> Floats | None:
        """Loss of every stand-in at this score, times its mass."""
        metric, stands = self.scene.metric, self.stands
        if isinstance(metric, OwnName):
            return None if stands.own is None else np.nan_to_num(stands.own) * stands.negative
        if is_mean_of_values(metric):
            loss = row_loss(metric, score=score, label=stands.y)
            return None if loss is None else np.nan_to_num(loss) * stands.negative
        parts = [row_loss(metric, score=score, label=np.full(len(score), y)) for y in (1.0, 0.0)]
        if parts[0] is None or parts[1] is None:
            return None
        return stands.positive * parts[0] + stands.negative * parts[1]

    def _reweighted(self, active: Collection[str], masses: Masses) -> Masses:
        if self.moves.mix is not None and (MIX in active or LOG_LOSS in active):
            masses = masses.scaled(self.moves.mix[:, None, None, :])
        if self.moves.inside is not None and COVARIATE in active:
            masses = masses.scaled(self.moves.inside[:, None])
        return masses


def _added(first: Masses, second: Masses) -> Masses:
    loss = None if first.loss is None or second.loss is None else first.loss + second.loss
    return Masses(first.positive + second.positive, first.negative + second.negative, loss)
