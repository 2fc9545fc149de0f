"""The arrival model: what the age of the rows, a feed that was down, and slower labels keep from being seen."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from fbkit.diagnose import outage, slow_labels, words
from fbkit.diagnose.arrival import arrivals_frame
from fbkit.diagnose.blackout import blackout
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.history import History, history
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.visibility import Gap, Laws, enough, learn, visible
from fbkit.schema.label import longest_delay

IMMATURE: Final = "immature_window"
NO_CLOSED_WINDOW: Final = (
    "the age of the labels is not allowed for: no closed label window to learn the arrival curve from"
)
NO_ARRIVAL_TIME: Final = (
    "no arrival time is logged, so a label counts as known when its event happened: an outage of the feed or slower "
    "labels cannot be told"
)
NEXT: Final = "The same period evaluated once its label windows have closed."
Pair = tuple[Floats, Floats]
"""Visible share of positive and of other labels, row by row."""


def arrival_repairs(scene: Scene, labels: Labels) -> tuple[Repair, ...]:
    """Up to three nested repairs, each adding to the visibility of the labels: age, outage, slow labels.

    Parameters
    ----------
    labels
        What the rungs before believe of the labels.

    Notes
    -----
    The law of arrival is that of predictions made before the current period; without any closed window among them the
    age is not allowed for and nothing else is tested. Where no time of arrival is logged only the age is.
    """
    known = history(scene, labels)
    fewest, young = scene.settings.fewest_arrivals, bool(_open(scene).any())
    if not enough(known, fewest=fewest):
        return (_immature(scene, labels, None),) if young else ()
    laws = learn(known, fewest=fewest) if young else None
    aged = _complete(scene) if laws is None else visible(scene, known, (laws, laws))
    first = _immature(scene, labels, aged)
    if _arrival_stands_in(scene):
        return (first,)
    after_age = first.labels if first.fires else labels
    lost, gaps, stands = _lost(scene, after_age, known, before=aged)
    dark = blackout(scene, after_age, known, before=aged) if lost is None or not lost.fires else None
    if dark is not None:
        lost, gaps, stands = *dark, None
    if lost is None or not lost.fires:
        slow = _slow(scene, after_age, known, Seen(shares=aged, laws=laws))
        return (first, slow) if lost is None else (first, lost, slow)
    seen = Seen(shares=(lost.labels.seen1, lost.labels.seen0), laws=laws, gaps=gaps, stands=stands)
    return first, lost, _slow(scene, lost.labels, known, seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of the visibility of labels before slower ones are looked for.

    ``laws`` is None where nothing asked for them yet; ``stands`` is what each label stands for after an outage.
    """

    shares: Pair
    laws: Laws | None
    gaps: tuple[Gap, ...] = ()
    stands: Floats | None = None


def _complete(scene: Scene) -> Pair:
    return np.ones(len(scene.rows)), np.ones(len(scene.rows))


def _lost(
    scene: Scene, labels: Labels, known: History, *, before: Pair
) -> tuple[Repair | None, tuple[Gap, ...], Floats | None]:
    """The repair of an outage, its gaps, and what every label stands for."""
    down = outage.find(scene, known)
    if down is None:
        return None, (), None
    gaps = outage.gaps(scene, down)
    if not gaps:
        return outage.repair(scene, labels, down, before=before, after=before, sides=()), (), None
    stands = outage.still_there(down, known)
    laws = learn(known, fewest=scene.settings.fewest_arrivals, weight=stands)
    after = visible(scene, known, (laws, laws), gaps=gaps)
    sides = [visible(scene, known, (laws, laws), gaps=outage.gaps(scene, down, more=error)) for error in (-1, 1)]
    return outage.repair(scene, labels, down, before=before, after=after, sides=sides), gaps, stands


def _open(scene: Scene) -> Flags:
    return ~scene.rows.mature


def _arrival_stands_in(scene: Scene) -> bool:
    """No statement has a time of arrival of its own."""
    audit = getattr(scene.joined, "audit", None)
    if audit is None:
        return False
    told = audit.filter(audit["rule"] == "arrival_is_event_time")["rows"].sum()
    return bool(told) and told >= int(scene.joined.frame["label"].count())


def _immature(scene: Scene, labels: Labels, aged: Pair | None) -> Repair:
    """Open windows, by the law of closed ones; ``aged`` is None where no window has closed."""
    young = _open(scene)
    share = [float(young[scene.rows.of(window)].mean()) for window in (REFERENCE, CURRENT)]
    now = young & scene.rows.of(CURRENT)
    unseen = None if aged is None or not now.any() else tuple(1 - float(part[now].mean()) for part in aged)
    reason = NO_CLOSED_WINDOW if aged is None else NO_ARRIVAL_TIME if _arrival_stands_in(scene) else None
    return Repair(
        cause=IMMATURE,
        labels=labels if aged is None else labels.visible(positive=aged[0], other=aged[1]),
        fires=bool(now.any()),
        where="predictions whose label window is open",
        evidence=_sentence(share[CURRENT], unseen),
        next_evidence=NEXT,
        frame=arrivals_frame(
            scene.rows, as_of=scene.joined.as_of, window_days=longest_delay(scene.joined).total_seconds() / 86_400
        ),
        numbers={
            "open_share_reference": ("share", share[REFERENCE]),
            "open_share_current": ("share", share[CURRENT]),
            "open_unseen_positive": ("share", None if unseen is None else unseen[0]),
            "open_unseen_other": ("share", None if unseen is None else unseen[1]),
        },
        reason=reason,
    )


def _sentence(share: float, unseen: tuple[float, ...] | None) -> str:
    text = f"{words.percent(share)} of the current predictions have an open label window"
    if unseen is None:
        return f"{text}."
    return (
        f"{text}; at their age {words.percent(unseen[0])} of their positive labels and {words.percent(unseen[1])} of "
        "the others are still to come, by the arrivals of closed windows."
    )


def _slow(scene: Scene, labels: Labels, known: History, seen: Seen) -> Repair:
    if seen.laws is not None and any(law.by_weekday for law in seen.laws.values()):
        return Repair(cause=slow_labels.CAUSE, labels=labels, fires=False, reason=slow_labels.RHYTHM_HIDES)
    found = slow_labels.find(scene, known, seen.gaps, stands=seen.stands)
    after, sides = seen.shares, []
    if any(stretch.fires for stretch in found.values()):
        laws = seen.laws or learn(known, fewest=scene.settings.fewest_arrivals, weight=seen.stands)
        after, *sides = (
            visible(scene, known, (laws, slow_labels.laws(laws, found, error=error)), gaps=seen.gaps)
            for error in (0, -1, 1)
        )
    return slow_labels.repair(scene, labels, known, found, before=seen.shares, after=after, sides=sides)
