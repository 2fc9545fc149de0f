"""Label-free replay: what changed before the outcomes, applied to the reference's own rows, cause by cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import players, words
from fbkit.diagnose.bootstrap import Floats, Resampler
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.corruption import Finding, Inspector
from fbkit.diagnose.density import Density, density, scores_test
from fbkit.diagnose.fallback import Fallback, fallback
from fbkit.diagnose.features import Feature, Move, Yardstick, moves, served
from fbkit.diagnose.handed import Handed, handed
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.link import Link
from fbkit.diagnose.moved import features_moved
from fbkit.diagnose.playback import Moves, Piece, Playback, StandIns, stand_ins
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
from fbkit.diagnose.prediction_loss import LogLoss, log_loss
from fbkit.diagnose.rescore import Fit, Rescorer
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Strata
from fbkit.diagnose.rule import Rule, decisions_moved, rule_of
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.selection import Test, choose, mix_tests
from fbkit.diagnose.settings import NEEDS_DECISION, material_floor
from fbkit.diagnose.shapley import shapley
from fbkit.diagnose.stage import Stage
from fbkit.diagnose.version import VersionContrast, contrast, new_versions

__all__ = ["COVARIATE", "MIX", "PLAYERS", "THRESHOLD", "Replay", "Stage", "replay", "shapley"]

PLAYERS: Final = (THRESHOLD, MIX, COVARIATE)
ORDER: Final = (THRESHOLD, VERSION, CORRUPTION, FALLBACK, LOG_LOSS, MIX, COVARIATE)
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
    return _Search(scene, labels, cells, model).run()


@dataclass(frozen=True, eq=False)
class _Search:
    """The steps, each computed once."""

    scene: Scene
    labels: Labels
    cells: Cells
    given: object | None

    @cached_property
    def model(self) -> Handed | None:
        if self.given is None:
            return None
        names = [n for n in self.scene.joined.contract.features.columns if n in self.scene.rows.frame.columns]
        return handed(self.given, frame=self.scene.rows.frame, features=names)

    @cached_property
    def fallen(self) -> tuple[Fallback | None, pl.DataFrame]:
        return fallback(self.scene)

    @cached_property
    def lost(self) -> tuple[LogLoss | None, pl.DataFrame]:
        return log_loss(self.scene)

    @cached_property
    def usable(self) -> Flags:
        """Rows that were scored by the model."""
        found = self.fallen[0]
        return np.ones(len(self.scene.rows), dtype=bool) if found is None else ~found.rows

    @cached_property
    def tests(self) -> list[Test]:
        return mix_tests(self.scene.rows, self.scene.encoded)

    @cached_property
    def moved_columns(self) -> Strata:
        settings = self.scene.settings
        return choose(
            self.tests, self.scene.encoded, p=settings.shift_p, strata=settings.strata, rows=len(self.scene.rows)
        )

    @cached_property
    def strata(self) -> Strata:
        """What is reweighted: the columns whose shares moved, and what predictions are missing of."""
        chosen, found = self.moved_columns, self.lost[0]
        if found is None or not found.column or found.column in chosen.columns:
            return chosen
        values = tuple((*before, part) for before in chosen.values or ((),) for part in ("rest", "short"))
        return Strata((*chosen.columns, found.column), values, chosen.code * 2 + found.stratum)

    @cached_property
    def version(self) -> tuple[VersionContrast | None, Flags]:
        scene, settings = self.scene, self.scene.settings
        _, fresh = new_versions(scene.rows, known_share=settings.known_version)
        found = contrast(
            scene.rows, self.labels, self.cells, metric=scene.metric, bin_of=scene.bin_of, resampler=scene.resampler,
            settings=settings,
        )  # fmt: skip
        return found, fresh

    @cached_property
    def features(self) -> list[Feature]:
        """The served features; text and numbers."""
        return served(self.scene.rows, self.scene.joined.contract)

    @cached_property
    def moved(self) -> dict[str, Move]:
        return moves(Yardstick(self.scene, self.strata, self.usable), self.features)

    @cached_property
    def findings(self) -> dict[str, Finding]:
        yardstick = Yardstick(self.scene, self.strata, self.usable)
        return Inspector(yardstick, self.features, self.moved, self.cells).run()

    @cached_property
    def stands(self) -> StandIns:
        found = stand_ins(self.scene, self.labels, self.cells)
        if self.scene.metric != "recall":
            return found
        kept = found.positive > 0  # the others count nowhere
        return StandIns(index=found.index[kept], positive=found.positive[kept], negative=found.negative[kept])

    @cached_property
    def rescorer(self) -> Rescorer:
        rows = self.scene.rows
        extra = served(rows, self.scene.joined.contract, extra=tuple(self.scene.encoded))
        names = {feature.name for feature in self.features}
        inputs = [*self.features, *(feature for feature in extra if feature.name not in names)]
        link = Link.of(rows.score)
        return Rescorer(self.scene, inputs, self.usable, self.version[1], link, self.stands.index, self.model)

    def run(self) -> Replay:
        opened: dict[str, Player] = {}
        made = Moves()
        for step in (self._threshold, self._version, self._corruption, self._fallback, self._mix):
            made = step(made, opened)
        made = self._covariate(made, opened)
        stage = self._stage(made)
        nothing = stage.value(())
        floor = self._floor(float(nothing[0]))
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
            surrogate=self._fits[-1] if self._fits else None,
            version=found,
            version_clear=clear,
            mix_tests=self.tests,
            score_test=self.score_test,
            mix_columns=self.strata.columns,
            frames={"features_moved": frame, "scores_piled": self.fallen[1], "volume": self.lost[1]},
        )

    @cached_property
    def _fits(self) -> list[Fit]:
        return []

    def _with_move(self, player: Player, effect: Floats | None) -> Player:
        metric = self.scene.metric
        value = None if effect is None else float(effect[0])
        said = f"{words.name_of(metric)} by {words.signed(metric, value)}" if value is not None else "nothing"
        numbers = {**player.numbers, f"{player.cause}_effect": ("change", value)}
        return replace(player, evidence=player.evidence.replace("{move}", said), numbers=numbers)

    def _floor(self, reference: float) -> float:
        metric, settings = self.scene.metric, self.scene.settings
        return settings.replay_floor * material_floor(metric, reference) / material_floor("recall", 1.0)

    def _plays(self, cause: str, made: Moves) -> bool:
        held = {
            THRESHOLD: made.rule, VERSION: made.version or None, CORRUPTION: made.corruption or None,
            FALLBACK: made.fallback, MIX: made.mix, LOG_LOSS: made.mix,
        }  # fmt: skip
        return held.get(cause, True) is not None

    def _stage(self, made: Moves, *, plain: bool = False) -> Playback:
        scene = self.scene
        if plain:
            own = scene.resampler
            scene = replace(scene, resampler=Resampler(own.cluster, own.weights[:, :0]))
        return Playback(scene, self.stands, self.strata, self._before, made, self.rescorer.link)

    @cached_property
    def _before(self) -> Rule:
        return rule_of(self.scene, REFERENCE, strata=self.strata, usable=self.usable)

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
            self._fits.append(told)
        if move is None or told is None:
            return made
        opened[VERSION] = players.rescored(found, told)
        share = np.full(len(move), found.share)
        rest = Piece(share=1 - share, move=np.zeros(len(move)))
        return replace(made, version=(Piece(share=share, move=move), *((rest,) if found.share < 1 else ())))

    def _corruption(self, made: Moves, opened: dict[str, Player]) -> Moves:
        broken = [finding for finding in self.findings.values() if finding.broken]
        if not broken:
            return made
        groups = players.groups(broken, self.features, self.stands.index)
        pieces, told = self.rescorer.pieces(groups)
        if told is not None:
            self._fits.append(told)
        opened[CORRUPTION] = players.corrupted(broken, self.moved, told)
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

    @cached_property
    def score_test(self) -> Test:
        """Of the scores' distribution within the strata that moved, fallbacks left out."""
        return scores_test(self.scene, strata=self.strata, usable=self.usable)

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
        opened[COVARIATE] = players.scores_moved(self.scene, self.score_test)
        return replace(made, inside=self._inside())

    def _with_density(self, made: Moves, found: Density) -> Moves:
        index = self.stands.index
        made = replace(made, density=found.ratio[index])

        def value(ratio: Floats) -> float:
            return float(self._stage(replace(made, density=ratio[index]), plain=True).value((COVARIATE,))[0])

        return replace(made, density_noise=found.noise(value) if self.scene.resampler.draws else None)

    def _inside(self) -> Floats:
        """Ratio of the shares of a score bin within its stratum, current over reference."""
        scene, size = self.scene, self.strata.size
        code = (scene.rows.window * scene.bins + scene.bin_of) * size + self.strata.code
        n = scene.resampler.sums(code, size=2 * scene.bins * size, rows=self.usable)
        n = n.reshape(-1, 2, scene.bins, size)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = n / n.sum(2, keepdims=True)
            ratio = share[:, CURRENT] / share[:, REFERENCE]
        return np.where(np.isfinite(ratio), ratio, 1.0)
