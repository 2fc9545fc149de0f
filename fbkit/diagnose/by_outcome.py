"""Were labels lost because of their outcome? Count conservation asks, an audit answers."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose import words
from fbkit.diagnose.audit import Audit, audit
from fbkit.diagnose.bootstrap import Floats, standard_error
from fbkit.diagnose.cells import Cells
from fbkit.diagnose.correction import corrected
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.metric import evaluate
from fbkit.diagnose.nonrandom import Conservation, conservation, give_back
from fbkit.diagnose.rows import CURRENT, REFERENCE
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import is_mean_of_values, material_floor

WITHIN: Final = 2.0
"""Standard errors within which a change is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByOutcome:
    """What labels lost by outcome did, per draw and window.

    Attributes
    ----------
    pattern, audit
        Count conservation (None for errors of values and where silence means negative), and an audit if there is one.
    lift
        Added to the repaired metric before missing labels are weighted back: shape (draws + 1, 2).
    lift_corrected
        Added to the metric with them weighted back.
    found
        Labels were lost by outcome, as far as these logs and audits say.
    settled
        No second world matters: nothing of the kind was found, an audit decided, the two agree to within the floor, or
        the metric moved neither as shown nor with these labels back, so that there is nothing to explain.
    gap
        True change with these labels back minus the one without; None where nothing was found.
    """

    pattern: Conservation | None
    audit: Audit | None
    lift: Floats
    lift_corrected: Floats
    found: bool
    settled: bool
    gap: float | None = None

    @property
    def lost(self) -> Floats | None:
        """Contribution to the observed change, per draw; None where nothing was found."""
        return self.lift[:, REFERENCE] - self.lift[:, CURRENT] if self.found else None

    @property
    def audited(self) -> bool:
        """The finding rests on an audit."""
        return self.audit is not None and self.audit.wins

    @property
    def best(self) -> str:
        """The strongest word that these logs allow for it."""
        return "established" if self.audited else "probable"

    @property
    def where(self) -> str:
        """Whose labels were lost, in words."""
        if self.pattern is None or not self.pattern.fires:
            return "rows without a label"
        if self.pattern.decision == 0:
            return "positives that were not flagged"
        if self.pattern.outcome == 0:
            return "flagged negatives"
        return "positives" if self.pattern.everywhere else "flagged positives"


def by_outcome(scene: Scene, labels: Labels, cells: Cells, *, explained: bool = False) -> ByOutcome:
    """Put back what was lost by outcome.

    Parameters
    ----------
    labels, cells
        After the last repair of single labels, and counted.
    explained
        An outage, slow labels or a new version explain the counts: conservation stays silent.

    Returns
    -------
    ``lost`` plus the loss at random that is left, ``(repaired + lift) - (corrected + lift_corrected)``, is the whole
    loss: an audit that contradicts loss at random moves both alike, so that loss at random keeps its share.
    """
    nothing = np.zeros((scene.resampler.draws + 1, 2))
    said = None if scene.silent else audit(scene, labels, cells)
    if scene.silent or is_mean_of_values(scene.metric):
        return _without_pattern(said, pattern=None, nothing=nothing)
    pattern = conservation(cells, settings=scene.settings, explained=explained)
    if not pattern.fires:
        return _without_pattern(said, pattern=pattern, nothing=nothing)
    restored = give_back(cells, pattern)
    before, after = (evaluate(scene.metric, table.like_for_like()) for table in (cells, restored))
    plain, back = (evaluate(scene.metric, corrected(each, thin=scene.settings.thin_cell)) for each in (cells, restored))
    if said is not None and said.wins:
        more = said.metric - said.model
        return ByOutcome(
            pattern=pattern,
            audit=said,
            lift=after - before + said.metric - back,
            lift_corrected=more,
            found=True,
            settled=True,
            gap=_change(more),
        )
    if said is not None and said.contradicts(back):
        return ByOutcome(pattern=pattern, audit=said, lift=nothing, lift_corrected=nothing, found=False, settled=True)
    gap = _change(back - plain)
    floor = material_floor(scene.metric, float(plain[0, REFERENCE]))
    return ByOutcome(
        pattern=pattern,
        audit=said,
        lift=after - before,
        lift_corrected=back - plain,
        found=True,
        settled=(gap is not None and abs(gap) < floor) or (_quiet(before) and _quiet(back)),
        gap=gap,
    )


def _without_pattern(said: Audit | None, *, pattern: Conservation | None, nothing: Floats) -> ByOutcome:
    """An audit may find what counts do not show."""
    wins = said is not None and said.wins
    lift = said.metric - said.model if said is not None and wins else nothing
    return ByOutcome(
        pattern=pattern,
        audit=said,
        lift=lift,
        lift_corrected=lift,
        found=wins,
        settled=True,
        gap=_change(lift) if wins else None,
    )


def _quiet(by_window: Floats) -> bool:
    """The change is within chance."""
    gap = by_window[:, CURRENT] - by_window[:, REFERENCE]
    error = standard_error(gap)
    return error is not None and bool(abs(gap[0]) < WITHIN * error)


def _change(by_window: Floats) -> float | None:
    change = float(by_window[0, CURRENT] - by_window[0, REFERENCE])
    return change if np.isfinite(change) else None


def told(found: ByOutcome) -> tuple[str, str]:
    """What was found and what would overturn it; numbers are cells of the frames ``conservation`` and ``audited``."""
    said, following = [], "An audit of unlabelled rows by decision and score would decide."
    if found.pattern is not None and found.pattern.fires:
        said.append(_of_counts(found.pattern))
    if found.audit is not None:
        said.append(_of_audit(found.audit))
        following = (
            "A second audit of other unlabelled rows."
            if found.audited or not found.found
            else "The audit is too small to tell the two apart: more audited rows would decide."
        )
    return " ".join(said), following


def _of_counts(found: Conservation) -> str:
    if found.decision == 0:
        return (
            f"Among rows that were not flagged {words.count(found.missed)} labelled positives stand where "
            f"{words.count(found.expected_missed)} go with the labelled negatives beside them, and flagged rows are as "
            "they were: missed positives lost their labels."
        )
    text = (
        f"Among flagged rows {words.count(found.missing)} labels are missing where "
        f"{words.count(found.expected_missing)} were expected; labelled positives {words.count(found.positives)} "
        f"against {words.count(found.expected_positives)} expected, negatives {words.count(found.negatives)} against "
        f"{words.count(found.expected_negatives)}: "
    )
    if found.outcome == 0:
        return f"{text}negatives went missing, positives did not."
    also = (
        f" Missed positives went with them: {words.count(found.missed)} against "
        f"{words.count(found.expected_missed)} expected."
        if found.everywhere
        else ""
    )
    return f"{text}positives went missing, negatives did not.{also}"


def _of_audit(found: Audit) -> str:
    parts = [
        f"{words.percent(row['rate'])} positives among {words.count(row['audited'])} audited {row['decision']} rows "
        f"without a label, where {words.percent(row['model_rate'])} follow from the labelled ones"
        for row in found.frame.filter(window="current").iter_rows(named=True)
        if row["audited"] and row["rate"] is not None and row["model_rate"] is not None
    ]
    verdict = "labels were lost because of their outcome" if found.wins else "that is within chance"
    return f"An audit finds {'; '.join(parts)}: {verdict}." if parts else f"An audit was made: {verdict}."
