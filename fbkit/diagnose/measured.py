"""Measure everything a diagnosis needs, timed by the question it answers."""

from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
from scipy.special import logit

from fbkit.diagnose import bounds, evidence, localise, selection
from fbkit.diagnose.advice import FRAME as CALIBRATION_MOVED
from fbkit.diagnose.advice import calibration_moved
from fbkit.diagnose.arrival import arrivals_frame
from fbkit.diagnose.blame import version_is_to_blame
from fbkit.diagnose.bootstrap import Floats, interval, standard_error
from fbkit.diagnose.cbpe import FRAME as CBPE
from fbkit.diagnose.cbpe import cbpe
from fbkit.diagnose.cells import Cells, count
from fbkit.diagnose.chance import by_chance
from fbkit.diagnose.climb import Climb, climb, silence_as_negative
from fbkit.diagnose.correction import corrected, positive_rate
from fbkit.diagnose.findings import Findings
from fbkit.diagnose.graded import NO_GRADING, Grading, grading
from fbkit.diagnose.integrity import integrity
from fbkit.diagnose.labels import Labels
from fbkit.diagnose.ladder import Ladder, top
from fbkit.diagnose.metric import exact_value
from fbkit.diagnose.orphans import Orphans, blocked, orphans
from fbkit.diagnose.outcome_loss import by_outcome
from fbkit.diagnose.replay import replay
from fbkit.diagnose.rows import (
    CURRENT,
    REFERENCE,
    WINDOWS,
    Rows,
    Strata,
)
from fbkit.diagnose.scene import Scene, Stopwatch
from fbkit.diagnose.series import by_week_and_day
from fbkit.diagnose.settings import NEEDS_DECISION, Settings
from fbkit.diagnose.shape import shape
from fbkit.diagnose.version import new_versions
from fbkit.schema.label import longest_delay


def measure(scene: Scene) -> Findings:
    """The ladder and everything around it."""
    watch, metric, settings = Stopwatch(), scene.metric, scene.settings
    with watch.time("who_lost_labels"):
        climbed = climb(scene)
        label_tests, strata, frames, lost_keys = _labels(scene, climbed.labels)
    with watch.time("like_for_like"):
        cells = _believed(scene, scene.table(strata, climbed.labels))
        worst = {name: bounds.worst_case(scene.rows, window=i) for i, name in enumerate(WINDOWS)}
        lifted = with_exact(top(climbed, cells, metric=metric, settings=settings), scene.rows)
        whole = without_chance(lifted, scene)
        repair = by_outcome(scene, climbed.labels, cells, whole, explained=_explained(scene, climbed))
        rate = positive_rate(cells, thin=settings.thin_cell)
        graded = NO_GRADING if repair.lost is not None or scene.silent else _grading(scene, climbed.labels, cells)
    with watch.time("is_it_the_model"):
        played = replay(scene, climbed.labels, cells, model=scene.model)
        typical = _typical_scores(scene)
        ladder = replace(repair.ladder, replayed=played.players, tried=played.tried)
    facts = Findings(
        metric=metric,
        reference=scene.reference,
        current=scene.current,
        as_of=scene.joined.as_of,
        contract=scene.joined.contract,
        delay=longest_delay(scene.joined),
        settings=settings,
        rows=scene.rows,
        arrival=scene.arrival,
        looked_at=climbed.looked_at,
        shape=shape(cells, mean_score=typical, thin=settings.thin_cell),
        version_blamed=played.version is not None
        and version_is_to_blame(scene, climbed.labels, cells, mean_score=typical),
        cells=cells,
        ladder=ladder,
        edges=scene.edges,
        bin_of=scene.bin_of,
        dispersion=scene.dispersion,
        label_tests=label_tests,
        replay=played,
        orphans=lost_keys,
        blocked=blocked(scene.rows, settings=settings),
        conservation=repair.pattern,
        lost_nonrandom=repair.lost,
        other_world=repair.other_world,
        audit=repair.audit,
        rate_ratio=_rate_ratio(metric, cells, settings=settings),
        tipping=_tipping(metric, ladder),
        tilt=_tilt(metric, cells, rate, ladder, level=settings.level),
        grading=graded,
        reach=bounds.reach(cells, rate, metric=metric, gamma=graded.gamma),
        worst=worst,
        frames=frames,
        seconds=watch.seconds,
    )
    return _with_frames(scene, facts, watch)


def _grading(scene: Scene, labels: Labels, cells: Cells) -> Grading:
    """Of labels that could have come: what an action prevents follows the score by design."""
    frame = scene.rows.frame
    if "blocked" not in frame.columns or not frame["blocked"].any():
        return grading(cells, settings=scene.settings)
    free = ~frame["blocked"].fill_null(value=False).to_numpy()
    part = count(
        scene.rows,
        labels,
        cells.strata,
        bin_of=scene.bin_of,
        bins=cells.bins,
        resampler=replace(scene.resampler, weights=scene.resampler.weights[:, :0]),
        only=free,
    )
    return grading(part, settings=scene.settings)


def _typical_scores(scene: Scene) -> Floats:
    """Mean log odds of the scores in each bin; the scores themselves where they are no probabilities."""
    score = scene.rows.score
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    scale = logit(inside) if score.min() >= 0 and score.max() <= 1 else score
    size = np.bincount(scene.bin_of, minlength=scene.bins)
    return np.bincount(scene.bin_of, weights=scale, minlength=scene.bins) / np.maximum(size, 1)


def _believed(scene: Scene, cells: Cells) -> Cells:
    return silence_as_negative(cells) if scene.silent else cells


def _labels(
    scene: Scene, labels: Labels
) -> tuple[list[selection.Test], Strata, dict[str, pl.DataFrame], Orphans | None]:
    """Along which columns labels were lost, the availability frames, and outcomes under unknown keys."""
    settings, rows = scene.settings, scene.rows
    tests = selection.label_tests(rows, scene.encoded, seen=labels.seen)
    strata = selection.choose(tests, scene.encoded, p=settings.slice_p, strata=settings.strata, rows=len(rows))
    frames = _availability_frames(scene)
    lost_keys = orphans(
        scene.joined,
        rows,
        reference=scene.reference,
        current=scene.current,
        until=scene.current.end + longest_delay(scene.joined),
        settings=settings,
    )
    frames["orphans"] = evidence.orphans_frame(lost_keys)
    return tests, strata, frames, lost_keys


def _availability_frames(scene: Scene) -> dict[str, pl.DataFrame]:
    rows = scene.rows
    days = longest_delay(scene.joined).total_seconds() / 86_400
    return {
        "windows": evidence.windows_frame(rows),
        "availability_by_decision": localise.availability_by_decision(rows),
        "availability_by_slice": localise.availability_by_slice(rows, scene.encoded),
        "availability_by_score": localise.availability_by_score(rows, scene.bin_of, scene.edges),
        "arrivals": arrivals_frame(rows, as_of=scene.joined.as_of, window_days=days),
    }


def with_exact(ladder: Ladder, rows: Rows) -> Ladder:
    """Shift what score bins only come near to (ROC AUC) to its exact value in each window, on every rung alike."""
    exact: list[float] = []
    for window in (REFERENCE, CURRENT):
        mine = rows.labelled & rows.of(window)
        value = exact_value(rows.metric, score=rows.score[mine], label=rows.label[mine])
        if value is None:
            return ladder
        exact.append(value)
    shift = np.array(exact) - ladder.observed[0]
    return replace(
        ladder,
        observed=ladder.observed + shift,
        steps=tuple(replace(step, before=step.before + shift, after=step.after + shift) for step in ladder.steps),
        like_for_like=ladder.like_for_like + shift,
        corrected=ladder.corrected + shift,
    )


def without_chance(ladder: Ladder, scene: Scene) -> Ladder:
    """Take what chance alone adds to a metric that is never negative out of everything above the repaired labels."""
    bias = by_chance(scene.rows, silent=scene.silent)
    return replace(
        ladder,
        like_for_like=ladder.like_for_like - bias,
        corrected=ladder.corrected - bias,
        chance=float(bias[CURRENT] - bias[REFERENCE]),
    )


EXPLAIN_COUNTS: Final = frozenset({"label_outage", "slow_labels", "label_conflict", "label_definition_change"})
"""Repairs that change which labels of one outcome are seen: what they leave unequal is not a loss by outcome."""


def _explained(scene: Scene, climbed: Climb) -> bool:
    _, fresh = new_versions(scene.rows, known_share=scene.settings.known_version)
    switched = float(fresh[scene.rows.of(CURRENT)].mean()) >= scene.settings.new_version_share
    return switched or any(step.repair.cause in EXPLAIN_COUNTS for step in climbed.steps)


def _rate_ratio(metric: str, cells: Cells, *, settings: Settings) -> Floats | None:
    if metric not in NEEDS_DECISION:
        return None
    return bounds.label_rate_ratio(cells, corrected(cells, thin=settings.thin_cell))


def _tipping(metric: str, ladder: Ladder) -> float | None:
    if metric not in bounds.TIPPING_METRICS or not np.isfinite(ladder.observed[0]).all():
        return None
    return bounds.tipping_ratio(float(ladder.observed[0, REFERENCE]), float(ladder.observed[0, CURRENT]))


def _tilt(metric: str, cells: Cells, rate: Floats, ladder: Ladder, *, level: float) -> bounds.Tilt:
    if metric not in bounds.TIPPING_METRICS or not np.isfinite(ladder.corrected[0]).all():
        return bounds.Tilt(vanish=None, touch=None)
    error = standard_error(ladder.true_change)
    before = float(ladder.corrected[0, REFERENCE])
    return bounds.tilt(cells, rate, metric=metric, reference=before, error=error, level=level)


def _with_frames(scene: Scene, facts: Findings, watch: Stopwatch) -> Findings:
    settings, ladder = scene.settings, facts.ladder
    frames: dict[str, pl.DataFrame] = dict(facts.frames)
    with watch.time("who_lost_labels"):
        frames["integrity"] = integrity(scene)
    with watch.time("is_it_the_model"):
        frames[CALIBRATION_MOVED] = calibration_moved(facts.cells, scene.rows, scene.bin_of, settings=settings)
        frames[CBPE] = cbpe(facts.cells, scene.rows, scene.bin_of, metric=scene.metric, settings=settings)
        frames |= facts.replay.frames
        frames |= {cause: fact.frame for cause, fact in facts.replay.facts.items() if fact.frame is not None}
        frames["remainder_by_slice"] = localise.remainder_by_slice(
            scene.rows,
            scene.labels,
            scene.encoded,
            metric=scene.metric,
            bin_of=scene.bin_of,
            bins=scene.bins,
            resampler=scene.resampler,
            settings=settings,
            minimum=scene.joined.contract.slices.minimum,
        )
        frames["replay"] = evidence.replay_frame(
            ladder, facts.repaired(facts.remainder), facts.replay, level=settings.level
        )
    frames["corrected"] = evidence.corrected_frame(ladder, level=settings.level, more=facts.reach)
    frames["tipping"] = evidence.tipping_frame(
        ladder, facts.tipping, facts.rate_ratio, facts.tilt, level=settings.level
    )
    frames["bounds"] = evidence.bounds_frame(ladder, facts.worst)
    frames["conservation"] = evidence.conservation_frame(facts.conservation)
    if facts.audit is not None:
        frames["audited"] = facts.audit.frame
    frames |= {item.cause: item.frame for item in facts.looked_at if item.frame is not None}
    frames |= by_week_and_day(
        scene.joined.frame,
        metric=scene.metric,
        reference=scene.reference,
        current=scene.current,
        level=settings.level,
    )
    return replace(facts, frames=frames, seconds=watch.seconds)


def observed_intervals(facts: Findings) -> dict[str, tuple[float | None, float | None]]:
    """Interval of the observed value of each window."""
    level = facts.settings.level
    return {name: interval(facts.ladder.observed[:, i], level=level)[1:] for i, name in enumerate(WINDOWS)}
