"""What each assumption about missing labels says of one metric in one cell."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from fbkit.measure.labels import cbpe, odds
from fbkit.measure.labels.bounds import NO_RANGE, Range, free_rows, worst_case
from fbkit.measure.labels.mar import Cells
from fbkit.measure.labels.masses import Metric, Rows, units_of
from fbkit.schema import bands

RANGE_ONLY: Final = "only a range: every value in it is possible"
NO_DELTA: Final = "no odds ratio from 1/1000 to 1000 gives this value"
_NAMES: Final = {
    "proportion": "linearised, Wilson (effective n)",
    "mean": "linearised, Student t",
    "logit": "linearised, logit",
}


class World(NamedTuple):
    """The rows of one slice and time cell, their inner cells, what their scores promise, and the level asked for."""

    rows: Rows
    cells: Cells
    chances: cbpe.Chances
    level: float


class Answer(NamedTuple):
    """A value with its interval, the range that is identified, the odds ratio behind it; NaN is "not estimable"."""

    value: float = np.nan
    lower: float = np.nan
    upper: float = np.nan
    range: Range = NO_RANGE
    delta: float = np.nan
    method: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One assumption: its name in the result, whether it rests on labels, and its answer."""

    assumption: str
    answer: Callable[[Metric, World], Answer]
    uses_label: bool = True


def lines(kinds: tuple[str, ...], *, delta: tuple[float, ...], reach: float | None) -> list[Line]:
    """The assumptions of these kinds (all of :data:`fbkit.schema.bands.KINDS` but "labelled") in the result's order."""
    made = [Line(assumption=bands.WORST_CASE, answer=_worst_case, uses_label=False)]
    made += [
        Line(assumption=bands.MORE, answer=_between(1.0, np.inf)),
        Line(assumption=bands.LESS, answer=_between(0.0, 1.0)),
    ]
    tilts = [Line(assumption=bands.odds_ratio(value), answer=_at(value)) for value in delta]
    if len(delta) > 1:
        low, high = min(delta), max(delta)
        tilts.insert(0, Line(assumption=bands.odds_ratio(low, high), answer=_between(low, high)))
    if reach is not None:
        tilts.append(Line(assumption=bands.to_reach(reach), answer=_to_reach(reach)))
        tilts.append(Line(assumption=bands.to_reach(reach, anyhow=True), answer=_to_reach(reach, anyhow=True)))
    at_random = Line(assumption=bands.AT_RANDOM, answer=_at(1.0))
    expected = Line(assumption=bands.EXPECTED, answer=_expected, uses_label=False)
    grouped = (made[:1], made[1:], tilts, [at_random], [expected])
    return [line for kind, group in zip(bands.KINDS[1:], grouped, strict=True) if kind in kinds for line in group]


def _worst_case(metric: Metric, world: World) -> Answer:
    return _range(worst_case(metric, world.rows), searched=False)


def _range(found: Range, *, searched: bool) -> Answer:
    if np.isnan(found.low):
        return Answer()
    kind = "" if found.exact else ", range found by search" if searched else ", outer bounds"
    return Answer(range=found, method=f"Imbens-Manski{kind}", reason=RANGE_ONLY)


def _between(low: float, high: float) -> Callable[[Metric, World], Answer]:
    def answer(metric: Metric, world: World) -> Answer:
        return _range(odds.within(metric, world.rows, world.cells, low, high), searched=True)

    return answer


def _at(delta: float) -> Callable[[Metric, World], Answer]:
    def answer(metric: Metric, world: World) -> Answer:
        rows, cells = world.rows, world.cells
        found = odds.tilted(metric, rows, cells, np.full_like(cells.positive, delta))
        if found is None:
            return Answer(delta=delta)
        units = units_of(metric.support(rows), rows)
        lower, upper = np.nan, np.nan
        if units > 1:
            lower, upper = metric.interval(found.value, found.error**2, units=units, level=world.level)
        method = _NAMES[metric.kind] if rows.cluster is None else f"cluster-robust (entity), {_NAMES[metric.kind]}"
        lost = int((cells.helpless[cells.code] & free_rows(metric, rows)).sum())
        said = f"{lost:,} rows are in cells without a labelled row: the bounds say what they could do" if lost else None
        # As beside labelled rows, the range holds the value: what is true if the rows without help had no outcome.
        low, high = np.fmin(found.range.low, found.value), np.fmax(found.range.high, found.value)
        return Answer(found.value, lower, upper, found.range._replace(low=low, high=high), delta, method, said)

    return answer


def _to_reach(value: float, *, anyhow: bool = False) -> Callable[[Metric, World], Answer]:
    def answer(metric: Metric, world: World) -> Answer:
        search = odds.tipping_width if anyhow else odds.tipping_delta
        found = search(metric, world.rows, world.cells, value)
        if found is None:
            return Answer(reason=NO_DELTA)
        return Answer(value, delta=found, range=Range(value, value, np.nan, np.nan))

    return answer


def _expected(metric: Metric, world: World) -> Answer:
    found = cbpe.expected(metric, world.rows, world.chances, level=world.level)
    if found is None:
        return Answer()
    method = "Poisson-binomial" + (" and calibration map" if world.chances.calibration is not None else "")
    return Answer(*found, Range(found.value, found.value, np.nan, np.nan), method=method)
