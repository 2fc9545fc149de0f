"""Labels that follow another definition: logged by its version, or told by old cohorts whose late labels changed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.both_versions import Doubly, doubly
from fbkit.diagnose.definition_evidence import FEWEST, Found, evidence_frame, numbers_of, sentence, where_of
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.old_cohorts import Both, Excess, cohorts, excesses, found_day
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import OwnName, is_mean_of_values
from fbkit.diagnose.silent_cohorts import silent_excesses

CAUSE: Final = "label_definition_change"
FIRES_Z: Final = 3.0
"""Standard deviations of the excess on old cohorts when nothing is logged."""
SEARCHED_Z: Final = 4.5
"""The same for a day of change that was searched for."""
LOGGED_Z: Final = 2.0
"""The same when the labels say that they follow another version."""
NEW_SHARE: Final = 0.05
"""Share of the current labels on versions that the reference hardly had (less than KNOWN_SHARE)."""
KNOWN_SHARE: Final = 0.01
MOSTLY: Final = 0.9
"""Share of the current labels on new versions from which on one without a version is taken for new as well."""
EARLIER_DAYS: Final = 14
"""How many days before the current window a day of change is searched."""
LATER_GAIN: Final = 9.0
"""What another day must explain more (chi-square) than the start of the current window to be taken instead."""
CONFOUNDED: Final = "no old cohort was labelled by the new definition: it cannot be told from a change of the world"
LOST_OR_TURNED: Final = "old cohorts lack late positives: turned into negatives, or lost"
NEXT: Final = "The change log of the label's definition, and a hundred rows labelled by both definitions."


def definition_change(scene: Scene, labels: Labels) -> Repair | None:
    """Take labels back to the reference's definition; None for metrics of values, or where no arrival is known.

    With a version in the labels the new version is held against the old one, else labels that arrive after a day
    against those before it; both on rows predicted before the current window, which no change of the model, the mix or
    the world that comes with it can reach. The excess of positives per negative label there is how many of the new
    positives are none by the old definition: these get the remaining probability as their label.
    """
    contract = scene.joined.contract
    binary = contract.model.task == "binary" and contract.label.combine == "one"
    if is_mean_of_values(scene.metric) or isinstance(scene.metric, OwnName) or not binary:
        return None
    if "label_version" not in scene.rows.frame.columns or "ts_arrival" not in scene.rows.frame.columns:
        return None
    found = _silent(scene) if scene.silent else _logged(scene) or _unlogged(scene, labels)
    if found is None:
        return None
    repaired = found.repaired
    turned = [part for part in repaired if part.gap < 0 and not found.logged]
    if found.logged and not repaired and max(part.n for part in found.excess) < FEWEST:
        return _confounded(found, labels)
    fires = bool(repaired) and not turned
    return Repair(
        cause=CAUSE,
        labels=_repaired(scene, labels, found, repaired) if fires else labels,
        fires=fires,
        where=where_of(found, repaired),
        evidence=sentence(found, repaired),
        next_evidence=NEXT,
        frame=evidence_frame(found),
        numbers=numbers_of(found),
        best="established" if found.logged or max(abs(part.z) for part in found.excess) > SEARCHED_Z else "probable",
        reason=LOST_OR_TURNED if turned else None,
        either_side=_sides(scene, labels, found, repaired) if fires else (),
    )


def _silent(scene: Scene) -> Found | None:
    """Only positives are reported: their number since the start of the current window, version or not."""
    since = _micro(scene.current.start)
    counted = silent_excesses(scene, since=since, as_of=_micro(scene.joined.as_of))
    if counted is None:
        return None
    arrived = scene.rows.frame["ts_arrival"].dt.epoch("us").fill_null(0).to_numpy()
    new = scene.rows.positive & (arrived >= since) & (arrived > 0)
    return Found(since=since, logged=False, excess=counted.excess, new=new, gate=FIRES_Z, due=counted.due)


def _logged(scene: Scene) -> Found | None:
    """Versions that the reference hardly had; None if the labels say no such thing."""
    rows = scene.rows
    if rows.frame["label_version"].null_count() == len(rows):
        return None
    labelled = [
        rows.frame.lazy().filter(pl.Series(rows.labelled & rows.of(window))).select("label_version")
        for window in (REFERENCE, CURRENT)
    ]
    shares = [part.collect().to_series().drop_nulls().value_counts(normalize=True) for part in labelled]
    before, now = (dict(part.iter_rows()) for part in shares)
    fresh = tuple(sorted(name for name in now if before.get(name, 0.0) < KNOWN_SHARE or now[name] > 5 * before[name]))
    share = sum(now[name] for name in fresh)
    if share < NEW_SHARE:
        return None
    mine = rows.frame["label_version"].is_in(list(fresh)).fill_null(value=False).to_numpy() & rows.labelled
    since = _micro(scene.current.start)

    def is_new(frame: pl.DataFrame, _arrived: Ints) -> Flags:
        return frame["label_version"].is_in(list(fresh)).fill_null(value=False).to_numpy()

    table = cohorts(scene, since=since, is_new=is_new)
    twice = doubly(scene, fresh=fresh)
    if share > MOSTLY:  # what an earlier repair joined again has no version here
        mine |= scene.rows.of(CURRENT) & ~scene.rows.labelled
    return Found(
        since=since,
        logged=True,
        excess=_surer(_measured(table, scene, since=since), twice, scene),
        twice=twice,
        new=mine,
        gate=LOGGED_Z,
        versions=fresh,
        share=share,
    )


def _surer(late: tuple[Excess, Excess], twice: Doubly, scene: Scene) -> tuple[Excess, Excess]:
    """By decision what is surer of the size: late labels of old cohorts, or predictions labelled by both."""

    def best(part: Excess) -> Excess:
        other = twice.excess(scene, decision=part.decision)
        if other.n < FEWEST or other.negatives <= 0:
            return part
        told = part.n >= FEWEST and part.negatives > 0
        return part if told and part.error / part.negatives < other.error / other.negatives else other

    return best(late[0]), best(late[1])


def _unlogged(scene: Scene, labels: Labels) -> Found | None:
    """The start of the current window as the day of change, or a day that explains the late labels far better."""
    start = _micro(scene.current.start)
    table = cohorts(scene, since=start, is_new=_after(start))
    if all(part.new.all() for part in table):
        return None
    found = _since(scene, labels, table, since=start, gate=FIRES_Z)
    other = found_day(table, start=start, earlier=EARLIER_DAYS, gain=SEARCHED_Z**2, more=LATER_GAIN)
    if other is None:
        return found
    again = cohorts(scene, since=other, is_new=_after(other))
    moved = _since(scene, labels, again, since=other, gate=SEARCHED_Z)
    return moved if moved.repaired else found


def _since(scene: Scene, labels: Labels, table: Both, *, since: int, gate: float) -> Found:
    arrived = scene.rows.frame["ts_arrival"].dt.epoch("us").fill_null(0).to_numpy()
    # Labels that an earlier repair joined again have no time of arrival here; after the change came all current ones.
    again = labels.seen & ~scene.rows.labelled & scene.rows.of(CURRENT) & (since <= _micro(scene.current.start))
    new = (scene.rows.labelled & (arrived >= since)) | again
    return Found(since=since, logged=False, excess=_measured(table, scene, since=since), new=new, gate=gate)


def _after(since: int) -> Callable[[pl.DataFrame, Ints], Flags]:
    return lambda _frame, arrived: arrived >= since


def _measured(table: Both, scene: Scene, *, since: int) -> tuple[Excess, Excess]:
    return excesses(table, as_of=_micro(scene.joined.as_of), since=since)


def _rates(parts: Sequence[Excess], found: Found) -> dict[int, tuple[float, float]]:
    """Size of the change and its standard error by decision.

    The other decision, too thin to tell by itself, follows as far as its own labels favour the same size over none.
    """
    sizes = {part.decision: (part.rate, part.error * abs(part.rate / part.gap)) for part in parts}
    if len(parts) != 1:
        return sizes
    (size, error), other = sizes[parts[0].decision], found.excess[1 - parts[0].decision]
    if other.n < FEWEST or other.negatives <= 0 or size <= 0:
        return sizes
    own, noise = other.gap / other.negatives, other.variance**0.5 / other.negatives
    alike, none = np.exp(-0.5 * ((own - size) / noise) ** 2), np.exp(-0.5 * (own / noise) ** 2)
    share = float(alike / (alike + none)) if alike + none > 0 else 0.0
    return {**sizes, other.decision: (share * size, share * error)}


def _repaired(scene: Scene, labels: Labels, found: Found, parts: Sequence[Excess], *, errors: float = 0.0) -> Labels:
    """Labels by the old definition; ``errors`` moves the size of the change by so many standard errors."""
    rows, y = scene.rows, labels.y.copy()
    changed = np.zeros(len(rows), dtype=bool)
    for decision, (size, error) in _rates(parts, found).items():
        up, ratio = size > 0, max(abs(size) + errors * error, 0.0)
        for window in (REFERENCE, CURRENT):
            mine = rows.of(window) & (rows.decision == decision)
            told = mine & found.new & labels.seen
            into = told & (y > 0.5) if up else told & (y <= 0.5)
            # Of those that silence makes negative, as many could have turned as would have been reported by now.
            source = (
                (told & ~into).astype(np.float64) if found.due is None else np.where(mine & ~(y > 0.5), found.due, 0.0)
            )
            if not into.any() or not source.any():
                continue
            wrong = _spread_over(ratio, scene.bin_of, into=into, source=source, bins=scene.bins)[into]
            y[into] = y[into] * (1 - wrong) if up else y[into] + (1 - y[into]) * wrong
            changed |= into
    if found.twice is not None:
        # Where the old definition has its own say nothing needs to be estimated.
        at = found.twice.at[labels.seen[found.twice.at]]
        y[at] = found.twice.old[labels.seen[found.twice.at]]
        changed[at] = True
    return labels.with_labels(changed, y[changed])


def _spread_over(ratio: float, bin_of: Ints, *, into: Flags, source: Floats, bins: int) -> Floats:
    """Share of the labels ``into`` that come from the other side, by score bin: ``ratio`` for each of its ``source``.

    No bin can hold more of them than it has labels; what is too much goes where there is room.
    """
    held = np.bincount(bin_of[into], minlength=bins).astype(np.float64)
    wanted = ratio * np.bincount(bin_of, weights=source, minlength=bins)
    wrong = np.minimum(wanted, held)
    room = held - wrong
    missing = min(float(wanted.sum() - wrong.sum()), float(room.sum()))
    if missing > 0:
        wrong = wrong + missing * room / room.sum()
    return np.divide(wrong, held, out=np.zeros_like(held), where=held > 0)[bin_of]


def _sides(scene: Scene, labels: Labels, found: Found, parts: Sequence[Excess]) -> tuple[Labels, ...]:
    low, high = (_repaired(scene, labels, found, parts, errors=side) for side in (-1.0, 1.0))
    return low, high


def _confounded(found: Found, labels: Labels) -> Repair:
    return Repair(
        cause=CAUSE,
        labels=labels,
        fires=True,
        where=where_of(found, ()),
        evidence=sentence(found, ()),
        next_evidence=NEXT,
        frame=evidence_frame(found),
        numbers=numbers_of(found),
        best="probable",
        reason=CONFOUNDED,
    )


def _micro(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
