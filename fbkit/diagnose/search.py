"""What a replay looks for in the logs: fallbacks, missing predictions, moved slices, versions, features, scores."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from fbkit.diagnose import players
from fbkit.diagnose.bootstrap import Floats, Resampler
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.corruption import Finding, Inspector
from fbkit.diagnose.density import scores_test
from fbkit.diagnose.fallback import Fallback, fallback
from fbkit.diagnose.features import Feature, Move, Yardstick, feature_columns, moves, served
from fbkit.diagnose.handed import Handed, handed
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.link import Link
from fbkit.diagnose.playback import Moves, Piece, Playback, StandIns, stand_ins
from fbkit.diagnose.prediction_loss import LogLoss, log_loss
from fbkit.diagnose.rescore import Fit, Rescorer
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags, Strata
from fbkit.diagnose.rule import Rule, rule_of
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.selection import Test, choose, mix_tests
from fbkit.diagnose.version import VersionContrast, contrast, new_versions


@dataclass(frozen=True, eq=False)
class Search:
    """What there is to be seen in the logs, each thing looked for once."""

    scene: Scene
    labels: Labels
    cells: Cells
    given: object | None

    @cached_property
    def model(self) -> Handed | None:
        if self.given is None:
            return None
        names = feature_columns(self.scene.rows.frame, self.scene.joined.contract)
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
        return found.only(found.positive > 0)  # the others count nowhere

    @cached_property
    def rescorer(self) -> Rescorer:
        rows = self.scene.rows
        extra = served(rows, self.scene.joined.contract, extra=tuple(self.scene.encoded))
        names = {feature.name for feature in self.features}
        inputs = [*self.features, *(feature for feature in extra if feature.name not in names)]
        link = Link.of(rows.score)
        return Rescorer(self.scene, inputs, self.usable, self.version[1], link, self.stands.index, self.model)

    @cached_property
    def broken(self) -> list[Finding]:
        return [finding for finding in self.findings.values() if finding.broken]

    @cached_property
    def pieces(self) -> tuple[tuple[Piece, ...], Fit | None]:
        """What the broken features do to the reference's scores."""
        return self.rescorer.pieces(players.groups(self.broken, self.features, self.stands.index))

    @cached_property
    def fits(self) -> list[Fit]:
        return []

    @cached_property
    def before(self) -> Rule:
        return rule_of(self.scene, REFERENCE, strata=self.strata, usable=self.usable)

    @cached_property
    def score_test(self) -> Test:
        """Of the scores' distribution within the strata that moved, fallbacks left out."""
        return scores_test(self.scene, strata=self.strata, usable=self.usable)

    def stage(self, made: Moves, *, plain: bool = False) -> Playback:
        scene = self.scene
        if plain:
            own = scene.resampler
            scene = replace(scene, resampler=Resampler(own.cluster, own.weights[:, :0]))
        return Playback(scene, self.stands, self.strata, self.before, made, self.rescorer.link)

    def inside(self) -> Floats:
        """Ratio of the shares of a score bin within its stratum, current over reference."""
        scene, size = self.scene, self.strata.size
        code = (scene.rows.window * scene.bins + scene.bin_of) * size + self.strata.code
        n = scene.resampler.sums(code, size=2 * scene.bins * size, rows=self.usable)
        n = n.reshape(-1, 2, scene.bins, size)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = n / n.sum(2, keepdims=True)
            ratio = share[:, CURRENT] / share[:, REFERENCE]
        return np.where(np.isfinite(ratio), ratio, 1.0)
