"""Label-free replay: what changed before the outcomes, applied to the reference's own rows, cause by cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import players, words
from fbkit.diagnose.applies import can_be_rescored, rungs_of
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.corruption import outcomes_follow
from fbkit.diagnose.density import Density, density
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.moved import features_moved
from fbkit.diagnose.playback import Moves, Piece
from fbkit.diagnose.player import (
    CORRUPTION,
    COVARIATE,
    FALLBACK,
    LOG_LOSS,
    MIX,
    THRESHOLD,
    VERSION,
    Player,
    beyond_gates,
)
from fbkit.diagnose.rescore import Fit
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.rule import decisions_moved, rule_of
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.search import Search
from fbkit.diagnose.selection import Test
from fbkit.diagnose.settings import NEEDS_DECISION, replay_floor
from fbkit.diagnose.shapley import shapley
from fbkit.diagnose.stage import Stage
from fbkit.diagnose.version import VersionContrast

__all__ = ["COVARIATE", "MIX", "PLAYERS", "THRESHOLD", "Replay", "Stage", "replay", "shapley"]

PLAYERS: Final = (THRESHOLD, MIX, COVARIATE)
ORDER: Final = (THRESHOLD, VERSION, CORRUPTION, FALLBACK, LOG_LOSS, MIX, COVARIATE)
RESCORED: Final = (VERSION, CORRUPTION, FALLBACK)
MOST_PLAYERS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the replay found.

    Attributes
    ----------
    players
        Contribution of each active cause (Shapley value), shape (draws + 1,), entry 0 the data.
    tried
        What each opened cause would do alone, active or not.
    facts
        Evidence of each opened cause, active or not: missing predictions are told even if the metric does not feel it.
    surrogate
        How the score was explained (R2 on rows that were not fitted), or None where nothing had to be re-scored.
    version
        The contrast of versions within the current window, or None when no version is new.
    version_clear
        The reference's rows re-scored by the new version have the same metric: the deploy did it no harm.
    remainder_cause
        What a remainder beyond noise is to be called where it is no plain concept drift: all traffic switched to a
        version that could not be re-scored, or something was served wrong whose effect could not be replayed. At most
        probable.
    mix_tests, score_test, mix_columns
        What opened (or did not open) mix and covariates.
    frames
        ``features_moved``, ``scores_piled``, ``volume``.
    """

    players: Mapping[str, Floats]
    tried: Mapping[str, Floats]
    facts: Mapping[str, Player]
    surrogate: Fit | None
    version: VersionContrast | None
    version_clear: bool
    remainder_cause: str | None
    mix_tests: Sequence[Test]
    score_test: Test
    mix_columns: tuple[str, ...]
    frames: Mapping[str, pl.DataFrame] = field(repr=False)


def replay(scene: Scene, labels: Labels, cells: Cells, *, model: object | None = None) -> Replay:
    """Open the gates, apply each opened cause to the reference's rows, keep what moves the metric, share it out.

    Parameters
    ----------
    labels, cells
        The labels after every repair, and their counts (whose cells the reference rows are raked to).
    model
        The served model: scikit-learn-like, an ONNX file or session, or a function of a frame of features.
        Without it, a surrogate of the score is fitted to the features where something has to be re-scored.

    Raises
    ------
    ArgumentError
        A model that cannot be called, asks for columns that are not logged, or answers in another shape.
    MissingPartError
        An ONNX file without onnxruntime.
    """
    return _Replayer(scene, labels, cells, model).run()


@dataclass(frozen=True, eq=False)
class _Replayer(Search):
    """Opens the players, plays them, and says what came of it."""

    def run(self) -> Replay:
        opened: dict[str, Player] = {}
        made = Moves()
        for step in (self._threshold, self._version, self._corruption, self._fallback, self._mix):
            made = step(made, opened)
        made = self._covariate(made, opened)
        stage = self.stage(made)
        nothing = stage.value(())
        floor = replay_floor(self.scene.metric, float(nothing[0]), settings=self.scene.settings)
        ready = [cause for cause in ORDER if cause in opened and self._plays(cause, made)]
        tried = {cause: stage.value((cause,)) - nothing for cause in ready}
        active = [cause for cause in ready if beyond_gates(tried[cause], settings=self.scene.settings, floor=floor)]
        active = sorted(active, key=lambda cause: -abs(float(tried[cause][0])))[:MOST_PLAYERS]
        shared = shapley(stage, [cause for cause in ORDER if cause in active]) if active else {}
        return self._told(opened, tried, shared)

    def _told(self, opened: dict[str, Player], tried: dict[str, Floats], shared: dict[str, Floats]) -> Replay:
        found = self.version[0]
        settings = self.scene.settings
        clear = VERSION in tried and VERSION not in shared and found is not None
        if found is not None and found.fires(settings=settings) and found.effect is not None:
            shared, clear = {**shared, VERSION: found.effect}, False
            opened[VERSION] = players.contrasted(found)
        facts = {
            cause: self._with_move(player, shared.get(cause, tried.get(cause))) for cause, player in opened.items()
        }
        frame = features_moved(self.scene.rows, self.scene.joined.contract, moves=self.moved, findings=self.findings)
        return Replay(
            players={cause: shared[cause] for cause in ORDER if cause in shared},
            tried=tried,
            facts={cause: facts[cause] for cause in ORDER if cause in facts},
            surrogate=self.fits[-1] if self.fits else None,
            version=found,
            version_clear=clear,
            remainder_cause=self._remainder(opened, shared),
            mix_tests=self.tests,
            score_test=self.score_test,
            mix_columns=self.strata.columns,
            frames={"features_moved": frame, "scores_piled": self.fallen[1], "volume": self.lost[1]},
        )

    def _remainder(self, opened: Mapping[str, Player], shared: Mapping[str, Floats]) -> str | None:
        found = self.version[0]
        if found is not None and found.complete and VERSION not in opened and VERSION not in shared:
            return VERSION
        named = CORRUPTION in opened and CORRUPTION in rungs_of(self.scene.metric)
        return CORRUPTION if named and not self._replayed_inputs else None

    @property
    def _replayed_inputs(self) -> bool:
        return bool(self.broken) and bool(self.pieces[0]) and can_be_rescored(self.scene.metric)

    def _with_move(self, player: Player, effect: Floats | None) -> Player:
        metric = self.scene.metric
        value = None if effect is None else float(effect[0])
        said = f"{words.name_of(metric)} by {words.signed(metric, value)}" if value is not None else "nothing"
        numbers = {**player.numbers, f"{player.cause}_effect": ("change", value)}
        return replace(player, evidence=player.evidence.replace("{move}", said), numbers=numbers)

    def _plays(self, cause: str, made: Moves) -> bool:
        metric = self.scene.metric
        if cause not in rungs_of(metric) or (cause in RESCORED and not can_be_rescored(metric)):
            return False
        held = {
            THRESHOLD: made.rule, VERSION: made.version or None, CORRUPTION: made.corruption or None,
            FALLBACK: made.fallback, MIX: made.mix, LOG_LOSS: made.mix,
        }  # fmt: skip
        return held.get(cause, True) is not None

    def _threshold(self, made: Moves, opened: dict[str, Player]) -> Moves:
        if self.scene.metric not in NEEDS_DECISION:
            return made
        moved = decisions_moved(self.scene, strata=self.strata, usable=self.usable)
        settings = self.scene.settings
        if moved.share <= settings.decisions_moved or moved.p_value >= settings.shift_p:
            return made
        now = rule_of(self.scene, CURRENT, strata=self.strata, usable=self.usable)
        opened[THRESHOLD] = players.threshold(self.scene, moved)
        return replace(made, rule=now)

    def _version(self, made: Moves, opened: dict[str, Player]) -> Moves:
        found = self.version[0]
        if found is None or not self.rescorer.features:
            return made
        move, told = self.rescorer.of_version()
        if told is not None:
            self.fits.append(told)
        if move is None or told is None:
            return made
        opened[VERSION] = players.rescored(found, told)
        share = np.full(len(move), found.share)
        rest = Piece(share=1 - share, move=np.zeros(len(move)))
        return replace(made, version=(Piece(share=share, move=move), *((rest,) if found.share < 1 else ())))

    def _corruption(self, made: Moves, opened: dict[str, Player]) -> Moves:
        if not self.broken:
            return made
        pieces, told = self.pieces
        if told is not None:
            self.fits.append(told)
        opened[CORRUPTION] = players.corrupted(
            self.broken, self.moved, told, personal=self.scene.joined.contract.privacy.personal
        )
        return replace(made, corruption=pieces)

    def _fallback(self, made: Moves, opened: dict[str, Player]) -> Moves:
        found = self.fallen[0]
        if found is None:
            return made
        opened[FALLBACK] = found.player
        return replace(made, fallback=found.default(self.stands.index))

    def _mix(self, made: Moves, opened: dict[str, Player]) -> Moves:
        found = self.lost[0]
        if found is not None:
            opened[LOG_LOSS] = found.player
        if self.strata.size == 1:
            return made
        if found is None:
            opened[MIX] = players.mix(self.scene, self.moved_columns.columns, self.tests)
        size = self.strata.size
        n = self.scene.resampler.sums(self.scene.rows.window * size + self.strata.code, size=2 * size)
        n = n.reshape(-1, 2, size)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = n / n.sum(-1, keepdims=True)
            ratio = np.where(share[:, REFERENCE] > 0, share[:, CURRENT] / share[:, REFERENCE], 0.0)
        return replace(made, mix=np.nan_to_num(ratio))

    def _covariate(self, made: Moves, opened: dict[str, Player]) -> Moves:
        shifted = [f for f in self.features if f.name in self.findings and not self.findings[f.name].broken]
        scored = CORRUPTION not in opened and self.version[0] is None
        p = self.scene.settings.shift_p
        if shifted:
            found = density(
                self.scene, shifted, strata=self.strata, usable=self.usable, with_score=scored and self.score_test.p < p
            )
            if found is not None:
                opened[COVARIATE] = players.shifted(self.scene, shifted, self.findings, self.moved)
                return self._with_density(made, found)
        if not scored or self.score_test.p >= p:
            return made
        follow = outcomes_follow(self.cells, self.scene.metric)
        if follow is not None and follow.decides and follow.ratio < 0.5:
            opened[CORRUPTION] = players.served_wrong(self.scene, self.score_test, follow)
            return made
        opened[COVARIATE] = players.scores_moved(self.scene, self.score_test, follow)
        return replace(made, inside=self.inside())

    def _with_density(self, made: Moves, found: Density) -> Moves:
        index = self.stands.index
        made = replace(made, density=found.ratio[index])

        def value(ratio: Floats) -> float:
            return float(self.stage(replace(made, density=ratio[index]), plain=True).value((COVARIATE,))[0])

        return replace(made, density_noise=found.noise(value) if self.scene.resampler.draws else None)
