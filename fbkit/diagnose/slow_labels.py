"""Labels that take longer than they used to: how much longer, by outcome and decision, and what is not in yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from fbkit.diagnose import words
from fbkit.diagnose.bootstrap import Floats, Ints
from fbkit.diagnose.history import History
from fbkit.diagnose.labels import Labels, Repair
from fbkit.diagnose.rows import CURRENT
from fbkit.diagnose.scene import Scene
from fbkit.diagnose.settings import is_mean_of_values
from fbkit.diagnose.stretch import (
    EVENTS,
    FAMILIES,
    LATER,
    TIMES,
    WAIT,
    WHOLE,
    Atoms,
    Curve,
    Sample,
    likelihood,
    sample,
    sizes,
    unchanged,
    wait_likelihood,
    with_events,
)
from fbkit.diagnose.visibility import MOST_LABELS, Gap, Group, Law, Laws

CAUSE: Final = "slow_labels"
LEAST_RATIO: Final = 20.0
"""Twice the gain in log likelihood that a stretch must bring."""
LEAST_RATIO_BESIDE: Final = 45.0
"""The same where an outage was found as well, whose size is estimated itself."""
LEAST_MOVED: Final = 0.002
"""Share of the current labels that must be missing, or in, because of it."""
LEAST_STRETCH: Final = 0.2
"""Natural logarithm of the least stretch that counts."""
APART: Final = 12.0
"""Gain beyond which flagged and other rows have stretches of their own."""
OTHER_WEEKS: Final = 2.5
"""The gain must be so many times that of the two most unusual weeks before."""
MOST_WEEKS: Final = 8
FEWEST_WEEKS: Final = 3
ALONE: Final = 100.0
"""The gain that is asked for where fewer weeks before can be looked at."""
RHYTHM: Final = 0.3
"""Share of the labels on one weekday beyond which fewer weeks are too few."""
FEWEST_NOW: Final = 25
FEWEST_THEN: Final = 100
FINEST: Final = 28
"""The window has at least so many steps; a step is at most half a day."""
RHYTHM_HIDES: Final = (
    "labels arrive on some days of the week more than on others: while windows are open, slower labels cannot be told"
)
_OUTCOME: Final = ("labels other than positive", "positive labels")
_DECISION: Final = ("unflagged rows", "flagged rows")
NEXT: Final = "The same period evaluated once the slower labels are in; the age of the queue that they wait in."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How one group's law has changed.

    ``size`` is a factor (``times``, ``wait``) or days (``later``), ``factor`` the ratio of the median times to the
    arrival, ``gain`` twice the gain in log likelihood, ``low`` and ``high`` one standard error away. Events count
    within ``window`` days, labels are complete at the age ``closed``.
    """

    atoms: Atoms
    family: str
    size: float
    low: float
    high: float
    factor: float
    gain: float
    n: float
    window: float
    closed: float
    fires: bool

    def law(self, *, error: float = 0.0) -> Law:
        """The stretched law, ``error`` standard errors off."""
        off = self.high - self.size if error > 0 else self.size - self.low
        return self.atoms.law(self.family, self.size + error * off, closed=self.closed, window=self.window)


def find(scene: Scene, known: History, gaps: Sequence[Gap], *, stands: Floats | None) -> dict[Group, Stretch]:
    """Fit every group that has enough labels; see :data:`LEAST_RATIO` for when one fires."""
    found: dict[Group, Stretch] = {}
    like = _like(scene, known)
    outcomes = (0,) if is_mean_of_values(scene.metric) else (1,) if scene.silent else (0, 1)
    for outcome in outcomes:
        fits = [
            fit
            for decision in (0, 1)
            if (fit := _fit(scene, known, (outcome, decision), gaps, like=like, stands=stands)) is not None
        ]
        if fits:
            found |= _decide(known, fits, beside=bool(gaps))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """What one group shows: its law in the reference (thinned, and whole), and its labels now.

    ``sure`` is the share of a gain that counts, because the law of the reference is a sample itself.
    """

    group: Group
    atoms: Atoms
    then: tuple[Floats, Floats, Floats]
    now: tuple[Floats, Floats, Floats]
    age: Floats
    seen: Sample
    curves: Mapping[str, Curve]
    sure: float
    weeks: tuple[Sample, ...]


def step_of(known: History) -> float:
    """Width of the grid in days: half a day, less for short windows, a day where labels are loaded once a day."""
    return 1.0 if known.daily else min(0.5, known.open / FINEST)


def _fit(
    scene: Scene, known: History, group: Group, gaps: Sequence[Gap], *, like: Floats, stands: Floats | None
) -> _Fit | None:
    outcome, decision = group
    weight = known.weight(outcome)
    mine = (known.decision == decision) & (weight > 0) & (known.lag >= 0)
    now = np.flatnonzero(mine[: known.rows] & (scene.rows.window == CURRENT))
    then = np.flatnonzero(mine & known.healthy & known.closed & (like > 0))
    then = then[:: max(1, -(-len(then) // MOST_LABELS))]
    if weight[now].sum() < FEWEST_NOW or len(then) < FEWEST_THEN:
        return None
    amount = weight * like if stands is None else weight * like * stands
    law = (known.event[then], known.lag[then], amount[then])
    atoms = Atoms.of(*law, daily=known.daily)
    step = step_of(known)
    cut = [_mean_gap(gap, now, outcome=outcome) for gap in gaps]
    seen = sample(known.made[now], known.lag[now], weight[now], step=step, as_of=known.as_of, gaps=cut)
    curves = {
        family: likelihood(atoms, seen, family, closed=known.open, window=known.window)
        for family in _families(known, atoms)
    }
    return _Fit(
        group=group,
        atoms=atoms,
        then=law,
        now=(known.event[now], known.lag[now], weight[now]),
        age=known.as_of - known.made[now],
        seen=seen,
        curves=curves,
        weeks=_weeks(known, then, weight, now=now),
        sure=len(then) / (len(then) + len(now)),
    )


def _like(scene: Scene, known: History) -> Floats:
    """Weights that give healthy rows the weekdays of the current ones: only they wait for the same weekends."""
    weekday = np.floor(known.made).astype(np.int64) % 7
    now = np.bincount(weekday[: known.rows][scene.rows.of(CURRENT)], minlength=7)
    then = np.bincount(weekday[known.healthy], minlength=7)
    share = np.where(then > 0, now / np.maximum(then, 1), 0.0)
    return share[weekday] * (then.sum() / max(float(now.sum()), 1.0))


def _families(known: History, atoms: Atoms) -> list[str]:
    """Without event times there is no wait since the event; without a window of fixed length none to fall out of."""
    waits = bool(np.average(atoms.lag > atoms.event, weights=atoms.weight) > 0.5)
    fits = {TIMES: True, LATER: True, WAIT: known.events and waits, EVENTS: known.events and np.isfinite(known.window)}
    return [family for family in FAMILIES if fits[family]]


def _mean_gap(gap: Gap, rows: Ints, *, outcome: int) -> tuple[float, float, float]:
    share = 1.0 if gap.rows is None else float(gap.rows[rows].mean())
    return gap.start, gap.end, gap.lost * share * (gap.outcome in (None, outcome))


def _weeks(known: History, rows: Ints, weight: Floats, *, now: Ints) -> tuple[Sample, ...]:
    """The weeks before as they looked at the same age: how much the law of arrival differs anyway."""
    first, last = float(known.made[now].min()), float(known.made[now].max())
    back = 7.0 * np.ceil((last - first) / 7)
    made: list[Sample] = []
    for turn in range(1, MOST_WEEKS + 1):
        as_of = known.as_of - turn * back
        part = rows[(known.made[rows] >= first - turn * back) & (known.made[rows] <= last - turn * back)]
        part = part[known.made[part] + known.lag[part] <= as_of]
        if len(part) >= FEWEST_NOW:
            made.append(sample(known.made[part], known.lag[part], weight[part], step=step_of(known), as_of=as_of))
    return tuple(made)


def _decide(known: History, fits: Sequence[_Fit], *, beside: bool) -> dict[Group, Stretch]:
    """One stretch for both decisions, unless their own fit far better; a stretch that ordinary weeks show is none."""
    least = LEAST_RATIO_BESIDE if beside else LEAST_RATIO
    best, gain = _best(known, fits, least=least)
    own = {fit.group: _best(known, [fit], least=least) for fit in fits}
    if len(fits) > 1 and sum(each for _, each in own.values()) - gain <= APART:
        bar = max(least, OTHER_WEEKS * _usual(known, fits, best))
        curve = _sizing(known, fits, best)
        return {fit.group: _stretch(known, fit, best, curve, gain=gain, least=bar) for fit in fits}
    made: dict[Group, Stretch] = {}
    for fit in fits:
        family, mine = own[fit.group]
        bar = max(least, OTHER_WEEKS * _usual(known, [fit], family))
        made[fit.group] = _stretch(known, fit, family, _sizing(known, [fit], family), gain=mine, least=bar)
    return made


def _joint(fits: Sequence[_Fit], family: str) -> Floats:
    return np.sum([fit.curves[family].total * fit.sure for fit in fits], axis=0)


def _sizing(known: History, fits: Sequence[_Fit], family: str) -> Floats:
    """The curve that the size is read off: where the waits alone became longer, that of the waits."""
    if family != WAIT or known.daily or any(fit.seen.gaps for fit in fits):
        return _joint(fits, family)
    return np.sum([wait_likelihood(fit.atoms, *fit.now[:2], fit.age, fit.now[2]) * fit.sure for fit in fits], axis=0)


def _best(known: History, fits: Sequence[_Fit], *, least: float) -> tuple[str, float]:
    """The change that fits best and its gain; where several would do, events and arrivals together tell."""
    families = [family for family in FAMILIES if all(family in fit.curves for fit in fits)]
    gains = {family: _gain(_joint(fits, family), family) for family in families}
    first = max(families, key=lambda family: gains[family])
    if gains[first] <= least or not known.events:
        return first, gains[first]

    both = [(Atoms.of(*fit.then, most=WHOLE, daily=known.daily), Atoms.of(*fit.now, most=WHOLE)) for fit in fits]

    def together(family: str) -> float:
        at = int(_joint(fits, family).argmax())
        size = float(sizes(family, closed=known.open)[at])
        return sum(
            with_events(then, now, family, size, step=step_of(known), window=known.window) * fit.seen.n
            - float(fit.curves[family].chance[at])
            for fit, (then, now) in zip(fits, both, strict=True)
        )

    chosen = max((family for family in families if gains[family] > least), key=together)
    return chosen, gains[chosen]


def _gain(curve: Floats, family: str) -> float:
    return float(2 * (curve.max() - curve[unchanged(family)]))


def _usual(known: History, fits: Sequence[_Fit], family: str) -> float:
    """Mean of the two largest gains among the weeks before, as they looked at the same age."""
    if _gain(_joint(fits, family), family) < LEAST_RATIO:
        return 0.0
    weeks = min(len(fit.weeks) for fit in fits)

    def gain(week: int) -> float:
        curves = [likelihood(f.atoms, f.weeks[week], family, closed=known.open, window=known.window) for f in fits]
        return _gain(np.sum([c.total * f.sure for c, f in zip(curves, fits, strict=True)], axis=0), family)

    gains = sorted(gain(week) for week in range(weeks))
    if len(gains) >= FEWEST_WEEKS:
        return sum(gains[-2:]) / 2
    return np.inf if _weekly(known) else ALONE / OTHER_WEEKS


def _weekly(known: History) -> bool:
    """Much of what arrives does so on one day of the week; a few weeks do not show what that does."""
    arrived = (known.made + known.lag)[known.healthy & np.isfinite(known.lag)]
    counts = np.bincount(np.floor(arrived).astype(np.int64) % 7, minlength=7)
    return bool(counts.max() > RHYTHM * counts.sum())


def _stretch(known: History, fit: _Fit, family: str, curve: Floats, *, gain: float, least: float) -> Stretch:
    size = sizes(family, closed=known.open)
    at = int(curve.argmax())
    inside = np.flatnonzero(curve >= curve[at] - 0.5)
    # A curve that falls within one step of the grid: a third of a step.
    low = float(size[inside[0]] if inside[0] < at else (2 * size[at] + size[max(at - 1, 0)]) / 3)
    high = float(size[inside[-1]] if inside[-1] > at else (2 * size[at] + size[min(at + 1, len(size) - 1)]) / 3)
    before, after = fit.atoms.median(family, size[unchanged(family)]), fit.atoms.median(family, float(size[at]))
    factor = after / before if before > 0 else 1.0
    moved = abs(np.log(factor if family == LATER else size[at])) > LEAST_STRETCH
    return Stretch(
        atoms=fit.atoms,
        family=family,
        size=float(size[at]),
        low=low,
        high=high,
        factor=factor,
        gain=gain,
        n=fit.seen.n,
        window=known.window,
        closed=known.open,
        fires=bool(moved and gain > least),
    )


def laws(base: Laws, found: Mapping[Group, Stretch], *, error: float = 0.0) -> Laws:
    """The laws of the current period: stretched where a group fires.

    With ``error`` the stretches are so many standard errors off, in opposite directions for the two decisions and for
    the two outcomes: the errors of the groups are independent, and this is how they do most harm.
    """
    made: dict[Group, Law] = dict(base)
    for (outcome, decision), stretch in found.items():
        if stretch.fires:
            made[outcome, decision] = stretch.law(error=error if outcome == decision else -error)
    return made


def repair(
    scene: Scene,
    labels: Labels,
    known: History,
    found: Mapping[Group, Stretch],
    *,
    before: tuple[Floats, Floats],
    after: tuple[Floats, Floats],
    sides: Sequence[tuple[Floats, Floats]],
) -> Repair:
    """The repair out of visibilities (of positive and of other labels) under the old and under the stretched laws."""
    now = scene.rows.of(CURRENT)
    moved = max(float(np.abs(b[now] - a[now]).mean()) for b, a in zip(before, after, strict=True))
    fires = any(stretch.fires for stretch in found.values()) and moved > LEAST_MOVED
    missing = _missing(scene, known, found)
    return Repair(
        cause=CAUSE,
        labels=labels.visible(positive=after[0], other=after[1]) if fires else labels,
        fires=fires,
        where=_where(found),
        evidence=_sentence(found, missing),
        next_evidence=NEXT,
        frame=latency_frame(found),
        numbers=_numbers(found, missing),
        either_side=tuple(labels.visible(positive=one, other=two) for one, two in sides) if fires else (),
    )


def _missing(scene: Scene, known: History, found: Mapping[Group, Stretch]) -> float | None:
    """Share of the labels of the clearest group's current rows that are not in yet at its pace."""
    firing = _firing(found)
    if not firing:
        return None
    (_, decision), stretch = firing[0]
    rows = scene.rows.of(CURRENT) & (scene.rows.decision == decision)
    age = known.as_of - known.made[: known.rows][rows]
    return 1 - float(stretch.law().at(age).mean())


def _firing(found: Mapping[Group, Stretch]) -> list[tuple[Group, Stretch]]:
    return sorted(
        ((group, fit) for group, fit in found.items() if fit.fires), key=lambda item: (-item[1].gain, item[0])
    )


def _how(stretch: Stretch) -> str:
    if stretch.family == LATER:
        return f"{stretch.size:.1f} days later"
    what = " from the event on" if stretch.family == WAIT else ""
    return f"{stretch.size:.1f} times as slow{what}"


def _who(group: Group) -> str:
    return f"{_OUTCOME[group[0]]}, {_DECISION[group[1]]}"


def _where(found: Mapping[Group, Stretch]) -> str:
    told = [f"{_who(group)}: {_how(stretch)}" for group, stretch in _firing(found)]
    return "; ".join(told) if told else "everywhere"


def _sentence(found: Mapping[Group, Stretch], missing: float | None) -> str:
    firing = _firing(found)
    if not firing:
        return "Labels of the current period arrive as fast as those of the reference did."
    group, stretch = firing[0]
    return (
        f"{words.start(_who(group))} are {_how(stretch)}, measured against the reference (likelihood ratio statistic "
        f"{stretch.gain:.0f} on {words.count(stretch.n)} labels); at that pace {words.percent(missing)} of such labels "
        "of the current period are not in yet."
    )


def _numbers(found: Mapping[Group, Stretch], missing: float | None) -> dict[str, tuple[str, float | None]]:
    numbers: dict[str, tuple[str, float | None]] = {"slow_not_in_yet": ("share", missing)}
    for (outcome, decision), stretch in sorted(found.items()):
        name = f"slow_{'positive' if outcome else 'other'}_{'flagged' if decision else 'unflagged'}"
        numbers |= {
            f"{name}_size": ("ratio", stretch.size),
            f"{name}_gain": ("ratio", stretch.gain),
            f"{name}_labels": ("count", stretch.n),
        }
    return numbers


def latency_frame(found: Mapping[Group, Stretch]) -> pl.DataFrame:
    """outcome, decision, change, size, k, log_likelihood_ratio, n, fires: one row for each group with enough labels.

    ``k`` is the ratio of the median times from prediction to arrival; ``size`` is the factor on the whole time
    (``times``), on the time since the event (``wait``), or the days by which everything is later (``later``);
    ``log_likelihood_ratio`` is twice the gain in log likelihood.
    """
    rows = [
        (outcome, decision, fit.family, fit.size, fit.factor, fit.gain, fit.n, fit.fires)
        for (outcome, decision), fit in sorted(found.items())
    ]
    schema = {
        "outcome": pl.Int64,
        "decision": pl.Int64,
        "change": pl.String,
        "size": pl.Float64,
        "k": pl.Float64,
        "log_likelihood_ratio": pl.Float64,
        "n": pl.Float64,
        "fires": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
