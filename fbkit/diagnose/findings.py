"""Everything one triage measured, before anything is said about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from scipy.special import logit

from fbkit.diagnose import words
from fbkit.diagnose.arrival import Arrival
from fbkit.diagnose.audit import Audit
from fbkit.diagnose.bootstrap import Floats, Ints, Triple, interval
from fbkit.diagnose.bounds import Tilt
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.censoring import bounds_only
from fbkit.diagnose.dispersion import Dispersion
from fbkit.diagnose.graded import Grading
from fbkit.diagnose.labels import Repair
from fbkit.diagnose.ladder import Ladder
from fbkit.diagnose.nonrandom import Conservation
from fbkit.diagnose.orphans import Blocked, Orphans
from fbkit.diagnose.player import LOG_LOSS
from fbkit.diagnose.replay import Replay
from fbkit.diagnose.rows import CURRENT, REFERENCE, Rows
from fbkit.diagnose.selection import Test
from fbkit.diagnose.series import worse_by
from fbkit.diagnose.settings import AUDIT_FLAGGED, AUDIT_UNFLAGGED, RATES, Settings, material_floor
from fbkit.diagnose.shape import Shape
from fbkit.diagnose.version import VersionContrast
from fbkit.diagnose.worlds import Unsettled, undecided
from fbkit.schema.contract import Contract
from fbkit.schema.period import Period


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The measured facts; sentences, checks and the verdict are functions of them.

    ``delay`` is label window plus grace, the longest one where windows differ.
    ``lost_nonrandom`` is the contribution of labels lost because of their outcome (per draw), or None
    when count conservation gives no reason to suspect it; ``other_world`` is then the true change if they
    were lost at random after all. ``reach`` is what label loss that follows the
    score could hide (see :class:`~fbkit.diagnose.graded.Grading`), added to the intervals. ``true_change``
    is the change after every repair of the labels.
    """

    metric: str
    reference: Period
    current: Period
    as_of: datetime
    contract: Contract
    delay: timedelta
    settings: Settings
    rows: Rows
    arrival: Arrival
    looked_at: tuple[Repair, ...]
    shape: Shape
    version_blamed: bool
    cells: Cells
    ladder: Ladder
    edges: Floats
    bin_of: Ints
    dispersion: Dispersion
    label_tests: list[Test]
    replay: Replay
    orphans: Orphans | None
    blocked: Blocked | None
    conservation: Conservation | None
    lost_nonrandom: Floats | None
    other_world: Floats | None
    audit: Audit | None
    rate_ratio: Floats | None
    tipping: float | None
    tilt: Tilt
    grading: Grading
    reach: float
    worst: Mapping[str, tuple[float | None, float | None]]
    frames: Mapping[str, pl.DataFrame]
    seconds: Mapping[str, float]

    @property
    def observed_change(self) -> Floats:
        """What the dashboard saw, with the days' spread in its draws."""
        return self.ladder.observed_change + self._days_add

    @property
    def true_change(self) -> Floats:
        """The change once labels are repaired, with the days' spread in its draws.

        Predictions that are missing from the log were made all the same: what their absence does is no change.
        """
        absent = self.ladder.replayed.get(LOG_LOSS)
        change = self.ladder.true_change + self._days_add
        return change if absent is None else change - absent

    @property
    def _days_add(self) -> Floats:
        """What outcomes that differ by day at equal scores add to each draw; nothing to the data themselves."""
        left = self.ladder.remainder
        return (self.dispersion.factor - 1) * np.nan_to_num(left - left[0])

    @property
    def immature(self) -> Floats:
        """What young labels add to the observed change."""
        step = self.ladder.step("immature_window")
        return np.zeros_like(self.ladder.observed_change) if step is None else step.contribution

    @property
    def remainder(self) -> Floats:
        """What is left when repairs, replays and a version contrast are taken out."""
        return self.ladder.remainder + self._days_add

    @property
    def version(self) -> VersionContrast | None:
        """What is known of versions that the reference hardly knew."""
        return self.replay.version

    @property
    def version_effect(self) -> Floats | None:
        """The version's contribution, if it was told from the remainder."""
        return self.ladder.replayed.get("version_regression")

    @property
    def cause_of_loss(self) -> str:
        """The name of what lost the labels."""
        weighed = self.ladder.step("action_censoring")
        if self.blocked is not None and self.blocked.explains and (weighed is None or weighed.repair.reason):
            return "action_censoring"
        if self.age_unknown and not self.immature[0]:
            return "immature_window"
        by_key = self.orphans is not None and self.orphans.explains and not self.ladder.step("join_break")
        return "join_break" if by_key else "label_slice_loss"

    @property
    def open_worlds(self) -> Unsettled:
        """What these logs leave open, for :mod:`fbkit.diagnose.worlds`."""
        pattern = self.conservation
        suspected = pattern is not None and pattern.fires and self.lost_nonrandom is not None
        gap = None if self.other_world is None else float(self.ladder.true_change[0] - self.other_world[0])
        by_definition = next((step for step in self.looked_at if step.cause == "label_definition_change"), None)
        confounded = (
            by_definition is not None and by_definition.fires and not self.ladder.step("label_definition_change")
        )
        return Unsettled(
            tipping=self.tipping,
            nonrandom=(pattern.outcome, pattern.decision) if suspected and pattern is not None else None,
            nonrandom_gap=gap,
            audited=self.audit is not None and self.other_world is None,
            bounds_only=bounds_only(self.looked_at),
            age_unknown=self.age_unknown,
            decidable=words.instant(self.decidable),
            definition=confounded,
            definition_gap=float(self.remainder[0]) if self.beyond_noise(self.remainder) else 0.0,
            audit_flagged=AUDIT_FLAGGED,
            audit_unflagged=AUDIT_UNFLAGGED,
        )

    @property
    def why_undecided(self) -> str | None:
        """Why two worlds are left, in words; None where the logs decide."""
        floor = material_floor(self.metric, float(self.ladder.observed[0, REFERENCE]))
        return undecided(self.open_worlds, floor=floor)

    @property
    def censored(self) -> bool:
        """The action hides outcomes of the current rows."""
        return self.blocked is not None and self.blocked.current > 0

    @property
    def age_unknown(self) -> bool:
        """Labels are still to come and nothing tells how many: lost and late look alike."""
        return self.arrival.reason is not None

    @property
    def decidable(self) -> datetime:
        """When the last label window of the current period closes."""
        return self.current.end + self.delay

    @property
    def estimable(self) -> bool:
        """Both observed values exist."""
        return bool(np.isfinite(self.ladder.observed[0]).all())

    @property
    def correctable(self) -> bool:
        """Both corrected values exist."""
        return bool(np.isfinite(self.ladder.corrected[0]).all())

    def triple(self, draws: Floats) -> Triple:
        """Value, lower, upper at the diagnosis' level."""
        return interval(draws, level=self.settings.level)

    def repaired(self, draws: Floats) -> Triple:
        """The same for what rests on the correction: widened by what the correction cannot know."""
        return interval(draws, level=self.settings.level, more=self.reach)

    def true_triple(self) -> Triple:
        """The true change; where two worlds fit, the interval holds both; None while nothing tells what is to come."""
        if self.age_unknown:
            return None, None, None
        value, lower, upper = self.repaired(self.true_change)
        if self.other_world is None or lower is None or upper is None:
            return value, lower, upper
        _, low, high = self.repaired(self.other_world)
        return value, min(lower, low if low is not None else lower), max(upper, high if high is not None else upper)

    def beyond_noise(self, draws: Floats) -> bool:
        """Further from zero than the gate allows to noise (and than the correction cannot know)."""
        gate = self.gate
        _, lower, upper = interval(draws, level=self.settings.level, width=gate, more=self.reach)
        if lower is None or upper is None or lower <= 0 <= upper:
            return False
        odds = self._in_log_odds(draws)
        if odds is None:
            return True
        _, lower, upper = interval(odds, level=self.settings.level, width=gate)
        return lower is None or upper is None or not lower <= 0 <= upper

    @property
    def gate(self) -> float:
        """Standard errors that the remainder must exceed: fewer where the shape of the outcomes bears it out."""
        slope, bears = self.shape.slope, self.settings
        estimated = any(step.repair.either_side for step in self.ladder.steps)
        if slope is None or abs(slope) < bears.shape_gate or self.inputs_moved or estimated:
            return bears.remainder_gate
        worse = float(self.remainder[0]) * worse_by(self.metric) > 0
        return bears.gate_with_shape if (slope < 0) == worse else bears.remainder_gate

    @property
    def inputs_moved(self) -> bool:
        """Something that changes outcomes at equal scores was replayed: the shape says nothing of what is left."""
        return bool(set(self.ladder.replayed) & {"feature_corruption", "serving_fallback", "version_regression"})

    def _in_log_odds(self, draws: Floats) -> Floats | None:
        """The same step of a rate in log odds: near 1 a standard error shrinks with the estimate, there it does not."""
        after = self.ladder.corrected[:, CURRENT]
        before = after - draws
        inside = (after > 0) & (after < 1) & (before > 0) & (before < 1)
        if self.metric not in RATES or not inside.all():
            return None
        return logit(after) - logit(before)

    def frame(self, name: str) -> pl.DataFrame:
        """One evidence frame."""
        return self.frames[name]

    @property
    def decided(self) -> bool:
        """Some rows were flagged: there are two sides of a decision to compare."""
        return bool(self.rows.decision.any())

    def availability_went(self) -> str:
        """From where to where availability went, by decision where there is one."""

        def went(decision: str) -> str:
            share = [words.percent(self.availability(window, decision=decision)) for window in ("reference", "current")]
            return " to ".join(share)

        if not self.decided:
            return went("all")
        return f"{went('all')}: flagged rows {went('flagged')}, others {went('not flagged')}"

    def availability(self, window: str, *, decision: str = "all") -> float | None:
        """Share of labelled rows, as the evidence frame has it."""
        table = self.frames["availability_by_decision"]
        found = table.filter((pl.col("decision") == decision) & (pl.col("window") == window))
        return found["availability"].item()

    def as_facts(self) -> dict[str, Any]:
        """Sizes and gates for the method record."""
        return {
            "rows_reference": int(self.rows.of(REFERENCE).sum()),
            "rows_current": int(self.rows.of(CURRENT).sum()),
            "rows_without_decision": self.rows.without_decision,
            "score_bins": self.cells.bins,
            "label_strata": list(self.cells.strata.columns),
            "mix_strata": list(self.replay.mix_columns),
            "surrogate_r2": None if self.replay.surrogate is None else self.replay.surrogate.r2,
            "immature_rows": int(self.arrival.young.sum()),
            "day_dispersion": self.dispersion.ratio,
            "remainder_widened_by": self.dispersion.factor,
        }
