"""The arrival model: what the age of the rows, a feed that was down, and slower labels keep from being seen."""

from collections.abc import Sequence
from typing import Final

from fbkit.diagnose import outage, slow_labels, words
from fbkit.diagnose.arrival import arrivals_frame
from fbkit.diagnose.bootstrap import Floats
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT, REFERENCE, Flags
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.visibility import Gap, History, Laws, history, learn, visible
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
    base = learn(known, fewest=scene.settings.fewest_arrivals, weekdays=bool(_open(scene).any()))
    if not base:
        return (_immature(scene, labels, None),) if _open(scene).any() else ()
    aged = _aged(scene, known, base)
    young = _immature(scene, labels, aged)
    if _arrival_stands_in(scene):
        return (young,)
    down = outage.find(scene, known)
    if down is None:
        return young, _slow(scene, _next(young, labels), known, base, (), before=aged)
    gaps = outage.gaps(scene, down)
    laws, lossy, sides = base, aged, []
    if gaps:
        laws = learn(known, fewest=scene.settings.fewest_arrivals, weight=outage.still_there(down, known))
        lossy = _aged(scene, known, laws, gaps=gaps)
        sides = [_aged(scene, known, laws, gaps=outage.gaps(scene, down, more=error)) for error in (-1, 1)]
    lost = outage.repair(scene, _next(young, labels), down, before=aged, after=lossy, sides=sides)
    if not lost.fires:
        return young, lost, _slow(scene, _next(young, labels), known, base, (), before=aged)
    return young, lost, _slow(scene, lost.labels, known, laws, gaps, before=lossy)


def _next(repair: Repair, labels: Labels) -> Labels:
    return repair.labels if repair.fires else labels


def _open(scene: Scene) -> Flags:
    return ~scene.rows.mature


def _aged(scene: Scene, known: History, laws: Laws, *, gaps: Sequence[Gap] = ()) -> Pair:
    return visible(scene, known, (laws, laws), gaps=gaps)


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


def _slow(scene: Scene, labels: Labels, known: History, base: Laws, gaps: Sequence[Gap], *, before: Pair) -> Repair:
    stands = None
    found = slow_labels.find(scene, known, gaps, stands=stands)
    after, sides = before, []
    if any(stretch.fires for stretch in found.values()):
        after = visible(scene, known, (base, slow_labels.laws(base, found)), gaps=gaps)
        sides = [
            visible(scene, known, (base, slow_labels.laws(base, found, error=error)), gaps=gaps) for error in (-1, 1)
        ]
    return slow_labels.repair(scene, labels, found, before=before, after=after, sides=sides)
